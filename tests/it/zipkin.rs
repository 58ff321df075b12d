//! Promise: what reports to Zipkin today is received as it is, on Zipkin's port and on the main one, and is found by its ids.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tests::harness::{Http, found, report, span};
use tests::program::Program;

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    port: SocketAddr,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        let port = *trefoil.receivers.get("Zipkin").context("Zipkin's port is not announced")?;
        Ok(Self { _folder: folder, http: Http::new()?, trefoil, port })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_exporters_are_heard_in_json_and_protobuf() -> Result<()> {
    let scene = Scene::start().await?;
    for (address, encoding) in
        [(scene.port, "json"), (scene.port, "protobuf"), (scene.trefoil.main, "protobuf")]
    {
        let reported =
            report("zipkin_otel.py", &[&format!("http://{address}/api/v2/spans"), encoding]).await?;
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (handle, call) = (span(&answer, "handle")?, span(&answer, "call")?);
        assert_eq!((&handle["kind"], &handle["service"]), (&json!("server"), &json!("reporter")));
        assert_eq!(handle["resource"]["k8s.pod.name"], "reporter-1", "what joins logs is in the resource");
        assert_eq!(handle["attributes"]["n"], "7");
        assert_eq!(handle["events"][0]["name"], "looked up");
        assert_eq!(handle["events"][0]["attributes"], json!({"key": "k"}));
        assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &handle["span_id"]));
        assert_eq!(call["status"], json!({"code": "error", "message": "no route"}));
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn py_zipkin_is_heard_in_each_of_its_encodings() -> Result<()> {
    let scene = Scene::start().await?;
    for (path, encoding, trace) in [
        ("v1", "V1_JSON", "5af7183fb1d4cf01"),
        ("v2", "V2_JSON", "5af7183fb1d4cf02"),
        ("v2", "V2_JSON", "5af7183fb1d4cf5f5af7183fb1d4cf03"),
        ("v2", "V2_PROTO3", "5af7183fb1d4cf5f5af7183fb1d4cf04"),
    ] {
        let url = format!("http://{}/api/{path}/spans", scene.port);
        let reported = report("zipkin_py.py", &[&url, encoding, trace]).await?;
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (handle, call) = (span(&answer, "handle")?, span(&answer, "call")?);
        assert_eq!(
            (&handle["kind"], &handle["service"]),
            (&json!("server"), &json!("py-server")),
            "{encoding}"
        );
        assert_eq!(handle["attributes"]["http.path"], "/x");
        assert_eq!(handle["events"][0]["name"], "looked up");
        assert_eq!(handle["resource"]["network.local.address"], "10.0.0.1");
        assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &handle["span_id"]));
        assert_eq!(call["status"], json!({"code": "error", "message": "no route"}));
        assert_eq!(call["attributes"]["peer.service"], "cassandra");
        assert_eq!(call["attributes"]["network.peer.port"], 9042);
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_node_to_python_is_one_trace_whose_halves_share_an_id() -> Result<()> {
    let scene = Scene::start().await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node-reporters/zipkin.js");
    let script = script.to_str().context("a path of text")?;
    for encoder in ["JSON_V1", "JSON_V2"] {
        let base = format!("http://{}", scene.port);
        let reported = report("zipkin_b3.py", &[&base, script, encoder]).await?;
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (call, handled, inner) =
            (span(&answer, "get")?, span(&answer, "answer")?, span(&answer, "think")?);
        assert_eq!(call["span_id"], handled["span_id"], "both halves have one id");
        for (span, service, kind, depth) in
            [(call, "front", "client", 0), (handled, "back", "server", 1), (inner, "back", "internal", 2)]
        {
            assert_eq!((&span["service"], &span["kind"]), (&json!(service), &json!(kind)), "{encoder}");
            assert_eq!(
                span["depth"], depth,
                "{encoder}: the called half hangs below the calling one: {answer}"
            );
        }
        assert_eq!(call["attributes"]["peer.service"], "back");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_of_a_shared_span_are_one_call_in_the_answer() -> Result<()> {
    let scene = Scene::start().await?;
    let url = format!("http://{}/api/v2/spans", scene.port);
    let now = jiff::Timestamp::now().as_microsecond();
    let half = |kind: &str, service: &str, start: i64, duration: i64, shared: bool| {
        json!({"traceId": "5af7183fb1d4cf5f", "id": "a", "kind": kind, "name": "get", "timestamp": start, "duration": duration,
               "shared": shared, "localEndpoint": {"serviceName": service}})
    };
    let inner = json!({"traceId": "5af7183fb1d4cf5f", "id": "b", "parentId": "a", "timestamp": now + 20, "duration": 5,
                       "localEndpoint": {"serviceName": "back"}, "tags": {"rows": 7, "bad": null}});
    // Each service reports its own half, the called one first; once with a neighbour that is none.
    let server = json!([half("SERVER", "back", now + 10, 50, true), {"id": "c"}, inner]).to_string();
    let answer = scene.http.post(&url, &[], server.into_bytes()).await?;
    ensure!(answer.status == 202, "{} {}", answer.status, answer.text());
    ensure!(answer.text().starts_with("1 of 3 spans left out"), "{}", answer.text());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!([half("CLIENT", "front", now, 100, false)]).to_string().as_bytes())?;
    let answer = scene.http.post(&url, &[("content-encoding", "gzip")], gzip.finish()?).await?;
    ensure!(answer.status == 202 && answer.body.is_empty(), "{} {}", answer.status, answer.text());

    for spelling in ["5af7183fb1d4cf5f", "00000000000000005af7183fb1d4cf5f"] {
        let url = format!("http://{}/api/v1/traces/{spelling}", scene.trefoil.main);
        let answer = scene.http.get(&url).await?.ok_json()?;
        let spans = answer["spans"].as_array().context("no spans")?;
        let shape: Vec<_> =
            spans.iter().map(|span| (&span["service"], &span["kind"], &span["depth"])).collect();
        let (front, back) = (json!("front"), json!("back"));
        let wanted = [
            (&front, &json!("client"), &json!(0)),
            (&back, &json!("server"), &json!(1)),
            (&back, &json!("internal"), &json!(2)),
        ];
        assert_eq!(shape, wanted, "{answer}");
        assert_eq!(spans[2]["attributes"], json!({"rows": "7"}));
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_reported_at_its_start_and_again_at_its_end_is_one() -> Result<()> {
    let scene = Scene::start().await?;
    let now = jiff::Timestamp::now().as_microsecond();
    let report = |more: serde_json::Value| {
        let mut span = json!({"traceId": "5af7183fb1d4cf61", "id": "a", "kind": "CLIENT", "localEndpoint": {"serviceName": "front"}});
        span.as_object_mut()
            .into_iter()
            .for_each(|span| span.extend(more.as_object().cloned().unwrap_or_default()));
        json!([span]).to_string().into_bytes()
    };
    let begun = report(json!({"name": "get", "timestamp": now, "tags": {"http.method": "GET"}}));
    let ended = report(json!({"timestamp": now, "duration": 1500, "tags": {"error": "boom"}}));
    for body in [&begun, &ended, &ended, &begun] {
        let answer =
            scene.http.post(&format!("http://{}/api/v2/spans", scene.port), &[], body.clone()).await?;
        ensure!(answer.status == 202, "{} {}", answer.status, answer.text());
    }
    let url = format!("http://{}/api/v1/traces/5af7183fb1d4cf61", scene.trefoil.main);
    let answer = scene.http.get(&url).await?.ok_json()?;
    assert_eq!(answer["spans"].as_array().map(Vec::len), Some(1), "{answer}");
    let span = span(&answer, "get")?;
    assert_eq!((&span["duration_nano"], &span["status"]["code"]), (&json!("1500000"), &json!("error")));
    assert_eq!(span["attributes"], json!({"http.method": "GET", "error": "boom"}));
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_of_spans_is_refused_and_the_next_request_taken() -> Result<()> {
    let scene = Scene::start().await?;
    let whole = br#"[{"traceId":"5af7183fb1d4cf60","id":"a","name":"get"}]"#;
    for address in [scene.port, scene.trefoil.main] {
        let url = format!("http://{address}/api/v2/spans");
        for end in 1..whole.len() {
            let answer = scene.http.post(&url, &[], whole[..end].to_vec()).await?;
            ensure!(answer.status == 400, "cut at {end}: {} {}", answer.status, answer.text());
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..200 {
            bomb.write_all(&vec![b' '; 1 << 20])?;
        }
        let answer = scene.http.post(&url, &[("content-encoding", "gzip")], bomb.finish()?).await?;
        ensure!(answer.status == 413, "{} {}", answer.status, answer.text());
        let answer = scene.http.get(&url).await?;
        ensure!(answer.status == 405, "{}", answer.status);
        let answer = scene.http.post(&url, &[], whole.to_vec()).await?;
        ensure!(answer.status == 202, "{}", answer.status);
    }
    let health = scene.http.get(&format!("http://{}/health", scene.port)).await?.ok_json()?;
    assert_eq!(health["status"], "UP");
    ensure!(scene.trefoil.peak_memory()? < 400 << 20);
    scene.trefoil.stop().await
}
