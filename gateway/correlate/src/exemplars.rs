//! Exemplars of series: those of the metrics server, those that are stored, and for series to which nobody gives any, some that
//! are made of spans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{OptionFuture, join};
use parsers::record::{Exemplar, Labels, TraceId};
use query::series_selectors::Selector;
use rustc_hash::FxHashSet;
use store::read::{ExemplarLimits, ExemplarRead, Matcher, MetricRead, ReadError, TraceRead, Window};

use crate::absent::{absence, reason_of};
use crate::made::{self, Made};
use crate::red::only_name;
use crate::{Absence, AbsentSignal, CorrelateOptions, LabelMapping};

/// Exemplars from one source: a graph shows some hundreds.
const MAX_EXEMPLARS: usize = 10_000;
/// Series that exemplars are made for: those of one histogram in a large set-up.
const MAX_SERIES: usize = 20_000;
/// How long an answer waits for the metrics server; with what follows it has 28 s with us.
const DEADLINE: Duration = Duration::from_secs(15);
/// Longest time for reading what is stored: meanwhile the metrics server is asked.
const STORED_TIME: Duration = Duration::from_secs(5);
/// How a question that is too wide is asked better.
const NARROW: &str = "name the metric or more labels, or ask for a shorter window";

/// Answers which traces lie behind a series. A cheap clone.
#[derive(Clone)]
pub struct Exemplars {
    traces: Arc<dyn TraceRead>,
    stored: Arc<dyn ExemplarRead>,
    metrics: Option<Arc<dyn MetricRead>>,
    mapping: Arc<LabelMapping>,
    /// Names of series of which the metrics server's exemplars are left out.
    owned: Arc<[String]>,
}

/// Exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// Its labels, `__name__` among them.
    pub labels: Arc<Labels>,
    /// In time order.
    pub exemplars: Vec<FoundExemplar>,
}

/// An exemplar that was received, or made here.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExemplar {
    /// The exemplar.
    pub exemplar: Exemplar,
    /// What it was made of, where nobody sent it.
    pub made: Option<Made>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExemplarsFound {
    /// By series; none is without exemplars.
    pub series: Vec<SeriesExemplars>,
    /// What could not be asked.
    pub warnings: Vec<String>,
    /// The same, as what is missing and why.
    pub absent: Vec<Absence>,
}

impl Exemplars {
    /// Joins what `traces` and `stored` hold with what `metrics` says.
    pub fn new(
        traces: Arc<dyn TraceRead>,
        stored: Arc<dyn ExemplarRead>,
        metrics: Option<Arc<dyn MetricRead>>,
        options: &CorrelateOptions,
    ) -> Self {
        Self { traces, stored, metrics, mapping: Arc::new(options.mapping.clone()), owned: Arc::default() }
    }

    /// The same over other sources.
    #[must_use]
    pub fn over(
        &self,
        traces: Arc<dyn TraceRead>,
        stored: Arc<dyn ExemplarRead>,
        metrics: Option<Arc<dyn MetricRead>>,
    ) -> Self {
        Self { traces, stored, metrics, ..self.clone() }
    }

    /// The same, but of series of these names only what is stored here.
    #[must_use]
    pub fn owning(&self, names: Vec<String>) -> Self {
        Self { owned: names.into(), ..self.clone() }
    }

    /// Where stored exemplars are read.
    pub fn stored(&self) -> Arc<dyn ExemplarRead> {
        Arc::clone(&self.stored)
    }

    /// Exemplars of the series that an expression selects, in the window. `step` is the width of a point where it is known. A
    /// query that the metrics server refuses, or a store that cannot be read, is an error; a server that does not answer is a warning.
    pub async fn find(
        &self,
        expression: &str,
        selectors: &[Selector],
        window: Window,
        step: Option<Duration>,
    ) -> Result<ExemplarsFound, ReadError> {
        let matchers: Vec<Vec<Matcher>> =
            selectors.iter().map(|selector| selector.matchers.clone()).collect();
        let stored = Arc::clone(&self.stored);
        let stored = {
            let limits = ExemplarLimits { count: MAX_EXEMPLARS, time: STORED_TIME };
            blocking(move || stored.stored_exemplars(&matchers, window, limits))
        };
        let is_owned = |name: Option<&str>| name.is_some_and(|name| self.owned.iter().any(|own| own == name));
        let mut only = selectors.iter().map(|selector| only_name(&selector.matchers));
        let server = self.metrics.as_deref().filter(|_| selectors.is_empty() || !only.all(is_owned));
        let asked = OptionFuture::from(server.map(|server| ask(server, expression, selectors, window)));
        let (stored, asked) = join(stored, asked).await;
        let mut found = ExemplarsFound::default();
        let (mut all, series) = match asked {
            None => (Vec::new(), Vec::new()),
            Some(Ok((mut exemplars, mut series))) => {
                exemplars.retain(|exemplar| !is_owned(exemplar.series.get("__name__")));
                series.retain(|labels| !is_owned(labels.get("__name__")));
                (exemplars, series)
            }
            Some(Err(error @ ReadError::Refused { .. })) => return Err(error),
            Some(Err(error)) => {
                found.absent.push(absence(AbsentSignal::Exemplars, reason_of(&error), error.to_string()));
                found.warnings.push(format!("{error}: only exemplars that are stored here are shown"));
                (Vec::new(), Vec::new())
            }
        };
        // No exemplar may point to a trace that was dropped, wherever it lies.
        all.retain(|exemplar| exemplar.trace_id.is_none_or(|id| self.traces.sampled_out(id).is_none()));
        let known: FxHashSet<_> = all.iter().map(identity).collect();
        let stored = stored?;
        if stored.over_count {
            found.warnings.push(format!(
                "the newest {MAX_EXEMPLARS} exemplars that are stored are shown, older ones are left out: {NARROW}"
            ));
        }
        if stored.over_time {
            let seconds = STORED_TIME.as_secs();
            found.warnings.push(format!(
                "stored exemplars were read for {seconds} s, newest first; older ones are left out: {NARROW}"
            ));
        }
        all.extend(stored.exemplars.into_iter().filter(|exemplar| !known.contains(&identity(exemplar))));
        let texts = of_calls(selectors);
        let asked = Asked { server, texts: &texts, window, step };
        let made = self.made(&all, series, asked, &mut found.warnings).await?;
        let made = made.into_iter().map(|(exemplar, made)| FoundExemplar { exemplar, made: Some(made) });
        let sent = all.into_iter().map(|exemplar| FoundExemplar { exemplar, made: None });
        let mut by_series: BTreeMap<Arc<Labels>, Vec<FoundExemplar>> = BTreeMap::new();
        for found in sent.chain(made) {
            by_series.entry(Arc::clone(&found.exemplar.series)).or_default().push(found);
        }
        found.series = by_series
            .into_iter()
            .map(|(labels, mut exemplars)| {
                exemplars.sort_by_key(|found| found.exemplar.time);
                SeriesExemplars { labels, exemplars }
            })
            .collect();
        Ok(found)
    }

