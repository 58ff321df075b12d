//! What answers cost: fills the real program with a generated corpus and asks it as Grafana's data sources do, next to a yardstick
//! of the same run.
//!
//! `cargo run --release -p tests --bin bench-answer [-- LINES SPANS [PART]]` (1,000,000 and 400,000 unless given, and all parts: `by_id`,
//! `logs`, `traces`, `joins`, `analyses`, `names`). One client; latencies are its own, until the body is there, which is checked
//! afterwards; CPU time is the kernel's accounting of the program (of a latency: by request, with what the program does beside). The
//! yardstick Y is the CPU time of `zstd -1` over all lines.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::corpus;
use tests::program::{Program, yardstick};

/// Where the corpus begins in time: an hour ago, so that retention keeps it.
const AGE: Duration = Duration::from_hours(1);
/// How long filling may take before the run is given up.
const FILL_LIMIT: Duration = Duration::from_mins(10);
/// Requests of a kind whose p50 and p99 are told.
const MANY: usize = 1000;
/// Requests of a kind that reads everything.
const FEW: usize = 5;
/// The head of a log query's window, s.
const WINDOW: u64 = 7200;

/// What a line in each file says, and no other.
const RARE: &str = "hovercraft";

/// Puts a line with the rare word into each file, each time further down. How many there are.
fn plant(pods: &Path) -> Result<u64> {
    let mut files = Vec::new();
    for pod in std::fs::read_dir(pods)? {
        for container in std::fs::read_dir(pod?.path())? {
            files.push(container?.path().join("0.log"));
        }
    }
    files.sort();
    for (number, file) in files.iter().enumerate() {
        let mut text = std::fs::read_to_string(file)?;
        let at = text.len() / files.len() * number;
        // Behind the line there, which must be whole, so that no part of a split one comes apart.
        let whole = text.get(at..).and_then(|rest| rest.find(" F ")).map_or(0, |whole| at + whole);
        let end = text.get(whole..).and_then(|rest| rest.find('\n')).map_or(0, |end| whole + end + 1);
        let line = text[..end].lines().next_back().context("an empty file")?;
        let (time, _) = line.split_once(' ').context("no CRI line")?;
        let planted = format!("{time} stdout F order placed with a {RARE} full of eels, number {number}\n");
        text.insert_str(end, &planted);
        std::fs::write(file, text)?;
    }
    Ok(files.len() as u64)
}

/// What a LogQL query found.
fn result(body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice::<Value>(body)?["data"]["result"].take())
}

struct Bench {
    program: Program,
    client: reqwest::Client,
    yardstick: f64,
    /// Lines with the rare word.
    planted: u64,
    /// Seconds: the corpus lies between them.
    window: (u64, u64),
}

// One client waits for one answer at a time: a thread for each processor would only take them from the program.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // The client's TLS provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let lines: u64 = arguments.next().map_or(Ok(1_000_000), |n| n.parse()).context("LINES is a number")?;
    let spans: u64 = arguments.next().map_or(Ok(400_000), |n| n.parse()).context("SPANS is a number")?;
    let part = arguments.next();
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let dir = tempfile::tempdir()?;
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos())?;
    let start = now - u64::try_from(AGE.as_nanos())?;

    let mut logs = corpus::write_logs(&dir.path().join("pods"), lines, start)?;
    let planted = plant(&dir.path().join("pods"))?;
    logs.records += planted;
    let yardstick = yardstick(&dir.path().join("pods"))?.seconds;
    println!("{} lines, {spans} spans; Y: {yardstick:.2} s of CPU, zstd -1 over the lines", logs.records);
    let program = fill(dir.path(), &logs, spans, start).await?;
    let window = (start / 1_000_000_000 - 60, start / 1_000_000_000 + WINDOW);
    let bench = Bench { program, client: reqwest::Client::new(), yardstick, planted, window };
    let traces = corpus::span_bodies(spans, start).1.sample;
    if wanted("by_id") {
        bench.by_id(&logs.sample, "").await?;
    }
    if wanted("logs") {
        bench.logs().await?;
    }
    if wanted("traces") {
        bench.traces(&traces).await?;
    }
    if wanted("joins") {
        bench.joins(start).await?;
    }
    if wanted("analyses") {
        bench.analyses().await?;
    }
    if wanted("names") {
        bench.names().await?;
    }
    if wanted("by_id") {
        // What came in has been merged by now.
        bench.by_id(&logs.sample, ", later").await?;
    }
    println!("resident        {} MB at most", bench.program.peak_memory()? / 1_000_000);
    bench.program.stop().await
}

