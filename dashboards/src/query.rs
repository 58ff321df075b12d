//! One query of a panel, and its spelling for the data source that it goes to.

use crate::datasources::Source;
use crate::node::Node;

/// Exemplars that a TraceQL metrics query asks for: enough dots for a panel's width.
const TRACEQL_EXEMPLARS: i64 = 100;

/// An expression, the data source that speaks its language, and what to call its lines.
pub(crate) struct Query {
    pub(crate) source: Source,
    pub(crate) expression: String,
    pub(crate) legend: &'static str,
    /// Whether to ask for exemplars too. They come from the selectors of the expression.
    exemplars: bool,
}

impl Query {
    /// Of metrics.
    pub(crate) fn promql(expression: impl Into<String>, legend: &'static str) -> Self {
        Self::of(Source::Prometheus, expression.into(), legend)
    }

    /// Of log lines.
    pub(crate) fn logql(expression: impl Into<String>, legend: &'static str) -> Self {
        Self::of(Source::Loki, expression.into(), legend)
    }

    /// Of spans, as numbers over time.
    pub(crate) fn traceql(expression: impl Into<String>, legend: &'static str) -> Self {
        Self::of(Source::Tempo, expression.into(), legend)
    }

    /// Of spans, as traces: a TraceQL query or an id.
    pub(crate) fn traces(expression: &str) -> Self {
        Self::of(Source::Tempo, expression.to_owned(), "")
    }

    fn of(source: Source, expression: String, legend: &'static str) -> Self {
        Self { source, expression, legend, exemplars: false }
    }

    /// The same with exemplars.
    pub(crate) fn with_exemplars(self) -> Self {
        Self { exemplars: true, ..self }
    }

    /// A target that has only these keys.
    pub(crate) fn bare(source: Source, number: u8, keys: &[(&str, Node)]) -> Node {
        let mut entries = vec![
            ("refId".to_owned(), Node::Text(char::from(b'A' + number % 26).to_string())),
            ("datasource".to_owned(), source.reference()),
        ];
        entries.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        Node::Map(entries)
    }

    /// The target with what its language always needs, and these keys.
    pub(crate) fn node(&self, number: u8, more: &[(&str, Node)]) -> Node {
        let mut keys = match self.source {
            Source::Loki => vec![("queryType", "range".into()), ("expr", self.expression.as_str().into())],
            Source::Prometheus => vec![("expr", self.expression.as_str().into())],
            Source::Tempo | Source::Jaeger | Source::Zipkin => {
                vec![("queryType", "traceql".into()), ("query", self.expression.as_str().into())]
            }
        };
        keys.extend_from_slice(more);
        Self::bare(self.source, number, &keys)
    }

    /// The target for values over the whole window, in the shape that the panel wants.
    pub(crate) fn over_time(&self, number: u8, format: &str) -> Node {
        let mut keys: Vec<(&str, Node)> = match self.source {
            Source::Prometheus => vec![
                ("range", true.into()),
                ("instant", false.into()),
                ("format", format.into()),
                ("exemplar", self.exemplars.into()),
            ],
            Source::Tempo if self.exemplars => {
                vec![("metricsQueryType", "range".into()), ("exemplars", TRACEQL_EXEMPLARS.into())]
            }
            Source::Tempo => vec![("metricsQueryType", "range".into())],
            _ => Vec::new(),
        };
        if self.source != Source::Tempo {
            keys.push(("legendFormat", self.legend.into()));
        }
        self.node(number, &keys)
    }

    /// The target for one value of each series, at the end of the window.
    pub(crate) fn at_the_end(&self, number: u8) -> Node {
        let keys = [("range", false.into()), ("instant", true.into()), ("format", "table".into())];
        self.node(number, &keys)
    }
}