    /// Exemplars of spans for those of these series that measure requests and have none.
    async fn made(
        &self,
        sent: &[Exemplar],
        mut series: Vec<Labels>,
        Asked { server, texts, window, step }: Asked<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(Exemplar, Made)>, ReadError> {
        if series.len() > MAX_SERIES {
            let all = series.len();
            warnings.push(format!("exemplars are made for {MAX_SERIES} of {all} series only: {NARROW}"));
        }
        series.truncate(MAX_SERIES);
        let has: BTreeSet<Labels> =
            sent.iter().map(|exemplar| made::without_bound(&exemplar.series)).collect();
        let (mut groups, cut) = made::groups(series);
        groups.retain(|group| !has.contains(group.labels()));
        if cut {
            let most = made::MAX_GROUPS;
            warnings.push(format!("exemplars are made for {most} histograms only: {NARROW}"));
        }
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(server) = server {
            let count = groups.iter().map(made::Group::len).sum();
            let step = made::width_of(step, window);
            let mut growth = made::Growth::ask(server, texts, count, window, step).await;
            for group in &mut groups {
                group.counted(&mut growth);
            }
        }
        let (traces, mapping) = (Arc::clone(&self.traces), Arc::clone(&self.mapping));
        let (made, broke_off) =
            blocking(move || made::of_spans(&*traces, &mapping, &groups, window, step)).await?;
        if broke_off {
            warnings.push(format!("exemplars are made of the newest spans of the window only: {NARROW}"));
        }
        Ok(made)
    }
}

/// What is asked of which server.
struct Asked<'a> {
    server: Option<&'a dyn MetricRead>,
    /// Selectors of what may measure requests.
    texts: &'a [String],
    window: Window,
    step: Option<Duration>,
}

fn of_calls(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().filter(|one| may_count_requests(one)).map(|one| one.text.clone()).collect()
}

/// Its exemplars, and which histograms the expression selects.
async fn ask(
    server: &dyn MetricRead,
    expression: &str,
    selectors: &[Selector],
    window: Window,
) -> Result<(Vec<Exemplar>, Vec<Labels>), ReadError> {
    let texts = of_calls(selectors);
    let series =
        async { if texts.is_empty() { Ok(Vec::new()) } else { server.series(&texts, window).await } };
    let both = join(server.exemplars(expression, window), series);
    let Ok((exemplars, series)) = tokio::time::timeout(DEADLINE, both).await else {
        return Err(ReadError::Timeout { server: server.name().to_owned(), after: DEADLINE });
    };
    let mut exemplars = exemplars?;
    exemplars.truncate(MAX_EXEMPLARS);
    // Without the list of series none are made; what was sent is shown all the same.
    Ok((exemplars, series.unwrap_or_default()))
}

/// Whether series that measure requests can be among what is selected.
fn may_count_requests(selector: &Selector) -> bool {
    use store::read::MatchOp;
    let mut names = selector.matchers.iter().filter(|matcher| matcher.name == "__name__");
    names.all(|name| match &name.op {
        MatchOp::Equal(name) => made::may_count_requests(name),
        _ => true,
    })
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading exemplars broke off");
        Err(ReadError::Io(Arc::new(std::io::Error::other("reading broke off"))))
    })
}

/// What tells whether two sources speak of one exemplar: servers add labels to series.
fn identity(exemplar: &Exemplar) -> (u64, Option<u128>, Option<String>) {
    let name = exemplar.series.get("__name__").map(str::to_owned);
    (exemplar.value.to_bits(), exemplar.trace_id.map(TraceId::bits), name)
}

#[cfg(test)]
mod tests;
