//! The files of one chain, read in order, with the state of half-joined records that outlives each of them.

mod cut;
mod progress;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::container::{JoinLimits, Joiner};
use parsers::record::FileId;
use parsers::stage::Pipeline;
use rustc_hash::FxHashSet;

use super::batch::{Filling, Origin};
use super::compressed::Stamp;
use super::generation::{Generation, RawLine};
use super::held::output;
use super::out::Out;
use crate::identity;
use crate::pods::Notes;
use crate::report::{Counters, Loss};

/// Nanoseconds until a file that has just been read is looked at again.
const FIRST_REST: u64 = 50_000_000;

/// The same for a file that has long been quiet: what its first line waits, which thousands of quiet files make worth it.
const LAST_REST: u64 = 1_000_000_000;

/// Heads of files that are remembered: a kubelet keeps five files of a container, other rotations some weeks of days.
const HEADS_KEPT: usize = 64;

/// Files of one chain.
pub(crate) struct Chain {
    pub path: Arc<str>,
    /// Where its container writes, if that is elsewhere: what a position says.
    pub live: Arc<str>,
    /// Compressed files that need no more looking into.
    pub compressed: FxHashSet<Stamp>,
    pub generations: VecDeque<Generation>,
    /// Files that are done with, or never to be read, and perhaps still there.
    pub done: Vec<FileId>,
    pub origin: Origin,
    /// What is known of its container beside the path.
    pub notes: Option<Arc<Notes>>,
    /// Whether more is to be known of it than is.
    pub unknown: bool,
    /// Heads of the files that were read, or are not to be: what is compressed later is told by them.
    heads: VecDeque<u64>,
    /// A copy of the file being written, as `copytruncate` makes one.
    copy: Option<Generation>,
    /// Since when the last of its files has no name any more.
    pub nameless: Option<u64>,
    /// Whether none of them has, of those that are closed neither.
    pub gone: bool,
    /// Whether nothing will come any more.
    pub ended: bool,
    /// When to look for growth again: at once after some, ever later while there is none.
    pub look_at: u64,
    /// Until when a stage wants nothing more.
    pub wait_until: u64,
    rest: u64,
    max_line: usize,
    joiner: Joiner,
    pipeline: Pipeline,
    /// Files read before the one being read.
    file: u64,
    /// When it last grew.
    grown: u64,
}

/// What reading needs and does not own.
pub(crate) struct Means<'a> {
    pub filling: &'a mut Filling,
    pub buffer: &'a mut [u8],
    /// Nanoseconds that a file without a name is read on.
    pub linger: u64,
    pub counters: &'a Counters,
}

impl Chain {
    pub fn new(path: Arc<str>, origin: Origin, max_line: usize, pipeline: Pipeline) -> Self {
        Self {
            live: Arc::clone(&path),
            path,
            compressed: FxHashSet::default(),
            generations: VecDeque::new(),
            done: Vec::new(),
            origin,
            notes: None,
            unknown: false,
            heads: VecDeque::new(),
            copy: None,
            nameless: None,
            gone: false,
            ended: false,
            look_at: 0,
            wait_until: 0,
            rest: 0,
            max_line,
            joiner: Joiner::new(JoinLimits { max_line }),
            pipeline,
            file: 0,
            grown: 0,
        }
    }

    /// Decides when to look again.
    pub fn rest(&mut self, moved: bool, now: u64) {
        self.rest = if moved { 0 } else { (self.rest * 2).clamp(FIRST_REST, LAST_REST) };
        // Files that rest as long are looked at together, so that nothing is done between.
        self.look_at = if moved { 0 } else { (now + self.rest).next_multiple_of(self.rest) };
    }

    /// Looks again at once, and takes nothing for later than now: the clock was set back.
    pub fn set_back(&mut self, now: u64) {
        (self.look_at, self.wait_until) = (0, 0);
        self.grown = self.grown.min(now);
        self.nameless = self.nameless.map(|since| since.min(now));
    }

    /// Whether a file is known: open here, or done with.
    pub fn knows(&self, device: u64, inode: u64, head: impl FnOnce() -> Option<u64>) -> bool {
        if self.generations.iter().any(|generation| generation.is(device, inode)) {
            return true;
        }
        let mut same = self.done.iter().filter(|id| id.device == device && id.inode == inode).peekable();
        if same.peek().is_none() {
            return false;
        }
        let head = head();
        same.any(|id| head.is_some_and(|head| identity::cuts_between(id.head, head).is_some()))
    }

    /// Whether a file in this place is open here, or was.
    pub fn has_place(&self, device: u64, inode: u64) -> bool {
        self.generations.iter().any(|generation| generation.is(device, inode))
            || self.done.iter().any(|id| id.device == device && id.inode == inode)
    }

