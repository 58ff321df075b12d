//! Samples as a few lines of text.

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, MetricMeta, NativeHistogram, Sample};
use store::read::{Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples, Window};

use super::super::{Data, Limits, Outcome, PromError, Value, evaluate_instant, evaluate_range, parse};
use super::super::{parse_selector, show_number};

/// Between two samples of a line, in milliseconds.
pub const MINUTE: i64 = 60_000;

#[derive(Default)]
pub struct Lines(Vec<SeriesSamples>);

impl Lines {
    /// One series a line: its selector, a colon, and a value each minute from zero on; `_` is none, `stale` ends it.
    pub fn new(text: &str) -> Self {
        let series = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let (selector, values) = line.rsplit_once(": ").unwrap();
            let matchers = parse_selector(selector).unwrap();
            let pair = |m: &Matcher| match &m.op {
                store::read::MatchOp::Equal(value) => (m.name.clone(), value.clone()),
                other => panic!("{other:?}"),
            };
            let mut samples = Vec::new();
            for (number, word) in values.split_whitespace().enumerate() {
                let value = match word {
                    "_" => continue,
                    "stale" => f64::from_bits(0x7ff0_0000_0000_0002),
                    number => number.parse().unwrap(),
                };
                samples.push(Sample { time: number as u64 * 60_000_000_000, value });
            }
            let labels = Arc::new(Labels::new(matchers.iter().map(pair)));
            SeriesSamples { labels, samples, histograms: Vec::new() }
        });
        Self(series.collect())
    }

    /// With a native histogram each minute.
    pub fn with(mut self, name: &str, histograms: Vec<NativeHistogram>) -> Self {
        let timed = histograms.into_iter().enumerate();
        self.0.push(SeriesSamples {
            labels: Arc::new(Labels::new([("__name__", name)])),
            samples: Vec::new(),
            histograms: timed.map(|(n, h)| (n as u64 * 60_000_000_000, Arc::new(h))).collect(),
        });
        self
    }

    pub fn at(&self, query: &str, minute: f64) -> Result<Outcome, PromError> {
        evaluate_instant(&parse(query)?, self, (minute * MINUTE as f64) as i64, &Limits::default())
    }

    /// Elements as `{labels} value`, sorted; or the error.
    pub fn show(&self, query: &str, minute: f64) -> Vec<String> {
        match self.at(query, minute) {
            Ok(outcome) => show(&outcome.data),
            Err(error) => vec![error.to_string()],
        }
    }

    /// Each minute from one to another.
    pub fn range(&self, query: &str, minutes: (i64, i64), limits: &Limits) -> Result<Outcome, PromError> {
        let times = (minutes.0 * MINUTE, minutes.1 * MINUTE);
        evaluate_range(&parse(query)?, self, times, Duration::from_mins(1), limits)
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::Float(value) => show_number((value * 1e9).round() / 1e9),
        Value::Histogram(histogram) => format!("count={} sum={}", histogram.count, histogram.sum),
    }
}

pub fn show(data: &Data) -> Vec<String> {
    let labels = super::super::labels::show;
    match data {
        Data::Scalar(point) => vec![number(&point.value)],
        Data::Text { text, .. } => vec![text.clone()],
        Data::Vector(elements) => {
            elements.iter().map(|(set, point)| format!("{} {}", labels(set), number(&point.value))).collect()
        }
        Data::Matrix(series) => series
            .iter()
            .map(|one| {
                let points: Vec<String> =
                    one.points.iter().map(|p| format!("{}@{}", number(&p.value), p.time / 1000)).collect();
                format!("{} {}", labels(&one.labels), points.join(" "))
            })
            .collect(),
    }
}

impl SampleRead for Lines {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let mut found = self.0.clone();
        for series in &mut found {
            series.samples.retain(|sample| window.contains(sample.time));
            series.histograms.retain(|(time, _)| window.contains(*time));
        }
        found.retain(|s| matchers.iter().all(|m| m.matches(&s.labels)));
        found.retain(|s| !s.samples.is_empty() || !s.histograms.is_empty());
        let count: usize = found.iter().map(|s| s.samples.len()).sum();
        if count as u64 > limits.samples {
            return Err(ReadError::TooMany { what: "samples", limit: limits.samples });
        }
        Ok(found)
    }
    fn label_sets(&self, _: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}
