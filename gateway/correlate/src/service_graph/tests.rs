use std::sync::Arc;

use parsers::record::{Resource, Scope, SpanId, Spelling, Status, TraceId};
use store::read::{ScanReport, TraceRecords};

use super::*;

struct Traces(Vec<Vec<Span>>);

impl TraceRead for Traces {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        _: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let _ = self.0.iter().try_for_each(|spans| visit(spans.clone()));
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

fn span(id: u64, parent: u64, service: &str, kind: SpanKind, peer: &str, failed: bool) -> Span {
    let text = |text: &str| Value::Str(text.to_owned());
    let peer = (!peer.is_empty()).then(|| ("peer.service".to_owned(), text(peer)));
    Span {
        trace_id: TraceId::new(1, Spelling::default()).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind,
        start: id,
        end: id + 1,
        attributes: peer.into_iter().collect(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status {
            code: if failed { StatusCode::Error } else { StatusCode::Unset },
            ..Status::default()
        },
        resource: Arc::new(Resource { attributes: vec![("service.name".to_owned(), text(service))] }),
        scope: Arc::new(Scope::default()),
    }
}

#[test]
fn calls_are_counted_between_services_and_to_those_that_send_no_spans() {
    use SpanKind::{Client, Internal, Server};
    let trace = vec![
        span(1, 0, "front", Server, "", false),
        span(2, 1, "front", Client, "shop", false),
        span(3, 2, "shop", Server, "", true),
        span(4, 3, "shop", Internal, "", false),
        span(5, 4, "shop", Client, "orders-db", false),
        // Both halves of a call have one id, as Zipkin's tracers have it.
        span(6, 3, "shop", Client, "mail", false),
        span(6, 3, "mail", Server, "", false),
        // The caller is not there.
        span(7, 99, "lost", Server, "", false),
    ];
    let traces = Traces(vec![trace.clone(), trace]);
    let told = |window| -> Vec<String> {
        let calls = service_graph(&traces, window).unwrap();
        calls
            .iter()
            .map(|c| format!("{}>{} {} {} {}", c.parent, c.child, c.calls, c.errors, c.traced))
            .collect()
    };
    assert_eq!(told(Window::ALL), ["front>shop 2 2 true", "shop>mail 2 0 true", "shop>orders-db 2 0 false"]);
    assert_eq!(told(Window { start: 4, end: 6 }), ["shop>orders-db 2 0 false"]);
}
