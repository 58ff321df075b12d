//! Links from traces to metrics: the queries beside a span, and those that draw the service map.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ask::Trouble;
use super::links::or_none;
use super::report::Finding;
use super::sources::DataSource;
use super::traces::Request;
use super::{Patient, Target};

/// How alike two names of metrics have to be for one to be offered for the other.
const ALIKE: f64 = 0.75;
/// How many of those are looked at.
const MOST_ALIKE: usize = 5;
/// Series that draw the service map, as Grafana asks for them.
const MAP: [&str; 2] =
    ["traces_service_graph_request_total", "traces_service_graph_request_server_seconds_sum"];

/// How many series an expression gives now.
async fn series(
    patient: &Patient<'_>,
    source: &DataSource,
    expression: &str,
    at: u64,
) -> Result<usize, Trouble> {
    let at = at.to_string();
    let parameters = [("query", expression), ("time", at.as_str())];
    let answer = patient.doorway.ask(source, "/api/v1/query", &parameters).await?;
    Ok(answer["data"]["result"].as_array().map_or(0, Vec::len))
}

/// Whether each query beside a span finds something.
pub(super) async fn of_span(patient: &Patient<'_>, source: &DataSource, request: &Request) -> Vec<Finding> {
    const LINK: &str = "span to metrics";
    let Some(link) = source.settings.get("tracesToMetrics") else {
        return vec![Finding::skipped(source, LINK, "there is no `tracesToMetrics`")];
    };
    let target = match patient.target(&link["datasourceUid"], &["prometheus"]) {
        Target::To(target) => target,
        Target::Told(why) => return vec![Finding::skipped(source, LINK, why)],
    };
    let tags: Vec<(String, String)> = link["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| {
            let key = tag["key"].as_str()?;
            Some((tag["value"].as_str().unwrap_or(key).to_owned(), request.tag(key)?.to_owned()))
        })
        .collect();
    let matchers: Vec<String> = tags.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let matchers = matchers.join(",");
    let service = request.tag("service.name").unwrap_or_default();
    let mut findings = Vec::new();
    for query in link["queries"].as_array().into_iter().flatten() {
        let name = format!("{LINK}, `{}`", query["name"].as_str().unwrap_or_default());
        let expression = match query["query"].as_str().filter(|text| !text.is_empty()) {
            Some(text) => text.replace("$__tags", &matchers).replace("$__rate_interval", "5m"),
            // What Grafana asks where nothing is given.
            None => format!(
                "histogram_quantile(0.5, sum(rate(traces_spanmetrics_latency_bucket{{service=\"{service}\"}}[5m])) by (le))"
            ),
        };
        let now = (request.window().1 / 1_000_000_000).min(now());
        findings.push(match series(patient, target, &expression, now).await {
            Err(error) => {
                Finding::dead(source, &name, error.to_string(), "see what the server says of the query")
            }
            Ok(0) => why_nothing(patient, source, target, &name, &expression, &tags).await,
            Ok(count) => Finding::alive(source, &name, format!("{count} series")),
        });
    }
    findings
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Words before a list of labels in parentheses.
const LISTING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words of an expression that could be names of metrics: those outside of selectors' braces and of lists of labels.
fn names_in(expression: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let (mut rest, mut before) = (expression, "");
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if !word.is_empty() {
            if word.contains('_') && !word.starts_with("__") && !is_function(word) {
                names.insert(word);
            }
            (before, rest) = (word, after);
            continue;
        }
        let closing = match first {
            '{' => '}',
            '(' if LISTING.contains(&before) => ')',
            // White space stands between a word and its list, too.
            first if first.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            _ => first,
        };
        before = "";
        let past = rest.find(closing).map_or(rest.len(), |at| at + closing.len_utf8());
        rest = rest.get(past..).unwrap_or_default();
    }
    names
}

fn is_function(word: &str) -> bool {
    word.starts_with("histogram_")
        || word.starts_with("label_")
        || word.ends_with("_over_time")
        || word.starts_with("count_")
}

