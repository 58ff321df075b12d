//! The dashboard "Django": what django-prometheus counts, under its names.

use super::traces;
use crate::dashboard::{COLUMNS, Dashboard, Variable};
use crate::panel::{Content, Drawn, Panel};
use crate::query::Query;

/// Part of bookmarks and links; must never change.
const UID: &str = "trefoil-django";
/// The applications chosen above the panels.
const CHOSEN: &str = "job=~\"$job\"";

pub(crate) fn dashboard() -> Dashboard {
    let rate =
        |metric: &str, by: &str| format!("sum by ({by}) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))");
    let series = |title, unit, query: Query| {
        let queries = vec![query];
        Panel::new(title, COLUMNS / 2, 8, Content::Series { unit, drawn: Drawn::Lines, queries })
    };
    let quantile = |share: &str, metric: &str, by: &str| {
        format!("histogram_quantile({share}, {})", rate(metric, &format!("le, {by}")))
    };
    Dashboard {
        uid: UID,
        title: "Django",
        description: "What django-prometheus counts: requests by view, database, cache.",
        from: "now-1h",
        variables: vec![Variable::of_prometheus(
            "job",
            "Application (job)",
            "django_http_requests_before_middlewares_total",
            "job",
        )],
        panels: vec![
            series(
                "Requests by view",
                "reqps",
                Query::promql(
                    rate("django_http_requests_latency_seconds_by_view_method_count", "view, method"),
                    "{{method}} {{view}}",
                ),
            ),
            series(
                "Answers by status",
                "reqps",
                Query::promql(rate("django_http_responses_total_by_status_total", "status"), "{{status}}"),
            ),
            series(
                "Duration by view, 95 %",
                "s",
                Query::promql(
                    quantile("0.95", "django_http_requests_latency_seconds_by_view_method_bucket", "view"),
                    "{{view}}",
                )
                .with_exemplars(),
            )
            .about("Dots are spans of that view: django-prometheus sends no exemplars, Trefoil finds them."),
            series(
                "Exceptions by view",
                "reqps",
                Query::promql(rate("django_http_exceptions_total_by_view_total", "view"), "{{view}}"),
            ),
            series(
                "Database queries",
                "ops",
                Query::promql(rate("django_db_execute_total", "alias, vendor"), "{{alias}} {{vendor}}"),
            ),
            series(
                "Database query duration, 95 %",
                "s",
                Query::promql(
                    quantile("0.95", "django_db_query_duration_seconds_bucket", "alias"),
                    "{{alias}}",
                ),
            ),
            series(
                "Database errors",
                "ops",
                Query::promql(rate("django_db_errors_total", "alias, type"), "{{alias}} {{type}}"),
            ),
            series(
                "Cache hits",
                "percentunit",
                Query::promql(
                    format!(
                        "{} / {}",
                        rate("django_cache_get_hits_total", "backend"),
                        rate("django_cache_get_total", "backend")
                    ),
                    "{{backend}}",
                ),
            ),
            traces("Failed requests", COLUMNS, "{ resource.service.name =~ \"$job\" && status = error }"),
        ],
    }
}
