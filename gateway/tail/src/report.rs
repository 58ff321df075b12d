//! What was read, what was found, what is behind and what was lost, in all and for each container.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use parsers::derived::RuleIndex;

use crate::line_metrics::LineMetrics;

/// Why bytes were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// A record was longer than the limit and lost its end.
    LineTooLong,
    /// A file was cut, and there is no copy of it. What it got after the last look at it is not known: such losses count one
    /// byte each.
    Truncated,
    /// A file went while nobody was reading. How much was in it is not known: such losses count one byte each.
    RotatedAway,
}

impl Lost {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::LineTooLong, Self::Truncated, Self::RotatedAway];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::Truncated => "truncated",
            Self::RotatedAway => "rotated_away",
        }
    }
}

/// One container's (or one plain file's) figures, over all its generations.
#[derive(Debug, Default)]
pub struct ContainerReport {
    /// Path of the file being written.
    pub path: Arc<str>,
    /// Namespace; empty outside the pods layout.
    pub namespace: Arc<str>,
    /// Pod; empty outside the pods layout.
    pub pod: Arc<str>,
    /// Container; outside the pods layout the file's stem.
    pub container: Arc<str>,
    /// Records emitted.
    pub lines: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Bytes written but not yet acknowledged.
    pub behind: AtomicU64,
    /// Records of which invalid UTF-8 was replaced.
    pub invalid_utf8: AtomicU64,
    /// Records in which a rule found a trace id, by [`RuleIndex`].
    pub linked: Box<[AtomicU64]>,
    /// Bytes lost, in the order of [`Lost::ALL`].
    pub lost: [AtomicU64; 3],
}

impl ContainerReport {
    pub(crate) fn lose(&self, reason: Lost, bytes: u64) {
        if let Some(counter) = self.lost.get(reason as usize) {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn link(&self, rule: RuleIndex) {
        if let Some(counter) = self.linked.get(rule as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes lost for this reason.
    pub fn lost(&self, reason: Lost) -> u64 {
        self.lost.get(reason as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// Figures of the whole tailer, and the way to those of each container.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records emitted.
    pub lines: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Files found to be shorter than what was read of them.
    pub truncations: AtomicU64,
    /// Noted positions that did not hold any more; the file was read from its beginning.
    pub position_mismatches: AtomicU64,
    /// Times that the kernel dropped events and all folders were looked through instead.
    pub event_overflows: AtomicU64,
    /// Folders that could not be watched; 1 or more means that folders are polled.
    pub unwatched_folders: AtomicU64,
    /// Files that could not be opened or read; tried again.
    pub read_errors: AtomicU64,
    /// Batches that the sink refused; offered again.
    pub refusals: AtomicU64,
    /// What `metrics` stages have counted.
    pub line_metrics: LineMetrics,
    /// Lines that stages dropped on purpose, by the stages' reasons.
    dropped: Mutex<BTreeMap<String, u64>>,
    containers: Mutex<BTreeMap<Arc<str>, Arc<ContainerReport>>>,
    /// Records in which a rule found an id, of containers that are gone.
    departed_linked: Mutex<Vec<u64>>,
}

impl Counters {
    /// The containers being tailed, by path.
    pub fn containers(&self) -> Vec<Arc<ContainerReport>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Bytes written but not yet acknowledged, of all containers.
    pub fn behind(&self) -> u64 {
        self.containers().iter().map(|c| c.behind.load(Ordering::Relaxed)).sum()
    }

    /// Records in which each rule found a trace id, by [`RuleIndex`], since the start.
    pub fn linked(&self) -> Vec<u64> {
        let mut sum = self.departed_linked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for container in self.containers() {
            add_linked(&mut sum, &container);
        }
        sum
    }

    /// Lines that stages dropped on purpose, by the stages' reasons.
    pub fn dropped_lines(&self) -> BTreeMap<String, u64> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn dropped(&self, reason: &str) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        match dropped.get_mut(reason) {
            Some(count) => *count += 1,
            // Reasons are words of the configuration, so there are few.
            None => drop(dropped.insert(reason.to_owned(), 1)),
        }
    }

    pub(crate) fn arrived(&self, report: Arc<ContainerReport>) {
        let mut containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        containers.insert(Arc::clone(&report.path), report);
    }

    pub(crate) fn departed(&self, path: &str) {
        let gone = self.containers.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        if let Some(gone) = gone {
            add_linked(&mut self.departed_linked.lock().unwrap_or_else(PoisonError::into_inner), &gone);
        }
    }
}

fn add_linked(sum: &mut Vec<u64>, container: &ContainerReport) {
    sum.resize(sum.len().max(container.linked.len()), 0);
    for (sum, counter) in sum.iter_mut().zip(&container.linked) {
        *sum += counter.load(Ordering::Relaxed);
    }
}
