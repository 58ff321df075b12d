use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Resource, Scope, Span, SpanId, SpanKind, Status, StatusCode, TraceId, Value};
use proptest::prelude::*;
use store::read::{ReadError, ScanReport, SpanSelect, TraceRead, TraceRecords, Window};

use super::{SearchParams, from_tags, parse, search, tag_values, tags};

struct Traces;

fn span(trace: u8, id: u64, parent: u64, service: &str, name: &str, millis: u64) -> Span {
    Span {
        trace_id: TraceId::from_bytes(&[trace; 16]).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: name.to_owned(),
        kind: if parent == 0 { SpanKind::Server } else { SpanKind::Client },
        start: 1_000_000_000 + id,
        end: 1_000_000_000 + id + millis * 1_000_000,
        attributes: vec![(
            "http.response.status_code".to_owned(),
            Value::Int(if millis > 100 { 500 } else { 200 }),
        )],
        events: Vec::new(),
        links: Vec::new(),
        status: Status {
            code: if millis > 100 { StatusCode::Error } else { StatusCode::Unset },
            message: String::new(),
        },
        resource: Arc::new(Resource {
            attributes: vec![("service.name".to_owned(), Value::Str(service.to_owned()))],
        }),
        scope: Arc::new(Scope::default()),
    }
}

impl TraceRead for Traces {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        _: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let slow = vec![span(2, 1, 0, "web", "GET /slow", 900), span(2, 2, 1, "cart", "SELECT", 700)];
        let fast = vec![span(1, 1, 0, "web", "GET /fast", 9), span(1, 2, 1, "pay", "charge", 7)];
        let _ = [slow, fast].into_iter().try_for_each(visit);
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

fn found(query: &super::Query) -> Vec<(String, u64)> {
    let params = SearchParams { start: 0, end: u64::MAX, limit: 10, spans_per_set: 3 };
    let hits = search(query, &Traces, &params).unwrap().hits;
    hits.into_iter().map(|hit| (hit.root_name, hit.matched)).collect()
}

#[test]
fn conditions_select_spans_of_traces() {
    let both = [("GET /slow", 2), ("GET /fast", 2)];
    let one_each = [("GET /slow", 1), ("GET /fast", 1)];
    let (slow, slow_both) = ([("GET /slow", 1)], [("GET /slow", 2)]);
    let none: [(&str, u64); 0] = [];
    let table: [(&str, &[(&str, u64)]); 14] = [
        ("{}", &both),
        (r#"{resource.service.name="cart"}"#, &slow),
        (r#"{.service.name="web"}"#, &one_each),
        (r#"{name=~"GET.*" && duration > 100ms}"#, &slow),
        ("{status=error}", &slow_both),
        ("{kind = server && status != error}", &[("GET /fast", 1)]),
        ("{span.http.response.status_code >= 500}", &slow_both),
        (r#"{resource.service.name="web"} && {resource.service.name="cart"}"#, &slow_both),
        (r#"{resource.service.name="pay"} || {resource.service.name="cart"}"#, &one_each),
        (r#"{rootName="GET /slow" && traceDuration > 0.5s}"#, &slow_both),
        (r"{.none != nil}", &none),
        (r#"{true && span."http.response.status_code" = 200}"#, &[("GET /fast", 2)]),
        ("{} | count() > 2", &none),
        ("{} | select(span.http.response.status_code)", &both),
    ];
    for (query, expected) in table {
        let expected: Vec<(String, u64)> =
            expected.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        assert_eq!(found(&parse(query).unwrap()), expected, "{query}");
    }
    let tags = from_tags("service.name=cart http.response.status_code=500", Some(1_000_000), None).unwrap();
    assert_eq!(found(&tags), [("GET /slow".to_owned(), 1)]);
}

#[test]
fn an_error_names_the_column() {
    let error = parse("{foo=1}").unwrap_err().to_string();
    assert_eq!(error, "parse error at column 2: `foo` is not supported");
    let error = parse("{} | rate()").unwrap_err().to_string();
    assert_eq!(error, "parse error at column 6: `| rate` is not supported");
}

#[test]
fn tags_and_their_values_come_from_what_is_stored() {
    let scopes = tags(&Traces, Window::ALL, 10).unwrap();
    assert_eq!(scopes[0], ("resource", vec!["service.name".to_owned()]));
    let values = tag_values(&Traces, "resource.service.name", None, Window::ALL, 10).unwrap();
    assert_eq!(values.len(), 3);
    let narrowed = parse("{status=error}").unwrap();
    let values = tag_values(&Traces, "resource.service.name", Some(&narrowed), Window::ALL, 10).unwrap();
    assert_eq!(values, [("string", "cart".to_owned()), ("string", "web".to_owned())]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", pieces in "[{}()|&=!~\"a-z0-9,.: ]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&pieces);
        let _ = from_tags(&text, None, None);
    }
}
