//! A model of what collecting promises, run against the real agent: random sequences of all that happens to log files, to the
//! agent and to the server behind it. Whatever it was, each line comes once and in order, or is counted as lost where the
//! file itself was destroyed before it could be read.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dashboards::metric_names::MetricName;
use rustix::process::{Pid, Signal, kill_process};

use super::scribe::{Findings, OUTPUTS, Scribe, Unseen};
use super::{Failure, Faulty, LokiSink};
use crate::corpus::Dice;
use crate::harness::{Http, Process, free_port, until};
use crate::program::{Program, binary};

/// How long the agent may take for what it has to do, failures of the server included.
const LIMIT: Duration = Duration::from_mins(1);
/// The same for a sequence that is known to fail: the longest waits after failures, some times.
const LIMIT_OF_SHRUNK: Duration = Duration::from_secs(20);
/// Lines that an answer of the gateway has at most; no model writes as many.
const PAGE: u64 = 5000;
const HOUR: u64 = 3_600_000_000_000;

/// Something that happens. A container is meant by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// So many whole lines.
    Lines(usize, u64),
    /// A fragment of a record, of standard error or not; the last or not.
    Fragment(usize, bool, bool),
    /// Half of the bytes of a line.
    HalfLine(usize),
    /// The file is renamed, and another begun.
    Rotate(usize),
    /// All rotated files but the newest are compressed.
    Compress(usize),
    /// The file is copied and made empty.
    CopyTruncate(usize),
    /// The file is made empty once all of it has arrived.
    TruncateRead(usize),
    /// The file is made empty, read or not.
    Truncate(usize),
    /// The file is deleted while the agent has it open.
    DeleteHeld(usize),
    /// The file is deleted, read or not.
    Delete(usize),
    /// Once all has arrived, the agent ends, the file is replaced by another with the same inode, and the agent starts.
    Recreate(usize),
    /// The agent is stopped in its tracks.
    Pause,
    /// The agent goes on, or is started.
    Resume,
    /// `SIGKILL`.
    Kill,
    /// `SIGTERM`.
    Stop,
    /// All has arrived.
    Settle,
    /// The server does this to a request.
    Fail(Failure),
}

/// Where the agent ships to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A Loki. Nothing kills the agent: what Loki has taken when that is not yet noted comes again.
    Loki,
    /// A gateway behind a network that fails.
    Gateway,
}

/// A sequence of deeds.
#[derive(Debug, Clone)]
pub struct CollectModel {
    /// Containers.
    pub containers: usize,
    /// Where to.
    pub target: Target,
    /// What else is decided by chance.
    pub seed: u64,
    /// What happens.
    pub deeds: Vec<Deed>,
    limit: Duration,
}

impl CollectModel {
    /// A sequence that a seed decides.
    pub fn random(target: Target, seed: u64, deeds: usize) -> Self {
        let containers = 2;
        let mut dice = Dice::new(seed);
        let deeds = (0..deeds).map(|_| deed(target, containers, &mut dice)).collect();
        Self { containers, target, seed, deeds, limit: LIMIT }
    }

    /// Runs it in a folder.
    pub async fn run(&self, folder: &Path) -> Result<Findings> {
        let mut node = Node::start(self, folder).await?;
        for deed in &self.deeds {
            node.act(*deed).await.with_context(|| format!("at {deed:?}"))?;
        }
        node.end().await
    }

    /// What is left of it when all is left out without which `run` still finds something.
    pub async fn shrunk(mut self, folder: &Path) -> Self {
        self.limit = LIMIT_OF_SHRUNK;
        let mut at = 0;
        while at < self.deeds.len() {
            let mut fewer = self.clone();
            fewer.deeds.remove(at);
            let run = fewer.run(&folder.join(format!("shrink-{}-{at}", self.deeds.len()))).await;
            match run {
                Ok(findings) if findings.are_none() => at += 1,
                Ok(_) | Err(_) => self = fewer,
            }
        }
        self
    }
}

