//! Tail sampling: a trace is judged when no more of it comes, as a whole, with its spans, log lines and exemplars.
//!
//! Everything is stored and readable at once as ever; sampling saves disk, not work. What is decided is written down first
//! ([`log`]), hides the trace from readers at once ([`mask`]), and lets a sweep write its segments again without it ([`sweep`]).
//! Before rows go, the trace's tombstone is on the disk ([`sheet`]); it answers look-ups, and it drops what comes late.
//! Of a trace that stays nothing need be remembered: that some of it lies in swept segments says that it stayed.
//!
//! Traces are told apart by the low 64 bits of their ids here: both spellings of a trace meet one fate.

mod decide;
mod frontier;
mod log;
mod mask;
mod names;
mod rules;
mod sheet;
mod sheets;
mod summary;
mod sweep;
mod table;
mod tally;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use parsers::record::Batch;
use rustc_hash::FxHashMap;

use crate::opening::io_error;
use crate::options::OpenError;
use crate::read::Fate;
use crate::segment::Segment;
use crate::store::lock;
use frontier::{Found, Frontier};
use log::Log;
use names::Names;
use rules::Judge;
use sheets::Sheets;
use summary::{Conditions, Summary};
use table::Table;
use tally::Tally;

pub(crate) use decide::run;
pub(crate) use mask::Mask;
pub use rules::{
    KeepTraces, MAX_CONDITIONS, MAX_RULES, Pattern, Rule, SamplingOptions, ValueMatch, WAIT, When,
};
pub use tally::{RuleStats, SamplingStats};
#[cfg(test)]
pub(crate) use {
    decide::{decide, decide_early, remember},
    sweep::sweep,
};

/// The folder in the data directory.
const FOLDER: &str = "sampled";
/// Undecided traces that are held, at about a hundred bytes each; over it the oldest are decided before their time.
const MAX_UNDECIDED: usize = 300_000;

/// A trace that was dropped, and may have records that are not swept.
#[derive(Debug, Clone, Copy)]
struct DroppedTrace {
    rule: u16,
    /// Seconds since 1970.
    when: u32,
    /// Its tombstone is on the disk.
    buried: bool,
}

/// What decides, one at a time.
#[derive(Debug)]
struct Deciding {
    judge: Judge,
    log: Log,
}

/// Sampling of one store.
///
/// Locks are taken in the order of the fields, and none of them before the store's own but `view`.
#[derive(Debug)]
pub(crate) struct Sampling {
    dir: PathBuf,
    wait: Duration,
    conditions: Conditions,
    names: Names,
    deciding: Mutex<Deciding>,
    table: Mutex<Table>,
    /// For readers; each is in the table, too.
    dropped: RwLock<FxHashMap<u64, DroppedTrace>>,
    frontier: RwLock<Arc<Frontier>>,
    sheets: Sheets,
    /// What an earlier run left unswept is in the table.
    ready: AtomicBool,
    tally: Tally,
}

/// What a batch says of its traces, in the order of its rows.
#[derive(Debug, Default)]
pub(crate) struct Noted(Vec<(u64, Summary)>);

