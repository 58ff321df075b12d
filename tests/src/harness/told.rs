//! What a client says of itself, a JSON object a line, against what the look-up by trace id answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Http, until};

/// From a client's end to a look-up, on a machine that may be compiling.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// Whether what was told is what was found.
type Same = fn(&Value, &Value) -> bool;

/// Looks up the trace of these records until it has all of them and no others: spans with their times to the nanosecond, their
/// attributes, events and links; log records and exemplars with the spans that they name. The answer.
pub async fn whole(http: &Http, main: SocketAddr, told: &[Value]) -> anyhow::Result<Value> {
    let trace = told.first().and_then(|record| record["trace_id"].as_str()).context("no trace id")?;
    let url = format!("http://{main}/api/v1/traces/{trace}");
    until(&format!("what was told of {trace}"), FOUND_WITHIN, || async {
        let answer = http.get(&url).await?.ok_json()?;
        let signals: [(_, _, Same); 3] = [
            ("span", "spans", same_span),
            ("log", "logs", same_log),
            ("exemplar", "exemplars", same_exemplar),
        ];
        for (signal, key, same) in signals {
            let there = answer[key].as_array().context("no list")?;
            let wanted: Vec<_> = told.iter().filter(|record| record["signal"] == signal).collect();
            for record in &wanted {
                ensure!(record["trace_id"] == trace, "another trace: {record}");
                ensure!(there.iter().any(|found| same(record, found)), "no {record} in {key} of {answer}");
            }
            ensure!(there.len() == wanted.len(), "{} {key}, told {}: {answer}", there.len(), wanted.len());
        }
        Ok(answer)
    })
    .await
}

/// All these keys equal.
fn equal(told: &Value, found: &Value, keys: &[(&str, &str)]) -> bool {
    keys.iter().all(|(there, here)| told[there] == found[here])
}

fn all_equal(told: &Value, found: &Value, keys: &[(&str, &str)]) -> bool {
    let (Some(told), Some(found)) = (told.as_array(), found.as_array()) else { return false };
    told.len() == found.len() && told.iter().zip(found).all(|(told, found)| equal(told, found, keys))
}

fn same_span(told: &Value, found: &Value) -> bool {
    let event = [("name", "name"), ("time", "time_unix_nano"), ("attributes", "attributes")];
    let link = [("trace_id", "trace_id"), ("span_id", "span_id"), ("attributes", "attributes")];
    let own = [
        ("span_id", "span_id"),
        ("parent_span_id", "parent_span_id"),
        ("service", "service"),
        ("name", "name"),
        ("kind", "kind"),
        ("status", "status"),
        ("start", "start_unix_nano"),
        ("duration", "duration_nano"),
        ("attributes", "attributes"),
    ];
    equal(told, found, &own)
        && all_equal(&told["events"], &found["events"], &event)
        && all_equal(&told["links"], &found["links"], &link)
}

fn same_log(told: &Value, found: &Value) -> bool {
    let own = [("span_id", "span_id"), ("line", "line"), ("severity", "severity")];
    equal(told, found, &own)
        && found["labels"]["service_name"] == told["service"]
        && found["join"]["rule"] == "trace_id"
}

/// Metrics have Prometheus' names here: dots are underscores, and there are suffixes.
fn same_exemplar(told: &Value, found: &Value) -> bool {
    let name = told["metric"].as_str().unwrap_or_default().replace('.', "_");
    found["metric"].as_str().is_some_and(|metric| metric.starts_with(&name))
        && found["span_id"] == told["span_id"]
        && found["value"].as_f64() == told["value"].as_f64()
}
