//! From the files that discovery lists to the chains that are read: which of them are new, known, copies of known ones, or
//! those that an earlier run was reading; and what is read how after a new configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::record::{FileId, Position};
use parsers::stage::Pipeline;
use rustc_hash::FxHashSet;

use super::Tailer;
use crate::discovery::{Discovery, Found, Look};
use crate::pods::{Known, Notes};
use crate::reading::batch::Origin;
use crate::reading::compressed::{Compressed, Stamp};
use crate::reading::origin::{origin, report};
use crate::reading::{Chain, Generation};
use crate::report::{ContainerReport, Loss, Lost};

/// One of so many files that may be open is kept for those that take the place of rotated ones, which cannot be closed before.
const FOR_SUCCESSORS: usize = 4;

/// A file that was opened just now.
struct Opened {
    generation: Generation,
    path: PathBuf,
    /// Whether it is the one that its chain writes.
    live: bool,
    /// Whether a glob covers its very name.
    asked_for: bool,
}

impl Tailer {
    /// Opens what is new and notes what is gone.
    pub(super) fn found(&mut self, look: Look, now: u64) {
        let Look { chains, mut compressed, folders, full } = look;
        self.look_at = 0;
        for (path, chain) in &mut self.chains {
            let looked_at = folders.as_ref().is_none_or(|folders| {
                Path::new(&**path).parent().is_some_and(|folder| folders.contains(folder))
            });
            if looked_at && !chains.contains_key(path) {
                chain.nameless.get_or_insert(now);
                chain.gone = true;
                chain.look_at = 0;
                self.moved.insert(Arc::clone(path));
            }
        }
        let open = self.chains.values().flat_map(|chain| chain.generations.iter().map(Generation::place));
        let mut open: FxHashSet<(u64, u64)> = open.collect();
        let mut waiting = 0;
        let listed: FxHashSet<Arc<str>> = chains
            .keys()
            .filter(|path| self.twins.contains(*path) || self.excluded.contains(*path))
            .cloned()
            .collect();
        // Those that are read already come first, so that none of their files is taken for one of another name.
        let (known, new): (Vec<_>, Vec<_>) =
            chains.into_iter().partition(|(path, _)| self.chains.contains_key(path));
        for (path, files) in known.into_iter().chain(new) {
            let compressed = compressed.remove(&path).unwrap_or_default();
            let known = self.chains.contains_key(&path);
            let more = self.not_opened(&path, &files);
            let kept_free = if known { 0 } else { self.options.max_files / FOR_SUCCESSORS };
            if more > 0 && open.len() + more + kept_free > self.options.max_files {
                waiting += more as u64;
                self.discovery.look_again(&path);
                continue;
            }
            let there: FxHashSet<(u64, u64)> = files.iter().filter_map(|file| place(&file.path)).collect();
            let opened = self.open_all(&path, files);
            if known {
                open.extend(opened.iter().map(|file| file.generation.place()));
                self.go_on(&path, opened, &there, &compressed, now);
            } else if opened.iter().any(|file| open.contains(&file.generation.place())) {
                self.discovery.look_again(&path);
                if self.twins.insert(Arc::clone(&path)) {
                    tracing::warn!(
                        path = &*path,
                        "the file is read already under another path: not read again"
                    );
                }
            } else {
                open.extend(opened.iter().map(|file| file.generation.place()));
                self.start(path, opened, &compressed, now);
            }
        }
        // A look at some folders knows nothing of those that wait in others.
        if waiting > 0 && self.counters.waiting_files.fetch_max(waiting, Ordering::Relaxed) == 0 {
            let limit = self.options.max_files;
            tracing::warn!("{limit} files are open, as many as may be: {waiting} more wait (ulimit -n?)");
        }
        if full {
            // Their folders are listed at each full look.
            self.twins.retain(|path| listed.contains(path));
            self.excluded.retain(|path| listed.contains(path));
            self.counters.waiting_files.store(waiting, Ordering::Relaxed);
        }
    }

    /// How many of the files are still to be opened.
    fn not_opened(&self, path: &str, files: &[Found]) -> usize {
        let Some(chain) = self.chains.get(path) else { return files.len() };
        let places = files.iter().filter_map(|file| place(&file.path));
        places.filter(|(device, inode)| !chain.has_place(*device, *inode)).count()
    }

