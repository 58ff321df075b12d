//! Asks the metrics server: which series describe the workloads of the trace, their values around it, and exemplars.
//!
//! Everything within one deadline; what came until then is kept, and what did not come is named as absent. Samples that are read on
//! the thread that asks are read to the end of the question at hand.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use parsers::record::{Exemplar, Labels, Series, TraceId, Workload};
use store::read::{MetricRead, ReadError, Window};
use tokio::time::Instant;

use crate::absent::{absence, reason_of};
use crate::mapping::Agreement;
use crate::{
    Absence, AbsentReason, AbsentSignal, CorrelateOptions, Join, JoinRule, JoinedLog, MetricLink, SpanNode,
    WorkloadField,
};

/// Over how long a counter's rate is taken: two scrapes at the usual minute.
const RATE_WINDOW: &str = "2m";
/// Exemplars of any series are looked for from this long before the trace...
const EXEMPLAR_BEFORE: u64 = 5_000_000_000;
/// ...to this long after it: those without a time of their own carry that of the scrape.
const EXEMPLAR_AFTER: u64 = 90_000_000_000;
/// When nothing else tells the time of a trace, exemplars of the last hour are looked at.
const EXEMPLAR_BLIND: u64 = 3_600_000_000_000;
/// What the names of series that are counted of spans begin with: Trefoil's, and those of Tempo's generator.
const COUNTED_OF_SPANS: &str = "traces_span";

/// What the server said.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) links: Vec<MetricLink>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) absent: Vec<Absence>,
    pub(crate) warnings: Vec<String>,
}

/// Workloads of spans and log lines, each once, those with spans first.
pub(crate) fn workloads(nodes: &[SpanNode], logs: &[JoinedLog]) -> Vec<Workload> {
    let spans: BTreeSet<Workload> = nodes.iter().map(|n| Workload::from_resource(&n.span.resource)).collect();
    let logs: BTreeSet<Workload> = logs.iter().map(|log| Workload::from_labels(&log.record.labels)).collect();
    let more: Vec<Workload> = logs.difference(&spans).cloned().collect();
    spans.into_iter().chain(more).filter(|w| w.service.is_some() || w.pod.is_some()).collect()
}

/// Asks for everything; returns by the deadline.
pub(crate) async fn ask(
    reader: &dyn MetricRead,
    id: TraceId,
    workloads: &[Workload],
    window: Option<Window>,
    options: &CorrelateOptions,
) -> Findings {
    let deadline = Instant::now() + options.metric_deadline;
    let asking = Asking { reader, options, deadline };
    let (exemplars, links) =
        futures::future::join(asking.exemplars(id, window), asking.links(workloads, window)).await;
    let mut findings = links;
    match exemplars {
        Ok(list) if list.is_empty() && window.is_none() => {
            let detail =
                format!("nothing tells the time of the trace: {} was asked for the last hour", reader.name());
            findings.absent.push(absence(AbsentSignal::Exemplars, AbsentReason::OutsideWindow, detail));
        }
        Ok(list) => findings.exemplars = list,
        Err(error) => findings.absent.push(failed(AbsentSignal::Exemplars, &error)),
    }
    if findings.exemplars.len() > options.exemplar_limit {
        findings.warnings.push(format!(
            "{} exemplars of {}: the first {} are shown",
            findings.exemplars.len(),
            reader.name(),
            options.exemplar_limit
        ));
        findings.exemplars.truncate(options.exemplar_limit);
    }
    findings
}

/// Series of these workloads around a window; returns by the deadline.
pub(crate) async fn links(
    reader: &dyn MetricRead,
    workloads: &[Workload],
    window: Option<Window>,
    options: &CorrelateOptions,
) -> Findings {
    let deadline = Instant::now() + options.metric_deadline;
    Asking { reader, options, deadline }.links(workloads, window).await
}

fn failed(signal: AbsentSignal, error: &ReadError) -> Absence {
    absence(signal, reason_of(error), error.to_string())
}

struct Asking<'a> {
    reader: &'a dyn MetricRead,
    options: &'a CorrelateOptions,
    deadline: Instant,
}

/// A series to show, and the workload that it describes.
struct Candidate {
    labels: Arc<Labels>,
    service: String,
    agreement: Agreement,
}

