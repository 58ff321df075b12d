//! One id, however it is spelt: what stands under a key that names an id, to bits.
//!
//! Which key stands where in a line is the business of [`crate::line`]; here the key is known, and only the value is read.
//! Ids are padded on the left, never on the right, and nothing is guessed: what is not an id in a known spelling is an
//! [`IdError`].

mod headers;
#[cfg(test)]
mod tests;

use super::{IdError, SpanId, Spelling, SpellingKind, TraceId};

/// What a key promises about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyClass {
    /// A trace id in any spelling: `trace_id`, `traceID`, `trace.id`, ...
    Trace,
    /// A span id: `span_id`, `span.id`, ...
    Span,
    /// `dd.trace_id`: decimal digits, or 32 hex digits where 128 bits are switched on.
    DatadogTrace,
    /// `dd.span_id`: decimal digits, or 16 hex digits.
    DatadogSpan,
    /// W3C `traceparent`.
    Traceparent,
    /// B3 in one header: `<trace>-<span>-<sampled>-<parent>`.
    B3,
    /// Jaeger's `uber-trace-id`: `<trace>:<span>:<parent>:<flags>`, its colons perhaps URL-encoded.
    Uber,
    /// AWS X-Ray: `1-<8>-<24>`, or the header `Root=...;Parent=...;Sampled=...`.
    XRay,
    /// Google's `projects/<project>/traces/<32>`, or the header `<32>/<decimal span>;o=<sampled>`.
    Google,
}

/// What a value says about the request that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// The trace.
    pub trace: Option<TraceId>,
    /// The span.
    pub span: Option<SpanId>,
    /// Whether the caller sampled the trace.
    pub sampled: Option<bool>,
}

impl Context {
    fn of_trace(trace: TraceId) -> Self {
        Self { trace: Some(trace), ..Self::default() }
    }

    fn of_span(span: SpanId) -> Self {
        Self { span: Some(span), ..Self::default() }
    }
}

/// Reads the value of a key of this class. An `Ok` names a trace, a span or both.
pub fn keyed(class: KeyClass, value: &[u8]) -> Result<Context, IdError> {
    if is_placeholder(value) {
        return Err(IdError::Absent);
    }
    match class {
        KeyClass::Trace => trace_in_any_spelling(value),
        KeyClass::Span => SpanId::from_hex(value).map(Context::of_span),
        KeyClass::DatadogTrace => datadog_trace(value).map(Context::of_trace),
        KeyClass::DatadogSpan => datadog_span(value).map(Context::of_span),
        KeyClass::Traceparent => headers::traceparent(value),
        KeyClass::B3 => headers::b3(value),
        KeyClass::Uber => headers::uber(value),
        KeyClass::XRay => headers::xray(value),
        KeyClass::Google => headers::google(value),
    }
}

impl TraceId {
    /// From what a person or a link gives: any spelling, with spaces or quotes around it.
    ///
    /// 17 to 20 decimal digits are Datadog's decimal (a hex id that is written so has twelve or more of its leading zeros
    /// stripped and no letter left, which does not happen by chance); fewer digits are hex.
    pub fn from_spelling(text: &[u8]) -> Result<Self, IdError> {
        let text = text.trim_ascii();
        let text = text
            .strip_prefix(b"\"")
            .and_then(|t| t.strip_suffix(b"\""))
            .or_else(|| text.strip_prefix(b"'").and_then(|t| t.strip_suffix(b"'")))
            .unwrap_or(text);
        keyed(KeyClass::Trace, text)?.trace.ok_or(IdError::Absent)
    }
}

/// Words that loggers print for "no id".
fn is_placeholder(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] = [b"null", b"none", b"nil", b"<nil>", b"undefined", b"n/a", b"(null)"];
    match value {
        [] | b"-" | b"0" => true,
        [b'0'..=b'9', ..] => false,
        _ => value.len() <= 9 && WORDS.iter().any(|word| value.eq_ignore_ascii_case(word)),
    }
}

fn trace_in_any_spelling(value: &[u8]) -> Result<Context, IdError> {
    if (17..=20).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) {
        return decimal_trace(value).map(Context::of_trace);
    }
    match TraceId::from_hex(value) {
        Ok(id) => return Ok(Context::of_trace(id)),
        Err(IdError::Absent) => return Err(IdError::Absent),
        Err(_) => {}
    }
    if let Some(id) = uuid(value) {
        return id.map(Context::of_trace);
    }
    // Each of these is told by a shape of its own; what none of them takes is not an id.
    let mut error =
        if value.iter().all(u8::is_ascii_hexdigit) { IdError::TooLong } else { IdError::Malformed };
    for read in [headers::xray, headers::traceparent, headers::b3, headers::uber, headers::google] {
        match read(value) {
            Ok(context) if context.trace.is_some() => return Ok(context),
            Err(IdError::Absent) => error = IdError::Absent,
            _ => {}
        }
    }
    Err(error)
}

/// `8-4-4-4-12`.
fn uuid(value: &[u8]) -> Option<Result<TraceId, IdError>> {
    if value.len() != 36 {
        return None;
    }
    let mut digits = [0u8; 32];
    let mut filled = digits.iter_mut();
    for (at, &byte) in value.iter().enumerate() {
        match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, digit) => *filled.next()? = digit,
        }
    }
    Some(respelt(&digits, SpellingKind::Uuid))
}

/// The id of these hex digits, remembered as another spelling of it.
fn respelt(digits: &[u8], kind: SpellingKind) -> Result<TraceId, IdError> {
    let bits = TraceId::from_hex(digits)?.bits();
    TraceId::new(bits, Spelling::new(kind)).ok_or(IdError::Absent)
}

fn datadog_trace(value: &[u8]) -> Result<TraceId, IdError> {
    if value.len() <= 20 && value.iter().all(u8::is_ascii_digit) {
        decimal_trace(value)
    } else if value.len() == 32 || value.len() == 16 {
        TraceId::from_hex(value)
    } else {
        Err(if value.len() > 32 { IdError::TooLong } else { IdError::Malformed })
    }
}

fn datadog_span(value: &[u8]) -> Result<SpanId, IdError> {
    if value.len() <= 20 && value.iter().all(u8::is_ascii_digit) {
        SpanId::new(decimal(value)?).ok_or(IdError::Absent)
    } else if value.len() == 16 {
        SpanId::from_hex(value)
    } else {
        Err(IdError::Malformed)
    }
}

fn decimal_trace(value: &[u8]) -> Result<TraceId, IdError> {
    TraceId::new(u128::from(decimal(value)?), Spelling::new(SpellingKind::Decimal)).ok_or(IdError::Absent)
}

fn decimal(value: &[u8]) -> Result<u64, IdError> {
    let mut n = 0u64;
    for &digit in value {
        if !digit.is_ascii_digit() {
            return Err(IdError::Malformed);
        }
        n = n
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .ok_or(IdError::Overflow)?;
    }
    Ok(n)
}
