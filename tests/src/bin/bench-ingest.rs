//! What Trefoil costs: runs the real program on a generated corpus and prints figures next to a yardstick of the same run.
//!
//! `cargo run --release -p tests --bin bench-ingest [-- LINES SPANS]` (1,000,000 and 400,000 unless given). The program is watched from
//! outside: CPU time and peak memory are the kernel's accounting of its process, latencies are those of an HTTP client.
//! The yardstick Y is the CPU time of `zstd -1` over all lines in one buffer, so that figures of two machines compare.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::corpus;
use tests::program::{Program, Yardstick, yardstick};

/// Where the corpus begins in time: an hour ago, so that retention keeps it.
const AGE: Duration = Duration::from_hours(1);
/// How long a stage may take before the run is given up.
const STAGE_LIMIT: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() -> Result<()> {
    // The client's TLS provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let lines: u64 = arguments.next().map_or(Ok(1_000_000), |n| n.parse()).context("LINES is a number")?;
    let spans: u64 = arguments.next().map_or(Ok(400_000), |n| n.parse()).context("SPANS is a number")?;
    let dir = tempfile::tempdir()?;
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos())?;
    let start = now - u64::try_from(AGE.as_nanos())?;

    println!("corpus: {lines} lines, {spans} spans ...");
    let manifest = corpus::write_logs(&dir.path().join("pods"), lines, start)?;
    let Yardstick { seconds: yardstick, ratio } = yardstick(&dir.path().join("pods"))?;
    println!("zstd -1 of the text: {ratio:.3} of its bytes");
    println!("yardstick Y: {yardstick:.2} s of CPU, zstd -1 over {} MB of lines", manifest.bytes / 1_000_000);

    logs(dir.path(), &manifest, yardstick).await?;
    pushed(dir.path(), manifest.bytes, yardstick).await?;
    traces(dir.path(), spans, start).await?;
    span_metrics(dir.path(), spans).await
}

async fn logs(dir: &Path, manifest: &corpus::Manifest, yardstick: f64) -> Result<()> {
    let data = dir.join("data-logs");
    let mut program = Program::start(&data, &dir.join("pods/*/*/*.log")).await?;
    let started = Instant::now();
    program.wait_for_records("logs", manifest.records, STAGE_LIMIT).await?;
    let wall = started.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()?;
    println!("\ntail to stored ({} lines, {} MB)", manifest.records, manifest.bytes / 1_000_000);
    println!(
        "  CPU             {cpu:.2} s = {:.2} Y, {:.0} lines a CPU-second",
        cpu / yardstick,
        manifest.records as f64 / cpu
    );
    println!("  wall            {wall:.2} s");
    println!("  resident        {} MB at most", program.peak_memory()? / 1_000_000);
    let (latencies, wrong) = look_up(&program, &manifest.sample, "logs").await?;
    println!(
        "  look-up by id   p50 {:.2} ms, p99 {:.2} ms over {} ids",
        latencies.0,
        latencies.1,
        manifest.sample.len()
    );
    ensure!(
        wrong == 0,
        "{wrong} of {} sampled ids returned another number of lines than written",
        manifest.sample.len()
    );
    println!("  every sampled id returned exactly its lines");
    program.stop().await?;
    let stored = size_of_dir(&data)?;
    println!(
        "  on disk         {} MB = {:.3} of the raw bytes",
        stored / 1_000_000,
        stored as f64 / manifest.bytes as f64
    );
    Ok(())
}

/// Lines of one push, as agents send them.
const PUSHED_LINES: usize = 1000;

/// The same lines as pushes to Loki, in JSON. Making the bodies is not the program's cost.
async fn pushed(dir: &Path, bytes: u64, yardstick: f64) -> Result<()> {
    let mut program = Program::start(&dir.join("data-pushed"), &dir.join("none/*.log")).await?;
    let client = reqwest::Client::new();
    let url = format!("http://{}/loki/api/v1/push", program.main);
    let before = program.cpu_seconds()?;
    let mut count = 0u64;
    for pod in std::fs::read_dir(dir.join("pods"))? {
        let pod = pod?;
        for container in std::fs::read_dir(pod.path())? {
            let container = container?;
            let text = std::fs::read_to_string(container.path().join("0.log"))?;
            let lines: Vec<&str> = text.lines().collect();
            for lines in lines.chunks(PUSHED_LINES) {
                let mut values = Vec::with_capacity(lines.len());
                for line in lines {
                    let (time, rest) = line.split_once(' ').context("no CRI line")?;
                    let time: jiff::Timestamp = time.parse()?;
                    let line = rest.splitn(3, ' ').nth(2).unwrap_or_default();
                    values.push([time.as_nanosecond().to_string(), line.to_owned()]);
                }
                count += values.len() as u64;
                let labels = serde_json::json!({
                    "pod": pod.file_name().to_string_lossy(),
                    "container": container.file_name().to_string_lossy(),
                });
                let body =
                    serde_json::json!({ "streams": [{ "stream": labels, "values": values }] }).to_string();
                push(&client, &url, body).await?;
            }
        }
    }
    program.wait_for_records("logs", count, STAGE_LIMIT).await?;
    let cpu = program.cpu_seconds()? - before;
    println!("\nLoki push in JSON to stored ({count} lines, {} MB)", bytes / 1_000_000);
    println!(
        "  CPU             {cpu:.2} s = {:.2} Y, {:.0} lines a CPU-second",
        cpu / yardstick,
        count as f64 / cpu
    );
    println!("  resident        {} MB at most", program.peak_memory()? / 1_000_000);
    program.stop().await
}

