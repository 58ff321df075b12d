//! How many traces each rule kept and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::rules::{Rule, Verdict};

/// What one rule decided since the opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStats {
    /// Its name.
    pub name: Arc<str>,
    /// Traces that it kept.
    pub kept: u64,
    /// Traces that it dropped.
    pub dropped: u64,
}

/// What sampling decided since the opening, and holds now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SamplingStats {
    /// Each rule, in order.
    pub rules: Vec<RuleStats>,
    /// Traces that met no rule, and stayed.
    pub unmatched: u64,
    /// Traces that a rule would have dropped, but parts of them had stayed before.
    pub rejoined: u64,
    /// Traces that were decided before their time, since too many were undecided.
    pub early: u64,
    /// Traces that are not decided yet.
    pub undecided: u64,
    /// Decided traces with records that are not swept yet.
    pub unswept: u64,
    /// Those among them that were dropped: they still take room.
    pub unswept_dropped: u64,
}

/// The counters behind it.
#[derive(Debug)]
pub struct Tally {
    rules: Vec<(Arc<str>, AtomicU64, AtomicU64)>,
    unmatched: AtomicU64,
    /// [`SamplingStats::rejoined`]
    pub rejoined: AtomicU64,
    /// [`SamplingStats::early`]
    pub early: AtomicU64,
}

impl Tally {
    /// Nothing yet.
    pub fn new(rules: &[Rule]) -> Self {
        let rules = rules.iter().map(|rule| (Arc::clone(&rule.name), AtomicU64::new(0), AtomicU64::new(0)));
        Self {
            rules: rules.collect(),
            unmatched: AtomicU64::new(0),
            rejoined: AtomicU64::new(0),
            early: AtomicU64::new(0),
        }
    }

    /// The name of a rule.
    pub fn name(&self, rule: usize) -> Option<&Arc<str>> {
        self.rules.get(rule).map(|(name, ..)| name)
    }

    /// Counts a decision.
    pub fn count(&self, verdict: Verdict) {
        let counter = match verdict.rule.and_then(|rule| self.rules.get(rule)) {
            Some((_, kept, _)) if verdict.keep => kept,
            Some((_, _, dropped)) => dropped,
            None => &self.unmatched,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// As they are now.
    pub fn stats(&self) -> SamplingStats {
        let of_rule = |(name, kept, dropped): &(Arc<str>, AtomicU64, AtomicU64)| RuleStats {
            name: Arc::clone(name),
            kept: kept.load(Relaxed),
            dropped: dropped.load(Relaxed),
        };
        SamplingStats {
            rules: self.rules.iter().map(of_rule).collect(),
            unmatched: self.unmatched.load(Relaxed),
            rejoined: self.rejoined.load(Relaxed),
            early: self.early.load(Relaxed),
            ..SamplingStats::default()
        }
    }
}
