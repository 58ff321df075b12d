//! Reads the lines round a trace: those without an id that were written while it ran, and what the others say of their traces.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Labels, LogRecord, TENANT, parse_rfc3339};
use rustc_hash::{FxHashMap, FxHasher};
use store::read::{
    Direction, LogRead, LogSelect, LogView, LogVisit, MatchOp, Matcher, ReadError, ScanReport, Window,
};

use super::compared::is_access;
use super::facts::{self, Fact, Kind};
use super::origin::{Fit, Origin, PROXIES};
use super::{OfTrace, OfferLimits};

/// How much later than its request an access log may be written, ns: Envoy keeps lines back for up to ten seconds.
pub(super) const LATE_ACCESS_LOG: u64 = 15_000_000_000;
/// How much earlier than the application a proxy has a request, ns.
const PROXY_LEAD: u64 = 5_000_000;
/// How long after the end of a request a server writes its line of the access log, ns.
const ACCESS_DELAY: u64 = 2_000_000;
/// Lines before and after a trace that are taken apart, to learn whose words they are: about as many as those of a trace.
const MAX_HEARD: usize = 128;

/// What is looked at of a line without an id.
pub(super) struct Words {
    /// First and, not included, last instant at which it may have been written: clocks of loggers are coarse.
    pub(super) written: (u64, u64),
    /// Whether that is when its request began, of which the line itself tells...
    pub(super) begins: bool,
    /// ...and how long it took, ns, if it says so.
    pub(super) lasts: Option<u64>,
    /// What lines of its kind have in common.
    pub(super) template: u64,
    pub(super) facts: Vec<Fact>,
}

/// A line without an id, written while the trace ran in its container.
pub(super) struct Untold {
    pub(super) record: LogRecord,
    pub(super) words: Words,
    /// It is of a proxy beside the application.
    pub(super) beside: bool,
    /// It tells of a whole request, as an access log does.
    pub(super) is_access: bool,
}

/// A line with an id.
pub(super) struct Told {
    pub(super) trace: u64,
    pub(super) time: u64,
    pub(super) facts: Vec<Fact>,
}

/// What one container, or a proxy beside it, wrote.
pub(super) struct Written {
    pub(super) origin: Origin,
    /// With each origin of the trace's spans, by index, that it fits.
    pub(super) fits: Vec<(usize, Fit)>,
    /// Time and template of each line without an id.
    pub(super) all: Vec<(u64, u64)>,
    pub(super) untold: Vec<Untold>,
    /// Some of those that were written before and after.
    pub(super) heard: Vec<Words>,
    /// One of so many is among these.
    every: usize,
    pub(super) told: Vec<Told>,
}

impl Written {
    /// Keeps one of so many lines that there are enough, spread over all.
    fn hear(&mut self, view: &LogView<'_>, template: u64, written: (u64, u64)) {
        if !self.all.len().is_multiple_of(self.every) {
            return;
        }
        if self.heard.len() >= MAX_HEARD {
            let mut nth = 0;
            self.heard.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.every *= 2;
        }
        let (facts, begins) = (facts::of_line(view.line, view.metadata()), false);
        self.heard.push(Words { written, begins, lasts: None, template, facts });
    }
}

/// All that was read.
pub(super) struct Lines {
    pub(super) written: Vec<Written>,
    /// Whether a bound ended the reading.
    pub(super) cut: bool,
}

/// One over the lines of the streams that may be the trace's.
struct Visitor<'a> {
    trace: &'a OfTrace<'a>,
    limits: &'a OfferLimits,
    /// Containers by labels and the metadata that matters; `None` for those of others.
    known: FxHashMap<u64, Option<usize>>,
    found: Lines,
    lines: usize,
    bytes: usize,
    /// Whether it is at what proxies wrote afterwards, of which it is enough to read some.
    afterwards: bool,
}

