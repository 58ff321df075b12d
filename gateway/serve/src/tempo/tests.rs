use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use parsers::otlp::{Field, Reader};
use parsers::record::{Resource, Scope, Span, SpanId, SpanKind, Status, TraceId, Value};

use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use super::request::{SearchRequest, Wanted};
use super::response::trace_by_id;
use crate::fakes::{Memory, Nothing, ask, state};
use crate::parameters::{Parameters, SECOND};
use crate::{Capacity, State, router};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SHORT: &str = "a3ce929d0e0e4737";
const NOON: u64 = 1_760_000_000 * SECOND;

/// Without name, scope, status or resource.
fn span(trace: &str, start: u64, end: u64) -> Span {
    Span {
        trace_id: TraceId::from_hex(trace.as_bytes()).unwrap(),
        span_id: SpanId::from_hex(b"00f067aa0ba902b7").unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: SpanKind::from_code(0),
        start,
        end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
    }
}

/// A trace of the shop, and one of nobody.
fn traces() -> Arc<Memory> {
    let service = Value::Str("checkout".to_owned());
    let shop = Span {
        name: "POST /orders".to_owned(),
        resource: Arc::new(Resource { attributes: vec![("service.name".to_owned(), service)] }),
        attributes: vec![("http.request.method".to_owned(), Value::Str("POST".to_owned()))],
        ..span(TRACE, NOON, NOON + 5_000_000)
    };
    Arc::new(Memory { spans: vec![shop, span(SHORT, NOON, NOON + 1)], ..Memory::default() })
}

async fn get(path: &str) -> (StatusCode, String) {
    ask(state(traces(), Arc::new(Nothing)), &format!("/tempo/api/{path}"), &[]).await
}

async fn found(path: &str) -> Json {
    let (status, body) = get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn assert_keys(value: &Json, known: &[&str]) {
    for key in value.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "a strict decoder does not know {key}: {value}");
    }
}

const WINDOW: &str = "start=1759999990&end=1760000010";

fn field(message: &[u8], wanted: u32) -> Option<Vec<u8>> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().unwrap() {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            return Some(bytes.to_vec());
        }
    }
    None
}

#[test]
fn what_the_client_dereferences_is_there_even_for_a_bare_span() {
    let body = trace_by_id(&[span(TRACE, 1, 2)], false);
    let trace = field(&body, 1).unwrap();
    let resource_spans = field(&trace, 1).unwrap();
    let resource = field(&resource_spans, 1).unwrap();
    assert!(field(&resource, 1).is_some(), "a resource has an attribute");
    let scope_spans = field(&resource_spans, 2).unwrap();
    assert!(field(&scope_spans, 1).is_some(), "scope");
    let span = field(&scope_spans, 2).unwrap();
    assert!(field(&span, 15).is_some(), "status");
    assert_eq!(field(&span, 1).unwrap().len(), 16);
}

#[tokio::test]
async fn a_search_has_only_keys_that_a_strict_decoder_knows() {
    // { resource.service.name = "checkout" }, and the same as tags.
    for query in [
        "q=%7Bresource.service.name%3D%22checkout%22%7D",
        "tags=service.name%3Dcheckout&minDuration=1ms&maxDuration=1s",
    ] {
        let body = found(&format!("search?{query}&{WINDOW}&limit=20&spss=3")).await;
        assert_keys(&body, &["traces", "metrics"]);
        let metrics = ["inspectedSpans", "inspectedBytes", "completedJobs", "totalJobs"];
        assert_keys(&body["metrics"], &metrics);
        let [trace] = body["traces"].as_array().unwrap().as_slice() else { panic!("{query}: {body}") };
        let known = [
            "traceID",
            "rootServiceName",
            "rootTraceName",
            "startTimeUnixNano",
            "durationMs",
            "spanSet",
            "spanSets",
            "serviceStats",
        ];
        assert_keys(trace, &known);
        assert_eq!(trace["traceID"], TRACE);
        assert_eq!(trace["rootTraceName"], "POST /orders");
        assert_eq!(trace["durationMs"], 5);
        assert_eq!(trace["spanSets"], json!([trace["spanSet"]]));
        assert_keys(&trace["spanSet"], &["spans", "matched"]);
        let span = &trace["spanSet"]["spans"][0];
        assert_keys(span, &["spanID", "name", "startTimeUnixNano", "durationNanos", "attributes"]);
        assert_eq!(span["spanID"], "00f067aa0ba902b7");
        assert_eq!(span["durationNanos"], "5000000");
    }
}