fn deed(target: Target, containers: usize, dice: &mut Dice) -> Deed {
    let at = dice.below(containers as u64) as usize;
    loop {
        let deed = match dice.below(40) {
            0..=8 => Deed::Lines(at, 1 + dice.below(40)),
            9..=13 => Deed::Fragment(at, dice.chance(500), dice.chance(400)),
            14..=16 => Deed::HalfLine(at),
            17..=21 => Deed::Rotate(at),
            22..=23 => Deed::Compress(at),
            24 => Deed::CopyTruncate(at),
            25 => Deed::TruncateRead(at),
            26 => Deed::Truncate(at),
            27 => Deed::DeleteHeld(at),
            28 => Deed::Delete(at),
            29 => Deed::Recreate(at),
            30 => Deed::Pause,
            31..=33 => Deed::Resume,
            34 => Deed::Kill,
            35 => Deed::Stop,
            36 => Deed::Settle,
            _ => Deed::Fail(*dice.pick(&[
                Failure::Error,
                Failure::Error,
                Failure::TooMany,
                Failure::Reset,
                Failure::Reset,
                Failure::Silence,
            ])),
        };
        match (target, deed) {
            (Target::Loki, Deed::Kill) | (Target::Gateway, Deed::Fail(_)) => {}
            _ => return deed,
        }
    }
}

enum Server {
    Loki(LokiSink),
    Gateway(Box<Program>, Faulty),
}

struct Node {
    folder: PathBuf,
    scribes: Vec<Scribe>,
    server: Server,
    http: Http,
    agent: Option<Process>,
    /// Where the agent listens.
    address: SocketAddr,
    paused: bool,
    /// Whether an agent has told that it lost something.
    told: bool,
    /// Time of the first line.
    start: u64,
    limit: Duration,
}

