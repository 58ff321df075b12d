//! Promise: Grafana's Zipkin data source can be pointed at the gateway: what Zipkin's reporters sent comes back as Zipkin writes it,
//! and what came by OTLP in the same shape.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http};
use tests::program::Program;

const SOON: Duration = Duration::from_secs(30);
const LONG: &str = "5eed0000000000000000000000000003";
const SHORT: &str = "5eed000000000004";
/// Of its spans only two siblings arrived.
const ORPHANS: &str = "5eed000000000005";

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    sent: Value,
    /// Milliseconds, after all spans.
    end: String,
}

/// Everything that a span of version 2 may have.
fn spans(now: i64) -> Value {
    json!([
        {"traceId": SHORT, "id": "000000000000000a", "kind": "CLIENT", "name": "get /x", "timestamp": now, "duration": 1_500,
         "localEndpoint": {"serviceName": "front", "ipv4": "10.0.0.1", "port": 8080},
         "remoteEndpoint": {"serviceName": "back", "ipv6": "2001:db8::1", "port": 9042},
         "annotations": [{"timestamp": now + 1, "value": "ws"}, {"timestamp": now + 2, "value": "wr"}],
         "tags": {"http.path": "/x", "error": "no route"}, "debug": true},
        {"traceId": SHORT, "parentId": "000000000000000a", "id": "000000000000000b", "kind": "SERVER", "name": "get",
         "timestamp": now + 10, "duration": 1, "localEndpoint": {"serviceName": "back"}, "tags": {"k8s.pod.name": "back-0"}},
        {"traceId": SHORT, "parentId": "000000000000000b", "id": "000000000000000c", "name": "think", "timestamp": now + 20,
         "duration": 5, "localEndpoint": {"serviceName": "back"}}
    ])
}

fn orphans(now: i64) -> Value {
    let span = |id: &str, start: i64| {
        json!({"traceId": ORPHANS, "parentId": "00000000000000ff", "id": id, "name": "lost", "timestamp": start, "duration": 7,
               "localEndpoint": {"serviceName": "lonely"}})
    };
    json!([span("2", now + 5), span("1", now)])
}