    fn open_all(&mut self, path: &Arc<str>, files: Vec<Found>) -> Vec<Opened> {
        let mut opened = Vec::new();
        for file in in_order(path, files) {
            match self.open(path, &file) {
                Ok(Some(generation)) => {
                    let live = file.path.as_os_str() == &**path;
                    opened.push(Opened { generation, live, asked_for: file.asked_for, path: file.path });
                }
                Ok(None) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %file.path.display(), %error, "a log file cannot be opened now");
                    self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                    self.discovery.look_again(path);
                }
            }
        }
        opened
    }

    /// The file, unless its chain knows it.
    fn open(&self, path: &Arc<str>, file: &Found) -> std::io::Result<Option<Generation>> {
        let Some(chain) = self.chains.get(path) else {
            return Generation::open(&file.path).map(Some);
        };
        let stat = rustix::fs::stat(&file.path)?;
        if chain.knows(stat.st_dev, stat.st_ino, || {
            Generation::open(&file.path).ok().and_then(|opened| opened.head())
        }) {
            return Ok(None);
        }
        let generation = Generation::open(&file.path)?;
        // Between the two looks another file may have taken the name.
        let (device, inode) = generation.place();
        let known = chain.knows(device, inode, || generation.head());
        Ok((!known).then_some(generation))
    }

    /// More files of a chain that is being read.
    fn go_on(
        &mut self,
        path: &Arc<str>,
        opened: Vec<Opened>,
        there: &FxHashSet<(u64, u64)>,
        compressed: &[PathBuf],
        now: u64,
    ) {
        let Some(chain) = self.chains.get_mut(path) else { return };
        (chain.gone, chain.ended, chain.look_at) = (false, false, 0);
        let live = place(Path::new(&**path))
            .filter(|&(device, inode)| chain.generations.back().is_some_and(|last| last.is(device, inode)));
        let (mut strays, mut again) = (Vec::new(), false);
        for Opened { generation, path: file, live: is_live, .. } in opened {
            match generation.id() {
                _ if is_live => chain.add(generation),
                Some(id) if chain.has_head(id.head) => {
                    chain.pass(id);
                    chain.keep_copy(generation);
                }
                _ if live.is_none() => chain.add(generation),
                Some(_) if chain.last_is_unread() => chain.add_before_last(generation),
                Some(id) => {
                    chain.pass(id);
                    strays.push((file, generation));
                }
                // Whose it is cannot be told before its first line is complete.
                None => again = true,
            }
        }
        let stamped: Vec<(&PathBuf, Stamp)> =
            compressed.iter().filter_map(|file| Some((file, Stamp::of(file)?))).collect();
        let known = std::mem::take(&mut chain.compressed);
        for (file, stamp) in stamped {
            if known.contains(&stamp) {
                chain.compressed.insert(stamp);
                continue;
            }
            // What cannot be unpacked is perhaps being written: it is tried again.
            let Ok(Some(packed)) = Compressed::open(file.clone()) else {
                again = true;
                continue;
            };
            if !chain.has_head(packed.id.head) {
                let unpacked =
                    packed.unpack().and_then(|file| Generation::unpacked(file, packed.id, packed.id.head));
                let Ok(generation) = unpacked else {
                    again = true;
                    continue;
                };
                chain.keep_head(packed.id.head);
                strays.push((file.clone(), generation));
            }
            chain.compressed.insert(stamp);
        }
        chain.nameless = chain.last_is_removed().then(|| chain.nameless.unwrap_or(now));
        chain.check_copy(there);
        // Not before: what was compressed just now is known by what it was.
        chain.done.retain(|id| there.contains(&(id.device, id.inode)));
        if again {
            self.discovery.look_again(path);
        }
        self.start_strays(path, strays, now);
    }

    /// Files that were missed while they were written, and that were rotated since. They belong before what was read of their
    /// chain already, so that they make one of their own.
    fn start_strays(&mut self, live: &Arc<str>, strays: Vec<(PathBuf, Generation)>, now: u64) {
        let first = strays.first().and_then(|(path, _)| path.to_str()).map(Arc::<str>::from);
        let Some(path) = first else { return };
        let known = self.known(live);
        let Some((origin, pipeline)) = self.origin(&path, live, None, known.as_ref().and_then(Known::notes))
        else {
            return;
        };
        tracing::info!(
            path = &*path,
            "rotated files that were not seen while they were written are read now"
        );
        if let Some(chain) = self.chains.get_mut(&path) {
            // Others of this name are not read to their ends yet.
            for (_, generation) in strays {
                chain.add(generation);
            }
            (chain.ended, chain.look_at) = (false, 0);
            return;
        }
        let mut chain = Chain::new(Arc::clone(&path), origin, self.options.max_line, pipeline);
        chain.live = Arc::clone(live);
        chain.wait_for(known, now);
        for (_, generation) in strays {
            chain.add(generation);
        }
        self.counters.arrived(Arc::clone(&chain.origin.report));
        self.chains.insert(path, chain);
    }

    /// What is said of a file's lines, and done to them; `None` if it is not to be read.
    pub(super) fn origin(
        &self,
        path: &Arc<str>,
        live: &Arc<str>,
        before: Option<&ContainerReport>,
        notes: Option<&Notes>,
    ) -> Option<(Origin, Pipeline)> {
        if notes.is_some_and(|notes| notes.excluded) {
            return None;
        }
        let source = self.discovery.source(live).and_then(|at| self.options.files.get(at))?;
        let relabel = Some(&source.relabel).filter(|relabel| !relabel.is_empty());
        let node = self.options.node.as_deref();
        let mut report = report(path, live, &self.rules);
        if let Some(before) = before {
            report = report.going_on_from(before);
        }
        let pipeline = match notes {
            Some(notes) => {
                report.problems.clone_from(&notes.problems);
                notes.pipeline(&source.pipeline)
            }
            None => source.pipeline.fork(),
        };
        Some((origin(live, node, relabel, notes, report)?, pipeline))
    }

    /// A container is seen for the first time in this run: it goes on where an earlier run was, with all that was rotated
    /// since.
    fn start(&mut self, path: Arc<str>, opened: Vec<Opened>, compressed: &[PathBuf], now: u64) {
        let known = self.known(&path);
        let Some((origin, pipeline)) = self.origin(&path, &path, None, known.as_ref().and_then(Known::notes))
        else {
            self.excluded
                .extend(known.as_ref().and_then(Known::notes).filter(|notes| notes.excluded).map(|_| path));
            return;
        };
        let mut chain = Chain::new(Arc::clone(&path), origin, self.options.max_line, pipeline);
        chain.wait_for(known, now);
        chain.compressed.extend(compressed.iter().filter_map(|file| Stamp::of(file)));
        let read_before = self.earlier.has_path(&path);
        let mut last = self.earlier.last(&path);
        let mut settled: Vec<(Opened, bool)> = Vec::new();
        let mut taken = Vec::new();
        let mut copied: Vec<Position> = Vec::new();
        for mut file in opened {
            let own = file.generation.id();
            let noted = if read_before { self.settle(&path, &mut file.generation) } else { None };
            if file.generation.stands_in() {
                chain.pass_all(own);
                taken.extend(noted.as_ref().map(|noted| noted.file));
            }
            if noted.is_none() && !file.live && copied.iter().any(|other| file.generation.has_read(other)) {
                // Another copy of the same.
                chain.pass_all(own);
                continue;
            }
            copied.extend(noted.clone());
            // Files that were read to their ends go without a loss: one of those noted last is enough.
            if noted.as_ref().is_some_and(|noted| last.iter().any(|last| last.file == noted.file)) {
                last.clear();
            }
            settled.push((file, noted.is_some()));
        }
        // What stands now in a file that a copy has taken the part of is another one, even if it begins alike.
        for (file, _) in &mut settled {
            file.generation.set_apart_from(&taken);
        }
        let resumed = settled.iter().position(|(_, settled)| *settled);
        if read_before {
            let (unread, noted) = self.unpack(&path, compressed, resumed.is_some());
            if last.iter().any(|last| noted.contains(&last.file)) {
                last.clear();
            }
            for generation in unread {
                chain.add(generation);
            }
        }
        if let Some(lost) = last.first().filter(|_| !settled.is_empty()) {
            let (reason, file, from) = (Lost::RotatedAway, Some(lost.file), lost.resume);
            tracing::warn!(
                path = &*path,
                from,
                "the file that was read before is gone: what it got since is lost"
            );
            chain.origin.report.lose(Loss { reason, file, from, to: None, bytes: 0, time: now });
        }
        for (at, (file, _)) in settled.into_iter().enumerate() {
            let wanted = match resumed {
                Some(first) => at >= first,
                None => read_before || file.asked_for || file.live,
            };
            match file.generation.id() {
                Some(id) if !wanted => chain.pass(id),
                None if !wanted => {}
                _ => chain.add(file.generation),
            }
        }
        self.counters.arrived(Arc::clone(&chain.origin.report));
        self.chains.insert(path, chain);
    }

    /// Goes on with a file where an earlier run was: in this very file, or in one of the same path that it is a copy of. Gives
    /// what was noted.
    fn settle(&mut self, path: &Arc<str>, generation: &mut Generation) -> Option<Position> {
        let head = generation.head()?;
        let mut noted = self.earlier.of_file(path, generation.place());
        noted.retain(|position| generation.is_like(position.file, head));
        let mut mismatch = false;
        let mut found = None;
        for position in noted {
            let own = generation.take_for(position.file);
            if generation.holds(position) {
                if !own {
                    generation.stand_for(position.file);
                }
                generation.resume(position);
                found = Some(position.clone());
                break;
            }
            mismatch |= own;
        }
        if found.is_none() && mismatch {
            generation.set_apart();
            tracing::warn!(path = &**path, "the file is not what it was: reading from its beginning");
            self.counters.position_mismatches.fetch_add(1, Ordering::Relaxed);
        }
        let found = found?;
        self.earlier.take(found.file);
        Some(found)
    }

    /// What was compressed since an earlier run: from the file that was being read then, which is told by its first line, with how
    /// far it was. Where a file that is not compressed was being read, too, only what is half joined can be missing. Gives the
    /// files with unread lines, and those of which something was noted.
    fn unpack(
        &mut self,
        path: &Arc<str>,
        compressed: &[PathBuf],
        plain_too: bool,
    ) -> (Vec<Generation>, Vec<FileId>) {
        let (mut unread, mut noted) = (Vec::new(), Vec::new());
        for file in compressed {
            let Ok(Some(packed)) = Compressed::open(file.clone()) else { continue };
            let position = self.earlier.beginning_as(path, packed.id.head);
            // Older than what was being read, or read before the file that is not compressed was begun.
            if position.is_none() && (noted.is_empty() || plain_too) {
                continue;
            }
            noted.extend(position.as_ref().map(|position| position.file));
            if position.as_ref().is_some_and(|position| packed.unpacked_size() == Some(position.resume)) {
                continue;
            }
            let id = position.as_ref().map_or(packed.id, |position| position.file);
            match packed.unpack().and_then(|file| Generation::unpacked(file, id, packed.id.head)) {
                Ok(mut generation) => {
                    if let Some(position) = position.filter(|position| generation.holds(position)) {
                        generation.resume(&position);
                    }
                    unread.push(generation);
                }
                Err(error) => {
                    tracing::warn!(path = &**path, %error, "a compressed log file cannot be read");
                    self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        (unread, noted)
    }

    /// Goes over to what [`Tailer::reconfigure`] was given. Nothing is under way.
    pub(super) fn change(&mut self) {
        let Some((mut options, deriver)) = self.next.take() else { return };
        for source in &mut options.files {
            let like = self.options.files.iter().find(|old| old.pipeline.is_like(&source.pipeline));
            // What its stages share among containers goes on.
            source.pipeline = like.map_or_else(|| source.pipeline.clone(), |old| old.pipeline.clone());
        }
        self.rules = deriver.rule_names().into();
        self.filling.derive_by(deriver);
        self.discovery = Discovery::new(&options, Arc::clone(&self.counters));
        self.options = options;
        self.twins.clear();
        self.look_at = 0;
        self.change_chains(|_, _| true);
    }
}

fn place(path: &Path) -> Option<(u64, u64)> {
    rustix::fs::stat(path).ok().map(|stat| (stat.st_dev, stat.st_ino))
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
