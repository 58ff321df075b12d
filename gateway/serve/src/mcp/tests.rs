use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::fakes::{Nothing, state};

fn mounted(options: McpOptions) -> Router {
    with_mcp(crate::router(state(Arc::new(Nothing), Arc::new(Nothing))), options)
}

async fn post(router: Router, headers: &[(&str, &str)], message: Value) -> (StatusCode, Value) {
    let mut request = Request::post("/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::from(message.to_string())).unwrap()).await.unwrap();
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn call(name: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": arguments } })
}

#[tokio::test]
async fn a_tool_answers_what_its_path_answers() {
    let question = call("trace", json!({ "id": "4bf92f3577b34da6a3ce929d0e0e4736" }));
    let (status, body) = post(mounted(McpOptions::default()), &[("host", "127.0.0.1:1")], question).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    let (_, direct) = crate::fakes::get("/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736").await;
    assert_eq!(text, direct);
    let (_, body) = post(
        mounted(McpOptions::default()),
        &[("host", "localhost")],
        call("patterns", json!({ "wrong": 1 })),
    )
    .await;
    assert_eq!(body["result"]["isError"], true, "{body}");
}

#[tokio::test]
async fn other_names_and_pages_of_others_are_refused() {
    let list = || json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for (headers, expected) in [
        (&[("host", "localhost:8080")][..], StatusCode::OK),
        (&[("host", "trefoil:8080")], StatusCode::OK),
        (&[("host", "evil.example")], StatusCode::FORBIDDEN),
        (&[("host", "localhost"), ("origin", "https://evil.example")], StatusCode::FORBIDDEN),
        (&[("host", "localhost"), ("origin", "https://ide.example:443")], StatusCode::OK),
    ] {
        let (hosts, origins) = (vec!["trefoil:8080".to_owned()], vec!["https://ide.example:443".to_owned()]);
        let (status, body) = post(mounted(McpOptions { hosts, origins }), headers, list()).await;
        assert_eq!(status, expected, "{headers:?} {body}");
    }
}

#[test]
fn every_tool_asks_a_path_that_there_is() {
    let paths = serde_json::to_value(crate::openapi()).unwrap()["paths"].clone();
    for tool in tools::ALL.iter() {
        let described = tool.described();
        let arguments = described.input_schema["required"].as_array().unwrap().iter();
        let arguments = arguments.map(|name| (name.as_str().unwrap().to_owned(), json!("a b"))).collect();
        let path = tool.path(&arguments).unwrap();
        assert!(!path.contains(' ') && !path.contains('{'), "{path}");
        if path.starts_with("/api/v1/") {
            let known = |wanted: &String| {
                wanted.split('{').next() == path.split(['?']).next().map(|p| p.trim_end_matches("a%20b"))
            };
            assert!(paths.as_object().unwrap().keys().any(known), "{path}");
        }
    }
}

#[tokio::test]
async fn a_tool_takes_what_its_path_takes_and_refuses_as_it_does() {
    for (name, takes) in [
        ("compare", &["a", "b", "a_start", "a_end", "limit"][..]),
        ("trace", &["min_confidence", "mentions", "cursor"]),
        ("operations", &["limit"]),
    ] {
        let tool = tools::ALL.iter().find(|tool| tool.name == name).unwrap().described();
        let properties = tool.input_schema["properties"].as_object().unwrap();
        let missing: Vec<_> = takes.iter().filter(|wanted| !properties.contains_key(**wanted)).collect();
        assert!(missing.is_empty(), "{name} takes no {missing:?}");
        assert!(properties.values().all(|p| p["description"].as_str().is_some_and(|text| !text.is_empty())));
    }
    for arguments in [json!({}), json!({ "id": "4bf92f", "stray": 1 }), json!({ "id": "x", "limit": "x" })] {
        let (_, body) =
            post(mounted(McpOptions::default()), &[("host", "localhost")], call("trace", arguments.clone()))
                .await;
        assert_eq!(body["result"]["isError"], true, "{body}");
        let refusal: Value =
            serde_json::from_str(body["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
        assert!(refusal["error"].is_string(), "{arguments} {refusal}");
    }
    for tool in tools::ALL.iter() {
        let takes_limit = tool.described().input_schema["properties"].get("limit").is_some();
        assert_eq!(tool.narrower().contains("limit"), takes_limit, "{}", tool.name);
    }
}

#[test]
fn long_answers_are_cut_and_say_so() {
    let spans: Vec<Value> = (0..5_000).map(|n| json!({ "span_id": n, "name": "x".repeat(50) })).collect();
    let body = json!({ "spans": spans, "warnings": [], "next": "spans-5000" }).to_string();
    let text = answer::bounded(body.as_bytes(), "ask with a lower `limit`");
    assert!((38_000..=40_000).contains(&text.len()), "{}", text.len());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["note"]["entries_of_lists"], json!({ "spans": 5_000 }));
    let cut = "lists show their first entries only; ask with a lower `limit`";
    assert_eq!(value["note"]["cut"], cut);
    assert_eq!(value["answer"]["next"], Value::Null, "it would skip what is cut");
    assert_eq!(answer::bounded(b"short", ""), "short");
    let fitting = answer::fitting(body.as_bytes()).unwrap();
    let shown = value["answer"]["spans"].as_array().unwrap().len();
    assert!((shown * 9 / 10..=shown).contains(&fitting), "{fitting} of {shown}");
    // Of what is long by its texts, these are cut.
    let texts: Vec<String> = (0..8).map(|_| "y".repeat(6_000)).collect();
    let body = json!({ "values": texts }).to_string();
    let text: Value = serde_json::from_str(&answer::bounded(body.as_bytes(), "ask for less")).unwrap();
    assert_eq!(text["note"], json!({ "cut": "8 texts show their first 4000 bytes only; ask for less" }));
}
