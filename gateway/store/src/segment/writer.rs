//! Writing segments: records of many batches, sorted into blocks, streamed to a temporary file that is renamed when whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parsers::record::{Batch, ByteRange, Labels, LogBatch, LogRow, MetricBatch, ResourceRow, SpanBatch};
use rustc_hash::FxHashMap;

use super::{Block, DAY, Extent, Filter, Footer, MAGIC, Name, VERSION, mix};
use crate::codec::{Output, encode_logs, encode_metrics, encode_spans};
use crate::disk;
use crate::read::Signal;

/// Raw bytes of a block: large enough to compress well, small enough to be read for one record.
const BLOCK_BYTES: usize = 96 << 10;
/// Samples of a block.
const BLOCK_SAMPLES: usize = 8192;
/// Keys of an index group: one read of about 3 KB.
const GROUP: usize = 512;
/// A sender with a broken clock must not make a file a day: older days than these go with the oldest of them.
const MAX_DAYS: usize = 16;
/// Measured: higher levels gave no better ratio here.
const LEVEL: i32 = 1;

/// One segment being written.
pub struct Writer {
    file: BufWriter<File>,
    offset: u64,
    footer: Footer,
    ids: Vec<(u32, u32)>,
    hashes: Vec<u64>,
    packer: zstd::bulk::Compressor<'static>,
}

