//! The files of one chain, read in order, with the state of half-joined records that outlives each of them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::container::{JoinLimits, Joiner};
use parsers::record::{FileId, Position};

use super::batch::{Filling, Origin};
use super::generation::{Generation, RawLine};
use crate::report::{Counters, Lost};

/// Nanoseconds until a file that has just been read is looked at again.
const FIRST_REST: u64 = 50_000_000;

/// The same for a file that has long been quiet: what its first line waits, which thousands of quiet files make worth it.
const LAST_REST: u64 = 1_000_000_000;

/// Files of one chain.
pub(crate) struct Chain {
    pub path: Arc<str>,
    pub generations: VecDeque<Generation>,
    /// Files that are done with, or never to be read, and perhaps still there.
    pub done: Vec<FileId>,
    pub origin: Origin,
    /// Since when its files have no name any more.
    pub nameless: Option<u64>,
    /// Whether nothing will come any more.
    pub ended: bool,
    /// When to look for growth again: at once after some, ever later while there is none.
    pub look_at: u64,
    rest: u64,
    joiner: Joiner,
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
    pub fn new(path: Arc<str>, origin: Origin, max_line: usize) -> Self {
        Self {
            path,
            generations: VecDeque::new(),
            done: Vec::new(),
            origin,
            nameless: None,
            ended: false,
            look_at: 0,
            rest: 0,
            joiner: Joiner::new(JoinLimits { max_line }),
            grown: 0,
        }
    }

    /// Decides when to look again.
    pub fn rest(&mut self, moved: bool, now: u64) {
        self.rest = if moved { 0 } else { (self.rest * 2).clamp(FIRST_REST, LAST_REST) };
        self.look_at = if moved { 0 } else { now + self.rest };
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
        same.any(|id| head == Some(id.head))
    }

    /// Reads on, until there is nothing more or about `budget` bytes were read. Gives how many.
    pub fn read(&mut self, means: &mut Means<'_>, budget: u64) -> io::Result<u64> {
        let mut total = 0;
        while total < budget {
            let Some(at) = self.generations.iter().position(|generation| !generation.drained) else { break };
            let Some(generation) = self.generations.get_mut(at) else { break };
            generation.look()?;
            if generation.is_cut() {
                self.start_anew(at, means);
                continue;
            }
            let read = self.lines(at, means, Some(budget - total))?;
            total += read;
            if !self.generations.get(at).is_some_and(Generation::at_end) {
                if read == 0 {
                    break;
                }
                continue;
            }
            match self.generations.len() - at {
                2.. => {
                    let mut written = false;
                    for later in self.generations.iter_mut().skip(at + 1) {
                        later.look()?;
                        written |= later.size() > 0;
                    }
                    if !written {
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
                }
                _ => {
                    let quiet = self
                        .nameless
                        .map(|since| means.filling.observed.saturating_sub(since.max(self.grown)));
                    if quiet.is_some_and(|quiet| quiet >= means.linger) {
                        total += self.lines(at, means, None)?;
                        self.flush(at, means);
                        self.drained(at);
                        self.ended = true;
                    }
                    break;
                }
            }
        }
        Ok(total)
    }

    fn drained(&mut self, at: usize) {
        if let Some(generation) = self.generations.get_mut(at) {
            generation.drained = true;
        }
    }

    /// Complete lines of one file, or (without a budget) what stands after its last newline.
    fn lines(&mut self, at: usize, means: &mut Means<'_>, budget: Option<u64>) -> io::Result<u64> {
        let Self { generations, joiner, origin, .. } = self;
        let Some(generation) = generations.get_mut(at) else { return Ok(0) };
        let (mut slot, delivered) = (generation.slot, generation.delivered);
        let filling = &mut *means.filling;
        let take = &mut |line: RawLine<'_>, id: FileId| {
            if line.cut > 0 {
                origin.report.lose(Lost::LineTooLong, line.cut);
            }
            joiner.push(line.bytes, line.offset, &mut |record| {
                if record.offset >= delivered {
                    let file = filling.file(&mut slot, id);
                    filling.push(origin, file, &record);
                }
            });
        };
        let read = match budget {
            Some(budget) => generation.read(means.buffer, budget, take),
            None => generation.read_rest(means.buffer, take),
        };
        generation.slot = slot;
        let read = read?;
        if read > 0 {
            self.grown = means.filling.observed;
            means.counters.bytes.fetch_add(read, Ordering::Relaxed);
            self.origin.report.bytes.fetch_add(read, Ordering::Relaxed);
        }
        Ok(read)
    }

    /// What is half joined is emitted as it is.
    fn flush(&mut self, at: usize, means: &mut Means<'_>) {
        let Some(generation) = self.generations.get_mut(at) else { return };
        let Some(id) = generation.id() else { return };
        let (origin, filling) = (&mut self.origin, &mut *means.filling);
        let file = filling.file(&mut generation.slot, id);
        self.joiner.flush(&mut |line| filling.push(origin, file, &line));
    }

    /// The file is shorter than what was read of it: reading starts at its beginning.
    fn start_anew(&mut self, at: usize, means: &mut Means<'_>) {
        self.flush(at, means);
        let Some(generation) = self.generations.get_mut(at) else { return };
        let unread = generation.unfinished();
        means.counters.truncations.fetch_add(1, Ordering::Relaxed);
        self.origin.report.lose(Lost::Truncated, unread);
        tracing::warn!(path = &*self.path, unread, "the file was truncated: reading from its beginning");
        generation.start_anew();
    }

    /// How far each file is, where that has changed since the last batch.
    pub fn positions(&mut self, agent: &Arc<str>, now: u64, out: &mut Vec<Position>) -> io::Result<()> {
        let last = self.generations.len().saturating_sub(1);
        let active = self.generations.iter().position(|generation| !generation.drained).unwrap_or(last);
        let carried = self.joiner.carried();
        let first = carried.and_then(|carried| active.checked_sub(carried.files_back as usize));
        for (at, generation) in self.generations.iter_mut().enumerate().take(active + 1) {
            let Some(file) = generation.id() else { continue };
            let read = generation.offset();
            let resume = match (first, carried) {
                (Some(first), Some(carried)) if at == first => carried.offset,
                // What began further back is joined anew with all that came since: the other output's records too.
                (Some(first), _) if at > first => 0,
                _ if at == active => self.joiner.pending_offset().unwrap_or(read),
                _ => read,
            };
            let offset = read.max(generation.delivered);
            if read == 0 || generation.noted == Some((offset, resume)) {
                continue;
            }
            let marker = generation.marker(resume)?;
            generation.noted = Some((offset, resume));
            let (agent, path) = (Arc::clone(agent), Arc::clone(&self.path));
            out.push(Position { agent, file, offset, resume, marker, path, time: now });
        }
        Ok(())
    }

    /// What was noted is safe: files that are read to their ends can be closed.
    pub fn acknowledged(&mut self) {
        for generation in &mut self.generations {
            if let Some((_, resume)) = generation.noted {
                generation.safe = resume;
            }
        }
        while self.generations.front().is_some_and(Generation::is_finished) {
            self.done.extend(self.generations.pop_front().and_then(|generation| generation.id()));
        }
        self.report();
    }

    /// Counts what is written but not acknowledged.
    pub fn report(&self) {
        let behind = self.generations.iter().map(|g| g.size().saturating_sub(g.safe)).sum();
        self.origin.report.behind.store(behind, Ordering::Relaxed);
    }
}
