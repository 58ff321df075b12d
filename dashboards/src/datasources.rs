//! The three Grafana data sources, typed, with the links that lead from one to the next.
//!
//! Key names are those of Grafana's own Loki, Tempo and Prometheus plugins. Text is held as Grafana shall see it in the end,
//! with single `$`; the doubling that provisioning files need happens in `target`.

use crate::node::Node;
use crate::red;

/// Stable uid of the log data source; every link depends on it.
pub const LOKI_UID: &str = "trefoil-loki";
/// Stable uid of the trace data source.
pub const TEMPO_UID: &str = "trefoil-tempo";
/// Stable uid of the metric data source.
pub const PROMETHEUS_UID: &str = "trefoil-prometheus";

/// Log lines that Explore asks for at once, Grafana's own default made visible.
const MAX_LINES: &str = "1000";
/// How far round a span its logs and metrics are looked for: longer than usual clock skew and log flushing, short enough to be
/// cheap.
const SPAN_MARGIN: &str = "5m";

/// Which of Grafana's plugins a panel or query speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Loki,
    Tempo,
    Prometheus,
}

impl Source {
    pub(crate) fn uid(self) -> &'static str {
        match self {
            Self::Loki => LOKI_UID,
            Self::Tempo => TEMPO_UID,
            Self::Prometheus => PROMETHEUS_UID,
        }
    }

    pub(crate) fn plugin(self) -> &'static str {
        match self {
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Prometheus => "prometheus",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Loki => "Trefoil logs",
            Self::Tempo => "Trefoil traces",
            Self::Prometheus => "Trefoil metrics",
        }
    }

    /// Where the surface is mounted on Trefoil's main port; the Loki plugin adds `/loki` itself.
    fn mount(self) -> &'static str {
        match self {
            Self::Loki => "",
            Self::Tempo => "/tempo",
            Self::Prometheus => "/prometheus",
        }
    }

    /// `{type, uid}`, as dashboards refer to a data source.
    pub(crate) fn reference(self) -> Node {
        Node::map([("type", self.plugin().into()), ("uid", self.uid().into())])
    }
}

/// A link from a log line to its trace.
struct DerivedField {
    name: &'static str,
    matcher: LineMatcher,
    title: &'static str,
}

/// Where the id is found.
enum LineMatcher {
    /// In the label or structured metadata whose name matches: an unanchored expression.
    Label(&'static str),
    /// In capture group 1 of the line: an expression of JavaScript, without inline flags.
    Line(&'static str),
}

/// What Trefoil found itself comes as structured metadata; the other two serve lines of streams that were stored without it.
const DERIVED_FIELDS: [DerivedField; 3] = [
    DerivedField { name: "trace_id", matcher: LineMatcher::Label("^trace_id$"), title: "Open trace" },
    DerivedField {
        name: "trace_id in line",
        matcher: LineMatcher::Line(
            r#"[tT]race[._-]?[iI][dD]["']?\s*[=:]\s*["']?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})\b"#,
        ),
        title: "Open trace named in the line",
    },
    DerivedField {
        name: "traceparent in line",
        matcher: LineMatcher::Line(r"\b00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b"),
        title: "Open trace of the traceparent",
    },
];

impl DerivedField {
    fn node(&self) -> Node {
        let (matcher, regex) = match self.matcher {
            LineMatcher::Label(regex) => ("label", regex),
            LineMatcher::Line(regex) => ("regex", regex),
        };
        Node::map([
            ("name", self.name.into()),
            ("matcherType", matcher.into()),
            ("matcherRegex", regex.into()),
            ("datasourceUid", Source::Tempo.uid().into()),
            ("url", "${__value.raw}".into()),
            ("urlDisplayLabel", self.title.into()),
        ])
    }
}

/// How a span's attribute is called among the labels of another signal.
struct TagName {
    attribute: &'static str,
    label: &'static str,
}

impl TagName {
    fn node(&self) -> Node {
        Node::map([("key", self.attribute.into()), ("value", self.label.into())])
    }
}

/// All data sources as Grafana's entries, for a Trefoil at this address (no slash at the end).
pub(crate) fn entries(base_url: &str) -> Vec<Node> {
    vec![
        entry(Source::Loki, base_url, loki_settings()),
        entry(Source::Tempo, base_url, tempo_settings()),
        entry(Source::Prometheus, base_url, prometheus_settings()),
    ]
}

fn entry(source: Source, base_url: &str, settings: Node) -> Node {
    Node::map([
        ("name", source.name().into()),
        ("type", source.plugin().into()),
        ("uid", source.uid().into()),
        ("access", "proxy".into()),
        ("url", format!("{base_url}{}", source.mount()).into()),
        // A second default in one organisation keeps Grafana from starting, and most already have one.
        ("isDefault", false.into()),
        ("jsonData", settings),
    ])
}

fn loki_settings() -> Node {
    Node::map([
        ("maxLines", MAX_LINES.into()),
        ("manageAlerts", false.into()),
        ("derivedFields", Node::list(DERIVED_FIELDS.iter().map(DerivedField::node))),
    ])
}

fn tempo_settings() -> Node {
    let margins = || (format!("-{SPAN_MARGIN}"), SPAN_MARGIN);
    let (before, after) = margins();
    let logs = Node::map([
        ("datasourceUid", Source::Loki.uid().into()),
        ("tags", Node::list([TagName { attribute: "service.name", label: "service_name" }.node()])),
        ("spanStartTimeShift", before.into()),
        ("spanEndTimeShift", after.into()),
        ("customQuery", true.into()),
        ("query", "{${__tags}} | trace_id=\"${__trace.traceId}\"".into()),
    ]);
    let query =
        |name: &str, expression: String| Node::map([("name", name.into()), ("query", expression.into())]);
    let (before, after) = margins();
    let metrics = Node::map([
        ("datasourceUid", Source::Prometheus.uid().into()),
        ("tags", Node::list([TagName { attribute: "service.name", label: "job" }.node()])),
        ("spanStartTimeShift", before.into()),
        ("spanEndTimeShift", after.into()),
        (
            "queries",
            Node::list([
                query("Requests a second", red::rate("$__tags", "")),
                query("Errors a second", red::errors("$__tags", "")),
                query("Duration, 95 %", red::quantile("0.95", "$__tags", " by (le) ")),
            ]),
        ),
    ]);
    Node::map([
        ("nodeGraph", Node::map([("enabled", true.into())])),
        ("streamingEnabled", Node::map([("search", false.into()), ("metrics", false.into())])),
        ("tracesToLogsV2", logs),
        ("tracesToMetrics", metrics),
    ])
}

fn prometheus_settings() -> Node {
    Node::map([
        ("httpMethod", "POST".into()),
        ("manageAlerts", false.into()),
        (
            "exemplarTraceIdDestinations",
            Node::list(["trace_id", "traceID"].map(|label| {
                Node::map([
                    ("name", label.into()),
                    ("datasourceUid", Source::Tempo.uid().into()),
                    ("urlDisplayLabel", "Open trace".into()),
                ])
            })),
        ),
    ])
}
