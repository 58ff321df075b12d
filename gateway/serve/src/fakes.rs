//! A router over nothing, for tests of the surfaces.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use correlate::{CorrelateOptions, Correlator};
use parsers::record::{Labels, LogRecord, Span, TraceId};
use prometheus_client::registry::Registry;
use store::read::{
    LogRead, LogSelect, Matcher, ReadError, ScanReport, SpanSelect, TraceRead, TraceRecords, Window,
};
use tower::ServiceExt as _;

use crate::{DEFAULT_REQUEST_TIMEOUT, OwnRequests, OwnSpans, PartState, Readiness, Reads, State, router};

/// Holds nothing, and is waiting for its journal.
pub(crate) struct Nothing;

impl TraceRead for Nothing {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        _: &SpanSelect,
        _: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

impl LogRead for Nothing {
    fn scan_logs(
        &self,
        _: &LogSelect,
        _: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }
    fn streams(&self, _: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
}

impl Readiness for Nothing {
    fn parts(&self) -> Vec<PartState> {
        vec![PartState { name: "store", waiting_for: Some("replaying the journal".to_owned()) }]
    }
}

impl OwnSpans for Nothing {
    fn ended(&self, _: Span) {}
}

/// The state over these sources.
pub(crate) fn state(traces: Arc<dyn TraceRead>, logs: Arc<dyn LogRead>) -> State {
    let mut registry = Registry::default();
    let own = OwnRequests::new(&mut registry, Arc::new(Nothing));
    State {
        correlator: Arc::new(Correlator::new(traces.clone(), None, CorrelateOptions::default())),
        traces,
        logs,
        reads: Reads::default(),
        prometheus: None,
        readiness: Arc::new(Nothing),
        registry: Arc::new(registry),
        own,
        external_url: None,
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
    }
}

/// Asks a router over nothing.
pub(crate) async fn get_with(path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router(state(Arc::new(Nothing), Arc::new(Nothing))).oneshot(request).await.unwrap();
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// As [`get_with`], without headers.
pub(crate) async fn get(path: &str) -> (StatusCode, String) {
    get_with(path, &[]).await
}
