//! What is known of spans without reading them is true: no block is passed over that holds what is asked for, and statistics
//! have every attribute, wherever the spans lie.

use std::collections::BTreeSet;

use parsers::otlp::SpanEncoder;
use proptest::prelude::*;

use super::*;
use crate::codec::{Input, Output};
use crate::merge::FAN_IN;
use crate::read::{
    AttributeScope, AttributeValue, ScanReport, SpanHint, SpanStatistics, SpanView, TraceSelect,
    TraceVisitor, ValueView,
};
use crate::segment::statistics::{Collector, MAX_VALUES, decode, encode, merge};
use crate::segment::{Asked, Section, Summary};

fn value() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        Just(Value::Empty),
        "[a-c]{0,3}".prop_map(Value::Str),
        any::<bool>().prop_map(Value::Bool),
        (-3i64..3).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        prop_oneof![Just(0.5), Just(-0.0), Just(2.0), Just(f64::NAN), any::<f64>()].prop_map(Value::Double),
        Just(Value::Bytes(vec![1])),
    ];
    let list = prop::collection::vec(single.clone(), 0..3).prop_map(Value::Array);
    prop_oneof![4 => single, 1 => list]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec(("[a-d]{0,2}", value()), 0..4)
}

prop_compose! {
    fn span()(
        number in 1u64..1000,
        name in "[xyz]{0,2}",
        length in prop_oneof![0u64..5, any::<u64>()],
        kind in 0u8..6,
        status in 0u8..3,
        lists in (attributes(), attributes(), attributes(), attributes(), attributes()),
    ) -> Span {
        let (attributes, event, link, resource, scope) = lists;
        Span {
            trace_id: id(trace(number)),
            span_id: SpanId::new(number).unwrap(),
            parent_span_id: None,
            trace_state: String::new(),
            flags: 0,
            name,
            kind: SpanKind::from_code(kind),
            start: DAY + number,
            end: (DAY + number).saturating_add(length),
            attributes,
            events: vec![Event { time: 1, name: "e".into(), attributes: event }],
            links: vec![Link { trace_id: None, span_id: None, attributes: link }],
            status: Status { code: StatusCode::from_code(status), message: String::new() },
            resource: Arc::new(Resource { attributes: resource }),
            scope: Arc::new(Scope { attributes: scope, ..Scope::default() }),
        }
    }
}

fn encoded(spans: &[Span]) -> SpanBatch {
    let mut encoder = SpanEncoder::default();
    spans.iter().for_each(|span| encoder.push(span).unwrap());
    encoder.finish()
}

fn single(value: &Value) -> Option<AttributeValue> {
    Some(match value {
        Value::Str(text) => AttributeValue::Str(text.clone()),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Int(number) => AttributeValue::Int(*number),
        Value::Double(number) => AttributeValue::Double(number.to_bits()),
        _ => return None,
    })
}

/// Keys of a span, and what they compare as equal to.
fn pairs(span: &Span) -> Vec<(AttributeScope, String, Vec<AttributeValue>)> {
    let events = span.events.iter().flat_map(|event| &event.attributes);
    let links = span.links.iter().flat_map(|link| &link.attributes);
    let lists = [
        (AttributeScope::Span, span.attributes.iter().collect::<Vec<_>>()),
        (AttributeScope::Resource, span.resource.attributes.iter().collect()),
        (AttributeScope::Instrumentation, span.scope.attributes.iter().collect()),
        (AttributeScope::Event, events.collect()),
        (AttributeScope::Link, links.collect()),
    ];
    let mut pairs = Vec::new();
    for (scope, list) in lists {
        for (key, value) in list {
            let values = match value {
                Value::Array(items) => items.iter().filter_map(single).collect(),
                one => single(one).into_iter().collect(),
            };
            pairs.push((scope, key.clone(), values));
        }
    }
    pairs
}

