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
        let told = Repeats::default().tell(Report::of(&known), Report::of(&other));
        assert_eq!(told, Repeat::Part);
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
fn only_the_same_is_sent_again_however_it_was_completed_since() {
    let (begun, ended) = (Report::of(&report(100, 100, "a")), Report::of(&report(110, 150, "a")));
    let mut repeats = Repeats::default();
    assert_eq!(repeats.tell(begun, ended), Repeat::Part);
    let whole = Report { start: 100, end: 150, ..ended };
    assert_eq!([repeats.tell(whole, begun), repeats.tell(whole, ended)], [Repeat::Again; 2]);
    let named = Report::of(&Span { name: "b".into(), ..report(100, 150, "a") });
    let failed = Report { status: StatusCode::Error, ..whole };
    for other in [Report { start: 101, ..whole }, Report { end: 151, ..whole }, named, failed] {
        assert_eq!(repeats.tell(whole, other), Repeat::Another);
        assert_eq!(repeats.tell(whole, other), Repeat::Again);
    }
}

#[test]
fn what_gathers_is_bounded() {
    let mut known = report(1, 1, "a");
    for n in 0..2 * MAX_GATHERED {
        complete(&mut known, report(1, 1, &n.to_string()));
    }
    assert_eq!((known.attributes.len(), known.events.len()), (MAX_GATHERED, MAX_GATHERED));
}
