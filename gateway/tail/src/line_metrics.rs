//! What `metrics` stages have counted, for whoever shows it: OpenMetrics text, each series with the trace of its last line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parsers::record::TraceId;
use parsers::stage::{Entry, Metric, MetricAction, MetricShape};

/// Series at most; what comes after them counts for one series a metric that says so.
const MAX_SERIES: usize = 10_000;
/// The label of that series.
const OVERFLOW: &str = "overflow=\"true\"";

/// The numbers.
#[derive(Debug, Default)]
pub struct LineMetrics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    families: BTreeMap<String, Family>,
    series: usize,
}

#[derive(Debug)]
struct Family {
    metric: Metric,
    /// By the text of their labels.
    series: BTreeMap<String, Series>,
}

#[derive(Debug)]
struct Series {
    /// Of a counter or gauge; the sum of a histogram.
    value: f64,
    count: u64,
    /// Of each bucket, not cumulative; the last is above all bounds.
    buckets: Vec<u64>,
    /// Nanoseconds since the epoch.
    updated: u64,
    /// The last value with a trace: value, trace, time.
    exemplar: Option<(f64, TraceId, u64)>,
}

impl LineMetrics {
    /// A line counts. `now` is nanoseconds since the epoch.
    pub(crate) fn count(&self, metric: &Metric, value: f64, entry: &Entry, trace: Option<TraceId>, now: u64) {
        let mut labels = String::new();
        for (name, value) in entry.labels.iter() {
            let comma = if labels.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(labels, "{comma}{name}=\"{}\"", escaped(value));
        }
        let mut state = self.lock();
        let full = state.series >= MAX_SERIES;
        let family = state.families.entry(metric.name.to_string());
        let family = family.or_insert_with(|| Family { metric: metric.clone(), series: BTreeMap::new() });
        if full && !family.series.contains_key(&labels) {
            OVERFLOW.clone_into(&mut labels);
        }
        let before = family.series.len();
        let series = family.series.entry(labels).or_insert_with(|| Series {
            value: 0.0,
            count: 0,
            buckets: match &metric.shape {
                MetricShape::Histogram(bounds) => vec![0; bounds.len() + 1],
                _ => Vec::new(),
            },
            updated: now,
            exemplar: None,
        });
        series.update(&metric.shape, value);
        series.updated = now;
        if let Some(trace) = trace {
            series.exemplar = Some((value, trace, entry.time));
        }
        let added = family.series.len() - before;
        state.series += added;
    }

    /// Appends the families as OpenMetrics has them. Series that were not updated for too long go. `now` is nanoseconds since
    /// the epoch.
    pub fn render(&self, now: u64, out: &mut String) {
        let mut state = self.lock();
        for family in state.families.values_mut() {
            let oldest = now.saturating_sub(family.metric.max_idle);
            family.series.retain(|_, series| series.updated >= oldest);
        }
        state.families.retain(|_, family| !family.series.is_empty());
        state.series = state.families.values().map(|family| family.series.len()).sum();
        for (name, family) in &state.families {
            // Writing to a string does not fail.
            let _ = family.render(name, out);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
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
                let at = bounds.partition_point(|bound| *bound < value);
                if let Some(bucket) = self.buckets.get_mut(at) {
                    *bucket += 1;
                }
            }
        }
    }
}

impl Family {
    fn render(&self, name: &str, out: &mut String) -> std::fmt::Result {
        let kind = match self.metric.shape {
            MetricShape::Counter { .. } => "counter",
            MetricShape::Gauge(_) => "gauge",
            MetricShape::Histogram(_) => "histogram",
        };
        writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(&self.metric.help))?;
        for (labels, series) in &self.series {
            match &self.metric.shape {
                MetricShape::Counter { .. } => {
                    write!(out, "{name}_total{{{labels}}} {}", series.value)?;
                    series.end(true, out)?;
                }
                // An exemplar of a gauge is not in the format.
                MetricShape::Gauge(_) => writeln!(out, "{name}{{{labels}}} {}", series.value)?,
                MetricShape::Histogram(bounds) => series.histogram(name, labels, bounds, out)?,
            }
        }
        Ok(())
    }
}

impl Series {
    fn histogram(&self, name: &str, labels: &str, bounds: &[f64], out: &mut String) -> std::fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let last = self.exemplar.map(|(value, ..)| bounds.partition_point(|bound| *bound < value));
        let mut below = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            below += count;
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            write!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}")?;
            self.end(last == Some(at), out)?;
        }
        writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", self.value, self.count)
    }

    /// The end of a sample's line, with the exemplar or without.
    fn end(&self, with: bool, out: &mut String) -> std::fmt::Result {
        match self.exemplar.filter(|_| with) {
            Some((value, trace, time)) => {
                let (seconds, millis) = (time / 1_000_000_000, time / 1_000_000 % 1000);
                writeln!(out, " # {{trace_id=\"{trace}\"}} {value} {seconds}.{millis:03}")
            }
            None => writeln!(out),
        }
    }
}

/// As label values and help texts are written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