fn hints(span: &Span) -> Vec<SpanHint> {
    let mut hints = vec![
        SpanHint::Anything,
        SpanHint::Name(span.name.clone()),
        SpanHint::Status(span.status.code),
        SpanHint::Kind(span.kind),
        SpanHint::Duration(span.duration(), span.duration()),
        SpanHint::Duration(0, span.duration()),
        SpanHint::Duration(span.duration(), u64::MAX),
    ];
    for (scope, key, values) in pairs(span) {
        hints.push(SpanHint::Has(scope, key.clone()));
        for value in values {
            // As a query writes it, in either type.
            if let AttributeValue::Double(bits) = value
                && f64::from_bits(bits).fract() == 0.0
                && f64::from_bits(bits).abs() < 1e15
            {
                let whole = AttributeValue::Int(f64::from_bits(bits) as i64);
                hints.push(SpanHint::Equals(scope, key.clone(), whole));
            }
            if let AttributeValue::Int(number) = value {
                let double = AttributeValue::Double((number as f64).to_bits());
                hints.push(SpanHint::Equals(scope, key.clone(), double));
            }
            hints.push(SpanHint::Equals(scope, key.clone(), value));
        }
    }
    let all = SpanHint::All(hints.clone());
    let one = SpanHint::OneOf(vec![SpanHint::Name("nobody".into()), all.clone()]);
    hints.extend([all, one]);
    hints
}

fn collected(spans: &[Span]) -> SpanStatistics {
    let mut collector = Collector::default();
    collector.count_all(&encoded(spans));
    collector.statistics()
}

fn coded(statistics: &SpanStatistics) -> SpanStatistics {
    let mut out = Output::default();
    encode(statistics, &mut out);
    decode(&mut Input::new(out.as_bytes())).unwrap()
}

proptest! {
    #[test]
    fn no_block_is_passed_over_that_holds_what_is_asked_for(spans in prop::collection::vec(span(), 1..20)) {
        let block = encoded(&spans);
        let summary = Summary::of(&block, None);
        let mut out = Output::default();
        out.varint(1);
        summary.encode(&mut out);
        let read = Summary::decode_all(&mut Input::new(out.as_bytes())).unwrap();
        for hint in spans.iter().flat_map(hints) {
            prop_assert!(summary.may_hold(&Asked::from(&hint)), "{hint:?}");
            prop_assert!(read.iter().all(|read| read.may_hold(&Asked::from(&hint))), "{hint:?}");
        }
    }

    #[test]
    fn statistics_have_every_attribute_and_those_of_parts_add_up(
        spans in prop::collection::vec(span(), 1..20),
        cut in 0usize..20,
    ) {
        let all = collected(&spans);
        for (scope, key, values) in spans.iter().flat_map(pairs).filter(|(_, key, _)| !key.is_empty()) {
            let known = all.values(scope, &key);
            prop_assert!(known.is_some(), "{scope:?} {key}");
            for value in values {
                prop_assert!(known.is_some_and(|known| known.counts.contains_key(&value)), "{key} {value:?}");
            }
        }
        prop_assert_eq!(&coded(&all), &all);
        let (one, other) = spans.split_at(cut.min(spans.len()));
        prop_assert_eq!(merge([collected(one), collected(other)].into_iter()), all);
    }

    #[test]
    fn any_bytes_are_statistics_and_summaries_or_damage(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&mut Input::new(&bytes));
        let _ = Summary::decode_all(&mut Input::new(&bytes));
    }
}

#[test]
fn of_many_values_the_frequent_are_kept_and_it_is_said_that_there_were_more() {
    let part = |from: usize| {
        let mut statistics = SpanStatistics::default();
        let list = statistics.attributes.entry((AttributeScope::Span, "user".into())).or_default();
        for i in from..from + MAX_VALUES {
            list.counts.insert(AttributeValue::Int(i as i64), 1);
        }
        list.counts.insert(AttributeValue::Int(-1), 5);
        statistics
    };
    let merged = merge([part(0), part(10_000)].into_iter());
    let values = merged.values(AttributeScope::Span, "user").unwrap();
    assert!(values.cut);
    assert_eq!(values.counts.len(), MAX_VALUES);
    assert_eq!(values.counts[&AttributeValue::Int(-1)], 10);
}

#[derive(Default)]
struct Ids(BTreeSet<u64>, u64);

impl TraceVisitor for Ids {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        self.0.extend(spans.iter().map(|span| span.span_id.bits()));
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        self.1 = report.records;
        ControlFlow::Continue(())
    }
}

