//! Links between log lines and traces, both ways.

use serde_json::Value;

use super::lines::{Line, everything, key_of, lines, of_request};
use super::links::{TRACES, or_none};
use super::report::Finding;
use super::sources::DataSource;
use super::traces::{self, Request};
use super::{Patient, Target};

/// Label values that are looked through for the name of a service.
const LABELS_TRIED: usize = 30;
/// How far lines are looked for that no link finds: further than clocks are ever wrong but by time zones, ns.
const HALF_A_DAY: u64 = 12 * 3_600_000_000_000;

/// Whether the derived fields of a Loki lead from a line of the request to its trace.
pub(super) async fn to_traces(patient: &Patient<'_>, source: &DataSource, request: &Request) -> Vec<Finding> {
    const LINK: &str = "log line to trace";
    let Some(streams) = everything(patient, source).await else {
        return vec![Finding::skipped(source, LINK, "there are no log streams")];
    };
    let id = &request.id;
    let found = of_request(patient, source, &streams, request).await;
    let line = match found {
        Err(error) => {
            return vec![Finding::dead(source, LINK, error.to_string(), "see what the server says")];
        }
        Ok(found) => match found.into_iter().next() {
            Some(line) => line,
            None => return vec![Finding::skipped(source, LINK, format!("no line names {id}"))],
        },
    };
    let fields = source.settings.get("derivedFields").and_then(Value::as_array);
    let mut findings = Vec::new();
    let mut told = false;
    let by_label = fields
        .into_iter()
        .flatten()
        .any(|field| field["matcherType"] == "label" && derived(field, &line).is_some());
    for field in fields.into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let link = format!("{LINK}, field `{name}`");
        if let Some((detail, remedy)) = unusable(field) {
            findings.push(Finding::dead(source, &link, detail, remedy));
            told = true;
            continue;
        }
        let Some(value) = derived(field, &line) else {
            let is_label = field["matcherType"] == "label";
            match key_of(&line, id).filter(|_| is_label && !by_label) {
                Some(key) => {
                    let detail = format!("matches no label of the line, which has the id under `{key}`");
                    let remedy = format!("set its `matcherRegex` to ^{key}$");
                    findings.push(Finding::dead(source, &link, detail, remedy));
                    told = true;
                }
                None => {
                    let detail = "matches nothing in the line that was looked at";
                    findings.push(Finding::skipped(source, &link, detail));
                }
            }
            continue;
        };
        told = true;
        let target = match patient.target(&field["datasourceUid"], TRACES) {
            Target::To(target) => target,
            Target::Told(why) => {
                findings.push(Finding::skipped(source, &link, why));
                continue;
            }
        };
        let opened = traces::opens(patient, target, &value).await;
        findings.push(match opened.remedy {
            None => Finding::alive(source, &link, format!("{value} opens in {}", target.uid)),
            Some(remedy) => {
                Finding::dead(source, &link, format!("{value} does not open in {}", target.uid), remedy)
            }
        });
    }
    if !told {
        findings.push(unmatched(source, LINK, &line, id));
    }
    findings
}

