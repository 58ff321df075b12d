//! Typed parts of a dashboard, and their spelling in Grafana's classic dashboard format.
//!
//! A panel's data source follows from its query, so that neither can be without one or point at two. Which panels there are is
//! the business of each dashboard's own module.

use crate::datasources::Source;
use crate::node::Node;

/// The last version of the classic format; newer dashboards have another format altogether.
pub(crate) const SCHEMA_VERSION: i64 = 42;
/// Grafana's grid is this many columns wide.
pub(crate) const COLUMNS: i64 = 24;

/// A dashboard before it is written down.
pub(crate) struct Dashboard {
    /// Stable: links and bookmarks hold it.
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// Start of the shown time range, as Grafana writes it, `now-1h`.
    pub(crate) from: &'static str,
    pub(crate) variables: Vec<Variable>,
    pub(crate) panels: Vec<Panel>,
}

/// What a person can fill in above the panels.
pub(crate) enum Variable {
    /// Free text.
    Text { name: &'static str, label: &'static str, description: &'static str },
    /// Some or all values of a label of Prometheus.
    LabelValues { name: &'static str, label: &'static str, of: &'static str },
}

/// One rectangle of the dashboard.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) content: Content,
}

/// What a panel shows, and of what.
pub(crate) enum Content {
    /// One trace as a waterfall; the text is its id.
    Trace { id: String },
    /// Log lines, oldest first.
    Logs { query: String },
    /// Newest traces that a TraceQL query finds, each with a link.
    Traces { query: String, limit: i64, link: DataLink },
    /// Lines over time; with exemplars as dots on them.
    Series { unit: &'static str, queries: Vec<SeriesQuery> },
}

/// One PromQL expression and what to call its lines.
pub(crate) struct SeriesQuery {
    pub(crate) expression: String,
    pub(crate) legend: &'static str,
    /// Whether to ask for exemplars too. They come from the selectors of the expression.
    pub(crate) exemplars: bool,
}

/// A link on the values of one field.
pub(crate) struct DataLink {
    pub(crate) field: &'static str,
    pub(crate) title: &'static str,
    pub(crate) url: String,
}

impl Dashboard {
    /// The dashboard in the classic format. Panels fill rows from left to right in the order given.
    pub(crate) fn node(&self) -> Node {
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        let panels = self.panels.iter().zip(1..).map(|(panel, id)| {
            if x + panel.width > COLUMNS {
                (x, y, row_height) = (0, y + row_height, 0);
            }
            let node = panel.node(id, x, y);
            x += panel.width;
            row_height = row_height.max(panel.height);
            node
        });
        let panels = Node::list(panels);
        Node::map([
            ("uid", self.uid.into()),
            ("title", self.title.into()),
            ("description", self.description.into()),
            ("tags", Node::list(["trefoil"])),
            ("schemaVersion", SCHEMA_VERSION.into()),
            ("editable", true.into()),
            ("graphTooltip", 1.into()),
            ("time", Node::map([("from", self.from.into()), ("to", "now".into())])),
            ("timezone", "browser".into()),
            ("annotations", Node::map([("list", Node::List(Vec::new()))])),
            ("links", Node::List(Vec::new())),
            ("templating", Node::map([("list", Node::list(self.variables.iter().map(Variable::node)))])),
            ("panels", panels),
        ])
    }
}

impl Variable {
    fn node(&self) -> Node {
        match self {
            Self::Text { name, label, description } => Node::map([
                ("type", "textbox".into()),
                ("name", (*name).into()),
                ("label", (*label).into()),
                ("description", (*description).into()),
                ("hide", 0.into()),
                ("query", "".into()),
                ("current", Node::map([("text", "".into()), ("value", "".into())])),
                (
                    "options",
                    Node::list([Node::map([
                        ("selected", true.into()),
                        ("text", "".into()),
                        ("value", "".into()),
                    ])]),
                ),
            ]),
            Self::LabelValues { name, label, of } => Node::map([
                ("type", "query".into()),
                ("name", (*name).into()),
                ("label", (*label).into()),
                ("hide", 0.into()),
                ("datasource", Source::Prometheus.reference()),
                ("definition", format!("label_values({of})").into()),
                (
                    "query",
                    Node::map([
                        ("qryType", 1.into()),
                        ("query", format!("label_values({of})").into()),
                        ("refId", "PrometheusVariableQueryEditor-VariableQuery".into()),
                    ]),
                ),
                // On opening, and again when the time range changes.
                ("refresh", 2.into()),
                ("sort", 1.into()),
                ("multi", true.into()),
                ("includeAll", true.into()),
                ("allValue", ".+".into()),
                ("current", Node::map([("text", Node::list(["All"])), ("value", Node::list(["$__all"]))])),
                ("options", Node::List(Vec::new())),
            ]),
        }
    }
}

impl Panel {
    fn node(&self, id: i64, x: i64, y: i64) -> Node {
        Node::map([
            ("id", id.into()),
            ("type", self.content.plugin().into()),
            ("title", self.title.into()),
            ("description", self.description.into()),
            ("datasource", self.content.source().reference()),
            (
                "gridPos",
                Node::map([
                    ("x", x.into()),
                    ("y", y.into()),
                    ("w", self.width.into()),
                    ("h", self.height.into()),
                ]),
            ),
            ("fieldConfig", self.content.fields()),
            ("options", self.content.options()),
            ("targets", Node::List(self.content.targets())),
        ])
    }
}

impl Content {
    fn source(&self) -> Source {
        match self {
            Self::Trace { .. } | Self::Traces { .. } => Source::Tempo,
            Self::Logs { .. } => Source::Loki,
            Self::Series { .. } => Source::Prometheus,
        }
    }

