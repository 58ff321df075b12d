//! Links by what they say, before anything is asked: uids that name nothing, and settings that Grafana no longer reads.

use serde_json::Value;

use super::Patient;
use super::report::Finding;
use super::sources::DataSource;

/// Plugins that show traces.
pub(super) const TRACES: &[&str] = &["tempo", "jaeger", "zipkin"];

/// Where a data source's settings name another one, and of which plugins that has to be.
fn named(source: &DataSource) -> Vec<(String, String, &'static [&'static str])> {
    let mut found = Vec::new();
    let lists = [("derivedFields", TRACES), ("exemplarTraceIdDestinations", TRACES)];
    for (list, kinds) in lists {
        for link in source.settings.get(list).and_then(Value::as_array).into_iter().flatten() {
            let name = link.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(uid) = link.get("datasourceUid").and_then(Value::as_str) {
                found.push((format!("{list} `{name}`"), uid.to_owned(), kinds));
            }
        }
    }
    let one: [(&str, &[&str]); 4] = [
        ("tracesToLogsV2", &["loki", "elasticsearch", "grafana-splunk-datasource", "opensearch"]),
        ("tracesToMetrics", &["prometheus"]),
        ("serviceMap", &["prometheus"]),
        ("tracesToProfiles", &["grafana-pyroscope-datasource"]),
    ];
    for (link, kinds) in one {
        let uid = source.settings.get(link).and_then(|link| link.get("datasourceUid"));
        if let Some(uid) = uid.and_then(Value::as_str) {
            found.push((link.to_owned(), uid.to_owned(), kinds));
        }
    }
    found
}

/// Links that name no data source, or one of another kind; and those in a form that is no longer read.
pub(super) fn misnamed(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = defaults(patient.sources);
    for source in patient.sources {
        for (link, uid, kinds) in named(source) {
            let fitting: Vec<&str> = patient
                .sources
                .iter()
                .filter(|other| kinds.contains(&other.kind.as_str()))
                .map(|other| other.uid.as_str())
                .collect();
            let remedy = format!("set its `datasourceUid` to one of: {}", or_none(&fitting));
            match patient.source(&uid) {
                None => findings.push(Finding::dead(
                    source,
                    &link,
                    format!("leads to the data source `{uid}`, which does not exist"),
                    remedy,
                )),
                Some(other) if !kinds.contains(&other.kind.as_str()) => findings.push(Finding::dead(
                    source,
                    &link,
                    format!("leads to `{uid}`, which is of type {}", other.kind),
                    remedy,
                )),
                Some(_) => {}
            }
        }
        for (path, variable) in &source.lost {
            findings.push(Finding::dead(
                source,
                path,
                format!("Grafana takes {variable} for a variable of its environment and leaves it out"),
                format!("double its `$` in the provisioning file: ${variable}"),
            ));
        }
        let mut doubled = Vec::new();
        with_doubled(&source.settings, "jsonData", &mut doubled);
        for path in doubled {
            findings.push(Finding::dead(
                source,
                &path,
                "a doubled `$`, which only provisioning files have",
                "write a single `$`: this data source was not read from a file",
            ));
        }
        if TRACES.contains(&source.kind.as_str()) && source.settings["nodeGraph"]["enabled"] != true {
            findings.push(Finding::dead(
                source,
                "node graph",
                "is switched off, so a trace shows no graph of its services",
                "set `nodeGraph: {enabled: true}`",
            ));
        }
        if source.settings.get("tracesToLogs").is_some() {
            findings.push(Finding::dead(
                source,
                "tracesToLogs",
                "the first form of this link, which Grafana no longer reads",
                "move it to `tracesToLogsV2`: `tags` as a list of {key, value}, `spanStartTimeShift` and `spanEndTimeShift` with units",
            ));
        }
    }
    findings
}

/// A second data source that is to be the one that Grafana takes where none is named: it does not start with both.
fn defaults(sources: &[DataSource]) -> Vec<Finding> {
    let mut defaults = sources.iter().filter(|source| source.is_default);
    let Some(first) = defaults.next() else { return Vec::new() };
    let second = |source: &DataSource| {
        Finding::dead(
            source,
            "isDefault",
            format!("{} has it, too, and Grafana does not start with two", first.uid),
            "leave `isDefault: true` to one of them",
        )
    };
    defaults.map(second).collect()
}

/// Where variables of links are written with two `$`.
fn with_doubled(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("$${") || text.contains("$$__") => found.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| with_doubled(item, &format!("{path}[{n}]"), found));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| with_doubled(value, &format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

/// A list in words.
pub(super) fn or_none(items: &[&str]) -> String {
    if items.is_empty() { "(there is none)".to_owned() } else { items.join(", ") }
}
