//! Promise: a span is answered once however often it was sent, two that share an id stay two, and a late one joins its trace
//! wherever that lies by then.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::harness::{Http, until};
use tests::program::Program;

/// Sealing a small head, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const JSON: (&str, &str) = ("content-type", "application/json");
/// Spans of a body that fills a head of a mebibyte.
const FILLING: u64 = 20_000;

struct Scene {
    _folder: tempfile::TempDir,
    /// Nanoseconds: when all spans begin, so that retention keeps them.
    began: u64,
    http: Http,
    trefoil: Program,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let logs = folder.path().join("none/*.log");
        let trefoil = Program::start_with(&folder.path().join("data"), &logs, 1 << 20).await?;
        let began = jiff::Timestamp::now().as_nanosecond() as u64;
        Ok(Self { _folder: folder, began, http: Http::new()?, trefoil })
    }

    async fn send(&self, path: &str, body: Value) -> Result<()> {
        let url = format!("http://{}{path}", self.trefoil.main);
        let answer = self.http.post(&url, &[JSON], body.to_string().into_bytes()).await?;
        ensure!(
            matches!(answer.status, 200 | 202),
            "{path} was answered {}: {}",
            answer.status,
            answer.text()
        );
        Ok(())
    }

    /// One span a (trace, span, kind).
    async fn otlp(&self, spans: &[(&str, u64, u8)]) -> Result<()> {
        let span = |&(trace, id, kind): &(&str, u64, u8)| {
            json!({
                "traceId": trace, "spanId": format!("{id:016x}"), "name": format!("work {id}"), "kind": kind,
                "startTimeUnixNano": (self.began + id).to_string(),
                "endTimeUnixNano": (self.began + 1_000_000 + id).to_string(),
            })
        };
        let spans: Vec<Value> = spans.iter().map(span).collect();
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
        self.send(
            "/v1/traces",
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}),
        )
        .await
    }

    /// Names and kinds of the spans that are answered.
    async fn found(&self, trace: &str) -> Result<Vec<String>> {
        let url = format!("http://{}/api/v1/traces/{trace}", self.trefoil.main);
        let answer = self.http.get(&url).await?.json()?;
        let spans = answer["spans"].as_array().context("no spans")?;
        let text = |span: &Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> =
            spans.iter().map(|span| format!("{} {}", text(span, "kind"), text(span, "name"))).collect();
        found.sort();
        Ok(found)
    }

    /// Fills a head with other traces and waits until it is a segment.
    async fn seal(&self, round: u32) -> Result<()> {
        let ids: Vec<String> = (1..=FILLING).map(|n| format!("{round:08x}{n:024x}")).collect();
        let spans: Vec<_> = ids.iter().zip(1..).map(|(id, n)| (id.as_str(), n, 2)).collect();
        self.otlp(&spans).await?;
        let url = format!("http://{}/metrics", self.trefoil.main);
        until("a sealed head", SOON, || async {
            let metrics = self.http.get(&url).await?.text();
            let seals = metrics.lines().find_map(|line| line.strip_prefix("trefoil_store_seals_total "));
            ensure!(
                seals.is_some_and(|seals| seals.parse().is_ok_and(|seals: f64| seals >= f64::from(round)))
            );
            Ok(())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_is_sent_again_is_answered_once_and_a_late_one_joins_its_trace() -> Result<()> {
    let scene = Scene::start().await?;
    scene.otlp(&[(TRACE, 1, 2), (TRACE, 2, 3)]).await?;
    // A retry whose first try had been taken, alone and within a larger body.
    scene.otlp(&[(TRACE, 1, 2), (TRACE, 2, 3)]).await?;
    scene.otlp(&[(TRACE, 2, 3), (TRACE, 3, 1)]).await?;
    let all = ["client work 2", "internal work 3", "server work 1"];
    assert_eq!(scene.found(TRACE).await?, all);
    scene.seal(1).await?;
    assert_eq!(scene.found(TRACE).await?, all);
    // Again, now that the first lies in a segment; and a late one.
    scene.otlp(&[(TRACE, 1, 2), (TRACE, 4, 5)]).await?;
    let all = ["client work 2", "consumer work 4", "internal work 3", "server work 1"];
    assert_eq!(scene.found(TRACE).await?, all);
    scene.seal(2).await?;
    assert_eq!(scene.found(TRACE).await?, all);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_to_which_a_sender_gave_one_id_are_all_answered_found_and_marked() -> Result<()> {
    let scene = Scene::start().await?;
    let span = |name: &str, after: u64, code: u8| {
        json!({
            "traceId": TRACE, "spanId": "00000000000000aa", "name": name, "kind": 2, "status": {"code": code},
            "startTimeUnixNano": (scene.began + after * 1_000_000).to_string(),
            "endTimeUnixNano": (scene.began + (after + 5) * 1_000_000).to_string(),
        })
    };
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [
        span("one", 0, 0), span("two", 20, 2),
    ]}]}]});
    scene.send("/v1/traces", body.clone()).await?;
    // A retry.
    scene.send("/v1/traces", body).await?;
    let get =
        async |path: &str| scene.http.get(&format!("http://{}{path}", scene.trefoil.main)).await?.json();
    for round in 0..2 {
        ensure!(scene.found(TRACE).await? == ["server one", "server two"]);
        let answer = get(&format!("/api/v1/traces/{TRACE}")).await?;
        ensure!(answer["total_spans"] == 2, "{answer}");
        for span in answer["spans"].as_array().context("spans")? {
            ensure!(span["oddities"] == json!(["shared_id"]), "{span}");
        }
        let warned = answer["warnings"].to_string();
        ensure!(warned.contains("share their id"), "{warned}");
        let jaeger = get(&format!("/jaeger/api/traces/{TRACE}")).await?;
        ensure!(jaeger["data"][0]["spans"].as_array().is_some_and(|spans| spans.len() == 2), "{jaeger}");
        let found = get("/tempo/api/search?q=%7Bname%3D%22two%22%7D").await?;
        ensure!(found["traces"].as_array().is_some_and(|traces| traces.len() == 1), "{found}");
        if round == 0 {
            scene.seal(1).await?;
        }
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_sides_of_a_shared_zipkin_span_stay_two_however_often_they_are_sent() -> Result<()> {
    let scene = Scene::start().await?;
    let span = |kind: &str, service: &str, shared: bool| {
        json!({
            "traceId": TRACE, "id": "00000000000000aa", "name": "call", "kind": kind, "shared": shared,
            "timestamp": scene.began / 1000, "duration": 5000, "localEndpoint": {"serviceName": service},
        })
    };
    let (client, server) = (span("CLIENT", "cart", false), span("SERVER", "shop", true));
    scene.send("/api/v2/spans", json!([client])).await?;
    scene.send("/api/v2/spans", json!([server, client])).await?;
    scene.seal(1).await?;
    scene.send("/api/v2/spans", json!([server])).await?;
    assert_eq!(scene.found(TRACE).await?, ["client call", "server call"]);
    scene.trefoil.stop().await
}
