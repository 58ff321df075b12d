//! Why records of a request were left out, counted, for answers in plain text.

use std::fmt;

/// Counts by reason, in the order in which the reasons came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reasons(Vec<Reason>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    text: &'static str,
    count: u64,
    /// The first of those that are named; empty if none is.
    first: String,
}

impl Reasons {
    /// Counts one.
    pub(crate) fn add(&mut self, reason: &'static str) {
        self.add_many(reason, 1);
    }

    /// Counts several.
    pub(crate) fn add_many(&mut self, reason: &'static str, count: u64) {
        self.add_naming(reason, count, String::new);
    }

    /// Counts several, of which the answer names the first of its reason.
    pub(crate) fn add_naming(&mut self, reason: &'static str, count: u64, first: impl FnOnce() -> String) {
        match self.0.iter_mut().find(|known| known.text == reason) {
            Some(known) => known.count += count,
            None if count > 0 => self.0.push(Reason { text: reason, count, first: first() }),
            None => {}
        }
    }

    /// All together.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|reason| reason.count).sum()
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Reason { text, count, first }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{count}: {text}")?;
            if !first.is_empty() {
                write!(f, " ({first})")?;
            }
        }
        Ok(())
    }
}
