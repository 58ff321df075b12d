//! What histograms counted, and when: a span that ended while its bucket did not grow is not behind the values.

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, Sample, Series};
use rustc_hash::FxHashMap;
use store::read::{MetricRead, Window};

/// How far the clock of who sends spans may be from that of who stamps samples, ns.
const APART: u64 = 10_000_000_000;
/// How long after the window samples may still count what ended in it: a slow scrape.
const AFTER: u64 = 60_000_000_000;
/// Values that are read of all series together.
const MAX_VALUES: u64 = 200_000;
/// Longest time for it: without them, exemplars are made all the same.
const TIME: Duration = Duration::from_secs(5);
/// The label of series that are sent as differences, and so do not grow.
const DIFFERENCES: &str = "__temporality__";

/// Values of a series at even steps, each with when it was taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    values: Vec<Sample>,
    /// Seconds, at the times of some of the values.
    taken: Vec<Sample>,
}

/// Values of many series.
#[derive(Debug, Default)]
pub(crate) struct Growth(FxHashMap<Arc<Labels>, Values>);

impl Growth {
    /// Reads the values of `count` series that these selectors name; nothing where a server cannot tell.
    pub(crate) async fn ask(
        server: &dyn MetricRead,
        selectors: &[String],
        count: usize,
        window: Window,
        step: u64,
    ) -> Self {
        let width = window.end.saturating_sub(window.start);
        let step = step.max((u128::from(width) * count as u128 / u128::from(MAX_VALUES)) as u64).max(1);
        let wide = Window {
            start: window.start.saturating_sub(step.max(APART)),
            end: window.end.saturating_add(step.max(AFTER)),
        };
        let queries: Vec<String> =
            selectors.iter().flat_map(|text| [text.clone(), format!("timestamp({text})")]).collect();
        let asked = server.ranges(&queries, wide, Duration::from_nanos(step));
        let Ok(answers) = tokio::time::timeout(TIME, asked).await else { return Self::default() };
        let mut answers = answers.into_iter().map(Result::unwrap_or_default);
        let mut growth = Self::default();
        while let (Some(values), Some(taken)) = (answers.next(), answers.next()) {
            growth.add(values, taken);
        }
        growth
    }

    fn add(&mut self, values: Vec<Series>, taken: Vec<Series>) {
        let mut taken: FxHashMap<Labels, Vec<Sample>> =
            taken.into_iter().map(|series| (unnamed(&series.labels), series.samples)).collect();
        for series in values {
            if let Some(taken) = taken.remove(&unnamed(&series.labels)) {
                self.0.insert(series.labels, Values { values: series.samples, taken });
            }
        }
    }

    /// Of one series.
    pub(super) fn take(&mut self, labels: &Labels) -> Values {
        self.0.remove(labels).filter(|_| labels.get(DIFFERENCES).is_none()).unwrap_or_default()
    }
}

fn unnamed(labels: &Labels) -> Labels {
    Labels::new(labels.iter().filter(|(name, _)| *name != "__name__"))
}

impl Values {
    /// How much more was counted after this time than before; `None` where that is not known, as while no sample has come since.
    fn added(&self, time: u64) -> Option<f64> {
        let since = time.saturating_add(APART);
        let fresh = self.taken.partition_point(|taken| taken.value * 1e9 < since as f64);
        let after = self.at(self.taken.get(fresh)?.time)?;
        let place = self.values.partition_point(|value| value.time <= time.saturating_sub(APART));
        // Where there was no series, nothing was counted yet.
        let before = place.checked_sub(1).and_then(|place| self.values.get(place));
        let before = before.map_or(0.0, |before| before.value);
        // It began anew.
        Some(if after < before { f64::INFINITY } else { after - before })
    }

    fn at(&self, time: u64) -> Option<f64> {
        let place = self.values.binary_search_by_key(&time, |value| value.time).ok()?;
        self.values.get(place).map(|sample| sample.value)
    }

    /// Whether a bucket counted something around this time beside what the bucket below it did. What is not known may have been.
    pub(super) fn may_have_grown(&self, below: Option<&Values>, time: u64) -> bool {
        let Some(added) = self.added(time) else { return true };
        let of_below = below.map_or(Some(0.0), |below| below.added(time));
        of_below.is_none_or(|of_below| added.is_infinite() || added > of_below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A sample every 30 s, read every 15 s.
    fn values(counts: &[f64]) -> Values {
        let sample = |(place, value): (usize, f64)| Sample { time: place as u64 * 15 * SECOND, value };
        let both = counts.iter().flat_map(|count| [*count, *count]);
        let taken = (0..counts.len() * 2).map(|place| (place / 2 * 30) as f64);
        Values {
            values: both.enumerate().map(sample).collect(),
            taken: taken.enumerate().map(sample).collect(),
        }
    }

    #[test]
    fn a_bucket_grows_by_what_the_one_below_it_does_not_count() {
        let (below, own) = (values(&[0.0, 1.0, 1.0, 2.0, 2.0]), values(&[0.0, 1.0, 2.0, 3.0, 3.0]));
        for (second, expected) in [(20, false), (50, true), (80, false), (130, true)] {
            assert_eq!(own.may_have_grown(Some(&below), second * SECOND), expected, "{second}");
        }
        assert!(own.may_have_grown(None, 20 * SECOND), "the lowest counts for itself");
    }

    #[test]
    fn what_began_anew_or_is_not_known_may_have_grown() {
        let own = values(&[5.0, 5.0, 1.0, 1.0]);
        assert!(!own.may_have_grown(None, 15 * SECOND));
        assert!(own.may_have_grown(None, 45 * SECOND), "a restart");
        assert!(own.may_have_grown(None, 85 * SECOND), "no sample since");
        assert!(Values::default().may_have_grown(None, 0));
    }
}
