use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{Event, Link, SpanId, SpanKind, Status, StatusCode as Outcome, TraceId, Value};
use serde_json::{Value as Json, json};

use crate::fakes::{Memory, Nothing, ask, span, state};
use crate::parameters::SECOND;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "00000000000000000000000000000abc";
const NOON: u64 = 1_760_000_000 * SECOND;
const MILLI: u64 = 1_000_000;

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

/// A checkout that calls a payment, which fails; and a lone span of another trace, ten seconds later.
fn shop() -> Arc<Memory> {
    let id = |hex: &str| SpanId::from_hex(hex.as_bytes()).ok();
    let mut checkout = span(TRACE, "00f067aa0ba902b7", "checkout", "POST /orders", NOON, NOON + 20 * MILLI);
    checkout.attributes = vec![
        ("http.status_code".to_owned(), Value::Int(500)),
        ("big".to_owned(), Value::Int(i64::MAX)),
        ("ratio".to_owned(), Value::Double(0.5)),
        ("lost".to_owned(), Value::Double(f64::NAN)),
        ("raw".to_owned(), Value::Bytes(vec![1, 2])),
        ("list".to_owned(), Value::Array(vec![Value::Int(1), text("a")])),
        ("jaeger.warnings".to_owned(), Value::Array(vec![text("clock")])),
    ];
    let name = "exception".to_owned();
    checkout.events =
        vec![Event { time: NOON + MILLI, name, attributes: vec![("n".to_owned(), Value::Int(7))] }];
    let trace_id = TraceId::from_hex(OTHER.as_bytes()).ok();
    checkout.links = vec![Link { trace_id, span_id: id("1"), attributes: Vec::new() }];
    let mut payment =
        span(TRACE, "b7ad6b7169203331", "payment", "charge", NOON + MILLI, NOON + 11 * MILLI + 999);
    payment.parent_span_id = id("00f067aa0ba902b7");
    payment.kind = SpanKind::Unspecified;
    payment.status = Status { code: Outcome::Error, message: "declined".to_owned() };
    let lone = span(OTHER, "1", "checkout", "GET /", NOON + 10 * SECOND, NOON + 11 * SECOND);
    // The child comes first: order is the answer's to make.
    Arc::new(Memory { spans: vec![payment, checkout, lone], ..Memory::default() })
}

