//! Log records by column: times as deltas, ids in binary, lines back to back. An id that the line spells out in lower-case
//! hex is kept once: the digits are cut from the line and put back on reading.

use std::ops::Range;
use std::sync::Arc;

use parsers::record::{ByteRange, LogBatch, LogRow, Severity, Spelling};

use super::{Damaged, Input, Output, decode_file, encode_file};

/// Whether and where the line spells an id of `N` digits: 0 no id, 1 id not in the line, position plus two otherwise.
fn place<const N: usize>(line: &[u8], bits: u128) -> u64 {
    if bits == 0 { 0 } else { find(line, &hex::<N>(bits)).map_or(1, |at| at as u64 + 2) }
}

/// Where digits stand first. Wherever that is, they cover one of each `N` bytes, and most of those bytes are no digits: quicker
/// than a searcher, which would have to be made for each line.
fn find<const N: usize>(line: &[u8], digits: &[u8; N]) -> Option<usize> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    for probe in (N - 1..line.len()).step_by(N) {
        let Some((last, before)) = line.get(probe + 1 - N..=probe).and_then(<[u8]>::split_last) else {
            continue;
        };
        if !is_digit(last) {
            continue;
        }
        let run = before.iter().rev().take_while(|byte| is_digit(byte)).count();
        let found = (probe - run..=probe).find(|at| line.get(*at..at + N).is_some_and(|here| here == digits));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether digits that [`place`] found have no letter or digit at once before or behind them.
fn is_word(line: &[u8], place: u64, length: usize) -> bool {
    let Some(at) = (place as usize).checked_sub(2) else { return false };
    let before = at.checked_sub(1).and_then(|before| line.get(before));
    ![before, line.get(at + length)].into_iter().flatten().any(u8::is_ascii_alphanumeric)
}

fn hex<const N: usize>(bits: u128) -> [u8; N] {
    let mut digits = [0u8; N];
    for (i, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef".get((bits >> (4 * i)) as usize & 15).copied().unwrap_or(b'0');
    }
    digits
}

/// Writes a batch of log records, and says where in the output the text of the lines lies. `cut` takes the ids out of the lines,
/// where they stand as a word of their own: worth its time in segments, not in the journal.
pub fn encode_logs(batch: &LogBatch, cut: bool, out: &mut Output) -> Range<usize> {
    let rows = &batch.rows;
    out.varint(rows.len() as u64);
    if rows.is_empty() {
        return 0..0;
    }
    out.varint(batch.streams.len() as u64);
    batch.streams.iter().for_each(|s| out.labels(s));
    out.varint(batch.rules.len() as u64);
    batch.rules.iter().for_each(|r| out.bytes(r.as_bytes()));
    out.varint(batch.files.len() as u64);
    batch.files.iter().for_each(|f| encode_file(*f, out));
    let mut last = 0;
    for r in rows {
        out.delta(last, r.time);
        last = r.time;
    }
    last = 0;
    for r in rows {
        out.delta(last, r.observed);
        last = r.observed;
    }
    rows.iter().for_each(|r| out.varint(u64::from(r.stream)));
    rows.iter().for_each(|r| out.varint(u64::from(r.file)));
    last = 0;
    for r in rows {
        out.delta(last, r.offset);
        last = r.offset.wrapping_add(r.line.len() as u64);
    }
    rows.iter().for_each(|r| out.varint(u64::from(r.rule)));
    rows.iter().for_each(|r| out.byte(r.severity as u8));
    rows.iter().for_each(|r| out.byte(r.spelling.code()));
    rows.iter().for_each(|r| out.varint(r.line.of(&batch.text).len() as u64));
    rows.iter().for_each(|r| out.varint(r.meta.of(&batch.meta).len() as u64));
    let start = if cut { encode_cut_lines(batch, out) } else { encode_lines(batch, out) };
    let end = out.as_bytes().len();
    rows.iter().for_each(|r| out.raw(r.meta.of(&batch.meta)));
    start..end
}

/// Ids, and lines as they are, which begin where it says.
fn encode_lines(batch: &LogBatch, out: &mut Output) -> usize {
    for r in &batch.rows {
        out.varint(u64::from(r.trace != 0));
        out.varint(u64::from(r.span != 0));
    }
    for r in &batch.rows {
        encode_ids(r, out);
    }
    let start = out.as_bytes().len();
    batch.rows.iter().for_each(|r| out.raw(batch.line(r)));
    start
}

fn encode_ids(r: &LogRow, out: &mut Output) {
    if r.trace != 0 {
        out.fixed128(r.trace);
    }
    if r.span != 0 {
        out.fixed64(r.span.swap_bytes());
    }
}

/// Ids and their places, and what else the lines say, which begins where it says.
fn encode_cut_lines(batch: &LogBatch, out: &mut Output) -> usize {
    let mut text = Vec::with_capacity(batch.text.len());
    let mut ids = Output::default();
    for r in &batch.rows {
        let line = batch.line(r);
        // What is looked for in the text alone must know what may be missing there: whole words.
        let of_words = |place: u64, length| if is_word(line, place, length) { place } else { place.min(1) };
        let trace = of_words(place::<32>(line, r.trace), 32);
        let mut span = of_words(place::<16>(line, u128::from(r.span)), 16);
        if trace > 1 && span > 1 && span < trace + 32 && trace < span + 16 {
            span = 1;
        }
        out.varint(trace);
        out.varint(span);
        encode_ids(r, &mut ids);
        let mut cuts = [(trace, 32), (span, 16)];
        cuts.sort_unstable();
        let mut from = 0;
        for (at, len) in cuts {
            if at > 1 {
                let at = at as usize - 2;
                text.extend_from_slice(line.get(from..at).unwrap_or_default());
                from = at + len;
            }
        }
        text.extend_from_slice(line.get(from..).unwrap_or_default());
    }
    out.raw(ids.as_bytes());
    let start = out.as_bytes().len();
    out.raw(&text);
    start
}

/// Reads [`encode_logs`] back. Ranges come out back to back, whatever they were.
pub fn decode_logs(input: &mut Input<'_>) -> Result<LogBatch, Damaged> {
    let count = input.count()?;
    let mut batch = LogBatch::default();
    if count == 0 {
        return Ok(batch);
    }
    for _ in 0..input.count()? {
        batch.streams.push(Arc::new(input.labels()?));
    }
    for _ in 0..input.count()? {
        batch.rules.push(Arc::from(input.text()?));
    }
    for _ in 0..input.count()? {
        batch.files.push(decode_file(input)?);
    }
    let mut rows = vec![LogRow::default(); count];
    let mut last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.time = last;
    }
    last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.observed = last;
    }
    for r in &mut rows {
        r.stream = input.varint32()?;
    }
    for r in &mut rows {
        r.file = input.varint32()?;
    }
    let mut offsets = *input;
    for _ in 0..count {
        input.varint()?;
    }
    for r in &mut rows {
        r.rule = input.varint()? as u16;
    }
    for r in &mut rows {
        r.severity = Severity::from_code(input.byte()?);
    }
    for r in &mut rows {
        r.spelling = Spelling::from_code(input.byte()?);
    }
    last = 0;
    let mut end = 0u32;
    for r in &mut rows {
        let len = input.varint32()?;
        r.line = ByteRange { start: end, end: end.checked_add(len).ok_or(Damaged)? };
        end = r.line.end;
        r.offset = offsets.delta(last)?;
        last = r.offset.wrapping_add(u64::from(len));
    }
    let text_len = end as usize;
    end = 0;
    for r in &mut rows {
        let len = input.varint32()?;
        r.meta = ByteRange { start: end, end: end.checked_add(len).ok_or(Damaged)? };
        end = r.meta.end;
    }
    let meta_len = end as usize;
    let mut cuts = Vec::with_capacity(count);
    let mut cut_bytes = 0usize;
    for _ in 0..count {
        let pair = (input.varint()?, input.varint()?);
        cut_bytes += if pair.0 > 1 { 32 } else { 0 } + if pair.1 > 1 { 16 } else { 0 };
        cuts.push(pair);
    }
    for (r, &(trace, span)) in rows.iter_mut().zip(&cuts) {
        if trace > 0 {
            r.trace = input.fixed128()?;
        }
        if span > 0 {
            r.span = input.fixed64()?.swap_bytes();
        }
    }
    let mut text = Input::new(input.raw(text_len.checked_sub(cut_bytes).ok_or(Damaged)?)?);
    batch.text.reserve_exact(text_len);
    for (r, &(trace, span)) in rows.iter().zip(&cuts) {
        put_back(r, trace, span, &mut text, &mut batch.text)?;
    }
    batch.meta = input.raw(meta_len)?.to_vec();
    batch.rows = rows;
    Ok(batch)
}