async fn push(client: &reqwest::Client, url: &str, body: String) -> Result<()> {
    loop {
        let answer =
            client.post(url).header("content-type", "application/json").body(body.clone()).send().await?;
        if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
            ensure!(
                answer.status() == reqwest::StatusCode::NO_CONTENT,
                "a push was answered {}",
                answer.status()
            );
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn export(program: &Program, bodies: Vec<Vec<u8>>) -> Result<()> {
    let client = reqwest::Client::new();
    let url = format!("http://{}/v1/traces", program.otlp_http);
    for body in bodies {
        loop {
            let answer = client
                .post(&url)
                .header("content-type", "application/x-protobuf")
                .body(body.clone())
                .send()
                .await?;
            // Told to slow down: the body is sent again, as an exporter does.
            if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                ensure!(answer.status().is_success(), "a body was answered {}", answer.status());
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Runs with and without span metrics, in turn. The least of each counts: some take much longer.
const RUNS: usize = 5;

/// What it costs to count spans that arrive as they end, which those of an hour ago are not. A program takes as many before it is
/// measured: what it costs as it goes on is less than just after its start.
async fn span_metrics(dir: &Path, spans: u64) -> Result<()> {
    // Without and with: until all is stored, and until nothing is left to do. How much is sealed by the first time is chance.
    let mut least = [[f64::MAX; 2]; 2];
    for run in 0..RUNS {
        let turn = if run % 2 == 0 { [false, true] } else { [true, false] };
        for enabled in turn {
            let data = dir.join(format!("data-counted-{run}-{enabled}"));
            let sections =
                format!("store: {{dir: '{}'}}\nmetrics_from_spans: {{enabled: {enabled}}}\n", data.display());
            let mut program = Program::start_configured(&data, &dir.join("none/*.log"), &sections).await?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
            let (mut before, manifest) = corpus::span_bodies(2 * spans, u64::try_from(now)?);
            let measured = before.split_off(before.len() / 2);
            export(&program, before).await?;
            let before = program.cpu_seconds_until_idle().await?;
            export(&program, measured).await?;
            program.wait_for_records("traces", manifest.spans, STAGE_LIMIT).await?;
            let stored = program.cpu_seconds()? - before;
            let done = program.cpu_seconds_until_idle().await? - before;
            let [least_stored, least_done] = &mut least[usize::from(enabled)];
            *least_stored = least_stored.min(stored);
            *least_done = least_done.min(done);
            program.stop().await?;
            std::fs::remove_dir_all(data)?;
        }
    }
    println!("\nspan metrics, least of {RUNS} runs each");
    let [without, with] = least;
    for (until, (without, with)) in
        ["stored", "nothing is left to do"].into_iter().zip(without.into_iter().zip(with))
    {
        let more = (with / without - 1.0) * 100.0;
        println!("  CPU until {until:22} {with:.2} s with them, {without:.2} s without: {more:.1} % more");
    }
    Ok(())
}

async fn traces(dir: &Path, spans: u64, start: u64) -> Result<()> {
    let (bodies, manifest) = corpus::span_bodies(spans, start);
    let data = dir.join("data-spans");
    let mut program = Program::start(&data, &dir.join("none/*.log")).await?;
    let before = program.cpu_seconds()?;
    let started = Instant::now();
    export(&program, bodies).await?;
    program.wait_for_records("traces", manifest.spans, STAGE_LIMIT).await?;
    let wall = started.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()? - before;
    println!("\nOTLP/HTTP spans to stored ({} spans, {} MB)", manifest.spans, manifest.bytes / 1_000_000);
    println!(
        "  CPU             {cpu:.2} s = {:.2} us a span, {:.0} spans a CPU-second",
        cpu * 1e6 / manifest.spans as f64,
        manifest.spans as f64 / cpu
    );
    println!("  wall            {wall:.2} s, one client");
    println!("  resident        {} MB at most", program.peak_memory()? / 1_000_000);
    let sample: Vec<(String, u64)> =
        manifest.sample.iter().map(|id| (id.clone(), corpus::SPANS_PER_TRACE as u64)).collect();
    let (latencies, wrong) = look_up(&program, &sample, "spans").await?;
    println!(
        "  trace by id     p50 {:.2} ms, p99 {:.2} ms over {} ids",
        latencies.0,
        latencies.1,
        manifest.sample.len()
    );
    ensure!(wrong == 0, "{wrong} of {} sampled traces are not whole", manifest.sample.len());
    println!("  every sampled trace is whole");
    program.stop().await?;
    let stored = size_of_dir(&data)?;
    println!(
        "  on disk         {} MB = {:.0} bytes a span, {:.3} of the bodies",
        stored / 1_000_000,
        stored as f64 / manifest.spans as f64,
        stored as f64 / manifest.bytes as f64
    );
    Ok(())
}

/// p50 and p99 in milliseconds, and how many ids gave another number of records than the manifest says.
async fn look_up(program: &Program, sample: &[(String, u64)], signal: &str) -> Result<((f64, f64), usize)> {
    let client = reqwest::Client::new();
    let mut latencies = Vec::with_capacity(sample.len());
    let mut wrong = 0;
    for (id, expected) in sample {
        let started = Instant::now();
        let bytes = tests::program::body(
            client.get(format!("http://{}/api/v1/traces/{id}", program.main)).send().await?,
        )
        .await?;
        latencies.push(started.elapsed().as_secs_f64() * 1e3);
        let answer: serde_json::Value = serde_json::from_slice(&bytes)?;
        if answer[signal].as_array().map(Vec::len) != usize::try_from(*expected).ok() {
            wrong += 1;
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        latencies.get((latencies.len() as f64 * share) as usize).or(latencies.last()).copied().unwrap_or(0.0)
    };
    Ok(((at(0.5), at(0.99)), wrong))
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
