//! The files of one chain, read in order, with the state of half-joined records that outlives each of them.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::container::{Carried, JoinLimits, Joiner};
use parsers::record::{FileId, Position};
use parsers::stage::Pipeline;
use rustc_hash::FxHashSet;

use super::batch::{Filling, Origin};
use super::compressed::{Compressed, oldest_first};
use super::generation::{Generation, RawLine};
use super::held::{Place, output, place};
use super::out::Out;
use crate::discovery::live_name;
use crate::identity;
use crate::report::{Counters, Lost};

/// Nanoseconds until a file that has just been read is looked at again.
const FIRST_REST: u64 = 50_000_000;

/// The same for a file that has long been quiet: what its first line waits, which thousands of quiet files make worth it.
const LAST_REST: u64 = 1_000_000_000;

/// First lines that are remembered of files that are done with: a kubelet keeps five files of a container, others some weeks'.
const HEADS_KEPT: usize = 64;

/// Files of one chain.
pub(crate) struct Chain {
    pub path: Arc<str>,
    pub generations: VecDeque<Generation>,
    /// Files that are done with, or never to be read, and perhaps still there.
    pub done: Vec<FileId>,
    /// Compressed files that were looked at.
    pub packed: FxHashSet<PathBuf>,
    /// First lines of the files that are done with, as [`Generation::head`] has them.
    heads: VecDeque<u64>,
    pub origin: Origin,
    /// Since when its files have no name any more.
    pub nameless: Option<u64>,
    /// Whether nothing will come any more.
    pub ended: bool,
    /// When to look for growth again: at once after some, ever later while there is none.
    pub look_at: u64,
    /// Until when a stage wants nothing more.
    pub wait_until: u64,
    rest: u64,
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
            path,
            generations: VecDeque::new(),
            done: Vec::new(),
            packed: FxHashSet::default(),
            heads: VecDeque::new(),
            origin,
            nameless: None,
            ended: false,
            look_at: 0,
            wait_until: 0,
            rest: 0,
            joiner: Joiner::new(JoinLimits { max_line }),
            pipeline,
            file: 0,
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
        same.any(|id| head.is_some_and(|head| identity::cuts_between(id.head, head).is_some()))
    }

    /// Reads on, until there is nothing more or about `budget` bytes were read. Gives how many.
    pub fn read(&mut self, means: &mut Means<'_>, budget: u64) -> io::Result<u64> {
        let mut total = 0;
        while total < budget && self.wait_until <= means.filling.observed {
            let Some(at) = self.generations.iter().position(|generation| !generation.drained) else { break };
            let Some(generation) = self.generations.get_mut(at) else { break };
            generation.look()?;
            if generation.is_cut()? {
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
                    self.pipeline.carry_over();
                    self.file += 1;
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
        let Self { generations, joiner, origin, pipeline, .. } = self;
        // What stages held in these files when an earlier run noted how far it was.
        let held: Vec<[u64; 2]> = generations.iter().take(at + 1).map(|generation| generation.held).collect();
        let Some(generation) = generations.get_mut(at) else { return Ok(0) };
        let (mut slot, delivered) = (generation.slot, generation.delivered);
        let now = means.filling.observed;
        let (filling, counters) = (&mut *means.filling, means.counters);
        let mut wait = 0;
        let take = &mut |line: RawLine<'_>, id: FileId| {
            if line.cut > 0 {
                origin.report.lose(Lost::LineTooLong, line.cut);
            }
            joiner.push(line.bytes, line.offset, &mut |record| {
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
        self.release(at, means, true);
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
                    let mut out = Out { filling, origin, slot, id, delivered, counters, wait: &mut wait };
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

    /// A file that is new: the one being written, or one that was rotated. There is nothing new in a copy of one that is open.
    pub fn add(&mut self, new: Generation, live: bool) {
        if !live && self.generations.iter().any(|known| known.is_copied_in(&new).unwrap_or(false)) {
            self.leave(&new);
            return;
        }
        let current = rustix::fs::stat(&*self.path).ok().filter(|_| !live);
        let before =
            current.and_then(|stat| self.generations.iter().position(|g| g.is(stat.st_dev, stat.st_ino)));
        self.generations.insert(before.unwrap_or(self.generations.len()), new);
    }

    /// The files among these compressed ones that were written, rotated and compressed before anybody saw them. `new` are
    /// files that were found with them.
    pub fn packed(
        &mut self,
        packed: &[PathBuf],
        new: &[&Generation],
        counters: &Counters,
    ) -> Vec<Generation> {
        self.packed.retain(|path| packed.contains(path));
        let mut unseen: Vec<PathBuf> =
            packed.iter().filter(|path| !self.packed.contains(*path)).cloned().collect();
        oldest_first(&mut unseen);
        let mut unread = Vec::new();
        for path in unseen {
            // One that is still being written cannot be read yet, and its original is still there.
            let Ok(file) = Compressed::open(path.clone()) else { continue };
            self.packed.insert(path);
            let Some(file) = file else { continue };
            let open = self.generations.iter().chain(new.iter().copied()).filter_map(Generation::head);
            if self.heads.iter().copied().chain(open).any(|head| head == file.id.head) {
                continue;
            }
            match file.unpack().and_then(|unpacked| Generation::unpacked(unpacked, file.id)) {
                Ok(generation) => unread.push(generation),
                Err(error) => {
                    tracing::warn!(path = &*self.path, %error, "a compressed log file cannot be read");
                    counters.read_errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        unread
    }

    /// A file is done with.
    pub fn leave(&mut self, generation: &Generation) {
        self.done.extend(generation.id());
        if self.heads.len() == HEADS_KEPT {
            self.heads.pop_front();
        }
        self.heads.extend(generation.head());
    }

    /// A file was cut: what it had and was not read yet stands in a copy of it, if whoever cut it has made one.
    fn go_on_in_copy(&mut self, at: usize) -> bool {
        let Some(generation) = self.generations.get_mut(at) else { return false };
        let copies = siblings(&self.path).filter_map(|path| Generation::open(&path).ok());
        let copies = copies.filter(|copy| generation.is_copied_in(copy).unwrap_or(false));
        let Some(copy) = copies.max_by_key(Generation::size) else { return false };
        if copy.size() < generation.offset() {
            return false;
        }
        self.done.extend(copy.id());
        let copy = generation.goes_on_in(copy);
        self.generations.insert(at, copy);
        true
    }

    /// The file is shorter than what was read of it: reading starts at its beginning.
    fn start_anew(&mut self, at: usize, means: &mut Means<'_>) {
        if self.go_on_in_copy(at) {
            means.counters.truncations.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.flush(at, means);
        let Some(generation) = self.generations.get_mut(at) else { return };
        let unread = generation.unread_when_cut();
        means.counters.truncations.fetch_add(1, Ordering::Relaxed);
        // What was written after the last look is not known.
        self.origin.report.lose(Lost::Truncated, unread.max(1));
        tracing::warn!(path = &*self.path, unread, "the file was truncated: reading from its beginning");
        generation.start_anew();
    }

    /// How far each file is, where that has changed since the last batch.
    pub fn positions(&mut self, agent: &Arc<str>, now: u64, out: &mut Vec<Position>) -> io::Result<()> {
        let last = self.generations.len().saturating_sub(1);
        let active = self.generations.iter().position(|generation| !generation.drained).unwrap_or(last);
        let now_at = self.file;
        let joining = self.joiner.carried().or(self.joiner.pending_offset().map(Carried::here));
        let held = [false, true].map(|stderr| self.pipeline.held(stderr));
        let held = held.map(|from| from.map(|from| place(now_at, from)));
        let again = held.into_iter().chain([joining.map(|from| place(now_at, from))]).flatten().min();
        for (at, generation) in self.generations.iter_mut().enumerate().take(active + 1) {
            let Some(file) = generation.id() else { continue };
            let number = now_at.saturating_sub((active - at) as u64);
            // What began in an earlier file is read anew with all that came since.
            let within = |place: Option<Place>, otherwise: u64| match place {
                Some((began, offset)) if began == number => offset,
                Some((began, _)) if began < number => 0,
                _ => otherwise,
            };
            let read = generation.offset();
            let offset = read.max(generation.delivered);
            let noted = (offset, within(again, read), held.map(|held| within(held, offset)));
            if read == 0 || generation.noted == Some(noted) {
                continue;
            }
            let (offset, resume, held) = noted;
            let marker = generation.marker(resume)?;
            generation.noted = Some(noted);
            let (agent, path) = (Arc::clone(agent), Arc::clone(&self.path));
            out.push(Position { agent, file, offset, resume, held, marker, path, time: now });
        }
        Ok(())
    }

    /// What was noted is safe: files that are read to their ends can be closed.
    pub fn acknowledged(&mut self) {
        for generation in &mut self.generations {
            if let Some((_, resume, _)) = generation.noted {
                generation.safe = resume;
            }
        }
        while let Some(generation) = self.generations.pop_front_if(|generation| generation.is_finished()) {
            self.leave(&generation);
        }
        self.report();
    }

    /// Looks how long its files are, to count what is written.
    pub fn count(&mut self) {
        for generation in &mut self.generations {
            // One that cannot be looked at cannot be read, which is told then.
            let _ = generation.look();
        }
        self.report();
    }

    /// Counts what is written but not acknowledged.
    pub fn report(&self) {
        let behind = self.generations.iter().map(|g| g.size().saturating_sub(g.safe)).sum();
        self.origin.report.behind.store(behind, Ordering::Relaxed);
    }
}

/// The rotated files of a chain that are not compressed.
fn siblings(live: &str) -> impl Iterator<Item = PathBuf> {
    let live = Path::new(live);
    let entries =
        live.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        path != live && name.is_some_and(|name| live.file_name().is_some_and(|live| live == live_name(name)))
    })
}
