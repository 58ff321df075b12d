//! The real program as a child process: started on free ports, watched from outside, killed or stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dashboards::metric_names::MetricName;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::until;

/// How long the program may take to say that it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read at most.
const MAX_ANSWER: usize = 256 << 20;
/// The program's own default.
const DEFAULT_HEAD: u64 = 32 << 20;
/// A program that used less CPU than this in [`QUIET`] has nothing left to do.
const IDLE: f64 = 0.05;
/// Longer than any background work waits for its turn.
const QUIET: Duration = Duration::from_secs(12);
/// Linux counts process times in hundredths of a second on every architecture that we run on.
const TICKS_A_SECOND: f64 = 100.0;
/// What Elastic APM's agents have to show.
pub const SECRET_TOKEN: &str = "reporters-secret";
/// Every receiver, on ports that the system chooses.
const RECEIVE: &str = "{otlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}, zipkin: {http: '127.0.0.1:0'}, \
                       jaeger: {http: '127.0.0.1:0', grpc: '127.0.0.1:0', udp_compact: '127.0.0.1:0', \
                       udp_binary: '127.0.0.1:0', sampling: '127.0.0.1:0'}, \
                       elastic_apm: {http: '127.0.0.1:0', secret_token: 'reporters-secret', \
                       agents: [{service: reporter, settings: {transaction_max_spans: 77}}]}}";

/// A running `trefoil serve`.
#[derive(Debug)]
pub struct Program {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    /// Main listener.
    pub main: SocketAddr,
    /// OTLP gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP HTTP.
    pub otlp_http: SocketAddr,
    /// Other protocols, by the names under which the program says where it receives them.
    pub receivers: BTreeMap<String, SocketAddr>,
}

/// The program beside the running executable: `cargo` puts tests in `deps/`, programs one above.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors().skip(1).take(2).map(|folder| folder.join("trefoil")).find(|path| path.is_file()).context(
        "no `trefoil` beside this executable: build it first, in the same profile (cargo build -p gateway)",
    )
}

impl Program {
    /// Starts it on a data directory and a glob of log files, with all ports chosen by the system.
    pub async fn start(data: &Path, logs: &Path) -> Result<Self> {
        Self::start_with(data, logs, DEFAULT_HEAD).await
    }

    /// As [`Program::start`], with another size at which the store seals.
    pub async fn start_with(data: &Path, logs: &Path, head_bytes: u64) -> Result<Self> {
        let more = format!("store: {{dir: '{}', head_bytes: {head_bytes}}}\n", data.display());
        Self::start_configured(data, logs, &more).await
    }

    /// As [`Program::start`], with further sections of the configuration; `store` must be one of them.
    pub async fn start_configured(data: &Path, logs: &Path, sections: &str) -> Result<Self> {
        Self::start_collecting(data, &format!("files: [{{path: '{}'}}]", logs.display()), sections).await
    }

    /// As [`Program::start_configured`], with more that `server` says.
    pub async fn start_reached(data: &Path, logs: &Path, sections: &str, server: &str) -> Result<Self> {
        Self::start_all(data, &format!("files: [{{path: '{}'}}]", logs.display()), sections, server).await
    }

    /// As [`Program::start_configured`], with what `collect` says in place of files.
    pub async fn start_collecting(data: &Path, collect: &str, sections: &str) -> Result<Self> {
        Self::start_all(data, collect, sections, "").await
    }

