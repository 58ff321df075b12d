//! Writing a segment file: blocks one after the other, then the trace index, then the footer. The file has a temporary name
//! until it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parsers::record::{Labels, LogBatch};

use super::log_reader::pack;
use super::log_table::{LogTableFill, Place};
use super::texts::{Column, PAGE, TextsFill};
use super::{Block, Extent, Filter, Footer, MAGIC, Name, Section, Segment, VERSION, key, statistics};
use crate::codec::{Output, encode_log_block};
use crate::read::SpanStatistics;

/// Keys of an index group: one read of about 3 KB.
const GROUP: usize = 512;
/// Measured: higher levels gave no better ratio here.
const LEVEL: i32 = 1;

/// Bytes of lines that are packed together with a dictionary. Without one, all of a block are, or it would take a sixth more room.
const FRAME: usize = 16 << 10;

/// Dictionaries of a segment, and which is in use.
#[derive(Default)]
struct Dictionaries {
    known: Vec<(Vec<u8>, Extent)>,
    /// Number of the one in use plus one; 0 is none.
    current: u32,
    packer: Option<zstd::bulk::Compressor<'static>>,
}

/// One segment being written.
pub struct Writer {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    offset: u64,
    footer: Footer,
    /// Keys of trace ids with the blocks that hold them.
    ids: Vec<(u32, u32)>,
    texts: TextsFill,
    log_table: LogTableFill,
    dictionaries: Dictionaries,
    packer: zstd::bulk::Compressor<'static>,
}

