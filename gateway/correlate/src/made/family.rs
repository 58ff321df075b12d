//! What series measure, by their names: durations or counts, and of which kind of span.

use parsers::record::{Labels, Span, SpanKind};

/// What the values of a series are of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// Buckets of durations; nanoseconds in their unit.
    Buckets(f64),
    /// Sums of durations; nanoseconds in their unit.
    Durations(f64),
    /// Counts, to which a request adds one.
    Requests,
}

impl Unit {
    pub(super) fn is_of_buckets(self) -> bool {
        matches!(self, Self::Buckets(_))
    }

    /// What a request of this duration in nanoseconds adds.
    pub(super) fn of(self, duration: u64) -> f64 {
        match self {
            Self::Buckets(unit) | Self::Durations(unit) => duration as f64 / unit,
            Self::Requests => 1.0,
        }
    }
}

/// Words of names that measure no call: pauses, queues, pools, caches, sizes.
const OTHERS: [&str; 23] = [
    "ajax",
    "body",
    "bytes",
    "cache",
    "commit",
    "connection",
    "connections",
    "create",
    "exception",
    "exceptions",
    "gc",
    "hits",
    "misses",
    "pause",
    "poll",
    "pool",
    "promhttp",
    "queue",
    "rebalance",
    "retries",
    "size",
    "use",
    "wait",
];
/// Words of names of databases and of what is asked of them.
const DATABASE: [&str; 17] = [
    "cassandra",
    "clickhouse",
    "db",
    "database",
    "dynamodb",
    "elasticsearch",
    "jdbc",
    "memcached",
    "mongo",
    "mongodb",
    "mssql",
    "mysql",
    "postgres",
    "postgresql",
    "redis",
    "sql",
    "sqlalchemy",
];
/// Of brokers of messages.
const MESSAGES: [&str; 10] =
    ["amqp", "consumer", "kafka", "messages", "messaging", "nats", "producer", "pulsar", "rabbitmq", "sqs"];
/// Of remote procedure calls.
const CALLS: [&str; 3] = ["grpc", "rpc", "twirp"];
/// Of requests over HTTP.
const HTTP: [&str; 4] = ["django", "fastapi", "flask", "http"];
/// Of requests over any protocol.
const REQUESTS: [&str; 6] = ["calls", "handled", "request", "requests", "response", "responses"];
/// Labels that say which operation it is: who counts by these counts calls.
pub(super) const OPERATIONS: [&str; 12] = [
    "endpoint",
    "grpc_method",
    "handler",
    "http_route",
    "http_target",
    "operation",
    "path",
    "route",
    "rpc_method",
    "span_name",
    "uri",
    "view",
];
/// What the names of series that are counted of spans begin with.
const OF_SPANS: &str = "traces_span";

/// The kind of span of which a series is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    /// What a service is asked for, or asks for, over HTTP.
    Http,
    /// The same over HTTP or as a remote procedure call.
    Request,
    /// A remote procedure call.
    Call,
    /// A question to a database.
    Database,
    /// A message that is sent or taken.
    Message,
    /// The name does not tell: labels have to name the operation.
    Unknown,
}

/// Whether series of this name may be those that exemplars are made for.
pub(crate) fn may_count_requests(name: &str) -> bool {
    unit(name).is_some()
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', ':'])
}

/// What a metric is made of, by the words of its name; `None` if it measures no call.
fn measured(metric: &str) -> Option<Measured> {
    let has = |list: &[&str]| words(metric).any(|word| list.contains(&word));
    let of = [
        (Measured::Database, &DATABASE[..]),
        (Measured::Message, &MESSAGES[..]),
        (Measured::Call, &CALLS[..]),
        (Measured::Http, &HTTP[..]),
        (Measured::Request, &REQUESTS[..]),
    ];
    let told = of.into_iter().find(|(_, list)| has(list)).map(|(measured, _)| measured);
    (!has(&OTHERS)).then(|| told.unwrap_or(Measured::Unknown))
}

