//! The four parts together, one step at a time. A step reads files and folders and never waits; what it gives has to be
//! delivered and acknowledged before it reads on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::derived::Deriver;
use parsers::record::{Batch, FileId, Position};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::discovery::{Discovery, Found, Look};
use crate::options::TailOptions;
use crate::reading::batch::Filling;
use crate::reading::compressed;
use crate::reading::origin::origin;
use crate::reading::{Chain, Generation, Means};
use crate::report::{Counters, Lost};

/// Bytes read from one container before the next has its turn.
const TURN: u64 = 256 * 1024;

/// Nanoseconds between looks at how far behind reading is, while a batch is not taken: an outage shows in the figures soon.
const COUNT_EVERY: u64 = 1_000_000_000;

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

/// What a file is to those that were read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No copy of any.
    Itself,
    /// A copy of one that was cut: it takes its part.
    InPlace,
    /// Just a copy.
    Copy,
}

/// Reads files. Plain state: time comes with each step, batches go out as values.
pub struct Tailer {
    options: TailOptions,
    discovery: Discovery,
    chains: BTreeMap<Arc<str>, Chain>,
    /// Of earlier runs, until their files are found.
    positions: FxHashMap<FileId, Position>,
    /// Paths that an earlier run has read.
    read_before: FxHashSet<Arc<str>>,
    filling: Filling,
    buffer: Vec<u8>,
    /// Chains that moved since the last batch.
    moved: BTreeSet<Arc<str>>,
    waiting: Option<Arc<Batch>>,
    /// Whose turn was last.
    turn: Option<Arc<str>>,
    last_batch: Option<u64>,
    /// When files were last looked at only for how far behind reading is.
    last_count: u64,
    rules: usize,
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
        let rules = deriver.rule_names().len();
        let discovery = Discovery::new(&options, Arc::clone(&counters));
        Self {
            discovery,
            chains: BTreeMap::new(),
            read_before: positions.iter().map(|position| Arc::clone(&position.path)).collect(),
            positions: positions.into_iter().map(|position| (position.file, position)).collect(),
            filling: Filling::new(deriver),
            buffer: vec![0; READ_BYTES.max(options.max_line + WRAPPING)],
            moved: BTreeSet::new(),
            waiting: None,
            turn: None,
            last_batch: None,
            last_count: 0,
            rules,
            counters,
            options,
        }
    }

    /// Looks for files and reads what is new. `now` is in nanoseconds since the epoch.
    pub fn step(&mut self, now: u64) -> Step {
        self.look(now);
        if let Some(batch) = &self.waiting {
            return Step::Deliver(Arc::clone(batch));
        }
        self.filling.observed = now;
        let full = self.read_round();
        let due = self.last_batch.is_none_or(|last| now.saturating_sub(last) >= self.options.flush_after);
        if (full || (due && !self.moved.is_empty()))
            && let Some(batch) = self.seal(now)
        {
            return Step::Deliver(batch);
        }
        if full { Step::Again } else { Step::Idle(!self.moved.is_empty()) }
    }

    /// Opens what is new, and while a batch is under way counts what comes, but reads nothing.
    pub fn look(&mut self, now: u64) {
        if let Some(look) = self.discovery.look(now) {
            self.found(look, now);
        }
        if self.waiting.is_some() && now.saturating_sub(self.last_count) >= COUNT_EVERY {
            self.last_count = now;
            self.chains.values_mut().for_each(Chain::count);
        }
    }

    /// The batch that [`Tailer::step`] gave is safe.
    pub fn acknowledged(&mut self) {
        if self.waiting.take().is_none() {
            return;
        }
        let mut ended = Vec::new();
        for (path, chain) in &mut self.chains {
            chain.acknowledged();
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
        let read = (self.filling.logs.rows.len() as u64).saturating_sub(rows);
        self.counters.lines.fetch_add(read, Ordering::Relaxed);
        full
    }

    /// One turn of each of some chains, as [`Tailer::read_round`]. `more` tells that a chain has more than its turn.
    fn read_range(&mut self, range: (Bound<&Arc<str>>, Bound<&Arc<str>>), more: &mut bool) -> bool {
        let now = self.filling.observed;
        for (path, chain) in self.chains.range_mut::<Arc<str>, _>(range) {
            if now < chain.look_at.max(chain.wait_until) {
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
            let moved = read > 0 || chain.ended != was_ended || self.filling.logs.rows.len() > rows;
            chain.rest(moved, now);
            if moved {
                chain.report();
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
            return None;
        }
        let batch = Arc::new(batch);
        self.waiting = Some(Arc::clone(&batch));
        Some(batch)
    }

    /// Opens what is new and notes what is gone.
    fn found(&mut self, look: Look, now: u64) {
        for (path, chain) in &mut self.chains {
            let looked_at = look.folders.as_ref().is_none_or(|folders| {
                Path::new(&**path).parent().is_some_and(|folder| folders.contains(folder))
            });
            if looked_at && !look.chains.contains_key(path) {
                chain.nameless.get_or_insert(now);
                chain.look_at = 0;
                self.moved.insert(Arc::clone(path));
            }
        }
        for (path, files) in look.chains {
            let mut listed: Vec<(Generation, bool, bool)> = Vec::new();
            let mut there = FxHashSet::default();
            for file in in_order(&path, files) {
                there.extend(rustix::fs::stat(&file.path).map(|stat| (stat.st_dev, stat.st_ino)));
                match self.open(&path, &file) {
                    Ok(Some(generation)) => {
                        listed.push((generation, file.asked_for, &*path == file.path.as_os_str()));
                    }
                    Ok(None) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(path = %file.path.display(), %error, "a log file cannot be opened now");
                        self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            match self.chains.get_mut(&path) {
                Some(chain) => {
                    chain.done.retain(|id| there.contains(&(id.device, id.inode)));
                    chain.nameless = None;
                    chain.ended = false;
                    chain.look_at = 0;
                    let packed = look.packed.get(&path).map(Vec::as_slice).unwrap_or_default();
                    let new: Vec<_> = listed.iter().map(|(generation, ..)| generation).collect();
                    let unread = chain.packed(packed, &new, &self.counters);
                    let listed = listed.into_iter().map(|(generation, _, live)| (generation, live));
                    for (generation, live) in unread.into_iter().map(|unread| (unread, false)).chain(listed) {
                        chain.add(generation, live);
                    }
                }
                None => {
                    let packed = look.packed.get(&path).cloned().unwrap_or_default();
                    self.start(path, listed, packed);
                }
            }
        }
    }

    /// The file, unless its chain knows it.
    fn open(&self, path: &Arc<str>, file: &Found) -> std::io::Result<Option<Generation>> {
        let Some(chain) = self.chains.get(path) else {
            return Generation::open(&file.path).map(Some);
        };
        let stat = rustix::fs::stat(&file.path)?;
        if chain.knows(stat.st_dev, stat.st_ino, || {
            Generation::open(&file.path).ok().and_then(|opened| opened.id()).map(|id| id.head)
        }) {
            return Ok(None);
        }
        let generation = Generation::open(&file.path)?;
        // Between the two looks another file may have taken the name.
        let (device, inode) = generation.place();
        let known = chain.knows(device, inode, || generation.id().map(|id| id.head));
        Ok((!known).then_some(generation))
    }

    /// A container is seen for the first time in this run: it goes on where an earlier run was, with all that was rotated
    /// since.
    fn start(&mut self, path: Arc<str>, listed: Vec<(Generation, bool, bool)>, packed: Vec<PathBuf>) {
        let source = self.discovery.source(&path).and_then(|at| self.options.files.get(at));
        let relabel = source.map(|source| &source.relabel).filter(|relabel| !relabel.is_empty());
        let Some(origin) = origin(&path, self.options.node.as_deref(), self.rules, relabel) else {
            return;
        };
        let pipeline = source.map(|source| source.pipeline.fork()).unwrap_or_default();
        let mut chain = Chain::new(Arc::clone(&path), origin, self.options.max_line, pipeline);
        // Of these, what is wanted is unpacked below.
        chain.packed.extend(packed);
        let mut listed = listed;
        let settled: Vec<bool> = listed.iter_mut().map(|(generation, ..)| self.settle(generation)).collect();
        let places: Vec<Option<FileId>> = listed.iter().map(|(generation, ..)| generation.id()).collect();
        let standings = self.settle_copies(&path, &mut listed, &settled);
        let copies =
            places.into_iter().zip(&standings).filter(|(_, standing)| **standing != Standing::Itself);
        chain.done.extend(copies.filter_map(|(place, _)| place));
        let resumed = settled
            .iter()
            .zip(&standings)
            .position(|(settled, standing)| *settled || *standing == Standing::InPlace);
        let read_before = self.read_before.contains(&path);
        let unpacked = if read_before { self.unpack(&path, resumed.is_some()) } else { None };
        if read_before && resumed.is_none() && unpacked.is_none() && !listed.is_empty() {
            tracing::warn!(path = &*path, "the file that was read before is gone: what it got since is lost");
            chain.origin.report.lose(Lost::RotatedAway, 1);
        }
        for (mut generation, position) in unpacked.into_iter().flatten() {
            if let Some(position) = position
                && !generation.resume(&position)
            {
                tracing::warn!(path = &*path, "the file is not what it was: reading from its beginning");
                self.counters.position_mismatches.fetch_add(1, Ordering::Relaxed);
                chain.origin.report.lose(Lost::Truncated, 1);
            }
            chain.generations.push_back(generation);
        }
        for (at, (mut generation, asked_for, live)) in listed.into_iter().enumerate() {
            if standings.get(at) == Some(&Standing::Copy) {
                continue;
            }
            let wanted = match resumed {
                Some(first) => at >= first,
                None => read_before || asked_for || live,
            };
            if !wanted {
                chain.leave(&generation);
                continue;
            }
            if let Some(position) = generation.id().and_then(|id| self.positions.remove(&id))
                && !generation.resume(&position)
            {
                tracing::warn!(path = &*path, "the file is not what it was: reading from its beginning");
                self.counters.position_mismatches.fetch_add(1, Ordering::Relaxed);
                chain.origin.report.lose(Lost::Truncated, 1);
            }
            chain.generations.push_back(generation);
        }
        self.counters.arrived(Arc::clone(&chain.origin.report));
        self.chains.insert(path, chain);
    }
}

impl Tailer {
    /// Whether a position was noted of the file; it is taken for the last one that was written under its identity.
    fn settle(&self, generation: &mut Generation) -> bool {
        let mut of_file: Vec<&Position> = self
            .positions
            .values()
            .filter(|position| generation.is(position.file.device, position.file.inode))
            .collect();
        of_file.sort_unstable_by_key(|position| std::cmp::Reverse(position.time));
        of_file.iter().any(|position| generation.is_of(position.file))
    }

    /// Which files are copies of those that were read before. One takes the part of a file that was cut since.
    fn settle_copies(
        &self,
        path: &str,
        listed: &mut [(Generation, bool, bool)],
        settled: &[bool],
    ) -> Vec<Standing> {
        let mut standings = vec![Standing::Itself; listed.len()];
        for position in self.positions.values().filter(|position| *position.path == *path) {
            let FileId { device, inode, .. } = position.file;
            let mut taken = listed.iter().any(|(file, ..)| file.is(device, inode) && file.holds(position));
            let cut = !taken;
            for (((file, _, live), settled), standing) in listed.iter_mut().zip(settled).zip(&mut standings) {
                if *live || *settled || *standing != Standing::Itself || !file.is_copy_of(position) {
                    continue;
                }
                *standing = if taken { Standing::Copy } else { Standing::InPlace };
                if !taken {
                    file.stand_for(position.file);
                }
                taken = true;
            }
            for (file, ..) in listed.iter_mut().filter(|(file, ..)| cut && taken && file.is(device, inode)) {
                file.follow(position.file);
            }
        }
        standings
    }

    /// What was compressed since an earlier run: from the file that was being read then, which is told by its first line, with how
    /// far it was. `None` if that file is not among them. Where a file that is not compressed was being read, too, only what
    /// is half joined can be missing.
    fn unpack(&mut self, path: &Arc<str>, plain_too: bool) -> Option<Vec<(Generation, Option<Position>)>> {
        let mut found: Option<Vec<(Generation, Option<Position>)>> = None;
        for compressed in compressed::list(path) {
            let known =
                self.positions.values().find(|p| p.path == *path && p.file.head == compressed.id.head);
            let position = known.map(|position| position.file).and_then(|file| self.positions.remove(&file));
            // Older than what was being read, or read before the file that is not compressed was begun.
            let wanted = position.is_some() || (found.is_some() && !plain_too);
            if !wanted {
                continue;
            }
            let found = found.get_or_insert_default();
            if position.as_ref().is_some_and(|position| compressed.unpacked_size() == Some(position.resume)) {
                continue;
            }
            let id = position.as_ref().map_or(compressed.id, |position| position.file);
            match compressed.unpack().and_then(|file| Generation::unpacked(file, id)) {
                Ok(generation) => found.push((generation, position)),
                Err(error) => {
                    tracing::warn!(path = &**path, %error, "a compressed log file cannot be read");
                    self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        found
    }
}

/// Oldest first: by the time of the last write, and the one being written last.
fn in_order(live: &str, files: Vec<Found>) -> Vec<Found> {
    let mut keyed: Vec<_> = files
        .into_iter()
        .map(|file| {
            let written = std::fs::metadata(&file.path).and_then(|metadata| metadata.modified()).ok();
            ((file.path.as_os_str() == live, written, file.path.clone()), file)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, file)| file).collect()
}
