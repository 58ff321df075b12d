//! The four parts together, one step at a time. A step reads files and folders and never waits; what it gives has to be
//! delivered and acknowledged before it reads on.

mod earlier;
mod finding;
mod knowing;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::derived::Deriver;
use parsers::record::{Batch, Position};
use rustc_hash::FxHashSet;

use self::earlier::Earlier;
use crate::discovery::Discovery;
use crate::options::TailOptions;
use crate::reading::batch::Filling;
use crate::reading::{Chain, Means};
use crate::report::Counters;

/// Bytes read from one container before the next has its turn.
const TURN: u64 = 256 * 1024;

/// Room in the buffer for what the runtime writes before a line of the greatest length.
const WRAPPING: usize = 4096;

/// Bytes read at once, at least: larger reads are no quicker.
const READ_BYTES: usize = 256 * 1024;

/// What a step gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A batch to deliver; then [`Tailer::acknowledged`]. Until then each step gives it again.
    Deliver(Arc<Batch>),
    /// There is more to read.
    Again,
    /// Nothing to do for a moment; `true` if something was read and waits for its time.
    Idle(bool),
}

/// Reads files. Plain state: time comes with each step, batches go out as values.
pub struct Tailer {
    options: TailOptions,
    discovery: Discovery,
    chains: BTreeMap<Arc<str>, Chain>,
    /// Of earlier runs, until their files are found.
    earlier: Earlier,
    /// Paths of files that are read under another path.
    twins: FxHashSet<Arc<str>>,
    /// Paths of files that their pods do not want to be read.
    excluded: FxHashSet<Arc<str>>,
    /// As of when what is known of pods was taken over.
    revision: u64,
    filling: Filling,
    buffer: Vec<u8>,
    /// Chains that moved since the last batch.
    moved: BTreeSet<Arc<str>>,
    waiting: Option<Arc<Batch>>,
    /// When the first of the chains is to be looked at again.
    look_at: u64,
    /// Whose turn was last.
    turn: Option<Arc<str>>,
    last_batch: Option<u64>,
    /// Names of the rules, by their indexes.
    rules: Arc<[Arc<str>]>,
    /// What to read from the next batch on, and how.
    next: Option<(TailOptions, Arc<Deriver>)>,
    counters: Arc<Counters>,
}

impl Tailer {
    /// Starts from these positions. Opens nothing yet.
    pub fn new(
        options: TailOptions,
        deriver: Arc<Deriver>,
        positions: Vec<Position>,
        counters: Arc<Counters>,
    ) -> Self {
        let rules = deriver.rule_names().into();
        let mut earlier = Earlier::default();
        earlier.extend(positions);
        let discovery = Discovery::new(&options, Arc::clone(&counters));
        Self {
            discovery,
            chains: BTreeMap::new(),
            earlier,
            twins: FxHashSet::default(),
            excluded: FxHashSet::default(),
            revision: 0,
            filling: Filling::new(deriver),
            buffer: vec![0; READ_BYTES.max(options.max_line + WRAPPING)],
            moved: BTreeSet::new(),
            waiting: None,
            look_at: 0,
            turn: None,
            last_batch: None,
            rules,
            next: None,
            counters,
            options,
        }
    }

    /// Looks for files and reads what is new. `now` is in nanoseconds since the epoch.
    pub fn step(&mut self, now: u64) -> Step {
        if let Some(batch) = &self.waiting {
            return Step::Deliver(Arc::clone(batch));
        }
        if now < self.filling.observed {
            // The clock was set back: what was put off until a time is due.
            self.chains.values_mut().for_each(|chain| chain.set_back(now));
            (self.look_at, self.last_batch) = (0, None);
        }
        self.filling.observed = now;
        if self.next.is_some() {
            // What was read the old way goes first.
            if let Some(batch) = self.seal(now) {
                return Step::Deliver(batch);
            }
            self.change();
        }
        if self.knows_more() {
            if let Some(batch) = self.seal(now) {
                return Step::Deliver(batch);
            }
            self.take_notes();
        }
        if let Some(look) = self.discovery.look(now) {
            self.found(look, now);
        }
        let full = self.read_round();
        let due = self.last_batch.is_none_or(|last| now.saturating_sub(last) >= self.options.flush_after);
        if (full || (due && !self.moved.is_empty()))
            && let Some(batch) = self.seal(now)
        {
            return Step::Deliver(batch);
        }
        if full { Step::Again } else { Step::Idle(!self.moved.is_empty()) }
    }

    /// Looks for files, and how long they are, while a batch waits for its acknowledgement: what is rotated away meanwhile
    /// must be open by then.
    pub fn watch(&mut self, now: u64) {
        if let Some(look) = self.discovery.look(now) {
            self.found(look, now);
        }
        for chain in self.chains.values_mut() {
            // An error comes again when it is read.
            let _ = chain.look(now);
        }
    }