impl Asking<'_> {
    async fn within<T>(&self, question: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
        let slow = |_| ReadError::Timeout {
            server: self.reader.name().to_owned(),
            after: self.options.metric_deadline,
        };
        tokio::time::timeout_at(self.deadline, question).await.unwrap_or_else(|elapsed| Err(slow(elapsed)))
    }

    async fn exemplars(&self, id: TraceId, window: Option<Window>) -> Result<Vec<Exemplar>, ReadError> {
        let window = match window {
            Some(window) => Window {
                start: window.start.saturating_sub(EXEMPLAR_BEFORE),
                end: window.end.saturating_add(EXEMPLAR_AFTER),
            },
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
                Window { start: now.saturating_sub(EXEMPLAR_BLIND), end: now }
            }
        };
        let all = self.within(self.reader.exemplars(r#"{__name__=~".+"}"#, window)).await?;
        Ok(all.into_iter().filter(|e| e.trace_id.is_some_and(|other| other.matches(id).is_some())).collect())
    }

    async fn links(&self, workloads: &[Workload], window: Option<Window>) -> Findings {
        let mut findings = Findings::default();
        let (Some(window), false) = (window, workloads.is_empty()) else {
            let detail = "no span or line says which workload to look for";
            findings.absent.push(absence(AbsentSignal::Metrics, AbsentReason::NoMatch, detail));
            return findings;
        };
        let limit = self.options.service_limit;
        if workloads.len() > limit {
            let count = workloads.len();
            findings.warnings.push(format!("{count} workloads: metrics of the first {limit} are looked for"));
        }
        let workloads = workloads.get(..limit).unwrap_or(workloads);
        let padded = Window {
            start: window.start.saturating_sub(nanos(self.options.pad_before)),
            end: window.end.saturating_add(nanos(self.options.pad_after)),
        };
        let selectors = self.selectors(workloads);
        let series = match self.within(self.reader.series(&selectors, padded)).await {
            Ok(series) => series,
            Err(error) => {
                findings.absent.push(failed(AbsentSignal::Metrics, &error));
                return findings;
            }
        };
        let mut candidates = self.candidates(series, workloads);
        if candidates.is_empty() {
            let names: BTreeSet<&str> = workloads.iter().filter_map(|w| w.service.as_deref()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let detail = format!("{} has no known series of {names} in the window", self.reader.name());
            findings.absent.push(absence(AbsentSignal::Metrics, AbsentReason::NoMatch, detail));
            return findings;
        }
        let limit = self.options.metric_limit;
        if candidates.len() > limit {
            let count = candidates.len();
            findings
                .warnings
                .push(format!("{count} series describe the workloads: the surest {limit} are shown"));
            candidates.truncate(limit);
        }
        self.values(candidates, padded, &mut findings).await;
        findings
    }

    /// One selector a label name: known metric names of all the services and pods. Few labels have such values, which is found
    /// out sooner than which names are known.
    fn selectors(&self, workloads: &[Workload]) -> Vec<String> {
        let names = self.options.metric_names.join("|");
        let mut selectors = Vec::new();
        for field in [WorkloadField::Service, WorkloadField::Pod] {
            let values: BTreeSet<String> = workloads
                .iter()
                .filter_map(|w| field.of(w))
                .filter(|v| !v.is_empty())
                .map(escape_regex)
                .collect();
            if values.is_empty() {
                continue;
            }
            let values = values.into_iter().collect::<Vec<_>>().join("|");
            for label in self.options.mapping.names(field) {
                let values = if label == "job" { format!("(.*/)?({values})") } else { values.clone() };
                selectors.push(format!("{{{label}=~{},__name__=~{}}}", quote(&values), quote(&names)));
            }
        }
        selectors
    }

    /// Each series with the workload that it agrees with most; surest first.
    fn candidates(&self, series: Vec<Labels>, workloads: &[Workload]) -> Vec<Candidate> {
        let compare = |labels: &Labels, workload: &Workload| {
            let agreement = self.options.mapping.compare(workload, labels);
            let service = workload.service.clone().or_else(|| workload.pod.clone()).unwrap_or_default();
            agreement.identifies.then_some((agreement, service))
        };
        let mut seen = BTreeSet::new();
        let mut candidates: Vec<Candidate> = series
            .into_iter()
            .filter(|labels| labels.get("__name__").is_some() && seen.insert(labels.clone()))
            .filter_map(|labels| {
                let fitting = workloads.iter().filter_map(|workload| compare(&labels, workload));
                let (agreement, service) =
                    fitting.max_by(|a, b| a.0.confidence().total_cmp(&b.0.confidence()))?;
                Some(Candidate { labels: Arc::new(labels), service, agreement })
            })
            .collect();
        // What was counted of spans says nothing that the spans don't, but where a service has nothing else.
        let counted = |candidate: &Candidate| {
            candidate.labels.get("__name__").is_some_and(|name| name.starts_with(COUNTED_OF_SPANS))
        };
        let own: BTreeSet<String> =
            candidates.iter().filter(|one| !counted(one)).map(|one| one.service.clone()).collect();
        candidates.retain(|candidate| !counted(candidate) || !own.contains(&candidate.service));
        candidates.sort_by(|a, b| {
            let surer = b.agreement.confidence().total_cmp(&a.agreement.confidence());
            surer.then_with(|| a.labels.cmp(&b.labels))
        });
        candidates
    }

    /// One range query for each metric of each service, and its series handed to the links.
    async fn values(&self, candidates: Vec<Candidate>, window: Window, findings: &mut Findings) {
        let mut groups: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            groups
                .entry(query(&candidate.labels, candidate.agreement.agreed.iter()))
                .or_default()
                .push(candidate);
        }
        let points = self.options.point_limit.max(1) as u64;
        let step = Duration::from_secs((window.end - window.start).div_ceil(points * 1_000_000_000).max(1));
        let together = self.reader.together().max(1);
        let mut rest = groups.into_iter().peekable();
        let mut chunks: Vec<Vec<(String, Vec<Candidate>)>> = Vec::new();
        while rest.peek().is_some() {
            chunks.push(rest.by_ref().take(together).collect());
        }
        let asked = futures::stream::iter(chunks).map(|groups| async move {
            let queries: Vec<String> = groups.iter().map(|(query, _)| query.clone()).collect();
            let answers = self.within(async { Ok(self.reader.ranges(&queries, window, step).await) }).await;
            let answers = answers.unwrap_or_else(|error| vec![Err(error); queries.len()]);
            (groups, answers)
        });
        let mut asked = asked.buffer_unordered(self.options.metric_concurrency.max(1));
        let mut failure = None;
        while let Some((groups, answers)) = asked.next().await {
            for ((_, group), answer) in groups.iter().zip(answers) {
                let answer = answer.unwrap_or_else(|error| {
                    failure.get_or_insert(error);
                    Vec::new()
                });
                findings.links.extend(group.iter().map(|candidate| self.link(candidate, &answer)));
            }
        }
        if let Some(error) = failure {
            findings.absent.push(failed(AbsentSignal::Metrics, &error));
        }
        let order = |link: &MetricLink| (link.metric.clone(), Arc::clone(&link.labels));
        findings.links.sort_by(|a, b| {
            b.join.confidence.total_cmp(&a.join.confidence).then_with(|| order(a).cmp(&order(b)))
        });
    }

    fn link(&self, candidate: &Candidate, answer: &[Series]) -> MetricLink {
        let labels = Arc::clone(&candidate.labels);
        let metric = labels.get("__name__").unwrap_or_default().to_owned();
        let unnamed = |(name, _): &(&str, &str)| *name != "__name__";
        let own = |series: &&Series| series.labels.iter().filter(unnamed).eq(labels.iter().filter(unnamed));
        let mut values = answer.iter().find(own).map(|series| series.samples.clone()).unwrap_or_default();
        values.truncate(self.options.point_limit);
        let all: Vec<String> = labels.iter().map(|(name, _)| name.to_owned()).collect();
        let confidence = candidate.agreement.confidence();
        MetricLink {
            query: query(&labels, all.iter()),
            unit: unit(&metric),
            metric,
            service: candidate.service.clone(),
            labels,
            values,
            join: Join { rule: JoinRule::Labels, confidence, agreed: candidate.agreement.agreed.clone() },
        }
    }
}

