//! Typed panels, and their spelling in Grafana's classic dashboard format.
//!
//! A panel's data source follows from its queries, so that neither can be without one or point at two. Which panels there are is
//! the business of each dashboard's own module.

use crate::datasources::Source;
use crate::node::Node;
use crate::query::Query;

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
    /// Log lines.
    Logs { query: String, order: Order },
    /// Newest traces that a TraceQL query finds, each with a link.
    Traces { query: String, limit: i64, link: DataLink },
    /// Lines over time; with exemplars as dots on them.
    Series { unit: &'static str, drawn: Drawn, queries: Vec<Query> },
    /// The newest value, large.
    Stat { unit: &'static str, query: Query },
    /// How many requests took how long, over time: of the buckets of a histogram, by `le`.
    Heat { query: Query },
    /// The services and who calls whom, as the Tempo data source draws them of its service-graph metrics.
    ServiceMap,
    /// A row for each label set that the columns have in common.
    Table { columns: Vec<Column>, link: Option<DataLink> },
}

/// Which lines come first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As a request went.
    OldestFirst,
    /// As things are now.
    NewestFirst,
}

/// How series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// Lines, each from the axis.
    Lines,
    /// Bars, each on top of the one below: parts of a whole.
    Stacked,
}

/// One column of a table: the value of an instant query.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) query: Query,
}

/// A link on the values of one field.
pub(crate) struct DataLink {
    pub(crate) field: &'static str,
    pub(crate) title: &'static str,
    pub(crate) url: String,
}

impl Panel {
    /// A panel without words below its title.
    pub(crate) fn new(title: &'static str, width: i64, height: i64, content: Content) -> Self {
        Self { title, description: "", width, height, content }
    }

    /// The same with words behind the mark next to its title.
    pub(crate) fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// The panel with this number, at this place.
    pub(crate) fn node(&self, id: i64, x: i64, y: i64) -> Node {
        let mut node = vec![
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
        ];
        if let Content::Table { columns, .. } = &self.content {
            node.push(("transformations", in_one_table(columns)));
        }
        Node::of(node)
    }
}

/// Joins the answers of all columns by their labels, and names the columns.
fn in_one_table(columns: &[Column]) -> Node {
    let names =
        ('A'..).zip(columns).map(|(letter, column)| (format!("Value #{letter}"), column.title.into()));
    Node::list([
        Node::map([("id", "merge".into()), ("options", Node::Map(Vec::new()))]),
        Node::map([
            ("id", "organize".into()),
            (
                "options",
                Node::map([
                    ("excludeByName", Node::map([("Time", true.into())])),
                    ("indexByName", Node::Map(Vec::new())),
                    ("renameByName", Node::Map(names.collect())),
                ]),
            ),
        ]),
    ])
}

impl Content {
    fn source(&self) -> Source {
        match self {
            Self::Trace { .. } | Self::Traces { .. } | Self::ServiceMap => Source::Tempo,
            Self::Logs { .. } => Source::Loki,
            Self::Series { queries, .. } => queries.first().map_or(Source::Prometheus, |query| query.source),
            Self::Stat { query, .. } | Self::Heat { query } => query.source,
            Self::Table { .. } => Source::Prometheus,
        }
    }

