//! Operations and facts by number, so that ten thousand traces fit a few megabytes.
//!
//! A fact is what may go with slowness: an operation with a value of an attribute, with a pattern of its log lines, with a place
//! in the code. What there is too much of is left out and counted.

use rustc_hash::{FxHashMap, FxHashSet};

use super::options::{
    DEFAULT_OPERATION_LIMIT, DEFAULT_VALUE_BYTES, DEFAULT_VALUE_LIMIT, MAX_FACTS, MAX_VALUE, OTHER,
};

/// What a service does, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// `service.name`.
    pub service: String,
    /// Name of the span.
    pub operation: String,
}

/// Whose attribute it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeScope {
    /// The span's own.
    Span,
    /// Of who sent it.
    Resource,
}

impl AttributeScope {
    /// As TraceQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Resource => "resource",
        }
    }
}

/// Something that holds in a trace, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// A span of the operation has this value.
    Attribute { operation: u32, key: u32, value: u32 },
    /// A line inside a span of the operation has this pattern; a number of the miner's.
    Pattern { operation: u32, pattern: u32 },
    /// A span of the operation, or a line inside, names this place in the code.
    Code { operation: u32, place: u32, from_line: bool },
}

impl Fact {
    pub(crate) fn operation(self) -> u32 {
        match self {
            Self::Attribute { operation, .. }
            | Self::Pattern { operation, .. }
            | Self::Code { operation, .. } => operation,
        }
    }

    /// Whether it is known only of traces whose lines were read.
    pub(crate) fn of_lines(self) -> bool {
        matches!(self, Self::Pattern { .. } | Self::Code { from_line: true, .. })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    operations: Vec<Operation>,
    by_name: FxHashMap<String, FxHashMap<String, u32>>,
    keys: Vec<(AttributeScope, String)>,
    by_key: [FxHashMap<String, u32>; 2],
    values: Vec<Box<str>>,
    by_value: FxHashMap<Box<str>, u32>,
    value_bytes: usize,
    facts: Vec<Fact>,
    by_fact: FxHashMap<Fact, u32>,
    /// Facts that lines without an id told, too.
    of_offers: FxHashSet<u32>,
    /// Different values by operation and key.
    distinct: FxHashMap<(u32, u32), usize>,
    /// Keys of which values were left out.
    crowded: FxHashSet<u32>,
}

impl Vocabulary {
    /// Number of an operation.
    pub(crate) fn operation(&mut self, service: &str, name: &str) -> u32 {
        if let Some(number) = self.known(service, name) {
            return number;
        }
        if self.operations.len() >= DEFAULT_OPERATION_LIMIT && (service, name) != (OTHER, OTHER) {
            return self.operation(OTHER, OTHER);
        }
        let number = self.operations.len() as u32;
        self.operations.push(Operation { service: service.to_owned(), operation: name.to_owned() });
        self.by_name.entry(service.to_owned()).or_default().insert(name.to_owned(), number);
        number
    }

    /// Notes that a fact is told by a line that does not name its trace.
    pub(crate) fn is_of_offer(&mut self, fact: u32) {
        self.of_offers.insert(fact);
    }

    /// Whether a fact is known only of traces for which lines without an id were looked for.
    pub(crate) fn takes_offers(&self, fact: u32) -> bool {
        self.of_offers.contains(&fact)
    }

    /// Number of an operation that was met.
    pub(crate) fn known(&self, service: &str, name: &str) -> Option<u32> {
        self.by_name.get(service)?.get(name).copied()
    }

    /// As [`Vocabulary::known`]; what came when there were too many is one that was met, too.
    pub(crate) fn known_or_other(&self, service: &str, name: &str) -> Option<u32> {
        self.known(service, name).or_else(|| self.known(OTHER, OTHER))
    }

    /// Whose operation it is.
    pub(crate) fn service(&self, operation: u32) -> &str {
        self.operations.get(operation as usize).map_or(OTHER, |operation| &operation.service)
    }

    pub(crate) fn named(&self, operation: u32) -> Operation {
        let other = || Operation { service: OTHER.to_owned(), operation: OTHER.to_owned() };
        self.operations.get(operation as usize).cloned().unwrap_or_else(other)
    }

    pub(crate) fn operations(&self) -> usize {
        self.operations.len()
    }

    pub(crate) fn key(&mut self, scope: AttributeScope, name: &str) -> u32 {
        let place = match scope {
            AttributeScope::Span => &mut self.by_key[0],
            AttributeScope::Resource => &mut self.by_key[1],
        };
        if let Some(number) = place.get(name) {
            return *number;
        }
        let number = self.keys.len() as u32;
        self.keys.push((scope, name.to_owned()));
        place.insert(name.to_owned(), number);
        number
    }

    /// Number of a value; `None` if there are too many.
    pub(crate) fn value(&mut self, text: &str) -> Option<u32> {
        let text = text.get(..text.floor_char_boundary(MAX_VALUE)).unwrap_or(text);
        if let Some(number) = self.by_value.get(text) {
            return Some(*number);
        }
        if self.value_bytes + text.len() > DEFAULT_VALUE_BYTES {
            return None;
        }
        self.value_bytes += text.len();
        let number = self.values.len() as u32;
        self.values.push(text.into());
        self.by_value.insert(text.into(), number);
        Some(number)
    }

    /// Number of a value that was met.
    fn known_value(&self, text: &str) -> Option<u32> {
        let text = text.get(..text.floor_char_boundary(MAX_VALUE)).unwrap_or(text);
        self.by_value.get(text).copied()
    }

    /// Number of a fact; `None` if there are too many.
    pub(crate) fn fact(&mut self, fact: Fact) -> Option<u32> {
        if let Some(number) = self.by_fact.get(&fact) {
            return Some(*number);
        }
        if self.facts.len() >= MAX_FACTS {
            return None;
        }
        if let Fact::Attribute { operation, key, .. } = fact {
            let distinct = self.distinct.entry((operation, key)).or_default();
            if *distinct >= DEFAULT_VALUE_LIMIT {
                self.crowded.insert(key);
                return None;
            }
            *distinct += 1;
        }
        let number = self.facts.len() as u32;
        self.facts.push(fact);
        self.by_fact.insert(fact, number);
        Some(number)
    }

    /// The fact that an operation has an attribute of this value.
    pub(crate) fn attribute(&mut self, operation: u32, key: u32, value: &str) -> Option<u32> {
        let full = self.distinct.get(&(operation, key)).is_some_and(|count| *count >= DEFAULT_VALUE_LIMIT);
        let value = if full { self.known_value(value) } else { self.value(value) };
        let Some(value) = value else {
            // Of one that has too many values no more are kept.
            if full {
                self.crowded.insert(key);
            }
            return None;
        };
        self.fact(Fact::Attribute { operation, key, value })
    }

    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    pub(crate) fn key_name(&self, key: u32) -> (AttributeScope, &str) {
        self.keys.get(key as usize).map_or((AttributeScope::Span, ""), |(scope, name)| (*scope, name))
    }

    pub(crate) fn text(&self, value: u32) -> &str {
        self.values.get(value as usize).map_or("", |text| text)
    }

    /// Names of attributes with more values than are counted.
    pub(crate) fn crowded(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.crowded.iter().map(|key| self.key_name(*key).1).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
