//! Which files there are: globs walked from their fixed beginnings, folders watched for names that come and go, and an honest
//! look at everything now and then. Nothing here opens a file.

mod glob;
mod memory;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use glob::Glob;

use crate::options::TailOptions;
use crate::report::Counters;
use memory::Memory;
use watch::Watches;

/// Endings of rotated files that are not text any more, nor can be unpacked.
const NOT_TEXT: [&str; 4] = [".bz2", ".xz", ".zst", ".tmp"];

/// Ending of compressed generations.
const GZ: &str = ".gz";

/// Nanoseconds between looks at all folders, for each of them.
const RECONCILE_A_FOLDER: u64 = 3_000_000;

/// A file, as a folder lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Whether a glob covers this very name; rotated files are found without.
    pub asked_for: bool,
}

/// The files of one chain: the one being written, and rotated ones, under the path of the former.
pub type Chains = BTreeMap<Arc<str>, Vec<Found>>;

/// What a look gave.
#[derive(Debug, Default)]
pub struct Look {
    /// Chains that have files in the folders looked at.
    pub chains: Chains,
    /// Compressed generations of chains, oldest first by their names.
    pub compressed: BTreeMap<Arc<str>, Vec<PathBuf>>,
    /// The folders looked at, or `None` for all: chains there that are not listed have no file any more.
    pub folders: Option<BTreeSet<PathBuf>>,
    /// Whether all folders were looked at that have changed.
    pub full: bool,
}

/// Finds files.
pub struct Discovery {
    globs: Vec<Glob>,
    exclude: Vec<Glob>,
    watches: Watches,
    /// Whether a folder could not be watched.
    polling: bool,
    reconcile_every: u64,
    poll_every: u64,
    last_full: Option<u64>,
    /// Folders at the last look at all.
    folders: usize,
    /// Those of them that hold files.
    with_files: BTreeSet<PathBuf>,
    /// Folders as they were listed last.
    memory: Memory,
    /// Folders that files are linked from, by the folder in which they really are.
    links: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    counters: Arc<Counters>,
}

impl Discovery {
    /// Looks at nothing yet.
    pub fn new(options: &TailOptions, counters: Arc<Counters>) -> Self {
        Self {
            globs: options.files.iter().map(|source| Glob::new(&source.glob)).collect(),
            exclude: options.exclude.iter().map(|text| Glob::new(text)).collect(),
            watches: Watches::new(),
            polling: false,
            reconcile_every: options.reconcile_every,
            poll_every: options.poll_every,
            last_full: None,
            folders: 0,
            with_files: BTreeSet::new(),
            memory: Memory::default(),
            links: BTreeMap::new(),
            counters,
        }
    }

    /// Looks at what has changed; `None` if nothing has. `now` is in nanoseconds.
    pub fn look(&mut self, now: u64) -> Option<Look> {
        let changes = self.watches.changes();
        if changes.overflow {
            self.counters.event_overflows.fetch_add(1, Ordering::Relaxed);
        }
        let every = if self.polling {
            self.poll_every
        } else {
            // A look at a folder and its files takes some 15 us: in all no more than half a percent of a core.
            self.reconcile_every.max(self.folders as u64 * RECONCILE_A_FOLDER)
        };
        let due = self.last_full.is_none_or(|last| now.saturating_sub(last) >= every || now < last);
        if due || changes.tree || changes.overflow {
            let look = self.look_at_all();
            self.last_full = Some(now);
            return Some(look);
        }
        if changes.folders.is_empty() {
            return None;
        }
        let linked = changes.folders.iter().filter_map(|folder| self.links.get(folder)).flatten().cloned();
        let folders: BTreeSet<PathBuf> = linked.chain(changes.folders.iter().cloned()).collect();
        let mut look = Look::default();
        for folder in &folders {
            self.list(folder, &mut look);
        }
        self.watch_links();
        look.compressed.values_mut().for_each(|files| oldest_first(files));
        Some(Look { folders: Some(folders), ..look })
    }

    fn look_at_all(&mut self) -> Look {
        let mut folders = BTreeSet::new();
        let mut with_files = BTreeSet::new();
        for glob in &self.globs {
            if let Some((_, parts)) = glob.parts().split_last() {
                self.memory.walk(Path::new("/"), parts, &mut folders, &mut with_files);
            }
        }
        // Watches come before the listing, so that what is created in between is told by one of the two.
        let mut unwatched = folders.iter().filter(|folder| !self.watches.add(folder)).count() as u64;
        let mut look = Look { full: true, ..Look::default() };
        self.links.clear();
        let mut looked_at: BTreeSet<PathBuf> = self.with_files.difference(&with_files).cloned().collect();
        for folder in &with_files {
            if self.polling || !self.memory.is_unchanged(folder) {
                self.watches.renew(folder);
                self.list(folder, &mut look);
                looked_at.insert(folder.clone());
            }
        }
        look.compressed.values_mut().for_each(|files| oldest_first(files));
        look.folders = self.last_full.is_some().then_some(looked_at);
        self.with_files = with_files;
        unwatched += self.watch_links();
        self.folders = folders.len() + self.links.len();
        folders.extend(self.links.keys().cloned());
        self.watches.retain(&folders);
        self.memory.retain(&folders);
        if unwatched > 0 && !self.polling {
            tracing::warn!(
                "{unwatched} folders cannot be watched (fs.inotify.max_user_watches? a network file system?): all are polled instead"
            );
        }
        self.polling = unwatched > 0;
        self.counters.unwatched_folders.store(unwatched, Ordering::Relaxed);
        look
    }

