//! Exemplars made of spans, for histograms of durations to which applications give none: of each step the slowest request and a
//! typical one. Their traces are stored, since their spans were just read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Exemplar, ExemplarOrigin, Labels, Span, SpanKind, StatusCode, Value, Workload};
use store::read::{ReadError, SpanSelect, TraceRead, Window};

use crate::{LabelMapping, WorkloadField};

/// What the name of a bucket's series ends with.
pub(crate) const BUCKETS: &str = "_bucket";
/// The upper bound of a bucket.
const BOUND: &str = "le";
/// Steps of a window when the client does not say: more points would cover each other in a graph.
const STEPS: u64 = 60;
/// Most steps of a window, whatever the client says.
const MAX_STEPS: u64 = 500;
/// Histograms (series without their bounds) that exemplars are made for.
const MAX_GROUPS: usize = 1_000;
/// Spans of a step among which the typical one is chosen, newest first.
const STEP_SPANS: usize = 32;
/// Spans looked at in all.
const MAX_SPANS: usize = 500_000;
/// Longest time for it: a graph waits.
const MAX_TIME: Duration = Duration::from_secs(8);

/// The buckets of one histogram.
#[derive(Debug)]
pub(crate) struct Group {
    labels: Labels,
    /// Nanoseconds in the unit that its values have.
    unit: f64,
    /// Upper bounds, in growing order, with their series.
    buckets: Vec<(f64, Arc<Labels>)>,
}

