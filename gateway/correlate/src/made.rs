//! Exemplars made of spans, for histograms of durations and counts of requests to which applications give none: of each step the
//! slowest request, a typical one and one that failed. Their traces are stored, since their spans were just read.

mod agreement;
mod family;
mod growth;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Exemplar, ExemplarOrigin, Labels, Span, StatusCode, Workload};
use store::read::{ReadError, SpanSelect, TraceRead, Window};

use crate::{LabelMapping, WorkloadField};
use agreement::describes;
use family::Unit;

pub(crate) use family::may_count_requests;
pub(crate) use growth::Growth;
use growth::Values;

/// The upper bound of a bucket.
const BOUND: &str = "le";
/// Steps of a window when the client does not say: more points would cover each other in a graph.
const STEPS: u64 = 60;
/// Most steps of a window, whatever the client says.
const MAX_STEPS: u64 = 500;
/// Histograms (series without their bounds) that exemplars are made for.
pub(crate) const MAX_GROUPS: usize = 1_000;
/// Spans of a step among which the typical one is chosen, newest first.
const STEP_SPANS: usize = 32;
/// Spans looked at in all.
const MAX_SPANS: usize = 500_000;
/// Longest time for it: a graph waits.
const MAX_TIME: Duration = Duration::from_secs(5);
/// What an application measures of a request, in parts of its span's duration.
const NEAR: [f64; 3] = [0.9, 1.0, 1.1];
/// Longest time of that for finding out whether all is of one service.
const SERVICE_TIME: Duration = Duration::from_secs(1);

/// The buckets of one histogram, or one series of counts.
#[derive(Debug)]
pub(crate) struct Group {
    labels: Labels,
    unit: Unit,
    /// Upper bounds, in growing order, with their series; a count has one without a bound.
    buckets: Vec<(f64, Arc<Labels>)>,
    /// What they counted, where that is known.
    counts: Vec<Values>,
}

impl Group {
    /// With what its buckets counted.
    pub(crate) fn counted(&mut self, growth: &mut Growth) {
        self.counts = self.buckets.iter().map(|(_, labels)| growth.take(labels)).collect();
    }

    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Those that all its buckets have.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// Which trace of a step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Representative {
    /// The slowest request.
    Highest,
    /// One in the middle.
    Typical,
    /// One that failed.
    Error,
}

impl Representative {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Highest => "highest",
            Self::Typical => "typical",
            Self::Error => "error",
        }
    }
}

/// What is known of an exemplar that was made of a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made {
    /// Which of its step it is.
    pub of: Representative,
    /// Whether the span's status is an error.
    pub error: bool,
    /// How long the span took, ns.
    pub duration: u64,
    /// How many of the series' labels the span confirms, 0 to 1.
    pub confidence: f64,
}

/// The labels of a histogram, whichever of its buckets these are of.
pub(crate) fn without_bound(labels: &Labels) -> Labels {
    Labels::new(labels.iter().filter(|(name, _)| *name != BOUND))
}

/// The histograms of durations, and counts of requests, among these series, and whether there are more than [`MAX_GROUPS`].
pub(crate) fn groups(series: Vec<Labels>) -> (Vec<Group>, bool) {
    let mut cut = false;
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    for labels in series {
        let Some(unit) = labels.get("__name__").and_then(family::unit) else { continue };
        if !family::is_of_calls(&labels) {
            continue;
        }
        let bound = labels.get(BOUND).and_then(|bound| bound.parse::<f64>().ok());
        let Some(bound) = (if unit.is_of_buckets() { bound } else { Some(f64::INFINITY) }) else { continue };
        let key = without_bound(&labels);
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
            cut = true;
            continue;
        }
        let (buckets, counts) = (Vec::new(), Vec::new());
        let group = groups.entry(key.clone()).or_insert_with(|| Group { labels: key, unit, buckets, counts });
        group.buckets.push((bound, Arc::new(labels)));
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    (groups, cut)
}

/// Spans of one histogram in one step.
#[derive(Default)]
struct Step {
    slowest: Option<Seen>,
    failed: Option<Seen>,
    some: Vec<Seen>,
}

#[derive(Clone)]
struct Seen {
    duration: u64,
    error: bool,
    confidence: f64,
    exemplar: (parsers::record::TraceId, parsers::record::SpanId, u64),
}

/// How wide a step is, ns.
pub(crate) fn width_of(step: Option<Duration>, window: Window) -> u64 {
    let width = window.end.saturating_sub(window.start).max(1);
    step.map_or(width / STEPS, |step| step.as_nanos() as u64).max(width / MAX_STEPS).max(1)
}

