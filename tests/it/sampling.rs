//! Promise: a trace that sampling drops goes as a whole, its spans with its log lines and its exemplars, and whoever asks for it
//! is told which rule dropped it, also after the program was killed; every other trace is whole.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value, json};
use tests::harness::{Http, Prometheus, Scrape, until};
use tests::program::Program;

/// Ten waits until a sweep, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
/// A health check.
const DROPPED: &str = "0af7651916cd43dd8448eb211c80319c";
/// A health check that failed.
const FAILED: &str = "1af7651916cd43dd7448eb211c80319b";
/// Any request; its logs have the short form of its id.
const PLAIN: &str = "2af7651916cd43dd9448eb211c80319d";
const PLAIN_SHORT: &str = "9448eb211c80319d";
const JSON: (&str, &str) = ("content-type", "application/json");
/// Spans of a body that fills a head of a mebibyte.
const FILLING: u64 = 300;
const RULES: &str = "sampling:\n  wait: 1s\n  rules:\n\
    \x20   - {name: errors, when: {error: true}}\n\
    \x20   - {name: health, when: {service: shop, attribute: {http.route: {regex: '/health.?'}}}, keep: 0}\n";

struct Scene {
    http: Http,
    trefoil: Program,
}

fn now() -> u64 {
    jiff::Timestamp::now().as_nanosecond() as u64
}

fn span(trace: &str, id: u64, route: &str, failed: bool) -> Value {
    json!({
        "traceId": trace, "spanId": format!("{id:016x}"), "name": "GET", "kind": 2,
        "startTimeUnixNano": (now() - 5_000_000).to_string(), "endTimeUnixNano": now().to_string(),
        "attributes": [{"key": "http.route", "value": {"stringValue": route}}],
        "status": {"code": if failed { 2 } else { 0 }},
    })
}

fn shop() -> Value {
    json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]})
}