impl Group {
    /// Those that all its buckets have.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// The labels of a histogram, whichever of its buckets these are of.
pub(crate) fn without_bound(labels: &Labels) -> Labels {
    Labels::new(labels.iter().filter(|(name, _)| *name != BOUND))
}

/// The histograms of durations among these series.
pub(crate) fn groups(series: Vec<Labels>) -> Vec<Group> {
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    for labels in series {
        let Some(unit) = labels.get("__name__").and_then(unit) else { continue };
        let Some(bound) = labels.get(BOUND).and_then(|bound| bound.parse::<f64>().ok()) else { continue };
        let key = without_bound(&labels);
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
            continue;
        }
        let group =
            groups.entry(key.clone()).or_insert_with(|| Group { labels: key, unit, buckets: Vec::new() });
        group.buckets.push((bound, Arc::new(labels)));
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    groups
}

/// Nanoseconds in the unit of a histogram, if it is one of durations.
fn unit(metric: &str) -> Option<f64> {
    let base = metric.strip_suffix(BUCKETS)?;
    let units =
        [("seconds", 1e9), ("milliseconds", 1e6), ("ms", 1e6), ("microseconds", 1e3), ("nanoseconds", 1.0)];
    let named = units.into_iter().find(|(name, _)| base.rsplit('_').next() == Some(*name));
    // Span metrics of Tempo and of the Collector's older versions: seconds, without saying so.
    named.map(|(_, unit)| unit).or_else(|| base.ends_with("_latency").then_some(1e9))
}

/// Spans of one histogram in one step.
#[derive(Default)]
struct Step {
    slowest: Option<Seen>,
    some: Vec<Seen>,
}

#[derive(Clone)]
struct Seen {
    duration: u64,
    exemplar: (parsers::record::TraceId, parsers::record::SpanId, u64),
}

/// Exemplars for these histograms, of spans that ended in the window.
pub(crate) fn of_spans(
    traces: &dyn TraceRead,
    mapping: &LabelMapping,
    groups: &[Group],
    window: Window,
    step: Option<Duration>,
) -> Result<Vec<Exemplar>, ReadError> {
    let began = Instant::now();
    let width = window.end.saturating_sub(window.start).max(1);
    let step = step.map_or(width / STEPS, |step| step.as_nanos() as u64).max(width / MAX_STEPS).max(1);
    let mut steps: BTreeMap<(usize, u64), Step> = BTreeMap::new();
    let mut fitting: BTreeMap<Workload, Vec<usize>> = BTreeMap::new();
    let mut seen = 0;
    let select = SpanSelect { window, service: only_service(traces, mapping, groups, window)?, name: None };
    traces.scan_traces(&select, &mut |spans| {
        seen += spans.len();
        for span in spans.iter().filter(|span| window.contains(span.end)) {
            let workload = Workload::from_resource(&span.resource);
            let fitting =
                fitting.entry(workload).or_insert_with_key(|workload| fits(mapping, groups, workload));
            for &at in fitting.iter() {
                let Some(group) = groups.get(at).filter(|group| describes(&group.labels, mapping, span))
                else {
                    continue;
                };
                let number = (span.end - window.start) / step;
                let place = steps.entry((at, number)).or_default();
                note(place, group, span);
            }
        }
        if seen < MAX_SPANS && began.elapsed() < MAX_TIME {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    let made = steps.into_iter().filter_map(|((at, _), step)| Some((groups.get(at)?, step)));
    Ok(made.flat_map(|(group, step)| step.exemplars(group)).collect())
}

fn note(place: &mut Step, group: &Group, span: &Span) {
    let seen = Seen { duration: span.duration(), exemplar: (span.trace_id, span.span_id, span.end) };
    // What no bucket holds was not observed.
    if group.bucket(seen.duration).is_none() {
        return;
    }
    if place.slowest.as_ref().is_none_or(|slowest| slowest.duration < seen.duration) {
        place.slowest = Some(seen.clone());
    }
    if place.some.len() < STEP_SPANS {
        place.some.push(seen);
    }
}

impl Group {
    fn bucket(&self, duration: u64) -> Option<&Arc<Labels>> {
        let value = duration as f64 / self.unit;
        self.buckets.iter().find(|(bound, _)| value <= *bound).map(|(_, labels)| labels)
    }
}

impl Step {
    /// The slowest, and the middle one unless it is the same.
    fn exemplars(mut self, group: &Group) -> impl Iterator<Item = Exemplar> {
        self.some.sort_by_key(|seen| seen.duration);
        let typical = self.some.get(self.some.len().saturating_sub(1) / 2).cloned();
        let same =
            |seen: &Seen| self.slowest.as_ref().is_some_and(|slowest| slowest.exemplar == seen.exemplar);
        let typical = typical.filter(|seen| !same(seen));
        self.slowest
            .into_iter()
            .chain(typical)
            .filter_map(|seen| {
                let (trace, span, time) = seen.exemplar;
                Some(Exemplar {
                    series: Arc::clone(group.bucket(seen.duration)?),
                    labels: Vec::new(),
                    value: seen.duration as f64 / group.unit,
                    time,
                    trace_id: Some(trace),
                    span_id: Some(span),
                    origin: ExemplarOrigin::Trefoil,
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// The histograms that describe a workload.
fn fits(mapping: &LabelMapping, groups: &[Group], workload: &Workload) -> Vec<usize> {
    let fitting =
        groups.iter().enumerate().filter(|(_, group)| mapping.compare(workload, &group.labels).identifies);
    fitting.map(|(at, _)| at).collect()
}

/// The one service that all the histograms describe, for the store to skip what is of others.
fn only_service(
    traces: &dyn TraceRead,
    mapping: &LabelMapping,
    groups: &[Group],
    window: Window,
) -> Result<Option<String>, ReadError> {
    let known = traces.services(window)?;
    let mut services = BTreeSet::new();
    for group in groups {
        let described = known.iter().map(|(service, _)| service).filter(|service| {
            let workload = Workload { service: Some((*service).clone()), ..Workload::default() };
            mapping.compare(&workload, &group.labels).identifies
        });
        let before = services.len();
        services.extend(described.cloned());
        // It may be told by its pod, or its service is not in the list.
        if services.len() == before && before == 0 {
            return Ok(None);
        }
    }
    let first = services.pop_first();
    Ok(first.filter(|_| services.is_empty()))
}

/// Names of attributes behind labels that are not the attribute's own name.
const ALIASES: [(&str, &[&str]); 10] = [
    ("method", &["http.request.method", "http.method", "rpc.method"]),
    ("http_method", &["http.request.method", "http.method"]),
    ("status", &["http.response.status_code", "http.status_code"]),
    ("code", &["http.response.status_code", "http.status_code"]),
    ("status_code", &["http.response.status_code", "http.status_code"]),
    ("http_status_code", &["http.response.status_code", "http.status_code"]),
    ("http_response_status_code", &["http.status_code"]),
    ("http_request_method", &["http.method"]),
    ("route", &["http.route"]),
    ("handler", &["http.route"]),
];

/// Whether the span is of a request that the histogram counts: it is on the side of the call that the name tells, and none of its
/// attributes says something else than the label of that name.
fn describes(labels: &Labels, mapping: &LabelMapping, span: &Span) -> bool {
    let name = labels.get("__name__").unwrap_or_default();
    let of_spans = labels.get("span_name").is_some() || labels.get("span_kind").is_some();
    let side = if name.contains("client") {
        matches!(span.kind, SpanKind::Client | SpanKind::Producer)
    } else {
        matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
    };
    (side || of_spans)
        && labels.iter().filter(|(name, _)| *name != "__name__").all(|(label, value)| match label {
            "span_name" => span.name == value,
            "span_kind" => {
                value.rsplit('_').next().is_some_and(|kind| kind.eq_ignore_ascii_case(span.kind.as_str()))
            }
            "status_code" if of_spans => {
                let code = value.rsplit('_').next().unwrap_or_default();
                code.eq_ignore_ascii_case(span.status.code.as_str())
                    || (span.status.code == StatusCode::Unset && code.is_empty())
            }
            label if is_mapped(mapping, label) => true,
            label => agrees(span, label, value),
        })
}

/// Whether a label tells the workload, which was compared already.
fn is_mapped(mapping: &LabelMapping, label: &str) -> bool {
    let fields =
        [WorkloadField::Service, WorkloadField::Namespace, WorkloadField::Pod, WorkloadField::Container]
            .into_iter()
            .chain([
                WorkloadField::Node,
                WorkloadField::Version,
                WorkloadField::Instance,
                WorkloadField::Cluster,
            ]);
    fields.into_iter().any(|field| mapping.names(field).iter().any(|name| name == label))
}

fn agrees(span: &Span, label: &str, value: &str) -> bool {
    let aliases =
        ALIASES.iter().find(|(name, _)| *name == label).map(|(_, names)| *names).unwrap_or_default();
    let same = |key: &str| {
        key.len() == label.len()
            && key.bytes().zip(label.bytes()).all(|(k, l)| k == l || (l == b'_' && matches!(k, b'.' | b'-')))
    };
    let found = span.attributes.iter().find(|(key, _)| same(key) || aliases.contains(&key.as_str()));
    found.is_none_or(|(_, said)| match said {
        Value::Str(text) => text == value,
        Value::Int(number) => number.to_string() == value,
        Value::Bool(truth) => truth.to_string() == value,
        _ => true,
    })
}
