//! Log lines without an id: which of those that the containers of a trace wrote while it ran are probably its own.
//!
//! Rule `workload_time` for lines of the application, `access_log` for those of a proxy or server that tell of a whole request.
//! Everything is compared by the clock of the container that both spans and lines come from, so that clocks of others do not
//! matter. Reading is bounded; where a bound is met nothing is offered, and the answer says so.

mod compared;
mod facts;
mod lines;
mod of_line;
mod origin;
mod place;
mod rarity;
mod running;
mod sampling;
mod score;
mod traffic;
mod writers;

use std::sync::Arc;

use parsers::record::{Resource, TraceId};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use store::read::{LogRead, ReadError, TraceRead, Window};

use self::facts::{Fact, Kind};
use self::lines::{LATE_ACCESS_LOG, Untold, Written};
pub(crate) use self::of_line::Said;
pub(crate) use self::origin::{Fit, Origin, by_origin};
pub(crate) use self::place::under_spans;
use self::running::Requests;
use self::sampling::Sampled;
use self::score::{Scene, Score};
use crate::{Join, JoinRule, JoinedLog, SpanNode, seen};

/// Time before and after the trace from which it is learnt what its containers write anyway: as often its own length...
const MARGIN: u64 = 2;
/// ...but so much at least, ns...
const MIN_MARGIN: u64 = 500_000_000;
/// ...and so much at most, ns.
const MAX_MARGIN: u64 = 5_000_000_000;
/// A trace that lasts longer is no request whose lines could be told from others, ns.
const MAX_LENGTH: u64 = 600_000_000_000;
/// Bytes of spans that are read to see what ran before and after the trace, too: ten blocks, two thousandths of a second. Where it
/// takes more, the place is busy, and the time of the trace alone says enough.
const ROUND_BYTES: u64 = 1 << 20;
/// Join by request id: a proxy's id of 16 digits and more is as good as a trace id, but applications copy it on.
const BY_REQUEST_ID: f64 = 0.98;

/// Bounds of what is read for lines without an id.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferLimits {
    /// Lines of the trace's containers round its time.
    pub lines: usize,
    /// Bytes of log lines that are scanned for them.
    pub scanned_bytes: u64,
    /// Lines without an id that are taken apart.
    pub candidates: usize,
    /// Bytes of these.
    pub bytes: usize,
    /// Spans of other traces that ran in the same services.
    pub spans: usize,
    /// Bytes of spans that are read for them.
    pub span_bytes: u64,
    /// Lines that are offered.
    pub offered: usize,
    /// Less probable ones are not offered.
    pub min_confidence: f64,
}

impl Default for OfferLimits {
    fn default() -> Self {
        Self {
            // Two seconds of a container that writes ten thousand lines a second.
            lines: 20_000,
            scanned_bytes: 32 << 20,
            candidates: 2_000,
            bytes: 4 << 20,
            spans: 5_000,
            span_bytes: 16 << 20,
            // More than a person reads beside the lines that are sure.
            offered: 500,
            // One of three requests: below, a line is another's more often than not, whatever the reader makes of it.
            min_confidence: 0.3,
        }
    }
}

/// What is found.
#[derive(Default)]
pub(crate) struct Offer {
    /// Lines without an id, in no order.
    pub(crate) lines: Vec<JoinedLog>,
    /// Lines without an id that were written while the trace ran, but are too improbable.
    pub(crate) improbable: u64,
    pub(crate) warnings: Vec<String>,
}

/// The trace, as far as lines are compared with it. Times are those of the senders.
pub(crate) struct OfTrace<'a> {
    nodes: &'a [SpanNode],
    low64: u64,
    origins: Vec<Origin>,
    /// Which origin each node has.
    origin_of: Vec<usize>,
    /// When spans of each origin ran.
    runs: Vec<Vec<(u64, u64)>>,
    request_ids: Vec<SmolStr>,
    /// First and last instant.
    extent: (u64, u64),
}

impl<'a> OfTrace<'a> {
    fn new(id: TraceId, nodes: &'a [SpanNode], sure: &[JoinedLog]) -> Option<Self> {
        let mut trace = Self {
            nodes,
            low64: id.low64(),
            origins: Vec::new(),
            origin_of: Vec::with_capacity(nodes.len()),
            runs: Vec::new(),
            request_ids: Vec::new(),
            extent: (u64::MAX, 0),
        };
        let mut facts = Vec::new();
        // Spans of one process share their resource.
        let mut known: FxHashMap<*const Resource, usize> = FxHashMap::default();
        for node in nodes {
            let (start, end) = (node.span.start, node.span.end.max(node.span.start));
            trace.extent = (trace.extent.0.min(start), trace.extent.1.max(end));
            let at = *known.entry(Arc::as_ptr(&node.span.resource)).or_insert_with(|| {
                let origin = Origin::of_resource(&node.span.resource);
                trace.origins.iter().position(|known| *known == origin).unwrap_or_else(|| {
                    trace.origins.push(origin);
                    trace.runs.push(Vec::new());
                    trace.origins.len() - 1
                })
            });
            trace.origin_of.push(at);
            if let Some(runs) = trace.runs.get_mut(at) {
                runs.push((start, end));
            }
            running::of_span(&(&node.span).into(), &mut facts, |kind| kind == Kind::Request);
        }
        for log in sure {
            let metadata = log.record.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let of_line = facts::of_line(&log.record.line, metadata);
            facts.extend(of_line.into_iter().filter(|fact| fact.kind == Kind::Request));
        }
        let mut ids: Vec<SmolStr> = facts.into_iter().map(|fact| fact.value).collect();
        ids.sort_unstable();
        ids.dedup();
        trace.request_ids = ids;
        (!nodes.is_empty()).then_some(trace)
    }

