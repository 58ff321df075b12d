//! Which files there are: globs walked from their fixed beginnings, folders watched for names that come and go, and an honest
//! look at everything now and then. Nothing here opens a file.

mod glob;
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
use glob::name_matches;
use watch::Watches;

/// Endings of rotated files that are not text any more.
const COMPRESSED: [&str; 5] = [".gz", ".bz2", ".xz", ".zst", ".tmp"];

/// Ending of those that are read all the same if nobody saw them before.
pub(crate) const GZ: &str = ".gz";

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

/// Compressed files, under the path of the file that was once written.
pub type Packed = BTreeMap<Arc<str>, Vec<PathBuf>>;

/// What a look gave.
#[derive(Debug, Default)]
pub struct Look {
    /// Chains that have files in the folders looked at.
    pub chains: Chains,
    /// Compressed files of the same folders, by the path of the file that was once written; in the order of their names.
    pub packed: Packed,
    /// The folders looked at, or `None` for all: chains there that are not listed have no file any more.
    pub folders: Option<BTreeSet<PathBuf>>,
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
            self.last_full = Some(now);
            return Some(self.look_at_all());
        }
        if changes.folders.is_empty() {
            return None;
        }
        let (mut chains, mut packed) = (Chains::new(), Packed::new());
        for folder in &changes.folders {
            self.list(folder, &mut chains, &mut packed);
        }
        Some(Look { chains, packed, folders: Some(changes.folders) })
    }

    fn look_at_all(&mut self) -> Look {
        let (mut chains, mut packed) = (Chains::new(), Packed::new());
        let mut folders = BTreeSet::new();
        let mut with_files = BTreeSet::new();
        for glob in &self.globs {
            if let Some((_, parts)) = glob.parts().split_last() {
                walk(Path::new("/"), parts, &mut folders, &mut with_files);
            }
        }
        let mut unwatched = 0;
        // Watches come before the listing, so that what is created in between is told by one of the two.
        for folder in &folders {
            if !self.watches.add(folder) {
                unwatched += 1;
            }
        }
        self.watches.retain(&folders);
        self.folders = folders.len();
        if unwatched > 0 && !self.polling {
            tracing::warn!(
                "{unwatched} folders cannot be watched (fs.inotify.max_user_watches?): all are polled instead"
            );
        }
        self.polling = unwatched > 0;
        self.counters.unwatched_folders.store(unwatched, Ordering::Relaxed);
        for folder in &with_files {
            self.list(folder, &mut chains, &mut packed);
        }
        Look { chains, packed, folders: None }
    }

    fn list(&self, folder: &Path, chains: &mut Chains, packed: &mut Packed) {
        // A folder that is gone holds nothing.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let (path, name) = (entry.path(), entry.file_name());
            let (Some(text), Some(name)) = (path.to_str(), name.to_str()) else { continue };
            let live = folder.join(live_name(name));
            let Some(live) = live.to_str() else { continue };
            if COMPRESSED.iter().any(|ending| name.ends_with(ending)) {
                if name.ends_with(GZ) && self.covers(live) {
                    packed.entry(Arc::from(live)).or_default().push(path);
                }
                continue;
            }
            let asked_for = self.covers(text);
            if asked_for || self.covers(live) {
                chains.entry(Arc::from(live)).or_default().push(Found { path, asked_for });
            }
        }
    }

    /// Which of the sources a file belongs to.
    pub fn source(&self, path: &str) -> Option<usize> {
        self.globs.iter().position(|glob| glob.matches(path))
    }

    fn covers(&self, path: &str) -> bool {
        self.globs.iter().any(|glob| glob.matches(path))
            && !self.exclude.iter().any(|glob| glob.matches(path))
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

/// Goes down the folders of a glob. `folders` gets all on the way, `with_files` those at its end.
fn walk(at: &Path, parts: &[String], folders: &mut BTreeSet<PathBuf>, with_files: &mut BTreeSet<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        folders.insert(at.to_owned());
        with_files.insert(at.to_owned());
        return;
    };
    if part != "**" && !part.contains(['*', '?']) {
        let next = at.join(part);
        if next.is_dir() {
            walk(&next, rest, folders, with_files);
        } else {
            // The nearest folder that there is tells when the next one comes.
            folders.insert(at.to_owned());
        }
        return;
    }
    folders.insert(at.to_owned());
    if part == "**" {
        walk(at, rest, folders, with_files);
    }
    let Ok(entries) = std::fs::read_dir(at) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        if part == "**" {
            // Links are not followed here: they may lead in circles.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&path, parts, folders, with_files);
            }
        } else if name_matches(part.as_bytes(), name.as_bytes()) && path.is_dir() {
            walk(&path, rest, folders, with_files);
        }
    }
}
