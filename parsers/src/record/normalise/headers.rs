//! The spellings that carry a whole context: W3C traceparent, B3, Jaeger, AWS X-Ray, Google Cloud.

use super::super::{IdError, SpanId, SpellingKind, TraceId};
use super::{Context, decimal, respelt};

/// A span id where one may be missing or zero.
fn span_or_none(value: &[u8]) -> Result<Option<SpanId>, IdError> {
    match SpanId::from_hex(value) {
        Ok(span) => Ok(Some(span)),
        Err(IdError::Absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `<2>-<32>-<16>-<2>`, W3C Trace Context; a version above 00 may have more behind it.
pub(super) fn traceparent(value: &[u8]) -> Result<Context, IdError> {
    if value.len() < 55 {
        return Err(IdError::Malformed);
    }
    let field = |from: usize, to: usize| value.get(from..to).ok_or(IdError::Malformed);
    let (version, flags) = (field(0, 2)?, field(53, 55)?);
    let dashes = [2, 35, 52].iter().all(|&at| value.get(at) == Some(&b'-'));
    let end = match value.get(55) {
        None => true,
        Some(b'-') => version != b"00",
        Some(_) => false,
    };
    let hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    if !dashes || !end || !hex(version) || !hex(flags) || version.eq_ignore_ascii_case(b"ff") {
        return Err(IdError::Malformed);
    }
    let trace = TraceId::from_hex(field(3, 35)?)?;
    let span = span_or_none(field(36, 52)?)?;
    let low = flags.last().and_then(|&digit| (digit as char).to_digit(16)).unwrap_or(0);
    Ok(Context { trace: Some(trace), span, sampled: Some(low & 1 == 1) })
}

/// `<16 or 32>-<16>[-<0, 1 or d>[-<16>]]`.
pub(super) fn b3(value: &[u8]) -> Result<Context, IdError> {
    let mut parts = value.split(|&b| b == b'-');
    let (trace, span) = (parts.next().unwrap_or_default(), parts.next());
    let (sampled, parent) = (parts.next(), parts.next());
    // A sampling decision alone is a legal header that names no trace.
    let Some(span) = span else {
        return Err(if matches!(trace, b"0" | b"1" | b"d") { IdError::Absent } else { IdError::Malformed });
    };
    let sampled = match sampled {
        None => None,
        Some(b"1" | b"d" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) => return Err(IdError::Malformed),
    };
    let widths = matches!(trace.len(), 16 | 32) && span.len() == 16 && parent.is_none_or(|p| p.len() == 16);
    if !widths || parts.next().is_some() {
        return Err(IdError::Malformed);
    }
    Ok(Context { trace: Some(TraceId::from_hex(trace)?), span: span_or_none(span)?, sampled })
}

/// What stands before the next colon, plain or URL-encoded, and what stands behind it.
fn before_colon(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    for (at, &byte) in value.iter().enumerate() {
        let (head, tail) = value.split_at(at);
        match (byte, tail) {
            (b':', [_, rest @ ..]) | (b'%', [_, b'3', b'A' | b'a', rest @ ..]) => return (head, Some(rest)),
            _ => {}
        }
    }
    (value, None)
}

/// `<trace>:<span>:<parent>:<flags>`, hex without padding.
pub(super) fn uber(value: &[u8]) -> Result<Context, IdError> {
    let (trace, rest) = before_colon(value);
    let (span, rest) = before_colon(rest.ok_or(IdError::Malformed)?);
    let (parent, rest) = before_colon(rest.ok_or(IdError::Malformed)?);
    let (flags, rest) = before_colon(rest.ok_or(IdError::Malformed)?);
    let hex = |text: &[u8], most: usize| text.len() <= most && text.iter().all(u8::is_ascii_hexdigit);
    if rest.is_some() || flags.is_empty() || !hex(parent, 16) || !hex(flags, 2) {
        return Err(IdError::Malformed);
    }
    let trace = TraceId::from_hex(trace)?;
    let span = span_or_none(span)?;
    let low = flags.last().and_then(|&digit| (digit as char).to_digit(16)).unwrap_or(0);
    Ok(Context { trace: Some(trace), span, sampled: Some(low & 1 == 1) })
}

/// `1-<8>-<24>`, perhaps `@<16>` behind it; or `Root=...;Parent=...;Sampled=...` in any order.
pub(super) fn xray(value: &[u8]) -> Result<Context, IdError> {
    if !value.contains(&b'=') {
        let mut parts = value.splitn(2, |&b| b == b'@');
        let trace = xray_id(parts.next().unwrap_or_default())?;
        let span = parts.next().map(span_or_none).transpose()?.flatten();
        return Ok(Context { trace: Some(trace), span, sampled: None });
    }
    let mut context = Context::default();
    for part in value.split(|&b| b == b';') {
        let mut halves = part.trim_ascii().splitn(2, |&b| b == b'=');
        let (key, text) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        if key.eq_ignore_ascii_case(b"root") {
            context.trace = Some(xray_id(text)?);
        } else if key.eq_ignore_ascii_case(b"parent") {
            context.span = span_or_none(text)?;
        } else if key.eq_ignore_ascii_case(b"sampled") {
            context.sampled = match text {
                b"1" => Some(true),
                b"0" => Some(false),
                _ => None,
            };
        }
    }
    if context.trace.is_some() { Ok(context) } else { Err(IdError::Malformed) }
}

fn xray_id(value: &[u8]) -> Result<TraceId, IdError> {
    let (time, unique) = match value.strip_prefix(b"1-").map(|rest| rest.split_at_checked(8)) {
        Some(Some((time, [b'-', unique @ ..]))) if unique.len() == 24 => (time, unique),
        _ => return Err(IdError::Malformed),
    };
    let mut digits = [0u8; 32];
    for (to, &from) in digits.iter_mut().zip(time.iter().chain(unique)) {
        *to = from;
    }
    respelt(&digits, SpellingKind::XRay)
}

/// `projects/<project>/traces/<32>`, or `<32>[/<decimal span>][;o=<0 or 1>]`.
pub(super) fn google(value: &[u8]) -> Result<Context, IdError> {
    if value.starts_with(b"projects/") {
        let at = memchr::memmem::rfind(value, b"/traces/").ok_or(IdError::Malformed)?;
        let id = value.get(at + b"/traces/".len()..).unwrap_or_default();
        return Ok(Context { trace: Some(exactly_32(id)?), ..Context::default() });
    }
    let mut halves = value.splitn(2, |&b| b == b';');
    let (ids, options) = (halves.next().unwrap_or_default(), halves.next());
    let mut ids = ids.splitn(2, |&b| b == b'/');
    let trace = exactly_32(ids.next().unwrap_or_default())?;
    let span = match ids.next() {
        None | Some(b"") => None,
        // The header's span is decimal; libraries have written hex with letters too.
        Some(text) if text.iter().all(u8::is_ascii_digit) => SpanId::new(decimal(text)?),
        Some(text) => span_or_none(text)?,
    };
    let sampled = match options {
        Some(b"o=1") => Some(true),
        Some(b"o=0") => Some(false),
        _ => None,
    };
    Ok(Context { trace: Some(trace), span, sampled })
}

fn exactly_32(digits: &[u8]) -> Result<TraceId, IdError> {
    if digits.len() == 32 { TraceId::from_hex(digits) } else { Err(IdError::Malformed) }
}
