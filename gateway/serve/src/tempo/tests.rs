use std::sync::Arc;

use parsers::otlp::{Field, Reader};
use parsers::record::{Resource, Scope, Span, SpanId, SpanKind, Status, TraceId};

use super::response::trace_by_id;

fn field(message: &[u8], wanted: u32) -> Option<Vec<u8>> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().unwrap() {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            return Some(bytes.to_vec());
        }
    }
    None
}

#[test]
fn what_the_client_dereferences_is_there_even_for_a_bare_span() {
    let span = Span {
        trace_id: TraceId::from_hex(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
        span_id: SpanId::from_hex(b"00f067aa0ba902b7").unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: SpanKind::from_code(0),
        start: 1,
        end: 2,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
    };
    let body = trace_by_id(&[span], false);
    let trace = field(&body, 1).unwrap();
    let resource_spans = field(&trace, 1).unwrap();
    let resource = field(&resource_spans, 1).unwrap();
    assert!(field(&resource, 1).is_some(), "a resource has an attribute");
    let scope_spans = field(&resource_spans, 2).unwrap();
    assert!(field(&scope_spans, 1).is_some(), "scope");
    let span = field(&scope_spans, 2).unwrap();
    assert!(field(&span, 15).is_some(), "status");
    assert_eq!(field(&span, 1).unwrap().len(), 16);
}
