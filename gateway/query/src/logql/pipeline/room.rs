//! The labels that stages set and take away, in room that is used again for the next record.

use std::fmt::Display;
use std::ops::Range;

/// Why a label's value is what it is; the surfaces show the three apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum Kind {
    Stream,
    Structured,
    Parsed,
}

/// Where a name and its value lie in the room.
#[derive(Debug, Clone)]
struct Slot {
    name: Range<usize>,
    value: Range<usize>,
    kind: Kind,
}

/// Labels that were set and taken away by stages, and what went wrong.
#[derive(Debug, Default)]
pub(in crate::logql) struct Room {
    text: String,
    slots: Vec<Slot>,
    removed: Vec<Range<usize>>,
    pub(super) error: Option<&'static str>,
    pub(super) details: String,
}

impl Room {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.slots.clear();
        self.removed.clear();
        self.error = None;
        self.details.clear();
    }

    fn part(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| self.part(&slot.name) == name)
    }

    /// A label that was set.
    pub(super) fn get(&self, name: &str) -> Option<(&str, Kind)> {
        let slot = self.slots.iter().find(|slot| self.part(&slot.name) == name)?;
        Some((self.part(&slot.value), slot.kind))
    }

    /// Whether a label that the record came with is gone: taken away, or another set in its place.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.removed.iter().any(|removed| self.part(removed) == name) || self.position(name).is_some()
    }

    /// Whether nothing was set or taken away.
    pub(super) fn is_untouched(&self) -> bool {
        self.slots.is_empty() && self.removed.is_empty()
    }

    /// Labels that were set.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Kind, &str, &str)> {
        self.slots.iter().map(|slot| (slot.kind, self.part(&slot.name), self.part(&slot.value)))
    }

    /// Names that were taken away.
    pub(super) fn removed(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(|name| self.part(name))
    }

    /// Sets a label, in place of an earlier one of that name.
    pub(super) fn set(&mut self, kind: Kind, name: &str, value: &str) {
        self.set_with(kind, name, |out| out.push_str(value));
    }

    /// As `set`, with a value that `write` appends; whether there was none of that name.
    pub(super) fn set_with(&mut self, kind: Kind, name: &str, write: impl FnOnce(&mut String)) -> bool {
        let start = self.text.len();
        write(&mut self.text);
        let value = start..self.text.len();
        match self.position(name).and_then(|at| self.slots.get_mut(at)) {
            Some(slot) => {
                (slot.kind, slot.value) = (kind, value);
                false
            }
            None => {
                let name = self.keep(name);
                self.slots.push(Slot { name, value, kind });
                true
            }
        }
    }

    /// Takes a label away, whether it was set or the record came with it.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(at) = self.position(name) {
            self.slots.remove(at);
        }
        let name = self.keep(name);
        self.removed.push(name);
    }

    /// Notes what went wrong; the first error stays.
    pub(super) fn fail(&mut self, error: &'static str, details: impl Display) {
        if self.error.is_none() {
            self.error = Some(error);
            self.details = details.to_string();
        }
    }
}