    async fn start_all(data: &Path, collect: &str, sections: &str, server: &str) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let config = data.with_extension("yaml");
        std::fs::write(
            &config,
            format!(
                "server: {{listen: '127.0.0.1:0', {server}}}\ncollect: {{{collect}}}\n\
                 receive: {RECEIVE}\n{sections}"
            ),
        )?;
        let mut child = Command::new(binary()?)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let (mut said, mut receivers) = (Vec::new(), BTreeMap::new());
        let addresses = tokio::time::timeout(START_LIMIT, async {
            while let Some(line) = lines.next_line().await? {
                receivers.extend(receiver(&line));
                let addresses = addresses(&line);
                said.push(line);
                if let [main, otlp_grpc, otlp_http] = addresses[..] {
                    return Ok((main, otlp_grpc, otlp_http));
                }
            }
            bail!("the program ended; it said:\n{}", said.join("\n"))
        })
        .await
        .context("the program did not say where it listens")??;
        // What it says later must be read, or it would block on a full pipe.
        let said = Arc::new(Mutex::new(said));
        let hearing = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("trefoil: {line}");
                hearing.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let (main, otlp_grpc, otlp_http) = addresses;
        Ok(Self { child, said, main, otlp_grpc, otlp_http, receivers })
    }

    /// Waits until it has said these words, and gives that line.
    pub async fn has_said(&self, words: &str) -> Result<String> {
        until(words, START_LIMIT, || async {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.iter().find(|line| line.contains(words)).cloned().context("it was not said")
        })
        .await
    }

    /// Its process.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the program has ended")
    }

    /// CPU time that it has used, user and system.
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id().context("the program has ended")?)
    }

    /// CPU time that it has used once it has nothing left to do: everything sealed and merged, decided and swept.
    pub async fn cpu_seconds_until_idle(&self) -> Result<f64> {
        let mut all = self.cpu_seconds()?;
        let mut looks = tokio::time::interval(QUIET);
        // The first is at once.
        looks.tick().await;
        loop {
            looks.tick().await;
            let now = self.cpu_seconds()?;
            if now - all < IDLE {
                return Ok(now);
            }
            all = now;
        }
    }

    /// Peak resident memory in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        peak_memory(self.child.id().context("the program has ended")?)
    }

    /// Waits until this many records of a signal are stored, as its own metrics say.
    pub async fn wait_for_records(&mut self, signal: &str, expected: u64, limit: Duration) -> Result<()> {
        let url = format!("http://{}/metrics?spans=false", self.main);
        let series = format!("{}{{", MetricName::StoreRecords.series());
        let wanted = format!("signal=\"{signal}\"");
        let (url, series, wanted) = (url.as_str(), series.as_str(), wanted.as_str());
        let stored = until(&format!("{expected} stored {signal}"), limit, || async move {
            let text = String::from_utf8(body(reqwest::get(url).await?).await?)?;
            let stored: f64 = text
                .lines()
                .filter(|line| line.starts_with(series) && line.contains(wanted))
                .filter_map(|line| line.split("} ").nth(1)?.split_whitespace().next()?.parse::<f64>().ok())
                .sum();
            ensure!(stored as u64 >= expected, "only {stored} are stored");
            Ok(stored as u64)
        })
        .await?;
        ensure!(stored == expected, "{stored} {signal} are stored, {expected} were sent");
        Ok(())
    }

    /// The value of one series of its own metrics, named with its labels.
    pub async fn count(&self, series: &str) -> Result<f64> {
        let text = reqwest::get(format!("http://{}/metrics", self.main)).await?;
        let text = String::from_utf8(body(text).await?)?;
        let value =
            text.lines().find_map(|line| line.strip_prefix(series)?.split_whitespace().next()?.parse().ok());
        value.with_context(|| format!("no {series} in {text}"))
    }

    /// SIGKILL: no chance to tidy up.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the program has ended")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(id)?).context("no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status =
            tokio::time::timeout(START_LIMIT, self.child.wait()).await.context("it did not stop")??;
        ensure!(status.success(), "the program ended with {status}");
        Ok(())
    }
}

/// The protocol and the address in a line that says where one is received.
fn receiver(line: &str) -> Option<(String, SocketAddr)> {
    let (protocol, address) = line.split_once("receiving ")?.1.split_once(" on ")?;
    Some((protocol.to_owned(), address.trim().parse().ok()?))
}

/// The addresses in the line that says where the program listens.
fn addresses(line: &str) -> Vec<SocketAddr> {
    if !line.contains("listening on") {
        return Vec::new();
    }
    line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect()
}

/// User and system time of a process so far.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields.get(11).context("no utime")?.parse::<f64>()?
        + fields.get(12).context("no stime")?.parse::<f64>()?;
    Ok(ticks / TICKS_A_SECOND)
}

/// Peak resident memory of a process in bytes.
pub fn peak_memory(process: u32) -> Result<u64> {
    memory(process, "VmHWM:")
}

/// Resident memory of a process in bytes, now.
pub fn resident_memory(process: u32) -> Result<u64> {
    memory(process, "VmRSS:")
}

fn memory(process: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kilobytes * 1024)
}

/// `zstd -1` over the same bytes, what figures are measured against.
#[derive(Debug, Clone, Copy)]
pub struct Yardstick {
    /// Its CPU time.
    pub seconds: f64,
    /// Compressed bytes per raw byte.
    pub ratio: f64,
}

/// Compresses all container files below a folder in one buffer.
pub fn yardstick(pods: &Path) -> Result<Yardstick> {
    let mut all = Vec::new();
    for pod in std::fs::read_dir(pods)? {
        for container in std::fs::read_dir(pod?.path())? {
            for file in std::fs::read_dir(container?.path())? {
                all.extend(std::fs::read(file?.path())?);
            }
        }
    }
    let before = cpu_seconds(std::process::id())?;
    let compressed = zstd::bulk::compress(&all, 1)?;
    let spent = cpu_seconds(std::process::id())? - before;
    Ok(Yardstick { seconds: spent, ratio: compressed.len() as f64 / all.len() as f64 })
}

/// The body of an answer, up to a bound.
pub async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ensure!(bytes.len() + chunk.len() <= MAX_ANSWER, "an answer is over {MAX_ANSWER} bytes");
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