    fn plugin(&self) -> &'static str {
        match self {
            Self::Trace { .. } => "traces",
            Self::Logs { .. } => "logs",
            Self::Traces { .. } | Self::Table { .. } => "table",
            Self::Series { .. } => "timeseries",
            Self::Stat { .. } => "stat",
            Self::Heat { .. } => "heatmap",
            Self::ServiceMap => "nodeGraph",
        }
    }

    fn fields(&self) -> Node {
        let (defaults, overrides) = match self {
            Self::Trace { .. } | Self::Logs { .. } | Self::Heat { .. } | Self::ServiceMap => {
                (Node::Map(Vec::new()), Vec::new())
            }
            Self::Traces { link, .. } => (Node::Map(Vec::new()), vec![link.node()]),
            Self::Stat { unit, .. } => (Node::map([("unit", (*unit).into())]), Vec::new()),
            Self::Series { unit, drawn, .. } => {
                let mut defaults = vec![("unit", Node::from(*unit)), ("min", 0.into())];
                if *drawn == Drawn::Stacked {
                    defaults.push(("custom", stacked_bars()));
                }
                (Node::of(defaults), Vec::new())
            }
            Self::Table { columns, link } => {
                let mut overrides: Vec<Node> = columns.iter().map(Column::unit_node).collect();
                overrides.extend(link.iter().map(DataLink::node));
                (Node::Map(Vec::new()), overrides)
            }
        };
        Node::map([("defaults", defaults), ("overrides", Node::List(overrides))])
    }

    fn options(&self) -> Node {
        match self {
            Self::Trace { .. } | Self::ServiceMap => Node::Map(Vec::new()),
            Self::Logs { order, .. } => Node::map([
                ("showTime", true.into()),
                ("showLabels", false.into()),
                ("showCommonLabels", false.into()),
                ("wrapLogMessage", true.into()),
                ("prettifyLogMessage", false.into()),
                ("enableLogDetails", true.into()),
                ("showLogContextToggle", true.into()),
                ("dedupStrategy", "none".into()),
                ("sortOrder", if *order == Order::OldestFirst { "Ascending" } else { "Descending" }.into()),
            ]),
            Self::Traces { .. } | Self::Table { .. } => {
                Node::map([("showHeader", true.into()), ("cellHeight", "sm".into())])
            }
            Self::Series { .. } => Node::map([
                (
                    "legend",
                    Node::map([
                        ("displayMode", "list".into()),
                        ("placement", "bottom".into()),
                        ("showLegend", true.into()),
                        ("calcs", Node::List(Vec::new())),
                    ]),
                ),
                ("tooltip", Node::map([("mode", "multi".into()), ("sort", "desc".into())])),
            ]),
            Self::Stat { .. } => Node::map([
                ("reduceOptions", newest_value()),
                ("colorMode", "none".into()),
                ("graphMode", "area".into()),
                ("justifyMode", "auto".into()),
                ("orientation", "auto".into()),
                ("textMode", "auto".into()),
            ]),
            Self::Heat { .. } => Node::map([
                // The buckets are the application's own.
                ("calculate", false.into()),
                ("yAxis", Node::map([("unit", "s".into()), ("axisPlacement", "left".into())])),
                ("color", shades()),
                ("exemplars", Node::map([("color", "rgba(31, 120, 193, 0.9)".into())])),
                ("tooltip", Node::map([("mode", "single".into()), ("yHistogram", true.into())])),
                ("legend", Node::map([("show", true.into())])),
            ]),
        }
    }

    fn targets(&self) -> Vec<Node> {
        match self {
            Self::Trace { id } => vec![Query::traces(id).node(0, &[])],
            Self::Logs { query, order } => {
                let direction = if *order == Order::OldestFirst { "forward" } else { "backward" };
                let query = Query::logql(query.as_str(), "");
                vec![query.node(0, &[("direction", direction.into())])]
            }
            Self::Traces { query, limit, .. } => {
                let keys = [("tableType", "traces".into()), ("limit", (*limit).into())];
                vec![Query::traces(query).node(0, &keys)]
            }
            Self::ServiceMap => {
                let keys = [("queryType", "serviceMap".into()), ("serviceMapQuery", "".into())];
                vec![Query::bare(Source::Tempo, 0, &keys)]
            }
            Self::Series { queries, .. } => {
                (0..).zip(queries).map(|(number, query)| query.over_time(number, "time_series")).collect()
            }
            Self::Stat { query, .. } => vec![query.over_time(0, "time_series")],
            Self::Heat { query } => vec![query.over_time(0, "heatmap")],
            Self::Table { columns, .. } => {
                (0..).zip(columns).map(|(number, column)| column.query.at_the_end(number)).collect()
            }
        }
    }
}

/// Grafana's own defaults for a heat map, made visible: all of them have to be there.
fn shades() -> Node {
    Node::map([
        ("mode", "scheme".into()),
        ("scheme", "Oranges".into()),
        ("steps", 64.into()),
        ("reverse", false.into()),
        ("fill", "dark-orange".into()),
        ("exponent", 1.into()),
    ])
}

/// What makes lines into bars that stand on each other.
fn stacked_bars() -> Node {
    Node::map([
        ("drawStyle", "bars".into()),
        ("fillOpacity", 70.into()),
        ("lineWidth", 0.into()),
        ("stacking", Node::map([("mode", "normal".into()), ("group", "A".into())])),
    ])
}

fn newest_value() -> Node {
    Node::map([("calcs", Node::list(["lastNotNull"])), ("fields", "".into()), ("values", false.into())])
}

impl Column {
    fn unit_node(&self) -> Node {
        by_name(self.title, "unit", self.unit.into())
    }
}

impl DataLink {
    fn node(&self) -> Node {
        let link = Node::map([
            ("title", self.title.into()),
            ("url", self.url.as_str().into()),
            ("targetBlank", false.into()),
        ]);
        by_name(self.field, "links", Node::list([link]))
    }
}

/// Sets one property of the field with this name.
fn by_name(field: &str, property: &str, value: Node) -> Node {
    Node::map([
        ("matcher", Node::map([("id", "byName".into()), ("options", field.into())])),
        ("properties", Node::list([Node::map([("id", property.into()), ("value", value)])])),
    ])
}