/// Reads them: all in the window, and what proxies wrote until later.
pub(super) fn read(
    logs: &dyn LogRead,
    trace: &OfTrace<'_>,
    window: Window,
    later: u64,
    limits: &OfferLimits,
) -> Result<Lines, ReadError> {
    let mut visitor = Visitor {
        trace,
        limits,
        known: FxHashMap::default(),
        found: Lines { written: Vec::new(), cut: false },
        lines: 0,
        bytes: 0,
        afterwards: false,
    };
    let of = |matchers: Vec<Matcher>, window: Window| LogSelect {
        matchers,
        window,
        direction: Direction::Forward,
        trace: None,
        contains: Vec::new(),
        mentions: None,
    };
    let selectors = selectors(trace);
    for matchers in &selectors {
        logs.scan_views(&of(matchers.clone(), window), false, &mut visitor)?;
    }
    if visitor.found.cut || later <= window.end {
        return Ok(visitor.found);
    }
    visitor.afterwards = true;
    (visitor.lines, visitor.bytes) = (0, 0);
    // Names of containers whose access logs are waited for.
    let proxies = MatchOp::OneOf(PROXIES.map(str::to_owned).to_vec());
    for mut matchers in selectors {
        matchers.push(Matcher { name: "container".to_owned(), op: proxies.clone() });
        let afterwards = Window { start: window.end, end: later };
        logs.scan_views(&of(matchers, afterwards), false, &mut visitor)?;
    }
    Ok(visitor.found)
}

/// Streams by pod, and by service where no pod is known.
fn selectors(trace: &OfTrace<'_>) -> Vec<Vec<Matcher>> {
    let matcher = |name: &str, op: MatchOp| Matcher { name: name.to_owned(), op };
    let workloads = || trace.origins.iter().map(|origin| &origin.workload);
    let distinct = |values: BTreeSet<&str>| values.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let pods = distinct(workloads().filter_map(|w| w.pod.as_deref()).collect());
    let services = distinct(workloads().filter_map(|w| w.service.as_deref()).collect());
    // Of a resource that names no pod, the lines may have one all the same.
    let bare = workloads().filter(|w| w.pod.is_none());
    let podless = distinct(bare.filter_map(|w| w.service.as_deref()).collect());
    let others =
        [matcher("pod", MatchOp::NotEqual(String::new())), matcher("pod", MatchOp::NoneOf(pods.clone()))];
    let of = |name: &str, values: Vec<String>, more: &[Matcher]| {
        (!values.is_empty()).then(|| [&[matcher(name, MatchOp::OneOf(values))], more].concat())
    };
    let by_pod = of("pod", pods, &[]);
    let by_service = of("service_name", services, &[Matcher::equal("pod", "")]);
    [by_pod, by_service, of("service_name", podless, &others)].into_iter().flatten().collect()
}

/// First and last instant at which a line with this time may have been written: many loggers write milliseconds or seconds.
pub(super) fn written(time: u64) -> (u64, u64) {
    let grain = [1_000_000_000, 1_000_000].into_iter().find(|grain| time.is_multiple_of(*grain)).unwrap_or(1);
    (time, time.saturating_add(grain))
}

impl Visitor<'_> {
    /// The container of a line, by index; `None` if no span of the trace ran there.
    fn container(&mut self, view: &LogView<'_>) -> Option<usize> {
        let mut hasher = FxHasher::default();
        for (key, value) in view.metadata() {
            if matches!(
                key,
                "pod_uid"
                    | "k8s_pod_uid"
                    | "host"
                    | "host_name"
                    | "hostname"
                    | "instance"
                    | "service_instance_id"
                    | "service_name"
                    | TENANT
            ) {
                (key, value).hash(&mut hasher);
            }
        }
        view.labels.hash(&mut hasher);
        let key = hasher.finish();
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let labels: &Labels = view.labels;
        let origin = Origin::of_line(labels, view.metadata());
        let spans = self.trace.origins.iter().enumerate();
        let fits: Vec<(usize, Fit)> = spans.filter_map(|(at, span)| Some((at, origin.fits(span)?))).collect();
        let index = (!fits.is_empty()).then(|| {
            let known = self.found.written.iter().position(|known| known.origin == origin);
            known.unwrap_or_else(|| {
                self.found.written.push(Written {
                    origin,
                    fits,
                    all: Vec::new(),
                    untold: Vec::new(),
                    heard: Vec::new(),
                    every: 1,
                    told: Vec::new(),
                });
                self.found.written.len() - 1
            })
        });
        self.known.insert(key, index);
        index
    }

    fn full(&mut self) -> ControlFlow<()> {
        self.found.cut |= !self.afterwards;
        ControlFlow::Break(())
    }
}

