//! All tombstones: a few files, the smaller of which become larger ones, the oldest of which are forgotten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::names::Names;
use super::sheet::{Sheet, SheetWriter, Tombstone};
use crate::codec::Damaged;
use crate::disk;
use crate::opening::io_error;
use crate::options::OpenError;

/// Each is a probe of a filter for every trace that is new and for every look-up.
const MAX_SHEETS: usize = 8;
/// Bytes of all files together; the oldest are forgotten first. Some ten million traces.
const MAX_BYTES: u64 = 96 << 20;
/// Extension of a file that cannot be read.
const DAMAGED: &str = "damaged";

/// The files, oldest first.
#[derive(Debug)]
pub struct Sheets {
    dir: PathBuf,
    list: RwLock<Vec<Arc<Sheet>>>,
    /// Groups that could not be read.
    pub damaged: AtomicU64,
}

impl Sheets {
    /// Opens what is there, less what was merged into others; what cannot be read is put aside.
    pub fn open(dir: &Path, names: &Names) -> Result<Self, OpenError> {
        let mut found = Vec::new();
        let mut damaged = 0;
        for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
            let path = entry.map_err(io_error("list", dir))?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("tmp") => disk::remove(&path).map_err(io_error("delete", &path))?,
                Some(Sheet::EXTENSION) => {
                    found.extend(path.file_stem().and_then(|s| s.to_str()).and_then(Sheet::parse));
                }
                Some(DAMAGED) => damaged += 1,
                _ => {}
            }
        }
        // What others were merged into comes before them.
        found.sort_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
        let mut list: Vec<Arc<Sheet>> = Vec::new();
        for sweeps in found {
            let path = Sheet::path_of(dir, sweeps);
            if list.last().is_some_and(|merged| sweeps.1 <= merged.sweeps.1) {
                disk::remove(&path).map_err(io_error("delete", &path))?;
            } else if let Some(sheet) = Sheet::open(dir, sweeps, names)? {
                list.push(Arc::new(sheet));
            } else {
                let aside = path.with_extension(DAMAGED);
                fs::rename(&path, &aside).map_err(io_error("rename", &path))?;
                tracing::error!(file = %aside.display(), "tombstones of sampled-out traces are damaged and were put aside");
                damaged += 1;
            }
        }
        Ok(Self { dir: dir.to_owned(), list: RwLock::new(list), damaged: AtomicU64::new(damaged) })
    }

    fn list(&self) -> Vec<Arc<Sheet>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tombstone of a trace.
    pub fn find(&self, low64: u64) -> Option<Tombstone> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().rev().find_map(|sheet| {
            sheet.find(low64).unwrap_or_else(|Damaged| {
                self.damaged.fetch_add(1, Relaxed);
                None
            })
        })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.list.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Adds tombstones, which are on the disk then.
    pub fn add(&self, mut stones: Vec<Tombstone>, names: &Names) -> io::Result<()> {
        if stones.is_empty() {
            return Ok(());
        }
        stones.sort_unstable_by_key(|stone| stone.low64);
        let next = self.list().last().map_or(1, |sheet| sheet.sweeps.1 + 1);
        let newest = stones.iter().map(|stone| stone.when).max().unwrap_or(0);
        let mut writer = SheetWriter::create(&self.dir, (next, next), stones.len(), newest)?;
        stones.into_iter().try_for_each(|stone| writer.push(stone))?;
        writer.finish(names)?;
        disk::sync_dir(&self.dir)?;
        let sheet = self.reopen((next, next), names)?;
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(sheet);
        Ok(())
    }

    fn reopen(&self, sweeps: (u64, u64), names: &Names) -> io::Result<Arc<Sheet>> {
        let sheet = Sheet::open(&self.dir, sweeps, names).map_err(io::Error::other)?;
        sheet.map(Arc::new).ok_or_else(|| io::Error::other("tombstones just written cannot be read"))
    }

    /// Forgets what was decided before `cutoff` (seconds since 1970), and the oldest while all take too much room; then merges
    /// neighbours until there are few.
    pub fn tidy(&self, cutoff: u64, names: &Names) -> io::Result<()> {
        let mut list = self.list();
        let mut bytes: u64 = list.iter().map(|sheet| sheet.bytes).sum();
        while list.first().is_some_and(|oldest| oldest.newest < cutoff || bytes > MAX_BYTES) {
            let oldest = list.remove(0);
            bytes -= oldest.bytes;
            self.list.write().unwrap_or_else(PoisonError::into_inner).retain(|s| s.sweeps != oldest.sweeps);
            disk::remove(&oldest.path)?;
        }
        while list.len() > MAX_SHEETS {
            let pairs = list.iter().zip(list.iter().skip(1)).map(|(a, b)| a.bytes + b.bytes);
            let Some((at, _)) = pairs.enumerate().min_by_key(|(_, bytes)| *bytes) else { break };
            let (Some(older), Some(newer)) = (list.get(at).cloned(), list.get(at + 1).cloned()) else {
                break;
            };
            let merged = self.merge(&older, &newer, names)?;
            list.splice(at..at + 2, [merged]);
            list.clone_into(&mut self.list.write().unwrap_or_else(PoisonError::into_inner));
            disk::remove(&older.path)?;
            disk::remove(&newer.path)?;
        }
        Ok(())
    }

    /// Writes one file with the tombstones of two, less those of groups that cannot be read.
    fn merge(&self, older: &Sheet, newer: &Sheet, names: &Names) -> io::Result<Arc<Sheet>> {
        let sweeps = (older.sweeps.0, newer.sweeps.1);
        let most = (older.count + newer.count) as usize;
        let mut writer = SheetWriter::create(&self.dir, sweeps, most, older.newest.max(newer.newest))?;
        let (mut a, mut b) = (Cursor::new(older), Cursor::new(newer));
        loop {
            let stone = match (a.stone(), b.stone()) {
                (Some(x), Some(y)) if x.low64 < y.low64 => a.take(x),
                (Some(x), Some(y)) if x.low64 == y.low64 => {
                    a.take(x);
                    b.take(y)
                }
                (_, Some(y)) => b.take(y),
                (Some(x), None) => a.take(x),
                (None, None) => break,
            };
            writer.push(stone)?;
        }
        writer.finish(names)?;
        disk::sync_dir(&self.dir)?;
        self.reopen(sweeps, names)
    }
}

/// A place in a file, going through its tombstones.
struct Cursor<'a> {
    sheet: &'a Sheet,
    next: usize,
    stones: std::vec::IntoIter<Tombstone>,
}

impl<'a> Cursor<'a> {
    fn new(sheet: &'a Sheet) -> Self {
        let mut cursor = Self { sheet, next: 0, stones: Vec::new().into_iter() };
        cursor.settle();
        cursor
    }

    fn stone(&self) -> Option<Tombstone> {
        self.stones.as_slice().first().copied()
    }

    fn take(&mut self, stone: Tombstone) -> Tombstone {
        self.stones.next();
        self.settle();
        stone
    }

    fn settle(&mut self) {
        while self.stones.as_slice().is_empty() && self.next < self.sheet.groups() {
            let stones = self.sheet.group(self.next).inspect_err(|error| {
                let file = self.sheet.path.display();
                tracing::error!(%error, %file, "tombstones of sampled-out traces are lost");
            });
            self.stones = stones.unwrap_or_default().into_iter();
            self.next += 1;
        }
    }
}