/// Span ids by an attribute, and how many spans were read for them.
fn found(store: &Store, key: &str, wanted: i64) -> (BTreeSet<u64>, u64) {
    let select = TraceSelect {
        window: Window::ALL,
        reach: None,
        service: None,
        contains: Vec::new(),
        hint: SpanHint::Equals(AttributeScope::Span, key.into(), AttributeValue::Int(wanted)),
        wanted: &|view| view.attribute(key) == Some(ValueView::Int(wanted)),
        whole: true,
    };
    let mut ids = Ids::default();
    store.visit_traces(&select, &mut ids).unwrap();
    (ids.0, ids.1)
}

fn numbered(from: u64, count: u64) -> Arc<Batch> {
    let spans: Vec<Span> = (from..from + count)
        .map(|i| Span {
            trace_id: id(u128::from(i / 4 + 1) << 70 | u128::from(i / 4 + 1)),
            span_id: SpanId::new(i + 1).unwrap(),
            parent_span_id: None,
            trace_state: String::new(),
            flags: 0,
            name: format!("op {}", i % 3),
            kind: SpanKind::Server,
            start: DAY + i,
            end: DAY + i + 10,
            attributes: vec![
                ("number".into(), Value::Int(i as i64)),
                ("third".into(), Value::Int(i as i64 % 3)),
                ("filler".into(), Value::Str("x".repeat(200))),
            ],
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: Arc::new(Resource {
                attributes: vec![("service.name".into(), Value::Str("shop".into()))],
            }),
            scope: Arc::default(),
        })
        .collect();
    Arc::new(Batch { spans: encoded(&spans), ..Batch::default() })
}

/// All values of an attribute.
fn listed(store: &Store, key: &str) -> BTreeSet<AttributeValue> {
    let parts = store.statistics(Window::ALL).unwrap().unwrap();
    let lists = parts.iter().filter_map(|part| part.values(AttributeScope::Span, key));
    lists.flat_map(|list| list.counts.keys().cloned()).collect()
}

#[test]
fn a_rare_value_is_found_in_head_and_segments_and_few_blocks_are_read_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let whole = |i: u64| (i / 4 * 4 + 1..=i / 4 * 4 + 4).collect::<BTreeSet<u64>>();
    for part in 0..4 {
        store.append(numbered(part * 2000, 2000)).unwrap();
        for i in [part * 2000 + 7, part * 2000 + 1990, 3] {
            assert_eq!(found(&store, "number", i as i64).0, whole(i), "{i} in a head");
        }
        store.seal().unwrap();
        let (ids, read) = found(&store, "number", 1003);
        assert_eq!(ids, whole(1003));
        assert!(read < 2000, "{read} spans");
        assert_eq!(found(&store, "number", -1).0, BTreeSet::new());
        assert_eq!(found(&store, "third", 1).0.len() as u64, (part + 1) * 2000);
    }
    store.merge();
    assert_eq!(found(&store, "number", 5003).0, whole(5003));
}

#[test]
fn statistics_tell_the_same_of_heads_of_segments_of_merged_ones_and_after_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let thirds: BTreeSet<AttributeValue> = (0..3).map(AttributeValue::Int).collect();
    for part in 0..FAN_IN as u64 {
        store.append(numbered(part * 20, 20)).unwrap();
        assert_eq!(listed(&store, "third"), thirds);
        assert_eq!(listed(&store, "number").len() as u64, (part + 1) * 20);
        store.seal().unwrap();
        assert_eq!(listed(&store, "number").len() as u64, (part + 1) * 20);
    }
    store.merge();
    let segments = store.inner().view.read().unwrap().segments.clone();
    assert_eq!(segments.len(), 1);
    assert!(segments[0].part(Section::SpanStatistics, 0).is_some());
    assert_eq!(listed(&store, "number").len(), FAN_IN * 20);
    drop((segments, store));
    assert_eq!(listed(&open(dir.path()), "third"), thirds);
    let outside = Window { start: 0, end: DAY };
    assert!(open_outside(dir.path(), outside).is_empty());
}

fn open_outside(dir: &Path, window: Window) -> Vec<Arc<SpanStatistics>> {
    open(dir).statistics(window).unwrap().unwrap()
}

#[test]
fn a_segment_without_statistics_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1"), dir.path());
    let store = open(dir.path());
    let parts = store.statistics(Window::ALL).unwrap().unwrap();
    let shop = AttributeValue::Str("shop".into());
    let of_segments = parts.iter().filter_map(|part| part.values(AttributeScope::Resource, "service.name"));
    assert!(of_segments.filter(|list| list.counts.contains_key(&shop)).count() >= 2);
}
