//! Samples that are journalled and not in segments yet, by series.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parsers::record::{Labels, MADE_OF_SPANS, MetricMeta, Sample};
use rustc_hash::FxHashMap;

use super::index::Index;
use super::limits::SampleOptions;
use super::record::{Record, Row};
use super::room::Room;
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

/// A series that no readable record names.
const UNNAMED: u32 = u32::MAX;

/// One head: active, or frozen and waiting to be sealed.
#[derive(Debug)]
pub struct Head {
    /// Numbers of the journals that hold the same samples, first and last.
    pub journals: (u64, u64),
    /// Its series.
    pub index: Index,
    /// What it holds of each of them.
    pub series: Vec<Held>,
    /// Where the samples are.
    pub room: Room,
    /// How many of its series are made here.
    pub made: usize,
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
            room: Room::default(),
            made: 0,
            families: BTreeMap::new(),
            said: 0,
            sample_bytes: 0,
            since: None,
            held: SignalStats::default(),
        }
    }

    /// How many more families it takes note of.
    pub fn room_for_families(&self) -> usize {
        MAX_FAMILIES.saturating_sub(self.said)
    }

    /// Whether this was said of a family before.
    pub fn knows_family(&self, family: &MetricMeta) -> bool {
        self.families.get(&family.name).is_some_and(|known| known.contains(family))
    }

    /// Whether there is room for another series.
    pub fn has_room(&self, made: bool, options: &SampleOptions) -> bool {
        made && self.made < options.reserved || self.sent_series(options) < options.max_series
    }

    /// Series but for those that are made here and have room reserved.
    pub fn sent_series(&self, options: &SampleOptions) -> usize {
        self.index.len().saturating_sub(self.made.min(options.reserved))
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
                self.made += usize::from(is_made(&labels));
                self.index.add(&labels, hash)
            });
            numbers.insert(number, ours);
        }
        let mut lost = 0;
        let rows = record.rows.into_iter().map(|row| {
            let series = numbers.get(&row.series).copied().unwrap_or(UNNAMED);
            lost += u64::from(series == UNNAMED);
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
                None => held.push(Sample { time: row.time, value: row.value }, &mut self.room),
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

/// Whether a series that an earlier process journalled was one of its own making: the journal does not say it.
fn is_made(labels: &Labels) -> bool {
    labels.get("__name__").is_some_and(|name| MADE_OF_SPANS.iter().any(|prefix| name.starts_with(prefix)))
}
