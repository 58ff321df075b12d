//! The dashboard "One request": what one trace id says in all three signals, and where to find one.

use crate::metric_names::{MetricName, SURFACE};
use crate::panel::{COLUMNS, Content, Dashboard, DataLink, Panel, SeriesQuery, Variable};
use crate::red;

/// Part of bookmarks and links; must never change.
pub(crate) const UID: &str = "trefoil-one-request";
/// Rows of the table of recent traces: a screen's worth, and Grafana's own default.
const RECENT_TRACES: i64 = 20;
/// Picks the services chosen above the panels.
const SERVICES: &str = "job=~\"$service\"";
/// The second condition keeps the panel empty until an id is given: lines without one have an empty label.
const LINES_OF_TRACE: &str = r#"{service_name=~".+"} | trace_id="$trace_id" | trace_id!="""#;

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: UID,
        title: "One request",
        description: "Spans, log lines and metrics of one trace id.",
        from: "now-1h",
        variables: vec![
            Variable::Text { name: "trace_id", label: "Trace id", description: "In hex, 32 digits or 16" },
            Variable::LabelValues { name: "service", label: "Service (job)", of: "job" },
        ],
        panels: vec![
            Panel {
                title: "Trace",
                description: "",
                width: COLUMNS,
                height: 14,
                content: Content::Trace { id: "$trace_id".to_owned() },
            },
            Panel {
                title: "Log lines of the trace",
                description: "Found through the trace index, in every stream.",
                width: COLUMNS,
                height: 10,
                content: Content::Logs { query: LINES_OF_TRACE.to_owned() },
            },
            Panel {
                title: "Requests",
                description: "By service, of the first known request metric that it exposes.",
                width: COLUMNS / 3,
                height: 8,
                content: Content::Series {
                    unit: "reqps",
                    queries: vec![series(red::rate(SERVICES, " by (job) "), "{{job}}", false)],
                },
            },
            Panel {
                title: "Errors",
                description: "Answers of class 5xx by service.",
                width: COLUMNS / 3,
                height: 8,
                content: Content::Series {
                    unit: "reqps",
                    queries: vec![series(red::errors(SERVICES, " by (job) "), "{{job}}", false)],
                },
            },
            Panel {
                title: "Duration, 95 %",
                description: "Dots are exemplars: single requests, each with a link to its trace.",
                width: COLUMNS / 3,
                height: 8,
                content: Content::Series {
                    unit: "s",
                    queries: vec![series(red::quantile("0.95", SERVICES, " by (le, job) "), "{{job}}", true)],
                },
            },
            Panel {
                title: "Recent traces",
                description: "The id opens this page for that trace.",
                width: COLUMNS / 2,
                height: 10,
                content: Content::Traces {
                    query: "{}".to_owned(),
                    limit: RECENT_TRACES,
                    link: DataLink {
                        field: "traceID",
                        title: "Show this request",
                        url: format!("/d/{UID}?var-trace_id=${{__value.raw}}&${{__url_time_range}}"),
                    },
                },
            },
            Panel {
                title: "Trefoil's own answers, 99 %",
                description: "How long Trefoil takes, by surface; its exemplars lead to its own traces.",
                width: COLUMNS / 2,
                height: 10,
                content: Content::Series {
                    unit: "s",
                    queries: vec![series(own_latency(), "{{surface}}", true)],
                },
            },
        ],
    }
}

fn own_latency() -> String {
    format!(
        "histogram_quantile(0.99, sum by (le, {SURFACE}) (rate({}[$__rate_interval])))",
        MetricName::HttpRequestDuration.buckets()
    )
}

fn series(expression: String, legend: &'static str, exemplars: bool) -> SeriesQuery {
    SeriesQuery { expression, legend, exemplars }
}