/// Which of these metrics have series with the labels that the link gives its queries: one that is only called alike, about
/// something else, is no way to mend a link.
async fn of_request(
    patient: &Patient<'_>,
    target: &DataSource,
    names: &BTreeSet<&str>,
    tags: &[(String, String)],
) -> Vec<String> {
    let labels =
        tags.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect::<Vec<_>>().join(",");
    let mut found = Vec::new();
    for name in names {
        let selector = format!("{name}{{{labels}}}");
        let answer = patient.doorway.ask(target, "/api/v1/series", &[("match[]", &selector)]).await;
        if answer.is_ok_and(|answer| answer["data"].as_array().is_some_and(|series| !series.is_empty())) {
            found.push((*name).to_owned());
        }
    }
    found
}

/// Why a query gives no series: no such metric (and one that is called nearly so), or none with these labels.
async fn why_nothing(
    patient: &Patient<'_>,
    source: &DataSource,
    target: &DataSource,
    link: &str,
    expression: &str,
    tags: &[(String, String)],
) -> Finding {
    let known = patient.doorway.ask(target, "/api/v1/label/__name__/values", &[]).await.unwrap_or_default();
    let known: Vec<&str> = known["data"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = names_in(expression);
    let present: Vec<&str> = wanted.iter().copied().filter(|name| known.contains(name)).collect();
    if present.is_empty() {
        let mut alike: Vec<(f64, &str)> = known
            .iter()
            .flat_map(|name| wanted.iter().map(|wanted| (strsim::jaro_winkler(name, wanted), *name)))
            .filter(|(alike, _)| *alike >= ALIKE)
            .collect();
        alike.sort_by(|a, b| b.0.total_cmp(&a.0));
        let alike: BTreeSet<&str> = alike.into_iter().map(|(_, name)| name).take(MOST_ALIKE).collect();
        let alike = of_request(patient, target, &alike, tags).await;
        let wanted: Vec<&str> = wanted.into_iter().collect();
        if alike.is_empty() {
            let detail = format!(
                "none of its metrics is there ({}), nor any like them for the request",
                wanted.join(", ")
            );
            return Finding::skipped(source, link, detail);
        }
        return Finding::dead(
            source,
            link,
            format!("none of its metrics is there: {}", wanted.join(", ")),
            format!(
                "metrics that are there are called nearly so; use them in the link's `query`: {}",
                alike.join(", ")
            ),
        );
    }
    for (label, value) in tags {
        let path = format!("/api/v1/label/{label}/values");
        let mut parameters = Vec::new();
        for name in &present {
            parameters.push(("match[]", *name));
        }
        let values = patient.doorway.ask(target, &path, &parameters).await.unwrap_or_default();
        let values: Vec<&str> =
            values["data"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !values.contains(&value.as_str()) {
            return Finding::dead(
                source,
                link,
                format!("no series of {} has {label}=\"{value}\"", present.join(", ")),
                format!(
                    "map the attribute under `tags` to the label that holds it; `{label}` is one of: {}",
                    or_none(&values)
                ),
            );
        }
    }
    Finding::skipped(source, link, "its series are there, but have no samples around the request")
}

/// Whether the service map has something to draw.
pub(super) async fn service_map(patient: &Patient<'_>, source: &DataSource) -> Vec<Finding> {
    const LINK: &str = "service map";
    let Some(link) = source.settings.get("serviceMap") else {
        let remedy = "set `serviceMap.datasourceUid` to a Prometheus that has traces_service_graph_* series";
        return vec![Finding::dead(source, LINK, "there is no `serviceMap`", remedy)];
    };
    let target = match patient.target(&link["datasourceUid"], &["prometheus"]) {
        Target::To(target) => target,
        Target::Told(why) => return vec![Finding::skipped(source, LINK, why)],
    };
    let mut findings = Vec::new();
    for metric in MAP {
        let expression = format!("sum by (client, server) (rate({metric}[3600s]))");
        findings.push(match series(patient, target, &expression, now()).await {
            Err(error) => Finding::dead(source, LINK, error.to_string(), "see what the server says of the query"),
            Ok(0) => Finding::dead(
                source,
                LINK,
                format!("{} has no series {metric}", target.uid),
                "let Trefoil make them (metrics_from_spans) and read them from its own Prometheus data source, or have your Prometheus scrape them",
            ),
            Ok(count) => Finding::alive(source, LINK, format!("{metric}: {count} edges")),
        });
    }
    findings
}