impl Node {
    async fn start(model: &CollectModel, folder: &Path) -> Result<Self> {
        let pods = folder.join("pods");
        std::fs::create_dir_all(&pods)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let start = u64::try_from(now.as_nanos())? - HOUR;
        let scribes: Result<Vec<_>> =
            (0..model.containers).map(|n| Scribe::create(&pods, &format!("c{n}"), start)).collect();
        let server = match model.target {
            Target::Loki => Server::Loki(LokiSink::start_keeping().await?),
            Target::Gateway => {
                let gateway = Program::start(&folder.join("data"), &folder.join("none/*.log")).await?;
                let proxy = Faulty::start(gateway.main, model.seed).await?;
                Server::Gateway(Box::new(gateway), proxy)
            }
        };
        let ship = match &server {
            Server::Loki(sink) => format!("loki: {{url: 'http://{}', timeout: 5s}}", sink.address),
            Server::Gateway(_, proxy) => format!("trefoil: {{url: 'http://{}', timeout: 5s}}", proxy.address),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        std::fs::write(
            folder.join("agent.yaml"),
            format!(
                "server: {{listen: '{address}'}}\n\
                 collect: {{files: [{{path: '{0}/pods/*/*/*.log'}}], positions_dir: '{0}/positions', node: model}}\n\
                 ship: {{{ship}}}\n",
                folder.display(),
            ),
        )?;
        let mut node = Self {
            folder: folder.to_owned(),
            scribes: scribes?,
            server,
            http: Http::new()?,
            agent: None,
            address,
            paused: false,
            told: false,
            start,
            limit: model.limit,
        };
        // What is rotated before an agent has noted that it reads a container is not its business.
        for scribe in &mut node.scribes {
            scribe.fragment(0, true)?;
        }
        node.run_agent()?;
        node.settle().await?;
        let positions = folder.join("positions/positions");
        let names: Vec<String> = node.scribes.iter().map(|s| s.path().display().to_string()).collect();
        until("the first positions", node.limit, || async {
            let text = std::fs::read_to_string(&positions)?;
            ensure!(names.iter().all(|name| text.contains(name)), "they are not noted: {text}");
            Ok(())
        })
        .await?;
        Ok(node)
    }

    fn run_agent(&mut self) -> Result<()> {
        if let Some(agent) = self.agent.as_mut() {
            if std::mem::take(&mut self.paused) {
                signal(agent, Signal::CONT)?;
            }
            return agent.ensure_running();
        }
        let mut command = Command::new(binary()?);
        command.arg("agent").arg("--config").arg(self.folder.join("agent.yaml"));
        self.agent = Some(Process::start("trefoil agent", &mut command, &self.folder.join("agent.out"))?);
        Ok(())
    }

    fn pause(&mut self) -> Result<()> {
        let Some(agent) = self.agent.as_mut() else { return Ok(()) };
        self.paused = true;
        signal(agent, Signal::STOP)
    }

    /// The agent ends, by this means.
    async fn end_agent(&mut self, end: impl FnOnce(&mut Process) -> Result<()>) -> Result<()> {
        if self.agent.is_none() {
            return Ok(());
        }
        self.run_agent()?;
        self.note_what_was_told().await?;
        end(self.agent.as_mut().context("it runs")?)?;
        self.agent = None;
        self.scribes.iter_mut().for_each(Scribe::reader_ended);
        Ok(())
    }

    async fn stop_agent(&mut self) -> Result<()> {
        self.end_agent(|agent| {
            ensure!(agent.stop()?.success(), "{}", agent.last_words());
            Ok(())
        })
        .await
    }

    async fn note_what_was_told(&mut self) -> Result<()> {
        let url = format!("http://{}/metrics", self.address);
        let http = &self.http;
        let metrics = until("the agent's metrics", self.limit, || http.get(&url)).await?.text();
        self.told |= metrics.lines().any(|line| line.starts_with(&MetricName::TailLostBytes.series()));
        Ok(())
    }

    /// What has arrived of an output of a container, in its order.
    async fn arrived(&self, scribe: &Scribe, output: usize) -> Result<Vec<String>> {
        let gateway = match &self.server {
            Server::Loki(sink) => {
                return Ok(sink.lines(&[("container", &scribe.name), ("stream", OUTPUTS[output])]));
            }
            Server::Gateway(gateway, _) => gateway,
        };
        let selector = format!("%7Bcontainer%3D%22{}%22,stream%3D%22{}%22%7D", scribe.name, OUTPUTS[output]);
        let url = format!(
            "http://{}/loki/api/v1/query_range?query={selector}&direction=forward&limit={PAGE}&start={}&end={}",
            gateway.main,
            self.start,
            self.start + 2 * HOUR
        );
        let answer = self.http.get(&url).await?.ok_json()?;
        let mut lines: Vec<(u64, String)> = Vec::new();
        for stream in answer["data"]["result"].as_array().into_iter().flatten() {
            for entry in stream["values"].as_array().into_iter().flatten() {
                let time = entry[0].as_str().context("a time")?.parse()?;
                lines.push((time, entry[1].as_str().context("a line")?.to_owned()));
            }
        }
        lines.sort_by_key(|(time, _)| *time);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    async fn ensure_arrived(&self) -> Result<()> {
        for at in 0..self.scribes.len() {
            self.ensure_arrived_of(at).await?;
        }
        Ok(())
    }

    async fn ensure_arrived_of(&self, at: usize) -> Result<()> {
        let scribe = &self.scribes[at];
        for output in 0..OUTPUTS.len() {
            scribe.ensure_arrived(output, &self.arrived(scribe, output).await?)?;
        }
        Ok(())
    }

    /// The agent runs, and waits until all lines that are complete have arrived.
    async fn settle(&mut self) -> Result<()> {
        self.run_agent()?;
        until("all lines", self.limit, || self.ensure_arrived()).await
    }

    /// All that was begun is ended, and has arrived.
    async fn settle_all(&mut self, at: usize) -> Result<()> {
        self.scribes[at].end_all()?;
        self.settle().await
    }

    /// Another file of a container is about to come, as a copy if `copies`. Of several that come between two looks, one of them a
    /// copy, nobody can tell which was written first: then what was written until now arrives before.
    async fn changes(&mut self, at: usize, copies: bool) -> Result<()> {
        let Unseen { files, copy } = self.scribes[at].unseen;
        if copy || (copies && files) {
            if self.ensure_arrived_of(at).await.is_err() {
                let paused = self.paused;
                self.settle_all(at).await?;
                if paused {
                    self.pause()?;
                }
            }
            self.scribes[at].unseen = Unseen::default();
        }
        self.scribes[at].unseen.files = true;
        self.scribes[at].unseen.copy |= copies;
        Ok(())
    }

    /// No record is begun whose end would be lost, and an agent that starts knows that, too: nobody could tell that what comes
    /// next is not its end.
    async fn close_records(&mut self, at: usize) -> Result<()> {
        if self.scribes[at].has_open_record() {
            self.settle_all(at).await?;
            self.stop_agent().await?;
            self.run_agent()?;
        }
        Ok(())
    }

    /// The agent has opened the file that a container writes.
    async fn held(&mut self, at: usize) -> Result<()> {
        self.run_agent()?;
        let agent = self.agent.as_ref().context("it runs")?;
        let (inode, fds) = (self.scribes[at].inode()?, format!("/proc/{}/fd", agent.id()));
        until("the file to be opened", self.limit, || async {
            let open = std::fs::read_dir(&fds)?.flatten();
            let mut inodes =
                open.filter_map(|fd| std::fs::metadata(fd.path()).ok()).map(|metadata| metadata.ino());
            ensure!(inodes.any(|open| open == inode), "{} is not open", self.scribes[at].path().display());
            Ok(())
        })
        .await
    }

    async fn act(&mut self, deed: Deed) -> Result<()> {
        match deed {
            Deed::Lines(at, lines) => (0..lines).try_for_each(|_| self.scribes[at].fragment(0, true)),
            Deed::Fragment(at, err, ends) => self.scribes[at].fragment(usize::from(err), ends),
            Deed::HalfLine(at) => self.scribes[at].half_line(),
            Deed::Rotate(at) => {
                self.changes(at, false).await?;
                self.scribes[at].rotate()
            }
            Deed::Compress(at) => self.scribes[at].compress(),
            Deed::CopyTruncate(at) => {
                self.changes(at, true).await?;
                self.scribes[at].truncate(true)
            }
            Deed::TruncateRead(at) => {
                self.close_records(at).await?;
                self.settle_all(at).await?;
                self.changes(at, false).await?;
                self.scribes[at].truncate(false)
            }
            Deed::Truncate(at) => {
                self.close_records(at).await?;
                self.changes(at, false).await?;
                if self.agent.is_some() && !self.paused {
                    let arrived = self.arrived(&self.scribes[at], 0).await?;
                    self.scribes[at].seen(&arrived);
                }
                self.scribes[at].truncate(false)
            }
            Deed::DeleteHeld(at) => {
                self.close_records(at).await?;
                self.scribes[at].end_all()?;
                self.changes(at, false).await?;
                self.held(at).await?;
                self.scribes[at].delete(true)
            }
            Deed::Delete(at) => {
                self.close_records(at).await?;
                self.changes(at, false).await?;
                self.scribes[at].delete(false)
            }
            Deed::Recreate(at) => {
                self.settle_all(at).await?;
                self.changes(at, false).await?;
                self.stop_agent().await?;
                self.scribes[at].recreate()?;
                Ok(())
            }
            Deed::Pause => self.pause(),
            Deed::Resume => self.run_agent(),
            Deed::Kill => self.end_agent(Process::kill).await,
            Deed::Stop => self.stop_agent().await,
            Deed::Settle => self.settle().await,
            Deed::Fail(failure) => {
                if let Server::Loki(sink) = &self.server {
                    sink.fail(failure);
                }
                Ok(())
            }
        }
    }

    /// All is well again; gives what came of it.
    async fn end(mut self) -> Result<Findings> {
        match &self.server {
            Server::Loki(sink) => sink.heal(),
            Server::Gateway(_, proxy) => proxy.heal(),
        }
        for at in 0..self.scribes.len() {
            self.scribes[at].end_all()?;
        }
        let settled = self.settle().await;
        // Nothing more is to come, either: what was read twice would.
        let url = format!("http://{}/metrics", self.address);
        let behind = format!("{} 0", MetricName::TailBehindBytes.series());
        let all_shipped = until("nothing to be left", self.limit, || async {
            let metrics = self.http.get(&url).await?.text();
            ensure!(metrics.lines().any(|line| line == behind || line == format!("{behind}.0")), "{metrics}");
            Ok(())
        })
        .await;
        let mut findings = Findings::default();
        for scribe in &self.scribes {
            for output in 0..OUTPUTS.len() {
                scribe.compare(output, &self.arrived(scribe, output).await?, &mut findings)?;
            }
        }
        if findings.are_none() {
            settled?;
            all_shipped?;
        }
        self.stop_agent().await?;
        let untold = &findings.to_be_told;
        ensure!(untold.is_empty() || self.told, "lines are lost, and nobody says so: {untold:?}");
        if let Server::Gateway(gateway, _) = self.server {
            gateway.stop().await?;
        }
        Ok(findings)
    }
}

fn signal(process: &Process, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(process.id())?).context("no process")?;
    Ok(kill_process(pid, signal)?)
}
