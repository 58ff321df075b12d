//! Promise: Grafana's Jaeger data source and Jaeger's own page can be pointed at the gateway. What they ask is answered in their
//! shapes, from spans that came by Jaeger, OTLP and Zipkin alike.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http, found, report, until};
use tests::program::Program;

const SOON: Duration = Duration::from_secs(30);
const ORDER: &str = "5eed0000000000000000000000000001";
/// Half as wide, as Zipkin's tracers make them.
const CALL: &str = "5eed000000000002";

struct Scene {
    folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    /// When it began, in microseconds.
    began: i64,
    /// What OpenTelemetry's Jaeger exporter says that it sent.
    reported: Vec<Value>,
}

/// An order that calls a payment, which fails, over OTLP.
fn order(now: i64) -> Value {
    let nanos = |micros: i64| (micros * 1_000).to_string();
    let resource = |service: &str| {
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}},
                              {"key": "k8s.pod.name", "value": {"stringValue": format!("{service}-0")}}]})
    };
    let order = json!({"traceId": ORDER, "spanId": "0000000000000001", "name": "POST /orders", "kind": 2,
        "startTimeUnixNano": nanos(now), "endTimeUnixNano": nanos(now + 2_000_000),
        "attributes": [{"key": "http.response.status_code", "value": {"intValue": "500"}}]});
    let payment = json!({"traceId": ORDER, "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
        "name": "charge", "kind": 2, "startTimeUnixNano": nanos(now + 10), "endTimeUnixNano": nanos(now + 1_000),
        "status": {"code": 2, "message": "declined"}});
    json!({"resourceSpans": [
        {"resource": resource("payment"), "scopeSpans": [{"scope": {"name": "lib"}, "spans": [payment]}]},
        {"resource": resource("checkout"), "scopeSpans": [{"spans": [order]}]}
    ]})
}

/// Both halves of a call under one id, over Zipkin.
fn call(now: i64) -> Value {
    let half = |kind: &str, service: &str, start: i64, duration: i64| {
        json!({"traceId": CALL, "id": "a", "kind": kind, "name": "get", "timestamp": start, "duration": duration,
               "shared": kind == "SERVER", "localEndpoint": {"serviceName": service}})
    };
    json!([half("SERVER", "back", now + 10, 50), half("CLIENT", "front", now, 100)])
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        let (http, main) = (Http::new()?, trefoil.main);
        let began = Timestamp::now().as_microsecond();
        let kind = [("content-type", "application/json")];
        for (path, body) in [("/v1/traces", order(began)), ("/api/v2/spans", call(began))] {
            let sent =
                http.post(&format!("http://{main}{path}"), &kind, body.to_string().into_bytes()).await?;
            ensure!(sent.status < 300, "{path}: {} {}", sent.status, sent.text());
        }
        let reported = report("jaeger_otel.py", &["http", &format!("http://{main}/api/traces")]).await?;
        found(&http, main, &reported).await?;
        trefoil.wait_for_records("traces", 6, SOON).await?;
        Ok(Self { folder, http, trefoil, began, reported })
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let base = format!("http://{}/jaeger/api/{path}", self.trefoil.main);
        self.http.get(reqwest::Url::parse_with_params(&base, parameters)?.as_str()).await
    }

    /// What is in the envelope, which says that all went well.
    async fn data(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let body = self.get(path, parameters).await?.ok_json()?;
        ensure!(body["errors"].is_null() && body["limit"] == 0 && body["offset"] == 0, "{body}");
        ensure!(body["total"].as_u64() == body["data"].as_array().map(|list| list.len() as u64), "{body}");
        Ok(body["data"].clone())
    }

    async fn search(&self, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let (start, end) = ((self.began - 60_000_000).to_string(), (self.began + 600_000_000).to_string());
        let window =
            [("start", start.as_str()), ("end", end.as_str()), ("limit", "20"), ("lookback", "custom")];
        let traces = self.data("traces", &[parameters, &window].concat()).await?;
        traces.as_array().into_iter().flatten().for_each(ensure_whole);
        Ok(traces
            .as_array()
            .into_iter()
            .flatten()
            .map(|trace| trace["traceID"].as_str().unwrap_or_default().to_owned())
            .collect())
    }
}

