//! Samples that are journalled and not in segments yet, by series.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parsers::record::{MetricBatch, MetricMeta, Sample};
use rustc_hash::FxHashMap;

use super::index::Index;
use super::limits::{LeftOut, SampleOptions};
use super::record::{Record, Row};
use super::series::Held;
use crate::options::SignalStats;

/// Families that a head keeps what is said of; a thousand services have some tens of thousands.
const MAX_FAMILIES: usize = 50_000;
/// A head is sealed when its samples take this; a busy node's of an hour.
const HEAD_BYTES: usize = 32 << 20;
/// And this for each of its series, so that the labels of many do not take more room in a segment than their samples.
const SERIES_BYTES: usize = 448;
/// An hour of samples is worth a segment, and is replayed in a second or two.
const HEAD_AGE: Duration = Duration::from_hours(1);

/// A series of a batch before it is looked up.
const UNKNOWN: u32 = u32::MAX;
/// A series that is not taken.
const REFUSED: u32 = u32::MAX - 1;

/// One head: active, or frozen and waiting to be sealed.
#[derive(Debug)]
pub struct Head {
    /// Numbers of the journals that hold the same samples, first and last.
    pub journals: (u64, u64),
    /// Its series.
    pub index: Index,
    /// What it holds of each of them.
    pub series: Vec<Held>,
    families: BTreeMap<String, Vec<MetricMeta>>,
    said: usize,
    /// Bytes of the samples alone.
    sample_bytes: usize,
    since: Option<Instant>,
    held: SignalStats,
}

impl Head {
    /// Empty, over journals from this number on.
    pub fn new(journal: u64) -> Self {
        Self {
            journals: (journal, journal),
            index: Index::default(),
            series: Vec::new(),
            families: BTreeMap::new(),
            said: 0,
            sample_bytes: 0,
            since: None,
            held: SignalStats::default(),
        }
    }

    /// What of a batch is new here, as it is journalled, and what of it is not taken. New series are in the index from now on,
    /// without samples.
    pub fn plan(&mut self, batch: &MetricBatch, options: &SampleOptions) -> (Record, LeftOut) {
        let mut left_out = LeftOut::default();
        let mut record = Record { rows: Vec::with_capacity(batch.samples.len()), ..Record::default() };
        let window = options.out_of_order.as_nanos() as u64;
        let mut places = vec![UNKNOWN; batch.series.len()];
        for row in &batch.samples {
            let Some(place) = places.get_mut(row.series as usize) else { continue };
            if *place == UNKNOWN {
                *place = self.place(batch, row.series as usize, options.max_series, &mut record);
            }
            let series = *place;
            let Some(held) = self.series.get_mut(series as usize) else {
                left_out.over_limit += 1;
                continue;
            };
            if !held.is_empty() && row.time.saturating_add(window) < held.newest {
                left_out.late += 1;
                continue;
            }
            let histogram = !row.histogram.is_empty();
            if held.repeats(row.time, histogram) {
                left_out.repeats += 1;
                continue;
            }
            held.expect(row.time);
            if histogram {
                record.histograms.push((record.rows.len() as u32, row.histogram.of(&batch.meta).to_vec()));
            }
            record.rows.push(Row { series, time: row.time, value: row.value });
        }
        let mut free = MAX_FAMILIES.saturating_sub(self.said);
        for family in &batch.families {
            if free > 0 && !self.families.get(&family.name).is_some_and(|known| known.contains(family)) {
                record.families.push(family.clone());
                free -= 1;
            }
        }
        (record, left_out)
    }

    /// The number of a batch's series here; [`REFUSED`] if there are too many already.
    fn place(&mut self, batch: &MetricBatch, series: usize, max_series: usize, record: &mut Record) -> u32 {
        let Some(labels) = batch.series.get(series) else { return REFUSED };
        let number = match self.index.find(labels) {
            (_, Some(number)) => number,
            (hash, None) if self.index.len() < max_series => {
                self.series.push(Held::default());
                self.index.add(labels, hash)
            }
            _ => return REFUSED,
        };
        if self.series.get(number as usize).is_some_and(|held| !held.logged) {
            record.new.push((number, std::sync::Arc::clone(labels)));
        }
        number
    }

    /// Takes what was journalled; its samples are found from now on.
    pub fn apply(&mut self, record: Record) {
        for (number, _) in &record.new {
            if let Some(held) = self.series.get_mut(*number as usize) {
                held.logged = true;
            }
        }
        self.take(record.rows, record.histograms, record.families);
    }

    /// Takes what an earlier process journalled; `numbers` are those of its series, and ours. Gives the samples of series that
    /// no readable record names.
    pub fn replay(&mut self, record: Record, numbers: &mut FxHashMap<u32, u32>) -> u64 {
        for (number, labels) in record.new {
            let (hash, found) = self.index.find(&labels);
            let ours = found.unwrap_or_else(|| {
                self.series.push(Held::default());
                self.index.add(&labels, hash)
            });
            numbers.insert(number, ours);
        }
        let mut lost = 0;
        let rows = record.rows.into_iter().map(|row| {
            let series = numbers.get(&row.series).copied().unwrap_or(REFUSED);
            lost += u64::from(series == REFUSED);
            Row { series, ..row }
        });
        let rows: Vec<Row> = rows.collect();
        self.take(rows, record.histograms, record.families);
        lost
    }

    fn take(&mut self, rows: Vec<Row>, histograms: Vec<(u32, Vec<u8>)>, families: Vec<MetricMeta>) {
        self.since.get_or_insert_with(Instant::now);
        let mut histograms = histograms.into_iter().peekable();
        for (at, row) in rows.into_iter().enumerate() {
            let histogram = histograms.next_if(|(place, _)| *place as usize == at);
            let Some(held) = self.series.get_mut(row.series as usize) else { continue };
            self.held.add(1, row.time, row.time);
            self.sample_bytes += match histogram {
                Some((_, body)) => held.push_histogram(row.time, &body),
                None => held.push(Sample { time: row.time, value: row.value }),
            };
        }
        for family in families {
            let known = self.families.entry(family.name.clone()).or_default();
            if !known.contains(&family) {
                self.said += 1;
                known.push(family);
            }
        }
    }

    /// Whether it holds nothing that could be sealed.
    pub fn is_empty(&self) -> bool {
        self.held.records == 0 && self.families.is_empty()
    }

    /// Whether it holds as much as one is to hold.
    pub fn is_full(&self) -> bool {
        self.sample_bytes >= HEAD_BYTES.max(self.index.len() * SERIES_BYTES)
    }

    /// Whether it has been filled for as long as one is to be.
    pub fn is_old(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= HEAD_AGE)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.sample_bytes + self.index.bytes() + self.series.len() * size_of::<Held>()
    }

    /// Its samples, and their times.
    pub fn held(&self) -> SignalStats {
        self.held
    }

    /// What was said of families, sorted by their names.
    pub fn families(&self) -> impl Iterator<Item = &MetricMeta> {
        self.families.values().flatten()
    }
}
