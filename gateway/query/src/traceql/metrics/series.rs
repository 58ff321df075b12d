//! Series of functions that count or measure spans, by the values of fields.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use parsers::record::TraceId;
use rustc_hash::{FxHashMap, FxHasher};

use super::super::ast::{Field, MetricsFunction, Static};
use super::super::expression::{At, field_value};
use super::super::names;
use super::super::value::Val;
use super::cells::Cells;
use super::{CELL, Counting, Exemplar, Intervals, MILLISECOND, Series};
use crate::allowance::Counter;
use crate::{Allowance, QueryError};

/// Bytes of a bucket, of which a quantile is read.
const BUCKET: u64 = 32;

/// Series as they are counted.
pub(super) struct Counted<'a> {
    function: &'a MetricsFunction,
    by: &'a [Field],
    /// What is measured; functions that count measure nothing.
    pub(super) of: Option<Field>,
    intervals: Intervals,
    /// Places in `groups` by the hash of their values.
    places: FxHashMap<u64, Vec<u32>>,
    groups: Vec<Group>,
    bounds: Bounds<'a>,
    /// Quantiles that are kept.
    kept: Counter,
    /// Whether there were more than that.
    pub(super) left_out: bool,
}

/// What of it may be.
pub(super) struct Bounds<'a> {
    pub(super) series: usize,
    pub(super) exemplars: usize,
    pub(super) allowance: &'a Allowance,
    /// Whether all that is counted is in the answer.
    pub(super) all_answered: bool,
}

struct Group {
    values: Vec<Static>,
    /// Upper bound, of a histogram.
    bucket: Option<f64>,
    cells: Cells,
    /// Parts of the time that have an exemplar.
    exemplars: FxHashMap<u32, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    trace_id: TraceId,
    time: u64,
    interval: usize,
    value: f64,
}

impl<'a> Counted<'a> {
    pub(super) fn new(
        function: &'a MetricsFunction,
        by: &'a [Field],
        intervals: Intervals,
        bounds: Bounds<'a>,
    ) -> Self {
        let of = match function {
            MetricsFunction::OverTime(_, field)
            | MetricsFunction::Quantile(field, _)
            | MetricsFunction::Histogram(field) => Some(field.clone()),
            _ => None,
        };
        Self {
            function,
            by,
            of,
            intervals,
            places: FxHashMap::default(),
            groups: Vec::new(),
            kept: bounds.allowance.counter(BUCKET),
            bounds,
            left_out: false,
        }
    }

