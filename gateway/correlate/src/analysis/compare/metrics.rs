//! Metrics of the workloads of two sets of traces: series whose values at the times of one set's traces are not those at the times
//! of the other's.
//!
//! Each sample counts once for a side, however many traces ran at its time; a counter counts as its rate. Samples of one series
//! follow from each other, so that what is told of metrics is less sure than their significance says: they are ranked below
//! what is told of the traces themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use parsers::record::{Labels, Sample, Workload};
use rustc_hash::FxHashSet;
use store::read::{Matcher, MetricRead, ReadError, SampleLimits, SampleRead, Window};

use super::answer::{Detail, Finding, FindingKind, Unit};
use super::sets::Candidate;
use crate::analysis::digest::Digest;
use crate::analysis::options::{MIN_TRACES, SIGNIFICANCE};
use crate::analysis::stats::{Tested, values};
use crate::analysis::vocabulary::{AttributeScope, Fact, Operation, Vocabulary};
use crate::{LabelMapping, WorkloadField};

/// Traces of a side at whose times series are looked at.
const MAX_TRACES: usize = 1_000;
/// Workloads of a side.
const MAX_WORKLOADS: usize = 64;
/// Names of metrics that are looked at.
const MAX_NAMES: usize = 100;
/// Series of one name, and samples of them.
const LIMITS: SampleLimits = SampleLimits { series: 200, samples: 200_000 };
/// Before the first trace: where a rate begins.
const PAD_BEFORE: u64 = 120_000_000_000;
/// After the last trace: the next scrape.
const PAD_AFTER: u64 = 60_000_000_000;
/// A sample tells of a trace up to so far from it: two scrapes at the usual interval.
const NEAR: u64 = 60_000_000_000;
/// Points of a series that another server is asked for.
const POINTS: u64 = 500;
/// Shortest step of those: the usual interval of scrapes.
const LEAST_STEP: u64 = 15_000_000_000;
/// Queries under way at another server.
const CONCURRENCY: usize = 4;
/// Longest time for another server, all its queries together.
const DEADLINE: Duration = Duration::from_secs(3);
/// How much a finding of a metric says, all else being equal.
const FACTOR: f64 = 0.7;
/// By how much of the larger mean a metric must differ to count in full.
const FULL_CHANGE: f64 = 0.5;

/// A difference is one pod's own if without its series less than this part of it is left...
const OF_OTHERS: f64 = 0.5;
/// ...which is looked at for so many of them.
const MAX_PODS: usize = 50;

/// Where metrics are read.
#[derive(Clone)]
pub enum Metrics {
    /// What is stored here.
    Stored(Arc<dyn SampleRead>),
    /// A metrics server, asked on this runtime.
    Server(Arc<dyn MetricRead>, tokio::runtime::Handle),
}

/// A series; of a counter, its rate.
struct Observed {
    name: String,
    labels: Arc<Labels>,
    samples: Vec<Sample>,
}

/// What the traces of a side ran on.
struct Running<'a> {
    workloads: Vec<Workload>,
    /// Numbers of workloads, by trace.
    by_trace: Vec<(&'a Digest, Vec<usize>)>,
    window: Window,
}

/// Differences of metrics between both sides; and what could not be read.
pub(crate) fn candidates(
    metrics: &Metrics,
    mapping: &LabelMapping,
    (a, b): (&[Digest], &[Digest]),
    vocabulary: &Vocabulary,
) -> (Vec<Candidate>, Option<String>) {
    let mut sides = Vec::new();
    for digests in [a, b] {
        let Some(running) = running(digests, vocabulary) else { return (Vec::new(), None) };
        match metrics.observed(&running, mapping) {
            Ok(observed) => sides.push(taken(&running, &observed, mapping)),
            Err(error) => return (Vec::new(), Some(format!("metrics could not be read: {error}"))),
        }
    }
    let (Some(of_b), Some(of_a)) = (sides.pop(), sides.pop()) else { return (Vec::new(), None) };
    let both = of_a.into_iter().filter_map(|(key, a)| of_b.get(&key).map(|b| candidate(&key, &a, b)));
    (both.flatten().collect(), None)
}

