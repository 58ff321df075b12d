//! Metrics that are stored here, asked as those of another server are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::{Exemplar, Labels, Sample, Series};
use query::promql::{Data, Limits, PromError, SeriesPoints, Value, evaluate_range, parse, parse_selector};
use store::read::{MetricRead, ReadError, SampleRead, Window};

/// What this source is called in answers.
const NAME: &str = "the store";
/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;
/// Longest time for one question; whoever asks waits less.
const TIME: Duration = Duration::from_secs(10);
/// Label sets of one answer.
const MAX_SERIES: usize = 20_000;

/// Reads metrics from stored samples. A cheap clone.
#[derive(Clone)]
pub struct HeldMetrics {
    samples: Arc<dyn SampleRead>,
}

impl HeldMetrics {
    /// Of these samples.
    pub fn new(samples: Arc<dyn SampleRead>) -> Self {
        Self { samples }
    }
}

fn refused(error: PromError) -> ReadError {
    match error {
        PromError::Read(error) => error,
        other => ReadError::Refused { server: NAME.to_owned(), detail: other.to_string() },
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading metrics broke off");
        Err(ReadError::Io(Arc::new(std::io::Error::other("reading broke off"))))
    })
}

#[async_trait]
impl MetricRead for HeldMetrics {
    fn name(&self) -> &str {
        NAME
    }

    async fn series(&self, selectors: &[String], window: Window) -> Result<Vec<Labels>, ReadError> {
        let selectors = selectors.iter().map(|text| parse_selector(text)).collect::<Result<Vec<_>, _>>();
        let (selectors, samples) = (selectors.map_err(refused)?, Arc::clone(&self.samples));
        blocking(move || {
            let sets = samples.label_sets(&selectors, window)?;
            Ok(sets.into_iter().take(MAX_SERIES).map(|labels| (*labels).clone()).collect())
        })
        .await
    }

    async fn range(
        &self,
        expression: &str,
        window: Window,
        step: Duration,
    ) -> Result<Vec<Series>, ReadError> {
        let (expression, samples) = (parse(expression).map_err(refused)?, Arc::clone(&self.samples));
        let times = ((window.start / MILLI) as i64, (window.end / MILLI) as i64);
        blocking(move || {
            let limits = Limits { timeout: TIME, ..Limits::default() };
            let outcome = evaluate_range(&expression, &*samples, times, step, &limits).map_err(refused)?;
            Ok(match outcome.data {
                Data::Matrix(series) => series.into_iter().map(series_of).collect(),
                _ => Vec::new(),
            })
        })
        .await
    }

    /// Stored exemplars are read elsewhere.
    async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
        Ok(Vec::new())
    }
}

fn series_of(points: SeriesPoints) -> Series {
    let samples = points.points.into_iter().filter_map(|point| match point.value {
        Value::Float(value) => Some(Sample { time: point.time as u64 * MILLI, value }),
        Value::Histogram(_) => None,
    });
    Series { labels: points.labels, samples: samples.collect() }
}
