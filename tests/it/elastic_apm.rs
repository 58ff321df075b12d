//! Promise: Elastic's agents are heard as they are, on their port and on the main one; their transactions, spans and errors are
//! found by trace id, and nobody is heard without the token.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tests::harness::{Http, found, report, span};
use tests::program::{Program, SECRET_TOKEN};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    port: String,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        let port = trefoil.receivers.get("Elastic APM").context("its port is not announced")?;
        let port = format!("http://{port}");
        Ok(Self { _folder: folder, http: Http::new()?, trefoil, port })
    }

    async fn trace(&self, id: &str) -> Result<Value> {
        self.http.get(&format!("http://{}/api/v1/traces/{id}", self.trefoil.main)).await?.json()
    }
}

fn bearer() -> String {
    format!("Bearer {SECRET_TOKEN}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_for_python_is_heard_and_configured() -> Result<()> {
    let scene = Scene::start().await?;
    for url in [scene.port.clone(), format!("http://{}", scene.trefoil.main)] {
        let reported = report("elastic_apm.py", &[&url, SECRET_TOKEN]).await?;
        assert_eq!(reported[0]["transaction_max_spans"], 77, "fetched from here");
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (entry, call) = (span(&answer, "GET /buy")?, span(&answer, "SELECT")?);
        assert_eq!((&entry["kind"], &entry["service"]), (&json!("server"), &json!("reporter")));
        assert_eq!(entry["attributes"]["labels.order"], "o7");
        assert_eq!(entry["resource"]["labels.team"], "blue");
        assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &entry["span_id"]));
        assert_eq!(call["attributes"]["db.statement"], "select 1");
        let logs = answer["logs"].as_array().context("no logs")?;
        assert_eq!((logs.len(), &logs[0]["line"]), (1, &json!("ValueError: no stock")));
        assert_eq!(logs[0]["span_id"], call["span_id"]);
        assert_eq!(call["events"][0]["name"], "exception");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_for_node_is_heard() -> Result<()> {
    let scene = Scene::start().await?;
    let reported = report("elastic_apm.js", &[&scene.port, SECRET_TOKEN]).await?;
    let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
    let (entry, call) = (span(&answer, "GET /buy")?, span(&answer, "SELECT")?);
    assert_eq!((&entry["kind"], &entry["service"]), (&json!("server"), &json!("node-reporter")));
    assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &entry["span_id"]));
    assert_eq!(call["status"]["code"], "error");
    assert_eq!(
        (&answer["logs"][0]["line"], &answer["logs"][0]["span_id"]),
        (&json!("TypeError: no stock"), &call["span_id"])
    );
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_found_by_its_opaque_id() -> Result<()> {
    let scene = Scene::start().await?;
    let opaque = "checkout:2026/7 é";
    let events = [
        json!({"metadata": {"service": {"name": "shop", "agent": {"name": "x", "version": "1"}}}}),
        json!({"transaction": {"id": "first", "trace_id": opaque, "type": "request", "duration": 1, "span_count": {"started": 0}}}),
        json!({"log": {"message": "hello", "trace.id": opaque, "transaction.id": "first"}}),
    ];
    let body: String = events.iter().map(|event| event.to_string() + "\n").collect();
    let authorization = bearer();
    let headers = [("authorization", &*authorization)];
    let answer =
        scene.http.post(&format!("{}/intake/v2/events", scene.port), &headers, body.into_bytes()).await?;
    ensure!(answer.status == 202, "{} {}", answer.status, answer.text());
    let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/traces/", scene.trefoil.main))?;
    url.path_segments_mut().ok().context("a base")?.pop_if_empty().push(opaque);
    let answer = scene.http.get(url.as_str()).await?.ok_json()?;
    let found = &answer["spans"][0];
    assert_eq!(
        (&found["attributes"]["trace.id"], &found["attributes"]["transaction.id"]),
        (&json!(opaque), &json!("first"))
    );
    assert_eq!(answer["logs"][0]["line"], "hello");
    assert_eq!(answer["logs"][0]["span_id"], found["span_id"]);
    assert_eq!(scene.http.get(url.as_str().replace("checkout", "another").as_str()).await?.status, 400);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_wrong_token_leaves_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let reported = report("elastic_apm.py", &[&scene.port, "another"]).await?;
    let trace = reported[0]["trace_id"].as_str().context("no trace id")?;
    let answer = scene.trace(trace).await?;
    ensure!(answer["spans"].as_array().is_some_and(Vec::is_empty), "{answer}");
    let answer = scene.http.get(&format!("{}/", scene.port)).await?;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "it says that it is there, and no more");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_among_good_ones_is_told_and_costs_no_neighbour() -> Result<()> {
    let scene = Scene::start().await?;
    let url = format!("{}/intake/v2/events", scene.port);
    let authorization = bearer();
    let headers = [("authorization", &*authorization), ("accept", "*/*"), ("content-encoding", "gzip")];
    let transaction = |id: &str| json!({"transaction": {"id": id, "trace_id": TRACE, "type": "request", "duration": 1, "span_count": {"started": 0}}});
    let mut bad = transaction("00000000000000b2");
    bad["transaction"]["duration"] = json!("long");
    let events = [
        json!({"metadata": {"service": {"name": "shop", "agent": {"name": "x", "version": "1"}}}}),
        transaction("00000000000000b1"),
        bad,
        transaction("00000000000000b3"),
        json!({"log": {"message": "beside them", "trace.id": TRACE}}),
    ];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for event in &events {
        writeln!(gzip, "{event}")?;
    }
    let answer = scene.http.post(&url, &headers, gzip.finish()?).await?;
    ensure!(answer.status == 400, "{} {}", answer.status, answer.text());
    let told = answer.json()?;
    assert_eq!(told["accepted"], 3);
    assert_eq!(told["errors"][0]["message"], "validation error: 'transaction.duration' must be a number");
    let answer = scene.trace(TRACE).await?;
    assert_eq!(answer["spans"].as_array().map(Vec::len), Some(2), "{answer}");
    assert_eq!(answer["logs"][0]["line"], "beside them");
    let empty = scene.http.post(&format!("{url}?flushed=true"), &headers, Vec::new()).await?;
    assert_eq!((empty.status, empty.body.len()), (202, 0));
    let rum = scene.http.post(&format!("{}/intake/v3/rum/events", scene.port), &[], Vec::new()).await?;
    ensure!(rum.status == 403 && rum.text().contains("RUM endpoint is disabled"), "{}", rum.text());
    scene.trefoil.stop().await
}
