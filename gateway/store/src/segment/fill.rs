//! Filling blocks: rows of any batches are copied together until a block is full, and written.

use std::hash::Hasher as _;
use std::io;
use std::sync::Arc;

use parsers::record::{
    ByteRange, ExemplarRow, Labels, LogBatch, LogRow, MetricBatch, ResourceRow, SpanBatch, SpanRow,
};
use rustc_hash::{FxHashMap, FxHasher};

use super::statistics::Collector;
use super::summary::Summary;
use super::times::Times;
use super::writer::Writer;
use super::{SUMMARIES, Section};
use crate::codec::{Output, encode_metrics, encode_spans};
use crate::read::SpanStatistics;

/// Raw bytes of a block: large enough to compress well, small enough to be read for one record.
pub const BLOCK_BYTES: usize = 96 << 10;
/// The same of a block of log records. Most often a few of them are read at a time, of as many blocks: less than a tenth of what is
/// stored would be saved with twice as much.
pub const LOG_BLOCK_BYTES: usize = 64 << 10;
/// Samples of a block.
const BLOCK_SAMPLES: usize = 8192;

fn copy(buffer: &mut Vec<u8>, bytes: &[u8]) -> ByteRange {
    let start = buffer.len() as u32;
    buffer.extend_from_slice(bytes);
    ByteRange { start, end: buffer.len() as u32 }
}

/// Copies metadata, unless it is there already: most records of a stream have the same.
fn kept_once(metas: &mut FxHashMap<u64, ByteRange>, buffer: &mut Vec<u8>, meta: &[u8]) -> ByteRange {
    if meta.is_empty() {
        return ByteRange::default();
    }
    let mut hasher = FxHasher::default();
    hasher.write(meta);
    let hash = hasher.finish();
    match metas.get(&hash) {
        Some(range) if range.of(buffer) == meta => *range,
        _ => {
            let range = copy(buffer, meta);
            metas.insert(hash, range);
            range
        }
    }
}

fn place<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> usize {
    list.iter().position(|i| i == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    })
}

/// A block of log records of one stream.
pub struct LogFill {
    labels: Arc<Labels>,
    stream: u32,
    block: LogBatch,
    /// Where metadata lies that the block has already, by its hash.
    metas: FxHashMap<u64, ByteRange>,
}

impl LogFill {
    /// Empty, for a stream that the writer knows by this number.
    pub fn new(labels: &Arc<Labels>, stream: u32) -> Self {
        Self { labels: Arc::clone(labels), stream, block: LogBatch::default(), metas: FxHashMap::default() }
    }

    /// Takes a row; writes the block when it is full.
    pub fn push(&mut self, from: &LogBatch, row: &LogRow, writer: &mut Writer) -> io::Result<()> {
        let block = &mut self.block;
        let mut new = LogRow { stream: 0, file: 0, rule: 0, ..*row };
        if let Some(file) = (row.file as usize).checked_sub(1).and_then(|i| from.files.get(i)) {
            new.file = place(&mut block.files, file) as u32 + 1;
        }
        if let Some(rule) = (row.rule as usize).checked_sub(1).and_then(|i| from.rules.get(i)) {
            new.rule = place(&mut block.rules, rule) as u16 + 1;
        }
        new.line = copy(&mut block.text, from.line(row));
        new.meta = kept_once(&mut self.metas, &mut block.meta, row.meta.of(&from.meta));
        block.rows.push(new);
        if block.text.len() + block.meta.len() + block.rows.len() * 16 >= LOG_BLOCK_BYTES {
            self.write(writer)?;
        }
        Ok(())
    }

    /// Writes what there is, in order of time.
    pub fn write(&mut self, writer: &mut Writer) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        self.metas.clear();
        if block.rows.is_empty() {
            return Ok(());
        }
        block.streams.push(Arc::clone(&self.labels));
        if !block.rows.is_sorted_by_key(|r| r.time) {
            block.rows.sort_by_key(|r| r.time);
        }
        writer.log_block(&block, self.stream)
    }
}

/// The order of spans in a segment: the short and the long forms of a trace id lie together.
pub fn order(row: &SpanRow) -> (u64, u128, u64) {
    (row.trace as u64, row.trace, row.start)
}

/// A block of spans, with its resources and scopes kept once.
#[derive(Default)]
pub struct SpanFill {
    /// Of the blocks that were written, the last [`SUMMARIES`] at most.
    summaries: Vec<Summary>,
    statistics: Option<Collector>,
    batch: SpanBatch,
    resources: FxHashMap<Vec<u8>, u32>,
    scopes: FxHashMap<Vec<u8>, u32>,
    /// From (batch, whether a scope, its index) to ours.
    known: FxHashMap<(u32, bool, u32), u32>,
    /// Of all blocks so far.
    times: Times,
}

impl SpanFill {
    /// Empty; counts what the spans have, if that is not known from elsewhere.
    pub fn new(counting: bool) -> Self {
        Self { statistics: counting.then(Collector::default), ..Self::default() }
    }

