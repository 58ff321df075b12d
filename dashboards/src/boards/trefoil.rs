//! The dashboard "Trefoil": what it takes in, how far behind it is, what it lost, how much it links, how fast it answers.

use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::metric_names::{MetricName, PROTOCOL, REASON, SIGNAL, SURFACE};
use crate::panel::{Content, Drawn, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-itself";
/// The instances chosen above the panels.
const CHOSEN: &str = "instance=~\"$instance\"";

pub(crate) fn dashboard() -> Dashboard {
    let third = COLUMNS / 3;
    let stat = |title, unit, expression: String| {
        Panel::new(title, COLUMNS / 4, 4, Content::Stat { unit, query: Query::promql(expression, "") })
    };
    let series = |title, unit, queries| {
        Panel::new(title, third, 8, Content::Series { unit, drawn: Drawn::Lines, queries })
    };
    let one = |expression: String, legend| vec![Query::promql(expression, legend)];
    let lines = || total(MetricName::TailLines, "");
    Dashboard {
        uid: UID,
        title: "Trefoil",
        description: "What Trefoil takes in, how far behind it is, what it lost, how much it links, how fast it answers.",
        from: "now-1h",
        variables: vec![Variable::of_prometheus("instance", "Instance", "trefoil_uptime_seconds", "instance")],
        panels: vec![
            stat("Lines read", "short", lines()),
            stat(
                "Lines linked to a trace",
                "percentunit",
                format!("{} / {}", total(MetricName::TailLinkedLines, ""), lines()),
            ),
            stat("Behind", "bytes", sum(MetricName::TailBehindBytes, "")),
            stat("Lost", "bytes", format!("sum(increase({}{{{CHOSEN}}}[$__range]))", MetricName::TailLostBytes.series())),
            series(
                "Spans received",
                "short",
                one(total(MetricName::ReceivedSpans, PROTOCOL), "{{protocol}}"),
            ),
            series(
                "Log records received",
                "short",
                one(total(MetricName::ReceivedLogs, PROTOCOL), "{{protocol}}"),
            ),
            series(
                "Samples received",
                "short",
                one(total(MetricName::ReceivedSamples, PROTOCOL), "{{protocol}}"),
            ),
            series("Age of the oldest undelivered line", "s", one(sum(MetricName::TailLag, "instance"), "{{instance}}")),
            series(
                "Bytes lost",
                "binBps",
                one(total(MetricName::TailLostBytes, &format!("namespace, pod, container, {REASON}")), "{{namespace}}/{{pod}}/{{container}}: {{reason}}"),
            ),
            series(
                "Refused and rejected",
                "short",
                vec![
                    Query::promql(total(MetricName::RefusedRequests, REASON), "requests: {{reason}}"),
                    Query::promql(total(MetricName::RejectedRecords, SIGNAL), "records: {{signal}}"),
                ],
            ),
            series("Answers", "reqps", one(total(MetricName::HttpRequests, SURFACE), "{{surface}}")),
            series(
                "Time to answer, 99 %",
                "s",
                vec![
                    Query::promql(
                        format!(
                            "histogram_quantile(0.99, sum by (le, {SURFACE}) (rate({}{{{CHOSEN}}}[$__rate_interval])))",
                            MetricName::HttpRequestDuration.buckets()
                        ),
                        "{{surface}}",
                    )
                    .with_exemplars(),
                ],
            )
            .about("Dots are exemplars: Trefoil's own traces of single answers."),
            series(
                "Stored",
                "bytes",
                vec![
                    Query::promql(sum(MetricName::StoreBytes, ""), "on disk"),
                    Query::promql(sum(MetricName::StoreJournalBytes, ""), "of it, journal"),
                ],
            ),
        ],
    }
}

/// A counter's rate, of all or by labels.
fn total(counter: MetricName, by: &str) -> String {
    format!("sum{}(rate({}{{{CHOSEN}}}[$__rate_interval]))", grouped(by), counter.series())
}

/// A gauge, of all or by labels.
fn sum(gauge: MetricName, by: &str) -> String {
    format!("sum{}({}{{{CHOSEN}}})", grouped(by), gauge.series())
}

fn grouped(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(" by ({by}) ") }
}
