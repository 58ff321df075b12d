use std::sync::Arc;

use parsers::record::{
    Labels, Resource, Scope, Severity, Span, SpanId, SpanKind, Spelling, Status, TraceId, Value,
};

use super::*;
use crate::{seen, tree};

const START: u64 = 1_760_000_000_000_000_000;
const MILLI: u64 = 1_000_000;
const FAST: u64 = 3_000 * MILLI;

fn id() -> TraceId {
    TraceId::new(7, Spelling::default()).unwrap()
}

fn span(number: u64, parent: u64, kind: SpanKind, (from, to): (u64, u64), resource: &[(&str, &str)]) -> Span {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), Value::Str((*value).to_owned()));
    Span {
        trace_id: id(),
        span_id: SpanId::new(number).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: "work".to_owned(),
        kind,
        start: START + from,
        end: START + to,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: resource.iter().map(text).collect() }),
        scope: Arc::new(Scope::default()),
    }
}

fn line(labels: &[(&str, &str)], metadata: &[(&str, &str)], span: u64) -> LogRecord {
    LogRecord {
        time: START + FAST + 30 * MILLI,
        observed: 0,
        labels: Arc::new(Labels::new(labels.iter().copied())),
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        trace_id: Some(id()),
        span_id: SpanId::new(span),
        severity: Severity::Info,
        line: b"paid".to_vec(),
        source: None,
        rule: None,
    }
}

#[test]
fn lines_that_name_the_trace_alone_are_moved_as_the_spans_of_their_container_were() {
    let shop = [
        ("service.name", "shop"),
        ("k8s.namespace.name", "prod"),
        ("k8s.pod.name", "shop-1"),
        ("k8s.node.name", "n2"),
        ("host.name", "n2"),
    ];
    let front = [("service.name", "front"), ("k8s.pod.name", "front-1"), ("host.name", "n1")];
    let nodes = tree::build(vec![
        span(1, 0, SpanKind::Client, (0, 100 * MILLI), &front),
        span(2, 1, SpanKind::Server, (FAST + 10 * MILLI, FAST + 60 * MILLI), &shop),
    ])
    .nodes;
    assert!(nodes[1].start < START + 100 * MILLI, "the clock of n2 is 3 s fast");
    let pod = [("namespace", "prod"), ("pod", "shop-1"), ("container", "app"), ("service_name", "app")];
    let adjusted = moved(START + FAST + 30 * MILLI, &nodes[1]);
    let as_sent = START + FAST + 30 * MILLI;
    for (labels, metadata, span, expected) in [
        (&pod[..], &[][..], 2, adjusted),
        (&pod, &[], 0, adjusted),
        // Of a span that is not in the trace.
        (&pod, &[], 9, adjusted),
        (&[("service_name", "shop")], &[("host_name", "n2")], 0, adjusted),
        (&[("service_name", "other")], &[("host_name", "n2")], 0, adjusted),
        (&[("service_name", "front")], &[("host_name", "n1")], 0, as_sent),
        (&[("service_name", "other")], &[], 0, as_sent),
    ] {
        let joined = seen::logs(id(), vec![line(labels, metadata, span)], &nodes);
        assert_eq!(joined[0].adjusted, expected, "{labels:?} {metadata:?} {span}");
        assert_eq!(joined[0].record.time, as_sent, "both times are kept");
        let window = seen::window(&nodes, &joined, &[]).unwrap();
        assert_eq!(window.end <= START + 101 * MILLI, expected == adjusted, "{labels:?}");
    }
}