    /// Whether a span of one of these origins ran at some instant of `start..end`.
    fn ran(&self, fits: &[(usize, Fit)], start: u64, end: u64) -> bool {
        let runs = fits.iter().filter_map(|(origin, _)| self.runs.get(*origin)).flatten();
        runs.into_iter().any(|(from, to)| *from < end && *to >= start)
    }

    fn has_request_id(&self, fact: &Fact) -> bool {
        matches!(fact.kind, Kind::Request | Kind::Token | Kind::Bracket)
            && self.request_ids.iter().any(|id| facts::same(Kind::Request, &fact.value, id))
    }
}

/// Looks for lines without an id. `sure` are the lines of the trace that have one.
pub(crate) fn offer(
    traces: &dyn TraceRead,
    logs: &dyn LogRead,
    id: TraceId,
    nodes: &[SpanNode],
    sure: &[JoinedLog],
    limits: &OfferLimits,
) -> Result<Offer, ReadError> {
    let mut offer = Offer::default();
    let Some(trace) = OfTrace::new(id, nodes, sure) else { return Ok(offer) };
    let (first, last) = trace.extent;
    let length = last.saturating_sub(first);
    if length > MAX_LENGTH {
        offer.warnings.push(format!(
            "the trace lasts {} s: lines without an id are not looked for in so long a time",
            length / 1_000_000_000
        ));
        return Ok(offer);
    }
    let margin = length.saturating_mul(MARGIN).clamp(MIN_MARGIN, MAX_MARGIN);
    let later = last.saturating_add(LATE_ACCESS_LOG.max(margin));
    let window = Window { start: first.saturating_sub(margin), end: last.saturating_add(margin) };
    // Any line may name a request id, long after; of the others only those of proxies say when their request ran.
    let read = if trace.request_ids.is_empty() { window } else { Window { end: later, ..window } };
    let found = lines::read(logs, &trace, read, later, limits)?;
    if found.cut {
        offer.warnings.push(
            "more lines were written round the trace than are read for it: those without an id are not looked for"
                .to_owned(),
        );
        return Ok(offer);
    }
    if found.written.iter().all(|container| container.untold.is_empty()) {
        return Ok(offer);
    }
    let mut window = window;
    let round = OfferLimits { span_bytes: limits.span_bytes.min(ROUND_BYTES), ..limits.clone() };
    let mut requests = running::read(traces, &trace, &found.written, window, &round)?;
    if !requests.complete {
        window = Window { start: first, end: last.saturating_add(1) };
        requests = running::read(traces, &trace, &found.written, window, limits)?;
    }
    if !requests.complete {
        offer.warnings.push(
            "more requests ran beside the trace than are looked at: lines without an id are not told apart"
                .to_owned(),
        );
    }
    let stated = Sampled::stated(&trace);
    let told = found.written.iter().map(|container| requests.of(&trace, container).1);
    let told = told.fold(Sampled::default(), Sampled::and);
    for container in &found.written {
        of_container(&trace, container, &requests, window, (stated, told), limits, &mut offer);
    }
    if offer.lines.len() > limits.offered {
        let more = offer.lines.len() - limits.offered;
        offer.lines.sort_by(|a, b| b.join.confidence.total_cmp(&a.join.confidence));
        offer.lines.truncate(limits.offered);
        offer.warnings.push(format!("{more} lines without an id are left out, the least probable ones"));
    }
    Ok(offer)
}

fn of_container(
    trace: &OfTrace<'_>,
    container: &Written,
    requests: &Requests,
    window: Window,
    (stated, told): (Sampled, Sampled),
    limits: &OfferLimits,
    offer: &mut Offer,
) {
    if container.untold.is_empty() {
        return;
    }
    let (of_container, sampled) = requests.of(trace, container);
    // Whether a trace is kept is decided once for all its services.
    let sampled = stated.and(if sampled == Sampled::default() { told } else { sampled });
    let inside = container.all.iter().copied().filter(|(time, _)| window.contains(*time));
    let heard = container.heard.iter().filter(|words| window.contains(words.written.0));
    let heard = container.untold.iter().map(|line| &line.words).chain(heard);
    let scene = Scene::new(&of_container, inside, heard, window, sampled);
    for line in &container.untold {
        let named = line.words.facts.iter().any(|fact| trace.has_request_id(fact));
        let score = match scene.score(0, &line.words) {
            _ if named => Score { confidence: BY_REQUEST_ID, agreed: vec!["request_id".to_owned()] },
            Some(score) if requests.complete => score,
            _ => continue,
        };
        if score.confidence < limits.min_confidence {
            offer.improbable += 1;
            continue;
        }
        let by_access = line.is_access && (named || line.beside);
        let rule = if by_access { JoinRule::AccessLog } else { JoinRule::WorkloadTime };
        let node = span_of(trace, container, line);
        offer.lines.push(JoinedLog {
            span_id: node.map(|node| node.span.span_id),
            span_inferred: node.is_some(),
            adjusted: node.map_or(line.record.time, |node| seen::moved(line.record.time, node)),
            record: line.record.clone(),
            join: Join { rule, confidence: score.confidence, agreed: score.agreed },
        });
    }
}

/// The innermost span of the container that ran when the line was written.
fn span_of<'a>(trace: &OfTrace<'a>, container: &Written, line: &Untold) -> Option<&'a SpanNode> {
    let nodes = trace.nodes.iter().zip(&trace.origin_of);
    let ran = nodes.filter(|(_, origin)| container.fits.iter().any(|(at, _)| at == *origin));
    place::innermost(ran.map(|(node, _)| node), &line.words.facts, line.words.written)
}

#[cfg(test)]
mod tests;
