//! What an analysis keeps of one trace, or of one span and what is below it: how much time each operation took, what failed, who
//! called whom, and facts.

use std::fmt::Write as _;

use parsers::record::{SpanId, StatusCode, TraceId, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{SpanView, ValueView};

use super::calls::{Calls, CallsBy, calls};
use super::code::CodeAttributes;
use super::options::{MAX_TRACE_FACTS, MAX_TRACE_ROOTS};
use super::resources::{Resources, light};
use super::vocabulary::{AttributeScope, Fact, Vocabulary};
use crate::{Oddity, SpanNode, critical, tree};

/// A trace, or the part of one below a span.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) trace: TraceId,
    /// The root.
    pub(crate) span: SpanId,
    /// Whether it is one of several of its trace.
    pub(crate) of_several: bool,
    /// Start of the root.
    pub(crate) start: u64,
    /// Time of the root.
    pub(crate) duration: u64,
    /// Whether the root failed.
    pub(crate) failed: bool,
    /// Whether the root's times are the whole's: not where it names a parent that is missing and others stand beside it.
    pub(crate) rooted: bool,
    /// Whether spans ran while the root did of which nobody knows below which they belong, since their parents are missing.
    pub(crate) gaps: bool,
    /// What ran on longest after the root had ended, ns, and its operation.
    pub(crate) after: Option<(u64, u32)>,
    /// Operation of the root.
    pub(crate) root: u32,
    /// By operation.
    pub(crate) cells: Vec<Cell>,
    /// Who called whom, sorted, each once; `None` is nobody.
    pub(crate) edges: Vec<(Option<u32>, u32)>,
    /// Numbers of facts, sorted, each once.
    pub(crate) facts: Vec<u32>,
    /// Facts that only lines without an id tell, each once, with how probable it is that these are the trace's own; the more
    /// probable ones are among `facts`, too.
    pub(crate) probable: Vec<(u32, f64)>,
    /// Whether lines of the trace were read.
    pub(crate) lines_read: bool,
    /// Its operations of which lines may be missing all the same, sorted: those without an id, which were not looked for.
    pub(crate) unread: Vec<u32>,
    /// Whether there are no lines without an id but those that were looked for.
    pub(crate) looked_for: bool,
    /// Calls by the value by which they are told apart.
    pub(crate) calls: Vec<Calls>,
}

/// What an operation did in one trace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    pub(crate) operation: u32,
    pub(crate) spans: u32,
    /// Spans that failed.
    pub(crate) errors: u32,
    /// Spans that failed though none below them did: where an error began.
    pub(crate) error_origins: u32,
    /// Time on the critical path, ns.
    pub(crate) critical: u64,
    /// Self time of all its spans, ns.
    pub(crate) own: u64,
    /// Longest span, ns.
    pub(crate) longest: u64,
}

impl Digest {
    /// Whether all lines of an operation were read.
    pub(crate) fn lines_read_of(&self, operation: u32) -> bool {
        self.lines_read && self.unread.binary_search(&operation).is_err()
    }

    pub(crate) fn cell(&self, operation: u32) -> Option<&Cell> {
        let found = self.cells.binary_search_by_key(&operation, |cell| cell.operation).ok()?;
        self.cells.get(found)
    }
}

/// Which part of a trace is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// All of it.
    Whole,
    /// What is below each of these spans, by index, that is not below another.
    Below(&'a [usize]),
}

/// What is kept of one trace.
#[derive(Debug, Default)]
pub(crate) struct Digested {
    /// One, or one of each span below which is looked.
    pub(crate) digests: Vec<Digest>,
    /// How many there would be without a bound.
    pub(crate) all: usize,
}

