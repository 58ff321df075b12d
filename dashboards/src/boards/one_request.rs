//! The dashboard "One request": what one trace id says in all three signals, and where to find one.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::metric_names::{MetricName, SURFACE};
use crate::panel::{Content, Drawn, Order, Panel};
use crate::query::Query;
use crate::red;

/// Part of bookmarks and links; must never change.
pub(crate) const UID: &str = "trefoil-one-request";
/// Picks the services chosen above the panels.
const SERVICES: &str = "job=~\"$service\"";
/// The second condition keeps the panel empty until an id is given: lines without one have an empty label.
const LINES_OF_TRACE: &str = r#"{service_name=~".+"} | trace_id="$trace_id" | trace_id!="""#;

pub(crate) fn dashboard() -> Dashboard {
    let third = COLUMNS / 3;
    let series = |title, width, unit, query| {
        Panel::new(title, width, 8, Content::Series { unit, drawn: Drawn::Lines, queries: vec![query] })
    };
    Dashboard {
        uid: UID,
        title: "One request",
        description: "Spans, log lines and metrics of one trace id.",
        from: "now-1h",
        variables: vec![
            Variable::Text { name: "trace_id", label: "Trace id", description: "In hex, 32 digits or 16" },
            Variable::of_prometheus("service", "Service (job)", "", "job"),
        ],
        panels: vec![
            Panel::new("Trace", COLUMNS, 14, Content::Trace { id: "$trace_id".to_owned() }),
            Panel::new(
                "Log lines of the trace",
                COLUMNS,
                10,
                Content::Logs { query: LINES_OF_TRACE.to_owned(), order: Order::OldestFirst },
            )
            .about("Found through the trace index, in every stream."),
            series("Requests", third, "reqps", Query::promql(red::rate(SERVICES, " by (job) "), "{{job}}"))
                .about("By service, of the first known request metric that it exposes."),
            series("Errors", third, "reqps", Query::promql(red::errors(SERVICES, " by (job) "), "{{job}}"))
                .about("Answers of class 5xx by service."),
            series(
                "Duration, 95 %",
                third,
                "s",
                Query::promql(red::quantile("0.95", SERVICES, " by (le, job) "), "{{job}}").with_exemplars(),
            )
            .about("Dots are exemplars: single requests, each with a link to its trace."),
            traces("Recent traces", COLUMNS / 2, "{}").about("The id opens this page for that trace."),
            series(
                "Trefoil's own answers, 99 %",
                COLUMNS / 2,
                "s",
                Query::promql(own_latency(), "{{surface}}").with_exemplars(),
            )
            .about("How long Trefoil takes, by surface; its exemplars lead to its own traces."),
        ],
    }
}

fn own_latency() -> String {
    format!(
        "histogram_quantile(0.99, sum by (le, {SURFACE}) (rate({}[$__rate_interval])))",
        MetricName::HttpRequestDuration.buckets()
    )
}
