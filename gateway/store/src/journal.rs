//! The journal: numbered files of checksummed, compressed records, one record an acknowledged batch. A new opening starts a
//! new file; a file is deleted when the segments that hold its records are in place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::codec::Damaged;
use crate::disk;
use crate::options::OpenError;

/// `tfjournl`, less its last byte, which is the version.
const MAGIC: &[u8; 7] = b"tfjourn";
/// Version of the records.
const VERSION: u8 = 1;
const HEADER: u64 = 8;
/// Length and checksum before each record.
const RECORD_HEADER: usize = 8;
/// No batch is near this; a longer length is damage, and is not allocated.
const MAX_RECORD: usize = 1 << 30;
/// Added to the name of a journal that could not be read.
const ASIDE: &str = ".damaged";

/// A file being written.
#[derive(Debug)]
pub struct Journal {
    file: File,
    number: u64,
    length: u64,
    dirty: bool,
    /// A failed write could not be undone: nothing may follow the torn record.
    broken: bool,
}

/// Where a journal lies.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.tfj"))
}

/// The numbers of all journals, in order.
pub fn list(dir: &Path) -> Result<Vec<u64>, OpenError> {
    numbered(dir, ".tfj")
}

/// The numbers of the journals that were [`put_aside`].
pub fn list_aside(dir: &Path) -> Result<Vec<u64>, OpenError> {
    numbered(dir, &format!(".tfj{ASIDE}"))
}

fn numbered(dir: &Path, end: &str) -> Result<Vec<u64>, OpenError> {
    let io = |source| OpenError::Io { action: "list", path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        numbers.extend(name.to_str().and_then(|n| n.strip_suffix(end)).and_then(|n| n.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A record as it lies in the file: length, checksum, lz4.
pub fn record(encoded: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::compress_prepend_size(encoded);
    let mut out = Vec::with_capacity(packed.len() + RECORD_HEADER);
    out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
    out.extend_from_slice(&packed);
    out
}

impl Journal {
    /// Starts a file. One that is there already was left by a start that failed, and holds nothing. Where the disk is full, the
    /// file waits for its first bytes, so that what is stored can be read; the first record that finds room writes them.
    pub fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let file = File::options().create(true).truncate(true).write(true).open(path(dir, number))?;
        let mut journal = Self { file, number, length: 0, dirty: true, broken: false };
        match journal.begin() {
            Err(error) if !disk::is_full(&error) => return Err(error),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "nothing can be written; reads go on");
            }
            Ok(()) => {}
        }
        disk::sync_dir(dir)?;
        Ok(journal)
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut header = MAGIC.to_vec();
        header.push(VERSION);
        self.file.write_all_at(&header, 0)?;
        self.length = HEADER;
        Ok(())
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Hands a [`record`] to the operating system; what a failed write left is cut off again.
    pub fn append(&mut self, record: &[u8], sync: bool) -> io::Result<()> {
        if self.broken {
            self.file.set_len(self.length)?;
            self.broken = false;
        }
        if self.length == 0 {
            self.begin()?;
        }
        let written = self
            .file
            .write_all_at(record, self.length)
            .and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += record.len() as u64;
        self.dirty = !sync;
        Ok(())
    }

    /// A handle to sync without holding the journal, if there is something to sync.
    pub fn take_dirty(&mut self) -> Option<io::Result<File>> {
        std::mem::take(&mut self.dirty).then(|| self.file.try_clone())
    }

    /// The next sync has work again.
    pub fn mark_dirty(&mut self) {
        self.dirty = true;
    }
}

/// What a replay met.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Good records.
    pub records: u64,
    /// Bytes that could not be read: a record that a crash cut short, or damage.
    pub lost: u64,
    /// Not a journal's first bytes: nothing could be read.
    pub unreadable: bool,
}

/// How a record is read.
pub type Decode<T> = fn(&[u8]) -> Result<T, Damaged>;

/// Reads a journal: all good records, in order. A damaged record is passed over when its length leads to another good one;
/// else nothing after it can be told apart, and reading ends there. The file is left as it is.
pub fn replay<T>(file: &Path, decode: Decode<T>, mut each: impl FnMut(T)) -> Result<Replayed, OpenError> {
    let io = |action| move |source| OpenError::Io { action, path: file.to_owned(), source };
    let handle = File::open(file).map_err(io("open"))?;
    let size = handle.metadata().map_err(io("stat"))?.len();
    let mut done = Replayed::default();
    if size < HEADER {
        // A crash between creating a file and writing its header: nothing was acknowledged from it.
        return Ok(done);
    }
    let mut header = [0u8; HEADER as usize];
    handle.read_exact_at(&mut header, 0).map_err(io("read"))?;
    if !header.starts_with(MAGIC) {
        return Ok(Replayed { unreadable: true, lost: size, ..done });
    }
    if let Some(&found) = header.last()
        && found > VERSION
    {
        return Err(OpenError::Version { file: file.to_owned(), found, known: VERSION });
    }
    let mut at = HEADER;
    let mut good = HEADER;
    while let Some((record, length)) = next(&handle, at, size, decode) {
        at += length;
        if let Some(record) = record {
            done.lost += at - length - good;
            good = at;
            each(record);
            done.records += 1;
        }
    }
    done.lost += size - good;
    Ok(done)
}

/// The record at a place, `None` in it when it is damaged, and its length on disk. `None` at the end, or when the length itself
/// cannot be true.
fn next<T>(file: &File, at: u64, size: u64, decode: Decode<T>) -> Option<(Option<T>, u64)> {
    let mut head = [0u8; RECORD_HEADER];
    file.read_exact_at(&mut head, at).ok()?;
    let length = u32::from_le_bytes(head.first_chunk::<4>().copied()?) as usize;
    let checksum = u32::from_le_bytes(head.last_chunk::<4>().copied()?);
    let whole = (RECORD_HEADER + length) as u64;
    if length > MAX_RECORD || at + whole > size {
        return None;
    }
    let mut packed = vec![0u8; length];
    file.read_exact_at(&mut packed, at + RECORD_HEADER as u64).ok()?;
    Some((unpack(&packed, checksum, decode), whole))
}

fn unpack<T>(packed: &[u8], checksum: u32, decode: Decode<T>) -> Option<T> {
    if crc32fast::hash(packed) != checksum {
        return None;
    }
    decode(&lz4_flex::decompress_size_prepended(packed).ok()?).ok()
}

/// Puts a journal that cannot be read aside, under a name that nobody reads or deletes.
pub fn put_aside(dir: &Path, number: u64) -> io::Result<PathBuf> {
    let aside = dir.join(format!("{number:08}.tfj{ASIDE}"));
    fs::rename(path(dir, number), &aside)?;
    disk::sync_dir(dir)?;
    Ok(aside)
}