/// Restores one line: what was kept of it, with the digits in their places.
fn put_back(
    row: &LogRow,
    trace: u64,
    span: u64,
    text: &mut Input<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Damaged> {
    let start = out.len();
    let (trace_digits, span_digits) = (hex::<32>(row.trace), hex::<16>(u128::from(row.span)));
    let mut cuts: [(u64, &[u8]); 2] = [(trace, &trace_digits), (span, &span_digits)];
    cuts.sort_unstable_by_key(|c| c.0);
    for (at, digits) in cuts {
        if at > 1 {
            let before = (at as usize - 2).checked_sub(out.len() - start).ok_or(Damaged)?;
            out.extend_from_slice(text.raw(before)?);
            out.extend_from_slice(digits);
        }
    }
    let rest = row.line.len().checked_sub(out.len() - start).ok_or(Damaged)?;
    out.extend_from_slice(text.raw(rest)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_found_wherever_they_stand_and_where_they_stand_first() {
        let digits = hex::<16>(0x00f0_67aa_0ba9_02b7);
        for fill in [b'x', b'0', b'f', b' '] {
            for (before, after) in (0..70).flat_map(|before| [(before, 0), (before, 40)]) {
                let line = [&vec![fill; before][..], &digits, &vec![fill; after], &digits].concat();
                assert_eq!(find(&line, &digits), memchr::memmem::find(&line, &digits), "{before} of {fill}");
                let cut = line.get(..before + 15).unwrap_or_default();
                assert_eq!(find(cut, &digits), None);
            }
        }
        assert_eq!(find(b"", &digits), None);
    }
}
