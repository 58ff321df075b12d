//! Clock skew: hosts whose clocks disagree are brought together, one offset a host, by the calls between them.
//!
//! Each call between two hosts admits a range of offsets with which the child lies inside its parent. The offset that most
//! calls of the pair admit is theirs, none if that is as good; offsets add up from the first root's host on. What then still
//! lies outside, as Jaeger has it, is moved inside alone, by as little as possible. What may well run later is only kept from starting
//! before its parent: a child that lasted longer, one that a message started, and one whose caller gave up. And where the other calls
//! of a pair show how their clocks stand, a request that began only after its call is left there: it was late.

use std::collections::BTreeMap;

use parsers::record::{Span, SpanKind, StatusCode, Value, attribute};
use rustc_hash::FxHashMap;

use crate::ClockOffset;

/// Calls of a pair of hosts that are weighed: more say the same.
const MAX_CALLS: usize = 2_000;
/// So many calls that one offset fits show how two clocks stand...
const PROOF: usize = 2;
/// ...if there are so many of them for each that it does not fit: else one of the clocks was set meanwhile.
const PROOF_FOR_EACH: usize = 2;

/// A span's times while they may still move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) moved: bool,
}

impl Times {
    pub(crate) fn sent(span: &Span) -> Self {
        Self { start: span.start, end: span.end.max(span.start), moved: false }
    }

    fn shift(&mut self, delta: i128) {
        let duration = self.end - self.start;
        let latest = i128::from(u64::MAX - duration);
        let start = (i128::from(self.start) + delta).clamp(0, latest) as u64;
        self.moved = start != self.start;
        self.start = start;
        self.end = start + duration;
    }
}

/// Offsets of a child's clock, from and to, with which it lies inside its parent.
type Range = (i128, i128);

/// Whose clock stamped a span: the most exact of host, pod and instance that it names, else its service.
pub(crate) fn clock(span: &Span) -> &str {
    let keys = ["k8s.node.name", "host.name", "k8s.pod.uid", "k8s.pod.name", "service.instance.id"];
    let of = |key: &str| attribute(&span.resource.attributes, key).and_then(Value::as_str);
    let named = keys.iter().find_map(|key| of(key).filter(|name| !name.is_empty()));
    named.unwrap_or_else(|| span.resource.service())
}

/// Clocks by number, each once, with the number of each span's.
fn clocks(spans: &[Span]) -> (Vec<&str>, Vec<usize>) {
    let mut names: Vec<&str> = Vec::new();
    let mut by_name: FxHashMap<&str, usize> = FxHashMap::default();
    // Spans of one process share their resource, and what shares it need not be asked again.
    let mut by_resource: FxHashMap<*const parsers::record::Resource, usize> = FxHashMap::default();
    let of = spans.iter().map(|span| {
        *by_resource.entry(std::sync::Arc::as_ptr(&span.resource)).or_insert_with(|| {
            let name = clock(span);
            *by_name.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        })
    });
    let of = of.collect();
    (names, of)
}

