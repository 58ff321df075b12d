//! One pass over an `ExportTraceServiceRequest`: rows over the sender's own bytes, no allocation per span.

use std::sync::Arc;

use crate::record::{
    ByteRange, ResourceRow, SpanBatch, SpanKind, SpanRow, Spelling, SpellingKind, StatusCode,
};

use super::{Field, MAX_RECORDS, Reader, Reason, Rejections, WalkError, decode::Text};

/// The service of a resource that does not name one, as the specification says.
pub(super) const UNKNOWN_SERVICE: &str = "unknown_service";

/// Bytes of a span with its ids and times, for the first guess at the number of rows.
const TYPICAL_SPAN_BYTES: usize = 200;

/// Walks a body once. It becomes [`SpanBatch::bytes`]; all ranges point into it. Spans with an invalid id are left out alone.
pub fn walk_traces(body: Vec<u8>) -> Result<(SpanBatch, Rejections), WalkError> {
    let mut rejections = Rejections::default();
    let mut batch = SpanBatch::default();
    check_size(&body)?;
    batch.rows.reserve(body.len() / TYPICAL_SPAN_BYTES);
    let mut reader = Reader::new(&body);
    while let Some((number, field)) = reader.read()? {
        // 1000 was `instrumentation_library_spans` in ResourceSpans; the outer field never changed.
        if let (1, Field::Bytes(message)) = (number, field) {
            resource_spans(&body, reader.range(message), &mut batch, &mut rejections)?;
        }
    }
    batch.bytes = body;
    Ok((batch, rejections))
}

/// Ranges count in 32 bits.
pub(super) fn check_size(body: &[u8]) -> Result<(), WalkError> {
    if u32::try_from(body.len()).is_err() {
        return Err(WalkError { offset: 0, problem: "a body of 4 GiB or more" });
    }
    Ok(())
}

fn resource_spans(
    body: &[u8],
    message: ByteRange,
    batch: &mut SpanBatch,
    rejections: &mut Rejections,
) -> Result<(), WalkError> {
    let index = batch.resources.len() as u32;
    let rows = batch.rows.len();
    let mut resource = ByteRange::default();
    // A sender may write the resource after its spans, so rows only take its index here.
    let mut reader = Reader::within(body, message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => resource = reader.range(bytes),
            (2 | 1000, Field::Bytes(bytes)) => {
                scope_spans(body, reader.range(bytes), index, batch, rejections)?;
            }
            _ => {}
        }
    }
    if batch.rows.len() > rows {
        let service = service_of(body, resource)?;
        batch.resources.push(ResourceRow { service, payload: resource });
    }
    Ok(())
}

fn scope_spans(
    body: &[u8],
    message: ByteRange,
    resource: u32,
    batch: &mut SpanBatch,
    rejections: &mut Rejections,
) -> Result<(), WalkError> {
    let index = batch.scopes.len() as u32;
    let rows = batch.rows.len();
    let mut scope = ByteRange::default();
    let mut reader = Reader::within(body, message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => scope = reader.range(bytes),
            (2, Field::Bytes(bytes)) => {
                let payload = reader.range(bytes);
                match span(body, payload)? {
                    Err(reason) => rejections.add(reason),
                    Ok(_) if batch.rows.len() >= MAX_RECORDS => rejections.add(Reason::TooMany),
                    Ok(row) => batch.rows.push(SpanRow { resource, scope: index, payload, ..row }),
                }
            }
            _ => {}
        }
    }
    if batch.rows.len() > rows {
        batch.scopes.push(scope);
    }
    Ok(())
}

pub(super) fn span(body: &[u8], payload: ByteRange) -> Result<Result<SpanRow, Reason>, WalkError> {
    let mut row = SpanRow { spelling: Spelling::new(SpellingKind::Binary), ..SpanRow::default() };
    let mut reader = Reader::within(body, payload);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => row.trace = bytes.try_into().map_or(0, u128::from_be_bytes),
            (2, Field::Bytes(bytes)) => row.span = bytes.try_into().map_or(0, u64::from_be_bytes),
            // A parent that is not an id is no parent.
            (4, Field::Bytes(bytes)) => row.parent = bytes.try_into().map_or(0, u64::from_be_bytes),
            (5, Field::Bytes(bytes)) => row.name = reader.range(bytes),
            (6, Field::Varint(kind)) => row.kind = SpanKind::from_code(u8::try_from(kind).unwrap_or(0)),
            (7, Field::Fixed64(time)) => row.start = time,
            (8, Field::Fixed64(time)) => row.end = time,
            (15, Field::Bytes(bytes)) => row.status = status(body, reader.range(bytes))?,
            _ => {}
        }
    }
    Ok(if row.trace == 0 {
        Err(Reason::TraceId)
    } else if row.span == 0 {
        Err(Reason::SpanId)
    } else {
        Ok(row)
    })
}

fn status(body: &[u8], message: ByteRange) -> Result<StatusCode, WalkError> {
    let mut reader = Reader::within(body, message);
    let mut status = StatusCode::Unset;
    while let Some((number, field)) = reader.read()? {
        if let (3, Field::Varint(code)) = (number, field) {
            status = StatusCode::from_code(u8::try_from(code).unwrap_or(0));
        }
    }
    Ok(status)
}

/// `service.name` of a `Resource` message.
fn service_of(body: &[u8], resource: ByteRange) -> Result<Arc<str>, WalkError> {
    let mut reader = Reader::within(body, resource);
    while let Some((number, field)) = reader.read()? {
        let (1, Field::Bytes(attribute)) = (number, field) else { continue };
        let (mut name, mut value) = (&b""[..], &b""[..]);
        let mut pair = Reader::within(body, reader.range(attribute));
        while let Some((number, field)) = pair.read()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => name = bytes,
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if name == b"service.name" {
            let mut value = Reader::new(value);
            // Broken values were let through by the outer structure; such a service is unknown.
            while let Ok(Some((number, field))) = value.read() {
                if let (1, Field::Bytes(text)) = (number, field)
                    && !text.is_empty()
                {
                    return Ok(Arc::from(Text(text).cow()));
                }
            }
        }
    }
    Ok(Arc::from(UNKNOWN_SERVICE))
}
