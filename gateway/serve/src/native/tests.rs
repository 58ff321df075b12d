use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use correlate::{CorrelateOptions, Correlator};
use http_body_util::{BodyExt as _, Limited};
use parsers::record::{Span, TraceId};
use serde_json::Value;
use store::read::{ReadError, ScanReport, SpanSelect, TraceRead, TraceRecords, Window};
use tower::ServiceExt as _;

use crate::{DEFAULT_REQUEST_TIMEOUT, PartState, Readiness, State, router};

struct Nothing;

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

impl Readiness for Nothing {
    fn parts(&self) -> Vec<PartState> {
        vec![PartState { name: "store", waiting_for: Some("replaying the journal".to_owned()) }]
    }
}

async fn get(path: &str) -> (StatusCode, Value) {
    let state = State {
        correlator: Arc::new(Correlator::new(Arc::new(Nothing), None, CorrelateOptions::default())),
        traces: Arc::new(Nothing),
        readiness: Arc::new(Nothing),
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
    };
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(state).oneshot(request).await.unwrap();
    let status = response.status();
    let body = Limited::new(response.into_body(), 1 << 20).collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn an_unknown_trace_is_404_with_every_key() {
    let (status, body) = get("/api/v1/traces/4BF92F3577B34DA6A3CE929D0E0E4736").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for key in [
        "trace_id",
        "spellings",
        "window",
        "services",
        "spans",
        "logs",
        "exemplars",
        "metrics",
        "critical_path",
        "links",
        "absent",
        "warnings",
    ] {
        assert!(body.get(key).is_some(), "{key}");
    }
    assert_eq!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn what_is_no_id_is_400_and_says_what_was_expected() {
    let (status, body) = get("/api/v1/traces/not-an-id").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["error"].as_str().unwrap().contains("expected"));
}

#[tokio::test]
async fn a_part_that_is_not_ready_says_why() {
    let (status, body) = get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["parts"]["store"]["reason"], "replaying the journal");
}

#[tokio::test]
async fn an_unknown_trace_is_404_in_both_versions_for_tempo() {
    for version in ["", "/v2"] {
        let (status, _) = get(&format!("/tempo/api{version}/traces/4BF92F3577B34DA6")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(get("/tempo/api/echo").await.0, StatusCode::OK);
}
