use axum::http::StatusCode;

use crate::fakes::get;

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