impl Writer {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        Ok(Self {
            file,
            offset: 8,
            footer: Footer::default(),
            ids: Vec::new(),
            hashes: Vec::new(),
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

    fn block(
        &mut self,
        body: Output,
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
        let number = self.footer.blocks.len() as u32;
        let from = self.ids.len();
        for trace in traces.filter(|t| *t != 0) {
            let hash = mix(trace as u64);
            let key = ((hash >> 32) as u32, number);
            if self.ids.get(from..).is_some_and(|new| new.last() != Some(&key)) {
                self.ids.push(key);
                self.hashes.push(hash);
            }
        }
        let extent = self.put_packed(body.as_bytes())?;
        let raw = body.as_bytes().len() as u32;
        self.footer.blocks.push(Block { extent, raw, stream, first, last, records });
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let mut filter = Filter::with_capacity(self.hashes.len());
        self.hashes.iter().for_each(|h| filter.insert(*h));
        self.footer.filter = filter;
        self.ids.sort_unstable();
        self.ids.dedup();
        let ids = std::mem::take(&mut self.ids);
        let keys: Vec<&[(u32, u32)]> = ids.chunk_by(|a, b| a.0 == b.0).collect();
        for group in keys.chunks(GROUP) {
            let mut out = Output::default();
            let mut at = 0;
            for blocks in group {
                let key = blocks.first().map_or(0, |b| b.0);
                out.varint(u64::from(key - at));
                at = key;
                out.varint(blocks.len() as u64);
                let mut before = 0;
                for (_, block) in *blocks {
                    out.varint(u64::from(block - before));
                    before = *block;
                }
            }
            let first = group.first().and_then(|b| b.first()).map_or(0, |b| b.0);
            let extent = self.put(out.as_bytes())?;
            self.footer.groups.push((first, extent));
        }
        let mut body = Output::default();
        self.footer.encode(&mut body);
        let extent = self.put_packed(body.as_bytes())?;
        self.file.write_all(&extent.offset.to_le_bytes())?;
        self.file.write_all(&extent.length.to_le_bytes())?;
        self.file.write_all(&extent.checksum.to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&[VERSION])?;
        self.file.into_inner().map_err(|e| e.into_error())?.sync_all()
    }

    fn logs(&mut self, batches: &[Arc<Batch>], rows: &[(u32, u32)]) -> io::Result<()> {
        let mut streams: FxHashMap<Arc<Labels>, Vec<(&LogBatch, &LogRow)>> = FxHashMap::default();
        for &(b, r) in rows {
            let Some(batch) = batches.get(b as usize).map(|b| &b.logs) else { continue };
            let Some(row) = batch.rows.get(r as usize) else { continue };
            let labels = batch.streams.get(row.stream as usize).cloned().unwrap_or_default();
            streams.entry(labels).or_default().push((batch, row));
        }
        let mut streams: Vec<_> = streams.into_iter().collect();
        streams.sort_by(|a, b| a.0.cmp(&b.0));
        for (labels, mut rows) in streams {
            rows.sort_by_key(|(_, r)| r.time);
            let stream = self.footer.streams.len() as u32;
            self.footer.streams.push(Arc::clone(&labels));
            let mut block = LogBatch { streams: vec![Arc::clone(&labels)], ..LogBatch::default() };
            for (from, row) in rows {
                copy_log(from, row, &mut block);
                if block.text.len() + block.meta.len() + block.rows.len() * 16 >= BLOCK_BYTES {
                    self.log_block(&block, stream)?;
                    block = LogBatch { streams: vec![Arc::clone(&labels)], ..LogBatch::default() };
                }
            }
            if !block.rows.is_empty() {
                self.log_block(&block, stream)?;
            }
        }
        Ok(())
    }

    fn log_block(&mut self, block: &LogBatch, stream: u32) -> io::Result<()> {
        let mut out = Output::with_capacity(block.size());
        encode_logs(block, true, &mut out);
        self.block(
            out,
            stream,
            block.rows.iter().map(|r| (r.time, r.time)),
            block.rows.iter().map(|r| r.trace),
        )
    }

    fn spans(&mut self, batches: &[Arc<Batch>], rows: &[(u32, u32)]) -> io::Result<()> {
        let mut spans: Vec<_> = rows
            .iter()
            .filter_map(|&(b, r)| {
                let batch = batches.get(b as usize)?;
                Some((b, &batch.spans, batch.spans.rows.get(r as usize)?))
            })
            .collect();
        spans.sort_by_key(|(_, _, r)| (r.trace as u64, r.trace, r.start));
        let mut services: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        let mut block = SpanBlock::default();
        for (number, from, row) in spans {
            if let Some(resource) = from.resources.get(row.resource as usize) {
                let operations = services.entry(Arc::clone(&resource.service)).or_default();
                let name = String::from_utf8_lossy(row.name.of(&from.bytes));
                if !operations.contains(&*name) {
                    operations.insert(Arc::from(name));
                }
            }
            block.push(number, from, row);
            if block.batch.bytes.len() >= BLOCK_BYTES {
                self.span_block(&std::mem::take(&mut block).batch)?;
            }
        }
        if !block.batch.rows.is_empty() {
            self.span_block(&block.batch)?;
        }
        self.footer.services = services.into_iter().map(|(s, o)| (s, o.into_iter().collect())).collect();
        Ok(())
    }

    fn span_block(&mut self, block: &SpanBatch) -> io::Result<()> {
        let mut out = Output::with_capacity(block.size());
        encode_spans(block, &mut out);
        self.block(
            out,
            0,
            block.rows.iter().map(|r| (r.start, r.end.max(r.start))),
            block.rows.iter().map(|r| r.trace),
        )
    }

    fn metrics(
        &mut self,
        batches: &[Arc<Batch>],
        rows: &[(u32, u32)],
        exemplars: &[(u32, u32)],
    ) -> io::Result<()> {
        let mut samples: Vec<_> = rows
            .iter()
            .filter_map(|&(b, r)| {
                let batch = &batches.get(b as usize)?.metrics;
                let sample = batch.samples.get(r as usize)?;
                Some((batch.series.get(sample.series as usize)?, sample))
            })
            .collect();
        samples.sort_by(|a, b| (a.0, a.1.time).cmp(&(b.0, b.1.time)));
        let mut families: Vec<_> = batches.iter().flat_map(|b| b.metrics.families.iter().cloned()).collect();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup();
        for chunk in samples.chunks(BLOCK_SAMPLES) {
            let mut block = MetricBatch { families: std::mem::take(&mut families), ..MetricBatch::default() };
            for (labels, sample) in chunk {
                if block.series.last() != Some(*labels) {
                    block.series.push(Arc::clone(labels));
                }
                let mut sample = **sample;
                sample.series = block.series.len() as u32 - 1;
                block.samples.push(sample);
            }
            self.metric_block(&block)?;
        }
        for chunk in exemplars.chunks(BLOCK_SAMPLES) {
            let mut block = MetricBatch { families: std::mem::take(&mut families), ..MetricBatch::default() };
            for &(b, r) in chunk {
                let Some(batch) = batches.get(b as usize).map(|b| &b.metrics) else { continue };
                let Some(row) = batch.exemplars.get(r as usize) else { continue };
                let labels = batch.series.get(row.series as usize).cloned().unwrap_or_default();
                if block.series.last() != Some(&labels) {
                    block.series.push(labels);
                }
                let mut row = *row;
                row.series = block.series.len() as u32 - 1;
                row.labels = copy(&mut block.meta, row.labels.of(&batch.meta));
                block.exemplars.push(row);
            }
            self.metric_block(&block)?;
        }
        Ok(())
    }

    fn metric_block(&mut self, block: &MetricBatch) -> io::Result<()> {
        let mut out = Output::with_capacity(block.size());
        encode_metrics(block, &mut out);
        let times = block.samples.iter().map(|s| s.time).chain(block.exemplars.iter().map(|e| e.time));
        self.block(out, 0, times.map(|t| (t, t)), block.exemplars.iter().map(|e| e.trace))
    }
}

fn copy(buffer: &mut Vec<u8>, bytes: &[u8]) -> ByteRange {
    let start = buffer.len() as u32;
    buffer.extend_from_slice(bytes);
    ByteRange { start, end: buffer.len() as u32 }
}

fn place<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> usize {
    list.iter().position(|i| i == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    })
}

fn copy_log(from: &LogBatch, row: &LogRow, block: &mut LogBatch) {
    let mut new = LogRow { stream: 0, file: 0, rule: 0, ..*row };
    if let Some(file) = (row.file as usize).checked_sub(1).and_then(|i| from.files.get(i)) {
        new.file = place(&mut block.files, file) as u32 + 1;
    }
    if let Some(rule) = (row.rule as usize).checked_sub(1).and_then(|i| from.rules.get(i)) {
        new.rule = place(&mut block.rules, rule) as u16 + 1;
    }
    new.line = copy(&mut block.text, from.line(row));
    new.meta = copy(&mut block.meta, row.meta.of(&from.meta));
    block.rows.push(new);
}

/// A block of spans being filled, with its resources and scopes kept once.
#[derive(Default)]
struct SpanBlock {
    batch: SpanBatch,
    resources: FxHashMap<Vec<u8>, u32>,
    scopes: FxHashMap<Vec<u8>, u32>,
    /// From (batch, its index) to ours.
    known: FxHashMap<(u32, bool, u32), u32>,
}

impl SpanBlock {
    fn push(&mut self, number: u32, from: &SpanBatch, row: &parsers::record::SpanRow) {
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
    }
}

/// Rows of one signal and day, as (batch, row).
type Rows = BTreeMap<u64, (Vec<(u32, u32)>, Vec<(u32, u32)>)>;

fn by_day(entries: impl Iterator<Item = (bool, u64, (u32, u32))>) -> Rows {
    let mut days = Rows::new();
    for (exemplar, time, at) in entries {
        let day = days.entry(time / DAY).or_default();
        if exemplar { day.1.push(at) } else { day.0.push(at) }
    }
    while days.len() > MAX_DAYS {
        let Some((_, old)) = days.pop_first() else { break };
        if let Some(mut next) = days.first_entry() {
            next.get_mut().0.extend(old.0);
            next.get_mut().1.extend(old.1);
        }
    }
    days
}

/// Writes batches into segments that cover these journals: one a signal and day (or all into the one day given).
pub fn seal(
    dir: &Path,
    batches: &[Arc<Batch>],
    journals: (u64, u64),
    only: Option<u64>,
) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
        let rows = |b: &Batch| -> Vec<(bool, u64)> {
            match signal {
                Signal::Logs => b.logs.rows.iter().map(|r| (false, r.time)).collect(),
                Signal::Traces => b.spans.rows.iter().map(|r| (false, r.start)).collect(),
                Signal::Metrics => {
                    let samples = b.metrics.samples.iter().map(|s| (false, s.time));
                    samples.chain(b.metrics.exemplars.iter().map(|e| (true, e.time))).collect()
                }
            }
        };
        let entries = batches.iter().enumerate().flat_map(|(b, batch)| {
            let mut next = [0u32; 2];
            rows(batch).into_iter().map(move |(exemplar, time)| {
                let slot = &mut next[usize::from(exemplar)];
                *slot += 1;
                (exemplar, only.map_or(time, |day| day * DAY), (b as u32, *slot - 1))
            })
        });
        for (day, (rows, exemplars)) in by_day(entries) {
            let name = Name { signal, day, first: journals.0, last: journals.1 };
            let path = dir.join(name.stem());
            let temporary = path.with_extension("tmp");
            let mut writer = Writer::create(&temporary)?;
            match signal {
                Signal::Logs => writer.logs(batches, &rows)?,
                Signal::Traces => writer.spans(batches, &rows)?,
                Signal::Metrics => writer.metrics(batches, &rows, &exemplars)?,
            }
            writer.finish()?;
            fs::rename(&temporary, path.with_extension("tfs"))?;
            names.push(name);
        }
    }
    disk::sync_dir(dir)?;
    Ok(names)
}