    /// Watches the folders in which linked files really are. Gives how many cannot be watched.
    fn watch_links(&mut self) -> u64 {
        self.links.keys().filter(|folder| !self.watches.add(folder)).count() as u64
    }

    fn list(&mut self, folder: &Path, look: &mut Look) {
        let mut before = Memory::stamp(folder);
        // A folder that is gone holds nothing.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                continue;
            }
            if kind.is_symlink() {
                // What it leads to may change without this folder.
                before = None;
            }
            let path = entry.path();
            let Some(live) = self.list_file(folder, &path, None, look) else { continue };
            if kind.is_symlink() && *live == path {
                self.follow(folder, &path, &live, look);
            }
        }
        self.memory.keep(folder, before);
    }

    /// A file belongs to the chain of its name, or to the one that it is found for. Gives the path of that chain.
    fn list_file(
        &self,
        folder: &Path,
        path: &Path,
        of: Option<&Arc<str>>,
        look: &mut Look,
    ) -> Option<Arc<str>> {
        let (text, name) = (path.to_str()?, path.file_name()?.to_str()?);
        if NOT_TEXT.iter().any(|ending| name.ends_with(ending)) {
            return None;
        }
        let live: Arc<str> = match of {
            Some(live) => Arc::clone(live),
            None => folder.join(live_name(name)).to_str()?.into(),
        };
        let asked_for = of.is_none() && self.covers(text);
        if !asked_for && !self.covers(&live) {
            return None;
        }
        if name.ends_with(GZ) {
            // One that is asked for by this very name would be read as text.
            look.compressed.entry(Arc::clone(&live)).or_default().push(path.to_owned());
        } else {
            let found = Found { path: path.to_owned(), asked_for };
            look.chains.entry(Arc::clone(&live)).or_default().push(found);
        }
        Some(live)
    }

    /// What a link leads to is rotated where it really is.
    fn follow(&mut self, folder: &Path, link: &Path, live: &Arc<str>, look: &mut Look) {
        let Ok(target) = std::fs::canonicalize(link) else { return };
        let (Some(there), Some(name)) = (target.parent(), target.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        self.links.entry(there.to_owned()).or_default().insert(folder.to_owned());
        for entry in std::fs::read_dir(there).into_iter().flatten().flatten() {
            let file = entry.file_name();
            if file.to_str().is_some_and(|file| file != name && live_name(file) == name) {
                self.list_file(there, &entry.path(), Some(live), look);
            }
        }
    }

    /// Not all was done that there is to do with the files of this one: its folder is listed again, changed or not.
    pub fn look_again(&mut self, path: &str) {
        if let Some(folder) = Path::new(path).parent() {
            self.memory.forget(folder);
        }
    }

    /// Which of the sources a file belongs to; `None` if it is not to be read.
    pub fn source(&self, path: &str) -> Option<usize> {
        let excluded = self.exclude.iter().any(|glob| glob.matches(path));
        self.globs.iter().position(|glob| glob.matches(path)).filter(|_| !excluded)
    }

    fn covers(&self, path: &str) -> bool {
        self.source(path).is_some()
    }
}

/// The name under which a rotated file was written: `0.log` for `0.log.20260101-000000`, `app.log` for `app.log-20260101` and
/// `app.log.1`, `access` for `access.1` and `access.1.gz`; itself for any other name.
pub fn live_name(name: &str) -> &str {
    if let Some(rotated) = name.strip_suffix(GZ)
        && live_name(rotated) != rotated
    {
        return live_name(rotated);
    }
    if let Some((stem, rest)) = name.split_once(".log")
        && rest.starts_with(['.', '-'])
    {
        return name.get(..stem.len() + ".log".len()).unwrap_or(name);
    }
    match name.rsplit_once('.') {
        Some((stem, digits)) if !stem.is_empty() && !digits.is_empty() => {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { stem } else { name }
        }
        _ => name,
    }
}

/// Digits of a number that is no date.
const NUMBER_DIGITS: usize = 4;

/// Sorts rotated files by what their names say: dates grow, and short numbers do the more often a file was rotated.
fn oldest_first(paths: &mut [PathBuf]) {
    paths.sort_by_cached_key(|path| (std::cmp::Reverse(number(path)), path.clone()));
}

/// How often a file was rotated, where its name says that.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_suffix(GZ).unwrap_or(name).rsplit('.').next()?;
    digits.parse().ok().filter(|_| digits.len() <= NUMBER_DIGITS)
}