fn otlp(now: i64) -> Value {
    let span = json!({"traceId": LONG, "spanId": "0000000000000001", "name": "POST /orders", "kind": 2,
        "startTimeUnixNano": (now * 1_000).to_string(), "endTimeUnixNano": (now * 1_000 + 2_000_500).to_string(),
        "status": {"code": 2},
        "attributes": [{"key": "n", "value": {"intValue": "7"}}, {"key": "ok", "value": {"boolValue": false}},
                       {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}}],
        "events": [{"timeUnixNano": (now * 1_000).to_string(), "name": "e", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}]});
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "Checkout"}}]},
        "scopeSpans": [{"scope": {"name": "lib", "version": "1"}, "spans": [span]}]}]})
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        let (http, now) = (Http::new()?, Timestamp::now().as_microsecond());
        let sent = spans(now);
        for (path, body) in
            [("/api/v2/spans", &sent), ("/api/v2/spans", &orphans(now)), ("/v1/traces", &otlp(now))]
        {
            let url = format!("http://{}{path}", trefoil.main);
            let kind = [("content-type", "application/json")];
            let answer = http.post(&url, &kind, body.to_string().into_bytes()).await?;
            ensure!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        }
        trefoil.wait_for_records("traces", 6, SOON).await?;
        let end = (now / 1_000 + 60_000).to_string();
        Ok(Self { _folder: folder, http, trefoil, sent, end })
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let base = format!("http://{}/zipkin/api/v2/{path}", self.trefoil.main);
        self.http.get(reqwest::Url::parse_with_params(&base, parameters)?.as_str()).await
    }

    async fn ids(&self, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let traces =
            self.get("traces", &[parameters, &[("endTs", self.end.as_str())]].concat()).await?.ok_json()?;
        let mut ids = Vec::new();
        for trace in traces.as_array().context("a list of traces")? {
            let spans = trace.as_array().context("a list of spans")?;
            let roots = spans.iter().filter(|span| span.get("parentId").is_none()).count();
            ensure!(roots > 0, "the picker looks for the root without asking: {trace}");
            ids.push(spans[0]["traceId"].as_str().context("a trace id")?.to_owned());
        }
        ids.sort();
        Ok(ids)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reporter_sent_comes_back_as_it_was() -> Result<()> {
    let scene = Scene::start().await?;
    for spelling in [SHORT.to_owned(), SHORT.to_uppercase(), format!("{SHORT:0>32}")] {
        let trace = scene.get(&format!("trace/{spelling}"), &[]).await?.ok_json()?;
        let (mut came, mut sent) = (trace.clone(), scene.sent.clone());
        // That it failed, in OpenTelemetry's words too.
        came[0]["tags"].as_object_mut().context("tags")?.remove("otel.status_code");
        // A span of an id below another one keeps its place.
        sent.as_array_mut().context("spans")?.sort_by_key(|span| span["timestamp"].as_i64());
        assert_eq!(came, sent, "{spelling}");
    }
    let many = scene.get("traceMany", &[("traceIds", &format!("{SHORT},{LONG}"))]).await?.ok_json()?;
    ensure!(many.as_array().is_some_and(|traces| traces.len() == 2), "{many}");
    let (unknown, wrong) = (scene.get("trace/ffff", &[]).await?, scene.get("trace/xyz", &[]).await?);
    assert_eq!((unknown.status, wrong.status), (404, 400));
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_otlp_is_told_in_texts_and_whole_microseconds() -> Result<()> {
    let scene = Scene::start().await?;
    let trace = scene.get(&format!("trace/{LONG}"), &[]).await?.ok_json()?;
    let span = &trace[0];
    assert_eq!(
        (&span["traceId"], &span["kind"], &span["duration"]),
        (&json!(LONG), &json!("SERVER"), &json!(2_000))
    );
    assert_eq!(
        span["tags"],
        json!({"n": "7", "ok": "false", "list": "[\"a\"]", "error": "true", "otel.status_code": "ERROR",
               "otel.scope.name": "lib", "otel.scope.version": "1"})
    );
    assert_eq!(span["annotations"][0]["value"], r#"{"e":{"k":"v"}}"#);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_searches_and_dependencies_are_answered_in_zipkins_shapes() -> Result<()> {
    let scene = Scene::start().await?;
    let end = [("endTs", scene.end.as_str())];
    let services = scene.get("services", &[]).await?.ok_json()?;
    ensure!(
        ["Checkout", "back", "front", "lonely"]
            .iter()
            .all(|name| services.as_array().is_some_and(|list| list.contains(&json!(name)))),
        "{services}"
    );
    assert_eq!(scene.get("spans", &[("serviceName", "back")]).await?.ok_json()?, json!(["get", "think"]));
    assert_eq!(
        scene.get("remoteServices", &[&end[..], &[("serviceName", "front")]].concat()).await?.ok_json()?,
        json!(["back"])
    );
    for (parameters, expected) in [
        (&[("serviceName", "front")][..], vec![SHORT]),
        (&[("serviceName", "checkout")], vec![LONG]),
        (&[("serviceName", "back"), ("spanName", "think")], vec![SHORT]),
        (&[("serviceName", "front"), ("remoteServiceName", "back")], vec![SHORT]),
        (&[("annotationQuery", "error=no route and http.path=/x")], vec![SHORT]),
        (&[("annotationQuery", "ws")], vec![SHORT]),
        (&[("annotationQuery", "n=7")], vec![LONG]),
        (&[("serviceName", "back"), ("minDuration", "6")], vec![]),
        (&[("serviceName", "lonely")], vec![ORPHANS]),
        (&[("serviceName", "nobody")], vec![]),
    ] {
        assert_eq!(scene.ids(parameters).await?, expected, "{parameters:?}");
    }
    let calls =
        scene.get("dependencies", &[&end[..], &[("lookback", "3600000")]].concat()).await?.ok_json()?;
    ensure!(
        calls
            .as_array()
            .is_some_and(|list| list.contains(&json!({"parent": "front", "child": "back", "callCount": 1}))),
        "{calls}"
    );
    let keys = scene.get("autocompleteKeys", &end).await?.ok_json()?;
    ensure!(keys.as_array().is_some_and(|keys| keys.contains(&json!("http.path"))), "{keys}");
    let values =
        scene.get("autocompleteValues", &[&end[..], &[("key", "http.path")]].concat()).await?.ok_json()?;
    assert_eq!(values, json!(["/x"]));
    scene.trefoil.stop().await
}