impl Scene {
    async fn start(data: &Path, prometheus: u16) -> Result<Self> {
        let store = format!(
            "store: {{dir: '{}', head_bytes: 1MiB}}\nupstream: {{prometheus: {{url: 'http://127.0.0.1:{prometheus}'}}}}\n{RULES}",
            data.display()
        );
        let trefoil = Program::start_configured(data, &data.join("none/*.log"), &store).await?;
        Ok(Self { http: Http::new()?, trefoil })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.trefoil.main)
    }

    async fn send(&self, path: &str, body: Value) -> Result<()> {
        let answer = self.http.post(&self.url(path), &[JSON], body.to_string().into_bytes()).await?;
        ensure!(
            matches!(answer.status, 200 | 204),
            "{path} was answered {}: {}",
            answer.status,
            answer.text()
        );
        Ok(())
    }

    async fn spans(&self, spans: Vec<Value>) -> Result<()> {
        self.send(
            "/v1/traces",
            json!({"resourceSpans": [{"resource": shop(), "scopeSpans": [{"spans": spans}]}]}),
        )
        .await
    }

    async fn line(&self, trace: &str, line: &str) -> Result<()> {
        let values = json!([[now().to_string(), line, {"trace_id": trace}]]);
        self.send("/loki/api/v1/push", json!({"streams": [{"stream": {"app": "shop"}, "values": values}]}))
            .await
    }

    async fn exemplar(&self, trace: &str, value: f64) -> Result<()> {
        let time = now().to_string();
        let exemplar =
            json!({"timeUnixNano": time, "asDouble": value, "traceId": trace, "spanId": "0000000000000001"});
        let point = json!({"timeUnixNano": time, "asDouble": value, "exemplars": [exemplar]});
        let sum = json!({"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": true});
        let metrics = json!([{"name": "requests", "sum": sum}]);
        self.send(
            "/v1/metrics",
            json!({"resourceMetrics": [{"resource": shop(), "scopeMetrics": [{"metrics": metrics}]}]}),
        )
        .await
    }

    async fn look_up(&self, trace: &str) -> Result<(u16, Value)> {
        let answer = self.http.get(&self.url(&format!("/api/v1/traces/{trace}"))).await?;
        Ok((answer.status, answer.json()?))
    }

    /// How many spans, log lines and stored exemplars are answered of a trace.
    async fn whole(&self, trace: &str, expected: [usize; 3]) -> Result<()> {
        let (_, answer) = self.look_up(trace).await?;
        let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
        let exemplars = list("exemplars").iter().filter(|exemplar| exemplar["source"] == "store").count();
        let found = [list("spans").len(), list("logs").len(), exemplars];
        ensure!(found == expected, "{trace}: {found:?} instead of {expected:?}: {answer}");
        Ok(())
    }

    /// The dropped trace is nowhere, and its rule is named; the others are everywhere.
    async fn check(&self) -> Result<()> {
        let (status, answer) = self.look_up(DROPPED).await?;
        let absent = answer["absent"].as_array().context("no absences")?;
        for signal in ["spans", "logs", "exemplars"] {
            let said = absent.iter().find(|a| a["signal"] == signal).context("nothing is said")?;
            ensure!(said["reason"] == "sampled_out", "{answer}");
            ensure!(said["detail"].as_str().is_some_and(|detail| detail.contains("`health`")), "{answer}");
            ensure!(answer[signal] == json!([]), "{answer}");
        }
        ensure!(status == 404);
        let tempo = self.http.get(&self.url(&format!("/tempo/api/traces/{DROPPED}"))).await?;
        ensure!(tempo.status == 404 && tempo.text().contains("`health`"), "{}", tempo.text());

        let query = [("query", r#"{app="shop"}"#), ("limit", "1000")];
        let url = reqwest::Url::parse_with_params(&self.url("/loki/api/v1/query_range"), query)?;
        let lines = self.http.get(url.as_str()).await?.ok_json()?["data"]["result"].to_string();
        ensure!(!lines.contains("of a dropped one"), "{lines}");
        ensure!(lines.contains("of a failed one") && lines.contains("of a plain one"), "{lines}");
        let query =
            [("q", r#"{span.http.route = "/healthz" || span.http.route = "/cart"}"#), ("limit", "100")];
        let url = reqwest::Url::parse_with_params(&self.url("/tempo/api/search"), query)?;
        let found = self.http.get(url.as_str()).await?.ok_json()?.to_string();
        ensure!(!found.contains(&DROPPED[1..]), "{found}");
        ensure!(found.contains(&FAILED[1..]) && found.contains(&PLAIN[1..]), "{found}");
        self.whole(FAILED, [3, 1, 1]).await?;
        self.whole(PLAIN, [3, 1, 1]).await
    }
}

/// An application whose metrics have an exemplar of each trace.
async fn application() -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let metrics = || async {
        let mut text = "# TYPE answered counter\n".to_owned();
        for (path, trace) in [("a", DROPPED), ("b", FAILED), ("c", PLAIN)] {
            text.push_str(&format!("answered_total{{path=\"{path}\"}} 1 # {{trace_id=\"{trace}\"}} 1\n"));
        }
        ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0")], text + "# EOF\n")
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(metrics))).await });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_trace_is_gone_whole_and_says_so_after_kills_and_sweeps() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let port = Prometheus::reserve()?;
    let scrapes = [Scrape { job: "shop".to_owned(), address: application().await? }];
    let _prometheus = Prometheus::start(&folder.path().join("prometheus"), port, &scrapes).await?;
    let scene = Scene::start(&data, port).await?;

    // Parts of each trace come in several requests, in any order.
    scene.line(DROPPED, "of a dropped one").await?;
    scene.exemplar(FAILED, 2.0).await?;
    let routes = [(DROPPED, "/healthz"), (FAILED, "/healthz"), (PLAIN, "/cart")];
    for number in 1..=2 {
        scene.spans(routes.map(|(trace, route)| span(trace, number, route, false)).to_vec()).await?;
    }
    scene.spans(routes.map(|(trace, route)| span(trace, 3, route, trace == FAILED)).to_vec()).await?;
    scene.line(FAILED, "of a failed one").await?;
    scene.line(PLAIN_SHORT, "of a plain one").await?;
    scene.exemplar(DROPPED, 1.0).await?;
    scene.exemplar(PLAIN, 3.0).await?;
    until("the health check is dropped", SOON, || scene.check()).await?;

    // What comes late has the same fate.
    scene.line(DROPPED, "late, of a dropped one").await?;
    scene.exemplar(DROPPED, 1.5).await?;
    scene.spans(vec![span(DROPPED, 4, "/cart", true)]).await?;
    scene.check().await?;
    scene.trefoil.kill().await?;
    let scene = Scene::start(&data, port).await?;
    scene.check().await?;

    // Heads are sealed, and swept when all in them is decided.
    let long = format!("/filling{}", "x".repeat(5000));
    let filling = (0..FILLING).map(|n| span(&format!("{:032x}", (1 << 100) + u128::from(n)), 1, &long, true));
    scene.spans(filling.collect()).await?;
    until("all is swept", SOON, || async {
        let metrics = scene.http.get(&scene.url("/metrics")).await?.text();
        for (signal, count) in [("traces", 4), ("logs", 2), ("metrics", 2)] {
            let line = format!("trefoil_swept_records_total{{signal=\"{signal}\"}} {count}.0");
            ensure!(
                metrics.contains(&line),
                "{}",
                metrics.lines().filter(|l| l.contains("sw")).collect::<String>()
            );
        }
        Ok(())
    })
    .await?;
    scene.check().await?;
    scene.trefoil.kill().await?;
    let scene = Scene::start(&data, port).await?;
    scene.check().await?;
    scene.line(DROPPED, "later still, of a dropped one").await?;
    scene.exemplar(DROPPED, 1.75).await?;
    scene.check().await?;

    // The exemplars of another server are looked through on their way.
    let query = [("query", "answered_total"), ("start", "0"), ("end", "99999999999")];
    let url = reqwest::Url::parse_with_params(&scene.url("/prometheus/api/v1/query_exemplars"), query)?;
    until("exemplars of the traces that stay", SOON, || async {
        let found = scene.http.get(url.as_str()).await?.ok_json()?.to_string();
        ensure!(found.contains(FAILED) && found.contains(PLAIN), "{found}");
        ensure!(!found.contains(DROPPED), "{found}");
        Ok(())
    })
    .await?;
    scene.trefoil.stop().await
}
