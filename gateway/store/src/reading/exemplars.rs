//! Exemplars by series and time.

use parsers::record::{Exemplar, MetricBatch};

use super::found::exemplar;
use crate::read::{ExemplarRead, Matcher, ReadError, Signal, Window};
use crate::store::Store;

impl ExemplarRead for Store {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Vec<Exemplar>, ReadError> {
        let (batches, segments) = self.inner().snapshot();
        let mut wanted = Wanted { selectors, window, limit, found: Vec::new() };
        batches.iter().for_each(|batch| wanted.take(&batch.metrics));
        let mut segments: Vec<_> = segments
            .iter()
            .filter(|s| s.name.signal == Signal::Metrics && window.touches(s.footer.first, s.footer.last))
            .collect();
        segments.sort_by_key(|s| std::cmp::Reverse(s.footer.last));
        for segment in segments {
            if wanted.found.len() >= limit {
                break;
            }
            // Samples stand first in a segment, exemplars last: the first block without one ends them.
            for number in (0..segment.footer.blocks.len()).rev() {
                let Some(batch) = self.inner().block(segment, number) else { continue };
                if batch.metrics.exemplars.is_empty() {
                    break;
                }
                wanted.take(&batch.metrics);
            }
        }
        wanted.keep_newest();
        Ok(wanted.found)
    }
}

struct Wanted<'a> {
    selectors: &'a [Vec<Matcher>],
    window: Window,
    limit: usize,
    found: Vec<Exemplar>,
}

impl Wanted<'_> {
    fn take(&mut self, metrics: &MetricBatch) {
        let inside = |time: u64| self.window.contains(time);
        if !metrics.exemplars.iter().any(|row| inside(row.time)) {
            return;
        }
        let meets = |labels: &parsers::record::Labels| {
            self.selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches(labels)))
        };
        let series: Vec<bool> = metrics.series.iter().map(|labels| meets(labels)).collect();
        let rows = metrics
            .exemplars
            .iter()
            .filter(|row| inside(row.time) && series.get(row.series as usize).copied().unwrap_or(false));
        self.found.extend(rows.map(|row| exemplar(metrics, row)));
        if self.found.len() > self.limit.saturating_mul(2) {
            self.keep_newest();
        }
    }

    /// In time order.
    fn keep_newest(&mut self) {
        self.found.sort_by_key(|exemplar| exemplar.time);
        self.found.drain(..self.found.len().saturating_sub(self.limit));
    }
}
