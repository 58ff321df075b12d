//! Two traces side by side: spans matched by service and name, place in the tree, and order among their like.

use std::collections::BTreeMap;

use parsers::pattern::Miner;
use parsers::record::{LogRecord, StatusCode, TraceId, Value};
use rustc_hash::FxHashMap;
use store::read::TraceRecords;

use super::answer::{Detail, Finding, FindingKind, SpanPair, SpanSide, Unit};
use super::causes::{BEHIND, OF_WAITING};
use super::sets::{duration, named};
use crate::analysis::options::MAX_PATTERNS;
use crate::analysis::vocabulary::{AttributeScope, Operation};
use crate::{SpanNode, tree};

/// The least part of the longer trace by which a span's own time must differ.
const LEAST_PART: f64 = 0.01;
/// The least part of the longer trace that somebody below must take longer for a failure to be that of waiting too long.
const OF_FAILED: f64 = 0.5;
/// Attributes of one pair of spans that are told.
const MAX_VALUES: usize = 8;

/// How much a finding of each kind says, all else being equal; of two traces attributes differ for all kinds of reasons.
mod factor {
    pub const ERRORS: f64 = 1.0;
    pub const STRUCTURE: f64 = 0.6;
    pub const PATTERN: f64 = 0.4;
    pub const ATTRIBUTE: f64 = 0.1;
}

/// A trace to compare.
pub(crate) struct Whole {
    pub(crate) trace: TraceId,
    pub(crate) nodes: Vec<SpanNode>,
    logs: Vec<LogRecord>,
    children: Vec<Vec<usize>>,
}

impl Whole {
    pub(crate) fn new(trace: TraceId, records: TraceRecords) -> Self {
        let nodes = tree::build(records.spans).nodes;
        let mut children = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            if let Some(siblings) = node.parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(index);
            }
        }
        Self { trace, nodes, logs: records.logs, children }
    }

    /// First start and last end.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        let start = self.nodes.iter().map(|node| node.start).min().unwrap_or_default();
        (start, self.nodes.iter().map(|node| node.end).max().unwrap_or(start))
    }

    fn duration(&self) -> u64 {
        let (start, end) = self.bounds();
        end - start
    }

    fn below(&self, parent: Option<usize>) -> Vec<usize> {
        match parent {
            Some(parent) => self.children.get(parent).cloned().unwrap_or_default(),
            None => (0..self.nodes.len())
                .filter(|index| self.nodes.get(*index).is_some_and(|node| node.parent.is_none()))
                .collect(),
        }
    }

    fn named(&self, index: usize) -> Option<Operation> {
        let node = self.nodes.get(index)?;
        Some(Operation { service: node.service().to_owned(), operation: node.span.name.clone() })
    }

    fn side(&self, index: usize) -> Option<SpanSide> {
        let node = self.nodes.get(index)?;
        Some(SpanSide {
            span_id: node.span.span_id,
            offset: node.start.saturating_sub(self.bounds().0),
            duration: node.duration(),
            self_time: node.self_time,
            status: node.span.status.code,
        })
    }
}

/// Places of both trees, parents before their children, and the indexes there.
fn matched(a: &Whole, b: &Whole) -> Vec<(SpanPair, Option<usize>, Option<usize>)> {
    let mut pairs = Vec::new();
    // Children of a place, the first at the back.
    let mut open = places(a, b, Some(None), Some(None));
    open.reverse();
    let mut depths = vec![0u32; open.len()];
    while let (Some(place), Some(depth)) = (open.pop(), depths.pop()) {
        let (operation, ordinal, in_a, in_b) = place;
        let pair = SpanPair {
            operation,
            depth,
            ordinal,
            a: in_a.and_then(|index| a.side(index)),
            b: in_b.and_then(|index| b.side(index)),
        };
        pairs.push((pair, in_a, in_b));
        let mut below = places(a, b, in_a.map(Some), in_b.map(Some));
        below.reverse();
        depths.extend(below.iter().map(|_| depth + 1));
        open.extend(below);
    }
    pairs
}

type Place = (Operation, u32, Option<usize>, Option<usize>);

