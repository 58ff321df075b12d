//! The journal: numbered files of checksummed, compressed records, one record an acknowledged batch. A new opening starts a
//! new file; a file is deleted when the segments that hold its records are in place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parsers::record::Batch;

use crate::codec::decode_batch;
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
    let io = |source| OpenError::Io { action: "list", path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if let Some(number) = name.to_str().and_then(|n| n.strip_suffix(".tfj")).and_then(|n| n.parse().ok())
        {
            numbers.push(number);
        }
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
    /// Starts a file. One that is there already was left by a start that failed, and holds nothing.
    pub fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let file = File::options().create(true).truncate(true).write(true).open(path(dir, number))?;
        let mut header = MAGIC.to_vec();
        header.push(VERSION);
        file.write_all_at(&header, 0)?;
        disk::sync_dir(dir)?;
        Ok(Self { file, number, length: HEADER, dirty: true, broken: false })
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
    /// Whether a damaged one ended the file early.
    pub damaged: bool,
    /// Bytes of the file that remain.
    pub length: u64,
}

/// Reads a journal up to its end or its first damaged record, and cuts off what is behind that.
pub fn replay(file: &Path, mut each: impl FnMut(Batch)) -> Result<Replayed, OpenError> {
    let io = |action| move |source| OpenError::Io { action, path: file.to_owned(), source };
    let handle = File::options().read(true).write(true).open(file).map_err(io("open"))?;
    let size = handle.metadata().map_err(io("stat"))?.len();
    let mut done = Replayed { length: HEADER.min(size), ..Replayed::default() };
    let mut header = [0u8; HEADER as usize];
    if size < HEADER || handle.read_exact_at(&mut header, 0).is_err() || !header.starts_with(MAGIC) {
        // A crash between creating and writing the header leaves fewer bytes, and nothing was acknowledged from it.
        return Ok(Replayed { damaged: size > 0, length: size, ..done });
    }
    if let Some(&found) = header.last()
        && found > VERSION
    {
        return Err(OpenError::Version { file: file.to_owned(), found, known: VERSION });
    }
    while done.length < size {
        let Some((batch, length)) = next(&handle, done.length, size) else {
            done.damaged = true;
            handle.set_len(done.length).map_err(io("truncate"))?;
            break;
        };
        each(batch);
        done.length += length;
        done.records += 1;
    }
    Ok(done)
}

fn next(file: &File, at: u64, size: u64) -> Option<(Batch, u64)> {
    let mut head = [0u8; RECORD_HEADER];
    file.read_exact_at(&mut head, at).ok()?;
    let length = u32::from_le_bytes(head.first_chunk::<4>().copied()?) as usize;
    let checksum = u32::from_le_bytes(head.last_chunk::<4>().copied()?);
    if length > MAX_RECORD || at + (RECORD_HEADER + length) as u64 > size {
        return None;
    }
    let mut packed = vec![0u8; length];
    file.read_exact_at(&mut packed, at + RECORD_HEADER as u64).ok()?;
    if crc32fast::hash(&packed) != checksum {
        return None;
    }
    let batch = decode_batch(&lz4_flex::decompress_size_prepended(&packed).ok()?).ok()?;
    Some((batch, (RECORD_HEADER + length) as u64))
}
