//! Which series measure requests, by their names.

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

/// Words in the names of counters of requests.
const REQUESTS: [&str; 6] = ["request", "response", "calls", "handled", "rpc", "http"];
/// Words in such names that count something else.
const OTHERS: [&str; 8] = ["bytes", "size", "exception", "connection", "body", "ajax", "retries", "promhttp"];

/// Whether series of this name may be those that exemplars are made for.
pub(crate) fn may_count_requests(name: &str) -> bool {
    unit(name).is_some()
}

/// What the values of a metric are of, if it measures requests.
pub(super) fn unit(metric: &str) -> Option<Unit> {
    /// The end of a name, and what the unit of what is before it makes of it.
    type Kind = (&'static str, fn(f64) -> Unit);
    let kinds: [Kind; 3] =
        [("_bucket", Unit::Buckets), ("_sum", Unit::Durations), ("_count", |_| Unit::Requests)];
    for (end, unit) in kinds {
        if let Some(base) = metric.strip_suffix(end) {
            return duration(base).map(unit);
        }
    }
    let counts = metric.ends_with("_total")
        && REQUESTS.iter().any(|word| metric.contains(word))
        && !OTHERS.iter().any(|word| metric.contains(word));
    counts.then_some(Unit::Requests)
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
            ("up", None),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
