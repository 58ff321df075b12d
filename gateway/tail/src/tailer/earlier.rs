//! How far an earlier run was, until its files are found again.

use std::cmp::Reverse;
use std::sync::Arc;

use parsers::record::{FileId, Position};
use rustc_hash::FxHashMap;

use crate::identity;

/// Positions, to be found by path and by place on the disk.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    positions: FxHashMap<FileId, Position>,
    by_path: FxHashMap<Arc<str>, Vec<FileId>>,
    by_place: FxHashMap<(u64, u64), Vec<FileId>>,
}

impl Earlier {
    pub fn extend(&mut self, positions: impl IntoIterator<Item = Position>) {
        for position in positions {
            let file = position.file;
            self.by_path.entry(Arc::clone(&position.path)).or_default().push(file);
            self.by_place.entry((file.device, file.inode)).or_default().push(file);
            self.positions.insert(file, position);
        }
    }

    /// Whether a file of this path was read.
    pub fn has_path(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// Takes the position of a file out, since it was found.
    pub fn take(&mut self, file: FileId) {
        self.positions.remove(&file);
    }

    fn of_path(&self, path: &str) -> impl Iterator<Item = &Position> {
        let files = self.by_path.get(path).map(Vec::as_slice).unwrap_or_default();
        files.iter().filter_map(|file| self.positions.get(file))
    }

    /// What was noted last of a path: the file that was being written then is among these.
    pub fn last(&self, path: &str) -> Vec<Position> {
        let last = self.of_path(path).map(|position| position.time).max();
        self.of_path(path).filter(|position| Some(position.time) == last).cloned().collect()
    }

    /// What may have been noted of a file: first what was noted of one in its place, then of others of the path; the last
    /// noted of each first.
    pub fn of_file(&self, path: &str, place: (u64, u64)) -> Vec<&Position> {
        let here = self.by_place.get(&place).map(Vec::as_slice).unwrap_or_default();
        let is_here = |position: &Position| (position.file.device, position.file.inode) == place;
        let here = here.iter().filter_map(|file| self.positions.get(file));
        let mut noted: Vec<&Position> =
            here.chain(self.of_path(path).filter(|position| !is_here(position))).collect();
        noted.sort_by_key(|position| Reverse((is_here(position), position.time)));
        noted
    }

    /// What was noted last of a file of this path that begins with this head.
    pub fn beginning_as(&self, path: &str, head: u64) -> Option<Position> {
        let alike = |position: &&Position| identity::cuts_between(position.file.head, head).is_some();
        self.of_path(path).filter(alike).max_by_key(|position| position.time).cloned()
    }
}