impl Writer {
    /// Starts a file with this name and extension.
    pub fn create(dir: &Path, name: &Name, extension: &str) -> io::Result<Self> {
        let path = name.path(dir, extension);
        let temporary = path.with_extension("tmp");
        let mut file = BufWriter::new(File::create(&temporary)?);
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        Ok(Self {
            file,
            temporary,
            path,
            offset: 8,
            footer: Footer { first: u64::MAX, ..Footer::default() },
            ids: Vec::new(),
            texts: TextsFill::default(),
            log_table: LogTableFill::default(),
            dictionaries: Dictionaries::default(),
            packer: zstd::bulk::Compressor::new(LEVEL)?,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<Extent> {
        let extent =
            Extent { offset: self.offset, length: bytes.len() as u32, checksum: crc32fast::hash(bytes) };
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(extent)
    }

    fn put_packed(&mut self, body: &[u8]) -> io::Result<Extent> {
        let mut packed = (body.len() as u32).to_le_bytes().to_vec();
        packed.extend_from_slice(&self.packer.compress(body)?);
        self.put(&packed)
    }

    /// Whether it has no block yet.
    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty()
    }

    /// Registers a stream; log blocks name it by the number that comes back.
    pub fn stream(&mut self, labels: &Arc<Labels>) -> u32 {
        self.footer.streams.push(Arc::clone(labels));
        self.footer.streams.len() as u32 - 1
    }

    /// Registers the services with their operations, sorted.
    pub fn services(&mut self, services: Vec<super::Service>) {
        self.footer.services = services;
    }

    /// Writes a block: its encoding, first and last time of each record, and their trace ids (0 is none).
    pub fn block(
        &mut self,
        body: &Output,
        stream: u32,
        times: impl Iterator<Item = (u64, u64)>,
        traces: impl Iterator<Item = u128>,
    ) -> io::Result<()> {
        let (mut first, mut last, mut records) = (u64::MAX, 0, 0);
        for (start, end) in times {
            first = first.min(start);
            last = last.max(end);
            records += 1;
        }
        let extent = self.put_packed(body.as_bytes())?;
        let raw = body.as_bytes().len() as u32;
        let keys = traces.filter(|t| *t != 0).map(|t| key(t as u64));
        self.add(Block { extent, raw, stream, first, last, records }, keys);
        Ok(())
    }

    /// Writes a block of logs, which has records, in order of time.
    pub fn log_block(&mut self, block: &LogBatch, stream: u32) -> io::Result<()> {
        let frame = if self.dictionaries.current == 0 { usize::MAX } else { FRAME };
        let parts = encode_log_block(block, frame, |trace| self.log_table.number(trace));
        let (packer, with) = (&mut self.packer, &mut self.dictionaries.packer);
        let packed = pack(&parts, |bytes, are_lines| match with {
            Some(with) if are_lines => with.compress(bytes),
            _ => packer.compress(bytes),
        })?;
        let extent = self.put(&packed)?;
        let raw = (parts.columns.as_bytes().len() + parts.ids.as_bytes().len() + parts.text.len()) as u32;
        let times = || block.rows.iter().map(|row| row.time);
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let keys = block.rows.iter().filter(|row| row.trace != 0).map(|row| key(row.trace as u64));
        self.add(Block { extent, raw, stream, first, last, records: block.rows.len() as u32 }, keys);
        let (first, count) = parts.traces;
        self.log_table.push(Some(Place { dictionary: self.dictionaries.current, first, count }));
        self.column(Arc::new(Column::of(&parts.text)), raw);
        Ok(())
    }

    /// Takes a dictionary in, unless it is there already; the number by which blocks name it. An empty one is none.
    pub fn dictionary(&mut self, content: Vec<u8>) -> io::Result<u32> {
        if content.is_empty() {
            return Ok(0);
        }
        let known = &self.dictionaries.known;
        if let Some(at) = known.iter().position(|(other, _)| *other == content) {
            return Ok(at as u32 + 1);
        }
        let extent = self.put_packed(&content)?;
        self.dictionaries.known.push((content, extent));
        Ok(self.dictionaries.known.len() as u32)
    }

    /// Packs lines with this dictionary from now on.
    pub fn pack_with(&mut self, dictionary: u32) -> io::Result<()> {
        let all = &mut self.dictionaries;
        if all.current == dictionary {
            return Ok(());
        }
        all.current = dictionary;
        let content = (dictionary as usize).checked_sub(1).and_then(|at| all.known.get(at));
        all.packer = content
            .map(|(content, _)| zstd::bulk::Compressor::with_dictionary(LEVEL, content))
            .transpose()?;
        Ok(())
    }

    /// The table of trace ids of logs.
    pub fn log_table(&mut self) -> &mut LogTableFill {
        &mut self.log_table
    }

    /// Writes a block of so many records without traces: first and last time.
    pub fn whole_block(&mut self, body: &Output, times: (u64, u64), records: u32) -> io::Result<()> {
        let extent = self.put_packed(body.as_bytes())?;
        let raw = body.as_bytes().len() as u32;
        let (first, last) = times;
        self.add(Block { extent, raw, stream: 0, first, last, records }, std::iter::empty());
        Ok(())
    }

    /// Takes a block of another segment over as it is, with the keys that the other's index has for it.
    pub fn copy(
        &mut self,
        block: &Block,
        packed: &[u8],
        stream: u32,
        keys: impl Iterator<Item = u32>,
    ) -> io::Result<()> {
        let extent = self.put(packed)?;
        self.add(Block { extent, stream, ..*block }, keys);
        Ok(())
    }

    /// Writes what a section points to.
    pub fn packed(&mut self, body: &Output) -> io::Result<Extent> {
        self.put_packed(body.as_bytes())
    }

    /// The number that the next block gets.
    pub fn next_block(&self) -> u32 {
        self.footer.blocks.len() as u32
    }

    /// Writes a section, or the next part of it.
    pub fn section(&mut self, section: Section, body: &Output) -> io::Result<()> {
        let extent = self.put_packed(body.as_bytes())?;
        self.footer.sections.push((section as u32, extent));
        Ok(())
    }

    /// Says which texts occur in the lines of the block that was written last, and how many raw bytes all blocks have that the
    /// column is of. A segment says it of all blocks, or of none.
    pub fn column(&mut self, column: Arc<Column>, raw: u32) {
        let stream = self.footer.blocks.last().map_or(0, |block| block.stream);
        self.texts.push(column, raw, stream);
    }

    fn put_log_table(&mut self) -> io::Result<()> {
        let table = std::mem::take(&mut self.log_table);
        if table.is_empty() {
            return Ok(());
        }
        let offset = self.offset;
        let pages = table.pages().map(|page| self.put(&page).map(|extent| extent.checksum));
        let checksums = pages.collect::<io::Result<Vec<u32>>>()?;
        let dictionaries: Vec<Extent> = self.dictionaries.known.iter().map(|(_, extent)| *extent).collect();
        let mut head = Output::default();
        table.encode(offset, &checksums, &dictionaries, &mut head);
        self.section(Section::LogTable, &head)
    }

    fn put_texts(&mut self) -> io::Result<()> {
        let texts = std::mem::take(&mut self.texts);
        if texts.is_empty() {
            return Ok(());
        }
        let offset = self.offset;
        let rows = texts.rows();
        let pages = rows.chunks(PAGE).map(|page| self.put(page).map(|extent| extent.checksum));
        let checksums = pages.collect::<io::Result<Vec<u32>>>()?;
        let mut head = Output::default();
        texts.encode(offset, &checksums, &mut head);
        self.section(Section::Texts, &head)
    }

    /// Writes the statistics of spans.
    pub fn statistics(&mut self, counted: &SpanStatistics) -> io::Result<()> {
        let mut out = Output::default();
        statistics::encode(counted, &mut out);
        self.section(Section::SpanStatistics, &out)
    }

    fn add(&mut self, block: Block, keys: impl Iterator<Item = u32>) {
        let number = self.footer.blocks.len() as u32;
        let from = self.ids.len();
        for key in keys {
            let pair = (key, number);
            if self.ids.get(from..).is_some_and(|new| new.last() != Some(&pair)) {
                self.ids.push(pair);
            }
        }
        self.footer.first = self.footer.first.min(block.first);
        self.footer.last = self.footer.last.max(block.last);
        self.footer.blocks.push(block);
    }

    fn index(&mut self, with_blocks: bool) -> io::Result<()> {
        self.ids.sort_unstable();
        self.ids.dedup();
        let ids = std::mem::take(&mut self.ids);
        let keys: Vec<&[(u32, u32)]> = ids.chunk_by(|a, b| a.0 == b.0).collect();
        if with_blocks {
            let mut filter = Filter::with_capacity(keys.len());
            keys.iter().filter_map(|pairs| pairs.first()).for_each(|(key, _)| filter.insert(*key));
            self.footer.filter = filter;
        }
        for group in keys.chunks(GROUP) {
            let mut out = Output::default();
            let mut at = 0;
            for pairs in group {
                let key = pairs.first().map_or(0, |b| b.0);
                out.varint(u64::from(key - at));
                at = key;
                let blocks = if with_blocks { *pairs } else { &[] };
                out.varint(blocks.len() as u64);
                let mut before = 0;
                for (_, block) in blocks {
                    out.varint(u64::from(block - before));
                    before = *block;
                }
            }
            let first = group.first().and_then(|b| b.first()).map_or(0, |b| b.0);
            let extent = self.put(out.as_bytes())?;
            self.footer.groups.push((first, extent));
        }
        Ok(())
    }

    /// Writes index and footer, and gives the file its name. The folder is not synced.
    pub fn finish(mut self) -> io::Result<()> {
        self.index(true)?;
        self.put_log_table()?;
        self.put_texts()?;
        self.end()
    }

    /// Writes, in place of a segment, what remains to be known of it: ids and times.
    pub fn remainder(mut self, of: &Segment, keys: Vec<(u32, u32)>) -> io::Result<()> {
        self.ids = keys;
        (self.footer.first, self.footer.last) = (of.footer.first, of.footer.last);
        self.index(false)?;
        self.end()
    }

    fn end(mut self) -> io::Result<()> {
        let mut body = Output::default();
        self.footer.encode(&mut body);
        let extent = self.put_packed(body.as_bytes())?;
        self.file.write_all(&extent.offset.to_le_bytes())?;
        self.file.write_all(&extent.length.to_le_bytes())?;
        self.file.write_all(&extent.checksum.to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&[VERSION])?;
        self.file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        fs::rename(&self.temporary, &self.path)
    }
}
