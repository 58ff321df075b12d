//! Writing a segment of samples: blocks of chunks, series by series in the order of their labels; then, in pages, the series with
//! their labels and chunks, and for each value of each label the series that have it.

use std::io;

use parsers::record::MetricMeta;
use rustc_hash::FxHashMap;

use super::chunk;
use super::series::Whole;
use super::symbols::Symbols;
use crate::codec::{Output, encode_family};
use crate::segment::{Section, Writer};

/// Samples of a chunk: an hour of the usual interval.
const CHUNK: usize = 240;
/// Histograms of a chunk: each is some hundred bytes.
const HISTOGRAMS: usize = 60;
/// Bytes of a block before it is packed: large enough to pack well, small enough to be read for one series.
const BLOCK_BYTES: usize = 64 << 10;
/// Series of a page.
pub const PAGE: u32 = 256;
/// Bytes of a page of values before it is packed.
const PAGE_BYTES: usize = 32 << 10;
/// A chunk holds numbers.
pub const NUMBERS: u8 = 0;
/// A chunk holds histograms.
pub const NATIVE: u8 = 1;

/// Runs of numbers: first, and how many.
type Runs = Vec<(u32, u32)>;

/// One segment's samples being written.
pub struct Table<'w> {
    writer: &'w mut Writer,
    symbols: Symbols,
    postings: FxHashMap<(u32, u32), Runs>,
    page: Output,
    /// Labels of the series before, if it is in the same page.
    before: Vec<(u32, u32)>,
    count: u32,
    block: Output,
    times: (u64, u64),
    records: u32,
}

impl<'w> Table<'w> {
    /// Empty.
    pub fn new(writer: &'w mut Writer) -> Self {
        Self {
            writer,
            symbols: Symbols::default(),
            postings: FxHashMap::default(),
            page: Output::default(),
            before: Vec::new(),
            count: 0,
            block: Output::default(),
            times: (u64::MAX, 0),
            records: 0,
        }
    }

    /// Takes a series, its labels sorted by name, and the series sorted by labels. One without samples is passed over.
    pub fn series<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        whole: &Whole,
    ) -> io::Result<()> {
        if whole.samples.is_empty() && whole.histograms.is_empty() {
            return Ok(());
        }
        let number = self.count;
        self.count += 1;
        let labels: Vec<(&str, &str)> = labels.collect();
        let pairs: Vec<(u32, u32)> =
            labels.iter().map(|(name, value)| (self.symbols.add(name), self.symbols.add(value))).collect();
        for pair in &pairs {
            let runs = self.postings.entry(*pair).or_default();
            match runs.last_mut() {
                Some((first, length)) if *first + *length == number => *length += 1,
                _ => runs.push((number, 1)),
            }
        }
        let same = pairs.iter().zip(&self.before).take_while(|(a, b)| a == b).count();
        self.page.varint(same as u64);
        self.page.varint((pairs.len() - same) as u64);
        for (name, value) in labels.iter().skip(same) {
            self.page.bytes(name.as_bytes());
            self.page.bytes(value.as_bytes());
        }
        self.before = pairs;
        let chunks = whole.samples.len().div_ceil(CHUNK) + whole.histograms.len().div_ceil(HISTOGRAMS);
        self.page.varint(chunks as u64);
        for samples in whole.samples.chunks(CHUNK) {
            let times = (samples.first().map_or(0, |s| s.time), samples.last().map_or(0, |s| s.time));
            self.chunk(NUMBERS, samples.len(), times, |out| chunk::encode(samples, out))?;
        }
        for histograms in whole.histograms.chunks(HISTOGRAMS) {
            let all: Vec<u64> = histograms.iter().map(|(time, _)| *time).collect();
            let times = (all.first().copied().unwrap_or(0), all.last().copied().unwrap_or(0));
            self.chunk(NATIVE, histograms.len(), times, |out| {
                chunk::encode_histograms(&all, histograms.iter().map(|(_, body)| &**body), out);
            })?;
        }
        if self.count.is_multiple_of(PAGE) { self.flush_page() } else { Ok(()) }
    }

    fn chunk(
        &mut self,
        kind: u8,
        records: usize,
        (first, last): (u64, u64),
        write: impl FnOnce(&mut Output),
    ) -> io::Result<()> {
        if self.block.as_bytes().len() >= BLOCK_BYTES {
            self.flush_block()?;
        }
        let from = self.block.as_bytes().len();
        write(&mut self.block);
        self.page.byte(kind);
        self.page.varint(u64::from(self.writer.next_block()));
        self.page.varint(from as u64);
        self.page.varint((self.block.as_bytes().len() - from) as u64);
        self.page.varint(first);
        self.page.varint(last - first);
        self.times = (self.times.0.min(first), self.times.1.max(last));
        self.records += records as u32;
        Ok(())
    }

    fn flush_block(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        if block.as_bytes().is_empty() {
            return Ok(());
        }
        self.writer.whole_block(&block, self.times, self.records)?;
        (self.times, self.records) = ((u64::MAX, 0), 0);
        Ok(())
    }

    fn flush_page(&mut self) -> io::Result<()> {
        self.before.clear();
        let page = std::mem::take(&mut self.page);
        if page.as_bytes().is_empty() { Ok(()) } else { self.writer.section(Section::SampleSeries, &page) }
    }

    /// Writes the rest, and what was said of families.
    pub fn finish(mut self, families: &[MetricMeta]) -> io::Result<()> {
        self.flush_block()?;
        self.flush_page()?;
        let symbols = &self.symbols;
        let mut values: Vec<(&str, &str, Runs)> = self
            .postings
            .drain()
            .map(|((name, value), runs)| (symbols.text(name), symbols.text(value), runs))
            .collect();
        values.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let mut keys = Output::default();
        keys.varint(u64::from(self.count));
        let mut page = Output::default();
        let mut before = None;
        for (name, value, runs) in &values {
            if page.as_bytes().len() >= PAGE_BYTES {
                self.writer.section(Section::SampleValues, &std::mem::take(&mut page))?;
                before = None;
            }
            if page.as_bytes().is_empty() {
                keys.bytes(name.as_bytes());
                keys.bytes(value.as_bytes());
            }
            // A label's name comes with the first of its values in a page.
            let known = before == Some(*name);
            page.byte(u8::from(!known));
            if !known {
                page.bytes(name.as_bytes());
            }
            before = Some(*name);
            page.bytes(value.as_bytes());
            page.varint(runs.len() as u64);
            let mut end = 0;
            for (first, length) in runs {
                page.varint(u64::from(first - end));
                page.varint(u64::from(*length));
                end = first + length;
            }
        }
        if !page.as_bytes().is_empty() {
            self.writer.section(Section::SampleValues, &page)?;
        }
        self.writer.section(Section::SampleKeys, &keys)?;
        if families.is_empty() {
            return Ok(());
        }
        let mut said = Output::default();
        said.varint(families.len() as u64);
        families.iter().for_each(|family| encode_family(family, &mut said));
        self.writer.section(Section::Families, &said)
    }
}
