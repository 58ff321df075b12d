//! Samples by series: those of [`crate::samples`], and those that earlier versions wrote into blocks of metrics, which are read
//! whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parsers::record::{Labels, MetricBatch, MetricMeta, Sample};

use crate::read::{Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples, SeriesStatistics, Window};
use crate::samples::{Gathered, Whole};
use crate::store::Store;

fn meets(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

impl Store {
    /// Blocks with samples that earlier versions wrote, in the order of their journals.
    fn each_block(
        &self,
        window: Window,
        visit: &mut dyn FnMut(&MetricBatch) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let inner = self.inner();
        let (_, segments) = inner.snapshot();
        for segment in segments.iter().filter(|segment| segment.may_have_samples()) {
            for (number, block) in segment.footer.blocks.iter().enumerate() {
                if window.touches(block.first, block.last)
                    && let Some(batch) = inner.block(segment, number)
                {
                    visit(&batch.metrics)?;
                }
            }
        }
        Ok(())
    }

    /// Label sets in such blocks.
    fn earlier_sets(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
    ) -> Result<BTreeSet<Arc<Labels>>, ReadError> {
        let mut sets: BTreeSet<Arc<Labels>> = BTreeSet::new();
        self.each_block(window, &mut |batch| {
            let mut there = vec![false; batch.series.len()];
            for row in batch.samples.iter().filter(|row| window.contains(row.time)) {
                if let Some(there) = there.get_mut(row.series as usize) {
                    *there = true;
                }
            }
            let wanted = |labels: &Labels| {
                selectors.is_empty() || selectors.iter().any(|matchers| meets(labels, matchers))
            };
            let there = batch.series.iter().zip(there).filter(|(_, there)| *there);
            sets.extend(there.filter(|(labels, _)| wanted(labels)).map(|(labels, _)| Arc::clone(labels)));
            Ok(())
        })?;
        Ok(sets)
    }
}

/// Takes the samples of a block, of the series that are wanted.
fn take(batch: &MetricBatch, gathered: &mut Gathered<'_>) -> Result<(), ReadError> {
    let matchers = gathered.matchers;
    let mut found: Vec<Option<Whole>> =
        batch.series.iter().map(|labels| meets(labels, matchers).then(Whole::default)).collect();
    for row in &batch.samples {
        let Some(Some(whole)) = found.get_mut(row.series as usize) else { continue };
        if row.histogram.is_empty() {
            whole.samples.push(Sample { time: row.time, value: row.value });
        } else {
            whole.histograms.push((row.time, row.histogram.of(&batch.meta).into()));
        }
    }
    for (labels, whole) in batch.series.iter().zip(found) {
        if let Some(whole) = whole {
            gathered.take(Arc::clone(labels), whole)?;
        }
    }
    Ok(())
}

impl SampleRead for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let mut gathered = Gathered::new(matchers, window, limits);
        self.each_block(window, &mut |batch| take(batch, &mut gathered))?;
        self.inner().samples.gather(&mut gathered)?;
        Ok(gathered.finish())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let mut sets = self.earlier_sets(selectors, window)?;
        self.inner().samples.label_sets(selectors, window, &mut sets)?;
        Ok(sets.into_iter().collect())
    }

    fn any(&self, matchers: &[Matcher], window: Window) -> Result<bool, ReadError> {
        Ok(self.inner().samples.any(matchers, window)?
            || !self.earlier_sets(&[matchers.to_vec()], window)?.is_empty())
    }

    fn label_names(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<String>, ReadError> {
        let sets = self.earlier_sets(selectors, window)?;
        let names = sets.iter().flat_map(|set| set.iter().map(|(name, _)| name.to_owned()));
        let mut names: BTreeSet<String> = names.collect();
        self.inner().samples.label_texts(None, selectors, window, &mut names)?;
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
    ) -> Result<Vec<String>, ReadError> {
        let sets = self.earlier_sets(selectors, window)?;
        let mut values: BTreeSet<String> =
            sets.iter().filter_map(|set| set.get(name).map(str::to_owned)).collect();
        self.inner().samples.label_texts(Some(name), selectors, window, &mut values)?;
        Ok(values.into_iter().collect())
    }

    fn series_statistics(&self) -> SeriesStatistics {
        self.inner().samples.statistics()
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        let mut families: BTreeMap<String, Vec<MetricMeta>> = BTreeMap::new();
        let mut add = |said: MetricMeta| {
            let known = families.entry(said.name.clone()).or_default();
            if !known.contains(&said) {
                known.push(said);
            }
        };
        let inner = self.inner();
        // What is said stands in a segment's first block.
        for segment in inner.snapshot().1.iter().filter(|segment| segment.may_have_samples()) {
            let first = (!segment.footer.blocks.is_empty()).then(|| inner.block(segment, 0)).flatten();
            first.into_iter().flat_map(|batch| batch.metrics.families).for_each(&mut add);
        }
        inner.samples.families(&mut add)?;
        Ok(families.into_values().flatten().collect())
    }
}
