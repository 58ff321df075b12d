//! Reading a segment: the footer once, blocks and index groups by position.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parsers::record::{Batch, LogBatch};

use super::log_reader::LogReader;
use super::log_table::LogTable;
use super::texts::{Holding, Known, Literal, Texts};
use super::times::SpanTimes;
use super::{Block, Extent, Footer, MAGIC, MAX_BLOCK, Name, Section, TRAILER, VERSION, key, statistics};
use crate::codec::{Damaged, Input, decode_metrics, decode_spans};
use crate::options::OpenError;
use crate::read::{Signal, SpanStatistics};

/// An open segment.
#[derive(Debug)]
pub struct Segment {
    /// What its name says.
    pub name: Name,
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// What is where.
    pub footer: Footer,
    file: File,
    /// Read when it is first asked for; `None` if there is none.
    texts: OnceLock<Option<Texts>>,
    /// As `texts`; a damaged one must not be taken for none.
    log_table: OnceLock<Result<Option<LogTable>, Damaged>>,
    /// As `log_table`.
    span_times: OnceLock<Result<Option<SpanTimes>, Damaged>>,
}

impl Segment {
    /// Opens one. `Ok(None)` when it is damaged.
    pub fn open(path: &Path, name: Name) -> Result<Option<Self>, OpenError> {
        let path = path.to_owned();
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
        let footer = read(&file, extent, bytes)
            .and_then(|packed| unpack(&packed))
            .and_then(|body| Footer::decode(&mut Input::new(&body), found));
        let Ok(footer) = footer else { return Ok(None) };
        let blocks = &footer.blocks;
        Ok(Some(Self {
            name,
            bytes,
            records: blocks.iter().map(|b| u64::from(b.records)).sum(),
            footer,
            file,
            texts: OnceLock::new(),
            log_table: OnceLock::new(),
            span_times: OnceLock::new(),
            path,
        }))
    }

    /// Reads a block.
    pub fn block(&self, number: usize) -> Result<Batch, Damaged> {
        if self.name.signal == Signal::Logs {
            return self.logs(number, |block| block.all());
        }
        self.decode(&self.unpacked(number)?)
    }

    /// The encoding of a block that is not of logs. Texts lie in it as they came.
    pub fn unpacked(&self, number: usize) -> Result<Vec<u8>, Damaged> {
        unpack(&self.packed(self.footer.blocks.get(number).ok_or(Damaged)?)?)
    }

    /// Reads the encoding of a block that is not of logs.
    pub fn decode(&self, body: &[u8]) -> Result<Batch, Damaged> {
        let mut input = Input::new(body);
        let mut batch = Batch::default();
        match self.name.signal {
            Signal::Logs => return Err(Damaged),
            Signal::Traces => batch.spans = decode_spans(&mut input)?,
            Signal::Metrics => batch.metrics = decode_metrics(&mut input)?,
        }
        Ok(batch)
    }