/// What Grafana's decoder and Jaeger's page take for granted.
fn ensure_whole(trace: &Value) {
    let spans = trace["spans"].as_array().unwrap_or_else(|| panic!("no spans: {trace}"));
    assert!(!spans.is_empty(), "the client reads the first span without asking: {trace}");
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span["spanID"].as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "one span an id: {trace}");
    for span in spans {
        assert_eq!(span["traceID"], trace["traceID"]);
        assert!(span["startTime"].is_u64() && span["duration"].is_u64(), "whole microseconds: {span}");
        let process = span["processID"].as_str().unwrap_or_default();
        assert!(trace["processes"][process]["serviceName"].is_string(), "{process}: {trace}");
        assert!(
            span["references"].is_array() && span["tags"].is_array() && span["logs"].is_array(),
            "{span}"
        );
        for tag in span["tags"].as_array().into_iter().flatten() {
            let fits = match tag["type"].as_str() {
                Some("string" | "binary") => tag["value"].is_string(),
                Some("bool") => tag["value"].is_boolean(),
                Some("int64") => tag["value"].is_i64() || tag["value"].is_string(),
                Some("float64") => tag["value"].is_number(),
                _ => false,
            };
            assert!(fits, "{tag}");
        }
    }
    assert!(spans[0]["references"].as_array().is_some_and(Vec::is_empty), "the root is first: {trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_searches_and_dependencies_are_answered_in_jaegers_shapes() -> Result<()> {
    let scene = Scene::start().await?;
    let services = scene.data("services", &[]).await?;
    for name in ["back", "checkout", "front", "payment", "reporter"] {
        ensure!(services.as_array().is_some_and(|list| list.contains(&json!(name))), "{name}: {services}");
    }
    assert_eq!(scene.data("services/checkout/operations", &[]).await?, json!(["POST /orders"]));
    assert_eq!(
        scene.data("operations", &[("service", "front")]).await?,
        json!([{"name": "get", "spanKind": "client"}])
    );
    let reported = scene.reported[0]["trace_id"].as_str().context("a trace id")?;
    let call = format!("{CALL:0>32}");
    for (parameters, expected) in [
        (&[("service", "checkout")][..], vec![ORDER]),
        (&[("service", "checkout"), ("operation", "charge")], vec![]),
        (&[("service", "payment"), ("tags", r#"{"error":"true"}"#)], vec![ORDER]),
        (&[("service", "checkout"), ("tags", r#"{"http.response.status_code":"500"}"#)], vec![ORDER]),
        (&[("service", "checkout"), ("minDuration", "1s"), ("maxDuration", "3s")], vec![ORDER]),
        (&[("service", "checkout"), ("minDuration", "3s")], vec![]),
        (&[("service", "back")], vec![call.as_str()]),
        (&[("service", "reporter"), ("tags", r#"{"n":"7","host.name":"h1"}"#)], vec![reported]),
        (&[("service", "nobody")], vec![]),
    ] {
        assert_eq!(scene.search(parameters).await?, expected, "{parameters:?}");
    }
    let end = (scene.began / 1_000 + 60_000).to_string();
    let calls = scene.data("dependencies", &[("endTs", &end), ("lookback", "3600000")]).await?;
    for (parent, child) in [("checkout", "payment"), ("front", "back")] {
        let edge = json!({"parent": parent, "child": child, "callCount": 1});
        ensure!(calls.as_array().is_some_and(|list| list.contains(&edge)), "{edge}: {calls}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jaegers_exporter_sent_comes_back_as_jaeger_would_show_it() -> Result<()> {
    let scene = Scene::start().await?;
    let id = scene.reported[0]["trace_id"].as_str().context("a trace id")?;
    let traces =
        scene.data(&format!("traces/{}", id.to_uppercase()), &[("start", "1"), ("end", "2")]).await?;
    let trace = &traces[0];
    ensure_whole(trace);
    let (handle, call) = (&trace["spans"][0], &trace["spans"][1]);
    assert_eq!((&handle["operationName"], &call["operationName"]), (&json!("handle"), &json!("call")));
    let process = &trace["processes"][handle["processID"].as_str().unwrap_or_default()];
    assert_eq!(process["serviceName"], "reporter");
    for (list, key, kind, value) in [
        (&process["tags"], "host.name", "string", json!("h1")),
        (&handle["tags"], "n", "int64", json!(7)),
        (&handle["tags"], "span.kind", "string", json!("server")),
        (&call["tags"], "otel.status_code", "string", json!("ERROR")),
        (&call["tags"], "otel.status_description", "string", json!("no route")),
        (&call["tags"], "error", "bool", json!(true)),
        (&handle["tags"], "otel.scope.name", "string", json!("lib")),
        (&handle["logs"][0]["fields"], "key", "string", json!("k")),
        (&handle["logs"][0]["fields"], "event", "string", json!("looked up")),
    ] {
        let tag = json!({"key": key, "type": kind, "value": value});
        ensure!(list.as_array().is_some_and(|tags| tags.contains(&tag)), "{tag}: {trace}");
    }
    let reference =
        |kind: &str, trace: &str, span: &Value| json!({"refType": kind, "traceID": trace, "spanID": span});
    assert_eq!(
        call["references"],
        json!([
            reference("CHILD_OF", id, &handle["spanID"]),
            reference("FOLLOWS_FROM", "80000000000000000000000000000005", &json!("0000000000000009"))
        ])
    );
    let halves = scene.data(&format!("traces/{CALL}"), &[]).await?;
    ensure_whole(&halves[0]);
    assert_eq!(halves[0]["spans"][1]["references"][0]["spanID"], halves[0]["spans"][0]["spanID"]);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_version_and_errors_have_their_own_shapes() -> Result<()> {
    let scene = Scene::start().await?;
    let trace = scene
        .get(&format!("v3/traces/{ORDER}"), &[("start_time", "2026-01-01T00:00:00Z")])
        .await?
        .ok_json()?;
    let groups = trace["result"]["resourceSpans"].as_array().context("a list")?;
    ensure!(
        groups.len() == 2
            && groups.iter().all(|group| group["scopeSpans"][0]["spans"][0]["traceId"] == ORDER),
        "{trace}"
    );
    // What it says can be sent to it again.
    let body = trace["result"].to_string().into_bytes();
    let url = format!("http://{}/v1/traces", scene.trefoil.main);
    let again = scene.http.post(&url, &[("content-type", "application/json")], body).await?;
    ensure!(again.status == 200, "{}", again.text());
    let twice = scene.data(&format!("traces/{ORDER}"), &[]).await?;
    ensure!(twice[0]["spans"].as_array().is_some_and(|spans| spans.len() == 2), "{twice}");
    for (path, status) in [("traces/ffff", 404), ("traces/xyz", 400), ("traces", 400)] {
        let (second, third) = (scene.get(path, &[]).await?, scene.get(&format!("v3/{path}"), &[]).await?);
        ensure!(
            second.status == status && second.json()?["errors"][0]["code"] == status,
            "{path}: {}",
            second.text()
        );
        ensure!(
            third.status == status && third.json()?["error"]["httpCode"] == status,
            "{path}: {}",
            third.text()
        );
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_no_answer() -> Result<()> {
    let scene = Scene::start().await?;
    let before = scene.data(&format!("traces/{ORDER}"), &[]).await?;
    let Scene { folder, http, trefoil, .. } = scene;
    trefoil.stop().await?;
    let again = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let url = format!("http://{}/jaeger/api/traces/{ORDER}", again.main);
    let after = until("the trace", SOON, || async { http.get(&url).await?.ok_json() }).await?;
    assert_eq!(after["data"], before);
    again.stop().await
}
