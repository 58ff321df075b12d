//! What the services count: requests and their durations, with the trace of some of them as exemplars. Kept twice, as
//! services in a change-over have it: for Prometheus to scrape, and to be sent as OTLP (encoded in `metrics_otlp`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::log_lines::Ids;
use super::plan::Served;
use super::services::Pod;

/// Upper bounds in seconds: the advice of the semantic conventions for `http.server.request.duration`.
pub(super) const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Exemplars a series keeps until they are sent: all requests of two seconds, and a bound if sending fails.
const MAX_EXEMPLARS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeriesLabels {
    method: String,
    route: String,
    status: u32,
    version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExemplarLabels {
    trace_id: String,
    span_id: String,
}

type Durations = Family<
    SeriesLabels,
    HistogramWithExemplars<ExemplarLabels>,
    fn() -> HistogramWithExemplars<ExemplarLabels>,
>;

/// For Prometheus: what `/metrics/<service>` shows, both versions of a service together.
#[derive(Debug)]
struct Scraped {
    registry: Registry,
    requests: Family<SeriesLabels, CounterWithExemplar<ExemplarLabels>>,
    durations: Durations,
}

impl Scraped {
    fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let make: fn() -> HistogramWithExemplars<ExemplarLabels> =
            || HistogramWithExemplars::new(BOUNDS.into_iter());
        let durations: Durations = Family::new_with_constructor(make);
        registry.register("http_server_requests", "Requests answered", requests.clone());
        let help = "Time from a request's arrival to its answer in seconds";
        registry.register("http_server_request_duration_seconds", help, durations.clone());
        Self { registry, requests, durations }
    }
}

/// Series of the OTLP side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    /// Who answered.
    pub(super) pod: Pod,
    /// Method.
    pub(super) method: &'static str,
    /// Route.
    pub(super) route: &'static str,
    /// Status.
    pub(super) status: u16,
}

/// An exemplar that waits to be sent.
#[derive(Debug, Clone)]
pub(super) struct Example {
    /// The request.
    pub(super) ids: Ids,
    /// When it ended, in nanoseconds since the epoch.
    pub(super) time: u64,
    /// How long it took.
    pub(super) seconds: f64,
}

/// A cumulative histogram.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    /// Observations by bucket; the last is above all bounds.
    pub(super) counts: [u64; BOUNDS.len() + 1],
    /// Sum of the observations in seconds.
    pub(super) sum: f64,
    /// Those since the last export.
    pub(super) examples: Vec<Example>,
}

/// The measurements of all services.
#[derive(Debug)]
pub(super) struct Measurements {
    scraped: Vec<(&'static str, Scraped)>,
    sent: Mutex<HashMap<SeriesKey, Histogram>>,
}

impl Measurements {
    /// Nothing counted.
    pub(super) fn new() -> Self {
        let mut scraped: Vec<(&'static str, Scraped)> = Vec::new();
        for pod in Pod::ALL {
            let service = pod.spec().service;
            if !scraped.iter().any(|(known, _)| *known == service) {
                scraped.push((service, Scraped::new()));
            }
        }
        Self { scraped, sent: Mutex::default() }
    }

    /// Counts one request.
    pub(super) fn observe(&self, served: &Served) {
        let Served { pod, method, route, status, seconds, time, ids } = *served;
        let spec = pod.spec();
        if let Some((_, scraped)) = self.scraped.iter().find(|(service, _)| *service == spec.service) {
            let labels = SeriesLabels {
                method: method.to_owned(),
                route: route.to_owned(),
                status: u32::from(status),
                version: spec.version.to_owned(),
            };
            let exemplar = ExemplarLabels { trace_id: ids.trace.to_string(), span_id: ids.span.to_string() };
            let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
            scraped.requests.get_or_create(&labels).inc_by(1, Some(exemplar.clone()), Some(at));
            scraped.durations.get_or_create(&labels).observe(seconds, Some(exemplar), Some(at));
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = sent.entry(SeriesKey { pod, method, route, status }).or_default();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = histogram.counts.get_mut(bucket) {
            *count += 1;
        }
        histogram.sum += seconds;
        if histogram.examples.len() >= MAX_EXEMPLARS {
            histogram.examples.remove(0);
        }
        histogram.examples.push(Example { ids, time, seconds });
    }

    /// All series in order, with the exemplars since the last call.
    pub(super) fn take(&self) -> Vec<(SeriesKey, Histogram)> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(SeriesKey, Histogram)> = sent
            .iter_mut()
            .map(|(key, histogram)| {
                let examples = std::mem::take(&mut histogram.examples);
                (key.clone(), Histogram { examples, ..histogram.clone() })
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// OpenMetrics text of one service; `None` for a name that is not in the shop.
    pub(super) fn text(&self, service: &str) -> Option<String> {
        let (_, scraped) = self.scraped.iter().find(|(known, _)| *known == service)?;
        let mut out = String::new();
        encode(&mut out, &scraped.registry).ok()?;
        Some(out)
    }
}
