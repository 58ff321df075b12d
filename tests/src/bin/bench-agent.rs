//! What `trefoil agent` costs: runs the real program against a Loki that takes everything, and prints figures next to a
//! yardstick of the same run.
//!
//! `cargo run --release -p tests --bin bench-agent [-- LINES]` (1,000,000 unless given). The program is watched from outside: CPU
//! time and memory are the kernel's accounting of its process. The yardstick Y is the CPU time of `zstd -1` over all
//! lines in one buffer, so that figures of two machines compare.
#![allow(clippy::print_stdout, reason = "a program whose product is a table")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tests::corpus;
use tests::harness::{Process, until};
use tests::node::{Containers, LokiSink};
use tests::program::{Program, binary, cpu_seconds, peak_memory, resident_memory, yardstick};
use tokio::time::{MissedTickBehavior, interval};

/// How long a stage may take before the run is given up.
const STAGE_LIMIT: Duration = Duration::from_mins(10);
/// How long the steady loads are watched.
const WATCH: Duration = Duration::from_secs(30);
/// Lines a second of the steady load, and how often some of them are written.
const STEADY: u64 = 10_000;
const TICK: Duration = Duration::from_millis(100);

/// Starts an agent on the folder's pods.
fn start(folder: &Path, ship: &str) -> Result<Process> {
    std::fs::create_dir_all(folder.join("pods"))?;
    let config = folder.join("agent.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:0'}}\n\
         collect: {{files: [{{path: '{0}/pods/*/*/*.log'}}], positions_dir: '{0}/positions', node: bench}}\n\
         ship: {ship}\n",
        folder.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(&config);
    Process::start("trefoil agent", &mut command, &folder.join("agent.out"))
}

/// An agent that pushes to a Loki.
struct Agent {
    process: Process,
    sink: LokiSink,
}

impl Agent {
    async fn start(folder: &Path) -> Result<Self> {
        let sink = LokiSink::start().await?;
        let ship = format!("{{loki: {{url: 'http://{}/loki/api/v1/push'}}}}", sink.address);
        let process = start(folder, &ship)?;
        Ok(Self { process, sink })
    }

    async fn wait_for(&mut self, entries: u64) -> Result<()> {
        let Self { process, sink } = self;
        let sink = &*sink;
        until(&format!("{entries} entries"), STAGE_LIMIT, || {
            let running = process.ensure_running();
            async move {
                running?;
                ensure!(sink.entries() >= entries, "{} came", sink.entries());
                Ok(())
            }
        })
        .await?;
        ensure!(sink.entries() == entries, "{} came, {entries} were written", sink.entries());
        Ok(())
    }

    /// CPU seconds used while a load runs, as a share of one core.
    async fn share(&mut self, mut load: impl FnMut() -> Result<()>) -> Result<f64> {
        let (started, before) = (Instant::now(), cpu_seconds(self.process.id())?);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while started.elapsed() < WATCH {
            ticks.tick().await;
            load()?;
        }
        self.process.ensure_running()?;
        Ok((cpu_seconds(self.process.id())? - before) / started.elapsed().as_secs_f64())
    }
}

fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let lines: u64 =
        std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse()).context("LINES is a number")?;
    // Another installation would only say that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir()?;
    full_speed(&dir.path().join("full"), lines).await?;
    to_a_trefoil(&dir.path().join("trefoil"), lines).await?;
    steady(&dir.path().join("steady")).await?;
    many_files(&dir.path().join("idle"), 5000, 0).await?;
    many_files(&dir.path().join("slow"), 1000, 1).await
}

async fn full_speed(folder: &Path, lines: u64) -> Result<()> {
    let pods: PathBuf = folder.join("pods");
    let manifest = corpus::write_logs(&pods, lines, now()? - 3_600_000_000_000)?;
    let yardstick = yardstick(&pods)?.seconds;
    println!("yardstick Y: {yardstick:.2} s of CPU, zstd -1 over {} MB of lines", manifest.bytes / 1_000_000);
    let mut agent = Agent::start(folder).await?;
    let started = Instant::now();
    agent.wait_for(manifest.records).await?;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(agent.process.id())?);
    let sink = &agent.sink;
    ensure!(sink.traced() == manifest.traced_records, "{} entries have a trace id", sink.traced());
    println!("\nfiles to Loki push ({} lines, {} files)", manifest.lines, manifest.files);
    println!(
        "  CPU             {cpu:.2} s = {:.2} Y, {:.0} lines a CPU-second",
        cpu / yardstick,
        manifest.lines as f64 / cpu
    );
    println!("  wall            {wall:.2} s");
    println!("  resident        {} MB at most", peak_memory(agent.process.id())? / 1_000_000);
    println!("  on the wire     {:.3} of the raw bytes", sink.wire_bytes() as f64 / manifest.bytes as f64);
    println!("  every record came once, {} with a trace id", sink.traced());
    Ok(())
}

/// The same to a gateway, with what that one needs to take and store the lines.
async fn to_a_trefoil(folder: &Path, lines: u64) -> Result<()> {
    let pods: PathBuf = folder.join("pods");
    let manifest = corpus::write_logs(&pods, lines, now()? - 3_600_000_000_000)?;
    let yardstick = yardstick(&pods)?.seconds;
    let mut gateway = Program::start(&folder.join("data"), &folder.join("none/*.log")).await?;
    let agent = start(folder, &format!("{{trefoil: {{url: 'http://{}'}}}}", gateway.main))?;
    gateway.wait_for_records("logs", manifest.records, STAGE_LIMIT).await?;
    let (sent, stored) = (cpu_seconds(agent.id())?, gateway.cpu_seconds()?);
    println!("\nfiles to a gateway of our own, which stores them (Y {yardstick:.2} s)");
    println!("  CPU of the agent    {sent:.2} s = {:.2} Y", sent / yardstick);
    println!("  CPU of the gateway  {stored:.2} s = {:.2} Y", stored / yardstick);
    println!("  resident            {} MB at most, the agent", peak_memory(agent.id())? / 1_000_000);
    gateway.stop().await
}

async fn steady(folder: &Path) -> Result<()> {
    let mut agent = Agent::start(folder).await?;
    let mut containers = Containers::create(&folder.join("pods"), 24, now()?)?;
    let share = agent
        .share(|| {
            let each = STEADY / 10 / containers.0.len() as u64;
            containers.0.iter_mut().try_for_each(|c| c.write(each))
        })
        .await?;
    agent.wait_for(containers.lines()).await?;
    println!("\n{} lines a second in 24 files", containers.lines() / WATCH.as_secs());
    println!("  CPU             {share:.4} of a core");
    println!("  resident        {} MB", resident_memory(agent.process.id())? / 1_000_000);
    Ok(())
}

async fn many_files(folder: &Path, count: usize, lines_a_second: u64) -> Result<()> {
    let mut agent = Agent::start(folder).await?;
    let mut containers = Containers::create(&folder.join("pods"), count, now()?)?;
    containers.0.iter_mut().try_for_each(|c| c.write(1))?;
    agent.wait_for(containers.lines()).await?;
    let mut next = 0;
    let a_tick = count / 10;
    let share = agent
        .share(|| {
            for _ in 0..a_tick as u64 * lines_a_second {
                containers.0[next].write(1)?;
                next = (next + 1) % count;
            }
            Ok(())
        })
        .await?;
    agent.wait_for(containers.lines()).await?;
    println!("\n{count} files, each with {lines_a_second} lines a second");
    println!("  CPU             {share:.4} of a core");
    println!("  resident        {} MB", resident_memory(agent.process.id())? / 1_000_000);
    Ok(())
}
