//! Links between log lines and traces, both ways.

use serde_json::Value;

use super::Patient;
use super::links::or_none;
use super::report::Finding;
use super::sources::DataSource;
use super::traces::{self, Request};

/// Label values that are looked through for the name of a service.
const LABELS_TRIED: usize = 30;

/// A line with the labels and metadata that Grafana shows beside it.
struct Line {
    text: String,
    fields: Vec<(String, String)>,
}

/// Lines that a query finds in the request's window.
async fn lines(
    patient: &Patient<'_>,
    source: &DataSource,
    query: &str,
    request: &Request,
) -> Result<Vec<Line>, String> {
    let (start, end) = (request.window.0.to_string(), request.window.1.to_string());
    let parameters = [("query", query), ("start", &start), ("end", &end), ("limit", "20")];
    let answer = patient.doorway.ask(source, "/loki/api/v1/query_range", &parameters).await?;
    let mut found = Vec::new();
    for stream in answer["data"]["result"].as_array().into_iter().flatten() {
        let fields = stream["stream"].as_object().into_iter().flatten();
        let fields: Vec<(String, String)> =
            fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        for value in stream["values"].as_array().into_iter().flatten() {
            let text = value[1].as_str().unwrap_or_default().to_owned();
            found.push(Line { text, fields: fields.clone() });
        }
    }
    Ok(found)
}

/// A selector of every stream that this Loki would accept.
async fn everything(patient: &Patient<'_>, source: &DataSource) -> Option<String> {
    let labels = patient.doorway.ask(source, "/loki/api/v1/labels", &[]).await.ok()?;
    let names: Vec<&str> = labels["data"].as_array()?.iter().filter_map(Value::as_str).collect();
    let known = ["service_name", "namespace", "job", "container", "app"];
    let name = known.into_iter().find(|name| names.contains(name)).or_else(|| names.first().copied())?;
    Some(format!("{{{name}=~\".+\"}}"))
}

/// Whether the derived fields of a Loki lead from a line of the request to its trace.
pub(super) async fn to_traces(patient: &Patient<'_>, source: &DataSource, request: &Request) -> Vec<Finding> {
    const LINK: &str = "log line to trace";
    let Some(streams) = everything(patient, source).await else {
        return vec![Finding::skipped(source, LINK, "there are no log streams")];
    };
    let id = &request.id;
    let by_field = lines(patient, source, &format!("{streams} | trace_id=\"{id}\""), request).await;
    let found = match by_field {
        Ok(found) if found.is_empty() => {
            lines(patient, source, &format!("{streams} |= \"{id}\""), request).await
        }
        other => other,
    };
    let line = match found {
        Err(error) => return vec![Finding::dead(source, LINK, error, "see what the server says")],
        Ok(found) => match found.into_iter().next() {
            Some(line) => line,
            None => return vec![Finding::skipped(source, LINK, format!("no line names {id}"))],
        },
    };
    let fields = source.settings.get("derivedFields").and_then(Value::as_array);
    let mut findings = Vec::new();
    let mut matched = false;
    for field in fields.into_iter().flatten() {
        let Some(value) = derived(field, &line) else { continue };
        matched = true;
        let name = field["name"].as_str().unwrap_or_default();
        let link = format!("{LINK}, field `{name}`");
        let Some(target) = field["datasourceUid"].as_str().and_then(|uid| patient.source(uid)) else {
            continue;
        };
        if !["tempo", "jaeger", "zipkin"].contains(&target.kind.as_str()) {
            // Told of above.
            continue;
        }
        let opened = traces::opens(patient, target, &value).await;
        findings.push(match opened.remedy {
            None => Finding::alive(source, &link, format!("{value} opens in {}", target.uid)),
            Some(remedy) => {
                Finding::dead(source, &link, format!("{value} does not open in {}", target.uid), remedy)
            }
        });
    }
    if !matched {
        findings.push(unmatched(source, LINK, &line, id));
    }
    findings
}

/// What a derived field takes from a line.
fn derived(field: &Value, line: &Line) -> Option<String> {
    let regex = regex::Regex::new(field.get("matcherRegex")?.as_str()?).ok()?;
    if field.get("matcherType").and_then(Value::as_str) == Some("label") {
        return line.fields.iter().find(|(key, _)| regex.is_match(key)).map(|(_, value)| value.clone());
    }
    Some(regex.captures(&line.text)?.get(1)?.as_str().to_owned())
}

fn unmatched(source: &DataSource, link: &str, line: &Line, id: &str) -> Finding {
    let key = line.fields.iter().find(|(_, value)| value == id).map(|(key, _)| key.as_str());
    let remedy = match key {
        Some(key) => format!(
            "the id is under `{key}`: add a derived field with `matcherType: label` and `matcherRegex: ^{key}$`"
        ),
        None => "the id is in the line only: add a derived field whose `matcherRegex` captures it".to_owned(),
    };
    let shown: String = line.text.chars().take(120).collect();
    Finding::dead(source, link, format!("no derived field finds {id} in: {shown}"), remedy)
}

