//! The `trefoil` program itself, as a person runs it: a configuration file and `trefoil serve`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Http, Process, free_port, until};

/// An empty directory is ready in a fraction of a second; a journal to replay on a busy machine takes longer.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// What a test wants of the gateway beyond the defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Glob patterns of container log files.
    pub log_files: Vec<String>,
    /// Address of a Prometheus, `http://...`.
    pub prometheus: Option<String>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Trefoil {
    http: Http,
    process: Process,
    folder: PathBuf,
    /// Main address, `http://127.0.0.1:port`.
    pub url: String,
    /// OTLP over HTTP, `http://127.0.0.1:port`.
    pub otlp_http: String,
    /// OTLP over gRPC, `http://127.0.0.1:port`.
    pub otlp_grpc: String,
}

impl Trefoil {
    /// Starts a gateway that keeps its data, positions, configuration and output in `folder`, and waits until it is ready.
    pub async fn start(folder: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let [main, grpc, http] = [free_port()?, free_port()?, free_port()?];
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("trefoil.yaml"), configuration(folder, settings, [main, grpc, http]))?;
        let mut trefoil = Self {
            http: Http::new()?,
            process: spawn(folder)?,
            folder: folder.to_owned(),
            url: format!("http://127.0.0.1:{main}"),
            otlp_http: format!("http://127.0.0.1:{http}"),
            otlp_grpc: format!("http://127.0.0.1:{grpc}"),
        };
        trefoil.ready().await?;
        Ok(trefoil)
    }

    /// The process, to look at or to kill.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// `SIGKILL`, then a start on the same folder and ports.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process = spawn(&self.folder)?;
        self.ready().await
    }

    /// The unified answer on one trace id, whatever its status.
    pub async fn trace(&self, id: &str) -> anyhow::Result<(u16, Value)> {
        let answer = self.http.get(&format!("{}/api/v1/traces/{id}", self.url)).await?;
        Ok((answer.status, answer.json()?))
    }

    /// Sends an OTLP trace export request (protobuf) and gives the status.
    pub async fn send_spans(&self, body: Vec<u8>) -> anyhow::Result<u16> {
        let url = format!("{}/v1/traces", self.otlp_http);
        let headers = [("content-type", "application/x-protobuf")];
        Ok(self.http.post(&url, &headers, body).await?.status)
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kib.with_context(|| format!("no VmRSS in {path}"))? * 1024)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.url);
        let (http, process) = (self.http.clone(), &mut self.process);
        until("trefoil's readiness", READY_WITHIN, || {
            let running = process.ensure_running();
            let (http, url) = (http.clone(), url.clone());
            async move {
                running?;
                let answer = http.get(&url).await?;
                ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text());
                Ok(())
            }
        })
        .await
        .with_context(|| self.process.last_words())
    }
}

fn spawn(folder: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(binary()?);
    command.arg("serve").arg("--config").arg(folder.join("trefoil.yaml"));
    Process::start("trefoil", &mut command, &folder.join("trefoil.out"))
}

/// The program of the same build as the test: `target/<profile>/trefoil`, beside the folder of the test executables.
fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name != "deps" && name != "examples"))
        .context("the test has no folder")?;
    let path = profile.join("trefoil");
    ensure!(path.is_file(), "{} is missing: cargo build -p gateway", path.display());
    Ok(path)
}

fn configuration(folder: &Path, settings: &Settings, [main, grpc, http]: [u16; 3]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server: {{listen: '127.0.0.1:{main}'}}\n\
         store: {{dir: '{folder}/data'}}\n\
         receive: {{otlp: {{grpc: '127.0.0.1:{grpc}', http: '127.0.0.1:{http}'}}}}\n"
    );
    if !settings.log_files.is_empty() {
        let globs: Vec<String> =
            settings.log_files.iter().map(|glob| format!("{{path: '{glob}'}}")).collect();
        text.push_str(&format!(
            "collect: {{files: [{}], positions_dir: '{folder}/data'}}\n",
            globs.join(", ")
        ));
    }
    if let Some(url) = &settings.prometheus {
        text.push_str(&format!("upstream: {{prometheus: {{url: '{url}'}}}}\n"));
    }
    text
}
