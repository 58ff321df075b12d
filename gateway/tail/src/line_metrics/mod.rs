//! What `metrics` stages have counted: kept here by series, shown as OpenMetrics text to whoever scrapes, and given as samples to
//! whoever stores them. Where those go is not known here.

mod samples;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parsers::record::{Labels, TENANT_LABEL, TraceId};
use parsers::stage::{Entry, Metric, MetricAction, MetricShape};

/// Series at most, each bucket of a histogram one of them; what comes after them counts for one set of labels a metric that says
/// so. As many as one application has at most that counts with care.
const MAX_SERIES: usize = 10_000;
/// The label of that set.
const OVERFLOW: (&str, &str) = ("overflow", "true");

/// The numbers.
#[derive(Debug, Default)]
pub struct LineMetrics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    families: BTreeMap<String, Family>,
    /// As samples have them.
    series: usize,
    /// Series of which samples were given and that have gone since.
    ended: BTreeSet<Arc<Labels>>,
}

#[derive(Debug)]
struct Family {
    metric: Metric,
    tracks: BTreeMap<Labels, Track>,
}

/// What is counted under one set of labels.
#[derive(Debug)]
struct Track {
    /// Of a counter or gauge; the sum of a histogram.
    value: f64,
    count: u64,
    /// Of each bucket, not cumulative; the last is above all bounds.
    buckets: Vec<u64>,
    /// Nanoseconds since the epoch.
    updated: u64,
    exemplar: Option<Example>,
    /// Whether it came after the samples that were given last.
    exemplar_is_new: bool,
    /// Its series as samples have them; none before the first are given.
    series: Vec<Arc<Labels>>,
    /// When counting began, as its samples say.
    began: u64,
}

/// The last value with a trace.
#[derive(Debug, Clone, Copy)]
struct Example {
    value: f64,
    trace: TraceId,
    time: u64,
}

impl LineMetrics {
    /// A line counts. `now` is nanoseconds since the epoch.
    pub(crate) fn count(&self, metric: &Metric, value: f64, entry: &Entry, trace: Option<TraceId>, now: u64) {
        let tenant = entry.tenant.as_deref().map(|tenant| (TENANT_LABEL, tenant));
        let mut labels = Labels::within_bounds(entry.labels.iter().chain(tenant), &mut |_, _| {});
        let mut state = self.lock();
        let full = state.series >= MAX_SERIES;
        let family = state.families.entry(metric.name.to_string());
        let family = family.or_insert_with(|| Family { metric: metric.clone(), tracks: BTreeMap::new() });
        if full && !family.tracks.contains_key(&labels) {
            labels = Labels::new([OVERFLOW]);
        }
        // Another pipeline may have another metric of this name: the first says what it is.
        let Family { metric, tracks } = family;
        let before = tracks.len();
        let track = tracks.entry(labels).or_insert_with(|| Track::new(&metric.shape, now));
        track.update(&metric.shape, value);
        track.updated = now;
        if let Some(trace) = trace {
            track.exemplar = Some(Example { value, trace, time: entry.time });
            track.exemplar_is_new = true;
        }
        let added = (tracks.len() - before) * series_of(&metric.shape);
        state.series += added;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many series a set of labels has.
fn series_of(shape: &MetricShape) -> usize {
    match shape {
        // The bucket without a bound, the sum and the count.
        MetricShape::Histogram(bounds) => bounds.len() + 3,
        MetricShape::Counter { .. } | MetricShape::Gauge(_) => 1,
    }
}

impl State {
    /// Lets go what was not updated for too long. `now` is nanoseconds since the epoch.
    fn drop_idle(&mut self, now: u64) {
        let Self { families, series, ended } = self;
        *series = 0;
        families.retain(|_, family| {
            let oldest = now.saturating_sub(family.metric.max_idle);
            family.tracks.retain(|_, track| {
                let stays = track.updated >= oldest;
                if !stays {
                    ended.extend(std::mem::take(&mut track.series));
                }
                stays
            });
            *series += family.tracks.len() * series_of(&family.metric.shape);
            !family.tracks.is_empty()
        });
    }
}

impl Track {
    fn new(shape: &MetricShape, now: u64) -> Self {
        let buckets = match shape {
            MetricShape::Histogram(bounds) => vec![0; bounds.len() + 1],
            MetricShape::Counter { .. } | MetricShape::Gauge(_) => Vec::new(),
        };
        Self {
            value: 0.0,
            count: 0,
            buckets,
            updated: now,
            exemplar: None,
            exemplar_is_new: false,
            series: Vec::new(),
            began: 0,
        }
    }

    fn update(&mut self, shape: &MetricShape, value: f64) {
        self.count += 1;
        match shape {
            MetricShape::Counter { .. } => self.value += value,
            MetricShape::Gauge(action) => match action {
                MetricAction::Set => self.value = value,
                MetricAction::Inc | MetricAction::Add => self.value += value,
                MetricAction::Dec | MetricAction::Sub => self.value -= value,
            },
            MetricShape::Histogram(bounds) => {
                self.value += value;
                if let Some(bucket) = self.buckets.get_mut(bucket_of(bounds, value)) {
                    *bucket += 1;
                }
            }
        }
    }
}

/// The bucket that a value falls into.
fn bucket_of(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

/// The bound of a bucket as label `le` has it.
fn bound(bounds: &[f64], bucket: usize) -> String {
    bounds.get(bucket).map_or_else(|| "+Inf".to_owned(), f64::to_string)
}