/// Children of a place in both trees; a tree that has no such place has none.
fn places(a: &Whole, b: &Whole, in_a: Option<Option<usize>>, in_b: Option<Option<usize>>) -> Vec<Place> {
    let keyed = |whole: &Whole, parent: Option<Option<usize>>| {
        let mut ordinals: FxHashMap<Operation, u32> = FxHashMap::default();
        let below = parent.map(|parent| whole.below(parent)).unwrap_or_default();
        let keyed = below.into_iter().filter_map(|index| {
            let operation = whole.named(index)?;
            let next = ordinals.entry(operation.clone()).or_default();
            let ordinal = *next;
            *next += 1;
            Some((operation, ordinal, index))
        });
        keyed.collect::<Vec<_>>()
    };
    let (first, second) = (keyed(a, in_a), keyed(b, in_b));
    let mut other: BTreeMap<(Operation, u32), usize> =
        second.iter().map(|(operation, ordinal, index)| ((operation.clone(), *ordinal), *index)).collect();
    let mut places: Vec<Place> = Vec::with_capacity(first.len().max(second.len()));
    for (operation, ordinal, index) in first {
        let there = other.remove(&(operation.clone(), ordinal));
        places.push((operation, ordinal, Some(index), there));
    }
    // In their own order.
    for (operation, ordinal, index) in second {
        if other.contains_key(&(operation.clone(), ordinal)) {
            places.push((operation, ordinal, None, Some(index)));
        }
    }
    places
}

/// Spans side by side, and what is different, what matters most first.
pub(crate) fn compare(a: &Whole, b: &Whole) -> (Vec<SpanPair>, Vec<Finding>) {
    let pairs = matched(a, b);
    let longer = a.duration().max(b.duration()).max(1) as f64;
    let mut findings: Vec<Finding> = Vec::new();
    // The pair of each finding of a time or a failure.
    let mut told: Vec<(usize, usize)> = Vec::new();
    // Depth below which all is part of something that is missing as a whole.
    let mut missing_below: Option<u32> = None;
    for (place, (pair, in_a, in_b)) in pairs.iter().enumerate() {
        if missing_below.is_some_and(|depth| pair.depth > depth) {
            continue;
        }
        missing_below = None;
        match (&pair.a, &pair.b) {
            (Some(one), Some(other)) => {
                let before = findings.len();
                took(pair, (one, other), (a, b), longer, &mut findings);
                failed(pair, (one, other), (a, b), &mut findings);
                told.extend((before..findings.len()).map(|finding| (place, finding)));
                if let (Some(one), Some(other)) =
                    (in_a.and_then(|index| a.nodes.get(index)), in_b.and_then(|index| b.nodes.get(index)))
                {
                    said(pair, one, other, &mut findings);
                }
            }
            _ => missing_below = Some(pair.depth),
        }
    }
    runs(&pairs, (a, b), longer, &mut findings);
    let pairs: Vec<SpanPair> = pairs.into_iter().map(|(pair, ..)| pair).collect();
    put_behind(&pairs, &told, &mut findings);
    lines(a, b, &mut findings);
    findings.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score).then(one.kind.cmp(&other.kind));
        by_score.then_with(|| one.operation.cmp(&other.operation))
    });
    (pairs, findings)
}

/// How often one operation is called by another (`None` by nobody) in each trace.
#[derive(Debug, Default)]
struct Runs {
    /// On either side.
    spans: [usize; 2],
    /// Those that the other side has no counterpart of, and their time, ns.
    unmatched: usize,
    more: u64,
}