async fn get(path: &str) -> (StatusCode, Json) {
    let (status, body) = ask(state(shop(), Arc::new(Nothing)), &format!("/jaeger/api/{path}"), &[]).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

async fn data(path: &str) -> Json {
    let (status, body) = get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    assert_eq!((&body["errors"], &body["limit"], &body["offset"]), (&Json::Null, &json!(0), &json!(0)));
    assert_eq!(body["total"], body["data"].as_array().unwrap().len(), "{path}");
    body["data"].clone()
}

#[tokio::test]
async fn lists_are_plain_names() {
    for (path, expected) in [
        ("services", json!(["checkout", "payment"])),
        ("services/checkout/operations", json!(["GET /", "POST /orders"])),
        ("services/nobody%2Fknown/operations", json!([])),
        (
            "operations?service=checkout",
            json!([{"name": "GET /", "spanKind": "server"}, {"name": "POST /orders", "spanKind": "server"}]),
        ),
        ("operations?service=checkout&spanKind=client", json!([])),
        ("operations?service=payment", json!([{"name": "charge", "spanKind": ""}])),
        (
            &format!("dependencies?endTs={}&lookback=3600000", NOON / MILLI + 60_000),
            json!([{"parent": "checkout", "child": "payment", "callCount": 1}]),
        ),
        (&format!("dependencies?endTs={}&lookback=1000", NOON / MILLI - 60_000), json!([])),
    ] {
        assert_eq!(data(path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_trace_has_its_root_first_and_whole_microseconds() {
    let found = data(&format!("traces/{TRACE}")).await;
    let trace = &found[0];
    assert_eq!(trace["traceID"], TRACE);
    let (root, child) = (&trace["spans"][0], &trace["spans"][1]);
    assert_eq!(
        (&root["spanID"], &root["operationName"]),
        (&json!("00f067aa0ba902b7"), &json!("POST /orders"))
    );
    assert_eq!((&root["startTime"], &root["duration"]), (&json!(NOON / 1_000), &json!(20_000)));
    assert_eq!(child["duration"], 10_000);
    assert_eq!((&root["flags"], &root["warnings"]), (&json!(1), &json!(["clock"])));
    assert_eq!(
        root["references"],
        json!([{"refType": "FOLLOWS_FROM", "traceID": OTHER, "spanID": "0000000000000001"}])
    );
    assert_eq!(
        child["references"],
        json!([{"refType": "CHILD_OF", "traceID": TRACE, "spanID": "00f067aa0ba902b7"}])
    );
    let process = &trace["processes"][child["processID"].as_str().unwrap()];
    assert_eq!(process, &json!({"serviceName": "payment", "tags": []}));
    assert_eq!(
        root["logs"],
        json!([{"timestamp": (NOON + MILLI) / 1_000, "fields": [
            {"key": "event", "type": "string", "value": "exception"}, {"key": "n", "type": "int64", "value": 7}]}])
    );
    for (key, kind, value) in [
        ("http.status_code", "int64", json!(500)),
        ("big", "int64", json!(i64::MAX.to_string())),
        ("ratio", "float64", json!(0.5)),
        ("lost", "string", json!("NaN")),
        ("raw", "binary", json!("AQI=")),
        ("list", "string", json!(r#"[1,"a"]"#)),
        ("span.kind", "string", json!("server")),
    ] {
        let tag = json!({"key": key, "type": kind, "value": value});
        assert!(root["tags"].as_array().unwrap().contains(&tag), "{tag}: {root}");
    }
    for (key, kind, value) in [
        ("error", "bool", json!(true)),
        ("otel.status_code", "string", json!("ERROR")),
        ("otel.status_description", "string", json!("declined")),
    ] {
        let tag = json!({"key": key, "type": kind, "value": value});
        assert!(child["tags"].as_array().unwrap().contains(&tag), "{tag}: {child}");
    }
}

#[tokio::test]
async fn ids_are_found_in_any_spelling() {
    for (asked, expected) in [
        (TRACE.to_uppercase().as_str(), TRACE),
        ("abc", OTHER),
        ("0000000000000abc", OTHER),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", TRACE),
        // Its low half, as an older tracer has it.
        ("a3ce929d0e0e4736", TRACE),
    ] {
        assert_eq!(data(&format!("traces/{asked}")).await[0]["traceID"], expected, "{asked}");
    }
}

#[tokio::test]
async fn a_search_finds_traces_with_a_span_that_meets_all_of_it() {
    let whole = format!("start={}&end={}", NOON / 1_000, NOON / 1_000 + 60_000_000);
    for (query, expected) in [
        ("service=checkout", vec![OTHER, TRACE]),
        ("service=checkout&limit=1", vec![OTHER]),
        ("service=checkout&operation=POST%20/orders", vec![TRACE]),
        ("service=payment", vec![TRACE]),
        ("service=Payment", vec![]),
        // Operation and service of different spans.
        ("service=checkout&operation=charge", vec![]),
        ("service=checkout&minDuration=500ms", vec![OTHER]),
        ("service=checkout&maxDuration=500ms", vec![TRACE]),
        ("service=checkout&minDuration=20ms&maxDuration=20ms", vec![TRACE]),
        ("service=checkout&tags=%7B%22http.status_code%22%3A%22500%22%7D", vec![TRACE]),
        ("service=checkout&tags=%7B%22http.status_code%22%3A500%7D", vec![TRACE]),
        ("service=checkout&tags=%7B%22n%22%3A%227%22%7D", vec![TRACE]),
        ("service=payment&tags=%7B%22error%22%3A%22true%22%7D", vec![TRACE]),
        ("service=checkout&tags=%7B%22error%22%3A%22true%22%7D", vec![]),
        ("service=checkout&tag=span.kind:server&tag=http.status_code:500", vec![TRACE]),
        ("service=checkout&tag=span.kind:client", vec![]),
    ] {
        let found = data(&format!("traces?{query}&{whole}")).await;
        let ids: Vec<&str> =
            found.as_array().unwrap().iter().map(|t| t["traceID"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
        assert!(found.as_array().unwrap().iter().all(|trace| trace["spans"][0].is_object()), "{query}");
    }
    let late =
        format!("traces?service=checkout&start={}&end={}", NOON / 1_000 + 1, NOON / 1_000 + 60_000_000);
    assert_eq!(data(&late).await[0]["traceID"], OTHER);
    assert_eq!(
        data(&format!("traces?service=checkout&end={}&lookback=1h", NOON / 1_000))
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn errors_come_in_the_envelope_and_say_what_was_expected() {
    for (path, code, words) in [
        ("traces", 400, "parameter 'service' is required"),
        ("traces?service=a&start=noon", 400, "unable to parse param 'start'"),
        ("traces?service=a&tags=x", 400, "malformed 'tags' parameter"),
        ("traces?service=a&tags=%7B%22a%22%3A%5B%5D%7D", 400, "expected a text"),
        ("traces?service=a&tag=x", 400, "expecting key:value"),
        ("traces?service=a&minDuration=2s&maxDuration=1s", 400, "'maxDuration' should be greater"),
        ("traces?service=a&minDuration=long", 400, "minDuration"),
        (
            "traces?service=a&minDuration=10",
            400,
            "unable to parse param 'minDuration': expected numbers with units",
        ),
        ("traces?service=a&maxDuration=1d", 400, "unable to parse param 'maxDuration'"),
        ("traces/xyz", 400, "malformed parameter traceID"),
        ("traces/1234", 404, "trace not found"),
        ("operations", 400, "parameter 'service' is required"),
        ("dependencies?endTs=now", 400, "whole milliseconds"),
    ] {
        let (status, body) = get(path).await;
        assert_eq!((status.as_u16(), &body["errors"][0]["code"]), (code, &json!(code)), "{path}");
        assert!(body["errors"][0]["msg"].as_str().unwrap().contains(words), "{path}: {body}");
        assert!(body["data"].is_null(), "{path}");
    }
    let (status, body) = get(&format!("traces?traceID={TRACE}&traceID=1234")).await;
    assert_eq!((status, body["data"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(body["errors"][0]["traceID"], "00000000000000000000000000001234");
}

#[tokio::test]
async fn the_halves_of_a_shared_span_get_ids_of_their_own() {
    let mut call = span(TRACE, "a", "front", "get", NOON, NOON + 100);
    call.kind = SpanKind::Client;
    let handled = span(TRACE, "a", "back", "get", NOON + 10, NOON + 50);
    let (mut inner, mut beside) = (
        span(TRACE, "c", "back", "think", NOON + 20, NOON + 30),
        span(TRACE, "d", "front", "log", NOON + 1, NOON + 2),
    );
    inner.parent_span_id = Some(call.span_id);
    beside.parent_span_id = Some(call.span_id);
    let spans = vec![handled, inner, call, beside];
    let ask_for = |raw: &'static str| {
        let memory = Arc::new(Memory { spans: spans.clone(), ..Memory::default() });
        async move {
            let (_, body) =
                ask(state(memory, Arc::new(Nothing)), &format!("/jaeger/api/traces/{TRACE}{raw}"), &[]).await;
            let body: Json = serde_json::from_str(&body).unwrap();
            let spans = body["data"][0]["spans"].as_array().unwrap().clone();
            spans
                .iter()
                .map(|span| {
                    let short = |id: &Json| id.as_str().unwrap_or("-").trim_start_matches('0').to_owned();
                    format!(
                        "{} {}<{}",
                        span["operationName"].as_str().unwrap(),
                        short(&span["spanID"]),
                        short(&span["references"][0]["spanID"])
                    )
                })
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(ask_for("").await, ["get a<-", "log d<a", "get b<a", "think c<b"]);
    assert_eq!(ask_for("?raw=true").await, ["get a<-", "log d<a", "get a<-", "think c<a"]);
}

#[tokio::test]
async fn the_third_version_answers_in_otlp() {
    assert_eq!(get("v3/services").await.1, json!({"services": ["checkout", "payment"]}));
    assert_eq!(
        get("v3/operations?service=checkout&span_kind=server").await.1["operations"][0],
        json!({"name": "GET /", "spanKind": "server"})
    );
    let (status, body) = get(&format!("v3/traces/{TRACE}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let groups = body["result"]["resourceSpans"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{body}");
    for group in groups {
        assert!(!group["resource"]["attributes"].as_array().unwrap().is_empty(), "{group}");
        assert!(group["scopeSpans"][0]["spans"][0]["spanId"].is_string(), "{group}");
    }
    let checkout = &groups[1]["scopeSpans"][0]["spans"][0];
    assert_eq!(checkout["traceId"], TRACE);
    assert_eq!((&checkout["kind"], &checkout["status"]["code"]), (&json!(2), &json!(0)));
    assert_eq!(checkout["startTimeUnixNano"], NOON.to_string());
    let attributes = checkout["attributes"].as_array().unwrap();
    assert!(
        attributes.contains(&json!({"key": "http.status_code", "value": {"intValue": "500"}})),
        "{checkout}"
    );
    assert!(attributes.contains(&json!({"key": "lost", "value": {"doubleValue": "NaN"}})), "{checkout}");
    let search = "v3/traces?query.service_name=payment&query.start_time_min=2025-10-09T08:53:20Z\
                  &query.start_time_max=2025-10-09T08:54:20Z&query.duration_min=1ms&query.num_traces=5";
    let (status, body) = get(search).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["result"]["resourceSpans"].as_array().unwrap().len(), 2);
    for (path, code) in
        [("v3/traces/1234", 404), ("v3/traces/xyz", 400), ("v3/traces", 400), ("v3/operations", 400)]
    {
        let (status, body) = get(path).await;
        assert_eq!((status.as_u16(), &body["error"]["httpCode"]), (code, &json!(code)), "{path}");
    }
}