/// Stores the corpus: lines as a tailer finds them, spans as an SDK sends them.
async fn fill(dir: &Path, logs: &corpus::Manifest, spans: u64, start: u64) -> Result<Program> {
    let mut program = Program::start(&dir.join("data"), &dir.join("pods/*/*/*.log")).await?;
    let client = reqwest::Client::new();
    let (bodies, manifest) = corpus::span_bodies(spans, start);
    for body in bodies {
        loop {
            let request = client.post(format!("http://{}/v1/traces", program.otlp_http));
            let request = request.header("content-type", "application/x-protobuf").body(body.clone());
            let answer = request.send().await?;
            if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                ensure!(answer.status().is_success(), "a body was answered {}", answer.status());
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    program.wait_for_records("logs", logs.records, FILL_LIMIT).await?;
    program.wait_for_records("traces", manifest.spans, FILL_LIMIT).await?;
    Ok(program)
}

impl Bench {
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>> {
        let url = format!("http://{}{path}", self.program.main);
        let answer = self.client.get(&url).query(query).send().await?;
        let status = answer.status();
        let body = tests::program::body(answer).await?;
        let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        ensure!(status.is_success(), "{path} with {query:?} was answered {status}: {said}");
        Ok(body)
    }

    /// A LogQL range query over all; the body of its answer.
    async fn logql_body(&self, query: &str, limit: &str) -> Result<Vec<u8>> {
        let (start, end) = (format!("{}", self.window.0), format!("{}", self.window.1));
        let parameters =
            [("query", query), ("start", &start), ("end", &end), ("limit", limit), ("step", "60")];
        self.get("/loki/api/v1/query_range", &parameters).await
    }

    /// The same; the result.
    async fn logql(&self, query: &str, limit: &str) -> Result<Value> {
        result(&self.logql_body(query, limit).await?)
    }

    /// Tells p50 and p99 of the requests that `ask` makes, whose bodies `check` looks at.
    async fn latencies<A, F>(
        &self,
        what: &str,
        budget: &str,
        count: usize,
        ask: A,
        check: impl Fn(usize, &[u8]) -> Result<()>,
    ) -> Result<()>
    where
        A: Fn(usize) -> F,
        F: Future<Output = Result<Vec<u8>>>,
    {
        let mut latencies = Vec::with_capacity(count);
        let before = self.program.cpu_seconds()?;
        for number in 0..count {
            let started = Instant::now();
            let body = ask(number).await.with_context(|| what.to_owned())?;
            latencies.push(started.elapsed().as_secs_f64() * 1e3);
            check(number, &body).with_context(|| what.to_owned())?;
        }
        let cpu = (self.program.cpu_seconds()? - before) * 1e3 / count.max(1) as f64;
        latencies.sort_by(f64::total_cmp);
        let at = |share: usize| latencies.get(count * share / 100).copied().unwrap_or_default();
        let (half, most) = (at(50), at(99));
        println!(
            "{what:<58} p50 {half:>8.2} ms  p99 {most:>8.2} ms  {cpu:>6.2} ms of CPU  (budget {budget})"
        );
        Ok(())
    }

    /// Tells the CPU time of one request of those that `ask` makes.
    async fn cost<A, F>(&self, what: &str, budget: &str, ask: A) -> Result<()>
    where
        A: Fn() -> F,
        F: Future<Output = Result<()>>,
    {
        let (before, started) = (self.program.cpu_seconds()?, Instant::now());
        for _ in 0..FEW {
            ask().await.with_context(|| what.to_owned())?;
        }
        let cpu = (self.program.cpu_seconds()? - before) / FEW as f64;
        let wall = started.elapsed().as_secs_f64() * 1e3 / FEW as f64;
        println!("{what:<58} {cpu:.3} s = {:.2} Y, {wall:.0} ms  (budget {budget})", cpu / self.yardstick);
        Ok(())
    }

    /// Lines by the id of their trace. `when` goes with what is told.
    async fn by_id(&self, sample: &[(String, u64)], when: &str) -> Result<()> {
        let forms = [
            ("LogQL line filter by trace id", r#"{namespace=~".+"} |= "ID""#),
            ("LogQL metadata filter by trace id", r#"{namespace=~".+"} | trace_id="ID""#),
        ];
        for (what, form) in forms {
            let of = |number: usize| sample.get(number % sample.len().max(1)).context("no id");
            let ask =
                async |number: usize| self.logql_body(&form.replace("ID", &of(number)?.0), "1000").await;
            let check = |number: usize, body: &[u8]| {
                let (id, records) = of(number)?;
                let result = result(body)?;
                let streams = result.as_array().context("no result")?;
                let lines: usize =
                    streams.iter().filter_map(|stream| stream["values"].as_array()).map(Vec::len).sum();
                // Some shapes of line spell the id otherwise, which only metadata overcomes.
                let whole = form.contains("|=") || lines as u64 == *records;
                ensure!(whole, "{lines} lines of {id}, written were {records}");
                Ok(())
            };
            self.latencies(&format!("{what}{when}"), "p99 2 ms", MANY, ask, check).await?;
        }
        Ok(())
    }

    async fn logs(&self) -> Result<()> {
        let absent = async || {
            let result = self.logql(r#"{namespace="shop"} |= "zeppelin""#, "100").await?;
            ensure!(result.as_array().is_some_and(Vec::is_empty), "{result}");
            Ok(())
        };
        self.cost(r#"{namespace="shop"} |= "absent word""#, "0.3 Y", absent).await?;
        let rare = async || {
            let result = self.logql(&format!(r#"{{namespace="shop"}} |= "{RARE}""#), "100").await?;
            let streams = result.as_array().context("no result")?;
            let lines: usize =
                streams.iter().filter_map(|stream| stream["values"].as_array()).map(Vec::len).sum();
            ensure!(lines as u64 == self.planted, "{lines} lines, planted were {}", self.planted);
            Ok(())
        };
        self.cost(r#"{namespace="shop"} |= "rare word", in 24 lines"#, "0.3 Y", rare).await?;
        // Nothing tells where so short a word may be: what reading all lines takes.
        let short = async || {
            let result = self.logql(r#"{namespace="shop"} |= "qqq""#, "100").await?;
            ensure!(result.as_array().is_some_and(Vec::is_empty), "{result}");
            Ok(())
        };
        self.cost(r#"{namespace="shop"} |= "qqq", too short for an index"#, "none", short).await?;
        let counted = async || {
            // Most lines are no JSON, and a metric over lines with errors is refused.
            let query = r#"sum by (level) (count_over_time({namespace="shop"} | json | __error__="" [1m]))"#;
            let result = self.logql(query, "100").await?;
            ensure!(result.as_array().is_some_and(|series| series.len() > 1), "{result}");
            Ok(())
        };
        self.cost("sum by (level) (count_over_time({..} | json | __error__=\"\" [1m]))", "1.5 Y", counted)
            .await
    }

    async fn traces(&self, sample: &[String]) -> Result<()> {
        let by_id = async |number: usize| {
            let id = sample.get(number % sample.len().max(1)).context("no trace")?;
            self.get(&format!("/tempo/api/v2/traces/{id}"), &[]).await
        };
        let is_trace = |_, body: &[u8]| {
            ensure!(body.len() > 100, "{} bytes", body.len());
            Ok(())
        };
        self.latencies("Tempo trace by id", "p99 2 ms", MANY, by_id, is_trace).await?;
        let (start, end) = (self.window.0.to_string(), self.window.1.to_string());
        let queries = [
            ("{ span.http.response.status_code = 500 }", true),
            ("{ span.user.id = \"u-77\" }", true),
            ("{ span.user.id = \"nobody\" }", false),
            ("{ resource.service.name = \"payment\" && duration > 1h }", false),
        ];
        for (query, found) in queries {
            let search = async |_| {
                let parameters = [("q", query), ("start", &start), ("end", &end), ("limit", "20")];
                self.get("/tempo/api/search", &parameters).await
            };
            let check = |_, body: &[u8]| {
                let answer: Value = serde_json::from_slice(body)?;
                ensure!(answer["traces"].as_array().is_some_and(|t| t.is_empty() != found), "{answer}");
                Ok(())
            };
            self.latencies(&format!("TraceQL {query}"), "150 ms", FEW, search, check).await?;
        }
        Ok(())
    }

    /// Requests whose lines lie among the others: the look-up joins those without an id, too.
    async fn joins(&self, start: u64) -> Result<()> {
        let joined = corpus::joined(MANY, start + 1_000_000_000);
        let exports =
            joined.exports.into_iter().flat_map(|(spans, logs)| [("traces", spans), ("logs", logs)]);
        for (path, body) in exports {
            let request = self.client.post(format!("http://{}/v1/{path}", self.program.otlp_http));
            let answer = request.header("content-type", "application/x-protobuf").body(body).send().await?;
            ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        }
        let look_up = async |number: usize| {
            let id = joined.traces.get(number).context("no trace")?;
            self.get(&format!("/api/v1/traces/{id}"), &[]).await
        };
        let check = |_, body: &[u8]| {
            let answer: Value = serde_json::from_slice(body)?;
            let count = |key: &str| answer[key].as_array().map_or(0, Vec::len);
            ensure!(count("spans") == corpus::SPANS_PER_REQUEST, "{answer}");
            ensure!(count("logs") == corpus::LINES_PER_REQUEST, "{answer}");
            Ok(())
        };
        let what = "look-up: 8 spans, 20 lines, 10 of them without id";
        self.latencies(what, "p99 5 ms", MANY, look_up, check).await?;
        self.program.cpu_seconds_until_idle().await?;
        self.latencies(&format!("{what}, later"), "p99 5 ms", MANY, look_up, check).await?;
        // What the machine and HTTP take.
        let nothing = async |_| self.get("/healthz", &[]).await;
        self.latencies("a request for nothing", "none", MANY, nothing, |_, _| Ok(())).await
    }

    /// Questions over all spans, or all lines.
    async fn analyses(&self) -> Result<()> {
        let (start, end) = (self.window.0.to_string(), self.window.1.to_string());
        for (path, budget) in [
            ("/api/v1/service-graph", "100 ms"),
            ("/api/v1/analysis/variance?service=frontend", "1 s"),
            ("/api/v1/patterns", "1 s"),
            ("/api/v1/patterns?service=frontend", "1 s"),
        ] {
            let ask = async || self.get(path, &[("start", &start), ("end", &end)]).await.map(|_| ());
            self.cost(path, budget, ask).await?;
        }
        Ok(())
    }

    async fn names(&self) -> Result<()> {
        let (start, end) = (self.window.0.to_string(), self.window.1.to_string());
        let paths = [
            "/loki/api/v1/labels",
            "/loki/api/v1/label/service_name/values",
            "/tempo/api/v2/search/tags",
            "/tempo/api/v2/search/tag/resource.service.name/values",
            "/jaeger/api/services",
            "/zipkin/api/v2/services",
        ];
        for path in paths {
            let ask = async |_| self.get(path, &[("start", &start), ("end", &end)]).await;
            self.latencies(path, "p99 5 ms", MANY, ask, |_, _| Ok(())).await?;
        }
        Ok(())
    }
}
