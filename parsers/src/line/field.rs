//! What a field is for by its name alone, for protocols whose names and values come apart.

use super::Rank;
use super::key::{Key, Name};
use crate::record::normalise::KeyClass;

/// What a field of this name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// An id, or a header with ids: `trace_id`, `traceID`, `dd.span_id`, `traceparent`, ...
    Id(KeyClass),
    /// A level: `level`, `severity`, ...
    Level,
}

/// By the same names as in lines, in any of their spellings. Names that other things have too (`tid`, `trace`) mean nothing.
pub fn meaning(name: &str) -> Option<Meaning> {
    let read = Name::read(name.as_bytes(), name.len()).filter(|read| read.start == 0)?;
    match read.key()? {
        Key::Id { rank: Rank::Weak, .. } => None,
        Key::Id { class, .. } => Some(Meaning::Id(class)),
        Key::Level => Some(Meaning::Level),
        _ => None,
    }
}
