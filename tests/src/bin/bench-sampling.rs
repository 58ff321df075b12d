//! What tail sampling costs: the real program takes the same spans twice, keeping all of them and sampling, and both are measured
//! until nothing is left to do: everything sealed and merged, decided and swept.
//!
//! `cargo run --release -p tests --bin bench-sampling [-- SPANS [ROUNDS]]` (1,500,000 and 2 unless given; both ways in each round).
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dashboards::metric_names::MetricName;
use tests::corpus;
use tests::harness::until;
use tests::program::{Program, body};

/// Where the corpus begins in time: an hour ago, so that retention keeps it.
const AGE: Duration = Duration::from_hours(1);
/// How long a stage may take before the run is given up.
const STAGE_LIMIT: Duration = Duration::from_mins(10);
/// Senders at once.
const CONNECTIONS: usize = 4;
/// Conditions of every kind: on the trace, on attributes, on services.
const SAMPLING: &str = "sampling:\n  wait: 1s\n  rules:\n\
    \x20   - {name: slow, when: {slower_than: 400ms}}\n\
    \x20   - {name: health, when: {attribute: {http.route: /healthz}}, keep: 0}\n\
    \x20   - {name: user, when: {service: checkout, attribute: {user.id: {regex: 'u-9.?'}}}}\n\
    \x20   - {name: errors, when: {error: true}, keep: 0.3}\n\
    \x20   - {name: rest, keep: 0.1}\n";

#[tokio::main]
async fn main() -> Result<()> {
    // The client's TLS provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let spans: u64 = arguments.next().map_or(Ok(1_500_000), |n| n.parse()).context("SPANS is a number")?;
    let rounds: u64 = arguments.next().map_or(Ok(2), |n| n.parse()).context("ROUNDS is a number")?;
    let dir = tempfile::tempdir()?;
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos())?;
    let (bodies, manifest) = corpus::span_bodies(spans, now - u64::try_from(AGE.as_nanos())?);
    let bodies = Arc::new(bodies);
    println!("{} spans, {} MB", manifest.spans, manifest.bytes / 1_000_000);
    let mut total = [[0.0; 2]; 2];
    for round in 0..rounds {
        for (way, sections) in ["", SAMPLING].into_iter().enumerate() {
            let data = dir.path().join(format!("data-{round}-{way}"));
            let [taken, all] = run(&data, sections, &bodies, manifest.spans).await?;
            total[way][0] += taken;
            total[way][1] += all;
            std::fs::remove_dir_all(data)?;
        }
    }
    println!("CPU with sampling to CPU without");
    println!("  until all is acknowledged      {:.3}", total[1][0] / total[0][0]);
    println!("  until nothing is left to do    {:.3}", total[1][1] / total[0][1]);
    Ok(())
}

/// CPU seconds until the last body was acknowledged, and until the program had nothing left to do.
async fn run(data: &Path, sections: &str, bodies: &Arc<Vec<Vec<u8>>>, spans: u64) -> Result<[f64; 2]> {
    let store = format!("store: {{dir: '{}'}}\n{sections}", data.display());
    let program = Program::start_configured(data, &data.join("none/*.log"), &store).await?;
    let before = program.cpu_seconds()?;
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..CONNECTIONS {
        let (bodies, url) = (Arc::clone(bodies), format!("http://{}/v1/traces", program.otlp_http));
        senders.spawn(async move {
            let client = reqwest::Client::new();
            for body in bodies.iter().skip(sender).step_by(CONNECTIONS) {
                post(&client, &url, body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let wall = started.elapsed().as_secs_f64();
    let taken = program.cpu_seconds()? - before;
    if !sections.is_empty() {
        let undecided = MetricName::SamplingUndecided.series();
        until("every trace decided", STAGE_LIMIT, || async {
            let metrics = reqwest::get(format!("http://{}/metrics", program.main)).await?;
            let text = String::from_utf8(body(metrics).await?)?;
            let line = text.lines().find(|line| line.starts_with(&undecided)).context("no such metric")?;
            ensure!(line.ends_with(" 0") || line.ends_with(" 0.0"), "{line}");
            Ok(())
        })
        .await?;
    }
    let all = program.cpu_seconds_until_idle().await? - before;
    let micros = |seconds: f64| seconds * 1e6 / spans as f64;
    println!(
        "{}: {:.2} us of CPU a span until acknowledged, {:.2} until done; {wall:.1} s; {} MB resident; {} MB on disk",
        if sections.is_empty() { "all kept" } else { "sampling" },
        micros(taken),
        micros(all),
        program.peak_memory()? / 1_000_000,
        size_of_dir(data)? / 1_000_000
    );
    program.stop().await?;
    Ok([taken, all])
}

async fn post(client: &reqwest::Client, url: &str, body: &[u8]) -> Result<()> {
    loop {
        let request = client.post(url).header("content-type", "application/x-protobuf").body(body.to_vec());
        let answer = request.send().await?;
        // Told to slow down: the body is sent again, as an exporter does.
        if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
            ensure!(answer.status().is_success(), "a body was answered {}", answer.status());
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

fn size_of_dir(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        total +=
            if entry.file_type()?.is_dir() { size_of_dir(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}
