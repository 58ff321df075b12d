//! Promise: an OpenTelemetry Collector, set up as usual tutorials have it, forwards an application's spans, logs and metrics and
//! the host's metrics over gRPC and HTTP, whatever it compresses with; nothing of it is refused.

use anyhow::{Context, Result, ensure};
use tests::harness::{Collector, Http, built, client, clients, run, until, whole};
use tests::program::Program;

use super::SOON;

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
        Ok(Self { folder, http: Http::new()?, trefoil })
    }

    async fn collector(&self, exporter: &str, compression: &str) -> Result<Collector> {
        Collector::start(self.folder.path(), &self.trefoil, exporter, compression).await
    }

    /// Ends with nothing having been refused.
    async fn end(self) -> Result<()> {
        for signal in ["spans", "logs", "samples"] {
            let series = format!(r#"trefoil_rejected_records_total{{protocol="otlp",signal="{signal}"}}"#);
            assert_eq!(self.trefoil.count(&series).await?, 0.0, "{series}");
        }
        self.trefoil.stop().await
    }
}

/// A front in Node and a back in Python report to the Collector over HTTP; it forwards to the gateway.
async fn shop_through(exporter: &str) -> Result<()> {
    let scene = Scene::start().await?;
    let collector = scene.collector(exporter, "gzip").await?;
    let endpoint = format!("http://{}", collector.http);
    let mut shop = client("otlp/shop.py")?;
    let front = clients().join("node-reporters/otlp_front.js");
    shop.args(["protobuf", &endpoint, "none", "node"]).arg(front).args(["json", &endpoint, "none"]);
    let told = run(shop.env("TRACE_ID", "4bf92f3577b34da6a3ce929d0e0e4736")).await?.records;
    whole(&scene.http, scene.trefoil.main, &told).await?;

    // The shop has ended: what comes now are the host's metrics.
    let samples = r#"trefoil_received_samples_total{protocol="otlp"}"#;
    let before = scene.trefoil.count(samples).await?;
    until("metrics of the host", SOON, || async {
        let after = scene.trefoil.count(samples).await?;
        ensure!(after > before + 20.0, "{before} samples, then {after}");
        Ok(())
    })
    .await?;
    let said = collector.stop()?;
    ensure!(!said.contains("Exporting failed"), "{said}");
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_and_its_host_are_forwarded_over_grpc() -> Result<()> {
    shop_through("otlp").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_and_its_host_are_forwarded_over_http() -> Result<()> {
    shop_through("otlphttp").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_collector_compresses_with_is_taken() -> Result<()> {
    let scene = Scene::start().await?;
    let grpc = ["none", "gzip", "snappy", "zstd"];
    let http = ["none", "gzip", "snappy", "x-snappy-framed", "zstd", "zlib", "deflate", "lz4"];
    let cases = grpc.map(|kind| ("otlp", kind)).into_iter().chain(http.map(|kind| ("otlphttp", kind)));
    for (exporter, compression) in cases {
        let collector = scene.collector(exporter, compression).await?;
        let mut hello = built("go-hello/built/go-hello")?;
        let told = run(hello.args(["grpc", &collector.grpc.to_string()])).await?.records;
        let found = whole(&scene.http, scene.trefoil.main, &told).await;
        found.with_context(|| format!("{exporter} with {compression}"))?;
        let said = collector.stop()?;
        ensure!(!said.contains("Exporting failed"), "{exporter} with {compression}: {said}");
    }
    scene.end().await
}