/// Values of a metric on one side, and the labels that all its series have.
struct Taken {
    values: Vec<f64>,
    /// Of which pod each of them is: label and value, where the series says so.
    pods: Vec<Option<(String, String)>>,
    labels: Labels,
}

fn candidate((name, service): &(String, String), a: &Taken, b: &Taken) -> Option<Candidate> {
    if a.values.len() < MIN_TRACES || b.values.len() < MIN_TRACES {
        return None;
    }
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(&a.values), mean(&b.values));
    let tested = values(&a.values, &b.values);
    let larger = mean_a.abs().max(mean_b.abs());
    let change = if larger > 0.0 { (mean_a - mean_b).abs() / larger } else { 0.0 };
    let of = if is_counter(name) { "the rate of " } else { "" };
    let mut labels = a.labels.filtered(|label| a.labels.get(label) == b.labels.get(label));
    let mut place = String::new();
    if let Some((label, pod)) = only_pod(a, b, tested).filter(|(label, _)| labels.get(label).is_none()) {
        place = format!(", in {pod}");
        labels = labels.with(label.as_str(), pod.as_str());
    }
    Some(Candidate {
        finding: Finding {
            kind: FindingKind::Metric,
            what: format!("{of}{name} of {service} is {mean_a:.4} against {mean_b:.4}{place}"),
            operation: Operation { service: service.clone(), operation: String::new() },
            detail: Detail::Metric { name: name.clone(), labels: Arc::new(labels) },
            a: mean_a,
            b: mean_b,
            unit: Unit::Metric,
            significance: None,
            score: tested.effect.abs() * (change / FULL_CHANGE).min(1.0) * FACTOR,
            examples: Vec::new(),
        },
        tested,
    })
}

/// The one pod without whose series both sides are much alike.
fn only_pod<'a>(a: &'a Taken, b: &'a Taken, tested: Tested) -> Option<&'a (String, String)> {
    if tested.p > SIGNIFICANCE {
        return None;
    }
    let pods: BTreeSet<&(String, String)> = a.pods.iter().chain(&b.pods).flatten().collect();
    if pods.len() < 2 {
        return None;
    }
    let without = |side: &Taken, pod: &(String, String)| -> Vec<f64> {
        let of = side.values.iter().zip(&side.pods);
        of.filter(|(_, of)| of.as_ref() != Some(pod)).map(|(value, _)| *value).collect()
    };
    let rest = |pod: &&(String, String)| values(&without(a, pod), &without(b, pod)).effect.abs();
    let of = pods.into_iter().take(MAX_PODS).map(|pod| (rest(&pod), pod));
    let (left, pod) = of.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (left < tested.effect.abs() * OF_OTHERS).then_some(pod)
}

/// Workloads as facts of the traces tell them; `None` without traces.
fn running<'a>(digests: &'a [Digest], vocabulary: &Vocabulary) -> Option<Running<'a>> {
    let mut numbers: BTreeMap<Workload, usize> = BTreeMap::new();
    let mut by_trace = Vec::new();
    for digest in digests.iter().take(MAX_TRACES) {
        let mut pods: BTreeSet<(String, Option<String>)> = BTreeSet::new();
        for cell in &digest.cells {
            pods.insert((vocabulary.named(cell.operation).service, None));
        }
        for fact in digest.facts.iter().filter_map(|fact| vocabulary.facts().get(*fact as usize)) {
            if let Fact::Attribute { operation, key, value } = fact
                && vocabulary.key_name(*key) == (AttributeScope::Resource, "k8s.pod.name")
            {
                let service = vocabulary.named(*operation).service;
                pods.remove(&(service.clone(), None));
                pods.insert((service, Some(vocabulary.text(*value).to_owned())));
            }
        }
        let mut own = Vec::new();
        for (service, pod) in pods {
            let workload = Workload { service: Some(service), pod, ..Workload::default() };
            let next = numbers.len();
            if numbers.contains_key(&workload) || next < MAX_WORKLOADS {
                own.push(*numbers.entry(workload).or_insert(next));
            }
        }
        by_trace.push((digest, own));
    }
    let first = digests.iter().map(|digest| digest.start).min()?;
    let last = digests.iter().map(|digest| digest.start).max()?;
    let mut workloads: Vec<(usize, Workload)> =
        numbers.into_iter().map(|(workload, number)| (number, workload)).collect();
    workloads.sort();
    Some(Running {
        workloads: workloads.into_iter().map(|(_, workload)| workload).collect(),
        by_trace,
        window: Window { start: first.saturating_sub(PAD_BEFORE), end: last.saturating_add(PAD_AFTER) },
    })
}

