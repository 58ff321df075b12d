//! The dashboard "Service": rate, errors and duration of services as their spans tell them, with traces and failing lines.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::panel::{Content, Drawn, Order, Panel};
use crate::query::Query;
use crate::spans;

/// Part of bookmarks and links; must never change.
pub(crate) const UID: &str = "trefoil-service";

pub(crate) fn dashboard() -> Dashboard {
    let chosen = format!("service=~\"$service\", {}", spans::ANSWERING);
    let third = COLUMNS / 3;
    let stat = |title, unit, expression: String| {
        Panel::new(title, third, 4, Content::Stat { unit, query: Query::promql(expression, "") })
    };
    let series = |title, width, unit, queries| {
        Panel::new(title, width, 9, Content::Series { unit, drawn: Drawn::Lines, queries })
    };
    let quantile =
        |share, legend| Query::promql(spans::quantile(share, &chosen, "service"), legend).with_exemplars();
    Dashboard {
        uid: UID,
        title: "Service",
        description: "Rate, errors and duration of services, made of their spans.",
        from: "now-1h",
        variables: vec![Variable::of_prometheus(
            "service",
            "Service",
            "traces_spanmetrics_calls_total",
            "service",
        )],
        panels: vec![
            stat("Requests", "reqps", spans::rate(&chosen, "")),
            stat("Failed", "percentunit", spans::failed_share(&chosen, "")),
            stat("Duration, 95 %", "s", spans::quantile("0.95", &chosen, "")),
            series(
                "Requests by operation",
                third,
                "reqps",
                vec![Query::promql(spans::rate(&chosen, "service, span_name"), "{{service}} {{span_name}}")],
            ),
            series(
                "Failed by operation",
                third,
                "percentunit",
                vec![Query::promql(
                    spans::failed_share(&chosen, "service, span_name"),
                    "{{service}} {{span_name}}",
                )],
            ),
            series(
                "Duration",
                third,
                "s",
                vec![
                    quantile("0.5", "{{service}} 50 %"),
                    quantile("0.95", "{{service}} 95 %"),
                    quantile("0.99", "{{service}} 99 %"),
                ],
            )
            .about("Dots are exemplars: single requests, each with a link to its trace."),
            Panel::new(
                "Requests by duration",
                COLUMNS,
                9,
                Content::Heat {
                    query: Query::promql(spans::buckets(&chosen, "le"), "{{le}}").with_exemplars(),
                },
            ),
            traces(
                "Failed requests",
                COLUMNS / 2,
                "{ resource.service.name =~ \"$service\" && status = error }",
            ),
            traces(
                "Slow requests",
                COLUMNS / 2,
                "{ resource.service.name =~ \"$service\" && kind = server && duration > 500ms }",
            ),
            Panel::new(
                "Failing lines",
                COLUMNS,
                10,
                Content::Logs {
                    query: "{service_name=~\"$service\"} | detected_level=~\"error|critical|fatal\""
                        .to_owned(),
                    order: Order::NewestFirst,
                },
            ),
        ],
    }
}
