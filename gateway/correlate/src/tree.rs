//! Spans to a tree, whatever the senders did: missing parents, rings, ids used twice. Never recursive, never quadratic.

use std::cmp::Reverse;

use parsers::record::{Span, SpanId, SpanKind};
use rustc_hash::FxHashMap;

use crate::skew::{self, Times};
use crate::{ClockOffset, Oddity, SpanNode};

/// The tree, and the clocks that were off.
pub(crate) struct Tree {
    pub(crate) nodes: Vec<SpanNode>,
    pub(crate) clocks: Vec<ClockOffset>,
}

/// Parents of spans by index, and what was odd about them.
struct Shape {
    parents: Vec<Option<usize>>,
    oddities: Vec<Vec<Oddity>>,
}

/// Builds the tree in pre-order.
pub(crate) fn build(mut spans: Vec<Span>) -> Tree {
    spans.sort_by_key(|span| (span.start, Reverse(span.end), span.span_id));
    let mut shape = shape(&spans);
    cut_rings(&mut shape);
    let mut times: Vec<Times> = spans.iter().map(Times::sent).collect();
    let mut children = children(&shape.parents);
    let clocks = skew::adjust(&spans, &shape.parents, &children, &mut times);
    for siblings in &mut children {
        siblings.sort_by_key(|&child| times.get(child).map(|t| (t.start, Reverse(t.end))));
    }

    let mut spans: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
    let mut nodes: Vec<SpanNode> = Vec::with_capacity(spans.len());
    let roots = shape.parents.iter().enumerate().filter(|(_, parent)| parent.is_none()).map(|(root, _)| root);
    let mut roots: Vec<usize> = roots.collect();
    roots.sort_by_key(|&root| times.get(root).map(|t| t.start));
    let mut open: Vec<(usize, Option<usize>, u32)> =
        roots.into_iter().rev().map(|root| (root, None, 0)).collect();
    while let Some((index, parent, depth)) = open.pop() {
        let (Some(span), Some(time)) = (spans.get_mut(index).and_then(Option::take), times.get(index)) else {
            continue;
        };
        let mut oddities = shape.oddities.get_mut(index).map(std::mem::take).unwrap_or_default();
        if time.moved {
            oddities.push(Oddity::SkewAdjusted);
        }
        if span.end < span.start {
            oddities.push(Oddity::EndsBeforeStart);
        }
        let call =
            parent.and_then(|parent| nodes.get(parent)).filter(|call| call.span.kind == SpanKind::Client);
        if span.kind == SpanKind::Server && call.is_some_and(|call| time.start > call.end) {
            oddities.push(Oddity::AfterCall);
        }
        let kids = children.get(index).map(Vec::as_slice).unwrap_or_default();
        let inside = kids.iter().filter_map(|&kid| times.get(kid)).map(|kid| (kid.start, kid.end));
        let self_time = uncovered(time.start, time.end, inside);
        let place = nodes.len();
        open.extend(kids.iter().rev().map(|&kid| (kid, Some(place), depth + 1)));
        nodes.push(SpanNode { span, parent, depth, start: time.start, end: time.end, self_time, oddities });
    }
    Tree { nodes, clocks }
}

/// Spans whose id another one has, without the two halves of one call, to which Zipkin gives one.
pub(crate) fn with_ids_of_others(nodes: &[SpanNode]) -> usize {
    let shared = nodes.iter().filter(|node| node.is(Oddity::SharedId));
    let mut by_id: FxHashMap<SpanId, Vec<&SpanNode>> = FxHashMap::default();
    shared.for_each(|node| by_id.entry(node.span.span_id).or_default().push(node));
    let halves = |nodes: &[&SpanNode]| {
        let [a, b] = nodes else { return false };
        let calls = |a: &Span, b: &Span| {
            use SpanKind::{Client, Consumer, Producer, Server};
            matches!((a.kind, b.kind), (Client, Server) | (Producer, Consumer))
        };
        calls(&a.span, &b.span) || calls(&b.span, &a.span)
    };
    by_id.values().filter(|nodes| !halves(nodes)).map(Vec::len).sum()
}

/// Time of `start..end` that no interval covers; intervals come by start.
fn uncovered(start: u64, end: u64, intervals: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut free = 0;
    let mut cursor = start;
    for (from, to) in intervals {
        let (from, to) = (from.clamp(start, end), to.clamp(start, end));
        free += from.saturating_sub(cursor);
        cursor = cursor.max(to);
    }
    free + end.saturating_sub(cursor)
}

fn is_callee(span: &Span) -> bool {
    matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
}

