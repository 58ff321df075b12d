//! The OpenTelemetry Collector of `tests/clients/collector`: receives OTLP and forwards it, with the host's metrics, to a gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use super::{Http, Process, built, free_port, until};
use crate::program::Program;

/// It starts in a second, on a machine that may be compiling.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Collector.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    /// Where it receives OTLP over gRPC.
    pub grpc: SocketAddr,
    /// Where it receives OTLP over HTTP.
    pub http: SocketAddr,
}

impl Collector {
    /// Starts it, its output in `folder`. `exporter` is `otlp` or `otlphttp`, as tutorials name them.
    pub async fn start(
        folder: &Path,
        trefoil: &Program,
        exporter: &str,
        compression: &str,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let listen = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        let (grpc, http) = (listen()?, listen()?);
        let mut command = built("collector/built/otelcol")?.into_std();
        command
            .arg("--config")
            .arg(super::clients().join("collector/config.yaml"))
            .env("GRPC_LISTEN", grpc.to_string())
            .env("HTTP_LISTEN", http.to_string())
            .env("TREFOIL_GRPC", trefoil.otlp_grpc.to_string())
            .env("TREFOIL_HTTP", trefoil.otlp_http.to_string())
            .env("EXPORTER", exporter)
            .env("COMPRESSION", compression);
        let mut process = Process::start("the Collector", &mut command, &folder.join("collector.out"))?;
        let (client, url) = (Http::new()?, format!("http://{http}/v1/traces"));
        until("the Collector", READY_WITHIN, || {
            let running = process.ensure_running();
            let (client, url) = (client.clone(), url.clone());
            async move {
                running?;
                // It takes `POST` only.
                ensure!(client.get(&url).await?.status == 405);
                Ok(())
            }
        })
        .await?;
        Ok(Self { process, grpc, http })
    }

    /// Ends it; what it has received is forwarded first. What it said.
    pub fn stop(mut self) -> anyhow::Result<String> {
        let status = self.process.stop()?;
        let said = self.process.last_words();
        ensure!(status.success(), "the Collector ended with {status}:\n{said}");
        Ok(said)
    }
}
