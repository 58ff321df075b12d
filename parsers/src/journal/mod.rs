//! The journal's export format: fields with their values, text or binary, entry after entry, as they come in pieces of any size.
//!
//! <https://systemd.io/JOURNAL_EXPORT_FORMATS/> describes it. Reading the journal itself is not done here.

mod cursor;
mod decoder;
#[cfg(test)]
mod tests;

pub use cursor::Cursor;
pub use decoder::{Decoder, Limits};

use std::borrow::Cow;

/// Names of priorities, by their numbers, as journald's own and Promtail's rules have them.
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    fields: Vec<(String, Vec<u8>)>,
    /// Bytes of the message that are not kept.
    pub cut: u64,
}

impl Entry {
    /// All fields in their order, each with what was kept of its value. A name may come several times.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The same as text, with what is not UTF-8 replaced.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(String::from_utf8_lossy)
    }

    /// The message; empty if there is none.
    pub fn message(&self) -> &[u8] {
        self.get("MESSAGE").unwrap_or_default()
    }

    /// When journald took it: nanoseconds since the epoch.
    pub fn time(&self) -> Option<u64> {
        let micros: u64 = std::str::from_utf8(self.get("__REALTIME_TIMESTAMP")?).ok()?.parse().ok()?;
        micros.checked_mul(1000)
    }

    /// Its priority, 0-7, if it has one.
    pub fn priority(&self) -> Option<u8> {
        match self.get("PRIORITY")? {
            [digit @ b'0'..=b'7'] => Some(digit - b'0'),
            _ => None,
        }
    }

    /// The word for its priority.
    pub fn priority_keyword(&self) -> Option<&'static str> {
        PRIORITIES.get(usize::from(self.priority()?)).copied()
    }

    /// All fields as one JSON object of texts; of several values of one field the last.
    pub fn to_json(&self) -> String {
        let object: serde_json::Map<String, serde_json::Value> = self
            .fields()
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned().into()))
            .collect();
        serde_json::Value::Object(object).to_string()
    }

    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}
