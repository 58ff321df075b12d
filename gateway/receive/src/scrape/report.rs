//! How every target does, for whoever asks why a metric is missing; and what all scrapes count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::target::DroppedTarget;

/// Whether a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// It answered with metrics.
    Up,
    /// It did not.
    Down,
}

impl Health {
    /// As Prometheus says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A target and its last scrape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetReport {
    /// Whose it is.
    pub job: String,
    /// Where it is.
    pub url: String,
    /// Of all its series.
    pub labels: Vec<(String, String)>,
    /// Between two scrapes.
    pub interval: Duration,
    /// Whether it answers.
    pub health: Health,
    /// What is wrong, if something is: the whole page, or what of it could not be taken or stored.
    pub last_error: Option<String>,
    /// When the last scrape began, ns since the epoch; 0 before the first.
    pub last_scrape: u64,
    /// How long it took.
    pub last_duration: Duration,
    /// Samples on the page.
    pub samples: u64,
    /// Those that were left after relabelling.
    pub kept_samples: u64,
    /// Exemplars of the page that were new.
    pub exemplars: u64,
    /// Lines of the page that could not be taken.
    pub bad_lines: u64,
    /// Exemplars since it was found.
    pub all_exemplars: u64,
    /// Scrapes since it was found.
    pub scrapes: u64,
}

/// What all scrapes count.
#[derive(Debug, Default)]
pub struct Counters {
    /// Scrapes of which all was stored.
    pub taken: AtomicU64,
    /// Scrapes of targets that did not answer with metrics.
    pub failed: AtomicU64,
    /// Scrapes that the sink refused.
    pub refused: AtomicU64,
    /// Scrapes that were not begun, or not read, since too much was under way.
    pub skipped: AtomicU64,
    /// Lines that could not be taken.
    pub bad_lines: AtomicU64,
    /// Exemplars that were stored before: a page shows one until another takes its place.
    pub repeated_exemplars: AtomicU64,
    /// Exemplars that could not be read.
    pub bad_exemplars: AtomicU64,
}

/// Dropped targets that are listed; the others are counted.
const MAX_LISTED: usize = 1_000;

/// What is scraped. Shared by who scrapes and who asks.
#[derive(Debug, Default)]
pub struct Scraping {
    /// What all scrapes count.
    pub counters: Counters,
    targets: Mutex<BTreeMap<u64, TargetReport>>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    dropped: Vec<DroppedTarget>,
    more_dropped: usize,
    troubles: BTreeMap<String, String>,
}

/// Everything there is to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// What is scraped.
    pub targets: Vec<TargetReport>,
    /// What was discovered and is not scraped.
    pub dropped: Vec<DroppedTarget>,
    /// Dropped targets beyond those.
    pub more_dropped: usize,
    /// Discoveries that fail, and why. What they found before is scraped on.
    pub discovery: Vec<(String, String)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scraping {
    /// How it stands, targets by job and URL.
    pub fn snapshot(&self) -> Snapshot {
        let mut targets: Vec<TargetReport> = locked(&self.targets).values().cloned().collect();
        targets.sort_by(|a, b| (&a.job, &a.url, &a.labels).cmp(&(&b.job, &b.url, &b.labels)));
        let found = locked(&self.found);
        let discovery = found.troubles.iter().map(|(source, trouble)| (source.clone(), trouble.clone()));
        Snapshot {
            targets,
            dropped: found.dropped.clone(),
            more_dropped: found.more_dropped,
            discovery: discovery.collect(),
        }
    }

    /// How many targets are in which state.
    pub fn by_health(&self) -> [(Health, u64); 3] {
        let targets = locked(&self.targets);
        [Health::Up, Health::Down, Health::Unknown]
            .map(|health| (health, targets.values().filter(|target| target.health == health).count() as u64))
    }

    pub(super) fn begin(&self, target: u64, report: TargetReport) {
        locked(&self.targets).insert(target, report);
    }

    /// Changes the report of a target that has not ended.
    pub(super) fn change(&self, target: u64, change: impl FnOnce(&mut TargetReport)) {
        locked(&self.targets).get_mut(&target).map(change);
    }

    pub(super) fn forget(&self, target: u64) {
        locked(&self.targets).remove(&target);
    }

    pub(super) fn set_dropped(&self, mut dropped: Vec<DroppedTarget>) {
        let mut found = locked(&self.found);
        found.more_dropped = dropped.len().saturating_sub(MAX_LISTED);
        dropped.truncate(MAX_LISTED);
        found.dropped = dropped;
    }

    /// Notes what is wrong with a discovery, or that nothing is. True if that is new.
    pub(super) fn discovery(&self, source: &str, trouble: Option<&str>) -> bool {
        let troubles = &mut locked(&self.found).troubles;
        match trouble {
            Some(trouble) => {
                let before = troubles.insert(source.to_owned(), trouble.to_owned());
                before.is_none_or(|before| before != trouble)
            }
            None => troubles.remove(source).is_some(),
        }
    }

    /// Forgets the troubles of discoveries that are no more.
    pub(super) fn keep_discoveries(&self, kept: impl Fn(&str) -> bool) {
        locked(&self.found).troubles.retain(|source, _| kept(source));
    }
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
