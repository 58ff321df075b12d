use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{Event, Resource, SpanId, SpanKind, Status, StatusCode as Outcome, Value};
use serde_json::{Value as Json, json};

use crate::fakes::{Memory, Nothing, ask, span, state};
use crate::parameters::SECOND;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SHORT: &str = "0000000000000abc";
const NOON: u64 = 1_760_000_000 * SECOND;
const MILLI: u64 = 1_000_000;

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn id(hex: &str) -> Option<SpanId> {
    SpanId::from_hex(hex.as_bytes()).ok()
}

/// A checkout that calls a payment, which fails and has called a database; and a trace ten seconds later whose root is lost.
fn shop() -> Arc<Memory> {
    let mut checkout = span(TRACE, "1", "checkout", "POST /orders", NOON, NOON + 20 * MILLI);
    let own = [
        ("network.local.address", text("10.0.0.1")),
        ("network.local.port", Value::Int(8080)),
        ("k8s.pod.name", text("c-0")),
    ];
    let mut attributes = vec![("service.name".to_owned(), text("checkout"))];
    attributes.extend(own.map(|(key, value)| (key.to_owned(), value)));
    checkout.resource = Arc::new(Resource { attributes });
    checkout.attributes = vec![
        ("http.status_code".to_owned(), Value::Int(500)),
        ("zipkin.debug".to_owned(), Value::Bool(true)),
    ];
    let attributes = vec![("key".to_owned(), text("k"))];
    checkout.events = vec![
        Event { time: NOON + MILLI, name: "looked up".to_owned(), attributes },
        Event { time: NOON + 2 * MILLI, name: "sent".to_owned(), attributes: Vec::new() },
    ];
    let mut payment = span(TRACE, "2", "payment", "charge", NOON + MILLI, NOON + 11 * MILLI);
    payment.parent_span_id = id("1");
    payment.status = Status { code: Outcome::Error, message: "declined".to_owned() };
    let mut database = span(TRACE, "3", "payment", "select", NOON + 2 * MILLI, NOON + 2 * MILLI + 300);
    database.parent_span_id = id("2");
    database.kind = SpanKind::Client;
    let peer = [
        ("peer.service", text("cards")),
        ("network.peer.address", text("::1")),
        ("network.peer.port", Value::Int(5432)),
    ];
    database.attributes = peer.map(|(key, value)| (key.to_owned(), value)).into();
    let (mut orphan, mut younger) = (
        span(SHORT, "5", "checkout", "GET /", NOON + 10 * SECOND, NOON + 11 * SECOND),
        span(SHORT, "6", "checkout", "render", NOON + 10 * SECOND + 1, NOON + 11 * SECOND),
    );
    orphan.parent_span_id = id("4");
    younger.parent_span_id = id("4");
    Arc::new(Memory { spans: vec![database, younger, orphan, payment, checkout], ..Memory::default() })
}

async fn get(path: &str) -> (StatusCode, String) {
    ask(state(shop(), Arc::new(Nothing)), &format!("/zipkin/api/v2/{path}"), &[]).await
}

