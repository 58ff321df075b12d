//! Exemplars in Prometheus' JSON: values as texts, and no keys but those that Grafana knows.

use std::collections::BTreeMap;

use correlate::{ExemplarsFound, FoundExemplar};
use parsers::record::ExemplarOrigin;
use serde::Serialize;

/// The label that names the trace, as Grafana's link is configured to.
const TRACE_LABEL: &str = "trace_id";
const SPAN_LABEL: &str = "span_id";
/// The label of exemplars that no application sent.
const MADE_LABEL: &str = "trefoil_made";
/// And which of its step it is: the slowest, a typical or a failed request.
const OF_LABEL: &str = "trefoil_of";

#[derive(Serialize)]
struct Envelope<'a> {
    status: &'static str,
    data: Vec<Series<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Series<'a> {
    series_labels: BTreeMap<&'a str, &'a str>,
    exemplars: Vec<Body<'a>>,
}

#[derive(Serialize)]
struct Body<'a> {
    labels: BTreeMap<&'a str, String>,
    value: String,
    timestamp: f64,
}

/// Everything that was found.
pub(super) fn exemplars(found: &ExemplarsFound) -> Vec<u8> {
    let series = found.series.iter().map(|series| Series {
        series_labels: series.labels.iter().collect(),
        exemplars: series.exemplars.iter().map(body).collect(),
    });
    let envelope = Envelope { status: "success", data: series.collect(), warnings: &found.warnings };
    // String keys and finite times only: writing it to memory cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

fn body(found: &FoundExemplar) -> Body<'_> {
    let exemplar = &found.exemplar;
    let mut labels: BTreeMap<&str, String> =
        exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let ids = [
        (TRACE_LABEL, exemplar.trace_id.map(|id| id.to_string())),
        (SPAN_LABEL, exemplar.span_id.map(|id| id.to_string())),
    ];
    labels.extend(ids.into_iter().filter_map(|(name, id)| Some((name, id?))));
    if exemplar.origin == ExemplarOrigin::Trefoil {
        labels.insert(MADE_LABEL, "true".to_owned());
    }
    if let Some(made) = found.made {
        labels.insert(OF_LABEL, made.of.as_str().to_owned());
    }
    // Whole milliseconds, as Prometheus keeps them.
    Body { labels, value: number(exemplar.value), timestamp: (exemplar.time / 1_000_000) as f64 / 1e3 }
}

/// As Go writes it.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
