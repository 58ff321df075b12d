//! What folders held when they were looked at last: those that have not changed since need no listing. A thousand quiet folders
//! are a thousand looks at a time instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;

use super::glob::name_matches;

/// Which folder it is, since a link or a new one may take its name, and when it changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// Seconds. A folder that had changed so shortly before it was listed may have changed again within the same tick of the
/// file system's clock.
const SETTLED: i64 = 2;

/// Folders as they were.
#[derive(Debug, Default)]
pub(super) struct Memory {
    subfolders: FxHashMap<PathBuf, (Stamp, Vec<PathBuf>)>,
    listed: FxHashMap<PathBuf, Stamp>,
}

impl Memory {
    /// When a folder changed last, if that was long enough ago to tell it from any later change.
    pub fn stamp(folder: &Path) -> Option<Stamp> {
        let stat = rustix::fs::stat(folder).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() as i64;
        let (seconds, nanoseconds) = (stat.st_mtime as i64, stat.st_mtime_nsec as i64);
        let stamp = Stamp { device: stat.st_dev, inode: stat.st_ino, seconds, nanoseconds };
        (seconds.saturating_add(SETTLED) < now).then_some(stamp)
    }

    /// Whether a folder is as it was when [`Memory::keep`] was told of it.
    pub fn is_unchanged(&self, folder: &Path) -> bool {
        self.listed.get(folder).is_some_and(|stamp| Self::stamp(folder) == Some(*stamp))
    }

    /// A folder was listed that had this stamp before.
    pub fn keep(&mut self, folder: &Path, before: Option<Stamp>) {
        match before {
            Some(stamp) => self.listed.insert(folder.to_owned(), stamp),
            None => self.listed.remove(folder),
        };
    }

    /// A folder has to be listed again, changed or not.
    pub fn forget(&mut self, folder: &Path) {
        self.listed.remove(folder);
    }

    /// Folders that are gone need no memory.
    pub fn retain(&mut self, folders: &BTreeSet<PathBuf>) {
        self.subfolders.retain(|folder, _| folders.contains(folder));
        self.listed.retain(|folder, _| folders.contains(folder));
    }

    /// Goes down the folders of a glob. `folders` gets all on the way, `with_files` those at its end.
    pub fn walk(
        &mut self,
        at: &Path,
        parts: &[String],
        folders: &mut BTreeSet<PathBuf>,
        with_files: &mut BTreeSet<PathBuf>,
    ) {
        let Some((part, rest)) = parts.split_first() else {
            folders.insert(at.to_owned());
            with_files.insert(at.to_owned());
            return;
        };
        if part != "**" && !part.contains(['*', '?']) {
            let next = at.join(part);
            if next.is_dir() {
                self.walk(&next, rest, folders, with_files);
            } else {
                // The nearest folder that there is tells when the next one comes.
                folders.insert(at.to_owned());
            }
            return;
        }
        folders.insert(at.to_owned());
        if part == "**" {
            self.walk(at, rest, folders, with_files);
        }
        for (path, linked) in self.subfolders(at) {
            if part == "**" {
                // Links are not followed here: they may lead in circles.
                if !linked {
                    self.walk(&path, parts, folders, with_files);
                }
            } else if path
                .file_name()
                .is_some_and(|name| name_matches(part.as_bytes(), name.as_encoded_bytes()))
            {
                self.walk(&path, rest, folders, with_files);
            }
        }
    }

    /// The folders in a folder, and whether each is a link to one.
    fn subfolders(&mut self, at: &Path) -> Vec<(PathBuf, bool)> {
        let stamp = Self::stamp(at);
        if let Some((known, subfolders)) = self.subfolders.get(at)
            && Some(*known) == stamp
        {
            return subfolders.iter().map(|path| (path.clone(), false)).collect();
        }
        let mut found = Vec::new();
        // A folder that is gone holds nothing.
        for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            let linked = kind.as_ref().is_ok_and(std::fs::FileType::is_symlink);
            if kind.is_ok_and(|kind| kind.is_dir()) || (linked && path.is_dir()) {
                found.push((path, linked));
            }
        }
        // What links lead to may change without this folder.
        match stamp.filter(|_| found.iter().all(|(_, linked)| !linked)) {
            Some(stamp) => {
                let subfolders = found.iter().map(|(path, _)| path.clone()).collect();
                self.subfolders.insert(at.to_owned(), (stamp, subfolders));
            }
            None => {
                self.subfolders.remove(at);
            }
        }
        found
    }
}
