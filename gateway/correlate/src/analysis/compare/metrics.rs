//! Metrics of the workloads of two sets of traces: series whose values at the times of one set's traces are not those at the times
//! of the other's.
//!
//! Each sample counts once for a side, however many traces ran at its time; a counter counts as its rate, and one of several series,
//! as those of a status each, as the part that each series has of all: how much traffic a side has says nothing. Samples of one series
//! follow from each other, so that what is told of metrics is less sure than their significance says: they are ranked below
//! what is told of the traces themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use parsers::record::{Labels, Sample};
use store::read::{Matcher, MetricRead, ReadError, SampleLimits, SampleRead, Window};

use super::answer::{Detail, Finding, FindingKind, Unit};
use super::causes::Of;
use super::sets::Candidate;
use crate::analysis::digest::Digest;
use crate::analysis::options::{MIN_TRACES, SIGNIFICANCE};
use crate::analysis::stats::{Tested, values};
use crate::analysis::vocabulary::{Operation, Vocabulary};
use crate::{LabelMapping, WorkloadField};

/// Names of metrics that are looked at.
const MAX_NAMES: usize = 100;
/// Series of one name, and samples of them.
const LIMITS: SampleLimits = SampleLimits { series: 200, samples: 200_000 };
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

mod taken;

use taken::{Described, Key, Running, Taken, running};

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

/// Differences of metrics between both sides; and what could not be read.
pub(crate) fn candidates(
    metrics: &Metrics,
    mapping: &LabelMapping,
    (a, b): (&[Digest], &[Digest]),
    vocabulary: &Vocabulary,
) -> (Vec<Candidate>, Option<String>) {
    let (Some(of_a), Some(of_b)) = (running(a, vocabulary), running(b, vocabulary)) else {
        return (Vec::new(), None);
    };
    let both = [of_a, of_b];
    let known = taken::places(&both);
    let mut read = Vec::new();
    for running in &both {
        match metrics.observed(running, mapping) {
            Ok(observed) => read.push(observed),
            Err(error) => return (Vec::new(), Some(format!("metrics could not be read: {error}"))),
        }
    }
    let described: Vec<Described<'_>> = both
        .iter()
        .zip(&read)
        .map(|(side, observed)| Described::new(side, observed, mapping, &known))
        .collect();
    let parted = taken::parted(&described);
    let mut sides: Vec<taken::Side> = described.iter().map(|side| side.taken(&parted)).collect();
    let (Some(mut of_b), Some(mut of_a)) = (sides.pop(), sides.pop()) else { return (Vec::new(), None) };
    of_a.add_missing(&of_b);
    of_b.add_missing(&of_a);
    let both = of_a.taken.iter().filter_map(|(key, a)| of_b.taken.get(key).map(|b| candidate(key, a, b)));
    (both.flatten().collect(), None)
}

fn candidate(key: &Key, a: &Taken, b: &Taken) -> Option<Candidate> {
    let Key { name, service, part } = key;
    if a.values.len() < MIN_TRACES || b.values.len() < MIN_TRACES {
        return None;
    }
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(&a.values), mean(&b.values));
    let tested = values(&a.values, &b.values);
    let larger = mean_a.abs().max(mean_b.abs());
    let change = if larger > 0.0 { (mean_a - mean_b).abs() / larger } else { 0.0 };
    let mut labels = a.labels.filtered(|label| a.labels.get(label) == b.labels.get(label));
    let mut place = String::new();
    if let Some((label, pod)) = only_pod(a, b, tested).filter(|(label, _)| labels.get(label).is_none()) {
        place = format!(", in {pod}");
        labels = labels.with(label.as_str(), pod.as_str());
    }
    let what = match part {
        Some(part) => {
            let (of_a, of_b) = (100.0 * mean_a, 100.0 * mean_b);
            format!("{name}{part} is {of_a:.1} % of {name} of {service} against {of_b:.1} %")
        }
        None => {
            let of = if is_counter(name) { "the rate of " } else { "" };
            format!("{of}{name} of {service} is {mean_a:.4} against {mean_b:.4}")
        }
    };
    Some(Candidate {
        finding: Finding {
            kind: FindingKind::Metric,
            what: what + &place,
            operation: Operation { service: service.clone(), operation: String::new() },
            detail: Detail::Metric { name: name.clone(), labels: Arc::new(labels) },
            a: mean_a,
            b: mean_b,
            unit: if part.is_some() { Unit::Share } else { Unit::Metric },
            significance: None,
            score: tested.effect.abs() * (change / FULL_CHANGE).min(1.0) * FACTOR,
            also: Vec::new(),
            examples: Vec::new(),
        },
        tested,
        of: Of::Series,
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
    let mut alike = pods.into_iter().take(MAX_PODS).filter(|pod| rest(pod) < tested.effect.abs() * OF_OTHERS);
    let pod = alike.next()?;
    // Where each side is a pod of its own, nothing is left without either.
    alike.next().is_none().then_some(pod)
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