    fn plugin(&self) -> &'static str {
        match self {
            Self::Trace { .. } => "traces",
            Self::Logs { .. } => "logs",
            Self::Traces { .. } => "table",
            Self::Series { .. } => "timeseries",
        }
    }

    fn fields(&self) -> Node {
        let (defaults, overrides) = match self {
            Self::Trace { .. } | Self::Logs { .. } => (Node::Map(Vec::new()), Vec::new()),
            Self::Traces { link, .. } => (Node::Map(Vec::new()), vec![link.node()]),
            Self::Series { unit, .. } => {
                (Node::map([("unit", (*unit).into()), ("min", 0.into())]), Vec::new())
            }
        };
        Node::map([("defaults", defaults), ("overrides", Node::List(overrides))])
    }

    fn options(&self) -> Node {
        match self {
            Self::Trace { .. } => Node::Map(Vec::new()),
            Self::Logs { .. } => Node::map([
                ("showTime", true.into()),
                ("showLabels", false.into()),
                ("showCommonLabels", false.into()),
                ("wrapLogMessage", true.into()),
                ("prettifyLogMessage", false.into()),
                ("enableLogDetails", true.into()),
                ("showLogContextToggle", true.into()),
                ("dedupStrategy", "none".into()),
                ("sortOrder", "Ascending".into()),
            ]),
            Self::Traces { .. } => Node::map([("showHeader", true.into()), ("cellHeight", "sm".into())]),
            Self::Series { .. } => Node::map([
                (
                    "legend",
                    Node::map([
                        ("displayMode", "list".into()),
                        ("placement", "bottom".into()),
                        ("showLegend", true.into()),
                    ]),
                ),
                ("tooltip", Node::map([("mode", "multi".into()), ("sort", "desc".into())])),
            ]),
        }
    }

    fn targets(&self) -> Vec<Node> {
        let target = |number: u8, keys: Vec<(&str, Node)>| {
            let mut entries = vec![
                ("refId".to_owned(), Node::Text(char::from(b'A' + number % 26).to_string())),
                ("datasource".to_owned(), self.source().reference()),
            ];
            entries.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
            Node::Map(entries)
        };
        match self {
            Self::Trace { id } => {
                vec![target(0, vec![("queryType", "traceql".into()), ("query", id.as_str().into())])]
            }
            Self::Logs { query } => vec![target(
                0,
                vec![
                    ("queryType", "range".into()),
                    ("expr", query.as_str().into()),
                    ("direction", "forward".into()),
                ],
            )],
            Self::Traces { query, limit, .. } => vec![target(
                0,
                vec![
                    ("queryType", "traceql".into()),
                    ("query", query.as_str().into()),
                    ("tableType", "traces".into()),
                    ("limit", (*limit).into()),
                ],
            )],
            Self::Series { queries, .. } => (0..)
                .zip(queries)
                .map(|(number, query)| {
                    target(
                        number,
                        vec![
                            ("expr", query.expression.as_str().into()),
                            ("legendFormat", query.legend.into()),
                            ("range", true.into()),
                            ("instant", false.into()),
                            ("exemplar", query.exemplars.into()),
                        ],
                    )
                })
                .collect(),
        }
    }
}

impl DataLink {
    fn node(&self) -> Node {
        Node::map([
            ("matcher", Node::map([("id", "byName".into()), ("options", self.field.into())])),
            (
                "properties",
                Node::list([Node::map([
                    ("id", "links".into()),
                    (
                        "value",
                        Node::list([Node::map([
                            ("title", self.title.into()),
                            ("url", self.url.as_str().into()),
                            ("targetBlank", false.into()),
                        ])]),
                    ),
                ])]),
            ),
        ])
    }
}
