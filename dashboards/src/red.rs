//! The request metrics that instrumented services expose, and rate, errors and duration queries over whichever is there.
//!
//! These are other programs' metrics; Trefoil's own are in `metric_names`.

/// One family of server-side request metrics, as an instrumentation library names it. Durations are in seconds.
struct Family {
    /// Histogram of request durations, without `_bucket`.
    duration: &'static str,
    /// Counter by which failures are told, with the matcher that picks them out.
    failures: (&'static str, &'static str),
}

/// In order of preference: the first that a service exposes is drawn.
const FAMILIES: [Family; 3] = [
    // OpenTelemetry semantic conventions 1.23 and later, as Prometheus names them.
    Family {
        duration: "http_server_request_duration_seconds",
        failures: ("http_server_request_duration_seconds_count", "http_response_status_code=~\"5..\""),
    },
    // django-prometheus.
    Family {
        duration: "django_http_requests_latency_including_middlewares_seconds",
        failures: ("django_http_responses_total_by_status_total", "status=~\"5..\""),
    },
    // The most common hand-written name.
    Family {
        duration: "http_request_duration_seconds",
        failures: ("http_request_duration_seconds_count", "status=~\"5..\""),
    },
];

/// The span of time that a rate is taken over; Grafana puts in four scrape intervals at least.
const RATE_WINDOW: &str = "$__rate_interval";

/// Requests a second; `by` names the labels to keep, `matchers` picks the services.
pub(crate) fn rate(matchers: &str, by: &str) -> String {
    first_present(|family| format!("sum{by}(rate({}_count{{{matchers}}}[{RATE_WINDOW}]))", family.duration))
}

/// Failed requests a second.
pub(crate) fn errors(matchers: &str, by: &str) -> String {
    first_present(|family| {
        let (counter, failed) = family.failures;
        format!("sum{by}(rate({counter}{{{matchers},{failed}}}[{RATE_WINDOW}]))")
    })
}

/// The duration in seconds that this share of requests stays under; `by` has to keep `le`.
pub(crate) fn quantile(share: &str, matchers: &str, by: &str) -> String {
    first_present(|family| {
        format!(
            "histogram_quantile({share}, sum{by}(rate({}_bucket{{{matchers}}}[{RATE_WINDOW}])))",
            family.duration
        )
    })
}

fn first_present(query: impl Fn(&Family) -> String) -> String {
    FAMILIES.iter().map(query).collect::<Vec<_>>().join(" or ")
}