/// Selects by these labels of the series; counters as their rate.
fn query<'a>(labels: &Labels, by: impl Iterator<Item = &'a String>) -> String {
    let metric = labels.get("__name__").unwrap_or_default();
    let mut matchers = vec![format!("__name__={}", quote(metric))];
    for name in by.filter(|name| *name != "__name__") {
        matchers.push(format!("{}={}", label_name(name), quote(labels.get(name).unwrap_or_default())));
    }
    let selector = format!("{{{}}}", matchers.join(","));
    if is_counter(metric) { format!("rate({selector}[{RATE_WINDOW}])") } else { selector }
}

/// Names outside the classic alphabet are quoted, as Prometheus 3 reads them.
fn label_name(name: &str) -> String {
    let classic = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(classic) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        quote(name)
    }
}

fn is_counter(metric: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
}

fn unit(metric: &str) -> Option<&'static str> {
    match metric {
        m if m.ends_with("_seconds_total") || m.ends_with("_seconds_sum") => Some("s/s"),
        m if m.ends_with("_bytes_total") => Some("By/s"),
        m if is_counter(m) => Some("1/s"),
        m if m.ends_with("_bytes") => Some("By"),
        m if m.ends_with("_milliseconds") => Some("ms"),
        m if m.ends_with("_seconds") => Some("s"),
        _ => None,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A PromQL string.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\x00"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text itself as a regular expression.
fn escape_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
