use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures::StreamExt;

use super::*;

const WINDOW: Window = Window { start: 1_000_000_000_000, end: 1_060_000_000_000 };

/// A server that gives these answers one after the other, the last again and again.
async fn server(answers: Vec<(u16, String)>) -> (String, Arc<AtomicUsize>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().fallback(move || {
        let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let (status, body) = answers[at].clone();
        async move { (StatusCode::from_u16(status).unwrap(), body).into_response() }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prom", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn client(status: u16, body: &str) -> (Prometheus, Arc<AtomicUsize>) {
    let (url, asked) = server(vec![(status, body.to_owned())]).await;
    let options = PrometheusOptions { body_limit: 4096, forward_limit: 4096, ..PrometheusOptions::new(url) };
    (Prometheus::new(options).unwrap(), asked)
}

async fn range(client: &Prometheus) -> Result<Vec<Series>, ReadError> {
    client.range("up", WINDOW, Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_matrix_is_read_with_its_odd_numbers_and_asked_once() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1,"NaN"],[2.5,"+Inf"],[3,"1"]]}]}}"#;
    let (client, asked) = client(200, body).await;
    let series = range(&client).await.unwrap();
    let samples = &series[0].samples;
    assert!(samples[0].value.is_nan());
    assert_eq!((samples[1].time, samples[1].value), (2_500_000_000, f64::INFINITY));
    range(&client).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn exemplars_name_their_trace() {
    let body = r#"{"status":"success","data":[{"seriesLabels":{"__name__":"x"},"exemplars":[{"labels":{"traceID":"4BF92F3577B34DA6A3CE929D0E0E4736","span_id":"00f067aa0ba902b7","k":"v"},"value":"6","timestamp":1600096945.479}]}]}"#;
    let (client, _) = client(200, body).await;
    let exemplars = client.exemplars("x", WINDOW).await.unwrap();
    assert_eq!(exemplars[0].trace_id.unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(exemplars[0].time, 1_600_096_945_479_000_000);
    assert_eq!(exemplars[0].labels, [("k".to_owned(), "v".to_owned())]);
}

#[tokio::test]
async fn wrong_answers_are_told_apart() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    let huge = "x".repeat(5000);
    for (status, body, expected) in [
        (400, refused, "refused the query: bad_data: parse error"),
        (500, "boom", "status 500, `boom`"),
        (200, "<html>login</html>", "answered `<html>login</html>`"),
        (200, r#"{"status":"succ"#, "expected the JSON envelope"),
        (200, huge.as_str(), "more than 4096 bytes"),
    ] {
        let (client, asked) = client(status, body).await;
        let error = range(&client).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{error}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let good = r#"{"status":"success","data":[]}"#.to_owned();
    let (url, asked) = server(vec![(503, String::new()), (502, String::new()), (200, good)]).await;
    let client = Prometheus::new(PrometheusOptions::new(url)).unwrap();
    assert_eq!(client.series(&["up".to_owned()], WINDOW).await.unwrap(), []);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn silence_and_absence_are_told_apart() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = PrometheusOptions { timeout: Duration::from_millis(20), ..PrometheusOptions::new(&url) };
    let error = range(&Prometheus::new(options).unwrap()).await.unwrap_err();
    assert!(matches!(error, ReadError::Timeout { .. }), "{error}");
    drop(listener);
    let options = PrometheusOptions { retries: 0, ..PrometheusOptions::new(&url) };
    let error = range(&Prometheus::new(options).unwrap()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn queries_are_handed_on_and_writes_are_not() {
    let (client, _) = client(422, "as it is").await;
    let send = |method, path: &'static str| {
        let client = client.clone();
        async move { client.forward(method, path, &HeaderMap::new(), Bytes::new()).await }
    };
    let answer = send(reqwest::Method::GET, "/api/v1/query?query=1").await.unwrap();
    assert_eq!(answer.status, 422);
    let body: Vec<Bytes> = answer.body.map(Result::unwrap).collect().await;
    assert_eq!(body.concat(), b"as it is");
    for path in
        ["/api/v1/admin/tsdb/x", "/api/v1//write", "/api/v1/%2e%2e/x", "/metrics", "/api/v1/%61dmin/x"]
    {
        assert!(send(reqwest::Method::POST, path).await.is_err(), "{path}");
    }
    assert!(send(reqwest::Method::DELETE, "/api/v1/series").await.is_err());
}

#[tokio::test]
async fn the_tenants_of_who_asks_go_on_to_the_server_and_answers_are_kept_apart() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let router = Router::new().fallback(|headers: HeaderMap| async move {
        let tenant = headers.get("x-scope-orgid").map_or("nobody", |value| value.to_str().unwrap());
        format!("{{\"status\":\"success\",\"data\":[{{\"tenant\":\"{tenant}\"}}]}}")
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let free = Prometheus::new(PrometheusOptions::new(&url)).unwrap();
    let fixed = Prometheus::new(PrometheusOptions {
        tenant: Some("ours".to_owned()),
        ..PrometheusOptions::new(&url)
    })
    .unwrap();
    for (client, expected) in [(&free, "theirs"), (&fixed, "ours")] {
        let selector = ["up".to_owned()];
        let whole = client.series(&selector, WINDOW).await.unwrap();
        let narrowed = client.of_tenants("theirs").unwrap().series(&selector, WINDOW).await.unwrap();
        assert_eq!(narrowed[0].get("tenant"), Some(expected));
        assert_ne!(whole[0].get("tenant"), Some("theirs"));
        let headers = HeaderMap::from_iter([("x-scope-orgid".parse().unwrap(), "theirs".parse().unwrap())]);
        let method = reqwest::Method::GET;
        let answer =
            client.forward(method, "/api/v1/series?match[]=up", &headers, Bytes::new()).await.unwrap();
        let body: Vec<Bytes> = answer.body.map(Result::unwrap).collect().await;
        assert!(String::from_utf8(body.concat()).unwrap().contains(&format!("\"{expected}\"")));
    }
}
