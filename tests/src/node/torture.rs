//! The worst day of an agent: containers that are rotated while it is behind, kills, and a network that fails. At the end,
//! each line must be in the gateway once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::interval;

use super::{Container, Containers, Faulty};
use crate::corpus::Dice;
use crate::harness::{Http, Process, until};
use crate::program::{Program, binary};

/// How long the agent may take to catch up once all is well again.
const CATCH_UP: Duration = Duration::from_mins(5);
/// Between two rounds of writing.
const ROUND: Duration = Duration::from_millis(50);
/// Lines of an answer of the gateway.
const PAGE: usize = 5000;

/// How bad it gets.
#[derive(Debug, Clone, Copy)]
pub struct Torture {
    /// Containers that write.
    pub containers: usize,
    /// Rounds of writing.
    pub rounds: u64,
    /// Lines that a container writes at most in a round.
    pub lines_a_round: u64,
    /// Bytes at which a file is rotated.
    pub rotate_at: u64,
    /// Kills of the agent, spread over the rounds.
    pub kills: u64,
    /// What else is decided by chance.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Lines written.
    pub written: u64,
    /// Files rotated.
    pub rotations: u64,
    /// Connections that something befell.
    pub faults: u64,
    /// Kills.
    pub kills: u64,
    /// Lines that did not come.
    pub lost: u64,
    /// Lines that came more than once.
    pub doubled: u64,
    /// Lines that came before one that was written earlier.
    pub out_of_order: u64,
}

struct Agent {
    folder: PathBuf,
    running: Option<Process>,
}

impl Agent {
    fn start(&mut self) -> Result<()> {
        let mut command = Command::new(binary()?);
        command.arg("agent").arg("--config").arg(self.folder.join("agent.yaml"));
        self.running = Some(Process::start("trefoil agent", &mut command, &self.folder.join("agent.out"))?);
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.running.take().context("it runs")?.kill()
    }
}

impl Torture {
    /// Runs it in a folder.
    pub async fn run(self, folder: &Path) -> Result<Outcome> {
        let gateway = Program::start(&folder.join("data"), &folder.join("none/*.log")).await?;
        let proxy = Faulty::start(gateway.main, self.seed).await?;
        std::fs::create_dir_all(folder.join("pods"))?;
        std::fs::write(
            folder.join("agent.yaml"),
            format!(
                "server: {{listen: '127.0.0.1:0'}}\n\
                 collect: {{files: [{{path: '{0}/pods/*/*/*.log'}}], positions_dir: '{0}/positions', node: torture}}\n\
                 ship: {{trefoil: {{url: 'http://{1}'}}}}\n",
                folder.display(),
                proxy.address
            ),
        )?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let start = u64::try_from(now.as_nanos())? - 3_600_000_000_000;
        let mut containers = Containers::create(&folder.join("pods"), self.containers, start)?;
        let mut agent = Agent { folder: folder.to_owned(), running: None };
        agent.start()?;
        let mut dice = Dice::new(self.seed);
        let mut outcome = Outcome::default();
        let mut ticks = interval(ROUND);
        for round in 0..self.rounds {
            ticks.tick().await;
            for container in &mut containers.0 {
                container.write(dice.below(self.lines_a_round + 1))?;
                outcome.rotations += u64::from(container.rotate_at(self.rotate_at)?);
            }
            if (round + 1) * self.kills / self.rounds > outcome.kills {
                agent.kill()?;
                outcome.kills += 1;
                // Some more is written and rotated while nobody looks.
                for container in &mut containers.0 {
                    container.write(dice.below(self.lines_a_round + 1))?;
                    outcome.rotations += u64::from(container.rotate_at(self.rotate_at)?);
                }
                agent.start()?;
            }
        }
        proxy.heal();
        outcome.faults = proxy.faults();
        outcome.written = containers.lines();
        let http = Http::new()?;
        let expected = outcome.written;
        let stats = format!("http://{}/metrics", gateway.main);
        let agent_runs = agent.running.as_mut().context("it runs")?;
        let caught_up = until("all lines", CATCH_UP, || {
            let running = agent_runs.ensure_running();
            let (http, stats) = (&http, stats.as_str());
            async move {
                running?;
                let stored = stored_lines(&http.get(stats).await?.text());
                ensure!(stored >= expected, "{stored} of {expected} lines are stored");
                Ok(())
            }
        })
        .await;
        for container in &containers.0 {
            let numbers = numbers(&http, &gateway, container, start).await?;
            let mut seen = vec![0u32; container.lines as usize + 1];
            let mut highest = 0;
            for number in numbers {
                outcome.out_of_order += u64::from(number < highest);
                highest = highest.max(number);
                if let Some(count) = seen.get_mut(number as usize) {
                    *count += 1;
                }
            }
            outcome.lost += seen.iter().skip(1).filter(|count| **count == 0).count() as u64;
            outcome.doubled += seen.iter().skip(1).filter(|count| **count > 1).count() as u64;
        }
        // What was lost is told before how long it was waited for.
        if outcome.lost == 0 {
            caught_up?;
        }
        ensure!(agent_runs.stop()?.success(), "{}", agent_runs.last_words());
        gateway.stop().await?;
        Ok(outcome)
    }
}

fn stored_lines(metrics: &str) -> u64 {
    let line = metrics.lines().find(|l| l.starts_with("trefoil_store_records{") && l.contains("\"logs\""));
    line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) as u64
}

/// The numbers of a container's lines as the gateway has them, in its order.
async fn numbers(http: &Http, gateway: &Program, container: &Container, start: u64) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut from = start;
    loop {
        let query = format!("%7Bcontainer%3D%22{}%22%7D", container.name);
        let end = start + 2 * 3_600_000_000_000;
        let url = format!(
            "http://{}/loki/api/v1/query_range?query={query}&direction=forward&limit={PAGE}&start={from}&end={end}",
            gateway.main
        );
        let answer = http.get(&url).await?.ok_json()?;
        let mut page: Vec<(u64, u64)> = Vec::new();
        for stream in answer["data"]["result"].as_array().into_iter().flatten() {
            for entry in stream["values"].as_array().into_iter().flatten() {
                let time: u64 = entry[0].as_str().context("a time")?.parse()?;
                let line = entry[1].as_str().context("a line")?;
                let number = line.strip_prefix("n=").and_then(|rest| rest.split(' ').next());
                page.push((time, number.with_context(|| line.to_owned())?.parse()?));
            }
        }
        page.sort_by_key(|(time, _)| *time);
        let Some((last, _)) = page.last() else { return Ok(numbers) };
        from = last + 1;
        numbers.extend(page.iter().map(|(_, number)| *number));
    }
}
