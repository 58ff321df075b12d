//! The shop of `trefoil demo`: seven services in one process that log, trace and count as real ones do, through the very
//! ports and files that real ones use.
//!
//! A request is planned with exact times first (`plan`, `journey`), then played: at its moment each line goes to a log
//! file (`log_files`), each span to an exporter (`exporter`), each measurement to the metrics (`metrics`,
//! `metrics_otlp`). Starting the gateway beside it is not done here, but it is told
//! to scrape itself (`itself`).

mod arrivals;
mod banner;
mod exporter;
mod itself;
mod journey;
mod log_files;
mod log_lines;
mod metrics;
mod metrics_otlp;
mod plan;
mod rng;
mod services;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::{Span, TraceId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use banner::{Addresses, banner};
pub use exporter::SendError;
pub(crate) use itself::{name_itself, scrape_itself};

use arrivals::Arrivals;
use exporter::Gateway;
use journey::Visit;
use log_files::Line;
use metrics::Measurements;
use plan::{Happening, Plan};
use rng::Rng;
use services::{Origins, Pod};

/// Time between two requests, in milliseconds: two to three a second.
const PAUSE_MS: std::ops::Range<u64> = 250..550;
/// So many requests come at once, one of each kind, so that there is something to see from the first second on.
const FIRST: u64 = 3;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the shop writes and sends.
#[derive(Debug)]
pub struct ShopOptions {
    /// Folder for the pods' logs, in the kubelet's layout; created when missing, not removed.
    pub pods_dir: PathBuf,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// Serves `/metrics/<service>`.
    pub metrics: TcpListener,
    /// Same seed, same requests.
    pub seed: u64,
}

/// The shop cannot open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The clients that send to the gateway cannot be made.
    #[error("the demo's shop cannot send to the gateway: {0}")]
    Client(#[from] SendError),
    /// The folder for its logs cannot be made.
    #[error("the demo's shop cannot log below {}: {error}", dir.display())]
    PodsDir {
        /// Which.
        dir: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    arrivals: Arc<Arrivals>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Shop {
    /// Opens it; requests begin at once. It closes when `shutdown` is cancelled, or by [`Shop::stop`].
    ///
    /// Runs on the current tokio runtime. A process-wide rustls provider must be installed before, as for every use of
    /// reqwest here.
    pub async fn start(options: ShopOptions, shutdown: CancellationToken) -> Result<Self, StartError> {
        let shutdown = shutdown.child_token();
        let tasks = TaskTracker::new();
        let gateway = Gateway::new(options.otlp_grpc, options.otlp_http)?;
        let arrivals = Arc::new(Arrivals::new());
        let measurements = Arc::new(Measurements::new());

        let (logs, lines) = mpsc::channel(log_files::QUEUE);
        let pods_dir = options.pods_dir;
        if let Err(error) = tokio::fs::create_dir_all(&pods_dir).await {
            return Err(StartError::PodsDir { dir: pods_dir, error });
        }
        tasks.spawn_blocking(move || log_files::write_all(&pods_dir, lines));

        // Exporters outlive the requests, so that they send what was made last.
        let mut exporters = Vec::new();
        for pod in Pod::ALL {
            let (sender, spans) = mpsc::channel(exporter::QUEUE);
            exporters.push((pod, sender));
            let protocol = pod.spec().protocol;
            let (gateway, arrivals) = (gateway.clone(), arrivals.clone());
            tasks.spawn(exporter::send_spans(gateway, protocol, spans, arrivals, shutdown.clone()));
        }
        let sending =
            metrics_otlp::send_metrics(gateway, measurements.clone(), arrivals.clone(), shutdown.clone());
        tasks.spawn(sending);

        let routes = Router::new().route("/metrics/{service}", get(scrape)).with_state(measurements.clone());
        let stopped = shutdown.clone();
        tasks.spawn(async move {
            let served = tokio::select! {
                served = axum::serve(options.metrics, routes) => served,
                () = stopped.cancelled() => Ok(()),
            };
            if let Err(error) = served {
                tracing::warn!(%error, "the shop's metrics cannot be served");
            }
        });

        let stage = Stage { logs, exporters, measurements };
        tasks.spawn(open(Arc::new(stage), arrivals.clone(), options.seed, shutdown.clone()));
        tasks.close();
        Ok(Self { arrivals, tasks, shutdown })
    }

    /// The latest request that touched at least four services and whose spans the gateway acknowledged; its exemplars
    /// were sent as well.
    pub fn latest(&self) -> watch::Receiver<Option<TraceId>> {
        self.arrivals.latest()
    }

    /// Closes it: no new requests; what waits is sent and written.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// Where what happens goes.
#[derive(Debug)]
struct Stage {
    logs: mpsc::Sender<Line>,
    exporters: Vec<(Pod, mpsc::Sender<Span>)>,
    measurements: Arc<Measurements>,
}

impl Stage {
    /// Plays a plan; full queues drop, as an SDK does.
    async fn play(&self, plan: Plan, shutdown: CancellationToken) {
        let (begin, epoch) = (Instant::now(), now());
        for (time, happening) in plan.steps {
            let moment = begin + Duration::from_nanos(time.saturating_sub(epoch));
            tokio::select! {
                () = tokio::time::sleep_until(moment) => {}
                () = shutdown.cancelled() => return,
            }
            match happening {
                Happening::Log(line) => drop(self.logs.try_send(line)),
                Happening::Span(pod, span) => {
                    if let Some((_, exporter)) = self.exporters.iter().find(|(known, _)| *known == pod) {
                        drop(exporter.try_send(*span));
                    }
                }
                Happening::Served(served) => self.measurements.observe(&served),
            }
        }
    }
}

/// Visitors come until the shop closes.
async fn open(stage: Arc<Stage>, arrivals: Arc<Arrivals>, seed: u64, shutdown: CancellationToken) {
    let origins = Origins::new();
    let mut rng = Rng::new(seed);
    let visits = TaskTracker::new();
    for n in 0u64.. {
        if let Some(plan) = Visit::nth(n, &mut rng).plan(&origins, &mut rng, now()) {
            arrivals.expect(&plan);
            let (stage, shutdown) = (stage.clone(), shutdown.clone());
            visits.spawn(async move { stage.play(plan, shutdown).await });
        }
        if n + 1 < FIRST {
            continue;
        }
        let pause = Duration::from_millis(rng.within(PAUSE_MS));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => break,
        }
    }
    visits.close();
    visits.wait().await;
}

async fn scrape(State(measurements): State<Arc<Measurements>>, Path(service): Path<String>) -> Response {
    match measurements.text(&service) {
        Some(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        None => (StatusCode::NOT_FOUND, format!("no service {service} in the shop\n")).into_response(),
    }
}

/// Nanoseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
