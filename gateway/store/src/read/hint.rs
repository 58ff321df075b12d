//! What is known of wanted spans before any is read, and what attributes stored spans have: how a search passes over blocks, and
//! how lists for query editors come about without reading spans.

use std::collections::BTreeMap;

use parsers::record::{SpanKind, StatusCode};

/// Where a span's attribute is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AttributeScope {
    /// On what sent it.
    Resource = 1,
    /// On the span itself.
    Span = 2,
    /// On one of its events.
    Event = 3,
    /// On one of its links.
    Link = 4,
    /// On the library that made it.
    Instrumentation = 5,
}

/// A single value of an attribute; items of a list count one by one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeValue {
    /// Text.
    Str(String),
    /// Truth.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// The bits of a double.
    Double(u64),
}

/// A condition that every wanted span meets. A block for which it cannot hold is passed over.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SpanHint {
    /// Nothing is known.
    #[default]
    Anything,
    /// All of these hold.
    All(Vec<SpanHint>),
    /// One of these holds.
    OneOf(Vec<SpanHint>),
    /// There is an attribute of this key.
    Has(AttributeScope, String),
    /// There is an attribute of this key and value, where numbers are equal across their types.
    Equals(AttributeScope, String, AttributeValue),
    /// It has this name.
    Name(String),
    /// Its duration lies between these, both included, in nanoseconds.
    Duration(u64, u64),
    /// It has this status.
    Status(StatusCode),
    /// It is of this kind.
    Kind(SpanKind),
}

/// Values of one attribute, each with the number of spans that had it where they were counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeValues {
    /// The values.
    pub counts: BTreeMap<AttributeValue, u64>,
    /// Whether there were more than are kept.
    pub cut: bool,
}

/// Which attributes spans have, with values. Bounded: of an attribute with many values those that are frequent are
/// kept, and texts longer than 256 bytes are left out. Spans of traces that were sampled out count until they are swept away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanStatistics {
    /// By scope and key.
    pub attributes: BTreeMap<(AttributeScope, String), AttributeValues>,
}

impl SpanStatistics {
    /// The values of an attribute.
    pub fn values(&self, scope: AttributeScope, key: &str) -> Option<&AttributeValues> {
        self.attributes.get(&(scope, key.to_owned()))
    }
}
