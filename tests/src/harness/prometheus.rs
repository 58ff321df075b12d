//! A real Prometheus with exemplar storage.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{Http, Process, free_port, until};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Short, so that a test need not wait: two scrapes make a rate.
const SCRAPE_INTERVAL: &str = "1s";

/// What to scrape.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// Value of the label `job`.
    pub job: String,
    /// `host:port`, with `/metrics` behind it.
    pub address: String,
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl Prometheus {
    /// The address that [`Prometheus::start`] will use, so that others can be told before it runs.
    pub fn reserve() -> anyhow::Result<u16> {
        free_port()
    }

    /// Starts it on a reserved port, its data and configuration in `folder`, and waits until it is ready.
    pub async fn start(folder: &Path, port: u16, scrapes: &[Scrape]) -> anyhow::Result<Self> {
        Self::start_with(folder, port, scrapes, "").await
    }

    /// As [`Prometheus::start`], with further sections of its configuration.
    pub async fn start_with(
        folder: &Path,
        port: u16,
        scrapes: &[Scrape],
        sections: &str,
    ) -> anyhow::Result<Self> {
        Self::launch(folder, port, scrapes, sections, &["--enable-feature=exemplar-storage"]).await
    }

    /// One that scrapes nothing and takes what is written to `/api/v1/write`, native histograms among it.
    pub async fn start_receiver(folder: &Path) -> anyhow::Result<Self> {
        let flags = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"];
        Self::launch(folder, free_port()?, &[], "", &flags).await
    }

    async fn launch(
        folder: &Path,
        port: u16,
        scrapes: &[Scrape],
        sections: &str,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut text = format!(
            "global: {{scrape_interval: {SCRAPE_INTERVAL}, scrape_timeout: {SCRAPE_INTERVAL}}}\nscrape_configs:\n"
        );
        for Scrape { job, address } in scrapes {
            text.push_str(&format!(
                "  - {{job_name: '{job}', static_configs: [{{targets: ['{address}']}}]}}\n"
            ));
        }
        text.push_str(sections);
        let configuration = folder.join("prometheus.yml");
        std::fs::write(&configuration, text)?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags)
            .arg("--log.level=warn");
        let mut process = Process::start("prometheus", &mut command, &folder.join("prometheus.out"))
            .context("tests/run installs it; by hand: apt-get install prometheus")?;
        let (http, url) = (Http::new()?, format!("http://127.0.0.1:{port}"));
        until("Prometheus", READY_WITHIN, || {
            let running = process.ensure_running();
            let (http, url) = (http.clone(), format!("{url}/-/ready"));
            async move {
                running?;
                let answer = http.get(&url).await?;
                ensure!(answer.status == 200, "status {}", answer.status);
                Ok(())
            }
        })
        .await?;
        Ok(Self { _process: process, url })
    }
}