/// Values at the times of the traces, by metric and service.
fn taken(
    running: &Running<'_>,
    observed: &[Observed],
    mapping: &LabelMapping,
) -> BTreeMap<(String, String), Taken> {
    let describe = |workload: &Workload| {
        let of = |series: &&Observed| mapping.compare(workload, &series.labels).identifies;
        let series = observed.iter().enumerate().filter(|(_, series)| of(series)).map(|(at, _)| at);
        series.collect::<Vec<usize>>()
    };
    let series: Vec<Vec<usize>> = running.workloads.iter().map(describe).collect();
    let mut seen: FxHashSet<(usize, usize)> = FxHashSet::default();
    let mut taken: BTreeMap<(String, String), Taken> = BTreeMap::new();
    for (digest, workloads) in &running.by_trace {
        for number in workloads {
            let service = running.workloads.get(*number).and_then(|workload| workload.service.clone());
            for at in series.get(*number).into_iter().flatten() {
                let Some(series) = observed.get(*at) else { continue };
                let Some((place, sample)) = nearest(&series.samples, digest.start) else { continue };
                if !seen.insert((*at, place)) {
                    continue;
                }
                let key = (series.name.clone(), service.clone().unwrap_or_default());
                let own = taken.entry(key).or_insert_with(|| Taken {
                    values: Vec::new(),
                    pods: Vec::new(),
                    labels: series.labels.filtered(|label| label != "__name__"),
                });
                own.values.push(sample.value);
                let named = |label: &String| Some((label.clone(), series.labels.get(label)?.to_owned()));
                own.pods.push(mapping.names(WorkloadField::Pod).iter().find_map(named));
                if own.labels.iter().any(|(label, value)| series.labels.get(label) != Some(value)) {
                    let common = |label: &str| own.labels.get(label) == series.labels.get(label);
                    own.labels = own.labels.filtered(common);
                }
            }
        }
    }
    taken
}

fn nearest(samples: &[Sample], time: u64) -> Option<(usize, Sample)> {
    let after = samples.partition_point(|sample| sample.time < time);
    let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
    let near = near.filter_map(|at| samples.get(at).map(|sample| (at, *sample)));
    let found = near.min_by_key(|(_, sample)| sample.time.abs_diff(time))?;
    (found.1.time.abs_diff(time) <= NEAR).then_some(found)
}

fn is_counter(name: &str) -> bool {
    name.ends_with("_total") || name.ends_with("_count")
}

/// Whether a metric may say something: parts of histograms don't alone, times always grow, and what is made of spans is known.
fn is_telling(name: &str) -> bool {
    let endings =
        ["_bucket", "_sum", "_created", "_info", "_timestamp_seconds", "_start_time_seconds", "_min", "_max"];
    let begins = ["traces_spanmetrics_", "traces_service_graph_", "scrape_", "trefoil_"];
    !endings.iter().any(|ending| name.ends_with(ending))
        && !begins.iter().any(|begin| name.starts_with(begin))
}

impl Metrics {
    fn observed(&self, running: &Running<'_>, mapping: &LabelMapping) -> Result<Vec<Observed>, ReadError> {
        let mut pairs: BTreeSet<(&str, &str)> = BTreeSet::new();
        for workload in &running.workloads {
            for field in [WorkloadField::Service, WorkloadField::Pod] {
                let Some(value) = field.of(workload) else { continue };
                pairs.extend(mapping.names(field).iter().map(|label| (label.as_str(), value)));
            }
        }
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Stored(samples) => stored(&**samples, &pairs, running.window),
            Self::Server(server, runtime) => {
                let asking = tokio::time::timeout(DEADLINE, asked(&**server, &pairs, running.window));
                let late = |_| ReadError::Timeout { server: server.name().to_owned(), after: DEADLINE };
                runtime.block_on(async { asking.await.unwrap_or_else(|elapsed| Err(late(elapsed))) })
            }
        }
    }
}

