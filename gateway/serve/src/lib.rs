//! ANSWER. One folder a surface; each translates a request into a call of the core and its answer into the wire shape.
//!
//! No joins, no scans and no query evaluation live here.

mod admin;
mod blocking;
mod bounds;
mod collect;
mod failure;
#[cfg(test)]
mod fakes;
mod grafana;
mod jaeger;
mod loki;
mod mcp;
mod native;
mod otlp_json;
mod own;
mod pace;
mod parameters;
mod prometheus;
mod scrape;
mod tempo;
mod tenant;
mod ui;
mod values;
mod zipkin;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use correlate::{Correlator, Exemplars};
use parsers::record::Labels;
use store::read::{LogRead, MetricRead, PatternRead, SampleRead, TraceRead};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

pub use admin::{PartState, Readiness};
pub use blocking::Reads;
pub use collect::{CollectedFile, Collecting, FileLoss, router as collect_router};
pub use loki::{Follow, Tails};
pub use mcp::{McpOptions, with_mcp};
pub use native::openapi;
pub use own::{OwnRequests, OwnSpans};
pub use prometheus::{Forward, ForwardFailure};
pub use query::Capacity;
pub use scrape::{DroppedTarget, FailingDiscovery, ScrapeTarget, ScrapeTargetsBody, Scraping};

/// Longest time for any answer. Grafana's own default for a data source is 30 s: this ends just before, so that the
/// client sees the reason and not its own timeout.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// The text of `/metrics`.
pub trait Metrics: Send + Sync {
    /// OpenMetrics; `None` if it could not be written.
    fn text(&self) -> Option<String>;
}

/// Series that are made of spans, as text.
pub trait SpanMetrics: Send + Sync {
    /// OpenMetrics, of those series whose labels are `shown`; `None` if it could not be written.
    fn text(&self, shown: &dyn Fn(&Labels) -> bool) -> Option<String>;
}

/// Of a request that was let in because of the token that it showed.
#[derive(Debug, Clone, Copy)]
pub struct ByToken;

/// What the surfaces answer from. A cheap clone.
#[derive(Clone)]
pub struct State {
    /// Joins by trace id.
    pub correlator: Arc<Correlator>,
    /// Exemplars of series.
    pub exemplars: Exemplars,
    /// Spans by trace id.
    pub traces: Arc<dyn TraceRead>,
    /// Log records by stream and time.
    pub logs: Arc<dyn LogRead>,
    /// Samples by series: what PromQL is evaluated over where no metrics server is configured.
    pub samples: Arc<dyn SampleRead>,
    /// Patterns of log lines.
    pub patterns: Arc<dyn PatternRead>,
    /// Batches as they are stored.
    pub live: Arc<dyn Follow>,
    /// Bounds how many clients tail.
    pub tails: Tails,
    /// Bounds what the surfaces read of the two at once.
    pub reads: Reads,
    /// Bounds what metric queries give and hold.
    pub capacity: Capacity,
    /// The metrics server, if one is configured.
    pub prometheus: Option<Arc<dyn Forward>>,
    /// The same server as the joins ask it. Without one, [`correlate::StoredMetrics`] stand for it.
    pub upstream: Option<Arc<dyn MetricRead>>,
    /// Which parts of the gateway are ready.
    pub readiness: Arc<dyn Readiness>,
    /// What is read of log files.
    pub collecting: Arc<dyn Collecting>,
    /// What is scraped.
    pub scraping: Arc<dyn Scraping>,
    /// What `/metrics` says of the gateway itself.
    pub metrics: Arc<dyn Metrics>,
    /// What `/metrics/spans` says, and `/metrics` besides, if series are made of spans.
    pub span_metrics: Option<Arc<dyn SpanMetrics>>,
    /// Counts and spans of the requests to these surfaces.
    pub own: OwnRequests,
    /// How long log records are kept.
    pub log_retention: Duration,
    /// How Grafana reaches this gateway; without it, by the name that it is asked by.
    pub external_url: Option<String>,
    /// Whether it speaks TLS where it is asked.
    pub tls: bool,
    /// Longest time for any answer, after which it is an error in the surface's own shape.
    pub request_timeout: Duration,
}

/// All surfaces under their paths.
pub fn router(state: State) -> Router {
    assemble(state, bounds::MAX_REQUESTS)
}

/// With at most `requests` at once, those for `/healthz`, `/readyz` and `/metrics` not counted: who looks after an
/// overloaded gateway needs them most.
fn assemble(state: State, requests: usize) -> Router {
    let (bounds, own) = (bounds::Bounds::new(requests, state.request_timeout), state.own.clone());
    Router::new()
        .merge(native::routes())
        .merge(tempo::routes())
        .merge(loki::routes())
        .merge(jaeger::routes())
        .merge(zipkin::routes())
        .merge(prometheus::routes())
        .merge(grafana::routes())
        .merge(ui::routes())
        .layer(from_fn_with_state(bounds, bounds::keep))
        .merge(admin::routes())
        .with_state(state)
        .layer(map_response(uncached))
        // A better level takes longer than a network does for what it saves.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(own, own::observe))
        .layer(CatchPanicLayer::new())
}

/// What is answered changes with what arrives, and is not for everybody: nothing between may keep it.
async fn uncached(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// All paths also below the path of the URL by which Grafana reaches this gateway, for what stands between the two and takes
/// nothing away from paths.
pub fn mounted(router: Router, external_url: Option<&str>) -> Router {
    match external_url.and_then(prefix) {
        Some(prefix) => router.clone().nest_service(&prefix, router),
        None => router,
    }
}

/// The path of a URL, if it has one of plain segments.
fn prefix(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.trim_end_matches('/').split_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    (path.bytes().all(plain) && !path.contains("//")).then(|| format!("/{path}"))
}
