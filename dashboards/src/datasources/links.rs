//! What leads from one signal to the next.

use super::{Homes, Place, Source};
use crate::node::Node;
use crate::red;

/// How far round a span its logs and metrics are looked for: longer than usual clock skew and log flushing, short enough to be
/// cheap.
const SPAN_MARGIN: &str = "5m";

/// Where an id is found in a log line.
enum Matcher {
    /// In the label or structured metadata whose name matches: an unanchored expression.
    Label(&'static str),
    /// In capture group 1 of the line: an expression of JavaScript, without inline flags.
    Line(&'static str),
}

/// What Trefoil found itself comes as structured metadata; the other two serve lines that were stored without it.
const DERIVED_FIELDS: [(&str, Matcher, &str); 3] = [
    ("trace_id", Matcher::Label("^trace_id$"), "Open trace"),
    (
        "trace_id in line",
        Matcher::Line(r#"[tT]race[._-]?[iI][dD]["']?\s*[=:]\s*["']?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})\b"#),
        "Open trace named in the line",
    ),
    (
        "traceparent in line",
        Matcher::Line(r"\b00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b"),
        "Open trace of the traceparent",
    ),
];

/// From log lines to each place that shows traces.
pub(super) fn derived_fields(homes: &Homes<'_>) -> Node {
    let several = homes.traces.len() > 1;
    Node::list(homes.traces.iter().flat_map(|place| {
        DERIVED_FIELDS.iter().map(move |(name, matcher, title)| {
            let (kind, regex) = match matcher {
                Matcher::Label(regex) => ("label", *regex),
                Matcher::Line(regex) => ("regex", *regex),
            };
            // Fields of one name would hide each other.
            let (name, title) = if several {
                (format!("{name} ({})", place.uid), format!("{title} ({})", place.uid))
            } else {
                ((*name).to_owned(), (*title).to_owned())
            };
            Node::map([
                ("name", name.into()),
                ("matcherType", kind.into()),
                ("matcherRegex", regex.into()),
                ("datasourceUid", place.uid.into()),
                ("url", "${__value.raw}".into()),
                ("urlDisplayLabel", title.into()),
            ])
        })
    }))
}

/// From spans to the lines of their trace.
pub(super) fn traces_to_logs(homes: &Homes<'_>) -> Node {
    Node::map([
        ("datasourceUid", homes.logs.into()),
        ("tags", tags("service_name")),
        ("spanStartTimeShift", format!("-{SPAN_MARGIN}").into()),
        ("spanEndTimeShift", SPAN_MARGIN.into()),
        ("customQuery", true.into()),
        ("query", "{${__tags}} | trace_id=\"${__trace.traceId}\"".into()),
    ])
}

/// From spans to the metrics of their service.
pub(super) fn traces_to_metrics(homes: &Homes<'_>) -> Node {
    let query =
        |name: &str, expression: String| Node::map([("name", name.into()), ("query", expression.into())]);
    Node::map([
        ("datasourceUid", homes.metrics.into()),
        ("tags", tags("job")),
        ("spanStartTimeShift", format!("-{SPAN_MARGIN}").into()),
        ("spanEndTimeShift", SPAN_MARGIN.into()),
        (
            "queries",
            Node::list([
                query("Requests a second", red::rate("$__tags", "")),
                query("Errors a second", red::errors("$__tags", "")),
                query("Duration, 95 %", red::quantile("0.95", "$__tags", " by (le) ")),
                // Without a query Grafana asks for the median of the span metrics of the span's service.
                Node::map([("name", "Duration of its spans, 50 %".into())]),
            ]),
        ),
    ])
}

/// How the name of a span's service is called among the labels of another signal.
fn tags(label: &str) -> Node {
    Node::list([Node::map([("key", "service.name".into()), ("value", label.into())])])
}

/// From exemplars to each place that shows traces, by both names of the id that clients use.
pub(super) fn exemplar_destinations(homes: &Homes<'_>) -> Node {
    let several = homes.traces.len() > 1;
    Node::list(homes.traces.iter().flat_map(|place| {
        ["trace_id", "traceID"].map(|label| {
            let title = if several { format!("Open trace ({})", place.uid) } else { "Open trace".to_owned() };
            Node::map([
                ("name", label.into()),
                ("datasourceUid", place.uid.into()),
                ("urlDisplayLabel", title.into()),
            ])
        })
    }))
}

/// The query by which a data source shows the trace whose id a variable holds.
pub(super) fn trace_query(place: Place<'_>, variable: &str) -> Node {
    let query = ("query", Node::Text(format!("${{{variable}}}")));
    match place.source {
        Source::Tempo => Node::map([query, ("queryType", "traceql".into())]),
        _ => Node::map([query]),
    }
}
