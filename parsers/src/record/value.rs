//! Attribute values as OTLP has them.

/// An attribute list in the order of arrival.
pub type Attributes = Vec<(String, Value)>;

/// An OTLP `AnyValue`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// No case set: legal on the wire, and not the same as an empty string.
    #[default]
    Empty,
    /// UTF-8 text; invalid bytes were replaced by U+FFFD.
    Str(String),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double, possibly NaN or infinite.
    Double(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// A map, in order of arrival.
    Map(Attributes),
}

impl Value {
    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// The first value under this key.
pub fn attribute<'a>(attributes: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v)
}
