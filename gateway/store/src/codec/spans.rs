//! Spans: the senders' own bytes, and beside them only what those bytes do not say. Ids that open a payload as OTLP
//! writers put them are kept once, and a trace id that the span before had too not at all.

use std::sync::Arc;

use parsers::record::{ByteRange, ResourceRow, SpanBatch, SpanKind, SpanRow, Spelling, StatusCode};

use super::{Damaged, Input, Output};

/// The row can be told from the payload.
const DERIVED: u8 = 1;
/// The payload began with both ids, which were cut from it.
const CUT: u8 = 2;
/// The trace is that of the row before.
const SAME_TRACE: u8 = 4;

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// The top-level fields of an OTLP `Span` that are indexed, as a row whose ranges are relative to the payload.
fn derive(payload: &[u8]) -> Option<SpanRow> {
    let mut row = SpanRow::default();
    let mut at = 0;
    while at < payload.len() {
        let tag = varint(payload, &mut at)?;
        match tag & 7 {
            0 => {
                let n = varint(payload, &mut at)?;
                if tag >> 3 == 6 {
                    row.kind = SpanKind::from_code(n as u8);
                }
            }
            1 => {
                let n = u64::from_le_bytes(payload.get(at..at + 8)?.try_into().ok()?);
                at += 8;
                match tag >> 3 {
                    7 => row.start = n,
                    8 => row.end = n,
                    _ => {}
                }
            }
            2 => {
                let len = varint(payload, &mut at)? as usize;
                let end = at.checked_add(len)?;
                let value = payload.get(at..end)?;
                match (tag >> 3, len) {
                    (1, 16) => row.trace = u128::from_be_bytes(value.try_into().ok()?),
                    (2, 8) => row.span = u64::from_be_bytes(value.try_into().ok()?),
                    (4, 8) => row.parent = u64::from_be_bytes(value.try_into().ok()?),
                    (5, _) => row.name = ByteRange { start: at as u32, end: end as u32 },
                    (15, _) => row.status = status(value),
                    _ => {}
                }
                at = end;
            }
            5 => at += 4,
            _ => return None,
        }
    }
    Some(row)
}

fn status(bytes: &[u8]) -> StatusCode {
    let mut at = 0;
    let mut code = 0;
    while let Some(tag) = varint(bytes, &mut at) {
        let Some(n) = varint(bytes, &mut at) else { break };
        match tag {
            0x18 => code = n,
            0x12 => at = at.saturating_add(n as usize),
            _ => break,
        }
    }
    StatusCode::from_code(code as u8)
}

/// The row of a payload that begins at `start`, with the parts that the payload does not hold.
fn settle(mut row: SpanRow, start: u32, len: usize, like: &SpanRow) -> SpanRow {
    row.name = if row.name.is_empty() {
        ByteRange::default()
    } else {
        ByteRange { start: row.name.start + start, end: row.name.end + start }
    };
    row.payload = ByteRange { start, end: start + len as u32 };
    (row.resource, row.scope, row.spelling) = (like.resource, like.scope, like.spelling);
    row
}

/// Both ids as OTLP writers put them: fields 1 and 2, of 16 and of 8 bytes.
fn ids_prefix(row: &SpanRow) -> [u8; 28] {
    let mut prefix = [0u8; 28];
    let parts: [&[u8]; 4] = [&[0x0a, 0x10], &row.trace.to_be_bytes(), &[0x12, 0x08], &row.span.to_be_bytes()];
    let mut rest = prefix.as_mut_slice();
    for part in parts {
        let Some((to, others)) = std::mem::take(&mut rest).split_at_mut_checked(part.len()) else { break };
        to.copy_from_slice(part);
        rest = others;
    }
    prefix
}

