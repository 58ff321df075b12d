//! Promise: what a Prometheus writes is stored as it was sent, and its exemplars lead from a trace to its series.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::harness::{Http, Prometheus, Scrape, until};
use tests::program::Program;

/// Two scrapes a second apart and a write, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_writes_samples_and_exemplars() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let scrapes = [Scrape { job: "trefoil".to_owned(), address: trefoil.main.to_string() }];
    let write = format!(
        "remote_write: [{{url: 'http://{}/api/v1/write', send_exemplars: true, send_native_histograms: true}}]\n",
        trefoil.main
    );
    let port = Prometheus::reserve()?;
    let _prometheus = Prometheus::start_with(&at("prometheus"), port, &scrapes, &write).await?;

    // Trefoil's own requests have exemplars, which come back through the Prometheus that scrapes it.
    let asked = "7bf92f3577b34da6a3ce929d0e0e4736";
    let url = format!("http://{}/api/v1/traces/{asked}", trefoil.main);
    let traceparent = format!("00-{asked}-00f067aa0ba902b7-01");
    let answer = until("an exemplar of the trace", SOON, || async {
        let answer = http.get_with(&url, &[("traceparent", &traceparent)]).await?.json()?;
        ensure!(!answer["exemplars"].as_array().context("no list")?.is_empty(), "{answer}");
        Ok(answer)
    })
    .await?;
    let exemplar = &answer["exemplars"][0];
    ensure!(exemplar.to_string().contains("trefoil_http_request_duration_seconds_bucket"), "{exemplar}");
    ensure!(
        exemplar.to_string().contains(r#""job":"trefoil""#),
        "labels of the scraping Prometheus: {exemplar}"
    );

    let counted = http.get(&format!("http://{}/metrics", trefoil.main)).await?.text();
    let count = |series: &str| -> Option<f64> {
        counted.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    };
    let samples = count(r#"trefoil_received_samples_total{protocol="remote_write"}"#);
    ensure!(samples.is_some_and(|samples| samples > 50.0), "{samples:?} samples");
    let rejected = count(r#"trefoil_rejected_records_total{protocol="remote_write",signal="samples"}"#);
    assert_eq!(rejected, Some(0.0), "a real sender sends nothing that is refused");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_is_415_and_broken_bytes_are_400() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let url = format!("http://{}/api/v1/write", trefoil.main);
    for (media, encoding, status) in [
        ("application/json", "snappy", 415),
        ("application/x-protobuf;proto=a.b.C", "snappy", 415),
        ("application/x-protobuf", "gzip", 415),
        ("application/x-protobuf", "snappy", 400),
    ] {
        let headers = [("content-type", media), ("content-encoding", encoding)];
        let answer = http.post(&url, &headers, vec![0xff; 40]).await?;
        ensure!(answer.status == status, "{media}: {} {}", answer.status, answer.text());
    }
    ensure!(http.get(&url).await?.status == 405);
    trefoil.stop().await
}
