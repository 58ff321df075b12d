//! Grafana's data sources, typed: those that Trefoil is itself, and those of the user's own that stand beside it.
//!
//! Key names are those of Grafana's own plugins. Text is held as Grafana shall see it in the end, with single `$`; the doubling
//! that provisioning files need happens in `target`.

mod correlations;
mod links;
mod settings;

use crate::node::Node;
use crate::target::{Target, Token};

/// Stable uid of the log data source; every link depends on it.
pub const LOKI_UID: &str = "trefoil-loki";
/// Stable uid of the trace data source.
pub const TEMPO_UID: &str = "trefoil-tempo";
/// Stable uid of the same traces as Jaeger shows them.
pub const JAEGER_UID: &str = "trefoil-jaeger";
/// Stable uid of the same traces as Zipkin shows them.
pub const ZIPKIN_UID: &str = "trefoil-zipkin";
/// Stable uid of the metric data source.
pub const PROMETHEUS_UID: &str = "trefoil-prometheus";

/// Which of Grafana's plugins is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Log lines.
    Loki,
    /// Traces.
    Tempo,
    /// Traces, by Jaeger's API.
    Jaeger,
    /// Traces, by Zipkin's API.
    Zipkin,
    /// Metrics.
    Prometheus,
}

impl Source {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 5] = [Self::Loki, Self::Tempo, Self::Jaeger, Self::Zipkin, Self::Prometheus];

    /// The uid of Trefoil's own.
    pub fn uid(self) -> &'static str {
        match self {
            Self::Loki => LOKI_UID,
            Self::Tempo => TEMPO_UID,
            Self::Jaeger => JAEGER_UID,
            Self::Zipkin => ZIPKIN_UID,
            Self::Prometheus => PROMETHEUS_UID,
        }
    }

    /// The id of Grafana's plugin.
    pub fn plugin(self) -> &'static str {
        match self {
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Jaeger => "jaeger",
            Self::Zipkin => "zipkin",
            Self::Prometheus => "prometheus",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Loki => "Trefoil logs",
            Self::Tempo => "Trefoil traces",
            Self::Jaeger => "Trefoil traces (Jaeger)",
            Self::Zipkin => "Trefoil traces (Zipkin)",
            Self::Prometheus => "Trefoil metrics",
        }
    }

    /// Where the surface is mounted on Trefoil's main port; the Loki plugin adds `/loki` itself.
    fn mount(self) -> &'static str {
        match self {
            Self::Loki => "",
            Self::Tempo => "/tempo",
            Self::Jaeger => "/jaeger",
            Self::Zipkin => "/zipkin",
            Self::Prometheus => "/prometheus",
        }
    }

    /// `{type, uid}`, as dashboards refer to a data source.
    pub(crate) fn reference(self) -> Node {
        Node::map([("type", self.plugin().into()), ("uid", self.uid().into())])
    }
}

/// A data source of the user's own, on a server that is kept. It gets the same links: to the user's other servers where there are
/// any, and to Trefoil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Which plugin.
    pub source: Source,
    /// Its name in Grafana, by which Grafana finds the one that it already has.
    pub name: String,
    /// Its uid in Grafana: at most 40 letters, digits, `-` and `_`.
    pub uid: String,
    /// Its server.
    pub url: String,
}

/// A data source as links see it.
#[derive(Clone, Copy)]
struct Place<'a> {
    source: Source,
    uid: &'a str,
}

/// Where the links of one set of data sources lead.
struct Homes<'a> {
    logs: &'a str,
    metrics: &'a str,
    /// Every data source that shows traces, the preferred one first.
    traces: Vec<Place<'a>>,
}

impl<'a> Homes<'a> {
    const TREFOIL: Place<'static> = Place { source: Source::Tempo, uid: TEMPO_UID };

    /// Among Trefoil's own data sources.
    fn trefoil() -> Self {
        Self { logs: LOKI_UID, metrics: PROMETHEUS_UID, traces: vec![Self::TREFOIL] }
    }

    /// From a neighbour: to the user's other servers first.
    fn beside(neighbours: &'a [Neighbour]) -> Self {
        let uid = |source| neighbours.iter().find(|n| n.source == source).map(|n| n.uid.as_str());
        let own = [Source::Tempo, Source::Jaeger, Source::Zipkin];
        let own = own.into_iter().filter_map(|source| uid(source).map(|uid| Place { source, uid }));
        Self {
            logs: uid(Source::Loki).unwrap_or(LOKI_UID),
            metrics: uid(Source::Prometheus).unwrap_or(PROMETHEUS_UID),
            traces: own.chain([Self::TREFOIL]).collect(),
        }
    }
}

/// One data source before it is written down.
pub(crate) struct Entry {
    pub(crate) uid: String,
    /// Keys of Grafana's entry, without what only some ways into Grafana have.
    pub(crate) keys: Vec<(&'static str, Node)>,
    /// What only provisioning files can have.
    pub(crate) correlations: Option<Node>,
    /// Whether the token belongs into it: only Trefoil may see that.
    pub(crate) takes_token: bool,
}

/// All data sources.
pub(crate) fn entries(target: &Target) -> Vec<Entry> {
    let base_url = target.base_url.trim_end_matches('/');
    let homes = Homes::trefoil();
    let own = Source::ALL.into_iter().map(|source| {
        let url = format!("{base_url}{}", source.mount());
        let mut settings = settings::of(source, &homes, settings::streams(base_url));
        if target.token.is_some() {
            settings.push((Token::HEADER_KEY, "Authorization".into()));
        }
        let correlations = target.correlations.then(|| correlations::of(source, &homes)).flatten();
        entry(source, source.name(), source.uid(), url, settings, correlations, target.token.is_some())
    });
    let homes = Homes::beside(&target.neighbours);
    let beside = target.neighbours.iter().map(|neighbour| {
        let source = neighbour.source;
        let settings = settings::of(source, &homes, false);
        let correlations = target.correlations.then(|| correlations::of(source, &homes)).flatten();
        entry(source, &neighbour.name, &neighbour.uid, neighbour.url.clone(), settings, correlations, false)
    });
    own.chain(beside).collect()
}

fn entry(
    source: Source,
    name: &str,
    uid: &str,
    url: String,
    settings: Vec<(&'static str, Node)>,
    correlations: Option<Node>,
    takes_token: bool,
) -> Entry {
    let keys = vec![
        ("name", name.into()),
        ("type", source.plugin().into()),
        ("uid", uid.into()),
        ("access", "proxy".into()),
        ("url", url.into()),
        // A second default in one organisation keeps Grafana from starting, and most already have one.
        ("isDefault", false.into()),
        ("jsonData", Node::of(settings)),
    ];
    Entry { uid: uid.to_owned(), keys, correlations, takes_token }
}
