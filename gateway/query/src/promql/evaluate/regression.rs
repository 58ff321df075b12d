//! Straight lines and smoothing over a range.

use super::ranges::Window;
use super::sums::Sum;
use super::value::Frame;
use super::{Evaluator, PromError, Value};
use crate::promql::ast::Node;
use crate::promql::show_number;

/// Slope by second, and the value at an instant (least squares).
fn line(samples: &[(i64, f64)], origin: i64) -> (f64, f64) {
    let first = samples.first().map_or(f64::NAN, |(_, value)| *value);
    if samples.iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x, mut y, mut xy, mut xx) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (time, value) in samples {
        let seconds = (time - origin) as f64 / 1000.0;
        x.add(seconds);
        y.add(*value);
        xy.add(seconds * value);
        xx.add(seconds * seconds);
    }
    let count = samples.len() as f64;
    let covariance = xy.value() - x.value() * y.value() / count;
    let spread = xx.value() - x.value() * x.value() / count;
    let slope = covariance / spread;
    (slope, y.value() / count - slope * x.value() / count)
}

impl Evaluator<'_> {
    pub(super) fn deriv(&self, argument: &Node) -> Result<Frame, PromError> {
        let range = self.range(argument)?;
        self.over_range(&range, false, &|w| {
            let origin = w.floats.first()?.0;
            self.floats_alone(w);
            (w.floats.len() > 1).then(|| Value::Float(line(w.floats, origin).0))
        })
    }

    pub(super) fn predict_linear(&self, argument: &Node, ahead: &Node) -> Result<Frame, PromError> {
        let (ahead, range) = (self.scalar(ahead)?, self.range(argument)?);
        self.over_range(&range, false, &|w| {
            self.floats_alone(w);
            if w.floats.len() < 2 {
                return None;
            }
            let (slope, value) = line(w.floats, w.time);
            Some(Value::Float(slope * ahead.get(w.step)? + value))
        })
    }

    /// Double exponential smoothing, as the second version of Prometheus names it.
    pub(super) fn holt_winters(&self, arguments: [&Node; 3]) -> Result<Frame, PromError> {
        let [argument, smoothing, trend] = arguments;
        let range = self.range(argument)?;
        let mut factors = Vec::new();
        for (node, name, short) in [(smoothing, "smoothing", "sf"), (trend, "trend", "tf")] {
            let values = self.scalar(node)?;
            let wrong = values.iter().find(|value| !(**value > 0.0 && **value < 1.0));
            if let Some(wrong) = wrong.filter(|_| !range.series.is_empty()) {
                let got = if wrong.is_finite() { format!("{wrong:.6}") } else { show_number(*wrong) };
                return Err(PromError::Execution(format!(
                    "invalid {name} factor. Expected: 0 < {short} < 1, got: {got}"
                )));
            }
            factors.push(values);
        }
        let at = |which: usize, step: usize| factors.get(which).and_then(|values| values.get(step)).copied();
        self.over_range(&range, false, &|w| smoothed(w, at(0, w.step)?, at(1, w.step)?))
    }
}

fn smoothed(w: Window<'_>, smoothing: f64, trending: f64) -> Option<Value> {
    let [(_, first), (_, second), ..] = w.floats else { return None };
    let (mut level, mut before, mut trend) = (*first, None::<f64>, second - first);
    for value in w.values().skip(1) {
        if let Some(before) = before {
            trend = trending * (level - before) + (1.0 - trending) * trend;
        }
        before = Some(level);
        level = smoothing * value + (1.0 - smoothing) * (level + trend);
    }
    Some(Value::Float(level))
}
