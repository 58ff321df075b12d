//! What samples cost: runs the real program, writes to it as a Prometheus does, and prints figures.
//!
//! `cargo run --release -p tests --bin bench-metrics [-- SERIES MANY ROUNDS]` (10,000 series for an hour, and 1,000,000 with four
//! samples each, unless given). The program is watched from outside: CPU time and memory are the kernel's accounting of its process, latencies are
//! those of an HTTP client.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use parsers::otlp::Writer;
use store::{Store, StoreOptions};
use tests::program::{Program, body, resident_memory};

/// Samples of one request: as many as a Prometheus sends unless it is told otherwise.
const SENT: usize = 2_000;
/// Milliseconds between samples of a series.
const INTERVAL: u64 = 15_000;
/// Samples of a series within an hour.
const HOUR: u64 = 240;
/// How often each query is asked.
const ASKED: usize = 100;
/// How long the store may take to count what was written.
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::main]
async fn main() -> Result<()> {
    // The client's TLS provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let series = arguments.next().map_or(Ok(10_000), |n| n.parse()).context("SERIES is a number")?;
    let many = arguments.next().map_or(Ok(1_000_000), |n| n.parse()).context("MANY is a number")?;
    let rounds = arguments.next().map_or(Ok(4), |n| n.parse()).context("ROUNDS is a number")?;
    let dir = tempfile::tempdir()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    written(&dir.path().join("typical"), series, now).await?;
    service_map(&dir.path().join("map"), now).await?;
    crowd(&dir.path().join("many"), many, rounds, now).await
}

/// Deterministic noise in `0..1`.
fn noise(seed: u64, number: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 29;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

type Labels = Vec<(String, String)>;

/// A request of these series, each with one sample.
fn request<'a>(series: impl Iterator<Item = (&'a Labels, f64)>, millis: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (labels, value) in series {
        Writer::new(&mut out).message(1, |out| {
            for (name, value) in labels {
                Writer::new(out).message(1, |out| {
                    Writer::new(out).bytes(1, name.as_bytes());
                    Writer::new(out).bytes(2, value.as_bytes());
                });
            }
            Writer::new(out).message(2, |out| {
                Writer::new(out).always_double(1, value);
                Writer::new(out).varint(2, millis);
            });
        });
    }
    Ok(snap::raw::Encoder::new().compress_vec(&out)?)
}

struct Sender {
    client: reqwest::Client,
    url: String,
    sent: u64,
}

impl Sender {
    fn to(program: &Program) -> Self {
        let url = format!("http://{}/api/v1/write", program.main);
        Self { client: reqwest::Client::new(), url, sent: 0 }
    }

