//! Which requests ran in the containers of a trace beside it.

use std::ops::ControlFlow;

use parsers::record::{Resource, SpanKind};
use rustc_hash::FxHashMap;
use store::read::{ReadError, RunningSelect, SpanView, TraceRead, Window};

use super::compared::Request;
use super::facts::{self, Fact, Kind};
use super::lines::Written;
use super::origin::Origin;
use super::sampling::Sampled;
use super::{OfTrace, OfferLimits};

/// How long before the window a request may have begun, ns: longer ones are streams, which say little by still running.
const LONGEST: u64 = 60_000_000_000;
/// Resources whose origins are kept.
const MAX_KNOWN: usize = 16;
/// Facts of a request at most.
const MAX_FACTS: usize = 64;

/// What a span says of its request, of the kinds that are wanted.
pub(super) fn of_span(view: &SpanView<'_>, facts: &mut Vec<Fact>, wanted: impl Fn(Kind) -> bool) {
    view.attributes(&mut |key, value| {
        if facts.len() < MAX_FACTS && facts::kind(key).is_some_and(&wanted) {
            facts::of_attribute(key, &value, facts);
        }
    });
    if view.kind == SpanKind::Server && wanted(Kind::Path) && !facts.iter().any(|f| f.kind == Kind::Path) {
        facts::of_name(&view.name(), facts);
    }
}

/// A span that ran.
struct Ran {
    trace: u64,
    origin: usize,
    start: u64,
    end: u64,
    facts: Vec<Fact>,
}

/// Spans of all traces that ran in the services of one.
pub(super) struct Requests {
    origins: Vec<Origin>,
    ran: Vec<Ran>,
    /// Whether these are all.
    pub(super) complete: bool,
}

/// Reads them. Facts are kept of those kinds only that some line tells of.
pub(super) fn read(
    traces: &dyn TraceRead,
    trace: &OfTrace<'_>,
    written: &[Written],
    window: Window,
    limits: &OfferLimits,
) -> Result<Requests, ReadError> {
    let told = written.iter().flat_map(|container| &container.untold).flat_map(|line| &line.words.facts);
    let mut kinds: Vec<Kind> = told.map(|fact| fact.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let has = |kind: Kind| kinds.binary_search(&kind).is_ok();
    let wanted = |kind: Kind| match kind {
        Kind::Thread => has(Kind::Thread) || has(Kind::Bracket),
        Kind::Request => has(Kind::Request) || has(Kind::Token) || has(Kind::Bracket),
        kind => has(kind),
    };
    let mut services: Vec<String> = trace.origins.iter().filter_map(|o| o.workload.service.clone()).collect();
    services.sort_unstable();
    services.dedup();
    let mut requests = Requests { origins: trace.origins.clone(), ran: Vec::new(), complete: true };
    // The origins of some resources, and whether lines fit them: most spans are of few.
    let mut known: Vec<(Resource, usize, bool)> = Vec::new();
    let mut add = |view: &SpanView<'_>| {
        let resource = view.resource();
        let same = known.iter().find(|(known, ..)| known == resource);
        let (at, fits) = same.map(|(_, at, fits)| (*at, *fits)).unwrap_or_else(|| {
            let origin = Origin::of_resource(resource);
            let fits = written.iter().any(|container| container.origin.fits(&origin).is_some());
            let at = requests.origins.iter().position(|known| *known == origin).unwrap_or_else(|| {
                requests.origins.push(origin);
                requests.origins.len() - 1
            });
            if known.len() < MAX_KNOWN {
                known.push((resource.clone(), at, fits));
            }
            (at, fits)
        });
        if fits {
            let mut facts = Vec::new();
            of_span(view, &mut facts, wanted);
            let (start, end) = (view.start, view.end.max(view.start));
            requests.ran.push(Ran { trace: view.trace_id.low64(), origin: at, start, end, facts });
        }
    };
    for node in trace.nodes {
        add(&(&node.span).into());
    }
    let select = RunningSelect { window, services, longest: LONGEST, bytes: limits.span_bytes };
    let mut spans = 0;
    let complete = traces.running(&select, &mut |view| {
        if view.trace_id.low64() == trace.low64 {
            return ControlFlow::Continue(());
        }
        spans += 1;
        add(view);
        if spans < limits.spans { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    requests.complete = complete;
    Ok(requests)
}

impl Requests {
    /// Those that ran in a container, the trace's own first, and how many of them are known to send spans. Lines with an id tell of
    /// theirs, too.
    pub(super) fn of(&self, trace: &OfTrace<'_>, container: &Written) -> (Vec<Request>, Sampled) {
        let fits: Vec<bool> =
            self.origins.iter().map(|origin| container.origin.fits(origin).is_some()).collect();
        let mut own = Request { trace: trace.low64, spanned: true, ..Request::default() };
        // A request has one id in all services, and few of them tell it.
        let ids = trace.request_ids.iter().take(MAX_FACTS / 2);
        own.facts.extend(ids.map(|id| Fact::of(Kind::Request, id.clone())));
        let mut requests = vec![own];
        let mut by_trace: FxHashMap<u64, usize> = FxHashMap::default();
        by_trace.insert(trace.low64, 0);
        let mut of = |trace: u64, requests: &mut Vec<Request>| {
            *by_trace.entry(trace).or_insert_with(|| {
                requests.push(Request { trace, ..Request::default() });
                requests.len() - 1
            })
        };
        for ran in self.ran.iter().filter(|ran| fits.get(ran.origin) == Some(&true)) {
            let at = of(ran.trace, &mut requests);
            if let Some(request) = requests.get_mut(at) {
                request.spanned = true;
                request.runs.push((ran.start, ran.end));
                add(&mut request.facts, &ran.facts);
            }
        }
        // Of a trace without spans here, its lines tell when it ran.
        let spanned = requests.len();
        let mut with_spans = vec![false; spanned];
        for told in &container.told {
            let at = of(told.trace, &mut requests);
            if let Some(told) = with_spans.get_mut(at) {
                *told = true;
            }
            if let Some(request) = requests.get_mut(at) {
                if at >= spanned {
                    let (start, end) = request.runs.first().copied().unwrap_or((told.time, told.time));
                    request.runs = vec![(start.min(told.time), end.max(told.time))];
                }
                add(&mut request.facts, &told.facts);
            }
        }
        requests.iter_mut().for_each(Request::settle);
        // The trace's own says nothing: it has spans, or would not be asked for.
        let with = with_spans.iter().skip(1).filter(|told| **told).count() as f64;
        let sampled = Sampled { with, without: (requests.len() - spanned) as f64 };
        (requests, sampled)
    }
}

fn add(facts: &mut Vec<Fact>, new: &[Fact]) {
    for fact in new {
        let known = facts.iter().any(|known| known.kind == fact.kind && known.value == fact.value);
        if facts.len() < MAX_FACTS && !known {
            facts.push(fact.clone());
        }
    }
}
