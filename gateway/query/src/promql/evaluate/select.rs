//! Reading series, and instant vectors of them: the newest sample that is not older than the lookback.

use std::rc::Rc;
use std::sync::Arc;

use parsers::record::{Labels, NativeHistogram, Sample};
use store::read::{Matcher, SampleLimits, Window};

use super::budget::Charge;
use super::value::{Column, Frame, Value};
use super::{Evaluator, PromError};
use crate::promql::ast::Selector;

/// Ends a series: a value that says that there is none.
const STALE: u64 = 0x7ff0_0000_0000_0002;
const NANOS: u64 = 1_000_000;
/// Samples that most selectors have at most, 4 MB: room for more is kept free only where there are more.
const FEW: u64 = 250_000;

pub(super) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// Samples of a series with times in milliseconds.
#[derive(Debug)]
pub(super) struct Samples {
    pub labels: Arc<Labels>,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Arc<NativeHistogram>)>,
}

/// Series with what they take of the budget.
pub(super) struct Selected {
    pub series: Vec<Samples>,
    pub charge: Rc<Charge>,
}

fn millis(nanos: u64) -> i64 {
    (nanos / NANOS) as i64
}

fn nanos(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).saturating_mul(NANOS)
}

impl Evaluator<'_> {
    /// Reads what lies after one instant and not after another, in milliseconds.
    pub(super) fn read(&self, selector: &Selector, after: i64, until: i64) -> Result<Selected, PromError> {
        let matchers: Vec<Matcher> = selector.matchers.iter().map(|m| m.compiled.clone()).collect();
        let window = Window { start: nanos(after.saturating_add(1)), end: nanos(until.saturating_add(1)) };
        let budget = &self.shared.budget;
        let upto = |samples: u64| {
            let limits = SampleLimits { series: self.shared.limits.series, samples };
            budget.reading(samples, || Ok(self.shared.source.select(&matchers, window, limits)?))
        };
        let left = budget.left();
        let mut most = FEW;
        let found = loop {
            match upto(left.min(most)) {
                Err(PromError::TooManySamples) if left > most => most = most.saturating_mul(4),
                found => break found?,
            }
        };
        let count: usize = found.iter().map(|s| s.samples.len() + histogram_samples(&s.histograms)).sum();
        let charge = self.shared.budget.charge(count as u64)?;
        let series = found
            .into_iter()
            .map(|s| {
                let float = |sample: Sample| (millis(sample.time), sample.value);
                let mut floats: Vec<(i64, f64)> = s.samples.into_iter().map(float).collect();
                // Times are finer in the store; of those of one millisecond the last stays.
                floats.dedup_by(|later, kept| {
                    let same = later.0 == kept.0;
                    if same {
                        *kept = *later;
                    }
                    same
                });
                let histograms = s.histograms.into_iter().map(|(time, h)| (millis(time), h)).collect();
                Samples { labels: s.labels, floats, histograms }
            })
            .collect();
        Ok(Selected { series, charge })
    }

    /// The newest sample of each series at each step, with its own time.
    pub(super) fn select_timed(
        &self,
        selector: &Selector,
        value: &dyn Fn(i64, Value) -> Value,
    ) -> Result<Frame, PromError> {
        let lookback = self.shared.limits.lookback.as_millis() as i64;
        let (first, last) = self.looked_between(selector.moved);
        let Selected { series, charge } = self.read(selector, first.saturating_sub(lookback), last)?;
        let held = self.shared.budget.charge((series.len() * self.steps.count) as u64)?;
        let mut columns = Vec::with_capacity(series.len());
        let mut given = 0;
        for samples in series {
            let (mut float, mut histogram) = (0, 0);
            let point = |time: i64| {
                // Steps go forward, so what was passed is never looked at again.
                while samples.floats.get(float).is_some_and(|(at, _)| *at <= time) {
                    float += 1;
                }
                while samples.histograms.get(histogram).is_some_and(|(at, _)| *at <= time) {
                    histogram += 1;
                }
                let fresh = |at: i64| at > time.saturating_sub(lookback);
                let number = float.checked_sub(1).and_then(|i| samples.floats.get(i));
                let native = histogram.checked_sub(1).and_then(|i| samples.histograms.get(i));
                match (number, native) {
                    (number, Some((at, native))) if number.is_none_or(|(other, _)| at >= other) => {
                        (fresh(*at) && !is_stale(native.sum))
                            .then(|| value(*at, Value::Histogram(Arc::clone(native))))
                    }
                    (Some((at, number)), _) => {
                        (fresh(*at) && !is_stale(*number)).then(|| value(*at, Value::Float(*number)))
                    }
                    _ => None,
                }
            };
            let points: Vec<Option<Value>> = self.looked_at(selector.moved).map(point).collect();
            given += points.iter().flatten().count();
            self.check_answer(given)?;
            let column = Column { labels: samples.labels, points };
            if !column.is_empty() {
                columns.push(column);
            }
        }
        drop(charge);
        Ok(Frame { columns, charge: Some(held) })
    }

    pub(super) fn select(&self, selector: &Selector) -> Result<Frame, PromError> {
        self.select_timed(selector, &|_, value| value)
    }
}

/// What histograms take, counted in samples of 16 bytes.
fn histogram_samples(histograms: &[(u64, Arc<NativeHistogram>)]) -> usize {
    let one = |h: &NativeHistogram| size_of::<NativeHistogram>() / 16 + h.positive.len() + h.negative.len();
    histograms.iter().map(|(_, h)| one(h)).sum()
}
