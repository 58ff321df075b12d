use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{self, Span, SpanId, SpanKind, Value};
use serde_json::Value as Json;

use crate::fakes::{self, Memory, Nothing, span};

const START: u64 = 1_760_000_000_000_000_000;
const TRACE: &str = "5eed0000000000000000000000000001";

/// `front` calls `shop`, which calls its database and fails.
fn spans() -> Vec<Span> {
    let child = |id: &str, parent: &str, service: &str, kind: SpanKind| {
        let parent_span_id = SpanId::from_hex(parent.as_bytes()).ok();
        Span { kind, parent_span_id, ..span(TRACE, id, service, "POST /orders", START, START + 20_000_000) }
    };
    let (root, none) = ("0000000000000001", "");
    let mut shop = child("0000000000000003", "0000000000000002", "shop", SpanKind::Server);
    shop.status.code = record::StatusCode::Error;
    let mut query = child("0000000000000004", "0000000000000003", "shop", SpanKind::Client);
    query.attributes.push(("db.system".to_owned(), Value::Str("postgresql".to_owned())));
    vec![
        child(root, none, "front", SpanKind::Server),
        child("0000000000000002", root, "front", SpanKind::Client),
        shop,
        query,
    ]
}

async fn get(spans: Vec<Span>, path: &str) -> (StatusCode, Json) {
    let traces = Arc::new(Memory { spans, ..Memory::default() });
    let (status, body) = fakes::ask(fakes::state(traces, Arc::new(Nothing)), path, &[]).await;
    (status, serde_json::from_str(&body).unwrap_or(Json::Null))
}

fn window() -> String {
    format!("start={}&end={}", START / 1_000_000_000 - 60, START / 1_000_000_000 + 60)
}

#[tokio::test]
async fn services_and_operations_have_rates_errors_and_durations() {
    let (status, body) = get(spans(), &format!("/api/v1/services?{}", window())).await;
    assert_eq!(status, StatusCode::OK);
    let shop = body["services"].as_array().unwrap().iter().find(|s| s["name"] == "shop").unwrap();
    assert_eq!((&shop["calls"], &shop["errors"], &shop["operations"]), (&1.into(), &1.into(), &2.into()));
    let seconds = body["window"]["seconds"].as_f64().unwrap();
    assert!((shop["rate"].as_f64().unwrap() * seconds - 1.0).abs() < 1e-9);
    let p50: u64 = shop["latency"]["p50_nano"].as_str().unwrap().parse().unwrap();
    assert!(p50.abs_diff(20_000_000) < 1_000_000, "{p50}");
    let (_, body) = get(spans(), &format!("/api/v1/operations?service=shop&limit=1&{}", window())).await;
    assert_eq!(body["operations"][0]["kind"], "server");
    assert_eq!((&body["omitted"], &body["absent"]), (&1.into(), &Json::Array(Vec::new())));
}

#[tokio::test]
async fn names_past_those_that_are_told_apart_are_marked_and_warned_of() {
    let many = |names: u64| {
        let one = |n: u64| {
            span(&format!("{n:032x}"), "0000000000000001", "many", &format!("GET /{n}"), START, START + 9)
        };
        (1..=names).map(one).collect::<Vec<_>>()
    };
    let path = format!("/api/v1/operations?service=many&limit=5000&{}", window());
    let (_, body) = get(many(1_200), &path).await;
    let others: Vec<&Json> =
        body["operations"].as_array().unwrap().iter().filter(|o| o["others"] == true).collect();
    assert_eq!((others.len(), &others[0]["name"], &others[0]["calls"]), (1, &"(others)".into(), &200.into()));
    let warned = body["warnings"][0].as_str().unwrap();
    assert!(warned.contains("200 spans") && warned.contains("many"), "{warned}");
    let (_, body) = get(many(900), &path).await;
    assert!(body["operations"].as_array().unwrap().iter().all(|o| o["others"] == false));
    assert_eq!(body["warnings"], Json::Array(Vec::new()));
}

#[tokio::test]
async fn the_graph_has_services_and_what_sends_no_spans() {
    let (status, body) =
        get(spans(), &format!("/api/v1/service-graph?fields=nodes,edges&{}", window())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body.as_object().unwrap().len(), 2);
    let told = |list: &str, keys: [&str; 2]| -> Vec<String> {
        let entries = body[list].as_array().unwrap();
        let mut told: Vec<String> = entries
            .iter()
            .map(|e| format!("{} {}", e[keys[0]].as_str().unwrap(), e[keys[1]].as_str().unwrap()))
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        told("nodes", ["name", "kind"]),
        ["front service", "postgresql database", "shop service", "user user"]
    );
    assert_eq!(told("edges", ["client", "server"]), ["front shop", "shop postgresql", "user front"]);
    let edge = body["edges"].as_array().unwrap().iter().find(|e| e["server"] == "shop").unwrap();
    assert_eq!((&edge["failed"], &edge["connection_type"]), (&1.into(), &"".into()));
    assert_eq!(edge["trace_ids"][0], TRACE);
}

#[tokio::test]
async fn nothing_comes_with_its_reason() {
    for (spans, query, reason) in [
        (Vec::new(), String::new(), "no_spans"),
        (spans(), "service=shop".to_owned(), "outside_window"),
        (spans(), format!("service=till&{}", window()), "never_seen"),
    ] {
        let (status, body) = get(spans, &format!("/api/v1/operations?{query}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["absent"][0]["reason"], reason, "{body}");
        assert!(!body["absent"][0]["hint"].as_str().unwrap().is_empty(), "{body}");
    }
}
