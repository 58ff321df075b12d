//! The dashboard "Versions": the versions of one service side by side, as a canary is judged.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Values, Variable};
use crate::panel::{Content, Drawn, Order, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-versions";
/// The attribute of a version.
const VERSION: &str = "resource.service.version";

pub(crate) fn dashboard() -> Dashboard {
    let answering = "resource.service.name = \"$service\" && kind = server";
    let by_version = |title, unit, drawn, query: Query| {
        Panel::new(title, COLUMNS / 2, 9, Content::Series { unit, drawn, queries: vec![query] })
    };
    Dashboard {
        uid: UID,
        title: "Versions",
        description: "The versions of a service side by side: traffic, failures, duration. Made of spans by their service.version.",
        from: "now-1h",
        variables: vec![Variable::Values {
            name: "service",
            label: "Service",
            values: Values::Prometheus { of: "service", selector: "traces_spanmetrics_calls_total" },
            several: false,
        }],
        panels: vec![
            by_version(
                "Requests",
                "reqps",
                Drawn::Stacked,
                Query::traceql(format!("{{ {answering} }} | rate() by ({VERSION})"), ""),
            ),
            by_version(
                "Failed requests",
                "reqps",
                Drawn::Lines,
                Query::traceql(format!("{{ {answering} && status = error }} | rate() by ({VERSION})"), ""),
            ),
            by_version(
                "Duration, 50 %",
                "s",
                Drawn::Lines,
                Query::traceql(
                    format!("{{ {answering} }} | quantile_over_time(duration, 0.5) by ({VERSION})"),
                    "",
                ),
            ),
            by_version(
                "Duration, 95 %",
                "s",
                Drawn::Lines,
                Query::traceql(
                    format!("{{ {answering} }} | quantile_over_time(duration, 0.95) by ({VERSION})"),
                    "",
                )
                .with_exemplars(),
            )
            .about("Dots are exemplars: single requests, each with a link to its trace."),
            traces(
                "Failed requests",
                COLUMNS,
                format!("{{ {answering} && status = error }} | select({VERSION})"),
            ),
            Panel::new(
                "Failing lines",
                COLUMNS,
                10,
                Content::Logs {
                    query: "{service_name=\"$service\"} | detected_level=~\"error|critical|fatal\""
                        .to_owned(),
                    order: Order::NewestFirst,
                },
            ),
        ],
    }
}