/// Whether a trace leads to its log lines.
pub(super) async fn of_trace(patient: &Patient<'_>, source: &DataSource, request: &Request) -> Finding {
    const LINK: &str = "span to logs";
    let Some(link) = source.settings.get("tracesToLogsV2") else {
        return Finding::dead(
            source,
            LINK,
            "there is no `tracesToLogsV2`",
            "generate it: trefoil provision grafana",
        );
    };
    let Some(target) = link["datasourceUid"].as_str().and_then(|uid| patient.source(uid)) else {
        return Finding::skipped(source, LINK, "its data source is told of above");
    };
    if target.kind != "loki" {
        return Finding::skipped(
            source,
            LINK,
            format!("{} is asked in another language than LogQL", target.uid),
        );
    }
    let tags = tags(link, request);
    if tags.is_empty() {
        let known: Vec<&str> = request.tags.iter().map(|(key, _)| key.as_str()).collect();
        return Finding::dead(
            source,
            LINK,
            "none of its `tags` is an attribute of the span, so Grafana shows no link",
            format!("name one of these under `tags`: {}", or_none(&known)),
        );
    }
    let selector = selector(&tags);
    let id = &request.id;
    let query = match link["query"].as_str().filter(|_| link["customQuery"] == true) {
        Some(query) => query
            .replace("${__tags}", selector.trim_start_matches('{').trim_end_matches('}'))
            .replace("${__trace.traceId}", id)
            .replace("${__span.traceId}", id),
        None if link["filterByTraceID"] == true => format!("{selector} |= \"{id}\""),
        None => selector.clone(),
    };
    match lines(patient, target, &query, request).await {
        Err(error) => Finding::dead(source, LINK, error, "see what the server says of the query"),
        Ok(found) if !found.is_empty() => {
            Finding::alive(source, LINK, format!("{query} finds {} lines", found.len()))
        }
        Ok(_) => why_nothing(patient, source, target, &tags, &query, request).await,
    }
}

/// Labels with their values, as the link's `tags` map the span's attributes.
fn tags(link: &Value, request: &Request) -> Vec<(String, String)> {
    let mapped = link["tags"].as_array().into_iter().flatten().filter_map(|tag| {
        let key = tag["key"].as_str()?;
        let label = tag["value"].as_str().filter(|label| !label.is_empty()).unwrap_or(key);
        Some((label.to_owned(), request.tag(key)?.to_owned()))
    });
    mapped.collect()
}

fn selector(tags: &[(String, String)]) -> String {
    let matchers: Vec<String> = tags.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    format!("{{{}}}", matchers.join(", "))
}

/// Why a trace's query finds nothing: no such label, no such value, or lines that do not have the id where it is looked for.
async fn why_nothing(
    patient: &Patient<'_>,
    source: &DataSource,
    target: &DataSource,
    tags: &[(String, String)],
    query: &str,
    request: &Request,
) -> Finding {
    const LINK: &str = "span to logs";
    let dead = |detail: String, remedy: String| Finding::dead(source, LINK, detail, remedy);
    let labels = patient.doorway.ask(target, "/loki/api/v1/labels", &[]).await.unwrap_or_default();
    let names: Vec<&str> =
        labels["data"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (label, value) in tags {
        let values = label_values(patient, target, label).await;
        if !values.iter().any(|known| known == value) {
            let mut fitting = Vec::new();
            for name in names.iter().take(LABELS_TRIED) {
                if label_values(patient, target, name).await.iter().any(|known| known == value) {
                    fitting.push(*name);
                }
            }
            return dead(
                format!("no log stream has {label}=\"{value}\""),
                format!(
                    "map the attribute under `tags` to a label that has this value: {}",
                    or_none(&fitting)
                ),
            );
        }
    }
    let of_service =
        lines(patient, target, &format!("{} |= \"{}\"", selector(tags), request.id), request).await;
    match of_service.ok().and_then(|found| found.into_iter().next()) {
        Some(line) => {
            let key = line.fields.iter().find(|(_, value)| *value == request.id).map(|(key, _)| key.as_str());
            let remedy = match key {
                Some(key) => {
                    format!("the id is under `{key}`: ask for it by that name in the link's `query`")
                }
                None => "the id is in the line only: use `filterByTraceID: true` without a `customQuery`"
                    .to_owned(),
            };
            dead(format!("{query} finds nothing, though the service's lines name the trace"), remedy)
        }
        None => Finding::skipped(
            source,
            LINK,
            format!("{query} finds nothing, and no line of the service names the trace"),
        ),
    }
}

async fn label_values(patient: &Patient<'_>, source: &DataSource, label: &str) -> Vec<String> {
    let answer = patient.doorway.ask(source, &format!("/loki/api/v1/label/{label}/values"), &[]).await;
    let values = answer.unwrap_or_default();
    values["data"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}