/// Operations that run more often in one trace: all calls by one caller are one finding. What is below a span that only one trace has is
/// a part of it.
fn runs(
    pairs: &[(SpanPair, Option<usize>, Option<usize>)],
    (a, b): (&Whole, &Whole),
    longer: f64,
    out: &mut Vec<Finding>,
) {
    let mut runs: BTreeMap<(Option<&Operation>, &Operation), Runs> = BTreeMap::new();
    // Above the place that is looked at, outermost first, and whether both traces have them.
    let mut above: Vec<(&Operation, bool)> = Vec::new();
    for (pair, ..) in pairs {
        above.truncate(pair.depth as usize);
        let both = pair.a.is_some() && pair.b.is_some();
        if above.iter().all(|(_, both)| *both) {
            let caller = above.last().map(|(caller, _)| *caller);
            let of = runs.entry((caller, &pair.operation)).or_default();
            for (count, side) in of.spans.iter_mut().zip([&pair.a, &pair.b]) {
                *count += usize::from(side.is_some());
            }
            if let (Some(one), None) | (None, Some(one)) = (&pair.a, &pair.b) {
                of.unmatched += 1;
                of.more = of.more.saturating_add(one.duration);
            }
        }
        above.push((&pair.operation, both));
    }
    for ((_, operation), Runs { spans: [in_a, in_b], unmatched, more }) in runs {
        let name = named(operation);
        let what = match (in_a, in_b) {
            (one, other) if one == other && unmatched == 0 => continue,
            (one, other) if one == other => format!("{name} runs as often, but not below the same calls"),
            (1, 0) => format!("{name} is only in the first"),
            (0, 1) => format!("{name} is only in the second"),
            (1, _) => format!("{name} runs once against {in_b} times"),
            _ => format!("{name} runs {in_a} times against {in_b}"),
        };
        let part = (more as f64 / longer).min(1.0);
        out.push(Finding {
            kind: FindingKind::Structure,
            what,
            operation: operation.clone(),
            detail: Detail::None,
            a: in_a as f64,
            b: in_b as f64,
            unit: Unit::Spans,
            significance: None,
            score: f64::midpoint(1.0, part) * factor::STRUCTURE,
            also: Vec::new(),
            examples: vec![if in_a > in_b { a.trace } else { b.trace }],
        });
    }
}

/// Puts those who wait longer for somebody slow, or fail for having waited, behind whom they wait for.
fn put_behind(pairs: &[SpanPair], told: &[(usize, usize)], findings: &mut [Finding]) {
    // Those below stand after those above.
    for (order, (place, finding)) in told.iter().enumerate().rev() {
        let Some(pair) = pairs.get(*place) else { continue };
        let below = pairs.get(place + 1..).unwrap_or_default();
        let count = below.iter().take_while(|below| below.depth > pair.depth).count();
        let mut called = below.iter().take(count).filter(|below| below.depth == pair.depth + 1);
        let only_waits = count > 0 && called.all(|called| called.operation.service != pair.operation.service);
        let Some(one) = findings.get(*finding) else { continue };
        let more = one.a > one.b;
        let causes = told.iter().skip(order + 1).take_while(|(below, _)| below - place <= count);
        let causes = causes.filter(|(below, _)| below > place);
        let causes = causes.filter_map(|(_, cause)| findings.get(*cause));
        let slow = causes.filter(|cause| cause.kind == FindingKind::Latency && (cause.a > cause.b) == more);
        let slowest = slow.max_by(|one, other| (one.a - one.b).abs().total_cmp(&(other.a - other.b).abs()));
        let Some(cause) = slowest else { continue };
        let follows = match one.kind {
            FindingKind::Latency => {
                only_waits && (cause.a - cause.b).abs() >= OF_WAITING * (one.a - one.b).abs()
            }
            // Whatever fails below it is deeper.
            FindingKind::Errors => cause.score >= OF_FAILED,
            _ => false,
        };
        let most = cause.score * BEHIND;
        if let Some(one) = findings.get_mut(*finding).filter(|one| follows && one.score > most) {
            one.score = most;
        }
    }
}

fn took(
    pair: &SpanPair,
    (one, other): (&SpanSide, &SpanSide),
    (a, b): (&Whole, &Whole),
    longer: f64,
    out: &mut Vec<Finding>,
) {
    let (own_a, own_b) = (one.self_time as f64, other.self_time as f64);
    let part = (own_a - own_b).abs() / longer;
    if part < LEAST_PART {
        return;
    }
    let name = named(&pair.operation);
    out.push(Finding {
        kind: FindingKind::Latency,
        what: format!("{name} takes {} by itself against {}", duration(own_a), duration(own_b)),
        operation: pair.operation.clone(),
        detail: Detail::None,
        a: own_a,
        b: own_b,
        unit: Unit::Nanoseconds,
        significance: None,
        score: part.min(1.0),
        also: Vec::new(),
        examples: vec![if own_a > own_b { a.trace } else { b.trace }],
    });
}

