//! Functions that compare the ends of a range: `rate`, `increase`, `delta`, and those of its last two samples.

use std::sync::Arc;

use parsers::record::NativeHistogram;

use super::native;
use super::ranges::Window;
use super::value::Frame;
use super::{Evaluator, PromError, Value};
use crate::promql::ast::Node;

/// Values that come more than this much later than on average mean that the series begins or ends there.
const GAP: f64 = 1.1;

/// Names that counters end in.
const COUNTERS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// How much larger the whole range is than what the samples cover, as far as the series can be taken to go on.
fn extrapolation(w: Window<'_>, times: (i64, i64), count: usize, to_zero: Option<f64>) -> f64 {
    let (first, last) = times;
    let covered = seconds(last - first);
    let between = covered / (count - 1) as f64;
    let limit = between * GAP;
    let (mut before, mut after) = (seconds(first - w.start), seconds(w.end - last));
    if before >= limit {
        before = between / 2.0;
    }
    // A counter does not begin before it was zero.
    if let Some(share) = to_zero {
        before = before.min(covered * share);
    }
    if after >= limit {
        after = between / 2.0;
    }
    (covered + before + after) / covered
}

impl Evaluator<'_> {
    /// `rate`, `increase` and `delta`.
    pub(super) fn extrapolated(&self, name: &str, argument: &Node) -> Result<Frame, PromError> {
        let (counter, per_second) = (name != "delta", name == "rate");
        let range = self.range(argument)?;
        let frame = self.over_range(&range, false, &|w| {
            let length = seconds(w.end - w.start);
            let scale = |factor: f64| if per_second { factor / length } else { factor };
            if !w.floats.is_empty() && !w.histograms.is_empty() {
                let text = "encountered a mix of histograms and floats for metric name";
                self.shared.notes.warn(w.span, &format!("{text} {:?}", w.name()));
                return None;
            }
            if let (Some((start, first)), Some((end, _))) = (w.histograms.first(), w.histograms.last()) {
                let difference = self.histogram_difference(w, counter)?;
                let grows = counter && difference.count > 0.0 && first.count >= 0.0;
                let to_zero = grows.then(|| first.count / difference.count);
                let factor = extrapolation(w, (*start, *end), w.histograms.len(), to_zero);
                let mut result = difference;
                native::scale(&mut result, scale(factor));
                return Some(Value::Histogram(Arc::new(result)));
            }
            let ((start, first), (end, last)) = (w.floats.first()?, w.floats.last()?);
            if w.floats.len() < 2 {
                return None;
            }
            let mut difference = last - first;
            if counter {
                let pairs = w.values().zip(w.values().skip(1));
                difference = pairs.filter(|(a, b)| b < a).fold(difference, |sum, (a, _)| sum + a);
            }
            let grows = counter && difference > 0.0 && *first >= 0.0;
            let to_zero = grows.then(|| first / difference);
            let factor = extrapolation(w, (*start, *end), w.floats.len(), to_zero);
            Some(Value::Float(difference * scale(factor)))
        })?;
        if counter {
            self.note_names(&range, &frame);
        }
        Ok(frame)
    }

    /// Says which names do not look like counters'.
    fn note_names(&self, range: &super::ranges::Range, frame: &Frame) {
        let has_floats = frame
            .columns
            .iter()
            .any(|c| c.points.iter().flatten().any(|value| matches!(value, Value::Float(_))));
        for samples in range.series.iter().filter(|s| has_floats && s.floats.len() > 1) {
            let name = samples.labels.get(crate::promql::labels::NAME).unwrap_or_default();
            if !name.is_empty() && !COUNTERS.iter().any(|ending| name.ends_with(ending)) {
                let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
                self.shared.notes.info(range.span, &format!("{text} {name:?}"));
            }
        }
    }

    /// By how much a histogram grew within a window.
    fn histogram_difference(&self, w: Window<'_>, counter: bool) -> Option<NativeHistogram> {
        let all: Vec<&NativeHistogram> = w.histograms.iter().map(|(_, histogram)| &**histogram).collect();
        let [first, .., last] = all.as_slice() else { return None };
        let gauges = all.iter().any(|histogram| histogram.reset_hint == native::GAUGE);
        if counter && gauges {
            let text = format!("this native histogram metric is not a counter: {:?}", w.name());
            self.shared.notes.warn(w.span, &text);
        }
        if !counter && !all.iter().all(|histogram| histogram.reset_hint == native::GAUGE) {
            let text = format!("this native histogram metric is not a gauge: {:?}", w.name());
            self.shared.notes.warn(w.span, &text);
        }
        let mut parts: Vec<(&NativeHistogram, f64)> = vec![(last, 1.0), (first, -1.0)];
        if counter {
            let pairs = all.iter().zip(all.iter().skip(1));
            parts.extend(
                pairs.filter(|(before, after)| native::is_reset(after, before)).map(|(b, _)| (*b, 1.0)),
            );
        }
        let difference = native::combine(&parts);
        if difference.is_none() {
            let text = "vector contains a mix of histograms with exponential and custom buckets schemas for \
                        metric name";
            self.shared.notes.warn(w.span, &format!("{text} {:?}", w.name()));
        }
        difference
    }

    /// `irate` and `idelta`.
    pub(super) fn last_two(&self, name: &str, argument: &Node) -> Result<Frame, PromError> {
        let rate = name == "irate";
        let range = self.range(argument)?;
        let frame = self.over_range(&range, false, &|w| {
            let [.., (before_at, before), (at, last)] = w.floats else {
                let [.., (before_at, before), (at, last)] = w.histograms else { return None };
                let reset = rate && native::is_reset(last, before);
                let parts = [(&**last, 1.0), (&**before, -1.0)];
                let mut result = native::combine(if reset { parts.get(..1)? } else { &parts })?;
                let between = seconds(at - before_at);
                if between == 0.0 {
                    return None;
                }
                if rate {
                    native::scale(&mut result, 1.0 / between);
                }
                return Some(Value::Histogram(Arc::new(result)));
            };
            let between = seconds(at - before_at);
            if between == 0.0 {
                return None;
            }
            // After a reset the counter began at zero.
            let difference = if rate && last < before { *last } else { last - before };
            Some(Value::Float(if rate { difference / between } else { difference }))
        })?;
        Ok(frame)
    }
}