/// Digests a trace; nothing if it has no span that is wanted.
pub(crate) fn digest(
    views: &[SpanView<'_>],
    part: Part<'_>,
    by: Option<CallsBy<'_>>,
    resources: &mut Resources,
    vocabulary: &mut Vocabulary,
) -> Digested {
    let light = |(place, view): (usize, &SpanView<'_>)| light(view, place, resources);
    let nodes = tree::build(views.iter().enumerate().map(light).collect()).nodes;
    let mut roots: Vec<(usize, usize)> = match part {
        Part::Whole => whole_root(&nodes).map(|root| (root, nodes.len())).into_iter().collect(),
        Part::Below(found) => highest(&nodes, found),
    };
    let all = roots.len();
    if all > MAX_TRACE_ROOTS {
        let id = |root: &(usize, usize)| nodes.get(root.0).map_or(0, |node| node.span.span_id.bits());
        roots.sort_by_key(|root| (scattered(id(root)), root.0));
        roots.truncate(MAX_TRACE_ROOTS);
        roots.sort_unstable();
    }
    let orphans: Vec<usize> = (0..nodes.len())
        .filter(|index| nodes.get(*index).is_some_and(|node| node.is(Oddity::Orphan)))
        .collect();
    let passes_on = passes_on(&nodes);
    let mut digests = Vec::with_capacity(roots.len());
    for (root, end) in roots {
        let first = match part {
            Part::Whole => 0,
            Part::Below(_) => root,
        };
        let looked_at =
            LookedAt { views, nodes: &nodes, passes_on: &passes_on, orphans: &orphans, root, first, end };
        digests.extend(looked_at.digest(all > 1, by, resources, vocabulary));
    }
    Digested { digests, all }
}

/// The root that took longest, of those whose parents are not missing if there is one.
fn whole_root(nodes: &[SpanNode]) -> Option<usize> {
    let rooted = |node: &SpanNode| node.parent.is_none() && !node.is(Oddity::Orphan);
    critical::longest(nodes, rooted).or_else(|| critical::longest_root(nodes))
}

/// Of these spans, by what they are in what was read, those that are not below another, each with the end of what is below it.
fn highest(nodes: &[SpanNode], found: &[usize]) -> Vec<(usize, usize)> {
    let found: FxHashSet<usize> = found.iter().copied().collect();
    let mut roots = Vec::new();
    let mut index = 0;
    // Parents stand before their children, and what is below a span right after it.
    while let Some(node) = nodes.get(index) {
        if found.contains(&(node.span.flags as usize)) {
            let end = critical::end_of(nodes, index);
            roots.push((index, end));
            index = end;
        } else {
            index += 1;
        }
    }
    roots
}

/// Spans below which one failed.
fn passes_on(nodes: &[SpanNode]) -> Vec<bool> {
    let mut passes_on = vec![false; nodes.len()];
    for node in nodes.iter().filter(|node| failed(node)) {
        let mut above = node.parent;
        // Above one that is known to pass an error on all do.
        while let Some((parent, place)) = above.and_then(|at| Some((at, passes_on.get_mut(at)?))) {
            if std::mem::replace(place, true) {
                break;
            }
            above = nodes.get(parent).and_then(|node| node.parent);
        }
    }
    passes_on
}

/// The part of a trace that one digest is of: nodes from `first` to before `end`, by index.
struct LookedAt<'a> {
    views: &'a [SpanView<'a>],
    nodes: &'a [SpanNode],
    passes_on: &'a [bool],
    orphans: &'a [usize],
    root: usize,
    first: usize,
    end: usize,
}

