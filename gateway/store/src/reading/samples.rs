//! Samples by series, gathered from the metric blocks of heads and segments. Blocks are read whole; what was written first
//! wins where one series has two samples of one time, as Prometheus has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parsers::record::{Labels, MetricBatch, MetricMeta, NativeHistogram, Sample};
use rustc_hash::FxHashMap;

use crate::read::{Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples, Signal, Window};
use crate::store::Store;

/// What a histogram counts in samples: this many bytes make one.
const SAMPLE_BYTES: usize = size_of::<Sample>();

fn meets(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

fn meets_any(labels: &Labels, selectors: &[Vec<Matcher>]) -> bool {
    selectors.is_empty() || selectors.iter().any(|matchers| meets(labels, matchers))
}

impl Store {
    /// Metric batches that may hold records of the window: segments in the order of their journals, then heads.
    fn each_metrics(
        &self,
        window: Window,
        visit: &mut dyn FnMut(&MetricBatch) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let inner = self.inner();
        let (batches, segments) = inner.snapshot();
        for segment in segments.iter().filter(|s| s.name.signal == Signal::Metrics) {
            for (number, block) in segment.footer.blocks.iter().enumerate() {
                if window.touches(block.first, block.last)
                    && let Some(batch) = inner.block(segment, number)
                {
                    visit(&batch.metrics)?;
                }
            }
        }
        batches.iter().try_for_each(|batch| visit(&batch.metrics))
    }
}

/// Series as they are found, by their labels.
struct Gathered<'a> {
    matchers: &'a [Matcher],
    window: Window,
    limits: SampleLimits,
    places: FxHashMap<Arc<Labels>, usize>,
    series: Vec<SeriesSamples>,
    held: u64,
}

impl Gathered<'_> {
    fn hold(&mut self, samples: u64) -> Result<(), ReadError> {
        self.held += samples;
        if self.held > self.limits.samples {
            return Err(ReadError::TooMany { what: "samples", limit: self.limits.samples });
        }
        Ok(())
    }

    /// Where a series of a batch is gathered, if it is wanted.
    fn place(&mut self, labels: &Arc<Labels>) -> Result<usize, ReadError> {
        if let Some(place) = self.places.get(labels) {
            return Ok(*place);
        }
        if self.series.len() >= self.limits.series {
            return Err(ReadError::TooMany { what: "series", limit: self.limits.series as u64 });
        }
        self.places.insert(Arc::clone(labels), self.series.len());
        self.series.push(SeriesSamples { labels: Arc::clone(labels), ..SeriesSamples::default() });
        Ok(self.series.len() - 1)
    }

    fn take(&mut self, batch: &MetricBatch) -> Result<(), ReadError> {
        let wanted: Vec<bool> = batch.series.iter().map(|labels| meets(labels, self.matchers)).collect();
        let mut places: Vec<Option<usize>> = vec![None; batch.series.len()];
        for row in &batch.samples {
            let at = row.series as usize;
            if !wanted.get(at).copied().unwrap_or(false) || !self.window.contains(row.time) {
                continue;
            }
            let (Some(place), Some(labels)) = (places.get_mut(at), batch.series.get(at)) else { continue };
            let number = match *place {
                Some(number) => number,
                None => *place.insert(self.place(labels)?),
            };
            if row.histogram.is_empty() {
                self.hold(1)?;
                if let Some(series) = self.series.get_mut(number) {
                    series.samples.push(Sample { time: row.time, value: row.value });
                }
                continue;
            }
            let Ok(Some(read)) = NativeHistogram::decode(row.histogram.of(&batch.meta)) else { continue };
            let buckets = read.positive.len() + read.negative.len();
            self.hold(((size_of::<NativeHistogram>() + 16 * buckets) / SAMPLE_BYTES) as u64)?;
            if let Some(series) = self.series.get_mut(number) {
                series.histograms.push((row.time, Arc::new(read)));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<SeriesSamples> {
        for series in &mut self.series {
            if !series.samples.is_sorted_by(|a, b| a.time < b.time) {
                series.samples.sort_by_key(|sample| sample.time);
                series.samples.dedup_by_key(|sample| sample.time);
            }
            if !series.histograms.is_sorted_by(|a, b| a.0 < b.0) {
                series.histograms.sort_by_key(|(time, _)| *time);
                series.histograms.dedup_by_key(|(time, _)| *time);
            }
        }
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.series
    }
}

impl SampleRead for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let mut gathered =
            Gathered { matchers, window, limits, places: FxHashMap::default(), series: Vec::new(), held: 0 };
        self.each_metrics(window, &mut |batch| gathered.take(batch))?;
        Ok(gathered.finish())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let mut sets: BTreeSet<Arc<Labels>> = BTreeSet::new();
        self.each_metrics(window, &mut |batch| {
            let mut there = vec![false; batch.series.len()];
            for row in batch.samples.iter().filter(|row| window.contains(row.time)) {
                if let Some(there) = there.get_mut(row.series as usize) {
                    *there = true;
                }
            }
            for (labels, _) in batch.series.iter().zip(there).filter(|(_, there)| *there) {
                if !sets.contains(labels) && meets_any(labels, selectors) {
                    sets.insert(Arc::clone(labels));
                }
            }
            Ok(())
        })?;
        Ok(sets.into_iter().collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        let mut families: BTreeMap<String, Vec<MetricMeta>> = BTreeMap::new();
        self.each_metrics(Window::ALL, &mut |batch| {
            for said in &batch.families {
                let known = families.entry(said.name.clone()).or_default();
                if !known.contains(said) {
                    known.push(said.clone());
                }
            }
            Ok(())
        })?;
        Ok(families.into_values().flatten().collect())
    }
}