    /// The group of these values.
    fn group(&mut self, values: &[Val<'_>], bucket: Option<f64>) -> Result<Option<usize>, QueryError> {
        let mut hasher = FxHasher::default();
        values.hash(&mut hasher);
        bucket.map(f64::to_bits).hash(&mut hasher);
        let places = self.places.entry(hasher.finish()).or_default();
        let is = |place: &&u32| {
            self.groups.get(**place as usize).is_some_and(|group| {
                let same = group.values.iter().zip(values).all(|(known, value)| value.is(known));
                same && group.bucket.map(f64::to_bits) == bucket.map(f64::to_bits)
            })
        };
        if let Some(place) = places.iter().find(is) {
            return Ok(Some(*place as usize));
        }
        let per_group =
            if let MetricsFunction::Quantile(_, quantiles) = self.function { quantiles.len() } else { 1 };
        if (self.groups.len() + 1) * per_group > self.bounds.series {
            self.left_out = true;
            return Ok(None);
        }
        let count = self.intervals.count;
        let allowance = self.bounds.allowance;
        // Those that count have a value at each interval.
        if self.bounds.all_answered && counts(self.function) {
            allowance.check((self.groups.len() + 1).saturating_mul(count))?;
        }
        allowance.take(CELL * count as u64)?;
        places.push(self.groups.len() as u32);
        self.groups.push(Group {
            values: values.iter().map(Val::to_static).collect(),
            bucket,
            cells: match self.function {
                MetricsFunction::OverTime(function, _) => Cells::over_time(*function, count),
                MetricsFunction::Quantile(..) => Cells::Buckets(std::collections::BTreeMap::new()),
                _ => Cells::counts(count),
            },
            exemplars: FxHashMap::default(),
        });
        Ok(Some(self.groups.len() - 1))
    }

    /// Series in order of their labels.
    pub(super) fn series(self) -> Vec<Series> {
        let mut all = Vec::new();
        let intervals = self.intervals;
        let scale = if *self.function == MetricsFunction::Rate { 1.0 / intervals.seconds() } else { 1.0 };
        let quantiles: &[f64] =
            if let MetricsFunction::Quantile(_, quantiles) = self.function { quantiles } else { &[f64::NAN] };
        let counts = counts(self.function);
        for group in &self.groups {
            let value = |interval: usize, quantile: f64| group.cells.value(interval, quantile) * scale;
            for quantile in quantiles {
                let samples: Vec<(u64, f64)> = (0..intervals.count)
                    .map(|interval| (intervals.time(interval), value(interval, *quantile)))
                    .filter(|(_, value)| !value.is_nan())
                    .collect();
                // A span stands for the quantile that its value is nearest to.
                let nearest = |seen: &Seen| {
                    let far = |quantile: f64| (value(seen.interval, quantile) - seen.value).abs();
                    quantiles.iter().all(|other| far(*other) >= far(*quantile))
                };
                let is_its_own = |seen: &&Seen| quantiles.len() == 1 || nearest(seen);
                let mut exemplars: Vec<Exemplar> = group
                    .exemplars
                    .values()
                    .filter(is_its_own)
                    .map(|seen| Exemplar {
                        trace_id: seen.trace_id,
                        time: seen.time / MILLISECOND,
                        value: if counts { value(seen.interval, *quantile) } else { seen.value },
                    })
                    .collect();
                exemplars.sort_by_key(|exemplar| (exemplar.time, exemplar.trace_id.bits()));
                all.push(Series { labels: self.labels(group, *quantile), samples, exemplars });
            }
        }
        all.sort_by_cached_key(|series| sort_key(&series.labels));
        thin(&mut all, self.bounds.exemplars);
        all
    }

    fn labels(&self, group: &Group, quantile: f64) -> Vec<(String, Static)> {
        let mut labels: Vec<(String, Static)> = self
            .by
            .iter()
            .zip(&group.values)
            .map(|(field, value)| (field.to_string(), value.clone()))
            .collect();
        match self.function {
            MetricsFunction::Quantile(..) => labels.push(("p".to_owned(), Static::Float(quantile))),
            MetricsFunction::Histogram(_) => {
                labels.push(("__bucket".to_owned(), Static::Float(group.bucket.unwrap_or_default())));
            }
            function if labels.is_empty() => {
                let name = match function {
                    MetricsFunction::Rate => "rate",
                    MetricsFunction::OverTime(function, _) => names::over_time(*function),
                    _ => "count_over_time",
                };
                labels.push(("__name__".to_owned(), Static::Str(name.to_owned())));
            }
            _ => {}
        }
        labels
    }
}

impl Counting for Counted<'_> {
    fn observe(&mut self, at: At<'_>, intervals: Intervals) -> Result<(), QueryError> {
        let Some(interval) = intervals.of(at.span.start) else { return Ok(()) };
        let (mut value, mut bucket) = (f64::NAN, None);
        if let Some(field) = &self.of {
            let of = field_value(field, at);
            let Some(measured) = of.measured().filter(|value| value.is_finite()) else { return Ok(()) };
            value = measured;
            if matches!(self.function, MetricsFunction::Histogram(_)) {
                // Powers of two of nanoseconds, or of the number.
                let unit = if matches!(of, Val::Duration(_)) { 1e9 } else { 1.0 };
                bucket = Some((measured * unit).max(1.0).log2().ceil().exp2() / unit);
            }
        }
        let by: &[Field] = self.by;
        let slots = self.bounds.exemplars as u64;
        let found = match by {
            [] => self.group(&[], bucket),
            [one] => self.group(&[field_value(one, at)], bucket),
            many => self.group(&many.iter().map(|field| field_value(field, at)).collect::<Vec<_>>(), bucket),
        }?;
        let Some(group) = found.and_then(|place| self.groups.get_mut(place)) else { return Ok(()) };
        if group.cells.add(interval, value) {
            self.kept.add(1)?;
        }
        if slots > 0 {
            let whole = intervals.window();
            let since = u128::from(at.span.start - whole.start);
            let slot = since * u128::from(slots) / u128::from((whole.end - whole.start).max(1));
            let (trace_id, time) = (at.span.trace_id, at.span.start);
            group.exemplars.entry(slot as u32).or_insert(Seen { trace_id, time, interval, value });
        }
        Ok(())
    }
}

/// Whether spans are counted, and not measured.
fn counts(function: &MetricsFunction) -> bool {
    use MetricsFunction::{OverTime, Quantile};
    !matches!(function, OverTime(..) | Quantile(..))
}

/// Labels as text, so that series have an order.
pub(super) fn sort_key(labels: &[(String, Static)]) -> String {
    labels.iter().fold(String::new(), |mut key, (name, value)| {
        // Writing to a string does not fail.
        let _ = write!(key, "{name}={value},");
        key
    })
}

/// Leaves so many exemplars in all, spread evenly.
fn thin(all: &mut [Series], most: usize) {
    let total: usize = all.iter().map(|series| series.exemplars.len()).sum();
    if total <= most {
        return;
    }
    let mut number = 0;
    for series in all {
        series.exemplars.retain(|_| {
            number += 1;
            number * most / total != (number - 1) * most / total
        });
    }
}
