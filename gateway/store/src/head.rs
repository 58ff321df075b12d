//! What is journalled and not in segments yet: the appended batches as they came, and an index by trace id over them.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use parsers::record::Batch;
use rustc_hash::FxHashMap;

use crate::options::{SignalStats, Stats};
use crate::read::{Signal, SpanStatistics, Window};
use crate::segment::statistics::Collector;
use crate::segment::{Service, Services};

/// Which rows of a batch an index entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`parsers::record::LogBatch::rows`]
    Log,
    /// [`parsers::record::SpanBatch::rows`]
    Span,
    /// [`parsers::record::MetricBatch::exemplars`]
    Exemplar,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    batch: u32,
    row: u32,
    before: u32,
    kind: Kind,
}

/// Ends a chain of entries.
const NONE: u32 = u32::MAX;

/// Statistics of the spans of a head, brought up to date when they are asked for: taking a batch costs nothing for it.
#[derive(Debug, Default)]
pub struct Counted {
    collector: Collector,
    /// Batches that were counted.
    batches: usize,
    statistics: Arc<SpanStatistics>,
}

impl Counted {
    /// Of these batches, the first of which are those that it was asked about before.
    pub fn of(&mut self, batches: &[Arc<Batch>]) -> Arc<SpanStatistics> {
        let new = batches.get(self.batches..).unwrap_or_default();
        if !new.is_empty() {
            new.iter().for_each(|batch| self.collector.count_all(&batch.spans));
            self.batches = batches.len();
            self.statistics = Arc::new(self.collector.statistics());
        }
        Arc::clone(&self.statistics)
    }
}

/// Services and operations of the spans of a head, brought up to date when they are asked for.
#[derive(Debug, Default)]
pub struct Named {
    gathered: Services,
    /// Batches that were looked at.
    batches: usize,
    list: Arc<Vec<Service>>,
}

impl Named {
    /// Of these batches, the first of which are those that it was asked about before.
    pub fn of(&mut self, batches: &[Arc<Batch>]) -> Arc<Vec<Service>> {
        let new = batches.get(self.batches..).unwrap_or_default();
        if !new.is_empty() {
            new.iter().for_each(|batch| self.gathered.add_batch(&batch.spans));
            self.batches = batches.len();
            self.list = Arc::new(self.gathered.list());
        }
        Arc::clone(&self.list)
    }
}

/// One head: active, or frozen and waiting to be sealed.
#[derive(Debug)]
pub struct Head {
    /// Numbers of the journals that hold the same batches, first and last.
    pub journals: (u64, u64),
    /// In order of arrival.
    pub batches: Vec<Arc<Batch>>,
    /// Bytes of their buffers and of the index.
    pub bytes: usize,
    /// When the first batch came.
    pub since: Option<Instant>,
    by_low64: FxHashMap<u64, u32>,
    entries: Vec<Entry>,
    /// Attributes of its spans, as far as anybody asked.
    pub counted: Arc<Mutex<Counted>>,
    /// Services of its spans, as far as anybody asked.
    pub named: Arc<Mutex<Named>>,
    /// Records and their times: logs, spans, exemplars.
    held: [SignalStats; 3],
    /// The same of each batch, in which what is near a time is looked for.
    times: Vec<[SignalStats; 3]>,
}

/// A batch with the first and last instant of its records of one signal.
pub type Timed = (Arc<Batch>, u64, u64);

impl Head {
    /// Empty, over journals from this number on.
    pub fn new(journal: u64) -> Self {
        Self {
            journals: (journal, journal),
            batches: Vec::new(),
            bytes: 0,
            since: None,
            by_low64: FxHashMap::default(),
            entries: Vec::new(),
            counted: Arc::default(),
            named: Arc::default(),
            held: Default::default(),
            times: Vec::new(),
        }
    }

    /// Takes a batch; its records are found from now on.
    pub fn push(&mut self, batch: Arc<Batch>) {
        let entries = self.entries.len();
        let number = self.batches.len() as u32;
        let mut times: [SignalStats; 3] = Default::default();
        let [logs, traces, metrics] = &mut times;
        batch.logs.rows.iter().for_each(|r| logs.add(1, r.time, r.time));
        batch.spans.rows.iter().for_each(|r| traces.add(1, r.start, r.end.max(r.start)));
        batch.metrics.exemplars.iter().for_each(|e| metrics.add(1, e.time, e.time));
        self.held.iter_mut().zip(times).for_each(|(held, new)| held.merge(new));
        self.times.push(times);
        for (row, r) in batch.logs.rows.iter().enumerate() {
            self.index(r.trace, number, row, Kind::Log);
        }
        for (row, r) in batch.spans.rows.iter().enumerate() {
            self.index(r.trace, number, row, Kind::Span);
        }
        for (row, r) in batch.metrics.exemplars.iter().enumerate() {
            self.index(r.trace, number, row, Kind::Exemplar);
        }
        self.bytes += batch.size() + (self.entries.len() - entries) * 2 * size_of::<Entry>();
        self.since.get_or_insert_with(Instant::now);
        self.batches.push(batch);
    }

    fn index(&mut self, trace: u128, batch: u32, row: usize, kind: Kind) {
        if trace == 0 {
            return;
        }
        let slot = self.by_low64.entry(trace as u64).or_insert(NONE);
        self.entries.push(Entry { batch, row: row as u32, before: *slot, kind });
        *slot = self.entries.len() as u32 - 1;
    }

    /// Rows whose trace id has these low 64 bits, in order of arrival.
    pub fn find(&self, low64: u64) -> Vec<(Arc<Batch>, Kind, usize)> {
        let mut found = Vec::new();
        let mut at = self.by_low64.get(&low64).copied().unwrap_or(NONE);
        while let Some(entry) = self.entries.get(at as usize) {
            if let Some(batch) = self.batches.get(entry.batch as usize) {
                found.push((Arc::clone(batch), entry.kind, entry.row as usize));
            }
            at = entry.before;
        }
        found.reverse();
        found
    }

    /// Batches with records of a signal that touch a window.
    pub fn within(&self, signal: Signal, window: Window) -> impl Iterator<Item = Timed> {
        self.batches.iter().zip(&self.times).filter_map(move |(batch, [logs, traces, metrics])| {
            let times = match signal {
                Signal::Logs => logs,
                Signal::Traces => traces,
                Signal::Metrics => metrics,
            };
            let (first, last) = times.oldest.zip(times.newest)?;
            window.touches(first, last).then(|| (Arc::clone(batch), first, last))
        })
    }

    /// When the oldest span of it started.
    pub fn oldest_span(&self) -> Option<u64> {
        let [_, traces, _] = self.held;
        traces.oldest
    }

    /// Whether spans of it may touch a window.
    pub fn has_spans_in(&self, window: Window) -> bool {
        let [_, traces, _] = self.held;
        traces.oldest.zip(traces.newest).is_some_and(|(oldest, newest)| window.touches(oldest, newest))
    }

    /// Adds what it holds.
    pub fn count(&self, stats: &mut Stats) {
        stats.head_bytes += self.bytes as u64;
        if let Some(since) = self.since {
            stats.sealing_lag = stats.sealing_lag.max(since.elapsed());
        }
        let [logs, traces, metrics] = self.held;
        stats.logs.merge(logs);
        stats.traces.merge(traces);
        stats.metrics.merge(metrics);
    }
}
