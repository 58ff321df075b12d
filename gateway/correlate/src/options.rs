//! Limits and settings of a join. Every list of an answer has its bound here.

use std::time::Duration;

use store::SamplingOptions;

use super::{Doors, LabelMapping, OfferLimits};

/// Exemplars taken from a metrics server.
pub const DEFAULT_EXEMPLAR_LIMIT: usize = 500;
/// Metric links; each is a series with its values, and more than this nobody reads.
pub const DEFAULT_METRIC_LIMIT: usize = 60;
/// Services whose metrics are looked for.
pub const DEFAULT_SERVICE_LIMIT: usize = 16;
/// Links to other traces.
pub const DEFAULT_LINK_LIMIT: usize = 200;
/// Warnings.
pub const DEFAULT_WARNING_LIMIT: usize = 50;
/// The answer does not wait longer for metrics: a person is looking at it.
pub const DEFAULT_METRIC_DEADLINE: Duration = Duration::from_secs(2);
/// Queries under way at a metrics server for one answer; its own default limit is 20 for all users.
pub const DEFAULT_METRIC_CONCURRENCY: usize = 4;
/// Before the request: enough for a rate over a few scrapes.
pub const DEFAULT_PAD_BEFORE: Duration = Duration::from_mins(5);
/// After the request: the next scrapes, which hold what it counted.
pub const DEFAULT_PAD_AFTER: Duration = Duration::from_mins(2);
/// Values of one series.
pub const DEFAULT_POINT_LIMIT: usize = 120;

/// Settings of a [`super::Correlator`].
#[derive(Debug, Clone)]
pub struct CorrelateOptions {
    /// Exemplars taken from a metrics server.
    pub exemplar_limit: usize,
    /// Metric links in an answer.
    pub metric_limit: usize,
    /// Services whose metrics are looked for.
    pub service_limit: usize,
    /// Links in an answer.
    pub link_limit: usize,
    /// Warnings in an answer.
    pub warning_limit: usize,
    /// How long an answer waits for the metrics server, all its queries together; of samples that are stored here, how long it
    /// goes on asking.
    pub metric_deadline: Duration,
    /// Queries under way at once for one answer.
    pub metric_concurrency: usize,
    /// How much before the trace metrics are shown.
    pub pad_before: Duration,
    /// How much after it.
    pub pad_after: Duration,
    /// Values of one series.
    pub point_limit: usize,
    /// What is read and offered of log lines without an id.
    pub offer: OfferLimits,
    /// Which labels say the same thing as which resource attributes.
    pub mapping: LabelMapping,
    /// Regular expressions (anchored, RE2) of metric names that describe a service's work or its use of resources.
    pub metric_names: Vec<String>,
    /// Where spans are received, for who misses some.
    pub doors: Doors,
    /// Which traces are dropped after they were received, for who misses those.
    pub sampling: Option<SamplingOptions>,
}

/// RED series of the usual libraries and the two cAdvisor series that say whether a container was short of anything.
/// Histogram buckets and sums are left out: the count tells the rate, and a bucket is not readable alone.
pub const DEFAULT_METRIC_NAMES: [&str; 7] = [
    "http_server_.*(duration|requests?|latency).*_(count|total)",
    "http_requests?_.*(count|total)",
    "django_http_.*_(count|total)",
    "traces_span_?metrics_calls_total",
    "rpc_(server|client)_.*_count|grpc_server_handled_total",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
];

impl Default for CorrelateOptions {
    fn default() -> Self {
        Self {
            exemplar_limit: DEFAULT_EXEMPLAR_LIMIT,
            metric_limit: DEFAULT_METRIC_LIMIT,
            service_limit: DEFAULT_SERVICE_LIMIT,
            link_limit: DEFAULT_LINK_LIMIT,
            warning_limit: DEFAULT_WARNING_LIMIT,
            metric_deadline: DEFAULT_METRIC_DEADLINE,
            metric_concurrency: DEFAULT_METRIC_CONCURRENCY,
            pad_before: DEFAULT_PAD_BEFORE,
            pad_after: DEFAULT_PAD_AFTER,
            point_limit: DEFAULT_POINT_LIMIT,
            offer: OfferLimits::default(),
            mapping: LabelMapping::default(),
            metric_names: DEFAULT_METRIC_NAMES.iter().map(|&name| name.to_owned()).collect(),
            doors: Doors::default(),
            sampling: None,
        }
    }
}
