//! A line on its way through a pipeline, with all that stages may read and change.

use crate::container::{Carried, ContainerLine, Stream};

/// Bytes that a value made by a stage may have. Values grow in templates and replacements; this stops one that doubles
/// itself in each stage.
pub const MAX_VALUE: usize = 1 << 20;

/// Names and values in order of arrival, each name once. Few enough that looking through them is quickest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets a value, in place of an earlier one of that name. Longer values than [`MAX_VALUE`] keep their head.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let mut value = value.into();
        cut(&mut value, MAX_VALUE);
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// Keeps the pairs of which this is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Name and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            fields.set(&name.into(), value);
        }
        fields
    }
}

/// A line on its way through a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// When it happened: nanoseconds since the epoch.
    pub time: u64,
    /// The text.
    pub line: String,
    /// Stream labels.
    pub labels: Fields,
    /// Structured metadata.
    pub metadata: Fields,
    /// What stages found, for later stages, and the labels that the line came with; gone at the end of the pipeline.
    pub extracted: Fields,
    /// The tenant that a stage chose.
    pub tenant: Option<String>,
    /// Offset in its file of the line; of a record that stages joined, of the line that completed it, so that records
    /// leave the pipeline in growing order of it.
    pub offset: u64,
    /// Where the line begins, if not at its offset: a record that the container's runtime split.
    pub began: Option<Carried>,
    /// Bytes cut from the line so far.
    pub truncated: u64,
}

impl Entry {
    /// A line with nothing but its time and text. Bytes that are not UTF-8 are replaced.
    pub fn new(time: u64, line: &[u8]) -> Self {
        Self { time, line: String::from_utf8_lossy(line).into_owned(), ..Self::default() }
    }
}

impl Entry {
    /// Labels are extracted values, too, when a list of stages begins.
    pub(super) fn extract_labels(&mut self) {
        for (name, value) in self.labels.iter() {
            self.extracted.set(name, value);
        }
    }
}

impl Entry {
    /// As the derived fields' rules take a line.
    pub fn as_line(&self) -> ContainerLine<'_> {
        ContainerLine {
            time: Some(self.time),
            stream: Stream::Unknown,
            text: self.line.as_bytes(),
            offset: self.offset,
            began: Carried::here(self.offset),
            truncated: self.truncated,
            problem: None,
        }
    }
}

/// Shortens a text to at most this many bytes, at a character's boundary. Gives how many bytes were cut.
pub(super) fn cut(text: &mut String, limit: usize) -> usize {
    let before = text.len();
    if before > limit {
        text.truncate(text.floor_char_boundary(limit));
    }
    before - text.len()
}
