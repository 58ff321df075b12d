//! Tolerant reading of an answer: a missing key reads as empty, a number may stand as a number or as a string.

use serde_json::Value;

/// The value under a key; null if there is none.
pub(crate) fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The text under a key; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    at(value, key).as_str().unwrap_or_default()
}

/// The list under a key; empty if there is none.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    at(value, key).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The first of these texts that says something.
pub(crate) fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

/// Nanoseconds under a key.
pub(crate) fn nanos(value: &Value, key: &str) -> Option<i128> {
    whole(at(value, key))
}

/// A whole number, written as one or as text.
pub(crate) fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        Value::Number(number) => number
            .as_u64()
            .map(i128::from)
            .or_else(|| number.as_i64().map(i128::from))
            .or_else(|| number.as_f64().map(|float| float as i128)),
        _ => None,
    }
}

/// A sample's value, written as a number or as text; `NaN` where it is neither.
pub(crate) fn float(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(digits) => digits.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// A count and what is counted: `1 span`, `2 spans`.
pub(crate) fn counted(count: i128, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Nanoseconds in the unit that fits them; digits beyond those shown are dropped.
pub(crate) fn duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let tenths = |unit: u128, name: &str| format!("{sign}{}.{}{name}", size / unit, size % unit * 10 / unit);
    let (seconds, minutes) = (size / 1_000_000_000, size / 60_000_000_000);
    match size {
        0..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => tenths(1_000, "µs"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => tenths(1_000_000_000, "s"),
        60_000_000_000..3_600_000_000_000 => format!("{sign}{minutes}m{:02}s", seconds % 60),
        _ => format!("{sign}{}h{:02}m", minutes / 60, minutes % 60),
    }
}
