//! The one composition root: every part is made here, in the order in which data flows, and nowhere else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use correlate::{CorrelateOptions, Correlator, Doors, Exemplars, StoredMetrics};
use parsers::derived::Deriver;
use parsers::record::Batch;
use parsers::stage::Pipeline;
use parsers::stage::relabel::Relabel;
use prometheus_client::registry::Registry;
use receive::Intake;
use receive::elastic_apm::ElasticApm;
use receive::jaeger::Jaeger;
use receive::loki_push::LokiPush;
use receive::otlp::{Otlp, OtlpOptions};
use receive::remote_write::RemoteWrite;
use receive::scrape::ScrapeOptions;
use receive::zipkin::Zipkin;
use store::read::{Matcher, MetricRead, ReadError, SampleLimits, SeriesSamples, Window};
use store::{Keep, Patterns, Retention, SampleOptions, Store, StoreOptions, SyncPolicy};
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::prometheus::{ForwardError, Prometheus, PrometheusOptions};

use crate::access::{Access, AccessError};
use crate::apm_keys::{self, KeysError};
use crate::collected::Collected;
use crate::config::{self, Config};
use crate::feeds::{Feeds, SyslogError, has_feeds};
use crate::front::Front;
use crate::listener::{BindError, Listener};
use crate::own_spans::OwnSpans;
use crate::pods::NodePods;
use crate::ports::{Ports, Receivers};
use crate::promtail_positions::ImportError;
use crate::reload::Reload;
use crate::renewed::Renewed;
use crate::scraped::Scraped;
use crate::sinks::StoreSink;
use crate::span_metrics::Counted;
use crate::tls::{Certificates, TlsError};
use crate::{
    exposed, line_metrics, pattern_feed, promtail_positions, reload, sources, span_metrics, telemetry,
};

/// Who reads the files, in positions that the store keeps: the program itself.
const LOCAL_AGENT: &str = "local";

