//! What Trefoil says of its own requests: a count, a duration with the trace as its exemplar, and the span behind it.
//!
//! A request that brings a `traceparent` whose flags say that it is sampled is part of its caller's trace. Another one begins a
//! trace where that is asked for, and else none: who looks at their services does not want the looking among them. Only
//! requests whose span is kept leave an exemplar, so that each leads somewhere.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use dashboards::metric_names::MetricName;
use parsers::record::normalise::{KeyClass, keyed};
use parsers::record::{
    Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, StatusCode, TraceId, Value,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// Takes the spans of Trefoil's own requests.
pub trait OwnSpans: Send + Sync {
    /// A request has ended. Must not wait.
    fn ended(&self, span: Span);
}

/// From a look-up out of memory to Grafana's own patience, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Own spans kept in a second: enough to see every kind of request, too few to fill the store under load.
const SPANS_A_SECOND: u32 = 20;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    surface: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Surface {
    surface: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Traced {
    trace_id: String,
    span_id: String,
}

type Durations = Family<Surface, HistogramWithExemplars<Traced>, fn() -> HistogramWithExemplars<Traced>>;

/// The request metrics, and the way of the spans. A cheap clone.
#[derive(Clone)]
pub struct OwnRequests {
    count: Family<Answered, Counter>,
    durations: Durations,
    spans: Arc<dyn OwnSpans>,
    /// Requests that are part of no trace begin one.
    begins: bool,
    ids: Arc<Ids>,
    allowance: Arc<Mutex<(Instant, u32)>>,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

struct Ids {
    random: RandomState,
    next: AtomicU64,
}

impl Ids {
    fn next(&self) -> u64 {
        self.random.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl OwnRequests {
    /// Registers the metrics. With `begins`, requests that are part of no trace begin one.
    pub fn new(registry: &mut Registry, spans: Arc<dyn OwnSpans>, begins: bool) -> Self {
        let count = Family::default();
        let durations: Durations =
            Family::new_with_constructor(|| HistogramWithExemplars::new(BUCKETS.into_iter()));
        let (requests, duration) = (MetricName::HttpRequests, MetricName::HttpRequestDuration);
        registry.register(requests.stem(), requests.help(), count.clone());
        registry.register_with_unit(duration.stem(), duration.help(), Unit::Seconds, durations.clone());
        let text = |key: &str, value: &str| (key.to_owned(), Value::Str(value.to_owned()));
        let resource = Resource {
            attributes: vec![
                text("service.name", "trefoil"),
                text("service.version", env!("CARGO_PKG_VERSION")),
            ],
        };
        let ids = Arc::new(Ids { random: RandomState::new(), next: AtomicU64::new(0) });
        Self {
            count,
            durations,
            spans,
            begins,
            ids,
            allowance: Arc::new(Mutex::new((Instant::now(), SPANS_A_SECOND))),
            resource: Arc::new(resource),
            scope: Arc::new(Scope { name: "trefoil".to_owned(), ..Scope::default() }),
        }
    }

    /// Whether one more span may be kept in this second.
    fn allowed(&self) -> bool {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        if allowance.0.elapsed() >= Duration::from_secs(1) {
            *allowance = (Instant::now(), SPANS_A_SECOND);
        }
        let left = allowance.1 > 0;
        allowance.1 = allowance.1.saturating_sub(1);
        left
    }

    /// The trace of a request and the span that it is under, if it is traced.
    fn context(&self, headers: &HeaderMap) -> Option<(TraceId, Option<SpanId>)> {
        let brought = headers
            .get("traceparent")
            .and_then(|value| keyed(KeyClass::Traceparent, value.as_bytes()).ok())
            .and_then(|context| Some((context.trace?, context.span, context.sampled != Some(false))));
        if let Some((trace, span, sampled)) = brought {
            return sampled.then_some((trace, span));
        }
        let bits = u128::from(self.ids.next()) << 64 | u128::from(self.ids.next());
        let begun = TraceId::new(bits, Spelling::new(SpellingKind::Hex(32)));
        begun.filter(|_| self.begins).map(|trace| (trace, None))
    }
}

/// Counts and times a request, and leaves its span and exemplar.
pub(crate) async fn observe(Extract(own): Extract<OwnRequests>, request: Request, next: Next) -> Response {
    let surface = surface(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let context = own.context(request.headers()).zip(SpanId::new(own.ids.next()));
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let started = Instant::now();
    let mut response = next.run(request).await;
    let taken = started.elapsed();

    let status = response.status();
    let class = match status.as_u16() {
        0..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    own.count.get_or_create(&Answered { surface, status: class }).inc();
    // Probes and scrapes come for ever; their spans would be the store's main content.
    let kept = context.filter(|_| surface != "admin" && own.allowed());
    let exemplar =
        kept.map(|((trace, _), span)| Traced { trace_id: trace.to_string(), span_id: span.to_string() });
    let seconds = taken.as_secs_f64();
    own.durations.get_or_create(&Surface { surface }).observe(seconds, exemplar, None);
    if let Some(((trace_id, parent), span_id)) = kept {
        if let Ok(value) = HeaderValue::from_str(&trace_id.to_string()) {
            response.headers_mut().insert("x-trace-id", value);
        }
        let route = route.unwrap_or_else(|| "unknown path".to_owned());
        own.spans.ended(Span {
            trace_id,
            span_id,
            parent_span_id: parent,
            trace_state: String::new(),
            flags: 1,
            name: format!("{method} {route}"),
            kind: SpanKind::Server,
            start: began,
            end: began + taken.as_nanos() as u64,
            attributes: vec![
                ("http.request.method".to_owned(), Value::Str(method.to_string())),
                ("http.route".to_owned(), Value::Str(route)),
                ("http.response.status_code".to_owned(), Value::Int(i64::from(status.as_u16()))),
            ],
            events: Vec::new(),
            links: Vec::new(),
            status: Status {
                code: if status.is_server_error() { StatusCode::Error } else { StatusCode::Unset },
                message: String::new(),
            },
            resource: Arc::clone(&own.resource),
            scope: Arc::clone(&own.scope),
        });
    }
    response
}

/// Which surface a path belongs to.
fn surface(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("api") => "native",
        Some("loki") => "loki",
        Some("tempo") => "tempo",
        Some("prometheus") => "prometheus",
        Some("grafana") => "grafana",
        _ => "admin",
    }
}

#[cfg(test)]
mod tests;