/// Exemplars for these histograms, of spans that ended in the window, and whether there was no time for all of those.
pub(crate) fn of_spans(
    traces: &dyn TraceRead,
    mapping: &LabelMapping,
    groups: &[Group],
    window: Window,
    step: Option<Duration>,
) -> Result<(Vec<(Exemplar, Made)>, bool), ReadError> {
    let began = Instant::now();
    let step = width_of(step, window);
    let mut steps: BTreeMap<(usize, u64), Step> = BTreeMap::new();
    let mut fitting: BTreeMap<Workload, Vec<usize>> = BTreeMap::new();
    let (mut seen, mut broke_off) = (0, false);
    let select = SpanSelect { window, service: only_service(traces, mapping, groups, window)?, name: None };
    traces.scan_traces(&select, &mut |spans| {
        seen += spans.len();
        for span in spans.iter().filter(|span| window.contains(span.end)) {
            // A large trace against many histograms takes long itself.
            if began.elapsed() >= MAX_TIME {
                break;
            }
            let workload = Workload::from_resource(&span.resource);
            let fitting = match fitting.get(&workload) {
                Some(known) => known,
                None => fitting.entry(workload.clone()).or_insert_with_key(|w| fits(mapping, groups, w)),
            };
            for &at in fitting {
                let Some(group) = groups.get(at) else { continue };
                let Some(confidence) = describes(&group.labels, mapping, &workload, span) else { continue };
                let number = (span.end - window.start) / step;
                let place = steps.entry((at, number)).or_default();
                note(place, group, span, confidence);
            }
        }
        broke_off = seen >= MAX_SPANS || began.elapsed() >= MAX_TIME;
        if broke_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let made = steps.into_iter().filter_map(|((at, _), step)| Some((groups.get(at)?, step)));
    Ok((made.flat_map(|(group, step)| step.exemplars(group)).collect(), broke_off))
}

fn note(place: &mut Step, group: &Group, span: &Span, confidence: f64) {
    let error = span.status.code == StatusCode::Error;
    let exemplar = (span.trace_id, span.span_id, span.end);
    let seen = Seen { duration: span.duration(), error, confidence, exemplar };
    // What no bucket holds, or did count then, was not observed.
    if group.bucket(seen.duration).is_none() || !group.may_count(seen.duration, span.end) {
        return;
    }
    let slower = |known: &Option<Seen>| known.as_ref().is_none_or(|known| known.duration < seen.duration);
    if slower(&place.slowest) {
        // The one before it may be the slowest that failed beside it.
        let before = place.slowest.replace(seen.clone()).filter(|before| before.error);
        place.failed = before.or(place.failed.take());
    } else if error && slower(&place.failed) {
        place.failed = Some(seen.clone());
    }
    if place.some.len() < STEP_SPANS {
        place.some.push(seen);
    }
}

impl Group {
    fn bucket(&self, duration: u64) -> Option<&Arc<Labels>> {
        let place = self.place(self.unit.of(duration))?;
        self.buckets.get(place).map(|(_, labels)| labels)
    }

    fn place(&self, value: f64) -> Option<usize> {
        self.buckets.iter().position(|(bound, _)| value <= *bound)
    }

    /// Whether a request of this duration may be among what was counted around this time. An application does not measure quite
    /// what its span does: near a bound, the bucket beside will do.
    fn may_count(&self, duration: u64, time: u64) -> bool {
        let value = self.unit.of(duration);
        let places: BTreeSet<usize> = NEAR.iter().filter_map(|factor| self.place(value * factor)).collect();
        places.into_iter().any(|place| {
            let below = place.checked_sub(1).and_then(|place| self.counts.get(place));
            self.counts.get(place).is_none_or(|own| own.may_have_grown(below, time))
        })
    }
}

impl Step {
    /// The slowest, the middle one and one that failed, each trace once.
    fn exemplars(mut self, group: &Group) -> impl Iterator<Item = (Exemplar, Made)> {
        self.some.sort_by_key(|seen| seen.duration);
        let typical = self.some.get(self.some.len().saturating_sub(1) / 2).cloned();
        let all = [
            (Representative::Highest, self.slowest),
            (Representative::Error, self.failed),
            (Representative::Typical, typical),
        ];
        let mut shown = BTreeSet::new();
        let made: Vec<(Exemplar, Made)> = all
            .into_iter()
            .filter_map(|(of, seen)| {
                let seen = seen?;
                let (trace, span, time) = seen.exemplar;
                let exemplar = Exemplar {
                    series: Arc::clone(group.bucket(seen.duration)?),
                    labels: Vec::new(),
                    value: group.unit.of(seen.duration),
                    time,
                    trace_id: Some(trace),
                    span_id: Some(span),
                    origin: ExemplarOrigin::Trefoil,
                };
                let (error, duration, confidence) = (seen.error, seen.duration, seen.confidence);
                let made = Made { of, error, duration, confidence };
                shown.insert((trace.bits(), span)).then_some((exemplar, made))
            })
            .collect();
        made.into_iter()
    }
}

/// The histograms that describe a workload, and of which no label says that they are of another one. A proxy in a container of its own
/// measures the same requests.
fn fits(mapping: &LabelMapping, groups: &[Group], workload: &Workload) -> Vec<usize> {
    let fitting = groups.iter().enumerate().filter(|(_, group)| {
        let agreement = mapping.compare(workload, &group.labels);
        let other =
            |field: &WorkloadField| !matches!(field, WorkloadField::Service | WorkloadField::Container);
        agreement.identifies && !agreement.contradicted.iter().any(other)
    });
    fitting.map(|(at, _)| at).collect()
}

/// The one service that all the histograms describe, for the store to skip what is of others.
fn only_service(
    traces: &dyn TraceRead,
    mapping: &LabelMapping,
    groups: &[Group],
    window: Window,
) -> Result<Option<String>, ReadError> {
    let began = Instant::now();
    let known = traces.services(window)?;
    let mut services = BTreeSet::new();
    for group in groups {
        if services.len() > 1 || began.elapsed() >= SERVICE_TIME {
            return Ok(None);
        }
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
