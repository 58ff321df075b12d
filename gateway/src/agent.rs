//! `trefoil agent`: the tailer with a shipper behind it, and a small listener for probes and metrics.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::Batch;
use prometheus_client::registry::Registry;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::ship::{Clock, Shipper};

use serve::Metrics as _;
use tail::feed::{Means, standard_input};
use tail::position::{Noting, PositionsFile};

use crate::access::{Access, AccessError};
use crate::collected::Collected;
use crate::config::Config;
use crate::feeds::{self, Feeds, has_feeds};
use crate::front::Front;
use crate::listener::{BindError, Listener};
use crate::pods::NodePods;
use crate::promtail_positions::ImportError;
use crate::reload::Reload;
use crate::renewed::Renewed;
use crate::telemetry::Exposition;
use crate::tls::{Certificates, TlsError};
use crate::{app, promtail_positions, reload, sources, telemetry};

/// The DaemonSet half.
pub struct Agent {
    /// Where probes and metrics are.
    pub main: SocketAddr,
    reloadable: Arc<Reloadable>,
    renewed: Vec<Arc<dyn Renewed>>,
    reloads: Arc<reload::Counters>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What another configuration can change while the agent runs.
struct Reloadable {
    plans: watch::Sender<tail::Plan>,
    pods: Option<Arc<NodePods>>,
    shippers: watch::Sender<Arc<Shipper>>,
    shipped: Arc<upstream::ship::Counters>,
    agent: String,
    access: Arc<Access>,
    current: Mutex<Config>,
}

impl fmt::Debug for Reloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloadable").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Reload for Reloadable {
    fn reload(&self, config: Config) -> Result<Vec<&'static str>, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let ship = config.ship.as_ref().ok_or_else(|| StartError::NoShip.to_string())?;
        let plan = app::plan(&config, &self.agent, self.pods.as_ref())?;
        if config.ship != current.ship {
            let shipper = Shipper::new(ship, Arc::new(Clock), Arc::clone(&self.shipped));
            self.shippers.send_replace(Arc::new(shipper.map_err(|error| format!("ship: {error}"))?));
        }
        if config.access != current.access {
            self.access.take(config.access.as_ref()).map_err(|error| error.to_string())?;
        }
        self.plans.send_replace(plan);
        let waiting = [
            ("server", config.server != current.server),
            ("collect.journal", config.collect.journal != current.collect.journal),
            ("collect.syslog", config.collect.syslog != current.collect.syslog),
            ("collect.kubernetes", config.collect.kubernetes != current.collect.kubernetes),
            ("derive (for the journal and syslog)", config.rules != current.rules && has_feeds(&current)),
            ("collect.positions_dir", config.collect.positions_dir != current.collect.positions_dir),
        ];
        *current = config;
        Ok(waiting.into_iter().filter_map(|(section, changed)| changed.then_some(section)).collect())
    }
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Nowhere to send to.
    #[error(
        "`trefoil agent` needs a `ship` section, such as `ship: {{trefoil: {{url: 'http://trefoil:8080'}}}}`"
    )]
    NoShip,
    /// The endpoint.
    #[error("ship: {0}")]
    Ship(#[from] upstream::ship::BuildError),
    /// The positions file.
    #[error("collect.positions_dir: {0}")]
    Positions(#[from] std::io::Error),
    /// The positions of another agent.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A token.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A rule; `check-config` says the same.
    #[error("derive.rules: {0}")]
    Rule(String),
    /// A port for syslog.
    #[error(transparent)]
    Syslog(#[from] feeds::SyslogError),
    /// Standard input.
    #[error(transparent)]
    Input(#[from] tail::feed::InputError),
}

/// Ships the logs of a batch to whatever the newest configuration names.
struct ShipperSink(watch::Receiver<Arc<Shipper>>);

#[async_trait]
impl tail::Sink for ShipperSink {
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), tail::Refusal> {
        let mut shippers = self.0.clone();
        loop {
            let shipper = Arc::clone(&shippers.borrow_and_update());
            tokio::select! {
                // It returns when all of the batch is safe, and waits as long as the server does not take it.
                () = shipper.ship(&batch) => return Ok(()),
                Ok(()) = shippers.changed() => {}
            }
        }
    }
}

impl Agent {
    /// Starts tailing and shipping.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let ship = config.ship.as_ref().ok_or(StartError::NoShip)?;
        let certificates = config.server.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let access = Arc::new(Access::load(config.access.as_ref())?);
        let listener = Listener::bind(config.server.listen, "probes and metrics", "server.listen").await?;
        let listener = listener.with_tls(certificates.clone());
        let agent = agent_name(&config);
        let feeds = Feeds::bind(&config, &agent).await?;
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let pods = NodePods::start(&config.collect, &shutdown);
        let plan = app::plan(&config, &agent, pods.as_ref()).map_err(StartError::Rule)?;
        let deriver = Arc::clone(&plan.1);
        let (plans, following) = watch::channel(plan);
        let shipped = Arc::default();
        let shipper = Shipper::new(ship, Arc::new(Clock), Arc::clone(&shipped))?;
        let (shippers, newest) = watch::channel(Arc::new(shipper));
        let mut positions = PositionsFile::open(&config.collect.positions_dir)?;
        if let Some(file) = config.collect.import_positions.as_deref().filter(|_| positions.is_empty()) {
            positions.note(&promtail_positions::read(file, &agent)?);
        }
        let known = positions.positions();
        let sink = Arc::new(Noting::new(Arc::new(ShipperSink(newest)), positions));
        let tailed = Arc::new(tail::Counters::default());

        let reloads = Arc::<reload::Counters>::default();
        let mut registry = Registry::default();
        telemetry::register(
            &mut registry,
            vec![
                sources::tail(Arc::clone(&tailed)),
                sources::kubernetes(pods.iter().map(|pods| pods.watched())),
                sources::shipper(Arc::clone(&shipped)),
                sources::reloads(Arc::clone(&reloads)),
                sources::access(Arc::clone(&access)),
            ],
        );
        let main = listener.address;
        let collected = serve::collect_router(Arc::new(Collected(Arc::clone(&tailed))));
        let surfaces =
            router(Arc::new(Exposition { registry, tailed: Arc::clone(&tailed) })).merge(collected);
        let front = Front::new(Arc::clone(&access), &config.server.origins);
        tasks.spawn(listener.serve(front.around(front.reading(surfaces)), shutdown.clone()));
        // Positions are written until the tailer has ended.
        let tailing_done = CancellationToken::new();
        tasks.spawn(Arc::clone(&sink).keep_writing(tailing_done.clone()));
        let means = Means {
            deriver,
            sink: Arc::<Noting>::clone(&sink),
            counters: Arc::clone(&tailed),
            shutdown: shutdown.clone(),
        };
        let feeds = feeds.run(known.clone(), means);
        let stop = shutdown.clone();
        tasks.spawn(async move {
            tokio::join!(tail::run(following, sink, known, tailed, stop), feeds);
            tailing_done.cancel();
        });
        tasks.close();
        let mut renewed: Vec<Arc<dyn Renewed>> = vec![Arc::<Access>::clone(&access)];
        renewed.extend(certificates.map(|certificates| certificates as Arc<dyn Renewed>));
        let current = Mutex::new(config);
        let reloadable = Reloadable { plans, pods, shippers, shipped, agent, access, current };
        Ok(Self { main, reloadable: Arc::new(reloadable), renewed, reloads, shutdown, tasks })
    }

    /// Takes another configuration at SIGHUP ([`reload::hangups`]) and when the file changes.
    pub fn keep_reloading(&self, source: reload::Source, hangups: Option<Signal>) {
        let (program, counters) = (Arc::clone(&self.reloadable), Arc::clone(&self.reloads));
        self.tasks.spawn(reload::keep_reloading(
            Some(source),
            hangups,
            program,
            self.renewed.clone(),
            counters,
            self.shutdown.clone(),
        ));
    }

    /// Stops reading, lets what is under way end, and returns. What was not acknowledged is read again by the next run.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// Ships standard input instead of files, to its end or until the shutdown, and returns when the server has all of it. It has no
/// listener, so that it runs beside an agent on the same node.
pub async fn ship_stdin(config: &Config, shutdown: CancellationToken) -> Result<(), StartError> {
    let ship = config.ship.as_ref().ok_or(StartError::NoShip)?;
    let shipped = Arc::default();
    let shipper = Shipper::new(ship, Arc::new(Clock), Arc::clone(&shipped))?;
    let (_shippers, newest) = watch::channel(Arc::new(shipper));
    let agent = agent_name(config);
    let (_, deriver) = app::plan(config, &agent, None).map_err(StartError::Rule)?;
    let means = Means { deriver, sink: Arc::new(ShipperSink(newest)), counters: Arc::default(), shutdown };
    let options = feeds::options(&config.collect.stdin, config, &agent);
    standard_input(std::io::stdin(), &options, means).await?;
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    tracing::info!(
        records = of(&shipped.records),
        refused = of(&shipped.quarantined),
        "standard input is shipped"
    );
    Ok(())
}

/// By what name a gateway tells this agent's positions from those of others: the node's, or the machine's.
fn agent_name(config: &Config) -> String {
    let machine = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = config.collect.node.clone().or_else(machine);
    name.map_or_else(|| "agent".to_owned(), |name| name.trim().to_owned())
}

fn router(exposition: Arc<Exposition>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        // An agent whose endpoint is down keeps its place in the files; there is no reason to take it out of service.
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(exposition)
}

async fn metrics(State(exposition): State<Arc<Exposition>>) -> Response {
    match exposition.text() {
        Some(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written").into_response(),
    }
}