fn names<'a>(sets: impl Iterator<Item = &'a Labels>) -> BTreeSet<String> {
    let names = sets.filter_map(|labels| labels.get("__name__")).filter(|name| is_telling(name));
    names.map(str::to_owned).collect()
}

fn stored(
    samples: &dyn SampleRead,
    pairs: &BTreeSet<(&str, &str)>,
    window: Window,
) -> Result<Vec<Observed>, ReadError> {
    let selectors: Vec<Vec<Matcher>> =
        pairs.iter().map(|(label, value)| vec![Matcher::equal(*label, *value)]).collect();
    let sets = samples.label_sets(&selectors, window)?;
    let mut observed = Vec::new();
    for name in names(sets.iter().map(|labels| &**labels)).into_iter().take(MAX_NAMES) {
        let series = match samples.select(&[Matcher::equal("__name__", &*name)], window, LIMITS) {
            Ok(series) => series,
            // Of so many series none is one workload's own.
            Err(ReadError::TooMany { .. }) => continue,
            Err(error) => return Err(error),
        };
        observed.extend(series.into_iter().map(|series| {
            let samples = if is_counter(&name) { rates(&series.samples) } else { live(series.samples) };
            Observed { name: name.clone(), labels: series.labels, samples }
        }));
    }
    Ok(observed)
}

fn live(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.retain(|sample| sample.value.is_finite());
    samples
}

/// Growth a second between samples; where a counter began anew there is none.
fn rates(samples: &[Sample]) -> Vec<Sample> {
    let rate = |pair: &[Sample]| {
        let [before, after] = pair else { return None };
        let (grown, took) = (after.value - before.value, after.time.saturating_sub(before.time));
        let rate = grown / (took as f64 / 1e9);
        (grown >= 0.0 && took > 0 && rate.is_finite()).then_some(Sample { time: after.time, value: rate })
    };
    samples.windows(2).filter_map(rate).collect()
}

async fn asked(
    server: &dyn MetricRead,
    pairs: &BTreeSet<(&str, &str)>,
    window: Window,
) -> Result<Vec<Observed>, ReadError> {
    let mut by_label: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (label, value) in pairs {
        by_label.entry(label).or_default().push(escaped(value));
    }
    let matchers: Vec<String> =
        by_label.iter().map(|(label, values)| format!("{label}=~\"{}\"", values.join("|"))).collect();
    let selectors: Vec<String> = matchers.iter().map(|matcher| format!("{{{matcher}}}")).collect();
    let sets = server.series(&selectors, window).await?;
    let step = ((window.end - window.start) / POINTS).max(LEAST_STEP);
    let asking = names(sets.iter()).into_iter().take(MAX_NAMES).map(|name| {
        // Series are found by any of the labels; which are of a workload is told by all of them.
        let of = |matcher: &String| {
            let selector = format!("{{__name__=\"{name}\",{matcher}}}");
            if is_counter(&name) { format!("rate({selector}[2m])") } else { selector }
        };
        let expression = matchers.iter().map(of).collect::<Vec<_>>().join(" or ");
        async move {
            let series = server.range(&expression, window, Duration::from_nanos(step)).await?;
            Ok::<_, ReadError>((name, series))
        }
    });
    let mut answers = futures::stream::iter(asking).buffer_unordered(CONCURRENCY);
    let mut observed = Vec::new();
    while let Some(answer) = answers.next().await {
        let (name, series) = answer?;
        observed.extend(series.into_iter().map(|series| Observed {
            name: name.clone(),
            labels: series.labels,
            samples: live(series.samples),
        }));
    }
    // As they come is not the same each time.
    observed.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    Ok(observed)
}

/// A value inside a regular expression inside a PromQL string.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for letter in value.chars() {
        if !letter.is_alphanumeric() && !"-_/ ".contains(letter) {
            out.push_str("\\\\");
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests;