impl Sampling {
    /// Opens what is remembered in a data directory; `sealed` and `newest` are the newest journals that are in segments, and that
    /// there are. Without options nothing is dropped any more, but what was dropped stays so, while any of it is remembered.
    pub(crate) fn open(
        data: &Path,
        options: Option<&SamplingOptions>,
        segments: &[Arc<Segment>],
        (sealed, newest): (u64, u64),
    ) -> Result<Option<Self>, OpenError> {
        let dir = data.join(FOLDER);
        if options.is_none() && !dir.exists() {
            return Ok(None);
        }
        fs::create_dir_all(&dir).map_err(io_error("create", &dir))?;
        let names = Names::default();
        let sheets = Sheets::open(&dir, &names)?;
        let found = frontier::read(&dir)?;
        let mut frontier = match &found {
            Found::Whole(frontier) => frontier.clone(),
            Found::Nothing => Frontier { swept: sealed, hidden: Vec::new() },
            Found::Damaged => {
                tracing::error!(dir = %dir.display(), "how far sweeping came cannot be read: what lies in segments stays there");
                Frontier { swept: sealed, hidden: segments.iter().map(|s| s.name).collect() }
            }
        };
        frontier.hidden.retain(|name| segments.iter().any(|s| s.name == *name));
        if found != Found::Whole(frontier.clone()) {
            frontier::write(&dir, &frontier).map_err(io_error("write", &dir))?;
        }
        let none = SamplingOptions { wait: WAIT, rules: Vec::new() };
        let SamplingOptions { wait, rules } = options.unwrap_or(&none);
        let mut table = Table::new(wait.as_nanos() as u64);
        let mut dropped = FxHashMap::default();
        let journal = newest.max(frontier.swept) + 1;
        let log = Log::open(&dir, |decision| {
            let rule = decision.dropped_by.map(|name| names.number(name));
            table.restore(decision.low64, rule, journal);
            if let Some(rule) = rule {
                let when = decision.when as u32;
                dropped.insert(decision.low64, DroppedTrace { rule, when, buried: false });
            }
        })?;
        if options.is_none() && sheets.is_empty() && dropped.is_empty() && frontier.hidden.is_empty() {
            fs::remove_dir_all(&dir).map_err(io_error("delete", &dir))?;
            return Ok(None);
        }
        Ok(Some(Self {
            wait: *wait,
            conditions: Conditions::new(rules),
            deciding: Mutex::new(Deciding { judge: Judge::new(rules), log }),
            table: Mutex::new(table),
            dropped: RwLock::new(dropped),
            frontier: RwLock::new(Arc::new(frontier)),
            sheets,
            ready: AtomicBool::new(false),
            tally: Tally::new(rules),
            names,
            dir,
        }))
    }

    fn frontier(&self) -> Arc<Frontier> {
        Arc::clone(&self.frontier.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Segments of journals up to this one are swept.
    pub(crate) fn swept(&self) -> u64 {
        self.frontier().swept
    }

    /// Whether a segment must be left to sweeping.
    pub(crate) fn is_unswept(&self, segment: &Segment) -> bool {
        self.frontier().is_unswept(&segment.name)
    }

    /// Looks at a batch, before anything is locked.
    pub(crate) fn look_at(&self, batch: &Batch) -> Noted {
        let mut noted: Vec<(u64, Summary)> = Vec::new();
        let mut add = |trace: u128, summary: Summary| match noted.last_mut() {
            _ if trace == 0 => {}
            Some((last, known)) if *last == trace as u64 => known.merge(summary),
            _ => noted.push((trace as u64, summary)),
        };
        let compared = self.conditions.compare(&batch.spans);
        batch.spans.rows.iter().for_each(|row| add(row.trace, compared.summary(row)));
        batch.logs.rows.iter().for_each(|row| add(row.trace, Summary::EMPTY));
        batch.metrics.exemplars.iter().for_each(|row| add(row.trace, Summary::EMPTY));
        Noted(noted)
    }

    /// Notes what a batch says, which lies in these journals, first and last. Must be done before readers find the batch: what
    /// is late of a dropped trace is hidden from then on.
    pub(crate) fn note(&self, noted: &Noted, journals: (u64, u64), now: u64) {
        let mut table = lock(&self.table);
        for &(low64, summary) in &noted.0 {
            let mut stone = None;
            let fate = |low64| {
                stone = self.sheets.find(low64);
                stone.map(|stone| stone.rule)
            };
            table.note(low64, summary, journals, now, fate);
            if let Some(stone) = stone {
                let trace = DroppedTrace { rule: stone.rule, when: stone.when as u32, buried: true };
                self.dropped.write().unwrap_or_else(PoisonError::into_inner).insert(low64, trace);
            }
        }
    }

    /// What became of a trace, if it was dropped.
    pub(crate) fn fate(&self, low64: u64) -> Option<Fate> {
        let known = self.dropped.read().unwrap_or_else(PoisonError::into_inner).get(&low64).copied();
        let (rule, when) = match known {
            Some(trace) => (trace.rule, u64::from(trace.when)),
            None => self.sheets.find(low64).map(|stone| (stone.rule, stone.when))?,
        };
        Some(Fate::SampledOut { rule: self.names.name(rule), decided: when.saturating_mul(1_000_000_000) })
    }

    /// What is held and was decided.
    pub(crate) fn stats(&self) -> SamplingStats {
        let (undecided, decided) = {
            let table = lock(&self.table);
            (table.undecided() as u64, table.decided() as u64)
        };
        let dropped = self.dropped.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        SamplingStats { undecided, unswept: decided, unswept_dropped: dropped, ..self.tally.stats() }
    }
}