/// Moves times in place; tells which clocks were off, those with most spans first. `parents` must be free of rings.
pub(crate) fn adjust(
    spans: &[Span],
    parents: &[Option<usize>],
    children: &[Vec<usize>],
    times: &mut [Times],
) -> Vec<ClockOffset> {
    let (names, of) = clocks(spans);
    let clock_of = |index: usize| of.get(index).copied().unwrap_or(0);
    let mut calls: BTreeMap<(usize, usize), Vec<Range>> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        let Some(parent) = parents.get(index).copied().flatten() else { continue };
        let (above, below) = (clock_of(parent), clock_of(index));
        let (Some(child), Some(outer)) = (times.get(index), times.get(parent)) else { continue };
        if above == below {
            continue;
        }
        let later = spans.get(parent).is_some_and(|above| may_run_later(span, above));
        let (from, to) = admitted(*child, *outer, later);
        // Of the pair the lower number is the one that is measured against.
        let (pair, range) =
            if above < below { ((above, below), (from, to)) } else { ((below, above), (-to, -from)) };
        let ranges = calls.entry(pair).or_default();
        if ranges.len() < MAX_CALLS {
            ranges.push(range);
        }
    }
    if calls.is_empty() {
        return Vec::new();
    }
    let first = parents.iter().position(Option::is_none).map_or(0, clock_of);
    let pairs: BTreeMap<(usize, usize), Agreed> =
        calls.iter().map(|(pair, ranges)| (*pair, agreed(ranges))).collect();
    let offsets = offsets(&pairs, names.len(), first);
    let roots = parents.iter().enumerate().filter(|(_, parent)| parent.is_none()).map(|(root, _)| root);
    let offset_of = |index: usize| offsets.get(clock_of(index)).and_then(|o| o.as_ref()).map_or(0, |o| o.by);
    let mut open: Vec<(usize, i128)> = roots.map(|root| (root, offset_of(root))).collect();
    while let Some((index, inherited)) = open.pop() {
        let mut delta = inherited;
        if let Some(parent) = parents.get(index).copied().flatten()
            && clock_of(parent) != clock_of(index)
            && let (Some(child), Some(above)) = (times.get(index), times.get(parent))
            && let (Some(span), Some(of)) = (spans.get(index), spans.get(parent))
        {
            let (a, b) = (clock_of(parent), clock_of(index));
            let known = pairs.get(&(a.min(b), a.max(b))).is_some_and(Agreed::is_proven);
            let offset = offset_of(index);
            let late =
                known && is_request(span, of) && i128::from(child.start) + offset > i128::from(above.end);
            // A request that lies inside as it was sent never leaves for an offset.
            let sent = Times::sent(of);
            let inside = sent.start <= child.start && child.end <= sent.end;
            let later = (late && !inside) || may_run_later(span, of) && !(inside && is_request(span, of));
            let (from, to) = admitted(*child, *above, later);
            delta = offset.clamp(from, to);
        }
        if delta != 0
            && let Some(time) = times.get_mut(index)
        {
            time.shift(delta);
        }
        let kids = children.get(index).map(Vec::as_slice).unwrap_or_default();
        open.extend(kids.iter().map(|&kid| (kid, delta)));
    }
    told(offsets, &names, times, &of)
}

fn is_request(child: &Span, parent: &Span) -> bool {
    child.kind == SpanKind::Server && parent.kind == SpanKind::Client
}

/// Whether a child may begin after its parent has ended: a message waits in its queue, and a request in that of a server whose caller
/// has given up.
fn may_run_later(child: &Span, parent: &Span) -> bool {
    let has = |key: &str| attribute(&parent.attributes, key).is_some();
    let by_message = child.kind == SpanKind::Consumer
        || parent.kind == SpanKind::Producer
        || (parent.kind == SpanKind::Client && has("messaging.system"));
    by_message || (is_request(child, parent) && gave_up(parent))
}

/// Whether a call failed without an answer, as far as it tells.
fn gave_up(call: &Span) -> bool {
    /// gRPC's codes that a client gives itself: cancelled, deadline exceeded, unavailable.
    const OWN: [&str; 6] = ["1", "4", "14", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE"];
    let of = |key: &str| attribute(&call.attributes, key);
    let answered = of("http.response.status_code").or_else(|| of("http.status_code")).is_some();
    let rpc = of("rpc.response.status_code").or_else(|| of("rpc.grpc.status_code"));
    let own = rpc.is_none_or(|code| match code {
        Value::Str(code) => OWN.contains(&&**code),
        Value::Int(code) => OWN.contains(&&*code.to_string()),
        _ => false,
    });
    call.status.code == StatusCode::Error && !answered && own
}

/// Offsets with which a child lies inside its parent, or after its start if it may run later.
fn admitted(child: Times, parent: Times, later: bool) -> Range {
    let from = i128::from(parent.start) - i128::from(child.start);
    let open = later || child.end - child.start > parent.end - parent.start;
    let to = if open { i128::from(u64::MAX) } else { i128::from(parent.end) - i128::from(child.end) };
    (from, to)
}

/// The offset of a pair of clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Agreed {
    by: i128,
    /// Calls between them...
    calls: usize,
    /// ...and how many of these it fits.
    fits: usize,
}

