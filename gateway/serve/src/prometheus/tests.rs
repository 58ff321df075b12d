use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use parsers::record::TraceId;
use serde_json::{Value, json};

use super::{Forward, ForwardFailure};
use crate::State;
use crate::fakes::{Memory, ask, get, state};

#[tokio::test]
async fn without_a_server_the_health_query_is_two_and_the_exemplar_probe_empty() {
    let (status, body) = get("/prometheus/api/v1/query?query=1%2B1&time=4").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(r#""result":[4,"2"]"#), "{body}");
    let (status, body) = get("/prometheus/api/v1/query_exemplars?query=test&start=1&end=2").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"data":[],"status":"success"}"#));
}

#[tokio::test]
async fn without_a_server_a_query_says_which_setting_is_missing() {
    let (status, body) = get("/prometheus/api/v1/query?query=up").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("upstream.prometheus.url"), "{body}");
}

/// Exemplars of two traces, as Prometheus answers them.
struct Server;

#[async_trait::async_trait]
impl Forward for Server {
    async fn forward(
        &self,
        _: Method,
        path: &str,
        headers: &HeaderMap,
        _: Bytes,
    ) -> Result<Response, ForwardFailure> {
        assert!(path.starts_with("/api/v1/query") && !headers.contains_key("accept-encoding"));
        let exemplar = |label: &str, trace: &str| json!({"labels": {label: trace, "user": "7"}, "value": "0.5", "timestamp": 1_600_096_955.479});
        let series = |name: &str, exemplars: Vec<Value>| json!({"seriesLabels": {"__name__": name}, "exemplars": exemplars});
        let data = json!([
            series("both", vec![exemplar("trace_id", DROPPED), exemplar("traceID", KEPT)]),
            series("one", vec![exemplar("TraceID", &DROPPED[16..])]),
            series("none", vec![exemplar("request", DROPPED)]),
        ]);
        Ok(json!({"status": "success", "data": data}).to_string().into_response())
    }
}

const DROPPED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const KEPT: &str = "5bf92f3577b34da6b3ce929d0e0e4736";

#[tokio::test]
async fn exemplars_of_another_server_point_to_no_trace_that_sampling_dropped() {
    let dropped = TraceId::from_hex(DROPPED.as_bytes()).unwrap();
    let traces = Memory { dropped: vec![dropped], ..Memory::default() };
    let state =
        State { prometheus: Some(Arc::new(Server)), ..state(Arc::new(traces), Arc::new(Memory::default())) };
    let path = "/prometheus/api/v1/query_exemplars?query=x&start=1&end=2";
    let (status, body) = ask(state, path, &[("accept-encoding", "identity")]).await;
    assert_eq!(status, StatusCode::OK);
    let answer: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<_> =
        answer["data"].as_array().unwrap().iter().map(|s| &s["seriesLabels"]["__name__"]).collect();
    // A label that names no trace is none of our business.
    assert_eq!(names, ["both", "none"]);
    let left = &answer["data"][0]["exemplars"];
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(
        (&left[0]["labels"]["traceID"], &left[0]["timestamp"]),
        (&json!(KEPT), &json!(1_600_096_955.479))
    );
}