/// Writes a batch of spans.
pub fn encode_spans(batch: &SpanBatch, out: &mut Output) {
    out.varint(batch.rows.len() as u64);
    if batch.rows.is_empty() {
        return;
    }
    out.varint(batch.resources.len() as u64);
    for r in &batch.resources {
        out.bytes(r.service.as_bytes());
        out.bytes(r.payload.of(&batch.bytes));
    }
    out.varint(batch.scopes.len() as u64);
    batch.scopes.iter().for_each(|s| out.bytes(s.of(&batch.bytes)));
    let mut before = 0;
    for row in &batch.rows {
        let payload = row.payload.of(&batch.bytes);
        let told = derive(payload).map(|d| settle(d, row.payload.start, payload.len(), row));
        let derived = told.is_some_and(|t| {
            let name = |r: &SpanRow| r.name.of(&batch.bytes);
            SpanRow { name: row.name, ..t } == *row && name(&t) == name(row)
        });
        let prefix = ids_prefix(row);
        let cut = derived && payload.starts_with(&prefix);
        let same = row.trace == before;
        before = row.trace;
        out.byte(
            if derived { DERIVED } else { 0 } | if cut { CUT } else { 0 } | if same { SAME_TRACE } else { 0 },
        );
        out.varint(u64::from(row.resource));
        out.varint(u64::from(row.scope));
        out.byte(row.spelling.code());
        if !same {
            out.fixed128(row.trace);
        }
        if !derived {
            out.fixed64(row.span);
            out.fixed64(row.parent);
            out.varint(row.start);
            out.varint(row.end);
            out.byte(row.kind as u8);
            out.byte(row.status as u8);
            out.bytes(row.name.of(&batch.bytes));
        } else if cut {
            out.fixed64(row.span.swap_bytes());
        }
        out.bytes(if cut { payload.get(prefix.len()..).unwrap_or_default() } else { payload });
    }
}

fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<ByteRange, Damaged> {
    let start = u32::try_from(buffer.len()).map_err(|_| Damaged)?;
    buffer.extend_from_slice(bytes);
    Ok(ByteRange { start, end: u32::try_from(buffer.len()).map_err(|_| Damaged)? })
}

/// Reads [`encode_spans`] back. Payloads come out back to back.
pub fn decode_spans(input: &mut Input<'_>) -> Result<SpanBatch, Damaged> {
    let count = input.count()?;
    let mut batch = SpanBatch::default();
    if count == 0 {
        return Ok(batch);
    }
    batch.bytes.reserve(input.left());
    for _ in 0..input.count()? {
        let service = Arc::from(input.text()?);
        let payload = append(&mut batch.bytes, input.bytes()?)?;
        batch.resources.push(ResourceRow { service, payload });
    }
    for _ in 0..input.count()? {
        let scope = append(&mut batch.bytes, input.bytes()?)?;
        batch.scopes.push(scope);
    }
    let mut before = 0;
    for _ in 0..count {
        let flags = input.byte()?;
        let mut row = SpanRow { resource: input.varint32()?, scope: input.varint32()?, ..SpanRow::default() };
        row.spelling = Spelling::from_code(input.byte()?);
        row.trace = if flags & SAME_TRACE == 0 { input.fixed128()? } else { before };
        before = row.trace;
        if flags & DERIVED == 0 {
            row.span = input.fixed64()?;
            row.parent = input.fixed64()?;
            row.start = input.varint()?;
            row.end = input.varint()?;
            row.kind = SpanKind::from_code(input.byte()?);
            row.status = StatusCode::from_code(input.byte()?);
            let name = input.bytes()?;
            row.payload = append(&mut batch.bytes, input.bytes()?)?;
            let within = memchr::memmem::find(row.payload.of(&batch.bytes), name).unwrap_or(usize::MAX);
            row.name = match u32::try_from(within) {
                Ok(at) => {
                    let start = row.payload.start + at;
                    ByteRange { start, end: start + name.len() as u32 }
                }
                Err(_) => append(&mut batch.bytes, name)?,
            };
        } else {
            let start = batch.bytes.len();
            if flags & CUT != 0 {
                row.span = input.fixed64()?.swap_bytes();
                batch.bytes.extend_from_slice(&ids_prefix(&row));
            }
            batch.bytes.extend_from_slice(input.bytes()?);
            let payload = batch.bytes.get(start..).ok_or(Damaged)?;
            let told = derive(payload).ok_or(Damaged)?;
            row = settle(told, u32::try_from(start).map_err(|_| Damaged)?, payload.len(), &row);
        }
        batch.rows.push(row);
    }
    Ok(batch)
}
