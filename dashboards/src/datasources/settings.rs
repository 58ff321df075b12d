//! What each plugin keeps under `jsonData`.

use super::{Homes, Source, links};
use crate::node::Node;

/// Log lines that Explore asks for at once, Grafana's own default made visible.
const MAX_LINES: &str = "1000";

/// The settings of a data source whose links lead to these homes.
pub(super) fn of(source: Source, homes: &Homes<'_>) -> Vec<(&'static str, Node)> {
    match source {
        Source::Loki => vec![
            ("maxLines", MAX_LINES.into()),
            ("manageAlerts", false.into()),
            ("derivedFields", links::derived_fields(homes)),
        ],
        Source::Tempo => {
            let mut settings = traces(homes);
            settings.push(("serviceMap", Node::map([("datasourceUid", homes.metrics.into())])));
            settings
                .push(("streamingEnabled", Node::map([("search", false.into()), ("metrics", false.into())])));
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