fn shape(spans: &[Span]) -> Shape {
    let mut by_id: FxHashMap<SpanId, Holders> = FxHashMap::default();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(span.span_id).or_default().add(index, spans);
    }
    let mut parents = Vec::with_capacity(spans.len());
    let mut oddities = Vec::with_capacity(spans.len());
    let states = states(spans, &by_id);
    for (index, span) in spans.iter().enumerate() {
        let mut odd = Vec::new();
        let own = by_id.get(&span.span_id);
        if own.is_some_and(|holders| holders.count > 1) {
            let state = states.get(&state(span));
            if state.is_some_and(|(last, _)| *last != index) {
                odd.push(Oddity::EarlierState);
            } else if own.map(|holders| holders.count) != state.map(|(_, count)| *count) {
                odd.push(Oddity::SharedId);
            }
        }
        // Zipkin: both halves of a call have one id, and the server's half belongs under the client's.
        let caller = own.filter(|_| is_callee(span)).and_then(|holders| holders.caller);
        let parent = match (caller, span.parent_span_id) {
            (Some(caller), _) => Some(caller),
            (None, None) => None,
            (None, Some(id)) if id == span.span_id => {
                odd.push(Oddity::CycleCut);
                None
            }
            (None, Some(id)) => {
                let parent = by_id.get(&id).and_then(|holders| holders.parent_of(span));
                if parent.is_none() {
                    odd.push(Oddity::Orphan);
                }
                parent
            }
        };
        parents.push(parent.filter(|&parent| parent != index));
        oddities.push(odd);
    }
    Shape { parents, oddities }
}

/// What stays the same of a span while it grows.
type State<'a> = (SpanId, SpanKind, u64, &'a str, &'a str);

fn state(span: &Span) -> State<'_> {
    (span.span_id, span.kind, span.start, span.resource.service(), &span.name)
}

/// Of spans that were sent more than once the last state, by index, and how many there are: it ends last, or says most.
fn states<'a>(spans: &'a [Span], by_id: &FxHashMap<SpanId, Holders>) -> FxHashMap<State<'a>, (usize, usize)> {
    let mut states: FxHashMap<State<'_>, (usize, usize)> = FxHashMap::default();
    let says = |span: &Span| (span.end, span.attributes.len() + span.events.len());
    for (index, span) in spans.iter().enumerate() {
        // Most ids are one span's.
        if by_id.get(&span.span_id).is_none_or(|holders| holders.count < 2) {
            continue;
        }
        let (last, count) = states.entry(state(span)).or_insert((index, 0));
        *count += 1;
        if spans.get(*last).is_some_and(|known| says(known) < says(span)) {
            *last = index;
        }
    }
    states
}

/// Who has one id: enough to choose a parent without walking over all of them.
#[derive(Default)]
struct Holders {
    count: usize,
    first: Option<usize>,
    caller: Option<usize>,
    callee: Option<usize>,
    /// The first of each service, once there is a second with the id.
    by_service: FxHashMap<String, usize>,
}

impl Holders {
    fn add(&mut self, index: usize, spans: &[Span]) {
        let Some(span) = spans.get(index) else { return };
        self.count += 1;
        let first = *self.first.get_or_insert(index);
        if is_callee(span) {
            self.callee.get_or_insert(index);
        } else if matches!(span.kind, SpanKind::Client | SpanKind::Producer) {
            self.caller.get_or_insert(index);
        }
        if self.count > 1 {
            // Most ids are one span's.
            for index in [first, index] {
                let service = spans.get(index).map(|span| span.resource.service()).unwrap_or_default();
                if !self.by_service.contains_key(service) {
                    self.by_service.insert(service.to_owned(), index);
                }
            }
        }
    }

    /// The half of the child's own service made it, else the half that was called.
    fn parent_of(&self, child: &Span) -> Option<usize> {
        if self.count == 1 {
            return self.first;
        }
        self.by_service.get(child.resource.service()).copied().or(self.callee).or(self.first)
    }
}

/// Cuts each ring at its earliest span, which becomes a root.
fn cut_rings(shape: &mut Shape) {
    let count = shape.parents.len();
    // 0: not seen; otherwise the walk that saw it.
    let mut seen_by = vec![0usize; count];
    for start in 0..count {
        let walk = start + 1;
        let mut at = Some(start);
        while let Some(index) = at {
            match seen_by.get_mut(index) {
                Some(seen) if *seen == 0 => *seen = walk,
                Some(seen) if *seen == walk => {
                    cut(shape, index);
                    break;
                }
                _ => break,
            }
            at = shape.parents.get(index).copied().flatten();
        }
    }
}

fn cut(shape: &mut Shape, ring: usize) {
    let mut earliest = ring;
    let mut at = shape.parents.get(ring).copied().flatten();
    while let Some(index) = at.filter(|&index| index != ring) {
        earliest = earliest.min(index);
        at = shape.parents.get(index).copied().flatten();
    }
    if let (Some(parent), Some(odd)) = (shape.parents.get_mut(earliest), shape.oddities.get_mut(earliest)) {
        *parent = None;
        odd.push(Oddity::CycleCut);
    }
}

fn children(parents: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); parents.len()];
    for (index, parent) in parents.iter().enumerate() {
        if let Some(siblings) = parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(index);
        }
    }
    children
}

#[cfg(test)]
mod tests;