/// What the values of a metric are of, if it may measure calls.
pub(super) fn unit(metric: &str) -> Option<Unit> {
    /// The end of a name, and what the unit of what is before it makes of it.
    type Kind = (&'static str, fn(f64) -> Unit);
    let measured = measured(metric)?;
    let kinds: [Kind; 3] =
        [("_bucket", Unit::Buckets), ("_sum", Unit::Durations), ("_count", |_| Unit::Requests)];
    for (end, unit) in kinds {
        if let Some(base) = metric.strip_suffix(end) {
            return duration(base).map(unit);
        }
    }
    (metric.ends_with("_total") && measured != Measured::Unknown).then_some(Unit::Requests)
}

/// Whether exemplars can be made for a series: its name speaks of calls, or a label names the operation.
pub(super) fn is_of_calls(labels: &Labels) -> bool {
    let name = labels.get("__name__").unwrap_or_default();
    match measured(name) {
        None => false,
        Some(Measured::Unknown) => {
            name.starts_with(OF_SPANS) || OPERATIONS.iter().any(|label| labels.get(label).is_some())
        }
        Some(_) => true,
    }
}

/// Whether a name alone says what kind of span a series is made of.
pub(super) fn is_told_by_name(name: &str) -> bool {
    name.starts_with(OF_SPANS) || measured(name).is_some_and(|measured| measured != Measured::Unknown)
}

/// Whether a span is of the kind and the side that a series measures. Series that are counted of spans say it by labels.
pub(super) fn measures(labels: &Labels, span: &Span) -> bool {
    if ["span_name", "span_kind"].iter().any(|label| labels.get(label).is_some()) {
        return true;
    }
    let name = labels.get("__name__").unwrap_or_default();
    let asks = matches!(span.kind, SpanKind::Client | SpanKind::Producer);
    let serves = matches!(span.kind, SpanKind::Server | SpanKind::Consumer);
    let client = words(name).any(|word| word == "client");
    let side = if client { asks } else { serves };
    let says = |beginnings: &[&str]| {
        span.attributes.iter().any(|(key, _)| beginnings.iter().any(|start| key.starts_with(start)))
    };
    let (database, message) = (says(&["db.", "sql.query"]), says(&["messaging.", "message_bus."]));
    let (call, http) = (says(&["rpc.", "grpc."]), says(&["http.", "url."]));
    // A span of what a service is asked for may not tell the protocol; one of what it asks for has to.
    let untold = !(client || database || message || call);
    match measured(name) {
        None => false,
        Some(Measured::Database) => !serves && database,
        Some(Measured::Message) => (asks || serves) && message,
        Some(Measured::Call) => side && call,
        Some(Measured::Http) => side && (http || untold),
        Some(Measured::Request) => side && (http || call || untold),
        Some(Measured::Unknown) => side,
    }
}

/// Nanoseconds in the unit of a histogram, if it is one of durations.
fn duration(base: &str) -> Option<f64> {
    // `django_http_requests_latency_seconds_by_view_method`
    let base = base.split_once("_by_").map_or(base, |(base, _)| base);
    let units =
        [("seconds", 1e9), ("milliseconds", 1e6), ("ms", 1e6), ("microseconds", 1e3), ("nanoseconds", 1.0)];
    let named = units.into_iter().find(|(name, _)| base.rsplit('_').next() == Some(*name));
    // Span metrics of Tempo and of the Collector's older versions: seconds, without saying so.
    named.map(|(_, unit)| unit).or_else(|| base.ends_with("_latency").then_some(1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_measured() {
        for (name, expected) in [
            ("http_server_duration_seconds_bucket", Some(Unit::Buckets(1e9))),
            ("http_server_duration_milliseconds_sum", Some(Unit::Durations(1e6))),
            ("http_server_duration_milliseconds_count", Some(Unit::Requests)),
            ("django_http_requests_latency_seconds_by_view_method_bucket", Some(Unit::Buckets(1e9))),
            ("django_http_requests_latency_including_middlewares_seconds_bucket", Some(Unit::Buckets(1e9))),
            ("django_http_responses_total_by_status_view_method_total", Some(Unit::Requests)),
            ("traces_spanmetrics_latency_bucket", Some(Unit::Buckets(1e9))),
            ("traces_spanmetrics_calls_total", Some(Unit::Requests)),
            ("django_http_requests_body_total_bytes_bucket", None),
            ("http_response_size_bytes_sum", None),
            ("process_cpu_seconds_total", None),
            ("gc_pause_seconds_bucket", None),
            ("db_client_connections_wait_time_milliseconds_bucket", None),
            ("kafka_consumer_poll_duration_seconds_bucket", None),
            ("response_cache_hits_total", None),
            ("checkout_duration_seconds_bucket", Some(Unit::Buckets(1e9))),
            ("checkout_total", None),
            ("up", None),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
