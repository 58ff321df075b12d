//! The dashboard "Kubernetes workload": what pods write, answer and use.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::panel::{Content, Drawn, Order, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-workload";
/// The streams of the pods chosen above the panels.
const LINES: &str = "{namespace=~\"$namespace\", pod=~\"$pod\"}";
/// Their containers in the kubelet's metrics; the empty name is the whole pod's.
const CONTAINERS: &str = "namespace=~\"$namespace\", pod=~\"$pod\", container!=\"\"";

pub(crate) fn dashboard() -> Dashboard {
    let third = COLUMNS / 3;
    let of_pods = |title, unit, expression: String| {
        let queries = vec![Query::promql(expression, "{{pod}}")];
        Panel::new(title, third, 8, Content::Series { unit, drawn: Drawn::Lines, queries })
    };
    let spans = "resource.k8s.namespace.name =~ \"$namespace\" && resource.k8s.pod.name =~ \"$pod\"";
    Dashboard {
        uid: UID,
        title: "Kubernetes workload",
        description: "What pods write, answer and use.",
        from: "now-1h",
        variables: vec![
            Variable::of_loki("namespace", "Namespace", "namespace"),
            Variable::of_loki("pod", "Pod", "pod"),
        ],
        panels: vec![
            Panel::new(
                "Lines by level",
                COLUMNS / 2,
                8,
                Content::Series {
                    unit: "short",
                    drawn: Drawn::Stacked,
                    queries: vec![Query::logql(
                        format!("sum by (detected_level) (count_over_time({LINES} [$__interval]))"),
                        "{{detected_level}}",
                    )],
                },
            ),
            Panel::new(
                "Requests by pod",
                COLUMNS / 2,
                8,
                Content::Series {
                    unit: "reqps",
                    drawn: Drawn::Lines,
                    queries: vec![Query::traceql(
                        format!("{{ {spans} && kind = server }} | rate() by (resource.k8s.pod.name)"),
                        "",
                    )],
                },
            ),
            of_pods(
                "CPU",
                "cores",
                format!(
                    "sum by (pod) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
                ),
            )
            .about("As the kubelet counts it."),
            of_pods(
                "Memory",
                "bytes",
                format!("sum by (pod) (container_memory_working_set_bytes{{{CONTAINERS}}})"),
            )
            .about("Working set, as the kubelet counts it."),
            of_pods(
                "Restarts",
                "short",
                "sum by (pod) (increase(kube_pod_container_status_restarts_total\
                 {namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))"
                    .to_owned(),
            )
            .about("As kube-state-metrics counts them."),
            traces("Failed requests", COLUMNS, format!("{{ {spans} && status = error }}")),
            Panel::new(
                "Lines",
                COLUMNS,
                12,
                Content::Logs { query: LINES.to_owned(), order: Order::NewestFirst },
            ),
        ],
    }
}
