//! One file of tombstones: the low 64 bits of dropped traces in order, each with its rule and when it was decided, about ten
//! bytes a trace. A filter over them and the places of its groups are held in memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::names::Names;
use crate::codec::{Damaged, Input, Output};
use crate::options::OpenError;
use crate::segment::{Extent, Filter, key, parse_trailer, read};

const MAGIC: &[u8; 7] = b"tftombs";
const VERSION: u8 = 1;
/// Footer offset, its length and checksum, magic and version.
const TRAILER: usize = 8 + 4 + 4 + 8;
/// Entries of a group: one read of about 5 KB.
const GROUP: usize = 512;

/// One dropped trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// Low 64 bits of its id.
    pub low64: u64,
    /// The rule, by its number in [`Names`].
    pub rule: u16,
    /// When it was decided, in seconds since 1970.
    pub when: u64,
}

/// An open file.
#[derive(Debug)]
pub struct Sheet {
    /// The sweeps that it covers, first and last.
    pub sweeps: (u64, u64),
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the newest of it was decided.
    pub newest: u64,
    /// How many traces.
    pub count: u64,
    /// Numbers of its own names.
    names: Vec<u16>,
    groups: Vec<(u64, Extent)>,
    filter: Filter,
    file: File,
}

impl Sheet {
    /// Extension of its file.
    pub const EXTENSION: &str = "tfd";

    /// Where the file over these sweeps lies.
    pub fn path_of(dir: &Path, sweeps: (u64, u64)) -> PathBuf {
        dir.join(format!("{:08}-{:08}", sweeps.0, sweeps.1)).with_extension(Self::EXTENSION)
    }

    /// The sweeps of a file of this name.
    pub fn parse(stem: &str) -> Option<(u64, u64)> {
        let (first, last) = stem.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }

    /// Opens one. `Ok(None)` when it is damaged.
    pub fn open(dir: &Path, sweeps: (u64, u64), names: &Names) -> Result<Option<Self>, OpenError> {
        let path = Self::path_of(dir, sweeps);
        let fail = |source| OpenError::Io { action: "open", path: path.clone(), source };
        let file = File::open(&path).map_err(fail)?;
        let bytes = file.metadata().map_err(fail)?.len();
        let mut trailer = [0u8; TRAILER];
        let Some(at) = bytes.checked_sub(TRAILER as u64) else { return Ok(None) };
        file.read_exact_at(&mut trailer, at).map_err(fail)?;
        let Ok((extent, found)) = parse_trailer(&trailer, MAGIC) else { return Ok(None) };
        if found > VERSION {
            return Err(OpenError::Version { file: path, found, known: VERSION });
        }
        let Ok(footer) = read(&file, extent, bytes) else { return Ok(None) };
        let mut sheet = Self {
            sweeps,
            path,
            bytes,
            newest: 0,
            count: 0,
            names: Vec::new(),
            groups: Vec::new(),
            filter: Filter::default(),
            file,
        };
        Ok(sheet.decode(&footer, names).is_ok().then_some(sheet))
    }

    fn decode(&mut self, footer: &[u8], names: &Names) -> Result<(), Damaged> {
        let mut input = Input::new(footer);
        (self.newest, self.count) = (input.varint()?, input.varint()?);
        for _ in 0..input.count()? {
            self.names.push(names.number(input.text()?));
        }
        for _ in 0..input.count()? {
            self.groups.push((input.fixed64()?, Extent::decode(&mut input)?));
        }
        self.filter = Filter::decode(&mut input)?;
        Ok(())
    }

