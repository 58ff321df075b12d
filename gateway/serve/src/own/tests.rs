use std::sync::{Arc, Mutex};

use parsers::record::Span;
use prometheus_client::registry::Registry;

use super::{OwnRequests, OwnSpans};
use crate::fakes::{self, Nothing};

#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl OwnSpans for Kept {
    fn ended(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

#[tokio::test]
async fn a_request_is_in_its_callers_trace_and_begins_one_only_where_that_is_asked_for() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let context = |flags: &str| format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
    for (begins, traceparent, kept, of_caller) in [
        (false, None, 0, false),
        (false, Some(context("01")), 1, true),
        (false, Some(context("00")), 0, false),
        (true, None, 1, false),
        (true, Some(context("01")), 1, true),
        (true, Some(context("00")), 0, false),
    ] {
        let spans = Arc::new(Kept::default());
        let own = OwnRequests::new(&mut Registry::default(), spans.clone(), begins);
        let state = crate::State { own, ..fakes::state(Arc::new(Nothing), Arc::new(Nothing)) };
        let headers: Vec<_> = traceparent.iter().map(|value| ("traceparent", value.as_str())).collect();
        fakes::ask(state, "/api/v1/services", &headers).await;
        let spans = spans.0.lock().unwrap();
        assert_eq!(spans.len(), kept, "{begins} {traceparent:?}");
        assert!(spans.iter().all(|span| (span.trace_id.to_string() == TRACE) == of_caller));
    }
}
