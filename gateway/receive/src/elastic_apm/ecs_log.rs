//! Log events in ECS: names may be nested or dotted, and nested ones count more.

use parsers::record::{SpanId, TraceId};
use serde_json::Value as Json;

use super::fields::{Fields, Object, span_id, trace_id};
use super::flat;
use crate::line_times;

/// What a log event says.
pub(super) struct Logged {
    pub time: u64,
    pub line: String,
    pub trace: Option<TraceId>,
    pub span: Option<SpanId>,
    /// Names and values, the level among them.
    pub fields: Vec<(String, String)>,
}

/// Where a name leads: through nested objects, else as it is.
fn at<'v>(object: &'v Object, name: &str) -> Option<&'v Json> {
    let nested = name.split_once('.').and_then(|(first, rest)| at(object.get(first)?.as_object()?, rest));
    nested.or_else(|| object.get(name)).filter(|value| !value.is_null())
}

/// Reads a log event.
pub(super) fn read(value: &Json, arrival: u64) -> Result<Logged, String> {
    let fields = Fields::new("log", value)?;
    let object = fields.object();
    let text = |name: &str| at(object, name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let time = match at(object, "@timestamp") {
        None => fields.timestamp()?,
        Some(Json::String(text)) => {
            let time = line_times::read(text);
            Some(time.ok_or_else(|| fields.wrong("@timestamp", "must be RFC 3339 or microseconds"))?)
        }
        Some(Json::Number(micros)) => micros.as_f64().map(|micros| (micros as u64).saturating_mul(1000)),
        Some(_) => return Err(fields.wrong("@timestamp", "must be a string or a number")),
    };
    let trace = text("trace.id").and_then(trace_id);
    let span = text("span.id").or_else(|| text("transaction.id")).and_then(span_id);
    let mut attributes = Vec::new();
    let but = ["message", "@timestamp", "timestamp", "labels", "span.id", "trace.id", "trace", "span"];
    flat::flatten(object, "", &but, &mut attributes);
    if let Some(labels) = fields.inner("labels")? {
        flat::labels(labels.object(), &mut attributes);
    }
    let mut more: Vec<(String, String)> = Vec::new();
    for (name, value) in &attributes {
        // Of two spellings the nested one counts.
        let value = text(name).map_or_else(|| shown(value), str::to_owned);
        if more.iter().all(|(known, _)| known != name) {
            more.push((name.clone(), value));
        }
    }
    more.extend(trace.and_then(|id| id.opaque).map(|text| ("trace.id".to_owned(), text.to_owned())));
    Ok(Logged {
        time: time.unwrap_or(arrival),
        line: at(object, "message")
            .map(|message| match message {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            })
            .unwrap_or_default(),
        trace: trace.map(|id| id.id),
        span: span.map(|id| id.id),
        fields: more,
    })
}

/// A value as text.
pub(super) fn shown(value: &parsers::record::Value) -> String {
    use parsers::record::Value;
    match value {
        Value::Str(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Empty | Value::Bytes(_) | Value::Map(_) => String::new(),
    }
}
