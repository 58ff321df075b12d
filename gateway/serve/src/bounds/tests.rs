use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::assemble;
use crate::fakes::{Nothing, state};

const PATHS: [&str; 4] = [
    "/loki/api/v1/labels",
    "/tempo/api/search",
    "/prometheus/api/v1/labels",
    "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736",
];

async fn ask(router: Router, path: &str) -> (StatusCode, Option<String>, String) {
    let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, retry, String::from_utf8(body.to_vec()).unwrap())
}

fn assert_shape(path: &str, body: &str, kind: &str, words: &str) {
    let json = serde_json::from_str::<Value>(body);
    let detail = match path {
        _ if path.starts_with("/prometheus") => {
            let json = json.unwrap();
            assert_eq!((&json["status"], &json["errorType"]), (&"error".into(), &kind.into()));
            json["error"].as_str().unwrap().to_owned()
        }
        _ if path.starts_with("/api") => json.unwrap()["error"].as_str().unwrap().to_owned(),
        _ => {
            assert!(json.is_err(), "plain text: {body}");
            body.to_owned()
        }
    };
    assert!(detail.contains(words), "{path}: {detail}");
}

#[tokio::test]
async fn over_the_bound_each_surface_says_so_in_its_own_words() {
    let router = assemble(state(Arc::new(Nothing), Arc::new(Nothing)), 0);
    for path in PATHS {
        let (status, retry, body) = ask(router.clone(), path).await;
        assert_eq!((status, retry.as_deref()), (StatusCode::SERVICE_UNAVAILABLE, Some("1")), "{path}");
        assert_shape(path, &body, "unavailable", "too many requests");
    }
}

#[tokio::test]
async fn operations_are_answered_over_the_bound() {
    let router = assemble(state(Arc::new(Nothing), Arc::new(Nothing)), 0);
    assert_eq!(ask(router.clone(), "/healthz").await.0, StatusCode::OK);
    assert_eq!(ask(router.clone(), "/metrics").await.0, StatusCode::OK);
    let (_, retry, body) = ask(router, "/readyz").await;
    assert!(retry.is_none() && body.contains("replaying"), "its own 503: {body}");
}

#[tokio::test]
async fn a_late_answer_is_an_error_in_the_words_of_its_surface() {
    let bounds = Bounds::new(1, Duration::ZERO);
    let router =
        Router::new().fallback(std::future::pending::<Response>).layer(from_fn_with_state(bounds, keep));
    for path in PATHS {
        let (status, _, body) = ask(router.clone(), path).await;
        let expected = if path.starts_with("/prometheus") { 503 } else { 504 };
        assert_eq!(status.as_u16(), expected, "{path}");
        assert_shape(path, &body, "timeout", "timed out");
    }
}
