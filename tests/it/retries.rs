//! Promise: senders that come while the gateway has no room are told so in the way that makes them come again; what they then send
//! is whole. Where a sender by its nature does not come again, the test says what it does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dashboards::metric_names::MetricName;
use tests::harness::{
    Answer, Http, Overload, Prometheus, Scrape, client, found, refusals, run, through_overload, until, whole,
};
use tests::program::{Program, SECRET_TOKEN};

/// Scrapes a second apart and senders' pauses, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Scene {
    folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
        Ok(Self { http: Http::new()?, trefoil, folder })
    }

    async fn look_up(&self, trace: &str) -> Result<Answer> {
        self.http.get(&format!("http://{}/api/v1/traces/{trace}", self.trefoil.main)).await
    }

    fn main(&self) -> String {
        format!("http://{}", self.trefoil.main)
    }

    fn otlp(&self, way: &str) -> String {
        let address = if way == "grpc" { self.trefoil.otlp_grpc } else { self.trefoil.otlp_http };
        format!("http://{address}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_for_python_comes_again() -> Result<()> {
    for way in ["grpc", "protobuf", "json"] {
        let scene = Scene::start().await?;
        let mut shop = client("otlp/shop.py")?;
        let visit = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])";
        shop.args([way, &scene.otlp(way), "gzip", "python3", "-c", visit]);
        let told = through_overload(&scene.trefoil, "otlp", 2, shop).await?.records;
        whole(&scene.http, scene.trefoil.main, &told).await?;
        scene.trefoil.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_for_node_comes_again() -> Result<()> {
    for way in ["protobuf", "json"] {
        let scene = Scene::start().await?;
        let mut front = client("node-reporters/otlp_front.js")?;
        let callee = format!("http://{}/healthz", scene.trefoil.main);
        front.args([way, &scene.otlp(way), "gzip", &callee]).env("TRACE_ID", TRACE);
        let told = through_overload(&scene.trefoil, "otlp", 4, front).await?.records;
        whole(&scene.http, scene.trefoil.main, &told).await?;
        scene.trefoil.stop().await?;
    }
    Ok(())
}

/// Its exporter over gRPC hands a refusal on as an error, whatever the status: what was in that request is lost.
#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_for_node_over_grpc_gives_up_and_says_why() -> Result<()> {
    let scene = Scene::start().await?;
    let mut front = client("node-reporters/otlp_front.js")?;
    let callee = format!("http://{}/healthz", scene.trefoil.main);
    front.args(["grpc", &scene.otlp("grpc"), "none", &callee]).env("TRACE_ID", TRACE);
    let said = through_overload(&scene.trefoil, "otlp", 3, front).await.err().context("it ended well")?;
    ensure!(said.to_string().contains("14 UNAVAILABLE: too many bytes in flight"), "{said:#}");
    ensure!(scene.look_up(TRACE).await?.status == 404, "nothing of it is there");
    scene.trefoil.stop().await
}

/// It keeps what was refused, and sends it again a minute later, or when the application ends.
#[tokio::test(flavor = "multi_thread")]
async fn winston_loki_comes_again() -> Result<()> {
    let scene = Scene::start().await?;
    let mut lines = client("node-reporters/winston_loki.js")?;
    lines.args([&*scene.main(), "json", TRACE, "patient"]);
    let said = through_overload(&scene.trefoil, "loki_push", 1, lines).await?;
    ensure!(said.complaints.contains("503"), "it was refused: {}", said.complaints);
    let answer = scene.look_up(TRACE).await?.ok_json()?;
    assert_eq!(answer["logs"].as_array().map(Vec::len), Some(said.records.len()), "{answer}");
    scene.trefoil.stop().await
}

/// They send a batch once: what the answer is, the application is told, and the batch is gone.
#[tokio::test(flavor = "multi_thread")]
async fn pino_loki_and_python_logging_loki_give_up_and_say_why() -> Result<()> {
    let scene = Scene::start().await?;
    let mut pino = client("node-reporters/pino_loki.js")?;
    pino.args([&*scene.main(), TRACE]);
    let said = through_overload(&scene.trefoil, "loki_push", 1, pino).await?;
    ensure!(said.complaints.contains("too many bytes in flight"), "{}", said.complaints);
    let mut python = client("reporters/loki_logging.py")?;
    python.args([&*format!("{}/loki/api/v1/push", scene.main()), "1", TRACE]);
    let said =
        through_overload(&scene.trefoil, "loki_push", 1, python).await.err().context("it ended well")?;
    ensure!(said.to_string().contains("Unexpected Loki API response status code: 503"), "{said:#}");
    ensure!(scene.look_up(TRACE).await?.status == 404, "nothing of them is there");
    scene.trefoil.stop().await
}

/// They never send the same again. So what is here already is taken, although there is no room for more: a request of the size that
/// they usually send is not lost. Settings they ask for again later, and go on with their own.
#[tokio::test(flavor = "multi_thread")]
async fn elastics_agents_need_not_come_again() -> Result<()> {
    let scene = Scene::start().await?;
    let port = scene.trefoil.receivers.get("Elastic APM").context("its port is not announced")?;
    let overload = Overload::of(&scene.trefoil).await?;
    for script in ["reporters/elastic_apm.py", "node-reporters/elastic_apm.js"] {
        let mut agent = client(script)?;
        let said = run(agent.args([&*format!("http://{port}"), SECRET_TOKEN])).await?;
        found(&scene.http, scene.trefoil.main, &said.records).await?;
    }
    assert_eq!(refusals(&scene.trefoil, "elastic_apm").await?, 1.0, "the question for settings");
    drop(overload);
    scene.trefoil.stop().await
}

/// It sends what was refused until it is taken: an exemplar that was scraped in the meantime is there in the end.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_comes_again() -> Result<()> {
    let scene = Scene::start().await?;
    let main = scene.trefoil.main;
    let scrapes = [Scrape { job: "trefoil".to_owned(), address: main.to_string() }];
    let write = format!("remote_write: [{{url: 'http://{main}/api/v1/write', send_exemplars: true}}]\n");
    let overload = Overload::of(&scene.trefoil).await?;
    let port = Prometheus::reserve()?;
    let folder = scene.folder.path().join("prometheus");
    let prometheus = Prometheus::start_with(&folder, port, &scrapes, &write).await?;
    // A request that the gateway counts with an exemplar, which Prometheus scrapes while nothing can be written.
    let (look_up, traceparent) =
        (format!("http://{main}/api/v1/traces/{TRACE}"), format!("00-{TRACE}-00f067aa0ba902b7-01"));
    scene.http.get_with(&look_up, &[("traceparent", &traceparent)]).await?;
    let bucket = MetricName::HttpRequestDuration.buckets();
    until("the exemplar in Prometheus", SOON, || async {
        let now = jiff::Timestamp::now().as_second();
        let query = format!("query={bucket}&start={}&end={}", now - 600, now + 60);
        let answer = scene.http.get(&format!("{}/api/v1/query_exemplars?{query}", prometheus.url)).await?;
        ensure!(answer.text().contains(TRACE), "{}", answer.text());
        ensure!(refusals(&scene.trefoil, "remote_write").await? >= 2.0, "it has not been refused twice");
        Ok(())
    })
    .await?;
    drop(overload);
    until("the exemplar in Trefoil", SOON, || async {
        let answer = scene.look_up(TRACE).await?.json()?;
        ensure!(answer["exemplars"].as_array().is_some_and(|list| !list.is_empty()), "{answer}");
        Ok(())
    })
    .await?;
    scene.trefoil.stop().await
}
