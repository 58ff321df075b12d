//! Attribute values as JSON and as text.

use std::borrow::Cow;
use std::fmt::Write as _;

use parsers::record::Value;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

/// Integers beyond this lose digits in JavaScript.
pub(crate) const EXACT: u64 = 1 << 53;

/// 64-bit integers become strings only where a JSON number would lose digits for many readers; bytes become hex.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Str(text) => text.as_str().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) if number.unsigned_abs() > EXACT => number.to_string().into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => double(*number),
        Value::Bytes(bytes) => hex(bytes).into(),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Map(map) => {
            let pairs = map.iter().map(|(key, value)| (key.clone(), json(value)));
            Json::Object(pairs.collect())
        }
    }
}

/// Written as [`json`] has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a>(pub(crate) &'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Str(text) => serializer.serialize_str(text),
            other => json(other).serialize(serializer),
        }
    }
}

/// JSON has no NaN and no infinities: those are strings.
pub(crate) fn double(number: f64) -> Json {
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

/// As people would write it; lists and maps as JSON.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Empty => Cow::Borrowed(""),
        Value::Str(text) => Cow::Borrowed(text),
        Value::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(number.to_string()),
        Value::Bytes(bytes) => Cow::Owned(hex(bytes)),
        Value::Array(_) | Value::Map(_) => Cow::Owned(json(value).to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
