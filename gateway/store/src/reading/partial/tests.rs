use std::sync::Arc;

use parsers::record::*;

use super::*;

fn report(start: u64, end: u64, key: &str) -> Span {
    Span {
        trace_id: TraceId::new(1, Spelling::default()).unwrap(),
        span_id: SpanId::new(2).unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: SpanKind::Client,
        start,
        end,
        attributes: vec![("both".into(), Value::Str(key.into())), (key.into(), Value::Int(1))],
        events: vec![Event { time: end, name: key.into(), attributes: Attributes::new() }],
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::default(),
        scope: Arc::default(),
    }
}

#[test]
fn beginning_and_end_are_one_span_in_whichever_order_they_are_found() {
    let begun = Span { parent_span_id: SpanId::new(9), ..report(100, 100, "begun") };
    // Without a start of its own it was given that of its arrival.
    let failed = Status { code: StatusCode::Error, message: "boom".into() };
    let ended = Span { name: "get".into(), status: failed.clone(), ..report(900, 950, "ended") };
    for (mut known, other) in [(begun.clone(), ended.clone()), (ended, begun)] {
        assert!(is_partial(&known, other.start, other.end));
        complete(&mut known, other);
        assert_eq!((known.start, known.end), (100, 150));
        assert_eq!((known.name.as_str(), &known.status), ("get", &failed));
        assert_eq!(known.parent_span_id, SpanId::new(9));
        let mut keys: Vec<_> = known.attributes.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["begun", "both", "ended"]);
        assert_eq!(
            known.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(),
            ["begun", "ended"]
        );
    }
}

#[test]
fn a_span_that_is_sent_again_is_no_part_and_what_gathers_is_bounded() {
    assert!(!is_partial(&report(1, 2, "a"), 1, 2));
    let mut known = report(1, 1, "a");
    for n in 0..2 * MAX_GATHERED {
        complete(&mut known, report(1, 1, &n.to_string()));
    }
    assert_eq!((known.attributes.len(), known.events.len()), (MAX_GATHERED, MAX_GATHERED));
}
