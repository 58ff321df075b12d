//! Quantiles and fractions of histograms: classic ones from series of buckets, native ones from themselves.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use parsers::record::{Labels, NativeHistogram};

use super::native;
use super::value::{Column, Frame, Value};
use super::{Evaluator, PromError};
use crate::promql::ast::{Node, Span};
use crate::promql::labels::{BUCKET, NAME, nameless};

/// An upper bound, and how many observations are not above it.
type Bucket = (f64, f64);

/// Differences this small, relative to the counts, come from computing with them.
const ROUNDING: f64 = 1e-12;

/// Labels of a histogram, its buckets as columns, and columns that hold native ones.
type Histograms<'a> = (Labels, Vec<(f64, &'a Column)>, Vec<&'a Column>);

/// What is asked of each histogram at a step.
enum Asked<'a> {
    Quantile(&'a [f64]),
    Fraction(&'a [f64], &'a [f64]),
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&self, arguments: &[Node]) -> Result<Frame, PromError> {
        let [quantile, vector] = arguments else { return Err(PromError::execution("expected 2 arguments")) };
        let (quantiles, frame) = (self.scalar(quantile)?, self.vector(vector)?);
        if !frame.columns.is_empty() {
            self.shared.notes.quantiles(quantile.span, &quantiles);
        }
        self.of_histograms(&frame, &Asked::Quantile(&quantiles), vector.span)
    }

    pub(super) fn histogram_fraction(&self, arguments: &[Node]) -> Result<Frame, PromError> {
        let [lower, upper, vector] = arguments else {
            return Err(PromError::execution("expected 3 arguments"));
        };
        let (lower, upper) = (self.scalar(lower)?, self.scalar(upper)?);
        self.of_histograms(&self.vector(vector)?, &Asked::Fraction(&lower, &upper), vector.span)
    }

    fn of_histograms(&self, frame: &Frame, asked: &Asked<'_>, span: Span) -> Result<Frame, PromError> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<Histograms<'_>> = Vec::new();
        for column in &frame.columns {
            let native = column.points.iter().flatten().any(|value| matches!(value, Value::Histogram(_)));
            let numbers = column.points.iter().flatten().any(|value| matches!(value, Value::Float(_)));
            let bound = column.labels.get(BUCKET).and_then(read_bound);
            if numbers && bound.is_none() {
                self.note_bad_bucket(&column.labels, span);
            }
            let dropped = |name: &str| name == NAME || (name == BUCKET && bound.is_some() && !native);
            let labels = column.labels.filtered(|name| !dropped(name));
            let place = *places.entry(labels.clone()).or_insert(groups.len());
            if place == groups.len() {
                groups.push((labels, Vec::new(), Vec::new()));
            }
            let Some((_, buckets, natives)) = groups.get_mut(place) else { continue };
            if let Some(bound) = bound.filter(|_| numbers) {
                buckets.push((bound, column));
            }
            if native {
                natives.push(column);
            }
        }
        let charge = self.shared.budget.charge((groups.len() * self.steps.count) as u64)?;
        let mut columns = Vec::with_capacity(groups.len());
        let mut scratch: Vec<Bucket> = Vec::new();
        for (labels, mut buckets, natives) in groups {
            self.shared.budget.check_time()?;
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut points = Vec::with_capacity(self.steps.count);
            for step in 0..self.steps.count {
                scratch.clear();
                scratch.extend(buckets.iter().filter_map(|(bound, c)| Some((*bound, c.at(step)?.float()?))));
                let native = natives.iter().find_map(|column| match column.at(step)? {
                    Value::Histogram(histogram) => Some(&**histogram),
                    Value::Float(_) => None,
                });
                let value = match (native, scratch.is_empty()) {
                    (Some(_), false) => {
                        let text = "vector contains a mix of classic and native histograms";
                        self.shared.notes.warn(span, text);
                        None
                    }
                    (Some(native), true) => Some(of_native(native, asked, step)),
                    (None, false) => Some(self.of_buckets(&mut scratch, asked, step, span)),
                    (None, true) => None,
                };
                points.push(value.map(Value::Float));
            }
            columns.push(Column { labels: Arc::new(labels), points });
        }
        Frame { columns, charge: Some(charge) }.merged()
    }

    fn note_bad_bucket(&self, labels: &Labels, span: Span) {
        let text = format!(
            "bucket label \"le\" is missing or has a malformed value of {:?}",
            labels.get(BUCKET).unwrap_or_default()
        );
        match labels.get(NAME) {
            Some(name) => self.shared.notes.warn(span, &format!("{text} for metric name {name:?}")),
            None => self.shared.notes.warn(span, &text),
        }
    }

    fn of_buckets(&self, buckets: &mut Vec<Bucket>, asked: &Asked<'_>, step: usize, span: Span) -> f64 {
        match asked {
            Asked::Quantile(quantiles) => {
                let (value, forced) =
                    bucket_quantile(quantiles.get(step).copied().unwrap_or(f64::NAN), buckets);
                if forced {
                    let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                                https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
                    self.shared.notes.info(span, text);
                }
                value
            }
            Asked::Fraction(lower, upper) => {
                let at = |bounds: &[f64]| bounds.get(step).copied().unwrap_or(f64::NAN);
                bucket_fraction(at(lower), at(upper), buckets)
            }
        }
    }

    /// `histogram_count` and its like: one number of each native histogram; other elements go.
    pub(super) fn of_native(
        &self,
        argument: &Node,
        number: fn(&NativeHistogram) -> f64,
    ) -> Result<Frame, PromError> {
        let mut frame = self.vector(argument)?;
        for column in &mut frame.columns {
            column.labels = Arc::new(nameless(&column.labels));
            for point in &mut column.points {
                *point = match point.take() {
                    Some(Value::Histogram(histogram)) => Some(Value::Float(number(&histogram))),
                    _ => None,
                };
            }
        }
        frame.merged()
    }
}

