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
use super::{Counting, Exemplar, Intervals, MILLISECOND, Series};

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
    max_series: usize,
    exemplars: usize,
    /// Whether there were more than that.
    pub(super) left_out: bool,
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
        max_series: usize,
        exemplars: usize,
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
            max_series,
            exemplars,
            left_out: false,
        }
    }

    /// The group of these values.
    fn group(&mut self, values: &[Val<'_>], bucket: Option<f64>) -> Option<&mut Group> {
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
            return self.groups.get_mut(*place as usize);
        }
        let per_group =
            if let MetricsFunction::Quantile(_, quantiles) = self.function { quantiles.len() } else { 1 };
        if (self.groups.len() + 1) * per_group > self.max_series {
            self.left_out = true;
            return None;
        }
        let count = self.intervals.count;
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
        self.groups.last_mut()
    }

    /// Series in order of their labels.
    pub(super) fn series(self) -> Vec<Series> {
        let mut all = Vec::new();
        let intervals = self.intervals;
        let scale = if *self.function == MetricsFunction::Rate { 1.0 / intervals.seconds() } else { 1.0 };
        let quantiles: &[f64] =
            if let MetricsFunction::Quantile(_, quantiles) = self.function { quantiles } else { &[f64::NAN] };
        let counts = self.of.is_none() || matches!(self.function, MetricsFunction::Histogram(_));
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
        thin(&mut all, self.exemplars);
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
    fn observe(&mut self, at: At<'_>, intervals: Intervals) {
        let Some(interval) = intervals.of(at.span.start) else { return };
        let (mut value, mut bucket) = (f64::NAN, None);
        if let Some(field) = &self.of {
            let of = field_value(field, at);
            let Some(measured) = of.measured().filter(|value| value.is_finite()) else { return };
            value = measured;
            if matches!(self.function, MetricsFunction::Histogram(_)) {
                // Powers of two of nanoseconds, or of the number.
                let unit = if matches!(of, Val::Duration(_)) { 1e9 } else { 1.0 };
                bucket = Some((measured * unit).max(1.0).log2().ceil().exp2() / unit);
            }
        }
        let by: &[Field] = self.by;
        let slots = self.exemplars as u64;
        let found = match by {
            [] => self.group(&[], bucket),
            [one] => self.group(&[field_value(one, at)], bucket),
            many => self.group(&many.iter().map(|field| field_value(field, at)).collect::<Vec<_>>(), bucket),
        };
        let Some(group) = found else { return };
        group.cells.add(interval, value);
        if slots > 0 {
            let whole = intervals.window();
            let since = u128::from(at.span.start - whole.start);
            let slot = since * u128::from(slots) / u128::from((whole.end - whole.start).max(1));
            let (trace_id, time) = (at.span.trace_id, at.span.start);
            group.exemplars.entry(slot as u32).or_insert(Seen { trace_id, time, interval, value });
        }
    }
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
