//! What an analysis keeps of one trace: how much time each operation took, what failed, who called whom, and facts.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parsers::record::{Resource, Scope, Span, Status, StatusCode, TraceId, Value};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use store::read::{SpanView, ValueView};

use super::code::CodeAttributes;
use super::options::MAX_TRACE_FACTS;
use super::vocabulary::{AttributeScope, Fact, Vocabulary};
use crate::{Oddity, SpanNode, critical, tree};

/// A trace, or the part of one below a span.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) trace: TraceId,
    /// Start of the root.
    pub(crate) start: u64,
    /// Time of the root.
    pub(crate) duration: u64,
    /// Whether the root failed.
    pub(crate) failed: bool,
    /// Whether no span names a parent that is missing, but for the root.
    pub(crate) complete: bool,
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
    /// The value by which it is grouped, if it has just one.
    pub(crate) group: Group,
}

/// Which group a trace is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// None was asked for, or the spans have none.
    None,
    /// This value's.
    One(u32),
    /// Spans have different values.
    Mixed,
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
    /// What is below the first of these spans, by index, that is not below another.
    Below(&'a [usize]),
}

/// By which attribute of which service traces are grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupBy<'a> {
    pub(crate) service: &'a str,
    pub(crate) attribute: &'a str,
}

/// Digests a trace; `None` if it has no span that is wanted.
pub(crate) fn digest(
    views: &[SpanView<'_>],
    part: Part<'_>,
    by: Option<GroupBy<'_>>,
    resources: &mut Resources,
    vocabulary: &mut Vocabulary,
) -> Option<Digest> {
    let trace = views.first()?.trace_id;
    let light = |(place, view): (usize, &SpanView<'_>)| light(view, place, resources);
    let nodes = tree::build(views.iter().enumerate().map(light).collect()).nodes;
    let view_of = |node: &SpanNode| views.get(node.span.flags as usize);
    let root = match part {
        Part::Whole => critical::longest_root(&nodes)?,
        Part::Below(found) => {
            let found: FxHashSet<usize> = found.iter().copied().collect();
            // Parents stand before their children.
            nodes.iter().position(|node| found.contains(&(node.span.flags as usize)))?
        }
    };
    let node = nodes.get(root)?;
    let end = match part {
        Part::Whole => nodes.len(),
        Part::Below(_) => {
            let deeper = nodes.iter().skip(root + 1).take_while(|below| below.depth > node.depth);
            root + 1 + deeper.count()
        }
    };
    let first = match part {
        Part::Whole => 0,
        Part::Below(_) => root,
    };
    let name = |node: &SpanNode| view_of(node).map(SpanView::name).unwrap_or_default();
    let operations: Vec<u32> =
        nodes.iter().map(|node| vocabulary.operation(node.service(), &name(node))).collect();
    let inside = || nodes.iter().enumerate().take(end).skip(first);
    let operation = |index: usize| operations.get(index).copied();

    let mut cells: FxHashMap<u32, Cell> = FxHashMap::default();
    let mut passes_on = vec![false; nodes.len()];
    for (_, node) in inside().filter(|(_, node)| failed(node)) {
        let mut above = node.parent;
        // Above one that is known to pass an error on all do.
        while let Some((parent, place)) = above.and_then(|at| Some((at, passes_on.get_mut(at)?))) {
            if std::mem::replace(place, true) {
                break;
            }
            above = nodes.get(parent).and_then(|node| node.parent);
        }
    }
    let mut edges = Vec::new();
    let mut facts = Vec::new();
    let mut groups: Vec<u32> = Vec::new();
    for (index, node) in inside() {
        let Some(number) = operation(index) else { continue };
        let cell = cells.entry(number).or_insert_with(|| Cell { operation: number, ..Cell::default() });
        cell.spans += 1;
        cell.own += node.self_time;
        cell.longest = cell.longest.max(node.duration());
        if failed(node) {
            cell.errors += 1;
            cell.error_origins += u32::from(!passes_on.get(index).copied().unwrap_or_default());
        }
        let caller = if index == root { None } else { node.parent.and_then(operation) };
        edges.push((caller, number));
        if facts.len() < MAX_TRACE_FACTS
            && let Some(view) = view_of(node)
        {
            resources.facts(&node.span.resource, number, vocabulary, &mut facts);
            span_facts(view, number, vocabulary, &mut facts);
        }
        if let Some(by) = by.filter(|by| by.service == node.service())
            && let Some(view) = view_of(node)
        {
            groups.extend(group(view, by.attribute, vocabulary));
        }
    }
    for stretch in critical::below(&nodes, root) {
        if let Some(cell) = operation(stretch.node).and_then(|number| cells.get_mut(&number)) {
            cell.critical += stretch.end - stretch.start;
        }
    }
    let mut cells: Vec<Cell> = cells.into_values().collect();
    cells.sort_by_key(|cell| cell.operation);
    sort_once(&mut edges);
    sort_once(&mut facts);
    sort_once(&mut groups);
    let tops = nodes.iter().filter(|node| node.parent.is_none()).count();
    Some(Digest {
        trace,
        start: node.start,
        duration: node.duration(),
        failed: failed(node),
        complete: tops == 1 || !nodes.iter().any(|node| node.is(Oddity::Orphan)),
        root: operation(root)?,
        cells,
        edges,
        facts,
        probable: Vec::new(),
        lines_read: false,
        unread: Vec::new(),
        looked_for: false,
        group: match groups.as_slice() {
            [] => Group::None,
            [one] => Group::One(*one),
            _ => Group::Mixed,
        },
    })
}

pub(crate) fn sort_once<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

fn failed(node: &SpanNode) -> bool {
    node.span.status.code == StatusCode::Error
}

/// Resources that are held at a time, and pairs of them with operations: there is one for each process that sends spans.
const MAX_RESOURCES: usize = 4_096;

/// Resources of all traces, each copied once, with what they say.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// By a hash of what they say.
    known: FxHashMap<u64, Arc<Resource>>,
    scope: Arc<Scope>,
    /// Facts of a resource with an operation, by its address, at which it stays as long as it is held here.
    told: FxHashMap<(usize, u32), (Arc<Resource>, Vec<u32>)>,
}

impl Resources {
    fn of(&mut self, view: &SpanView<'_>) -> Arc<Resource> {
        let resource = view.resource();
        let mut hasher = FxHasher::default();
        for (name, value) in &resource.attributes {
            name.hash(&mut hasher);
            if let Value::Str(text) = value {
                text.hash(&mut hasher);
            }
        }
        let hash = hasher.finish();
        if let Some(known) = self.known.get(&hash)
            && **known == *resource
        {
            return Arc::clone(known);
        }
        if self.known.len() >= MAX_RESOURCES {
            self.known.clear();
        }
        let copy = Arc::new(resource.clone());
        self.known.insert(hash, Arc::clone(&copy));
        copy
    }

    /// Facts of a span's resource.
    fn facts(
        &mut self,
        resource: &Arc<Resource>,
        operation: u32,
        vocabulary: &mut Vocabulary,
        out: &mut Vec<u32>,
    ) {
        if self.told.len() >= MAX_RESOURCES {
            self.told.clear();
        }
        let (_, told) = self.told.entry((Arc::as_ptr(resource).addr(), operation)).or_insert_with(|| {
            let named = resource.attributes.iter().filter(|(name, _)| name != "service.name");
            let facts = named.filter_map(|(name, value)| {
                let key = vocabulary.key(AttributeScope::Resource, name);
                text(&value.into(), |text| vocabulary.attribute(operation, key, text)).flatten()
            });
            (Arc::clone(resource), facts.collect())
        });
        out.extend_from_slice(told);
    }
}

/// What the tree needs of a span. The tree moves it, and its flags tell where it was.
fn light(view: &SpanView<'_>, place: usize, resources: &mut Resources) -> Span {
    Span {
        trace_id: view.trace_id,
        span_id: view.span_id,
        parent_span_id: view.parent,
        trace_state: String::new(),
        flags: place as u32,
        name: String::new(),
        kind: view.kind,
        start: view.start,
        end: view.end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status { code: view.status, message: String::new() },
        resource: resources.of(view),
        scope: Arc::clone(&resources.scope),
    }
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

fn group(view: &SpanView<'_>, attribute: &str, vocabulary: &mut Vocabulary) -> Option<u32> {
    let own = view.attribute(attribute);
    let value = match own {
        Some(value) => Some(value),
        None => parsers::record::attribute(&view.resource().attributes, attribute).map(ValueView::from),
    };
    value.and_then(|value| text(&value, |text| vocabulary.value(text)).flatten())
}

/// Gives a value as text, if it is one that may be compared: texts, numbers and truth.
fn text<T>(value: &ValueView<'_>, take: impl FnOnce(&str) -> T) -> Option<T> {
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