async fn found(path: &str) -> Json {
    let (status, body) = get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn lists_are_plain_names() {
    let end = NOON / MILLI + 60_000;
    for (path, expected) in [
        ("services", json!(["checkout", "payment"])),
        ("spans?serviceName=checkout", json!(["GET /", "POST /orders", "render"])),
        ("spans?serviceName=CHECKOUT", json!(["GET /", "POST /orders", "render"])),
        ("spans?serviceName=nobody", json!([])),
        ("spans", json!([])),
        (&format!("remoteServices?serviceName=payment&endTs={end}"), json!(["cards"])),
        (
            &format!("dependencies?endTs={end}&lookback=3600000"),
            json!([
                {"parent": "checkout", "child": "payment", "callCount": 1, "errorCount": 1},
                {"parent": "payment", "child": "cards", "callCount": 1}
            ]),
        ),
        (&format!("autocompleteValues?key=http.status_code&endTs={end}"), json!(["500"])),
    ] {
        assert_eq!(found(path).await, expected, "{path}");
    }
    let keys = found(&format!("autocompleteKeys?endTs={end}")).await;
    assert!(keys.as_array().unwrap().contains(&json!("http.status_code")), "{keys}");
}

#[tokio::test]
async fn a_span_is_written_as_zipkin_writes_it() {
    let trace = found(&format!("trace/{TRACE}")).await;
    assert_eq!(
        trace[0],
        json!({
            "traceId": TRACE, "id": "0000000000000001", "kind": "SERVER", "name": "POST /orders",
            "timestamp": NOON / 1_000, "duration": 20_000,
            "localEndpoint": {"serviceName": "checkout", "ipv4": "10.0.0.1", "port": 8080},
            "annotations": [
                {"timestamp": (NOON + MILLI) / 1_000, "value": r#"{"looked up":{"key":"k"}}"#},
                {"timestamp": (NOON + 2 * MILLI) / 1_000, "value": "sent"}
            ],
            "tags": {"http.status_code": "500", "k8s.pod.name": "c-0"}, "debug": true
        })
    );
    assert_eq!(trace[1]["tags"], json!({"error": "declined", "otel.status_code": "ERROR"}));
    assert_eq!(trace[1]["parentId"], "0000000000000001");
    let call = &trace[2];
    assert_eq!(call["remoteEndpoint"], json!({"serviceName": "cards", "ipv6": "::1", "port": 5432}));
    assert_eq!((&call["kind"], &call["duration"], call.get("tags")), (&json!("CLIENT"), &json!(1), None));
}

#[tokio::test]
async fn every_trace_has_a_root() {
    let listed = found(&format!("traces?endTs={}&limit=10", NOON / MILLI + 60_000)).await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for trace in listed.as_array().unwrap() {
        let roots = trace.as_array().unwrap().iter().filter(|span| span.get("parentId").is_none()).count();
        assert_eq!(roots, 1, "{trace}");
    }
    let orphaned = found("trace/abc").await;
    assert_eq!((&orphaned[0]["name"], orphaned[0].get("parentId")), (&json!("GET /"), None));
    assert_eq!(
        (&orphaned[0]["traceId"], &orphaned[1]["parentId"]),
        (&json!(SHORT), &json!("0000000000000004"))
    );
}

#[tokio::test]
async fn a_search_finds_traces_whose_spans_meet_all_of_it_together() {
    let end = NOON / MILLI + 60_000;
    for (query, expected) in [
        ("", vec![SHORT, TRACE]),
        ("limit=1", vec![SHORT]),
        ("serviceName=checkout", vec![SHORT, TRACE]),
        ("serviceName=Payment", vec![TRACE]),
        ("serviceName=nobody", vec![]),
        ("serviceName=all&spanName=all", vec![SHORT, TRACE]),
        ("serviceName=payment&spanName=Charge", vec![TRACE]),
        ("serviceName=checkout&spanName=charge", vec![]),
        ("spanName=charge", vec![TRACE]),
        ("serviceName=payment&remoteServiceName=cards", vec![TRACE]),
        ("serviceName=checkout&remoteServiceName=cards", vec![]),
        ("minDuration=500000", vec![SHORT]),
        ("serviceName=payment&minDuration=10000&maxDuration=10000", vec![TRACE]),
        ("annotationQuery=error", vec![TRACE]),
        ("annotationQuery=error%3Ddeclined%20and%20http.status_code%3D500", vec![TRACE]),
        ("serviceName=payment&annotationQuery=http.status_code%3D500", vec![]),
        ("annotationQuery=sent", vec![TRACE]),
        ("annotationQuery=k8s.pod.name%3Dc-1", vec![]),
        ("lookback=55000", vec![SHORT]),
    ] {
        let traces = found(&format!("traces?{query}&endTs={end}")).await;
        let ids: Vec<&str> =
            traces.as_array().unwrap().iter().map(|t| t[0]["traceId"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let many = found(&format!("traceMany?traceIds={TRACE},abc,abc,ffff")).await;
    assert_eq!(many.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn errors_are_text_that_says_what_was_expected() {
    for (path, code, words) in [
        ("trace/ffff", 404, "ffff not found"),
        ("trace/xyz", 400, "xyz should be lower-hex encoded"),
        ("traceMany", 400, "traceIds parameter is empty"),
        ("traces?limit=0", 400, "limit <= 0"),
        ("traces?endTs=noon", 400, "endTs \"noon\": expected a whole number"),
        ("traces?minDuration=2&maxDuration=1", 400, "maxDuration < minDuration"),
        ("autocompleteValues", 400, "key is missing"),
    ] {
        let (status, body) = get(path).await;
        assert_eq!(status.as_u16(), code, "{path}: {body}");
        assert!(body.contains(words), "{path}: {body}");
    }
}
