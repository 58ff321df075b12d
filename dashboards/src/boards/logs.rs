//! The dashboard "Logs": how much is written by whom at which level, which lines are alike, and the traces that they belong to.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::panel::{Content, Drawn, Order, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-logs";
/// The streams of the services chosen above the panels.
const CHOSEN: &str = "{service_name=~\"$service\"}";
/// Levels at which something went wrong.
const FAILING: &str = "detected_level=~\"error|critical|fatal\"";
/// What differs from line to line of one shape: ids and numbers.
const VARIABLE_PARTS: &str = "[0-9a-fA-F]{8,}(-[0-9a-fA-F]{4,}){0,4}|[0-9]+";
/// Shapes in the table.
const SHAPES: u32 = 10;

pub(crate) fn dashboard() -> Dashboard {
    let stacked = |title, query| {
        Panel::new(
            title,
            COLUMNS / 2,
            8,
            Content::Series { unit: "short", drawn: Drawn::Stacked, queries: vec![query] },
        )
    };
    let shape = format!("{{{{ regexReplaceAll \"{VARIABLE_PARTS}\" __line__ \"_\" }}}}");
    let shapes = format!(
        "topk({SHAPES}, sum by (shape) (count_over_time({CHOSEN} | {FAILING} | label_format shape=`{shape}` [$__interval])))"
    );
    Dashboard {
        uid: UID,
        title: "Logs",
        description: "How much is written at which level, which failing lines are alike, and their traces.",
        from: "now-1h",
        variables: vec![
            Variable::of_loki("service", "Service", "service_name"),
            Variable::Text { name: "text", label: "Lines with", description: "Any part of a line" },
        ],
        panels: vec![
            stacked(
                "Lines by level",
                Query::logql(
                    format!("sum by (detected_level) (count_over_time({CHOSEN} |= `$text` [$__interval]))"),
                    "{{detected_level}}",
                ),
            ),
            stacked(
                "Lines by service",
                Query::logql(
                    format!("sum by (service_name) (count_over_time({CHOSEN} |= `$text` [$__interval]))"),
                    "{{service_name}}",
                ),
            ),
            Panel::new(
                "Shapes of failing lines",
                COLUMNS,
                9,
                Content::Series {
                    unit: "short",
                    drawn: Drawn::Lines,
                    queries: vec![Query::logql(shapes, "{{shape}}")],
                },
            )
            .about("Lines that differ only in ids and numbers count as one shape."),
            Panel::new(
                "Failing lines of traces",
                COLUMNS,
                10,
                Content::Logs {
                    query: format!("{CHOSEN} |= `$text` | {FAILING} | trace_id!=\"\""),
                    order: Order::NewestFirst,
                },
            )
            .about("Each opens its trace."),
            Panel::new(
                "All lines",
                COLUMNS,
                12,
                Content::Logs { query: format!("{CHOSEN} |= `$text`"), order: Order::NewestFirst },
            ),
            traces("Failed requests", COLUMNS, "{ resource.service.name =~ \"$service\" && status = error }"),
        ],
    }
}
