//! The decisions of which some records may not be swept yet, as they are made: one checksummed record for all that were made at
//! a time. What is decided stays decided over a restart. The file is replaced by a shorter one after each sweep.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::codec::{Damaged, Input, Output};
use crate::disk;
use crate::options::OpenError;

const MAGIC: &[u8; 7] = b"tfdecid";
const VERSION: u8 = 1;
const HEADER: u64 = 8;
/// The file's name.
const FILE: &str = "decisions";
/// Decisions of one record: what reading it back takes at a time.
const MAX_DECISIONS: usize = 1 << 14;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<N> {
    /// Low 64 bits of the trace's id.
    pub low64: u64,
    /// When, in seconds since 1970.
    pub when: u64,
    /// The rule that dropped the trace; `None` if it stays.
    pub dropped_by: Option<N>,
}

/// The file being written.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    length: u64,
}

fn record<N: AsRef<str>>(decisions: &[Decision<N>], out: &mut Vec<u8>) {
    let mut names: Vec<&str> = Vec::new();
    let mut entries = Output::default();
    let mut before = 0;
    for decision in decisions {
        let number = decision.dropped_by.as_ref().map_or(0, |name| {
            let name = name.as_ref();
            1 + names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        });
        entries.fixed64(decision.low64);
        entries.delta(before, decision.when);
        before = decision.when;
        entries.varint(number as u64);
    }
    let mut body = Output::default();
    body.varint(names.len() as u64);
    names.iter().for_each(|name| body.bytes(name.as_bytes()));
    body.varint(decisions.len() as u64);
    body.raw(entries.as_bytes());
    out.extend_from_slice(&(body.as_bytes().len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(body.as_bytes()).to_le_bytes());
    out.extend_from_slice(body.as_bytes());
}

fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes
}

impl Log {
    /// Opens it, or makes it; `each` is told every decision that can be read, in order. Reading ends at a record that a crash cut
    /// short, and writing goes on there.
    pub fn open(dir: &Path, mut each: impl FnMut(Decision<&str>)) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let fail = |action| {
            let path = path.clone();
            move |source| OpenError::Io { action, path, source }
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(fail("read")(source)),
        };
        let mut length = 0;
        if let (true, Some(&found)) = (bytes.starts_with(MAGIC), bytes.get(MAGIC.len())) {
            if found > VERSION {
                return Err(OpenError::Version { file: path, found, known: VERSION });
            }
            length = HEADER;
            let mut input = Input::new(bytes.get(HEADER as usize..).unwrap_or_default());
            while let Ok(read) = parse(&mut input, &mut each) {
                length += read;
            }
        }
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(fail("open"))?;
        file.set_len(length).map_err(fail("cut"))?;
        if length == 0 {
            file.write_all_at(&header(), 0).map_err(fail("write"))?;
            length = HEADER;
        }
        Ok(Self { path, file, length })
    }

    /// Hands decisions to the operating system; what a failed write leaves is written over.
    pub fn append<N: AsRef<str>>(&mut self, decisions: &[Decision<N>]) -> io::Result<()> {
        let mut bytes = Vec::new();
        record(decisions, &mut bytes);
        self.file.write_all_at(&bytes, self.length).inspect_err(|_| {
            // Reading would end at it, too.
            let _ = self.file.set_len(self.length);
        })?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Replaces all that was written; it is on the disk then.
    pub fn rewrite<N: AsRef<str>>(&mut self, decisions: &[Decision<N>]) -> io::Result<()> {
        let mut bytes = header();
        decisions.chunks(MAX_DECISIONS).for_each(|some| record(some, &mut bytes));
        disk::replace(&self.path, &bytes)?;
        self.file = File::options().write(true).open(&self.path)?;
        self.length = bytes.len() as u64;
        Ok(())
    }
}

/// Reads one record and says how long it was; nothing of it is told if it is not whole.
fn parse(input: &mut Input<'_>, each: &mut impl FnMut(Decision<&str>)) -> Result<u64, Damaged> {
    let mut number = || Ok(u32::from_le_bytes(input.raw(4)?.try_into().map_err(|_| Damaged)?));
    let (length, checksum) = (number()?, number()?);
    let body = input.raw(length as usize)?;
    if crc32fast::hash(body) != checksum {
        return Err(Damaged);
    }
    let mut input = Input::new(body);
    let names = (0..input.count()?).map(|_| input.text()).collect::<Result<Vec<_>, _>>()?;
    let mut before = 0;
    for _ in 0..input.count()? {
        let low64 = input.fixed64()?;
        let when = input.delta(before)?;
        before = when;
        let dropped_by = match input.varint()?.checked_sub(1) {
            Some(number) => Some(*names.get(number as usize).ok_or(Damaged)?),
            None => None,
        };
        each(Decision { low64, when, dropped_by });
    }
    Ok(8 + u64::from(length))
}
