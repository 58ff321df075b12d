//! The dashboard "Service graph": who calls whom, how often, how well.

use super::to_service;
use crate::dashboard::{COLUMNS, Dashboard};
use crate::panel::{Column, Content, Drawn, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-service-graph";
/// What tells one edge from another.
const EDGE: &str = "client, server, connection_type";

pub(crate) fn dashboard() -> Dashboard {
    let column =
        |title, unit, expression: String| Column { title, unit, query: Query::promql(expression, "") };
    let edges = |metric: &str, by: &str| {
        format!("sum by ({by}) (rate(traces_service_graph_request_{metric}[$__range]))")
    };
    let over_time = |metric: &str, by: &str| {
        format!("sum by ({by}) (rate(traces_service_graph_request_{metric}[$__rate_interval]))")
    };
    let slow = edges("server_seconds_bucket", &format!("le, {EDGE}"));
    Dashboard {
        uid: UID,
        title: "Service graph",
        description: "Who calls whom, how often and how well, made of spans.",
        from: "now-1h",
        variables: Vec::new(),
        panels: vec![
            Panel::new("Services", COLUMNS, 16, Content::ServiceMap),
            Panel::new(
                "Calls",
                COLUMNS,
                10,
                Content::Table {
                    columns: vec![
                        column("Requests a second", "reqps", edges("total", EDGE)),
                        column("Failed a second", "reqps", edges("failed_total", EDGE)),
                        column("Duration, 95 %", "s", format!("histogram_quantile(0.95, {slow})")),
                    ],
                    link: Some(to_service("server")),
                },
            ),
            Panel::new(
                "Failed calls",
                COLUMNS / 2,
                8,
                Content::Series {
                    unit: "reqps",
                    drawn: Drawn::Lines,
                    queries: vec![Query::promql(
                        over_time("failed_total", "client, server"),
                        "{{client}} → {{server}}",
                    )],
                },
            ),
            Panel::new(
                "Duration, 95 %",
                COLUMNS / 2,
                8,
                Content::Series {
                    unit: "s",
                    drawn: Drawn::Lines,
                    queries: vec![
                        Query::promql(
                            format!(
                                "histogram_quantile(0.95, {})",
                                over_time("server_seconds_bucket", "le, client, server")
                            ),
                            "{{client}} → {{server}}",
                        )
                        .with_exemplars(),
                    ],
                },
            )
            .about("Dots are exemplars: single calls, each with a link to its trace."),
        ],
    }
}
