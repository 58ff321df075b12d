//! Rate, errors and duration of the metrics that are made of spans, under the names that Tempo's generator gives them: they are
//! there for every application that sends spans, whatever metrics of its own it has.

/// The span of time that a rate is taken over; Grafana puts in four scrape intervals at least.
const RATE_WINDOW: &str = "$__rate_interval";
/// Spans by which a service answers others; those that it waits in would count every request twice.
pub(crate) const ANSWERING: &str = "span_kind=~\"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER\"";
/// Spans that say they failed.
pub(crate) const FAILED: &str = "status_code=\"STATUS_CODE_ERROR\"";

/// Requests a second; `by` names the labels to keep, `matchers` picks the spans.
pub(crate) fn rate(matchers: &str, by: &str) -> String {
    format!("sum{}(rate(traces_spanmetrics_calls_total{{{matchers}}}[{RATE_WINDOW}]))", grouped(by))
}

/// The share of requests that failed, 0 to 1. Without one that failed it is 0 and not nothing.
pub(crate) fn failed_share(matchers: &str, by: &str) -> String {
    let (all, failed) = (rate(matchers, by), rate(&format!("{matchers}, {FAILED}"), by));
    format!("({failed} or 0 * {all}) / {all}")
}

/// The duration in seconds that this share of requests stays under.
pub(crate) fn quantile(share: &str, matchers: &str, by: &str) -> String {
    let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
    format!("histogram_quantile({share}, {})", buckets(matchers, &by))
}

/// Requests a second by duration, as a heat map wants them.
pub(crate) fn buckets(matchers: &str, by: &str) -> String {
    format!("sum{}(rate(traces_spanmetrics_latency_bucket{{{matchers}}}[{RATE_WINDOW}]))", grouped(by))
}

fn grouped(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(" by ({by}) ") }
}
