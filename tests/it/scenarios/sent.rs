//! What a scenario sends, by the protocols that the other servers take too: Loki's push, OTLP in JSON.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use tests::harness::{Http, until};

use super::{Clock, STORED_WITHIN};

/// `[{stream: {label: value}, entries: [[second, line, {metadata}]]}]`
pub(super) async fn logs(http: &Http, main: SocketAddr, logs: &Value, clock: Clock) -> Result<()> {
    let Some(logs) = logs.as_array() else { return Ok(()) };
    let mut streams = Vec::new();
    for stream in logs {
        let mut values = Vec::new();
        for entry in stream["entries"].as_array().context("a stream without entries")? {
            let second = entry[0].as_f64().with_context(|| format!("no second in {entry}"))?;
            let line = entry[1].as_str().with_context(|| format!("no line in {entry}"))?;
            let time = clock.nanos(second).to_string();
            let metadata = entry.get(2).cloned().unwrap_or_else(|| json!({}));
            values.push(json!([time, line, metadata]));
        }
        streams.push(json!({"stream": stream["stream"], "values": values}));
    }
    let body = json!({ "streams": streams }).to_string();
    let url = format!("http://{main}/loki/api/v1/push");
    let answer = http.post(&url, &[("content-type", "application/json")], body.into_bytes()).await?;
    ensure!(answer.status == 204, "the logs were answered {}: {}", answer.status, answer.text());
    Ok(())
}

fn attributes(pairs: &Value) -> Value {
    let attribute = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Bool(value) => json!({"boolValue": value}),
            Value::Number(value) if value.is_f64() => json!({"doubleValue": value}),
            Value::Number(value) => json!({"intValue": value.to_string()}),
            value => json!({"stringValue": value.as_str().unwrap_or_default()}),
        };
        json!({"key": key, "value": value})
    };
    pairs.as_object().map_or_else(|| json!([]), |pairs| pairs.iter().map(attribute).collect())
}

/// A number as an id of so many bytes in hex.
fn id(number: &Value, bytes: usize) -> Result<String> {
    let number = number.as_u64().with_context(|| format!("no number: {number}"))?;
    Ok(format!("{number:0width$x}", width = bytes * 2))
}

fn one_of(names: &[&str], name: &Value) -> Result<usize> {
    let Some(name) = name.as_str() else { return Ok(0) };
    names.iter().position(|known| *known == name).with_context(|| format!("no such word: {name}"))
}

fn span(span: &Value, clock: Clock) -> Result<Value> {
    let at = span["at"].as_f64().context("no `at`")?;
    let takes = span["takes"].as_f64().context("no `takes`")?;
    let kind =
        one_of(&["unspecified", "internal", "server", "client", "producer", "consumer"], &span["kind"])?;
    let code = one_of(&["unset", "ok", "error"], &span["status"])?;
    let events = span["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let events: Result<Vec<Value>> = events
        .iter()
        .map(|event| {
            let time = clock.nanos(event["at"].as_f64().context("an event without `at`")?).to_string();
            let attributes = attributes(&event["attributes"]);
            Ok(json!({"timeUnixNano": time, "name": event["name"], "attributes": attributes}))
        })
        .collect();
    let links = span["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let links: Result<Vec<Value>> = links
        .iter()
        .map(|link| {
            let (trace, span) = (id(&link["trace"], 16)?, id(&link["id"], 8)?);
            Ok(json!({"traceId": trace, "spanId": span, "attributes": attributes(&link["attributes"])}))
        })
        .collect();
    let parent = span["parent"].as_u64().map_or_else(|| Ok(String::new()), |_| id(&span["parent"], 8))?;
    Ok(json!({
        "traceId": id(&span["trace"], 16)?,
        "spanId": id(&span["id"], 8)?,
        "parentSpanId": parent,
        "name": span["name"],
        "kind": kind,
        "startTimeUnixNano": clock.nanos(at).to_string(),
        "endTimeUnixNano": clock.nanos(at + takes).to_string(),
        "attributes": attributes(&span["attributes"]),
        "events": events?,
        "links": links?,
        "status": {"code": code, "message": span["message"].as_str().unwrap_or_default()},
    }))
}

/// `[{trace, id, parent, service, name, at, takes, kind, status, message, attributes, resource, scope, events, links}]`; ids are
/// numbers, times seconds.
pub(super) async fn spans(http: &Http, main: SocketAddr, spans: &Value, clock: Clock) -> Result<()> {
    let Some(spans) = spans.as_array() else { return Ok(()) };
    let mut resources = Vec::new();
    for one in spans {
        let mut resource: Map<String, Value> = one["resource"].as_object().cloned().unwrap_or_default();
        resource.insert("service.name".to_owned(), one["service"].clone());
        let scope = one.get("scope").cloned().unwrap_or_else(|| json!({}));
        let sent = span(one, clock).with_context(|| format!("in {one}"))?;
        resources.push(json!({
            "resource": {"attributes": attributes(&Value::Object(resource))},
            "scopeSpans": [{"scope": scope, "spans": [sent]}],
        }));
    }
    let body = json!({ "resourceSpans": resources }).to_string().into_bytes();
    let url = format!("http://{main}/v1/traces");
    until("the spans", STORED_WITHIN, || async {
        let answer = http.post(&url, &[("content-type", "application/json")], body.clone()).await?;
        ensure!(answer.status == 200, "the spans were answered {}: {}", answer.status, answer.text());
        Ok(())
    })
    .await
}

/// `[{name, kind: gauge | sum, help, labels, points: [[second, value]]}]`, of the service `scenario`.
pub(super) async fn metrics(http: &Http, main: SocketAddr, metrics: &Value, clock: Clock) -> Result<()> {
    let Some(metrics) = metrics.as_array() else { return Ok(()) };
    let mut sent = Vec::new();
    for one in metrics {
        let mut points = Vec::new();
        for point in one["points"].as_array().context("a metric without points")? {
            let second = point[0].as_f64().with_context(|| format!("no second in {point}"))?;
            points.push(json!({
                "timeUnixNano": clock.nanos(second).to_string(),
                "startTimeUnixNano": clock.nanos(0.0).to_string(),
                "asDouble": point[1].as_f64().with_context(|| format!("no number in {point}"))?,
                "attributes": attributes(&one["labels"]),
            }));
        }
        let data = match one["kind"].as_str() {
            Some("gauge") => ("gauge", json!({"dataPoints": points})),
            Some("sum") => {
                ("sum", json!({"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}))
            }
            other => bail!("no such kind: {other:?}"),
        };
        let help = one["help"].as_str().unwrap_or_default();
        sent.push(json!({"name": one["name"], "description": help, (data.0): data.1}));
    }
    let resource = json!({"attributes": attributes(&json!({"service.name": "scenario"}))});
    let body = json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": sent}]}]});
    let url = format!("http://{main}/v1/metrics");
    let kind = [("content-type", "application/json")];
    let answer = http.post(&url, &kind, body.to_string().into_bytes()).await?;
    ensure!(answer.status == 200, "the metrics were answered {}: {}", answer.status, answer.text());
    Ok(())
}