    async fn send(&mut self, body: Vec<u8>, samples: usize) -> Result<()> {
        loop {
            let request = self.client.post(&self.url).header("content-encoding", "snappy");
            let request = request.header("content-type", "application/x-protobuf").body(body.clone());
            let answer = request.send().await?;
            // Told to slow down: the body is sent again, as a Prometheus does.
            if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                ensure!(answer.status().is_success(), "a write was answered {}", answer.status());
                self.sent += samples as u64;
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Every series with one sample a round, from the oldest on.
    async fn rounds(
        &mut self,
        series: &[Labels],
        rounds: std::ops::Range<u64>,
        start: u64,
        value: impl Fn(usize, u64) -> f64,
    ) -> Result<()> {
        for round in rounds {
            let mut first = 0;
            for part in series.chunks(SENT) {
                let samples = part.iter().enumerate().map(|(n, labels)| (labels, value(first + n, round)));
                self.send(request(samples, start + round * INTERVAL)?, part.len()).await?;
                first += part.len();
            }
        }
        Ok(())
    }
}

/// As an exporter behind a Kubernetes service discovery has them.
fn labels(name: &str, number: usize) -> Labels {
    let pod = number / 50;
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("__name__", format!("{name}_{}_total", number % 10)),
        pair("cluster", "eu-west-1".to_owned()),
        pair("code", ["200", "404", "500", "201", "302"][number / 10 % 5].to_owned()),
        pair("container", format!("app-{}", pod % 20)),
        pair("instance", format!("10.{}.{}.{}:8080", pod >> 16 & 255, pod >> 8 & 255, pod & 255)),
        pair("job", format!("apps/app-{}", pod % 20)),
        pair("namespace", format!("team-{}", pod % 5)),
        pair("pod", format!("app-{}-6d9f7c8b5-{pod:05}", pod % 20)),
        pair("service", format!("app-{}", pod % 20)),
    ]
}

/// A counter that grows by about so much a second.
fn counter(number: usize, round: u64) -> f64 {
    let slope = 1.0 + 200.0 * noise(number as u64, 1).powi(4);
    let grown = slope * 15.0 * (round as f64 + noise(number as u64, round + 2));
    (1e6 * noise(number as u64, 0) + grown).floor()
}

async fn written(dir: &Path, series: usize, now: u64) -> Result<()> {
    let all: Vec<Labels> = (0..series).map(|number| labels("http_requests", number)).collect();
    let mut program = Program::start(dir, &dir.join("none/*.log")).await?;
    let mut sender = Sender::to(&program);
    let (before, begun) = (program.cpu_seconds()?, Instant::now());
    sender.rounds(&all, 0..HOUR, now - HOUR * INTERVAL, counter).await?;
    let (cpu, wall) = (program.cpu_seconds()? - before, begun.elapsed().as_secs_f64());
    program.wait_for_records("metrics", sender.sent, LIMIT).await?;
    println!("remote write ({series} series, {} samples, {SENT} a request)", sender.sent);
    println!("  CPU             {cpu:.2} s = {:.0} samples a CPU-second", sender.sent as f64 / cpu);
    println!("  wall            {wall:.2} s, one client");
    println!("  resident        {} MB at most", program.peak_memory()? / 1_000_000);
    program.stop().await?;
    let journal = size_of_dir(&dir.join("samples"))?;
    let store = Store::open(StoreOptions::new(dir))?;
    store.seal()?;
    let sealed = store.stats().metrics.bytes;
    println!("  on disk         {:.2} bytes a sample in segments", sealed as f64 / sender.sent as f64);
    println!(
        "                  {:.2} bytes a sample in the journal before",
        journal as f64 / sender.sent as f64
    );
    Ok(())
}

/// Series that a service map is drawn of: fourteen for each pair of services.
fn edges() -> Vec<Labels> {
    let name = |metric: &str| format!("traces_service_graph_{metric}");
    let mut all = Vec::new();
    for edge in 0..72 {
        let pair = |metric: &str, more: &[(&str, &str)]| -> Labels {
            let fixed = [
                ("__name__", name(metric)),
                ("client", format!("service-{}", edge % 12)),
                ("connection_type", String::new()),
                ("server", format!("service-{}", edge / 6)),
            ];
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            fixed
                .into_iter()
                .chain(more)
                .filter(|(_, v)| !v.is_empty())
                .map(|(n, v)| (n.to_owned(), v))
                .collect()
        };
        for metric in ["request_total", "request_failed_total", "request_server_seconds_sum"] {
            all.push(pair(metric, &[]));
        }
        for bound in ["0.1", "0.2", "0.4", "0.8", "1.6", "3.2", "6.4", "12.8", "25.6", "51.2", "+Inf"] {
            all.push(pair("request_server_seconds_bucket", &[("le", bound)]));
        }
    }
    all
}

async fn service_map(dir: &Path, now: u64) -> Result<()> {
    let all = edges();
    let program = Program::start(dir, &dir.join("none/*.log")).await?;
    let mut sender = Sender::to(&program);
    sender.rounds(&all, 0..HOUR, now - HOUR * INTERVAL, counter).await?;
    let rate = |metric: &str| {
        format!("sum by (client, server) (rate(traces_service_graph_request_{metric}{{}}[3600s]))")
    };
    let group =
        "group by (client, connection_type, server) (traces_service_graph_request_total{})".to_owned();
    let queries = [
        rate("total"),
        rate("failed_total"),
        rate("server_seconds_sum"),
        rate("server_seconds_bucket"),
        group,
    ];
    println!("\nservice map ({} series, an hour of samples, in memory, then sealed)", all.len());
    asked(&program, &queries, now).await?;
    program.stop().await?;
    {
        let store = Store::open(StoreOptions::new(dir))?;
        store.seal()?;
    }
    let program = Program::start(dir, &dir.join("none/*.log")).await?;
    asked(&program, &queries, now).await?;
    program.stop().await
}

/// All queries one after the other, as one panel asks them.
async fn asked(program: &Program, queries: &[String], now: u64) -> Result<()> {
    let client = reqwest::Client::new();
    let url = format!("http://{}/prometheus/api/v1/query", program.main);
    let (mut each, before) = (Vec::new(), program.cpu_seconds()?);
    for _ in 0..ASKED {
        for query in queries {
            let begun = Instant::now();
            let form = [("query", query.as_str()), ("time", &format!("{:.3}", now as f64 / 1e3))];
            let answer = body(client.post(&url).form(&form).send().await?).await?;
            each.push(begun.elapsed().as_secs_f64() * 1e3);
            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
            let count = answer["data"]["result"].as_array().map_or(0, Vec::len);
            ensure!(count == 72, "{query}: {count} edges, {answer}");
        }
    }
    let cpu = (program.cpu_seconds()? - before) * 1e3 / each.len() as f64;
    each.sort_by(f64::total_cmp);
    let at = |share: f64| each.get((each.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    println!("  query           p50 {:.2} ms, p99 {:.2} ms, CPU {cpu:.2} ms", at(0.5), at(0.99));
    Ok(())
}

async fn crowd(dir: &Path, many: usize, rounds: u64, now: u64) -> Result<()> {
    let all: Vec<Labels> = (0..many).map(|number| labels("crowd", number)).collect();
    let mut program = Program::start(dir, &dir.join("none/*.log")).await?;
    let mut sender = Sender::to(&program);
    let before = program.cpu_seconds()?;
    println!("\nmany series ({many} series, {rounds} samples each)");
    for round in 0..rounds {
        sender.rounds(&all, round..round + 1, now - rounds * INTERVAL, counter).await?;
        println!(
            "  round {round}         {} MB resident, {:.2} s of CPU",
            resident_memory(program.id()?)? / 1_000_000,
            program.cpu_seconds()? - before
        );
    }
    program.wait_for_records("metrics", sender.sent, LIMIT).await?;
    let cpu = program.cpu_seconds()? - before;
    println!("  CPU             {cpu:.2} s = {:.0} samples a CPU-second", sender.sent as f64 / cpu);
    println!("  resident        {} MB at most", program.peak_memory()? / 1_000_000);
    program.kill().await?;
    let begun = Instant::now();
    let program = Program::start(dir, &dir.join("none/*.log")).await?;
    let (wall, resident) = (begun.elapsed().as_secs_f64(), resident_memory(program.id()?)?);
    let cpu = program.cpu_seconds()?;
    println!(
        "  after kill -9   open in {wall:.2} s, {cpu:.2} s of CPU, {} MB resident",
        resident / 1_000_000
    );
    program.stop().await
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