    /// A file is read from now on.
    pub fn add(&mut self, generation: Generation) {
        self.generations.push_back(generation);
    }

    /// Whether the file being written was removed, while others of its folder may be there.
    pub fn last_is_removed(&self) -> bool {
        self.generations.back().is_some_and(Generation::is_removed)
    }

    /// Whether nothing was read yet of the file being written.
    pub fn last_is_unread(&self) -> bool {
        self.generations.back().is_some_and(|last| last.offset() == 0)
    }

    /// A file is read from now on, before the one being written.
    pub fn add_before_last(&mut self, generation: Generation) {
        self.generations.back_mut().into_iter().for_each(Generation::forget_size);
        self.generations.insert(self.generations.len().saturating_sub(1), generation);
    }

    /// A file is done with, or not to be read.
    pub fn pass(&mut self, id: FileId) {
        self.done.push(id);
        self.keep_head(id.head);
    }

    /// The same of those of which it is known who they are.
    pub fn pass_all(&mut self, files: impl IntoIterator<Item = FileId>) {
        for file in files {
            self.pass(file);
        }
    }

    /// Remembers that what begins like this needs no reading.
    pub fn keep_head(&mut self, head: u64) {
        if self.heads.len() == HEADS_KEPT {
            self.heads.pop_front();
        }
        self.heads.push_back(head);
    }

    /// Whether what begins like this is being read, was read, or is not to be.
    pub fn has_head(&self, head: u64) -> bool {
        let done = self.done.iter().map(|id| id.head);
        let mut noted = self.heads.iter().copied().chain(done);
        noted.any(|noted| identity::cuts_between(noted, head).is_some())
            || self.generations.iter().any(|generation| generation.head() == Some(head))
    }

    /// Lines are read another way from now on: those that were not delivered, and those that half-joined records need, are
    /// read again.
    pub fn change(&mut self, origin: Origin, pipeline: Pipeline) {
        self.origin = origin;
        if self.pipeline.is_like(&pipeline) {
            return;
        }
        for generation in &mut self.generations {
            let before = generation.offset();
            generation.go_back();
            let again = before.saturating_sub(generation.offset());
            self.origin.report.bytes.fetch_sub(again, Ordering::Relaxed);
        }
        self.joiner = Joiner::new(JoinLimits { max_line: self.max_line });
        self.pipeline = pipeline;
        (self.file, self.look_at, self.wait_until) = (0, 0, 0);
    }

    /// Reads on, until there is nothing more or about `budget` bytes were read. Gives how many.
    pub fn read(&mut self, means: &mut Means<'_>, budget: u64) -> io::Result<u64> {
        let mut total = 0;
        while total < budget && self.wait_until <= means.filling.observed {
            let Some(at) = self.generations.iter().position(|generation| !generation.drained) else {
                self.ended = self.gone && self.is_left(means);
                break;
            };
            let Some(generation) = self.generations.get_mut(at) else { break };
            generation.look()?;
            if self.copy.is_some() {
                generation.compare();
            }
            if let Some(cut) = generation.cut() {
                self.start_anew(at, cut, means);
                continue;
            }
            let read = self.lines(at, means, Some(budget - total))?;
            total += read;
            if self.generations.get(at).is_some_and(|generation| generation.cut().is_some()) {
                continue;
            }
            if !self.generations.get(at).is_some_and(Generation::at_end) {
                if read == 0 {
                    break;
                }
                continue;
            }
            match self.generations.len() - at {
                2.. => {
                    let mut written = false;
                    let mut cut = None;
                    for (at, later) in self.generations.iter_mut().enumerate().skip(at + 1) {
                        later.look()?;
                        written |= later.size() > 0;
                        cut = cut.or(later.cut().map(|cut| (at, cut)));
                    }
                    if let Some((later, cut)) = cut {
                        self.start_anew(later, cut, means);
                        continue;
                    }
                    if !written && !self.is_left(means) {
                        break;
                    }
                    // It may have grown until a successor got its first byte, not after.
                    if let Some(generation) = self.generations.get_mut(at) {
                        generation.look()?;
                        if !generation.at_end() {
                            continue;
                        }
                    }
                    total += self.lines(at, means, None)?;
                    self.drained(at);
                    self.joiner.carry_over();
                    self.pipeline.carry_over();
                    self.file += 1;
                }
                _ => {
                    if self.is_left(means) {
                        total += self.lines(at, means, None)?;
                        self.flush(at, means);
                        self.drained(at);
                        self.file += 1;
                        self.ended = self.gone;
                    }
                    break;
                }
            }
        }
        Ok(total)
    }

