//! What each plugin keeps under `jsonData`.

use super::{Homes, Source, links};
use crate::node::Node;

/// Log lines that Explore asks for at once, Grafana's own default made visible.
const MAX_LINES: &str = "1000";

/// Whether Grafana may ask Tempo's questions over gRPC. It does so in plain text at the host and port of the address, and leaves
/// its path out: that reaches Trefoil itself, but nothing that stands before it and speaks HTTP/1.1 only. Where the address names
/// a port, nothing does.
pub(super) fn streams(base_url: &str) -> bool {
    base_url.strip_prefix("http://").is_some_and(|rest| {
        let port = rest.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        port.is_some_and(|port| port != 80)
    })
}

/// The settings of a data source whose links lead to these homes; `streams` says whether Tempo's answers may come in parts.
pub(super) fn of(source: Source, homes: &Homes<'_>, streams: bool) -> Vec<(&'static str, Node)> {
    match source {
        Source::Loki => vec![
            ("maxLines", MAX_LINES.into()),
            ("manageAlerts", false.into()),
            ("derivedFields", links::derived_fields(homes)),
        ],
        Source::Tempo => {
            let mut settings = traces(homes);
            settings.push(("serviceMap", Node::map([("datasourceUid", homes.metrics.into())])));
            settings.push((
                "streamingEnabled",
                Node::map([("search", streams.into()), ("metrics", streams.into())]),
            ));
            settings
        }
        Source::Jaeger | Source::Zipkin => traces(homes),
        Source::Prometheus => vec![
            ("httpMethod", "POST".into()),
            ("manageAlerts", false.into()),
            ("exemplarTraceIdDestinations", links::exemplar_destinations(homes)),
        ],
    }
}

fn traces(homes: &Homes<'_>) -> Vec<(&'static str, Node)> {
    vec![
        ("nodeGraph", Node::map([("enabled", true.into())])),
        ("tracesToLogsV2", links::traces_to_logs(homes)),
        ("tracesToMetrics", links::traces_to_metrics(homes)),
    ]
}
