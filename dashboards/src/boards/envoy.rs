//! The dashboard "Istio and Envoy": what the mesh's proxies count and write.

use super::{to_service, traces};
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::panel::{Column, Content, Drawn, Order, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-envoy";
/// What a proxy next to the called workload counts; those next to callers count the same requests again.
const CALLED: &str = "reporter=\"destination\", destination_workload=~\"$workload\"";
/// Access logs of the proxies that Istio puts beside a workload.
const ACCESS_LOG: &str = "{container=\"istio-proxy\"}";

pub(crate) fn dashboard() -> Dashboard {
    let third = COLUMNS / 3;
    let requests = |more: &str, by: &str, window: &str| {
        format!("sum by ({by}) (rate(istio_requests_total{{{CALLED}{more}}}[{window}]))")
    };
    let durations = |share: &str| {
        format!(
            "histogram_quantile({share}, sum by (le, destination_workload) \
             (rate(istio_request_duration_milliseconds_bucket{{{CALLED}}}[$__rate_interval])))"
        )
    };
    let series = |title, unit, expression: String, legend| {
        let queries = vec![Query::promql(expression, legend)];
        Panel::new(title, third, 9, Content::Series { unit, drawn: Drawn::Lines, queries })
    };
    let edge = "source_workload, destination_workload";
    Dashboard {
        uid: UID,
        title: "Istio and Envoy",
        description: "What the mesh's proxies count and write.",
        from: "now-1h",
        variables: vec![Variable::of_prometheus(
            "workload",
            "Workload",
            "istio_requests_total",
            "destination_workload",
        )],
        panels: vec![
            series(
                "Requests",
                "reqps",
                requests("", "destination_workload", "$__rate_interval"),
                "{{destination_workload}}",
            ),
            series(
                "Failed, by the proxy's reason",
                "reqps",
                requests(
                    ", response_code=~\"5..|0\"",
                    "destination_workload, response_code, response_flags",
                    "$__rate_interval",
                ),
                "{{destination_workload}} {{response_code}} {{response_flags}}",
            ),
            series("Duration, 95 %", "ms", durations("0.95"), "{{destination_workload}}"),
            Panel::new(
                "Calls",
                COLUMNS,
                9,
                Content::Table {
                    columns: vec![
                        Column {
                            title: "Requests a second",
                            unit: "reqps",
                            query: Query::promql(requests("", edge, "$__range"), ""),
                        },
                        Column {
                            title: "Failed a second",
                            unit: "reqps",
                            query: Query::promql(
                                requests(", response_code=~\"5..|0\"", edge, "$__range"),
                                "",
                            ),
                        },
                    ],
                    link: Some(to_service("destination_workload")),
                },
            ),
            traces("Failed requests", COLUMNS, "{ span.component = \"proxy\" && status = error }")
                .about("As the proxies themselves report them."),
            Panel::new(
                "Access log",
                COLUMNS,
                10,
                Content::Logs { query: ACCESS_LOG.to_owned(), order: Order::NewestFirst },
            ),
        ],
    }
}