    /// Whether its files have long had no names, and have not grown.
    fn is_left(&self, means: &Means<'_>) -> bool {
        let quiet = self.nameless.map(|since| means.filling.observed.saturating_sub(since.max(self.grown)));
        quiet.is_some_and(|quiet| quiet >= means.linger)
    }

    fn drained(&mut self, at: usize) {
        if let Some(generation) = self.generations.get_mut(at) {
            generation.drained = true;
        }
    }

    /// Complete lines of one file, or (without a budget) what stands after its last newline.
    fn lines(&mut self, at: usize, means: &mut Means<'_>, budget: Option<u64>) -> io::Result<u64> {
        let Self { generations, joiner, origin, pipeline, .. } = self;
        // What stages held in these files when an earlier run noted how far it was.
        let held: Vec<[u64; 2]> = generations.iter().take(at + 1).map(|generation| generation.held).collect();
        let Some(generation) = generations.get_mut(at) else { return Ok(0) };
        let (mut slot, delivered) = (generation.slot, generation.delivered);
        let now = means.filling.observed;
        let (filling, counters) = (&mut *means.filling, means.counters);
        let mut wait = 0;
        let take = &mut |line: RawLine<'_>, id: FileId| {
            joiner.push(line.bytes, line.offset, &mut |mut record| {
                record.truncated += line.cut;
                origin.report.newest.store(record.time.unwrap_or(now), Ordering::Relaxed);
                if record.truncated > 0 && record.offset >= delivered {
                    origin.report.lose(Loss::of_line(&record, id, line.end(), now));
                }
                if pipeline.is_empty() {
                    if record.offset >= delivered {
                        let file = filling.file(&mut slot, id);
                        filling.push(origin, file, &record);
                    }
                    return;
                }
                let held = at.checked_sub(record.began.files_back as usize).and_then(|at| held.get(at));
                let held = held.and_then(|held| held.get(output(record.stream)));
                if record.offset < delivered && held.is_none_or(|held| record.began.offset < *held) {
                    return;
                }
                let entry = origin.entry(&record, now);
                let mut out =
                    Out { filling, origin, slot: &mut slot, id, delivered, counters, wait: &mut wait };
                pipeline.run(entry, now, &mut out);
            });
        };
        let read = match budget {
            Some(budget) => generation.read(means.buffer, budget, take),
            None => generation.read_rest(means.buffer, take),
        };
        generation.slot = slot;
        if wait > 0 {
            self.wait_until = now + wait;
        }
        let read = read?;
        if read > 0 {
            self.grown = means.filling.observed;
            means.counters.bytes.fetch_add(read, Ordering::Relaxed);
            self.origin.report.bytes.fetch_add(read, Ordering::Relaxed);
        }
        Ok(read)
    }

    /// What is half joined, or waits in a stage, is emitted as it is.
    fn flush(&mut self, at: usize, means: &mut Means<'_>) {
        // A file without a line has no name that a record could have come from.
        let with_lines =
            self.generations.iter().take(at + 1).rposition(|generation| generation.id().is_some());
        if let Some(at) = with_lines {
            self.release(at, means, true);
        }
    }

    /// What has waited in a stage long enough is emitted, now that there is nothing more to read.
    pub fn idle(&mut self, means: &mut Means<'_>) {
        if !self.pipeline.is_empty()
            && let Some(at) = self.generations.iter().rposition(|generation| generation.id().is_some())
        {
            self.release(at, means, false);
        }
    }

    fn release(&mut self, at: usize, means: &mut Means<'_>, all: bool) {
        let Self { generations, joiner, origin, pipeline, .. } = self;
        let Some(generation) = generations.get_mut(at) else { return };
        let Some(id) = generation.id() else { return };
        let (offset, delivered, now) = (generation.offset(), generation.delivered, means.filling.observed);
        let (filling, counters) = (&mut *means.filling, means.counters);
        let (slot, mut wait) = (&mut generation.slot, 0);
        if all {
            joiner.flush(&mut |line| {
                if pipeline.is_empty() {
                    let file = filling.file(slot, id);
                    filling.push(origin, file, &line);
                } else {
                    let entry = origin.entry(&line, now);
                    // What is still half joined was not delivered, wherever it ended.
                    let mut out = Out { filling, origin, slot, id, delivered: 0, counters, wait: &mut wait };
                    pipeline.run(entry, now, &mut out);
                }
            });
        }
        let mut out = Out { filling, origin, slot, id, delivered, counters, wait: &mut wait };
        if all {
            pipeline.flush(now, offset, &mut out);
        } else {
            pipeline.idle(now, offset, &mut out);
        }
    }
}
