//! Promise: Go programs and a Collector that come while the gateway has no room come again, and nothing is lost.

use anyhow::{Context, Result, ensure};
use tests::harness::{Collector, Http, Overload, built, refusals, run, through_overload, until, whole};
use tests::program::Program;

use super::SOON;

async fn start(folder: &tempfile::TempDir) -> Result<Program> {
    let at = |name: &str| folder.path().join(name);
    Program::start(&at("data"), &at("pods/*/*/*.log")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_for_go_comes_again() -> Result<()> {
    for way in ["grpc", "http"] {
        let folder = tempfile::tempdir()?;
        let trefoil = start(&folder).await?;
        let endpoint = if way == "grpc" { trefoil.otlp_grpc } else { trefoil.otlp_http };
        let mut hello = built("go-hello/built/go-hello")?;
        hello.args([way, &endpoint.to_string()]);
        let said = through_overload(&trefoil, "otlp", 2, hello).await?;
        whole(&Http::new()?, trefoil.main, &said.records).await.context(said.complaints)?;
        trefoil.stop().await?;
    }
    Ok(())
}

/// The application has ended long before: what it has handed on, the Collector keeps until it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_comes_again() -> Result<()> {
    for exporter in ["otlp", "otlphttp"] {
        let folder = tempfile::tempdir()?;
        let trefoil = start(&folder).await?;
        let collector = Collector::start(folder.path(), &trefoil, exporter, "gzip").await?;
        let overload = Overload::of(&trefoil).await?;
        let before = refusals(&trefoil, "otlp").await?;
        let mut hello = built("go-hello/built/go-hello")?;
        let told = run(hello.args(["grpc", &collector.grpc.to_string()])).await?.records;
        until("refusals of the Collector", SOON, || async {
            // Spans, logs and metrics, and metrics of the host besides.
            let refused = refusals(&trefoil, "otlp").await? - before;
            ensure!(refused >= 4.0, "{refused}");
            Ok(())
        })
        .await?;
        drop(overload);
        whole(&Http::new()?, trefoil.main, &told).await.with_context(|| exporter.to_owned())?;
        let said = collector.stop()?;
        // Metrics of the host, which never end, may be on their way when it is stopped.
        let given_up = |line: &&str| line.contains("Dropping data") && !line.contains("due to shutdown");
        ensure!(!said.lines().any(|line| given_up(&line)), "{said}");
        trefoil.stop().await?;
    }
    Ok(())
}
