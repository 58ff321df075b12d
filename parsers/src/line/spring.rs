//! Spring Boot, Micrometer and Sleuth: ids told by their place in brackets. `[app,<trace>,<span>]`, Sleuth's
//! `[app,<trace>,<span>,true]`, `[<trace>-<span>]`, `[<trace>,<span>]`.

use crate::record::normalise::{Context, KeyClass, keyed};

use super::{Fact, Form, Hit, Rank, hex_run};

/// Bytes that an application's name may have.
const LONGEST_NAME: usize = 64;

/// Whether the run of hex digits from `start` to `end` is the trace id of such brackets.
pub(super) fn at(line: &[u8], start: usize, end: usize, take: &mut impl FnMut(Hit)) -> bool {
    if !matches!(end - start, 16 | 32) {
        return false;
    }
    let (Some(&before), Some(&separator)) = (line.get(start.wrapping_sub(1)), line.get(end)) else {
        return false;
    };
    let mut span = end + 1;
    if separator == b',' && line.get(span) == Some(&b' ') {
        span += 1;
    }
    let span_end = span + hex_run::len(line, span);
    let closed = match (separator, line.get(span_end)) {
        (b',' | b'-', Some(b']')) => true,
        (b',', Some(b',')) => {
            let rest = line.get(span_end + 1..).unwrap_or_default();
            [&b"true]"[..], b"false]", b"]"].iter().any(|end| rest.starts_with(end))
        }
        _ => false,
    };
    if !closed || span_end - span != 16 {
        return false;
    }
    let app = match before {
        b'[' => None,
        b',' | b' ' if separator == b',' => match name(line, start - 1) {
            Some(name) => Some(name),
            None => return false,
        },
        _ => return false,
    };
    let ids = [(start, end, KeyClass::Trace), (span, span_end, KeyClass::Span)]
        .map(|(start, end, class)| keyed(class, line.get(start..end).unwrap_or_default()));
    let [Ok(Context { trace: trace @ Some(_), .. }), span_id] = ids else { return false };
    let context = Context { trace, span: span_id.ok().and_then(|c| c.span), sampled: None };
    let hit = Hit {
        form: Form::Spring,
        rank: Rank::Layout,
        fact: Fact::Id(Ok(context)),
        start,
        end: span_end,
        of_span: false,
    };
    take(hit);
    if let Some((start, end)) = app.filter(|(start, end)| start < end) {
        take(Hit { fact: Fact::Service, start, end, ..hit });
    }
    true
}

/// The application's name between `[` and the comma at or before `comma`.
fn name(line: &[u8], comma: usize) -> Option<(usize, usize)> {
    let end = if line.get(comma) == Some(&b' ') { comma.checked_sub(1)? } else { comma };
    if line.get(end) != Some(&b',') {
        return None;
    }
    let before = line.get(..end)?;
    let len = before
        .iter()
        .rev()
        .take(LONGEST_NAME)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' ' | b'/' | b':'))
        .count();
    let start = end - len;
    (line.get(start.wrapping_sub(1)) == Some(&b'[')).then_some((start, end))
}
