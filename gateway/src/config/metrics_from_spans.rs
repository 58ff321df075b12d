//! The section `metrics_from_spans`: series of rates, errors and durations that are made of spans as they arrive.

use std::time::Duration;

use correlate::red::{DEFAULT_INTERVAL, OVERFLOW_LABEL, RedOptions, label_of};
use parsers::record::TENANT_LABEL;

use super::node::Node;
use super::reader::{Mistakes, Section, scalar};
use super::render::{duration, list};
use super::values;

/// More often costs more than it shows; rates over a minute need two samples.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);
/// SDKs send within seconds; a message that lies in its queue for longer than this is not held in memory.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);
/// Each is a series for every operation, status and edge.
const MAX_BUCKETS: usize = 50;
/// A label for each of a few attributes; more multiply series beyond use.
const MAX_DIMENSIONS: usize = 10;
/// A few operations have this many series; below it all would be counted together.
const MIN_SERIES: usize = 100;
/// At about 400 bytes each, what a machine can spare.
const MAX_SERIES: usize = 5_000_000;
/// Labels that span metrics have anyway.
const OWN_LABELS: [&str; 8] =
    ["service", "span_name", "span_kind", "status_code", "le", "__name__", OVERFLOW_LABEL, TENANT_LABEL];

/// What is made of spans.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsFromSpans {
    /// `metrics_from_spans.enabled`
    pub enabled: bool,
    /// `metrics_from_spans.interval`: how often samples are written
    pub interval: Duration,
    /// `histogram_buckets`, `dimensions`, `max_series`, `wait`
    pub options: RedOptions,
}

pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> MetricsFromSpans {
    let defaults = RedOptions::default();
    let settings = MetricsFromSpans {
        enabled: section.value("enabled", values::boolean, mistakes).unwrap_or(true),
        interval: section.value("interval", interval, mistakes).unwrap_or(DEFAULT_INTERVAL),
        options: RedOptions {
            buckets: buckets(&mut section, mistakes).unwrap_or(defaults.buckets),
            dimensions: dimensions(&mut section, mistakes).unwrap_or(defaults.dimensions),
            max_series: section.value("max_series", max_series, mistakes).unwrap_or(defaults.max_series),
            wait: section.value("wait", wait, mistakes).unwrap_or(defaults.wait),
        },
    };
    section.end(mistakes);
    settings
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = values::duration(text).ok().filter(|interval| INTERVALS.contains(interval));
    interval.ok_or_else(|| "a duration from `1s` to `30s`".to_owned())
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = values::duration(text).ok().filter(|wait| WAITS.contains(wait));
    wait.ok_or_else(|| "a duration from `1s` to `10m`".to_owned())
}

fn max_series(text: &str) -> Result<usize, String> {
    let series = text.parse().ok().filter(|series| (MIN_SERIES..=MAX_SERIES).contains(series));
    series.ok_or_else(|| format!("a number of series from {MIN_SERIES} to {MAX_SERIES}"))
}

fn bucket(text: &str) -> Result<f64, String> {
    let bucket = text.parse().ok().filter(|bucket: &f64| bucket.is_finite() && (1e-6..=1e6).contains(bucket));
    bucket.ok_or_else(|| "seconds from 0.000001 to 1000000, such as `0.25`".to_owned())
}

/// A list that is there, with its elements read; `None` where it is not, or where something in it is wrong.
fn all<T>(
    section: &mut Section,
    key: &'static str,
    mistakes: &mut Mistakes,
    read: impl Fn(&str) -> Result<T, String>,
    check: impl Fn(&[T]) -> Result<(), String>,
) -> Option<Vec<T>> {
    let place = section.peek(key)?.place.clone();
    let path = section.path(key);
    let nodes = section.list(key, mistakes)?;
    let count = nodes.len();
    let mut one = |(path, node): (String, Node)| scalar(&node, &path, &read, mistakes);
    let list: Vec<T> = nodes.into_iter().filter_map(&mut one).collect();
    if list.len() < count {
        return None;
    }
    match check(&list) {
        Ok(()) => Some(list),
        Err(expected) => {
            mistakes.push(&place, &path, format!("expected {expected}"));
            None
        }
    }
}

fn buckets(section: &mut Section, mistakes: &mut Mistakes) -> Option<Vec<f64>> {
    all(section, "histogram_buckets", mistakes, bucket, |list| {
        if list.is_empty() || list.len() > MAX_BUCKETS {
            return Err(format!("1 to {MAX_BUCKETS} upper bounds in seconds, came {}", list.len()));
        }
        match list.windows(2).find(|pair| matches!(pair, [a, b] if a >= b)) {
            Some(pair) => Err(format!("upper bounds that grow, came {pair:?}")),
            None => Ok(()),
        }
    })
}

fn dimensions(section: &mut Section, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    all(section, "dimensions", mistakes, values::text, |list| {
        if list.len() > MAX_DIMENSIONS {
            return Err(format!("at most {MAX_DIMENSIONS} attributes, came {}", list.len()));
        }
        let mut labels: Vec<String> = OWN_LABELS.map(str::to_owned).into();
        for name in list {
            let label = label_of(name);
            if labels.contains(&label) {
                return Err(format!(
                    "attributes that become different labels: `{label}`, of `{name}`, is taken"
                ));
            }
            labels.push(label);
        }
        Ok(())
    })
}

impl MetricsFromSpans {
    /// As [`read`] reads it back.
    pub(super) fn render(&self, out: &mut String) -> std::fmt::Result {
        use std::fmt::Write as _;
        let buckets: Vec<String> = self.options.buckets.iter().map(f64::to_string).collect();
        writeln!(
            out,
            "metrics_from_spans:\n  enabled: {}\n  interval: {}\n  histogram_buckets: [{}]\n  dimensions: {}\n  max_series: {}\n  wait: {}",
            self.enabled,
            duration(self.interval),
            buckets.join(", "),
            list(&self.options.dimensions),
            self.options.max_series,
            duration(self.options.wait)
        )
    }
}

#[cfg(test)]
mod tests;