    /// Takes a row of the batch that the caller calls by this number; writes the block when it is full.
    pub fn push(
        &mut self,
        number: u32,
        from: &SpanBatch,
        row: &SpanRow,
        writer: &mut Writer,
    ) -> io::Result<()> {
        let mut new = *row;
        let batch = &mut self.batch;
        new.resource = *self.known.entry((number, false, row.resource)).or_insert_with(|| {
            let Some(resource) = from.resources.get(row.resource as usize) else { return u32::MAX };
            let payload = resource.payload.of(&from.bytes);
            *self.resources.entry(payload.to_vec()).or_insert_with(|| {
                let payload = copy(&mut batch.bytes, payload);
                batch.resources.push(ResourceRow { service: Arc::clone(&resource.service), payload });
                batch.resources.len() as u32 - 1
            })
        });
        new.scope = *self.known.entry((number, true, row.scope)).or_insert_with(|| {
            let Some(scope) = from.scopes.get(row.scope as usize) else { return u32::MAX };
            let payload = scope.of(&from.bytes);
            *self.scopes.entry(payload.to_vec()).or_insert_with(|| {
                let payload = copy(&mut batch.bytes, payload);
                batch.scopes.push(payload);
                batch.scopes.len() as u32 - 1
            })
        });
        new.payload = copy(&mut batch.bytes, row.payload.of(&from.bytes));
        let inside = row.payload.start <= row.name.start && row.name.end <= row.payload.end;
        new.name = if inside && !row.name.is_empty() {
            let shift = |at: u32| at - row.payload.start + new.payload.start;
            ByteRange { start: shift(row.name.start), end: shift(row.name.end) }
        } else {
            copy(&mut batch.bytes, row.name.of(&from.bytes))
        };
        batch.rows.push(new);
        if batch.bytes.len() >= BLOCK_BYTES {
            self.write(writer)?;
        }
        Ok(())
    }

    /// Writes what there is, and what is known of the blocks. Gives what was counted.
    pub fn finish(mut self, writer: &mut Writer) -> io::Result<Option<SpanStatistics>> {
        self.write(writer)?;
        self.write_summaries(writer)?;
        std::mem::take(&mut self.times).write(writer)?;
        Ok(self.statistics.as_ref().map(Collector::statistics))
    }

    fn write_summaries(&mut self, writer: &mut Writer) -> io::Result<()> {
        if self.summaries.is_empty() {
            return Ok(());
        }
        let mut out = Output::with_capacity(self.summaries.iter().map(Summary::size).sum());
        out.varint(self.summaries.len() as u64);
        self.summaries.iter().for_each(|summary| summary.encode(&mut out));
        self.summaries.clear();
        writer.section(Section::SpanBlocks, &out)
    }

    fn write(&mut self, writer: &mut Writer) -> io::Result<()> {
        let block = std::mem::take(&mut self.batch);
        self.resources.clear();
        self.scopes.clear();
        self.known.clear();
        if block.rows.is_empty() {
            return Ok(());
        }
        self.times.add(writer.next_block(), &block);
        if self.summaries.len() >= SUMMARIES {
            self.write_summaries(writer)?;
        }
        self.summaries.push(Summary::of(&block, self.statistics.as_mut()));
        let mut out = Output::with_capacity(block.size());
        encode_spans(&block, &mut out);
        let times = block.rows.iter().map(|r| (r.start, r.end.max(r.start)));
        writer.block(&out, 0, times, block.rows.iter().map(|r| r.trace))
    }
}

/// Blocks of exemplars.
#[derive(Default)]
pub struct MetricFill {
    block: MetricBatch,
}

impl MetricFill {
    fn series(&mut self, labels: &Arc<Labels>) -> u32 {
        if self.block.series.last() != Some(labels) {
            self.block.series.push(Arc::clone(labels));
        }
        self.block.series.len() as u32 - 1
    }

    /// Takes an exemplar whose labels are a range of `meta`; writes the block when it is full.
    pub fn exemplar(
        &mut self,
        labels: &Arc<Labels>,
        exemplar: &ExemplarRow,
        meta: &[u8],
        writer: &mut Writer,
    ) -> io::Result<()> {
        let series = self.series(labels);
        let labels = copy(&mut self.block.meta, exemplar.labels.of(meta));
        self.block.exemplars.push(ExemplarRow { series, labels, ..*exemplar });
        if self.block.exemplars.len() >= BLOCK_SAMPLES { self.write(writer) } else { Ok(()) }
    }

    /// Writes what there is.
    pub fn write(&mut self, writer: &mut Writer) -> io::Result<()> {
        if self.block.exemplars.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let mut out = Output::with_capacity(block.size());
        encode_metrics(&block, &mut out);
        let times = block.exemplars.iter().map(|e| (e.time, e.time));
        writer.block(&out, 0, times, block.exemplars.iter().map(|e| e.trace))
    }
}