/// A gateway that runs.
pub struct App {
    /// The main listener.
    pub main: SocketAddr,
    /// OTLP gRPC, if it has a port besides the main one.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP HTTP, if it has a port besides the main one.
    pub otlp_http: Option<SocketAddr>,
    /// What else is received, and where.
    pub receivers: Vec<(&'static str, SocketAddr)>,
    store: Store,
    reloadable: Arc<Reloadable>,
    renewed: Vec<Arc<dyn Renewed>>,
    reloads: Arc<reload::Counters>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What another configuration can change while the gateway runs.
#[derive(Debug)]
struct Reloadable {
    plans: watch::Sender<tail::Plan>,
    pods: Option<Arc<NodePods>>,
    /// What finds ids in what is received.
    derivers: watch::Sender<Arc<Deriver>>,
    scrapes: watch::Sender<ScrapeOptions>,
    access: Arc<Access>,
    current: Mutex<Config>,
}

impl Reload for Reloadable {
    fn reload(&self, config: Config) -> Result<Vec<&'static str>, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = [
            ("server", config.server != current.server),
            ("store", config.store != current.store),
            ("sampling", config.sampling != current.sampling),
            ("metrics_from_spans", config.metrics_from_spans != current.metrics_from_spans),
            ("collect.journal", config.collect.journal != current.collect.journal),
            ("collect.syslog", config.collect.syslog != current.collect.syslog),
            ("collect.kubernetes", config.collect.kubernetes != current.collect.kubernetes),
            ("receive", config.receive != current.receive),
            ("derive (for the journal and syslog)", config.rules != current.rules && has_feeds(&current)),
            ("upstream", config.prometheus != current.prometheus),
        ];
        let plan = plan(&config, LOCAL_AGENT, self.pods.as_ref())?;
        if config.access != current.access {
            self.access.take(config.access.as_ref()).map_err(|error| error.to_string())?;
        }
        self.derivers.send_replace(Arc::clone(&plan.1));
        self.plans.send_replace(plan);
        self.scrapes.send_if_modified(|scrapes| {
            let changed = *scrapes != config.scrape.options;
            scrapes.clone_from(&config.scrape.options);
            changed
        });
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
    /// A port for syslog.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// The data directory.
    #[error("store.dir: {0}")]
    Store(#[from] store::OpenError),
    /// The Prometheus client.
    #[error("upstream.prometheus: {0}")]
    Prometheus(#[from] upstream::prometheus::BuildError),
    /// What Elastic APM's agents have to show.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A token.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A rule; `check-config` says the same.
    #[error("derive.rules: {0}")]
    Rule(String),
    /// The positions of a Promtail.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was taken over cannot be kept.
    #[error("store: {0}")]
    Refused(#[from] store::Refused),
    /// Opening ended early.
    #[error("the store could not be opened: {0}")]
    Opening(#[from] tokio::task::JoinError),
}

impl App {
    /// Makes every part, starts it, and returns once all ports are bound and the store is open.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let certificates = config.server.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let access = Arc::new(Access::load(config.access.as_ref())?);
        exposed::warn(&config);
        let main = Listener::bind(config.server.listen, "the main port", "server.listen").await?;
        let main = main.with_tls(certificates.clone());
        let main_address = main.address;
        let feeds = Feeds::bind(&config, LOCAL_AGENT).await?;
        let ports = Ports::bind(&config.receive, certificates.as_ref()).await?;
        let ((otlp_grpc, otlp_http), receivers) = (ports.otlp(), ports.addresses());

        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let pods = NodePods::start(&config.collect, &shutdown);
        let plan = plan(&config, LOCAL_AGENT, pods.as_ref()).map_err(StartError::Rule)?;
        let deriver = Arc::clone(&plan.1);
        let (plans, following) = watch::channel(plan);
        let (derivers, newest_deriver) = watch::channel(Arc::clone(&deriver));
        let options = store_options(&config);
        let store = tokio::task::spawn_blocking(move || Store::open(options)).await??;
        let prometheus =
            config.prometheus.as_ref().map(|settings| Prometheus::new(prometheus_options(settings)));
        let prometheus = prometheus.transpose()?;

        let reloads = Arc::<reload::Counters>::default();
        let tailed = Arc::new(tail::Counters::default());
        let received = Arc::new(receive::Counters::default());
        let every = config.metrics_from_spans.interval;
        let counted = config.metrics_from_spans.enabled.then(|| {
            let counted = Arc::new(Counted::new(&config.metrics_from_spans.options));
            tasks.spawn(span_metrics::run(counted.clone(), every, store.clone(), shutdown.clone()));
            counted
        });
        tasks.spawn(line_metrics::keep_writing(Arc::clone(&tailed), every, store.clone(), shutdown.clone()));
        let sink = Arc::new(StoreSink::new(store.clone(), counted.clone()));
        let senders = senders(&config, &shutdown);
        let intake = Intake::new(sink.clone(), Arc::clone(&received), Some(newest_deriver))
            .knowing(senders.clone().map(|pods| pods as Arc<dyn receive::Senders>));
        let otlp = &config.receive.otlp;
        let (max_body, promoted) = (otlp.max_body_bytes as usize, otlp.promoted.clone());
        let otlp = Otlp::new(&intake, OtlpOptions { max_body, promoted });
        let zipkin = Zipkin::new(&intake, config.receive.zipkin.max_body_bytes as usize);
        let jaeger = Jaeger::new(&intake, config.receive.jaeger.max_body_bytes as usize);
        let elastic_apm = ElasticApm::new(&intake, apm_keys::options(&config.receive.elastic_apm)?);
        let loki_push = LokiPush::new(&intake, config.receive.loki_push.max_body_bytes as usize);
        let remote_write = RemoteWrite::new(&intake, config.receive.remote_write.max_body_bytes as usize);

        let scraping = Arc::<receive::scrape::Scraping>::default();
        let (scrapes, scraped) = watch::channel(config.scrape.options.clone());

        let upstream = prometheus.clone().map(|server| Arc::new(server) as Arc<dyn MetricRead>);
        // Without a server, the samples that are stored are asked as one.
        let embedded = || Arc::new(StoredMetrics::new(Arc::new(store.clone()))) as Arc<dyn MetricRead>;
        let metrics = upstream.clone().unwrap_or_else(embedded);
        let traces: Arc<dyn store::read::TraceRead> = Arc::new(store.clone());
        let joining = CorrelateOptions {
            sampling: config.sampling.clone(),
            ..correlate_options(config.prometheus.as_ref(), ports.doors(main_address))
        };
        let exemplars = Exemplars::new(
            Arc::clone(&traces),
            Arc::new(store.clone()),
            Some(Arc::clone(&metrics)),
            &joining,
        );
        let correlator =
            Correlator::new(Arc::clone(&traces), Some(metrics), joining).with_logs(Arc::new(store.clone()));

        let mut registry = Registry::default();
        telemetry::register(
            &mut registry,
            vec![
                sources::tail(Arc::clone(&tailed)),
                sources::kubernetes(pods.iter().map(|pods| pods.watched()).chain(senders)),
                sources::receivers(received),
                sources::scrapes(Arc::clone(&scraping)),
                sources::store(store.clone()),
                sources::reloads(Arc::clone(&reloads)),
                sources::span_metrics(counted.clone()),
                sources::access(Arc::clone(&access)),
            ],
        );
        let (own_spans, storing) = OwnSpans::new(Arc::new(sink.uncounted()), shutdown.clone());
        tasks.spawn(storing);
        let own = serve::OwnRequests::new(&mut registry, Arc::new(own_spans), config.server.own_traces);
        let patterns = Arc::<Patterns>::default();
        let feed = pattern_feed::run(
            serve::Follow::follow(&*sink),
            store.clone(),
            Arc::clone(&patterns),
            shutdown.clone(),
        );
        tasks.spawn(feed);
        let surfaces = serve::router(serve::State {
            correlator: Arc::new(correlator),
            exemplars,
            traces,
            logs: Arc::new(store.clone()),
            samples: Arc::new(store.clone()),
            patterns: Arc::<Patterns>::clone(&patterns),
            live: Arc::<StoreSink>::clone(&sink),
            tails: serve::Tails::default(),
            reads: serve::Reads::default(),
            capacity: config.server.queries.capacity(),
            prometheus: prometheus.map(|server| Arc::new(Forwarding(server)) as Arc<dyn serve::Forward>),
            upstream,
            readiness: Arc::new(Ready(store.clone())),
            collecting: Arc::new(Collected(Arc::clone(&tailed))),
            scraping: Arc::new(Scraped(Arc::clone(&scraping))),
            span_metrics: counted.map(|counted| counted as Arc<dyn serve::SpanMetrics>),
            metrics: Arc::new(telemetry::Exposition { registry, tailed: Arc::clone(&tailed) }),
            own,
            log_retention: config.store.logs,
            external_url: config.server.external_url.clone(),
            tls: certificates.is_some(),
            request_timeout: serve::DEFAULT_REQUEST_TIMEOUT,
        });
        let surfaces = match mcp_options(&config.server) {
            Some(options) => serve::with_mcp(surfaces, options),
            None => surfaces,
        };

        let front = Front::new(Arc::clone(&access), &config.server.origins);
        // Where Elastic's agents have tokens and keys of their own, those count.
        let apm_has_keys = config.receive.elastic_apm.has_keys();
        let of_apm = |router| if apm_has_keys { router } else { front.receiving(router) };
        let received =
            otlp.http().merge(otlp.grpc()).merge(zipkin.http()).merge(jaeger.http()).merge(jaeger.grpc());
        let received = front.receiving(received.merge(loki_push.http()).merge(remote_write.http()));
        let received = received.merge(of_apm(elastic_apm.http()));
        let all = front.reading(surfaces).merge(received);
        let all = serve::mounted(all, config.server.external_url.as_deref());
        tasks.spawn(main.serve(front.around(all), shutdown.clone()));
        let elastic_apm = of_apm(elastic_apm.port());
        let served = Receivers { otlp: &otlp, zipkin: &zipkin, jaeger: &jaeger, elastic_apm };
        ports.serve(served, &front, &tasks, &shutdown);
        let mut positions = store.positions(LOCAL_AGENT);
        if let Some(file) = config.collect.import_positions.as_deref().filter(|_| positions.is_empty()) {
            positions = promtail_positions::read(file, LOCAL_AGENT)?;
            store.append(Arc::new(Batch { positions: positions.clone(), ..Batch::default() }))?;
        }
        let means = tail::feed::Means {
            deriver,
            sink: Arc::<StoreSink>::clone(&sink),
            counters: Arc::clone(&tailed),
            shutdown: shutdown.clone(),
        };
        tasks.spawn(feeds.run(positions.clone(), means));
        tasks.spawn(receive::scrape::run(scraped, intake, scraping, shutdown.clone()));
        tasks.spawn(tail::run(following, sink, positions, tailed, shutdown.clone()));
        tasks.close();
        let mut renewed: Vec<Arc<dyn Renewed>> = vec![Arc::<Access>::clone(&access)];
        renewed.extend(certificates.map(|certificates| certificates as Arc<dyn Renewed>));
        let current = Mutex::new(config);
        let reloadable = Arc::new(Reloadable { plans, pods, derivers, scrapes, access, current });
        Ok(Self {
            main: main_address,
            otlp_grpc,
            otlp_http,
            receivers,
            store,
            reloadable,
            renewed,
            reloads,
            shutdown,
            tasks,
        })
    }

    /// Takes another configuration at SIGHUP ([`reload::hangups`]) and when the file changes.
    pub fn keep_reloading(&self, source: Option<reload::Source>, hangups: Option<Signal>) {
        let (program, counters) = (Arc::clone(&self.reloadable), Arc::clone(&self.reloads));
        let (renewed, shutdown) = (self.renewed.clone(), self.shutdown.clone());
        self.tasks.spawn(reload::keep_reloading(source, hangups, program, renewed, counters, shutdown));
    }

    /// Stops taking new work, lets what is under way end, seals nothing: the journal has it all.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
        let store = self.store;
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::warn!(%error, "the store did not close in order; its journal is replayed at the next start");
        }
    }
}

/// Series of spans that the store has room for, whatever senders send. Within the hour of a head as many again may take the place of
/// those that have ended.
fn of_spans(config: &Config) -> usize {
    let settings = &config.metrics_from_spans;
    if settings.enabled { settings.options.max_series.saturating_mul(2) } else { 0 }
}

fn store_options(config: &Config) -> StoreOptions {
    let settings = &config.store;
    let keep = |age| Keep { age: Some(age), bytes: None };
    StoreOptions {
        sync: settings.sync.map_or(SyncPolicy::EveryBatch, SyncPolicy::Interval),
        head_bytes: settings.head_bytes as usize,
        retention: Retention {
            logs: keep(settings.logs),
            traces: keep(settings.traces),
            metrics: keep(settings.metrics),
            max_bytes: Some(settings.max_bytes),
        },
        sampling: config.sampling.clone(),
        samples: SampleOptions { reserved: of_spans(config), ..settings.samples },
        ..StoreOptions::new(&settings.dir)
    }
}

/// The pods of the cluster, where it is asked which of them send.
fn senders(config: &Config, shutdown: &CancellationToken) -> Option<Arc<kubernetes::Pods>> {
    let watch = config.collect.kubernetes.watch_senders(config.receive.pods)?;
    Some(kubernetes::Pods::watch(watch, shutdown.clone()))
}

/// What to tail and how, by an agent of this name; `serve` and `agent` do it alike. An error names the rules at fault;
/// `check-config` says the same.
pub(crate) fn plan(config: &Config, agent: &str, pods: Option<&Arc<NodePods>>) -> Result<tail::Plan, String> {
    let deriver = Deriver::new(&config.rules)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let options = tail::TailOptions {
        files: config.collect.files.iter().map(source).collect(),
        exclude: config.collect.exclude.clone(),
        node: config.collect.node.as_deref().map(Arc::from),
        pods: pods.map(|pods| Arc::clone(pods) as Arc<dyn tail::Pods>),
        max_files: tail::files_allowed(),
        ..tail::TailOptions::new(agent)
    };
    Ok((options, Arc::new(deriver)))
}

/// The configuration has been read, so its stages and rules can be compiled; what could not would be none.
fn source(files: &config::Files) -> tail::Source {
    tail::Source {
        pipeline: Pipeline::new(&files.stages).unwrap_or_default(),
        relabel: Relabel::new(&files.relabel).unwrap_or_default(),
        ..files.path.clone().into()
    }
}

/// By which names `/mcp` may be asked: the one that Grafana has for the gateway is one of them.
fn mcp_options(server: &config::Server) -> Option<serve::McpOptions> {
    let mcp = server.mcp.as_ref()?;
    let own = server.external_url.as_deref().and_then(|url| url.split("://").nth(1)?.split('/').next());
    let hosts = own.map(str::to_owned).into_iter().chain(mcp.hosts.iter().cloned());
    Some(serve::McpOptions { hosts: hosts.collect(), origins: mcp.origins.clone() })
}

fn prometheus_options(settings: &config::Prometheus) -> PrometheusOptions {
    PrometheusOptions {
        timeout: settings.timeout,
        headers: settings.headers.clone(),
        credentials: settings.credentials.clone(),
        certificates: settings.certificates.clone(),
        ..PrometheusOptions::new(&settings.url)
    }
}

fn correlate_options(settings: Option<&config::Prometheus>, doors: Doors) -> CorrelateOptions {
    let defaults = CorrelateOptions { doors, ..CorrelateOptions::default() };
    match settings {
        Some(settings) => CorrelateOptions {
            mapping: settings.labels.clone(),
            metric_deadline: settings.timeout,
            ..defaults
        },
        None => defaults,
    }
}

/// The store is open before anything listens; what can go wrong later is that it takes no more.
struct Ready(Store);

impl serve::Readiness for Ready {
    fn parts(&self) -> Vec<serve::PartState> {
        let stats = self.0.stats();
        let waiting = stats.waiting_heads;
        let waiting_for =
            (waiting > 1).then(|| format!("{waiting} heads wait to be sealed; senders are told to wait"));
        // Still ready: who asks is answered.
        let refusing = stats.full.then(|| "the disk is full: records are refused; reads go on".to_owned());
        vec![serve::PartState { name: "store", waiting_for, refusing }]
    }
}

/// The Prometheus client behind the Prometheus surface.
struct Forwarding(Prometheus);

#[async_trait]
impl serve::Forward for Forwarding {
    async fn forward(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, serve::ForwardFailure> {
        let answer = self.0.forward(method, path_and_query, headers, body).await.map_err(|error| {
            let status = match &error {
                ForwardError::NotAllowed { .. } => StatusCode::FORBIDDEN,
                ForwardError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                ForwardError::Read(ReadError::Timeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
                ForwardError::Read(_) => StatusCode::BAD_GATEWAY,
            };
            serve::ForwardFailure { status, detail: error.to_string() }
        })?;
        let mut response = Response::new(Body::from_stream(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    async fn samples(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
        tenants: Option<&str>,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        self.0.for_tenants(tenants).samples(matchers, window, limits).await
    }
}
