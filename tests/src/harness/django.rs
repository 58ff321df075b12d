//! The Django shop of `tests/clients/django`, its output written as a kubelet lays it out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{Http, Process, until};

/// Python and a dozen packages to load, on a machine that may be compiling.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// The shop's `service.name`, and the `job` that it is scraped as.
pub const SERVICE: &str = "django-shop";
/// Its pod, as the log path and the resource attributes name it.
const POD: &str = "django-shop-5c8d9f7b6d-q4x2m";
const POD_UID: &str = "6f1d2c3b-9a8e-4f70-b1c2-d3e4f5a6b7c8";

/// How the shop sends its spans, and to which address (`http://host:port`).
#[derive(Debug, Clone)]
pub enum Otlp {
    /// Protobuf over HTTP/1.1.
    Http(String),
    /// gRPC.
    Grpc(String),
}

/// The running shop.
#[derive(Debug)]
pub struct Django {
    process: Process,
    /// `127.0.0.1:port`, also of its `/metrics`.
    pub address: String,
}

impl Django {
    /// Starts the shop: log files below `pods`, spans to `otlp`, its own files in `folder`.
    pub async fn start(folder: &Path, pods: &Path, otlp: Otlp) -> anyhow::Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/django");
        let python = python()?;
        let (protocol, endpoint) = match otlp {
            Otlp::Http(endpoint) => ("http/protobuf", endpoint),
            Otlp::Grpc(endpoint) => ("grpc", endpoint),
        };
        let container = pods.join(format!("shop_{POD}_{POD_UID}")).join("web");
        std::fs::create_dir_all(&container)?;
        std::fs::create_dir_all(folder)?;
        let address_file = folder.join("address");
        let mut command = Command::new(&python);
        command
            .arg(source.join("cri_writer.py"))
            .arg(container.join("0.log"))
            .arg(&python)
            .arg(source.join("serve.py"))
            .arg(&address_file)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OTEL_SERVICE_NAME", SERVICE)
            .env(
                "OTEL_RESOURCE_ATTRIBUTES",
                format!(
                    "k8s.namespace.name=shop,k8s.pod.name={POD},k8s.pod.uid={POD_UID},k8s.container.name=web"
                ),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            // Milliseconds from a span's end to its export; the default of five seconds would only be waited for.
            .env("OTEL_BSP_SCHEDULE_DELAY", "200");
        let mut process = Process::start("the Django shop", &mut command, &folder.join("django.out"))?;
        let http = Http::new()?;
        let address = until("the Django shop", READY_WITHIN, || {
            let running = process.ensure_running();
            let (http, file) = (http.clone(), address_file.clone());
            async move {
                running?;
                let address = std::fs::read_to_string(&file)?;
                let answer = http.get(&format!("http://{address}/metrics")).await?;
                ensure!(answer.status == 200, "status {}", answer.status);
                Ok(address)
            }
        })
        .await?;
        Ok(Self { process, address })
    }

    /// Ends the shop; what it has logged and traced is out then.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let status = self.process.stop()?;
        ensure!(status.success(), "the Django shop ended with {status}:\n{}", self.process.last_words());
        Ok(())
    }
}

fn python() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the workspace")?;
    let python = root.join(".venv/bin/python");
    ensure!(python.is_file(), "{} is missing: tests/run makes it", python.display());
    Ok(python)
}
