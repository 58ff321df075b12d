use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{SpanId, TraceId, Value as Attribute};
use serde_json::Value;

use crate::fakes::{self, Memory, Nothing, span};

const SECOND: u64 = 1_000_000_000;

/// Carts that call a statement, which is slow for one customer.
fn shop() -> Memory {
    let mut spans = Vec::new();
    for number in 1..=60u64 {
        let (trace, start) = (format!("{number:032x}"), number * SECOND);
        let took = if number % 4 == 0 { 900 } else { 10 + number % 7 } * 1_000_000;
        let (root, below) = (format!("{:016x}", number * 2), format!("{:016x}", number * 2 + 1));
        let mut cart = span(&trace, &root, "frontend", "GET /cart", start, start + took + 2_000_000);
        let customer = if number % 4 == 0 { "acme" } else { "hooli" };
        cart.attributes.push(("customer".to_owned(), Attribute::Str(customer.to_owned())));
        let mut statement = span(&trace, &below, "db", "SELECT", start + 1_000_000, start + 1_000_000 + took);
        statement.parent_span_id = SpanId::from_hex(root.as_bytes()).ok();
        spans.extend([cart, statement]);
    }
    Memory { spans, ..Memory::default() }
}

async fn ask(memory: Memory, path: &str) -> (StatusCode, Value) {
    let state = fakes::state(Arc::new(memory), Arc::new(Nothing));
    let (status, body) = fakes::ask(state, path, &[]).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn what_makes_it_slow_comes_first_with_its_share() {
    let path = "/api/v1/analysis/variance?service=frontend&operation=GET%20%2Fcart&start=1&end=100";
    let (status, body) = ask(shop(), path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let first = &body["contributors"][0];
    assert_eq!((&first["service"], &first["operation"]), (&"db".into(), &"SELECT".into()));
    assert_eq!(
        (&first["attributes"][0]["key"], &first["attributes"][0]["value"]),
        (&"customer".into(), &"acme".into())
    );
    let shares: f64 =
        body["contributors"].as_array().unwrap().iter().map(|one| one["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    assert_eq!(body["traces"], 60);
    assert_eq!(body["max_nano"], "902000000");
    assert!(body["reason"].is_null());
}

#[tokio::test]
async fn an_empty_answer_has_every_key_and_a_reason() {
    let (status, body) = ask(shop(), "/api/v1/analysis/variance?service=nobody&start=1&end=100").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["contributors"], Value::Array(Vec::new()));
    assert!(body["reason"].as_str().unwrap().contains("no trace"));
    let absent = &body["absent"][0];
    assert_eq!((&absent["signal"], &absent["reason"]), (&"spans".into(), &"never_seen".into()));
    assert!(absent["hint"].as_str().unwrap().contains("frontend"), "{absent}");
    assert_eq!((&body["max_nano"], &body["mean_nano"]), (&"0".into(), &"0".into()));
    assert!(!body.to_string().contains("-0"), "{body}");
    let (status, body) = ask(shop(), "/api/v1/analysis/versions?service=db&start=1&end=100").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["reason"].as_str().unwrap().contains("service.version"), "{body}");
    assert!(body["absent"][0]["hint"].as_str().unwrap().contains("`by`"), "{body}");
    let path = "/api/v1/analysis/compare?a=%7Bname%3D%22nosuch%22%7D&start=1&end=100";
    let (status, body) = ask(shop(), path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["absent"][0]["detail"].as_str().unwrap().contains("nosuch"), "{body}");
    assert_eq!(body["window"]["start_unix_nano"], "1000000000");
}

#[tokio::test]
async fn two_selections_are_compared_in_one_list() {
    let path = "/api/v1/analysis/compare?start=1&end=100&a=%7B%20duration%20%3E%20500ms%20%7D&b=%7B%20name%20%3D%20%22GET%20%2Fcart%22%20%26%26%20duration%20%3C%20500ms%20%7D";
    let (status, body) = ask(shop(), path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let first = &body["findings"][0];
    assert_eq!((&first["kind"], &first["operation"]), (&"latency".into(), &"SELECT".into()), "{body}");
    assert!(first["significance"].as_f64().unwrap() < 0.01);
    assert_eq!(first["times"]["a"]["p50_nano"], "900000000");
    assert_eq!((&body["a"]["traces"], &body["b"]["traces"]), (&15.into(), &45.into()));
}

#[tokio::test]
async fn two_traces_are_compared_span_by_span_and_fields_chooses() {
    let (a, b) = (format!("{:032x}", 3), format!("{:032x}", 4));
    let (status, body) =
        ask(shop(), &format!("/api/v1/analysis/compare?a={a}&b={b}&fields=findings,spans")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(
        (&body["findings"][0]["kind"], &body["findings"][0]["service"]),
        (&"latency".into(), &"db".into())
    );
    assert!(body["findings"][0]["significance"].is_null());
    assert_eq!(body["spans"][1]["b"]["duration_nano"], "900000000");
}

#[tokio::test]
async fn a_trace_that_is_not_there_has_the_reason_of_its_own_whenever_it_was() {
    let (kept, dropped, never) = (format!("{:032x}", 3), format!("{:032x}", 900), format!("{:032x}", 901));
    let id = TraceId::from_spelling(dropped.as_bytes()).unwrap();
    let memory = || Memory { dropped: vec![id], ..shop() };
    let path = format!("/api/v1/analysis/compare?a={dropped}&b={kept}");
    let (status, body) = ask(memory(), &path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let absent = &body["absent"][0];
    assert_eq!((&absent["signal"], &absent["reason"]), (&"spans".into(), &"sampled_out".into()), "{body}");
    assert!(absent["detail"].as_str().unwrap().contains("the rule `rest`"), "{absent}");
    assert!(body["reason"].as_str().unwrap().contains("the rule `rest`"), "{body}");
    let (_, body) = ask(memory(), &format!("/api/v1/analysis/compare?a={kept}&b={never}")).await;
    let absent = &body["absent"][0];
    assert_eq!(absent["reason"], "never_seen", "{body}");
    let told = absent.to_string();
    assert!(told.contains(&never) && !told.contains("between") && !told.contains("tempo"), "{told}");
}

#[tokio::test]
async fn a_limit_bounds_pairs_of_spans_and_says_how_many_it_left_out() {
    let (a, b) = (format!("{:032x}", 3), format!("{:032x}", 4));
    let (_, body) = ask(shop(), &format!("/api/v1/analysis/compare?a={a}&b={b}&limit=1")).await;
    assert_eq!((body["spans"].as_array().unwrap().len(), &body["spans_omitted"]), (1, &1.into()), "{body}");
    let (_, body) = ask(shop(), &format!("/api/v1/analysis/compare?a={a}&b={b}")).await;
    assert_eq!((body["spans"].as_array().unwrap().len(), &body["spans_omitted"]), (2, &0.into()), "{body}");
}

#[tokio::test]
async fn an_operation_of_traces_that_are_too_large_is_not_said_to_be_missing() {
    let (trace, root) = (format!("{:032x}", 7), format!("{:016x}", 1));
    let mut spans = vec![span(&trace, &root, "batch", "job", SECOND, 9 * SECOND)];
    for number in 2..20_010u64 {
        let mut item = span(&trace, &format!("{number:016x}"), "batch", "item", SECOND, 2 * SECOND);
        item.parent_span_id = SpanId::from_hex(root.as_bytes()).ok();
        spans.push(item);
    }
    let memory = Memory { spans, ..Memory::default() };
    let path = "/api/v1/analysis/variance?service=batch&operation=job&start=1&end=100";
    let (_, body) = ask(memory, path).await;
    assert!(body["reason"].as_str().unwrap().contains("more than 20000 spans"), "{body}");
    assert_eq!(body["absent"][0]["reason"], "truncated", "{body}");
    assert!(!body["absent"].to_string().contains("none started between"), "{body}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_what_was_expected() {
    for (path, expected) in [
        ("variance", "service is missing"),
        ("variance?service=a&start=yesterday", "invalid start"),
        ("variance?service=a&start=9&end=5", "is not before"),
        ("compare?a=%7B%7D%20%7C%20rate()", "a selection of traces was expected"),
        ("compare?b=%7B%7D", "a is missing"),
        ("compare?a=00000000000000000000000000000004", "compared with a trace"),
        ("compare?a=%7B%20nonsense&b=%7B%7D", "a is neither"),
        ("compare?a=00000000000000000000000000000004&b=%7B%7D", "compared with a trace"),
        (
            "compare?a=00000000000000000000000000000004&b=00000000000000000000000000000003&a_start=1&a_end=2",
            "a_start and a_end",
        ),
        (
            "compare?a=00000000000000000000000000000004&b=00000000000000000000000000000003&b_end=2",
            "b_start and b_end",
        ),
        ("versions", "service is missing"),
    ] {
        let (status, body) = ask(shop(), &format!("/api/v1/analysis/{path}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(body["error"].as_str().unwrap_or_default().contains(expected), "{path}: {body}");
    }
}