impl Agreed {
    /// Whether what it does not fit can be told from a clock that is off.
    fn is_proven(&self) -> bool {
        self.fits >= PROOF && self.fits >= PROOF_FOR_EACH * (self.calls - self.fits)
    }
}

/// How much is added to the times of a clock, and what says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offset {
    by: i128,
    against: usize,
    calls: usize,
}

/// The offset of each clock, from the first one on along the pairs with most calls.
fn offsets(pairs: &BTreeMap<(usize, usize), Agreed>, clocks: usize, first: usize) -> Vec<Option<Offset>> {
    let mut offsets: Vec<Option<Offset>> = vec![None; clocks];
    let mut pairs: Vec<(&(usize, usize), &Agreed)> = pairs.iter().collect();
    pairs.sort_by_key(|(pair, agreed)| (std::cmp::Reverse(agreed.calls), **pair));
    let mut start = Some(first);
    while let Some(at) = start {
        if let Some(slot) = offsets.get_mut(at) {
            *slot = Some(Offset { by: 0, against: at, calls: 0 });
        }
        // Each round reaches one more clock.
        loop {
            let by = |clock: usize| offsets.get(clock).and_then(|o| o.as_ref()).map(|o| o.by);
            let next = pairs.iter().find_map(|((a, b), agreed)| match (by(*a), by(*b)) {
                (Some(known), None) => Some((*b, *a, known + agreed.by, agreed.calls)),
                (None, Some(known)) => Some((*a, *b, known - agreed.by, agreed.calls)),
                _ => None,
            });
            let Some((clock, against, by, calls)) = next else { break };
            let Some(slot) = offsets.get_mut(clock) else { break };
            *slot = Some(Offset { by, against, calls });
        }
        // A clock that no call leads to from there stands for itself.
        start = offsets.iter().position(Option::is_none);
    }
    offsets
}

/// The offset that most of the ranges admit: none if that is one of them, else the middle of those.
fn agreed(ranges: &[Range]) -> Agreed {
    let admits = |by: i128| ranges.iter().filter(|(from, to)| *from <= by && by <= *to).count();
    let mut ends: Vec<(i128, i8)> = ranges.iter().flat_map(|(from, to)| [(*from, 0), (*to, 1)]).collect();
    ends.sort_unstable();
    let (mut open, mut most, mut best) = (0usize, 0usize, (0, 0));
    for (at, (place, closes)) in ends.iter().enumerate() {
        if *closes == 1 {
            open = open.saturating_sub(1);
            continue;
        }
        open += 1;
        if open > most {
            most = open;
            let until = ends.get(at + 1..).unwrap_or_default().iter().find(|(_, closes)| *closes == 1);
            best = (*place, until.map_or(*place, |(place, _)| *place));
        }
    }
    // Open to one side: by as little as possible.
    let limit = i128::from(u64::MAX);
    let by = match best {
        _ if admits(0) >= most => 0,
        (from, to) if to >= limit => from.max(0),
        (from, to) if from <= -limit => to.min(0),
        (from, to) => from + (to - from) / 2,
    };
    Agreed { by, calls: ranges.len(), fits: admits(by) }
}

fn told(offsets: Vec<Option<Offset>>, names: &[&str], times: &[Times], of: &[usize]) -> Vec<ClockOffset> {
    let mut moved = vec![0u64; names.len()];
    for (time, clock) in times.iter().zip(of) {
        if let Some(count) = moved.get_mut(*clock).filter(|_| time.moved) {
            *count += 1;
        }
    }
    let name = |clock: usize| names.get(clock).copied().unwrap_or_default().to_owned();
    let mut list: Vec<ClockOffset> = offsets
        .into_iter()
        .zip(moved)
        .enumerate()
        .filter_map(|(clock, (offset, spans))| {
            let offset = offset?;
            (spans > 0).then(|| ClockOffset {
                host: name(clock),
                against: name(offset.against),
                by: offset.by.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
                calls: offset.calls as u64,
                spans,
            })
        })
        .collect();
    list.sort_by_key(|offset| std::cmp::Reverse(offset.spans));
    list
}
