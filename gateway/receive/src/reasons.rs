//! Why records of a request were left out, counted, for answers in plain text.

use std::fmt;

/// Counts by reason, in the order in which the reasons came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reasons(Vec<(&'static str, u64)>);

impl Reasons {
    /// Counts one.
    pub(crate) fn add(&mut self, reason: &'static str) {
        self.add_many(reason, 1);
    }

    /// Counts several.
    pub(crate) fn add_many(&mut self, reason: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, counted)) => *counted += count,
            None if count > 0 => self.0.push((reason, count)),
            None => {}
        }
    }

    /// All together.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (reason, count)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{count}: {reason}")?;
        }
        Ok(())
    }
}