    /// Reads those records of a block of logs that are chosen.
    pub fn logs(
        &self,
        number: usize,
        choose: impl FnOnce(LogReader<'_>) -> Result<LogBatch, Damaged>,
    ) -> Result<Batch, Damaged> {
        Ok(Batch { logs: choose(LogReader::open(self, number)?)?, ..Batch::default() })
    }

    /// What its blocks of logs share; `None` if all are of earlier versions.
    pub fn log_table(&self) -> Result<Option<&LogTable>, Damaged> {
        let load = || {
            let Some(head) = self.section(Section::LogTable)? else { return Ok(None) };
            LogTable::decode(&mut Input::new(&head), self.footer.blocks.len()).map(Some)
        };
        self.log_table.get_or_init(load).as_ref().map(Option::as_ref).map_err(|damaged| *damaged)
    }

    /// When its spans ran; `None` if it was written without.
    pub fn span_times(&self) -> Result<Option<&SpanTimes>, Damaged> {
        let load = || {
            let Some(body) = self.section(Section::SpanTimes)? else { return Ok(None) };
            SpanTimes::decode(&mut Input::new(&body)).map(Some)
        };
        self.span_times.get_or_init(load).as_ref().map(Option::as_ref).map_err(|damaged| *damaged)
    }

    /// Bytes that the caller checks.
    pub fn bytes_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Damaged> {
        read_unchecked(&self.file, offset, length, self.bytes)
    }

    /// Whether an earlier version may have written samples into it.
    pub fn may_have_samples(&self) -> bool {
        self.name.signal == Signal::Metrics && self.part(Section::NoSamples, 0).is_none()
    }

    /// Where a part of a section lies; `None` if the segment has not so many.
    pub fn part(&self, section: Section, part: usize) -> Option<Extent> {
        let mut parts = self.footer.sections.iter().filter(|(number, _)| *number == section as u32);
        parts.nth(part).map(|(_, extent)| *extent)
    }

    /// Where all parts of a section lie, in order.
    pub fn parts(&self, section: Section) -> Vec<Extent> {
        let parts = self.footer.sections.iter().filter(|(number, _)| *number == section as u32);
        parts.map(|(_, extent)| *extent).collect()
    }

    /// What a section holds that comes in one part; `None` if the segment has none of this number.
    pub fn section(&self, section: Section) -> Result<Option<Vec<u8>>, Damaged> {
        self.part(section, 0).map(|extent| self.read_part(extent)).transpose()
    }

    /// What a part of a section holds.
    pub fn read_part(&self, extent: Extent) -> Result<Vec<u8>, Damaged> {
        unpack(&read(&self.file, extent, self.bytes)?)
    }

    /// The statistics of its spans; `None` if it was written without.
    pub fn statistics(&self) -> Result<Option<SpanStatistics>, Damaged> {
        let body = self.section(Section::SpanStatistics)?;
        body.map(|body| statistics::decode(&mut Input::new(&body))).transpose()
    }

    fn texts(&self) -> Option<&Texts> {
        let load = || {
            let head = self.section(Section::Texts).ok()??;
            Texts::decode(&mut Input::new(&head), self.footer.blocks.len()).ok()
        };
        self.texts.get_or_init(load).as_ref()
    }

    fn read_at(&self, offset: u64, length: usize, checksum: u32) -> Result<Vec<u8>, Damaged> {
        read(&self.file, Extent { offset, length: length as u32, checksum }, self.bytes)
    }

    /// Which blocks may have a line that holds a text; `None` if nothing is known of that, or not any more.
    pub fn holding(&self, literal: &Literal) -> Option<Holding> {
        if literal.says_nothing() {
            return None;
        }
        let indexed = |low64| self.find(low64).map(Option::unwrap_or_default);
        self.texts()?.holding(literal, &|at, length, sum| self.read_at(at, length, sum), indexed).ok()
    }

    /// What is known of the lines of each block; of none if it is damaged.
    pub fn columns(&self) -> Vec<Known> {
        let raw: Vec<u32> = self.footer.blocks.iter().map(|block| block.raw).collect();
        let texts = self.texts();
        let known =
            texts.and_then(|t| t.by_block(&raw, &|at, length, sum| self.read_at(at, length, sum)).ok());
        known.unwrap_or_default()
    }

    /// The bytes of a block as they lie on disk, checked.
    pub fn packed(&self, block: &Block) -> Result<Vec<u8>, Damaged> {
        read(&self.file, block.extent, self.bytes)
    }

    /// Blocks that may hold records of a trace, in order; `None` if the trace is not in the index.
    pub fn find(&self, low64: u64) -> Result<Option<Vec<usize>>, Damaged> {
        let key = key(low64);
        if !self.footer.filter.may_hold(key) {
            return Ok(None);
        }
        let after = self.footer.groups.partition_point(|(first, _)| *first <= key);
        let Some((_, extent)) = after.checked_sub(1).and_then(|i| self.footer.groups.get(i)) else {
            return Ok(None);
        };
        let bytes = read(&self.file, *extent, self.bytes)?;
        let mut input = Input::new(&bytes);
        let mut at = 0;
        let mut blocks = Vec::new();
        while input.left() > 0 {
            at = entry(&mut input, at, &mut blocks)?;
            if at >= u64::from(key) {
                return Ok((at == u64::from(key)).then_some(blocks));
            }
        }
        Ok(None)
    }

    /// The whole index: keys in order, each with a block that holds it. A key without blocks comes with 0.
    pub fn index(&self) -> Result<Vec<(u32, u32)>, Damaged> {
        let mut pairs = Vec::new();
        let mut blocks = Vec::new();
        for (_, extent) in &self.footer.groups {
            let bytes = read(&self.file, *extent, self.bytes)?;
            let mut input = Input::new(&bytes);
            let mut at = 0;
            while input.left() > 0 {
                at = entry(&mut input, at, &mut blocks)?;
                let key = u32::try_from(at).map_err(|_| Damaged)?;
                if blocks.is_empty() {
                    pairs.push((key, 0));
                }
                pairs.extend(blocks.iter().map(|b| (key, *b as u32)));
            }
        }
        Ok(pairs)
    }
}

/// Reads one key of an index group, and its blocks.
fn entry(input: &mut Input<'_>, before: u64, blocks: &mut Vec<usize>) -> Result<u64, Damaged> {
    let key = before.checked_add(input.varint()?).ok_or(Damaged)?;
    blocks.clear();
    let mut block = 0usize;
    for _ in 0..input.count()? {
        block = block.checked_add(input.varint()? as usize).ok_or(Damaged)?;
        blocks.push(block);
    }
    Ok(key)
}

/// Where the footer of a file lies that begins and ends with this magic, and the file's version.
pub fn parse_trailer(trailer: &[u8], magic: &[u8]) -> Result<(Extent, u8), Damaged> {
    let mut input = Input::new(trailer);
    let offset = input.fixed64()?;
    let mut number = || Ok(u32::from_le_bytes(input.raw(4)?.try_into().map_err(|_| Damaged)?));
    let (length, checksum) = (number()?, number()?);
    if input.raw(magic.len())? != magic {
        return Err(Damaged);
    }
    Ok((Extent { offset, length, checksum }, input.byte()?))
}

/// Reads some bytes of a file of this size, and checks them.
pub fn read(file: &File, extent: Extent, size: u64) -> Result<Vec<u8>, Damaged> {
    let bytes = read_unchecked(file, extent.offset, extent.length as usize, size)?;
    if crc32fast::hash(&bytes) == extent.checksum { Ok(bytes) } else { Err(Damaged) }
}

fn read_unchecked(file: &File, offset: u64, length: usize, size: u64) -> Result<Vec<u8>, Damaged> {
    if offset.checked_add(length as u64).is_none_or(|end| end > size) {
        return Err(Damaged);
    }
    let mut bytes = vec![0u8; length];
    let done: io::Result<()> = file.read_exact_at(&mut bytes, offset);
    done.map_err(|_| Damaged)?;
    Ok(bytes)
}

thread_local! {
    /// Making one costs as much as unpacking a small block.
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Unpacks what begins with the size that it had.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damaged> {
    let (size, body) = packed.split_first_chunk::<4>().ok_or(Damaged)?;
    unpack_to(body, u32::from_le_bytes(*size) as usize)
}

/// Unpacks what had so many bytes at most.
pub fn unpack_to(packed: &[u8], size: usize) -> Result<Vec<u8>, Damaged> {
    if size > MAX_BLOCK {
        return Err(Damaged);
    }
    UNPACKER.with_borrow_mut(|kept| {
        let unpacker = match kept {
            Some(unpacker) => unpacker,
            None => kept.insert(zstd::bulk::Decompressor::new().map_err(|_| Damaged)?),
        };
        unpacker.decompress(packed, size).map_err(|_| Damaged)
    })
}