    /// The tombstone of a trace.
    pub fn find(&self, low64: u64) -> Result<Option<Tombstone>, Damaged> {
        if !self.filter.may_hold(key(low64)) {
            return Ok(None);
        }
        let after = self.groups.partition_point(|(first, _)| *first <= low64);
        let Some(group) = after.checked_sub(1) else { return Ok(None) };
        Ok(self.group(group)?.into_iter().find(|stone| stone.low64 == low64))
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The tombstones of a group, in order.
    pub fn group(&self, number: usize) -> Result<Vec<Tombstone>, Damaged> {
        let (_, extent) = self.groups.get(number).ok_or(Damaged)?;
        let bytes = read(&self.file, *extent, self.bytes)?;
        let mut input = Input::new(&bytes);
        let mut stones = Vec::with_capacity(GROUP);
        let mut before = 0u64;
        while input.left() > 0 {
            let low64 = before.checked_add(input.varint()?).ok_or(Damaged)?;
            let rule = *self.names.get(input.varint()? as usize).ok_or(Damaged)?;
            let when = input.delta(self.newest)?;
            stones.push(Tombstone { low64, rule, when });
            before = low64;
        }
        Ok(stones)
    }
}

/// One file being written. It has a temporary name until it is whole.
pub struct SheetWriter {
    file: BufWriter<File>,
    path: PathBuf,
    offset: u64,
    newest: u64,
    count: u64,
    names: Vec<u16>,
    groups: Vec<(u64, Extent)>,
    filter: Filter,
    group: Vec<Tombstone>,
}

impl SheetWriter {
    /// Starts a file for at most so many traces, none decided later than `newest`.
    pub fn create(dir: &Path, sweeps: (u64, u64), most: usize, newest: u64) -> io::Result<Self> {
        let path = Sheet::path_of(dir, sweeps);
        let mut file = BufWriter::new(File::create(path.with_extension("tmp"))?);
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        Ok(Self {
            file,
            path,
            offset: 8,
            newest,
            count: 0,
            names: Vec::new(),
            groups: Vec::new(),
            filter: Filter::with_capacity(most),
            group: Vec::with_capacity(GROUP),
        })
    }

    /// Takes a tombstone; they come in order of their ids.
    pub fn push(&mut self, stone: Tombstone) -> io::Result<()> {
        self.filter.insert(key(stone.low64));
        self.group.push(stone);
        self.count += 1;
        if self.group.len() >= GROUP { self.end_group() } else { Ok(()) }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<Extent> {
        let checksum = crc32fast::hash(bytes);
        let extent = Extent { offset: self.offset, length: bytes.len() as u32, checksum };
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(extent)
    }

    fn end_group(&mut self) -> io::Result<()> {
        let Some(first) = self.group.first().map(|stone| stone.low64) else { return Ok(()) };
        let mut out = Output::default();
        let mut before = 0;
        for stone in std::mem::take(&mut self.group) {
            let name = self.names.iter().position(|known| *known == stone.rule).unwrap_or_else(|| {
                self.names.push(stone.rule);
                self.names.len() - 1
            });
            out.varint(stone.low64 - before);
            out.varint(name as u64);
            out.delta(self.newest, stone.when);
            before = stone.low64;
        }
        let extent = self.put(out.as_bytes())?;
        self.groups.push((first, extent));
        Ok(())
    }

    /// Writes the footer and gives the file its name. The folder is not synced.
    pub fn finish(mut self, names: &Names) -> io::Result<()> {
        self.end_group()?;
        let mut footer = Output::default();
        footer.varint(self.newest);
        footer.varint(self.count);
        footer.varint(self.names.len() as u64);
        self.names.iter().for_each(|number| footer.bytes(names.name(*number).as_bytes()));
        footer.varint(self.groups.len() as u64);
        for (first, extent) in &self.groups {
            footer.fixed64(*first);
            extent.encode(&mut footer);
        }
        self.filter.encode(&mut footer);
        let extent = self.put(footer.as_bytes())?;
        self.file.write_all(&extent.offset.to_le_bytes())?;
        self.file.write_all(&extent.length.to_le_bytes())?;
        self.file.write_all(&extent.checksum.to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&[VERSION])?;
        self.file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        fs::rename(self.path.with_extension("tmp"), &self.path)
    }
}
