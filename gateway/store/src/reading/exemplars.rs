//! Exemplars by series and time.

use std::time::Instant;

use parsers::record::{Exemplar, ExemplarRow, MetricBatch};

use super::found::exemplar;
use crate::read::{ExemplarLimits, ExemplarRead, Matcher, ReadError, Signal, StoredExemplars, Window};
use crate::sampling::Mask;
use crate::store::Store;

impl ExemplarRead for Store {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let began = Instant::now();
        let mask = self.inner().mask();
        let (batches, segments) = self.inner().snapshot();
        let limit = limits.count;
        let mut wanted = Wanted { selectors, window, limit, found: Vec::new(), cut: false };
        batches.iter().for_each(|batch| wanted.take(&batch.metrics, mask.as_ref()));
        let mut segments: Vec<_> = segments
            .iter()
            .filter(|s| s.name.signal == Signal::Metrics && window.touches(s.footer.first, s.footer.last))
            .collect();
        segments.sort_by_key(|s| std::cmp::Reverse(s.footer.last));
        let mut over_time = false;
        'segments: for segment in segments {
            if wanted.found.len() >= limit {
                wanted.cut = true;
                break;
            }
            let mask = mask.as_ref().filter(|mask| mask.is_over(segment));
            // Samples stand first in a segment, exemplars last: the first block without one ends them.
            for number in (0..segment.footer.blocks.len()).rev() {
                if began.elapsed() >= limits.time {
                    over_time = true;
                    break 'segments;
                }
                let Some(batch) = self.inner().block(segment, number) else { continue };
                if batch.metrics.exemplars.is_empty() {
                    break;
                }
                wanted.take(&batch.metrics, mask);
            }
        }
        wanted.keep_newest();
        Ok(StoredExemplars { exemplars: wanted.found, over_count: wanted.cut, over_time })
    }
}

struct Wanted<'a> {
    selectors: &'a [Vec<Matcher>],
    window: Window,
    limit: usize,
    found: Vec<Exemplar>,
    /// Some were left out.
    cut: bool,
}

impl Wanted<'_> {
    /// What the mask does not hide.
    fn take(&mut self, metrics: &MetricBatch, mask: Option<&Mask<'_>>) {
        let inside = |time: u64| self.window.contains(time);
        if !metrics.exemplars.iter().any(|row| inside(row.time)) {
            return;
        }
        let meets = |labels: &parsers::record::Labels| {
            self.selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches(labels)))
        };
        // Few of the series have any.
        let mut series: Vec<Option<bool>> = vec![None; metrics.series.len()];
        let wanted = |row: &&ExemplarRow| {
            let of = row.series as usize;
            inside(row.time)
                && series
                    .get_mut(of)
                    .zip(metrics.series.get(of))
                    .is_some_and(|(known, labels)| *known.get_or_insert_with(|| meets(labels)))
        };
        let rows = metrics.exemplars.iter().filter(wanted);
        let rows = rows.filter(|row| mask.is_none_or(|mask| !mask.hides(row.trace)));
        self.found.extend(rows.map(|row| exemplar(metrics, row)));
        if self.found.len() > self.limit.saturating_mul(2) {
            self.keep_newest();
        }
    }

    /// In time order.
    fn keep_newest(&mut self) {
        self.found.sort_by_key(|exemplar| exemplar.time);
        let more = self.found.len().saturating_sub(self.limit);
        self.cut |= more > 0;
        self.found.drain(..more);
    }
}