/// Why a derived field can never lead anywhere, and what would.
fn unusable(field: &Value) -> Option<(String, &'static str)> {
    let regex = field["matcherRegex"].as_str().unwrap_or_default();
    match regex::Regex::new(regex) {
        Err(_) => return Some((format!("`{regex}` is no regular expression"), "correct its `matcherRegex`")),
        Ok(parsed) if field["matcherType"] != "label" && parsed.captures_len() < 2 => {
            let remedy = "put what is the id into a group: `matcherRegex: trace_id=(\\w+)`";
            return Some((
                format!("`{regex}` has no group, and the first one is what Grafana takes"),
                remedy,
            ));
        }
        Ok(_) => {}
    }
    let is_internal = field["datasourceUid"].as_str().is_some_and(|uid| !uid.is_empty());
    if is_internal && !field["url"].as_str().unwrap_or_default().contains("${__value.raw}") {
        let remedy = "set its `url` to ${__value.raw}, which a provisioning file writes $${__value.raw}";
        return Some(("its `url`, which is the query, does not hold the id".to_owned(), remedy));
    }
    None
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
    let remedy = match key_of(line, id) {
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
    // Other servers of lines are asked in other languages, which are not known here.
    let target = match patient.target(&link["datasourceUid"], &["loki"]) {
        Target::To(target) => target,
        Target::Told(why) => return Finding::skipped(source, LINK, why),
    };
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
    let unknown =
        unknown_variables(link["query"].as_str().filter(|_| link["customQuery"] == true).unwrap_or_default());
    if !unknown.is_empty() {
        let detail = format!(
            "its `query` has {}, which Grafana does not know, so that it hides the link",
            unknown.join(", ")
        );
        return Finding::dead(source, LINK, detail, format!("use one of: {}", KNOWN_VARIABLES.join(", ")));
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
    let window = shifted(link, request.span);
    match lines(patient, target, &query, window).await {
        Err(error) => Finding::dead(source, LINK, error.to_string(), "see what the server says of the query"),
        Ok(found) if !found.is_empty() => {
            Finding::alive(source, LINK, format!("{query} finds {} lines", found.len()))
        }
        Ok(_) => why_nothing(patient, source, target, &tags, &query, request).await,
    }
}

/// What a query from a span to its logs may name, as Grafana documents it.
const KNOWN_VARIABLES: [&str; 8] = [
    "${__tags}",
    "${__span.spanId}",
    "${__span.traceId}",
    "${__span.duration}",
    "${__span.name}",
    "${__span.tags}",
    "${__trace.traceId}",
    "${__trace.duration}",
];

/// Variables of a query from a span to its logs that there are not.
fn unknown_variables(query: &str) -> Vec<String> {
    let starts = query.match_indices("${__").map(|(at, _)| query.get(at..).unwrap_or_default());
    let whole = |text: &str| text.find('}').and_then(|end| text.get(..=end)).map(str::to_owned);
    let known = |variable: &String| {
        // One tag of all has its key in brackets; a format may follow a colon.
        KNOWN_VARIABLES.contains(&variable.as_str())
            || ["${__span.tags[", "${__trace.name", "${__from", "${__to", "${__interval"]
                .iter()
                .any(|start| variable.starts_with(start))
    };
    starts.filter_map(whole).filter(|variable| !known(variable)).collect()
}

/// The window that Grafana asks for beside a span: its own time, with the link's shifts. ns since 1970.
fn shifted(link: &Value, (start, end): (u64, u64)) -> (u64, u64) {
    let shift = |key: &str| link[key].as_str().and_then(nanos).unwrap_or_default();
    let start = start.saturating_add_signed(shift("spanStartTimeShift"));
    // The end itself is part of it.
    (start, end.saturating_add_signed(shift("spanEndTimeShift")).saturating_add(1))
}

/// A shift such as `-5m`, in ns.
fn nanos(text: &str) -> Option<i64> {
    let (sign, text) = match text.trim().strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.trim()),
    };
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let millis = match text.get(unit..)? {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let count: i64 = text.get(..unit)?.parse().ok()?;
    count.checked_mul(millis)?.checked_mul(1_000_000 * sign)
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
    let around = (request.span.0.saturating_sub(HALF_A_DAY), request.span.1.saturating_add(HALF_A_DAY));
    if let Ok(Some(line)) = lines(patient, target, query, around).await.map(|found| found.into_iter().next())
    {
        let (side, apart) = match line.time.checked_sub(request.span.0) {
            Some(after) => ("after", after),
            None => ("before", request.span.0 - line.time),
        };
        return dead(
            format!("the lines are there, {:.0} s {side} the span began: outside what the link asks for", apart as f64 / 1e9),
            "widen `spanStartTimeShift` and `spanEndTimeShift` (-5m and 5m do for most), and set the hosts' clocks by NTP"
                .to_owned(),
        );
    }
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
        lines(patient, target, &format!("{} |= \"{}\"", selector(tags), request.id), request.window()).await;
    match of_service.ok().and_then(|found| found.into_iter().next()) {
        Some(line) => {
            let remedy = match key_of(&line, &request.id) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shifted;

    #[test]
    fn windows_are_shifted_as_grafana_writes_it() {
        const MINUTE: u64 = 60_000_000_000;
        let span = (60 * MINUTE, 61 * MINUTE);
        for (start, end, expected) in [
            ("-5m", "5m", (55 * MINUTE, 66 * MINUTE)),
            ("-1h", "100ms", (0, 61 * MINUTE + 100_000_000)),
            ("-1d", "", (0, 61 * MINUTE)),
            ("5x", "99999999999999999999h", (60 * MINUTE, 61 * MINUTE)),
        ] {
            let link = json!({"spanStartTimeShift": start, "spanEndTimeShift": end});
            assert_eq!(shifted(&link, span), (expected.0, expected.1 + 1), "{start} {end}");
        }
    }
}