impl<'a> LookedAt<'a> {
    fn inside(&self) -> impl Iterator<Item = (usize, &'a SpanNode)> + use<'a> {
        self.nodes.iter().enumerate().take(self.end).skip(self.first)
    }

    fn view_of(&self, node: &SpanNode) -> Option<&'a SpanView<'a>> {
        self.views.get(node.span.flags as usize)
    }

    fn digest(
        &self,
        of_several: bool,
        by: Option<CallsBy<'_>>,
        resources: &mut Resources,
        vocabulary: &mut Vocabulary,
    ) -> Option<Digest> {
        let root = self.nodes.get(self.root)?;
        let name = |node: &SpanNode| self.view_of(node).map(SpanView::name).unwrap_or_default();
        let operations: Vec<u32> =
            self.inside().map(|(_, node)| vocabulary.operation(node.service(), &name(node))).collect();
        let operation = |index: usize| operations.get(index.checked_sub(self.first)?).copied();
        let mut cells: FxHashMap<u32, Cell> = FxHashMap::default();
        let mut edges = Vec::new();
        let mut facts = Vec::new();
        let mut after: Option<(u64, u32)> = None;
        for (index, node) in self.inside() {
            let Some(number) = operation(index) else { continue };
            let cell = cells.entry(number).or_insert_with(|| Cell { operation: number, ..Cell::default() });
            cell.spans += 1;
            cell.own += node.self_time;
            cell.longest = cell.longest.max(node.duration());
            if failed(node) {
                cell.errors += 1;
                let passes_on = self.passes_on.get(index).copied().unwrap_or_default();
                cell.error_origins += u32::from(!passes_on);
            }
            let caller = if index == self.root { None } else { node.parent.and_then(operation) };
            // Who called a span whose parent is missing is not known: somebody did.
            if index == self.root || !node.is(Oddity::Orphan) {
                edges.push((caller, number));
            }
            after = after.max(node.end.checked_sub(root.end).filter(|ns| *ns > 0).map(|ns| (ns, number)));
            if facts.len() < MAX_TRACE_FACTS
                && let Some(view) = self.view_of(node)
            {
                resources.facts(&node.span.resource, number, vocabulary, &mut facts);
                span_facts(view, number, vocabulary, &mut facts);
            }
        }
        for stretch in critical::below(self.nodes, self.root) {
            if let Some(cell) = operation(stretch.node).and_then(|number| cells.get_mut(&number)) {
                cell.critical += stretch.end - stretch.start;
            }
        }
        let mut cells: Vec<Cell> = cells.into_values().collect();
        cells.sort_by_key(|cell| cell.operation);
        sort_once(&mut edges);
        sort_once(&mut facts);
        let calls = by.map(|by| {
            let inside = self.inside().map(|(index, _)| index);
            calls(self.nodes, inside, |node| self.view_of(node), by, vocabulary)
        });
        let tops = || self.nodes.iter().filter(|node| node.parent.is_none()).count();
        let of_the_whole = self.first == 0 && self.end == self.nodes.len();
        Some(Digest {
            trace: root.span.trace_id,
            span: root.span.span_id,
            of_several,
            start: root.start,
            duration: root.duration(),
            failed: failed(root),
            rooted: !of_the_whole || !root.is(Oddity::Orphan) || tops() == 1,
            gaps: self.gaps(root),
            after,
            root: operation(self.root)?,
            cells,
            edges,
            facts,
            probable: Vec::new(),
            lines_read: false,
            unread: Vec::new(),
            looked_for: false,
            calls: calls.unwrap_or_default(),
        })
    }

    /// Whether spans that nobody can place ran while the root did.
    fn gaps(&self, root: &SpanNode) -> bool {
        let below = self.root..critical::end_of(self.nodes, self.root);
        let meanwhile = |node: &SpanNode| root.start <= node.start && node.start <= root.end;
        let outside = self.orphans.iter().filter(|index| !below.contains(index));
        outside.filter_map(|index| self.nodes.get(*index)).any(meanwhile)
    }
}

pub(crate) fn sort_once<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

fn failed(node: &SpanNode) -> bool {
    node.span.status.code == StatusCode::Error
}

/// A place that has nothing to do with what an id is: most are random, but some are a counter or a time. A bijection.
pub(crate) fn scattered(mut bits: u64) -> u64 {
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb)] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(factor);
    }
    bits ^ (bits >> 31)
}

fn span_facts(view: &SpanView<'_>, operation: u32, vocabulary: &mut Vocabulary, out: &mut Vec<u32>) {
    let mut code = CodeAttributes::default();
    view.attributes(&mut |name, value| {
        if name.starts_with("code.") {
            text(&value, |text| code.take(name, text));
            return;
        }
        let key = vocabulary.key(AttributeScope::Span, name);
        let fact = text(&value, |text| vocabulary.attribute(operation, key, text));
        out.extend(fact.flatten());
    });
    if let Some(place) = code.place().and_then(|place| vocabulary.value(&place.to_string())) {
        out.extend(vocabulary.fact(Fact::Code { operation, place, from_line: false }));
    }
}

/// Gives a value as text, if it is one that may be compared: texts, numbers and truth.
pub(crate) fn text<T>(value: &ValueView<'_>, take: impl FnOnce(&str) -> T) -> Option<T> {
    let mut written = String::new();
    match value {
        ValueView::Str(text) => return (!text.is_empty()).then(|| take(text)),
        ValueView::Bool(truth) => return Some(take(if *truth { "true" } else { "false" })),
        ValueView::Int(number) => write!(written, "{number}").ok()?,
        ValueView::Double(number) => write!(written, "{number}").ok()?,
        ValueView::Other(other) => match &**other {
            Value::Array(list) if list.len() == 1 => {
                return list.first().and_then(|one| text(&one.into(), take));
            }
            _ => return None,
        },
    }
    Some(take(&written))
}
