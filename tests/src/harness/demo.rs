//! A running `trefoil demo`: the gateway with its shop.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::program::binary;

/// Until its first request has gone through, on a machine that may be compiling.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Ports that are always the same, on which another program may listen here.
const CLOSED: &str = "zipkin: {http: null}, elastic_apm: {http: null}, jaeger: {http: null, grpc: null, \
                      udp_compact: null, udp_binary: null, sampling: null}";

/// The running demo.
#[derive(Debug)]
pub struct Demo {
    _child: Child,
    folder: tempfile::TempDir,
    /// `http://127.0.0.1:port`
    pub url: String,
}

impl Demo {
    /// On ports of the system's choice, with further sections of the configuration. Its own requests are traced, so that their latencies
    /// have exemplars.
    pub async fn start(sections: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("demo.yaml");
        let text = format!(
            "server: {{listen: '127.0.0.1:0', own_traces: true}}\n\
             receive: {{otlp: {{grpc: '127.0.0.1:0', http: '127.0.0.1:0'}}, {CLOSED}}}\n{sections}"
        );
        std::fs::write(&config, text)?;
        let mut child = Command::new(binary()?)
            .arg("demo")
            .arg("--config")
            .arg(&config)
            // Where it puts its folder.
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("demo.err"))?)
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let first = tokio::time::timeout(READY_WITHIN, lines.next_line()).await??;
        let said = || std::fs::read_to_string(folder.path().join("demo.err")).unwrap_or_default();
        let first = first.with_context(|| format!("it does not say where it runs:\n{}", said()))?;
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).context("an address")?;
        let url = url.trim_end_matches(',').to_owned();
        // What it says later must be read, or it would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { _child: child, folder, url })
    }

    /// The folder of the pods whose files it reads.
    pub fn pods(&self) -> anyhow::Result<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path())?.filter_map(Result::ok);
        let pods = entries.map(|entry| entry.path().join("pods")).find(|pods| pods.is_dir());
        pods.context("the demo has no folder of pods")
    }
}