fn failed(
    pair: &SpanPair,
    (one, other): (&SpanSide, &SpanSide),
    (a, b): (&Whole, &Whole),
    out: &mut Vec<Finding>,
) {
    let bad = |side: &SpanSide| side.status == StatusCode::Error;
    if bad(one) == bad(other) {
        return;
    }
    let name = named(&pair.operation);
    let which = if bad(one) { "first" } else { "second" };
    out.push(Finding {
        kind: FindingKind::Errors,
        what: format!("{name} fails in the {which} only"),
        operation: pair.operation.clone(),
        detail: Detail::None,
        a: f64::from(u8::from(bad(one))),
        b: f64::from(u8::from(bad(other))),
        unit: Unit::Share,
        significance: None,
        // The deeper, the nearer to where it began.
        score: factor::ERRORS - 0.5 / f64::from(pair.depth + 1),
        also: Vec::new(),
        examples: vec![if bad(one) { a.trace } else { b.trace }],
    });
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => None,
    }
}

/// Attributes of two spans that differ.
fn said(pair: &SpanPair, one: &SpanNode, other: &SpanNode, out: &mut Vec<Finding>) {
    let lists = [
        (AttributeScope::Span, &one.span.attributes, &other.span.attributes),
        (AttributeScope::Resource, &one.span.resource.attributes, &other.span.resource.attributes),
    ];
    let mut told = 0;
    for (scope, of_one, of_other) in lists {
        let values = |list: &[(String, Value)]| {
            let texts = list.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?)));
            texts.collect::<BTreeMap<String, String>>()
        };
        let (values_a, values_b) = (values(of_one), values(of_other));
        let mut keys: Vec<&String> = values_a.keys().chain(values_b.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let (a, b) = (values_a.get(key), values_b.get(key));
            if a == b || told >= MAX_VALUES {
                continue;
            }
            told += 1;
            let shown =
                |value: Option<&String>| value.map_or("nothing".to_owned(), |text| format!("{text:?}"));
            let name = named(&pair.operation);
            out.push(Finding {
                kind: FindingKind::Attribute,
                what: format!("{}.{key} of {name} is {} against {}", scope.as_str(), shown(a), shown(b)),
                operation: pair.operation.clone(),
                detail: Detail::Attribute {
                    scope,
                    key: key.clone(),
                    value: a.cloned().unwrap_or_default(),
                    other: Some(b.cloned().unwrap_or_default()),
                },
                a: f64::from(u8::from(a.is_some())),
                b: f64::from(u8::from(b.is_some())),
                unit: Unit::Share,
                significance: None,
                score: factor::ATTRIBUTE / f64::from(pair.depth + 1),
                also: Vec::new(),
                examples: Vec::new(),
            });
        }
    }
}

/// Patterns of lines that one trace has more often.
fn lines(a: &Whole, b: &Whole, out: &mut Vec<Finding>) {
    let mut miner = Miner::new(MAX_PATTERNS);
    let mut counts: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    let mut names: FxHashMap<u64, Operation> = FxHashMap::default();
    for (whole, first) in [(a, true), (b, false)] {
        for record in &whole.logs {
            let Some(mined) = miner.add(&record.line) else { continue };
            let entry = counts.entry(mined.pattern).or_default();
            if first {
                entry.0 += 1;
            } else {
                entry.1 += 1;
            }
            let of = whole.nodes.iter().position(|node| Some(node.span.span_id) == record.span_id);
            if let Some(operation) = of.or(Some(0)).and_then(|index| whole.named(index)) {
                names.entry(mined.pattern).or_insert(operation);
            }
        }
    }
    for (number, (in_a, in_b)) in counts {
        let (Some(pattern), true) = (miner.text(number), in_a != in_b) else { continue };
        let (most, least) = (in_a.max(in_b), in_a.min(in_b));
        out.push(Finding {
            kind: FindingKind::Pattern,
            what: format!("lines like {pattern:?}: {in_a} against {in_b}"),
            operation: names
                .remove(&number)
                .unwrap_or_else(|| Operation { service: String::new(), operation: String::new() }),
            detail: Detail::Pattern(pattern),
            a: f64::from(in_a),
            b: f64::from(in_b),
            unit: Unit::Lines,
            significance: None,
            score: f64::from(most - least) / f64::from(most) * factor::PATTERN,
            also: Vec::new(),
            examples: vec![if in_a > in_b { a.trace } else { b.trace }],
        });
    }
}