#[tokio::test]
async fn a_search_without_hits_is_an_empty_list() {
    let body = found("search?q=%7Bresource.service.name%3D%22nobody%22%7D").await;
    assert_eq!(body["traces"], json!([]));
}

#[tokio::test]
async fn a_query_that_does_not_parse_is_400_in_search_and_ignored_for_values() {
    let (status, body) = get(&format!("search?q=%7Bname%3D&{WINDOW}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let values = json!([{ "type": "string", "value": "checkout" }]);
    for tag in ["resource.service.name", "resource%2Eservice%2Ename", "resource%252Eservice%252Ename"] {
        let body = found(&format!("v2/search/tag/{tag}/values?q=%7Bname%3D&{WINDOW}")).await;
        assert_eq!(body["tagValues"], values, "{tag}");
    }
}

#[tokio::test]
async fn times_that_cannot_be_are_refused_in_tempos_words() {
    for (path, words) in [
        (
            "search?q=%7B%7D&start=200&end=100",
            "http parameter start must be before end. received start=200 end=100",
        ),
        ("search?q=%7B%7D&start=abc", "invalid start \"abc\""),
        (&format!("v2/traces/{TRACE}?start=abc"), "invalid start \"abc\""),
        (&format!("traces/{TRACE}?end=abc"), "invalid end \"abc\""),
        (&format!("v2/traces/{TRACE}?start=200&end=100"), "http parameter start must be before end"),
    ] {
        let (status, body) = get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        assert!(body.starts_with(words), "{path}: {body}");
    }
    let (status, _) = status_and_size(&format!("/tempo/api/v2/traces/{TRACE}?start=100&end=200")).await;
    assert_eq!(status, StatusCode::OK, "a trace is found whenever it was");
}

#[tokio::test]
async fn an_answer_that_would_be_too_large_is_refused_and_so_is_one_when_others_hold_all() {
    let path = format!("/tempo/api/metrics/query_range?q=%7B%7D%7Crate()&{WINDOW}&step=1");
    for (points, bytes, expected, words) in [
        (10, 1 << 30, StatusCode::BAD_REQUEST, "more than 10 points"),
        (1_000, 100, StatusCode::BAD_REQUEST, "more than 100 bytes"),
        (1_000, 1 << 30, StatusCode::OK, "timestampMs"),
    ] {
        let state = State { capacity: Capacity::new(points, bytes), ..state(traces(), Arc::new(Nothing)) };
        let (status, body) = ask(state, &path, &[]).await;
        assert_eq!(status, expected, "{body}");
        assert!(body.contains(words), "{body}");
    }
}

#[tokio::test]
async fn tags_and_values_are_told_in_both_versions() {
    let newer = found(&format!("v2/search/tags?{WINDOW}")).await;
    let scopes = newer["scopes"].as_array().unwrap();
    let tags = |name: &str| &scopes.iter().find(|scope| scope["name"] == name).unwrap()["tags"];
    assert_eq!(tags("resource"), &json!(["service.name"]));
    assert_eq!(tags("span"), &json!(["http.request.method"]));
    let older = found(&format!("search/tags?{WINDOW}")).await;
    assert!(older["tagNames"].as_array().unwrap().contains(&json!("service.name")), "{older}");
    let values = found(&format!("search/tag/service.name/values?{WINDOW}")).await;
    assert_eq!(values["tagValues"], json!(["checkout"]));
    assert_eq!(found("status/buildinfo").await["version"], "2.8.0");
}

#[tokio::test]
async fn a_trace_is_found_by_short_and_by_capital_ids() {
    for id in [TRACE, "4BF92F3577B34DA6A3CE929D0E0E4736", SHORT, "0000000000000000A3CE929D0E0E4737"] {
        for version in ["traces", "v2/traces"] {
            let path = format!("/tempo/api/{version}/{id}");
            let (status, body) = status_and_size(&path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(body > 0, "{path}");
        }
    }
}

async fn status_and_size(path: &str) -> (StatusCode, usize) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(state(traces(), Arc::new(Nothing))).oneshot(request).await.unwrap();
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, body.len())
}

#[test]
fn what_is_not_said_is_as_in_tempo() {
    let asked = SearchRequest::read(&Parameters::default(), NOON).unwrap();
    assert_eq!((asked.limit, asked.spans), (20, 3));
    assert!(asked.window.contains(NOON) && asked.window.contains(NOON - 3_000 * SECOND));
    let tags = Wanted::Tags { tags: String::new(), min_duration: None, max_duration: None };
    assert_eq!(asked.query, tags);
}
