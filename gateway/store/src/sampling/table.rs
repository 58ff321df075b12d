//! What is held of traces whose records may lie in files that are not swept yet: those not decided, and those decided.
//!
//! Times are nanoseconds that the caller gives; nothing here looks at a clock.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::summary::Summary;

/// A trace that spans keep coming for is decided after so many waits, so that it holds nothing up for ever.
const MAX_WAITS: u64 = 10;
/// Due traces are looked for in steps of this part of a wait.
const STEPS: u64 = 16;

/// A trace that is not decided.
#[derive(Debug, Clone, Copy)]
pub struct Undecided {
    /// What its spans say.
    pub summary: Summary,
    first_arrival: u64,
    last_arrival: u64,
    first_journal: u64,
    last_journal: u64,
}

/// A trace that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The name of the rule that dropped it; `None` if it stays.
    pub dropped_by: Option<u16>,
    /// Newest journal with a record of it.
    last_journal: u64,
}

/// Both, by the low 64 bits of the id.
#[derive(Debug)]
pub struct Table {
    undecided: FxHashMap<u64, Undecided>,
    decided: FxHashMap<u64, Decided>,
    /// Ids by the step in which they are to be looked at.
    due: BTreeMap<u64, Vec<u64>>,
    /// How many undecided traces began in each journal.
    begun: BTreeMap<u64, usize>,
    wait: u64,
    step: u64,
}

impl Table {
    /// Empty; traces are decided after `wait` nanoseconds.
    pub fn new(wait: u64) -> Self {
        Self {
            undecided: FxHashMap::default(),
            decided: FxHashMap::default(),
            due: BTreeMap::new(),
            begun: BTreeMap::new(),
            wait,
            step: (wait / STEPS).max(1),
        }
    }

    /// How many traces are not decided.
    pub fn undecided(&self) -> usize {
        self.undecided.len()
    }

    /// How many are decided and may lie in files that are not swept.
    pub fn decided(&self) -> usize {
        self.decided.len()
    }

    /// Notes records of a trace that lie in these journals, first and last. `fate` is asked of a trace that is new here, for the
    /// rule that dropped it earlier; the answer is given on if there is one.
    pub fn note(
        &mut self,
        low64: u64,
        summary: Summary,
        journals: (u64, u64),
        now: u64,
        fate: impl FnOnce(u64) -> Option<u16>,
    ) -> Option<u16> {
        if let Some(known) = self.undecided.get_mut(&low64) {
            if summary.has_spans() || !known.summary.has_spans() {
                known.last_arrival = known.last_arrival.max(now);
            }
            known.summary.merge(summary);
            known.last_journal = known.last_journal.max(journals.1);
            if journals.0 < known.first_journal {
                let before = std::mem::replace(&mut known.first_journal, journals.0);
                self.ended(before);
                *self.begun.entry(journals.0).or_default() += 1;
            }
            return None;
        }
        if let Some(known) = self.decided.get_mut(&low64) {
            known.last_journal = known.last_journal.max(journals.1);
            return None;
        }
        if let Some(rule) = fate(low64) {
            self.decided.insert(low64, Decided { dropped_by: Some(rule), last_journal: journals.1 });
            return Some(rule);
        }
        let new = Undecided {
            summary,
            first_arrival: now,
            last_arrival: now,
            first_journal: journals.0,
            last_journal: journals.1,
        };
        self.undecided.insert(low64, new);
        *self.begun.entry(journals.0).or_default() += 1;
        self.queue(low64, now.saturating_add(self.wait));
        None
    }

    fn queue(&mut self, low64: u64, due: u64) {
        self.due.entry(due / self.step + 1).or_default().push(low64);
    }

    fn ended(&mut self, journal: u64) {
        if let Some(count) = self.begun.get_mut(&journal) {
            *count -= 1;
            if *count == 0 {
                self.begun.remove(&journal);
            }
        }
    }

    /// What was taken out to be looked at in this step and was too much at a time.
    fn put_back(&mut self, ids: Vec<u64>, step_of: u64) {
        if !ids.is_empty() {
            self.due.entry(step_of / self.step).or_default().extend(ids);
        }
    }

    /// Some traces that are due, at most `limit`: those that `now` finds without a new span for a wait. Each must be
    /// [`Table::decide`]d, [`Table::release`]d or [`Table::put_off`] before the table is let go.
    pub fn due(&mut self, now: u64, limit: usize) -> Vec<(u64, Undecided)> {
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(first) = self.due.first_entry().filter(|first| *first.key() <= now / self.step) else {
                break;
            };
            let mut ids = first.remove();
            let rest = ids.split_off(ids.len().min(limit - found.len()));
            self.put_back(rest, now);
            for low64 in ids {
                let Some(trace) = self.undecided.get(&low64).copied() else { continue };
                let longest = trace.first_arrival.saturating_add(self.wait.saturating_mul(MAX_WAITS));
                let due = trace.last_arrival.saturating_add(self.wait).min(longest);
                if due > now {
                    self.queue(low64, due);
                } else {
                    found.push((low64, trace));
                }
            }
        }
        found
    }

    /// At most so many of the traces that have waited longest, due or not.
    pub fn oldest(&mut self, count: usize) -> Vec<(u64, Undecided)> {
        let mut found = Vec::new();
        while found.len() < count {
            let Some((step, mut ids)) = self.due.pop_first() else { break };
            let rest = ids.split_off(ids.len().min(count - found.len()));
            self.put_back(rest, step * self.step);
            found.extend(ids.into_iter().filter_map(|low64| Some((low64, *self.undecided.get(&low64)?))));
        }
        found
    }

    /// Looks at it again later.
    pub fn put_off(&mut self, low64: u64, now: u64) {
        self.queue(low64, now.saturating_add(self.step));
    }

    /// Says nothing of a trace without spans: it stays, unless spans come that say otherwise.
    pub fn release(&mut self, low64: u64) {
        if let Some(trace) = self.undecided.remove(&low64) {
            self.ended(trace.first_journal);
        }
    }

    /// What was undecided is decided.
    pub fn decide(&mut self, low64: u64, dropped_by: Option<u16>) {
        if let Some(trace) = self.undecided.remove(&low64) {
            self.ended(trace.first_journal);
            self.decided.insert(low64, Decided { dropped_by, last_journal: trace.last_journal });
        }
    }

    /// Takes a decision of an earlier run over; records of the trace may be in journals up to this one.
    pub fn restore(&mut self, low64: u64, dropped_by: Option<u16>, last_journal: u64) {
        self.decided.insert(low64, Decided { dropped_by, last_journal });
    }

    /// The oldest journal with a record of a trace that is not decided.
    pub fn pinned(&self) -> Option<u64> {
        self.begun.first_key_value().map(|(journal, _)| *journal)
    }

    /// Forgets decided traces whose records all lie in journals up to this one; `gone` is told of each that was dropped.
    pub fn forget(&mut self, journal: u64, mut gone: impl FnMut(u64)) {
        self.decided.retain(|low64, trace| {
            let stays = trace.last_journal > journal;
            if !stays && trace.dropped_by.is_some() {
                gone(*low64);
            }
            stays
        });
        if self.decided.len() < self.decided.capacity() / 4 {
            self.decided.shrink_to_fit();
        }
    }

    /// The decided traces.
    pub fn all_decided(&self) -> impl Iterator<Item = (u64, Option<u16>)> + '_ {
        self.decided.iter().map(|(low64, trace)| (*low64, trace.dropped_by))
    }
}