    /// Reads other files, or reads them another way, from the next batch on. How far each file was read is kept. `agent`
    /// stays what it was.
    pub fn reconfigure(&mut self, options: TailOptions, deriver: Arc<Deriver>) {
        self.next = Some((TailOptions { agent: Arc::clone(&self.options.agent), ..options }, deriver));
    }

    /// The batch that [`Tailer::step`] gave is safe. `now` is in nanoseconds since the epoch.
    pub fn acknowledged(&mut self, now: u64) {
        if self.waiting.take().is_some() {
            self.let_go(now);
        }
    }

    /// Closes what is read to its end and safe.
    fn let_go(&mut self, now: u64) {
        let mut ended = Vec::new();
        for (path, chain) in &mut self.chains {
            chain.acknowledged(now);
            if chain.ended && chain.generations.is_empty() {
                ended.push(Arc::clone(path));
            }
        }
        for path in ended {
            self.chains.remove(&path);
            self.counters.departed(&path);
        }
    }

    /// Reads each chain in turn until the batch is full (`true`) or there is nothing more (`false`).
    fn read_round(&mut self) -> bool {
        if self.filling.observed < self.look_at {
            return false;
        }
        self.look_at = u64::MAX;
        let rows = self.filling.logs.rows.len() as u64;
        let mut full = false;
        while !full {
            let turn = self.turn.clone();
            let (after, before) = match &turn {
                Some(turn) => (Bound::Excluded(turn), Bound::Included(turn)),
                None => (Bound::Unbounded, Bound::Unbounded),
            };
            let mut more = false;
            full = self.read_range((after, Bound::Unbounded), &mut more);
            if !full && turn.is_some() {
                full = self.read_range((Bound::Unbounded, before), &mut more);
            }
            if !more {
                break;
            }
        }
        if full {
            // Some had no turn.
            self.look_at = 0;
        }
        let read = (self.filling.logs.rows.len() as u64).saturating_sub(rows);
        self.counters.lines.fetch_add(read, Ordering::Relaxed);
        full
    }

    /// One turn of each of some chains, as [`Tailer::read_round`]. `more` tells that a chain has more than its turn.
    fn read_range(&mut self, range: (Bound<&Arc<str>>, Bound<&Arc<str>>), more: &mut bool) -> bool {
        let now = self.filling.observed;
        for (path, chain) in self.chains.range_mut::<Arc<str>, _>(range) {
            let due = chain.look_at.max(chain.wait_until);
            if now < due {
                self.look_at = self.look_at.min(due);
                continue;
            }
            let was_ended = chain.ended;
            let mut means = Means {
                filling: &mut self.filling,
                buffer: &mut self.buffer,
                linger: self.options.linger,
                counters: &self.counters,
            };
            let rows = means.filling.logs.rows.len();
            let read = chain.read(&mut means, TURN).unwrap_or_else(|error| {
                tracing::warn!(path = &**path, %error, "a log file cannot be read now");
                self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                0
            });
            if read == 0 {
                chain.idle(&mut means);
            }
            if chain.unknown {
                let rows = self.filling.logs.rows.len().saturating_sub(rows) as u64;
                self.counters.unknown_pod_lines.fetch_add(rows, Ordering::Relaxed);
            }
            let moved = read > 0 || chain.ended != was_ended || self.filling.logs.rows.len() > rows;
            chain.rest(moved, now);
            self.look_at = self.look_at.min(chain.look_at.max(chain.wait_until));
            if moved {
                chain.report(now);
                self.moved.insert(Arc::clone(path));
                self.turn = Some(Arc::clone(path));
            }
            *more |= read >= TURN;
            if self.filling.logs.size() >= self.options.batch_bytes {
                return true;
            }
        }
        false
    }

    fn seal(&mut self, now: u64) -> Option<Arc<Batch>> {
        let mut positions = Vec::new();
        for path in std::mem::take(&mut self.moved) {
            let Some(chain) = self.chains.get_mut(&path) else { continue };
            if let Err(error) = chain.positions(&self.options.agent, now, &mut positions) {
                // Without its marker the position stays where it was: lines may come again, none is lost.
                tracing::warn!(path = &*path, %error, "a log file cannot be read now");
                self.moved.insert(path);
            }
        }
        let batch = Batch { logs: self.filling.take(), positions, ..Batch::default() };
        self.last_batch = Some(now);
        if batch.is_empty() {
            self.let_go(now);
            return None;
        }
        let batch = Arc::new(batch);
        self.waiting = Some(Arc::clone(&batch));
        Some(batch)
    }
}
