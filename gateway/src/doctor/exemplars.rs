//! Links from metrics to traces: exemplars, and where their ids lead.

use serde_json::Value;

use super::links::TRACES;
use super::report::Finding;
use super::sources::DataSource;
use super::traces;
use super::{Patient, Target};

/// How far back exemplars are looked for, s.
const LOOK_BACK: u64 = 3600;
/// Selectors that are asked for exemplars: all histograms, by the name that they have in every client library.
const HISTOGRAMS: &str = "{__name__=~\".+_bucket\"}";
/// How the names of Trefoil's own metrics begin.
const OWN: &str = "trefoil_";

/// Whether an exemplar of this Prometheus leads to its trace.
pub(super) async fn to_traces(patient: &Patient<'_>, source: &DataSource) -> Vec<Finding> {
    const LINK: &str = "exemplar to trace";
    let destinations = source.settings.get("exemplarTraceIdDestinations").and_then(Value::as_array);
    let Some(destinations) = destinations.filter(|list| !list.is_empty()) else {
        let remedy =
            "set `exemplarTraceIdDestinations`, with the label of the id and the data source of the traces";
        return vec![Finding::dead(source, LINK, "no destination is set", remedy)];
    };
    let end =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (start, end) = ((end - LOOK_BACK).to_string(), end.to_string());
    let parameters = [("query", HISTOGRAMS), ("start", &start), ("end", &end)];
    let answer = match patient.doorway.ask(source, "/api/v1/query_exemplars", &parameters).await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Finding::dead(source, LINK, error.to_string(), "see what the server says")];
        }
    };
    let mut series: Vec<&Value> = answer["data"].as_array().into_iter().flatten().collect();
    // The last ones are tried first: an application's before those of Trefoil's own requests, of which this is one.
    series.sort_by_key(|series| !is_own(series));
    let labels: Vec<&Value> = series
        .iter()
        .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
        .map(|exemplar| &exemplar["labels"])
        .collect();
    if labels.is_empty() {
        return vec![none(patient, source, LINK).await];
    }
    let mut findings = Vec::new();
    for destination in destinations {
        let (name, uid) = (text(destination, "name"), text(destination, "datasourceUid"));
        let Some(id) = labels.iter().rev().find_map(|labels| labels.get(name)?.as_str()) else { continue };
        let link = format!("{LINK}, label `{name}`");
        let target = match patient.target(&destination["datasourceUid"], TRACES) {
            Target::To(target) => target,
            Target::Told(why) => {
                findings.push(Finding::skipped(source, &link, why));
                continue;
            }
        };
        findings.push(match traces::opens(patient, target, id).await.remedy {
            None => Finding::alive(source, &link, format!("{id} opens in {uid}")),
            Some(remedy) => Finding::dead(source, &link, format!("{id} does not open in {uid}"), remedy),
        });
    }
    if findings.is_empty() {
        let keys: Vec<&str> = labels
            .iter()
            .filter_map(|labels| labels.as_object())
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        let mut keys = keys;
        keys.sort_unstable();
        keys.dedup();
        let remedy = format!(
            "name the label that holds the id under `exemplarTraceIdDestinations`: one of {}",
            keys.join(", ")
        );
        findings.push(Finding::dead(source, LINK, "no exemplar has a label that is named there", remedy));
    }
    findings
}

/// Whether a series is about Trefoil itself.
fn is_own(series: &Value) -> bool {
    series.get("seriesLabels").is_some_and(|labels| text(labels, "__name__").starts_with(OWN))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Why there are no exemplars: Prometheus keeps them only where that is switched on.
async fn none(patient: &Patient<'_>, source: &DataSource, link: &str) -> Finding {
    let flags = patient.doorway.ask(source, "/api/v1/status/flags", &[]).await.unwrap_or_default();
    let features = flags["data"]["enable-feature"].as_str();
    match features {
        Some(features) if !features.split(',').any(|feature| feature.trim() == "exemplar-storage") => {
            Finding::dead(
                source,
                link,
                "this Prometheus keeps no exemplars",
                "start it with --enable-feature=exemplar-storage",
            )
        }
        _ => Finding::skipped(
            source,
            link,
            format!("no histogram has had an exemplar in the last {LOOK_BACK} s"),
        ),
    }
}