impl LogVisit for Visitor<'_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        let Some(index) = self.container(view) else { return ControlFlow::Continue(()) };
        self.lines += 1;
        if self.lines > self.limits.lines {
            return self.full();
        }
        let Some(container) = self.found.written.get_mut(index) else { return ControlFlow::Continue(()) };
        if let Some(id) = view.trace_id {
            if container.told.len() < self.limits.candidates {
                let facts = facts::of_line(view.line, view.metadata());
                container.told.push(Told { trace: id.low64(), time: view.time, facts });
            }
            return ControlFlow::Continue(());
        }
        let template = facts::template(view.line);
        container.all.push((view.time, template));
        let written = written(view.time);
        let near = self.trace.ran(&container.fits, written.0.saturating_sub(LATE_ACCESS_LOG), written.1);
        let inside = self.trace.ran(&container.fits, written.0, written.1);
        // A proxy writes of requests only, each when it has ended: its lines count for when they ran.
        let beside = !container.fits.iter().any(|(_, fit)| *fit == Fit::Same);
        if !near && !beside {
            container.hear(view, template, written);
            return ControlFlow::Continue(());
        }
        // Most lines outside need not be taken apart.
        if !inside && !facts::may_be_access(view.line) {
            container.hear(view, template, written);
            return ControlFlow::Continue(());
        }
        let facts = facts::of_line(view.line, view.metadata());
        let is_access = is_access(&facts);
        let begins = is_access && start_of(&facts).is_some();
        let lasts = if begins { facts::lasts(view.line) } else { None };
        let written = if is_access { of_access(&facts, written) } else { written };
        if let Some((time, _)) = container.all.last_mut().filter(|_| is_access && beside) {
            *time = written.0.midpoint(written.1);
        }
        let named = facts.iter().any(|fact| self.trace.has_request_id(fact));
        let takes_part =
            named || (self.trace.ran(&container.fits, written.0, written.1) && (is_access || !beside));
        if !takes_part {
            if container.heard.len() < MAX_HEARD {
                container.heard.push(Words { written, begins, lasts, template, facts });
            }
            return ControlFlow::Continue(());
        }
        self.bytes += view.line.len();
        if container.untold.len() >= self.limits.candidates || self.bytes > self.limits.bytes {
            self.found.cut |= !self.afterwards;
            return ControlFlow::Continue(());
        }
        let record = LogRecord {
            time: view.time,
            observed: 0,
            labels: Arc::clone(view.labels),
            metadata: view.metadata().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            trace_id: None,
            span_id: view.span_id,
            severity: view.severity,
            line: view.line.to_vec(),
            source: None,
            rule: None,
        };
        let words = Words { written, begins, lasts, template, facts };
        container.untold.push(Untold { record, words, beside, is_access });
        ControlFlow::Continue(())
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        if so_far.bytes > self.limits.scanned_bytes { self.full() } else { ControlFlow::Continue(()) }
    }
}

/// When the request began, if an access log says so: `[2025-10-09T08:53:20.123Z]` or `start_time`.
fn start_of(facts: &[Fact]) -> Option<u64> {
    let says = |fact: &&Fact| fact.kind == Kind::Bracket || matches!(&*fact.key, "start_time" | "startTime");
    facts.iter().filter(says).find_map(|fact| parse_rfc3339(fact.value.as_bytes()))
}

/// When the request of an access log ran, as far as its line says: from its start on, else some moment before the line was written.
pub(super) fn of_access(facts: &[Fact], written: (u64, u64)) -> (u64, u64) {
    match start_of(facts) {
        Some(start) => (start, start.saturating_add(PROXY_LEAD)),
        None => (written.0.saturating_sub(ACCESS_DELAY), written.1),
    }
}
