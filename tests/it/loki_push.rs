//! Promise: what pushes to a Loki today is received as it is, on its paths of the main port, and is found by trace id and by
//! LogQL.

use anyhow::{Context, Result, ensure};
use parsers::otlp::Writer;
use serde_json::{Value, json};
use tests::harness::{Http, report};
use tests::program::Program;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const JSON: (&str, &str) = ("content-type", "application/json");

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        Ok(Self { _folder: folder, http: Http::new()?, trefoil })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.trefoil.main)
    }

    async fn push(&self, body: Value) -> Result<(u16, String)> {
        let body = body.to_string().into_bytes();
        let answer = self.http.post(&self.url("/loki/api/v1/push"), &[JSON], body).await?;
        Ok((answer.status, answer.text()))
    }

    /// The log records of a trace.
    async fn logs(&self, trace: &str) -> Result<Vec<Value>> {
        let answer = self.http.get(&self.url(&format!("/api/v1/traces/{trace}"))).await?.json()?;
        Ok(answer["logs"].as_array().context("no logs")?.clone())
    }

    /// Streams of a LogQL query.
    async fn streams(&self, query: &str) -> Result<Vec<Value>> {
        let url = reqwest::Url::parse_with_params(
            &self.url("/loki/api/v1/query_range"),
            [("query", query), ("limit", "100")],
        )?;
        let answer = self.http.get(url.as_str()).await?.ok_json()?;
        Ok(answer["data"]["result"].as_array().context("no result")?.clone())
    }
}

fn now() -> u64 {
    jiff::Timestamp::now().as_nanosecond() as u64
}

