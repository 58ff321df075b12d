//! The samples that are stored, asked as a metrics server is: what traces are linked to, and what exemplars are made for, where
//! no server is configured.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::sync::Cache;
use parsers::record::{Exemplar, Labels, Sample, Series};
use query::promql::{Data, Limits, PromError, Value, evaluate_range, parse, parse_selector};
use store::read::{Matcher, MetricRead, ReadError, SampleRead, Window};

/// How answers call it.
pub(crate) const NAME: &str = "the embedded store (upstream.prometheus.url names no server)";
/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;
/// Longest time for one question: a look-up asks some ten, and waits.
const TIME: Duration = Duration::from_secs(5);
/// Label sets of one answer: far more than a trace's workloads have.
const SERIES: usize = 100_000;
/// Expressions that are evaluated on one thread: those of one trace are some ten.
const TOGETHER: usize = 64;

/// Sets of selectors that are kept once they were read: of some ten each, for the services of a trace.
const SETS: u64 = 16;

/// Selectors that are asked together.
type Selectors = Arc<Vec<Vec<Matcher>>>;

/// A cheap clone.
#[derive(Clone)]
pub struct StoredMetrics {
    samples: Arc<dyn SampleRead>,
    /// For whoever reads on his own thread.
    here: Option<Here>,
}

/// How long one may go on asking.
#[derive(Clone, Copy)]
struct Here {
    within: Duration,
    until: Instant,
}

/// Those that were asked lately, of whatever store: the names of metrics in them are patterns, which take longer to compile than to
/// look for.
static LATELY: LazyLock<Cache<Vec<String>, Selectors>> = LazyLock::new(|| Cache::new(SETS));

fn parsed(selectors: &[String]) -> Result<Selectors, PromError> {
    if let Some(known) = LATELY.get(selectors) {
        return Ok(known);
    }
    let parsed = selectors.iter().map(|text| parse_selector(text)).collect::<Result<_, PromError>>()?;
    let parsed = Selectors::new(parsed);
    LATELY.insert(selectors.to_vec(), Arc::clone(&parsed));
    Ok(parsed)
}

impl StoredMetrics {
    /// Over these samples.
    pub fn new(samples: Arc<dyn SampleRead>) -> Self {
        Self { samples, here: None }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn SampleRead) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let samples = Arc::clone(&self.samples);
        if self.here.is_some() {
            // What went wrong with samples is no reason to lose what else is known.
            return catch_unwind(AssertUnwindSafe(|| read(&*samples))).map_err(|_| broke_off());
        }
        tokio::task::spawn_blocking(move || read(&*samples)).await.map_err(|_| broke_off())
    }
}

fn broke_off() -> ReadError {
    tracing::error!("reading samples broke off");
    ReadError::Io(Arc::new(std::io::Error::other("reading broke off")))
}

impl Here {
    /// What is left of one's time.
    fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// How long one question may take.
fn time(here: Option<Here>) -> Duration {
    here.map_or(TIME, |here| here.left().min(TIME))
}

/// Errors as a server has them.
fn told<T>(answer: Result<T, PromError>, here: Option<Here>) -> Result<T, ReadError> {
    answer.map_err(|error| match error {
        PromError::Read(error) => error,
        PromError::Timeout => {
            let after = here.map_or(TIME, |here| here.within.min(TIME));
            ReadError::Timeout { server: NAME.to_owned(), after }
        }
        error => ReadError::Refused { server: NAME.to_owned(), detail: error.to_string() },
    })
}

fn range(
    samples: &dyn SampleRead,
    expression: &str,
    window: Window,
    step: Duration,
    here: Option<Here>,
) -> Result<Vec<Series>, PromError> {
    let (start, end) = (window.start / MILLI, window.end.saturating_sub(1) / MILLI);
    let times = (start as i64, end.max(start) as i64);
    let limits = Limits { timeout: time(here), ..Limits::default() };
    let step = step.max(Duration::from_millis(1));
    let outcome = evaluate_range(&parse(expression)?, samples, times, step, &limits)?;
    let Data::Matrix(found) = outcome.data else { return Ok(Vec::new()) };
    let series = found.into_iter().map(|one| {
        let samples = one.points.iter().filter_map(|point| match &point.value {
            Value::Float(value) => Some(Sample { time: point.time.max(0) as u64 * MILLI, value: *value }),
            Value::Histogram(_) => None,
        });
        Series { samples: samples.collect(), labels: one.labels }
    });
    Ok(series.collect())
}

#[async_trait]
impl MetricRead for StoredMetrics {
    fn name(&self) -> &str {
        NAME
    }

    async fn series(&self, selectors: &[String], window: Window) -> Result<Vec<Labels>, ReadError> {
        let (selectors, here) = (selectors.to_vec(), self.here);
        self.read(move |samples| {
            let selectors = parsed(&selectors)?;
            let found = samples.label_sets(&selectors, window).map_err(PromError::Read)?;
            if time(here).is_zero() {
                return Err(PromError::Timeout);
            }
            Ok(found.iter().take(SERIES).map(|labels| (**labels).clone()).collect())
        })
        .await
        .and_then(|answer| told(answer, here))
    }

    async fn range(
        &self,
        expression: &str,
        window: Window,
        step: Duration,
    ) -> Result<Vec<Series>, ReadError> {
        let (expression, here) = (expression.to_owned(), self.here);
        let read = move |samples: &dyn SampleRead| range(samples, &expression, window, step, here);
        self.read(read).await.and_then(|answer| told(answer, here))
    }

    /// On one thread: to hand each of a dozen to another takes longer than to answer it.
    async fn ranges(
        &self,
        expressions: &[String],
        window: Window,
        step: Duration,
    ) -> Vec<Result<Vec<Series>, ReadError>> {
        let (asked, expressions, here) = (expressions.len(), expressions.to_vec(), self.here);
        let all = move |samples: &dyn SampleRead| {
            let answer = |expression: &String| range(samples, expression, window, step, here);
            expressions.iter().map(answer).collect::<Vec<_>>()
        };
        match self.read(all).await {
            Ok(answers) => answers.into_iter().map(|answer| told(answer, here)).collect(),
            Err(error) => vec![Err(error); asked],
        }
    }

    fn together(&self) -> usize {
        TOGETHER
    }

    /// What is stored of them is read by trace and by series already.
    async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
        Ok(Vec::new())
    }
    fn here(&self, within: Duration) -> Option<Arc<dyn MetricRead>> {
        let until = Instant::now().checked_add(within)?;
        Some(Arc::new(Self { samples: Arc::clone(&self.samples), here: Some(Here { within, until }) }))
    }
}