fn read_bound(text: &str) -> Option<f64> {
    let text = text.trim_start_matches('+');
    text.parse().ok()
}

fn of_native(histogram: &NativeHistogram, asked: &Asked<'_>, step: usize) -> f64 {
    let at = |values: &[f64]| values.get(step).copied().unwrap_or(f64::NAN);
    match asked {
        Asked::Quantile(quantiles) => native::quantile(histogram, at(quantiles)),
        Asked::Fraction(lower, upper) => native::fraction(histogram, at(lower), at(upper)),
    }
}

/// Equal bounds become one; counts are made to grow. Says whether that changed more than rounding does.
fn tidy(buckets: &mut Vec<Bucket>) -> bool {
    buckets.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    let mut forced = false;
    let mut most = f64::NEG_INFINITY;
    for (_, count) in buckets.iter_mut() {
        if *count < most {
            forced |= most - *count > ROUNDING * most.abs().max(count.abs());
            *count = most;
        } else if *count > most {
            most = *count;
        }
    }
    forced
}

/// The value below which this share of the observations lies, linear within its bucket.
fn bucket_quantile(quantile: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if quantile.is_nan() {
        return (f64::NAN, false);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return (f64::NAN, false);
    }
    let forced = tidy(buckets);
    let observations = buckets.last().map_or(0.0, |(_, count)| *count);
    let [first, .., _] = buckets.as_slice() else { return (f64::NAN, forced) };
    if observations == 0.0 || observations.is_nan() {
        return (f64::NAN, forced);
    }
    let rank = quantile * observations;
    let finite = buckets.get(..buckets.len() - 1).unwrap_or_default();
    let place = finite.partition_point(|(_, count)| count.partial_cmp(&rank).is_none_or(Ordering::is_lt));
    let Some((end, count)) = finite.get(place) else {
        return (finite.last().map_or(f64::NAN, |(bound, _)| *bound), forced);
    };
    if place == 0 && first.0 <= 0.0 {
        return (first.0, forced);
    }
    let (start, below) = place.checked_sub(1).and_then(|i| finite.get(i)).copied().unwrap_or((0.0, 0.0));
    (start + (end - start) * ((rank - below) / (count - below)), forced)
}

/// The share of observations between two values.
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if lower.is_nan() || upper.is_nan() || buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return f64::NAN;
    }
    tidy(buckets);
    let observations = buckets.last().map_or(0.0, |(_, count)| *count);
    if observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| {
        let place = buckets.partition_point(|(bound, _)| *bound < value);
        let before = place.checked_sub(1).and_then(|i| buckets.get(i)).copied();
        let Some((end, count)) = buckets.get(place).copied() else { return observations };
        if value == end {
            return count;
        }
        // The first bucket is taken to begin at zero, unless it ends below.
        let (start, count_below) =
            before.unwrap_or(if end > 0.0 { (0.0, 0.0) } else { (f64::NEG_INFINITY, 0.0) });
        if start.is_infinite() || end.is_infinite() || value <= start {
            return count_below;
        }
        count_below + (count - count_below) * (value - start) / (end - start)
    };
    (below(upper) - below(lower)) / observations
}