fn lines(logs: &[Value]) -> Vec<&str> {
    logs.iter().filter_map(|log| log["line"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_logging_loki_is_heard_in_both_shapes_on_both_paths() -> Result<()> {
    let scene = Scene::start().await?;
    let cases = [("/loki/api/v1/push", "0"), ("/loki/api/v1/push", "1"), ("/api/prom/push", "0")];
    for (n, (path, version)) in cases.into_iter().enumerate() {
        let trace = format!("{:032x}", 0xabc0_0000_0000_0000_0000_0000_0000_0000_u128 + n as u128);
        let reported = report("loki_logging.py", &[&scene.url(path), version, &trace]).await?;
        let logs = scene.logs(&trace).await?;
        assert_eq!(lines(&logs), lines(&reported), "{path} in version {version}");
        assert_eq!(logs[0]["labels"]["service_name"], "reporter");
        assert_eq!(logs[0]["labels"]["kind"], "order");
        assert_eq!(logs[0]["join"]["rule"], "trace_id");
    }
    let found = scene.streams(r#"{app="reporter"} | detected_level="warn" |= "order 2""#).await?;
    let count: usize = found.iter().filter_map(|stream| Some(stream["values"].as_array()?.len())).sum();
    assert_eq!(count, 3, "{found:?}");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn winston_loki_is_heard_in_json_and_protobuf() -> Result<()> {
    let scene = Scene::start().await?;
    for (n, encoding) in ["json", "protobuf"].into_iter().enumerate() {
        let trace = format!("{:032x}", 0xabd0_0000_0000_0000_0000_0000_0000_0000_u128 + n as u128);
        let reported = report("winston_loki.js", &[&scene.url(""), encoding, &trace]).await?;
        let logs = scene.logs(&trace).await?;
        let sorted = |logs: &[Value]| {
            let mut lines: Vec<_> = lines(logs).into_iter().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(&logs), sorted(&reported), "{encoding}");
        let labels = &logs[0]["labels"];
        assert_eq!(
            (&labels["app"], &labels["kind"], &labels["level"]),
            (&json!("winston"), &json!("order"), &json!("error"))
        );
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pino_loki_is_heard_with_ids_in_metadata_and_in_lines() -> Result<()> {
    let scene = Scene::start().await?;
    let reported = report("pino_loki.js", &[&scene.url(""), TRACE]).await?;
    let logs = scene.logs(TRACE).await?;
    let mut messages = Vec::new();
    for log in &logs {
        let line: Value = serde_json::from_str(log["line"].as_str().context("no line")?)?;
        messages.push(line["msg"].as_str().context("no message")?.to_owned());
        assert_eq!((&log["labels"]["app"], &log["labels"]["kind"]), (&json!("pino"), &json!("order")));
        assert_eq!((&log["severity"], &log["join"]["rule"]), (&json!("warn"), &json!("trace_id")));
    }
    messages.sort_unstable();
    assert_eq!(messages, lines(&reported), "{logs:?}");
    let metadata: Vec<_> = logs.iter().filter_map(|log| log["metadata"]["order"].as_str()).collect();
    assert_eq!(metadata, ["7"]);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_metadata_names_the_trace_and_order_does_not_matter() -> Result<()> {
    let scene = Scene::start().await?;
    let base = now();
    let mut message = Vec::new();
    Writer::new(&mut message).message(1, |out| {
        Writer::new(out).bytes(1, br#"{job="prod/web", level="error"}"#);
        for (line, n) in [("third", 3), ("first", 1), ("second", 2)] {
            Writer::new(out).message(2, |out| {
                let time = base + n;
                Writer::new(out).message(1, |out| {
                    Writer::new(out).varint(1, time / 1_000_000_000);
                    Writer::new(out).varint(2, time % 1_000_000_000);
                });
                Writer::new(out).bytes(2, line.as_bytes());
                for (name, value) in [("trace_id", TRACE), ("span_id", "00f067aa0ba902b7"), ("user", "7")] {
                    Writer::new(out).message(3, |out| {
                        Writer::new(out).bytes(1, name.as_bytes());
                        Writer::new(out).bytes(2, value.as_bytes());
                    });
                }
            });
        }
    });
    let body = snap::raw::Encoder::new().compress_vec(&message)?;
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let answer = scene.http.post(&scene.url("/loki/api/v1/push"), &headers, body).await?;
    ensure!(answer.status == 204 && answer.body.is_empty(), "{} {}", answer.status, answer.text());
    let logs = scene.logs(TRACE).await?;
    assert_eq!(lines(&logs), ["first", "second", "third"]);
    assert_eq!(logs[0]["time_unix_nano"], json!((base + 1).to_string()));
    assert_eq!(logs[0]["metadata"]["user"], "7");
    assert_eq!(logs[0]["labels"]["service_name"], "web");
    let found = scene
        .streams(&format!(r#"{{job="prod/web"}} | trace_id="{TRACE}" | span_id="00f067aa0ba902b7""#))
        .await?;
    ensure!(!found.is_empty(), "found by LogQL");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_entries_are_named_and_their_neighbours_are_found() -> Result<()> {
    let scene = Scene::start().await?;
    let time = now().to_string();
    let body = json!({"streams": [
        {"stream": {"app": "a"}, "values": [[time, format!("one trace_id={TRACE}")], [7, "number"], [time, 8]]},
        {"stream": {"app": "b"}, "values": [[time, "two", {"trace_id": TRACE}]]},
    ]});
    let (status, text) = scene.push(body).await?;
    assert_eq!(status, 400);
    ensure!(text.starts_with("2 of 4 entries were not taken"), "{text}");
    assert_eq!(scene.logs(TRACE).await?.len(), 2);
    let (status, text) = scene.push(json!({"streams": []})).await?;
    assert_eq!((status, &*text), (422, "error at least one valid stream is required for ingestion"));
    let counted = scene.http.get(&scene.url("/metrics")).await?.text();
    for series in [
        r#"trefoil_received_logs_total{protocol="loki_push"} 2"#,
        r#"trefoil_rejected_records_total{protocol="loki_push",signal="logs"} 2"#,
    ] {
        ensure!(counted.contains(series), "{series} in {counted}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_logs_are_taken_where_loki_takes_them() -> Result<()> {
    let scene = Scene::start().await?;
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"logRecords": [{"timeUnixNano": now().to_string(), "traceId": TRACE, "body": {"stringValue": "hello"}}]}],
    }]});
    let url = scene.url("/otlp/v1/logs");
    let answer = scene.http.post(&url, &[JSON], body.to_string().into_bytes()).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let logs = scene.logs(TRACE).await?;
    assert_eq!((lines(&logs), &logs[0]["labels"]["service_name"]), (vec!["hello"], &json!("shop")));
    scene.trefoil.stop().await
}
