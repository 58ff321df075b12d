//! Functions over a range that look at its values alone.

use super::native;
use super::ranges::Window;
use super::sums::{Sum, mean, quantile, variance};
use super::{Evaluator, PromError, Value};
use crate::promql::ast::Node;
use crate::promql::evaluate::value::Frame;
use std::sync::Arc;

#[expect(clippy::unnecessary_wraps, reason = "what every function over a window gives")]
fn float(value: f64) -> Option<Value> {
    Some(Value::Float(value))
}

/// The largest, or by `better` the smallest; NaN only if there is nothing else.
fn extreme(values: impl Iterator<Item = f64>, better: fn(f64, f64) -> bool) -> Option<f64> {
    values.reduce(|best, value| if better(value, best) || best.is_nan() { value } else { best })
}

impl Evaluator<'_> {
    /// Functions named `…_over_time` with a range alone, `changes` and `resets`; `None` if it is another.
    pub(super) fn over_time(&self, name: &str, argument: &Node) -> Option<Result<Frame, PromError>> {
        let notes = &self.shared.notes;
        let function: &dyn Fn(Window<'_>) -> Option<Value> = match name {
            "count_over_time" => &|w| float((w.floats.len() + w.histograms.len()) as f64),
            "present_over_time" => &|_| float(1.0),
            "last_over_time" => &last,
            "changes" => &changes,
            "resets" => &resets,
            "sum_over_time" | "avg_over_time" => &|w| {
                if w.histograms.is_empty() {
                    let sum = name == "sum_over_time";
                    return float(if sum { w.values().collect::<Sum>().value() } else { mean(w.values()) });
                }
                if !w.floats.is_empty() {
                    let text = "encountered a mix of histograms and floats for metric name";
                    notes.warn(w.span, &format!("{text} {:?}", w.name()));
                    return None;
                }
                let all = w.histograms.iter().map(|(_, histogram)| &**histogram);
                let Some(mut sum) = native::sum(all) else {
                    let text = "vector contains a mix of histograms with exponential and custom buckets \
                                schemas for metric name";
                    notes.warn(w.span, &format!("{text} {:?}", w.name()));
                    return None;
                };
                if name == "avg_over_time" {
                    native::scale(&mut sum, 1.0 / w.histograms.len() as f64);
                }
                Some(Value::Histogram(Arc::new(sum)))
            },
            "min_over_time" => &|w| {
                self.floats_alone(w);
                extreme(w.values(), |a, b| a < b).map(Value::Float)
            },
            "max_over_time" => &|w| {
                self.floats_alone(w);
                extreme(w.values(), |a, b| a > b).map(Value::Float)
            },
            "stdvar_over_time" | "stddev_over_time" => &|w| {
                self.floats_alone(w);
                if w.floats.is_empty() {
                    return None;
                }
                let variance = variance(w.values());
                float(if name == "stdvar_over_time" { variance } else { variance.sqrt() })
            },
            _ => return None,
        };
        let range = match self.range(argument) {
            Ok(range) => range,
            Err(error) => return Some(Err(error)),
        };
        Some(self.over_range(&range, name == "last_over_time", function))
    }

    /// Says that histograms among numbers are not looked at.
    pub(super) fn floats_alone(&self, w: Window<'_>) {
        if !w.histograms.is_empty() && !w.floats.is_empty() {
            let text = "ignored histograms in a range containing both floats and histograms for metric name";
            self.shared.notes.info(w.span, &format!("{text} {:?}", w.name()));
        }
    }

    pub(super) fn quantile_over_time(&self, at: &Node, argument: &Node) -> Result<Frame, PromError> {
        let quantiles = self.scalar(at)?;
        let range = self.range(argument)?;
        if !range.series.is_empty() {
            self.shared.notes.quantiles(at.span, &quantiles);
        }
        self.over_range(&range, false, &|w| {
            self.floats_alone(w);
            if w.floats.is_empty() {
                return None;
            }
            let wanted = quantiles.get(w.step).copied().unwrap_or(f64::NAN);
            float(quantile(wanted, w.values().collect()))
        })
    }
}

fn last(w: Window<'_>) -> Option<Value> {
    let (number, native) = (w.floats.last(), w.histograms.last());
    match (number, native) {
        (number, Some((at, histogram))) if number.is_none_or(|(other, _)| at > other) => {
            Some(Value::Histogram(Arc::clone(histogram)))
        }
        (Some((_, value)), _) => float(*value),
        _ => None,
    }
}

/// How often neighbours meet a condition; a number and a histogram always count as different.
fn neighbours(
    w: Window<'_>,
    floats: fn(f64, f64) -> bool,
    histograms: fn(&native::NativeHistogram, &native::NativeHistogram) -> bool,
) -> Option<Value> {
    let pairs = |(before, after): (&(i64, f64), &(i64, f64))| floats(before.1, after.1);
    let of_floats = w.floats.iter().zip(w.floats.iter().skip(1)).filter(|pair| pairs(*pair)).count();
    let natives = w.histograms.iter().zip(w.histograms.iter().skip(1));
    let of_histograms = natives.filter(|(before, after)| histograms(&before.1, &after.1)).count();
    // Where one kind ends and the other begins.
    let mut turns = 0;
    if !w.floats.is_empty() && !w.histograms.is_empty() {
        let mut times: Vec<(i64, bool)> = w.floats.iter().map(|(at, _)| (*at, true)).collect();
        times.extend(w.histograms.iter().map(|(at, _)| (*at, false)));
        times.sort_unstable();
        turns = times.iter().zip(times.iter().skip(1)).filter(|(a, b)| a.1 != b.1).count();
    }
    float((of_floats + of_histograms + turns) as f64)
}

fn changes(w: Window<'_>) -> Option<Value> {
    neighbours(w, |a, b| a != b && !(a.is_nan() && b.is_nan()), |a, b| a != b)
}

fn resets(w: Window<'_>) -> Option<Value> {
    neighbours(w, |a, b| b < a, |before, after| native::is_reset(after, before))
}
