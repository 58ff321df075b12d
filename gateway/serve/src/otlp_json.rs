//! Spans as OTLP writes them in JSON: ids in hex, 64-bit integers as texts, kinds and outcomes as numbers. No group is without spans.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parsers::record::{Attributes, Event, Link, Span, Value};
use serde_json::{Map, Value as Json, json};

/// `{"<key>": {"resourceSpans": [...]}}`.
pub(crate) fn wrapped(key: &str, spans: &[Span]) -> Vec<u8> {
    let body = BTreeMap::from([(key, traces_data(spans))]);
    serde_json::to_vec(&body).unwrap_or_default()
}

/// `{"resourceSpans": [...]}`. Spans that follow each other and are of one resource and scope stand together.
pub(crate) fn traces_data(spans: &[Span]) -> Json {
    let same_resource =
        |a: &Span, b: &Span| Arc::ptr_eq(&a.resource, &b.resource) || a.resource == b.resource;
    let same_scope = |a: &Span, b: &Span| Arc::ptr_eq(&a.scope, &b.scope) || a.scope == b.scope;
    let groups = spans.chunk_by(same_resource).map(|group| {
        let scopes = group.chunk_by(same_scope).map(|group| {
            let scope = group.first().map(|span| {
                json!({ "name": span.scope.name, "version": span.scope.version, "attributes": attributes(&span.scope.attributes) })
            });
            json!({ "scope": scope, "spans": group.iter().map(span).collect::<Vec<_>>() })
        });
        let resource = group.first().map(|span| {
            let mut list = attributes(&span.resource.attributes);
            if !span.resource.attributes.iter().any(|(key, _)| key == "service.name") {
                list.push(json!({ "key": "service.name", "value": { "stringValue": span.resource.service() } }));
            }
            json!({ "attributes": list })
        });
        json!({ "resource": resource, "scopeSpans": scopes.collect::<Vec<_>>() })
    });
    json!({ "resourceSpans": groups.collect::<Vec<_>>() })
}

fn span(span: &Span) -> Json {
    let mut body = Map::new();
    let mut put = |key: &str, value: Json| body.insert(key.to_owned(), value);
    put("traceId", span.trace_id.to_string().into());
    put("spanId", span.span_id.to_string().into());
    if let Some(parent) = span.parent_span_id {
        put("parentSpanId", parent.to_string().into());
    }
    if !span.trace_state.is_empty() {
        put("traceState", span.trace_state.as_str().into());
    }
    put("flags", span.flags.into());
    put("name", span.name.as_str().into());
    put("kind", (span.kind as u8).into());
    put("startTimeUnixNano", span.start.to_string().into());
    put("endTimeUnixNano", span.end.to_string().into());
    put("attributes", attributes(&span.attributes).into());
    put("events", span.events.iter().map(event).collect());
    put("links", span.links.iter().filter_map(link).collect());
    put("status", json!({ "code": span.status.code as u8, "message": span.status.message }));
    body.into()
}

fn event(event: &Event) -> Json {
    json!({ "timeUnixNano": event.time.to_string(), "name": event.name, "attributes": attributes(&event.attributes) })
}

/// A link whose ids are not known leads nowhere.
fn link(link: &Link) -> Option<Json> {
    let (trace, span) = (link.trace_id?.to_string(), link.span_id?.to_string());
    Some(json!({ "traceId": trace, "spanId": span, "attributes": attributes(&link.attributes) }))
}

fn attributes(list: &Attributes) -> Vec<Json> {
    list.iter().map(|(key, value)| json!({ "key": key, "value": any_value(value) })).collect()
}

fn any_value(value: &Value) -> Json {
    match value {
        Value::Empty => json!({}),
        Value::Str(text) => json!({ "stringValue": text }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::Int(number) => json!({ "intValue": number.to_string() }),
        Value::Double(number) if number.is_finite() => json!({ "doubleValue": number }),
        Value::Double(number) => json!({ "doubleValue": infinite(*number) }),
        Value::Bytes(bytes) => json!({ "bytesValue": STANDARD.encode(bytes) }),
        Value::Array(values) => {
            json!({ "arrayValue": { "values": values.iter().map(any_value).collect::<Vec<_>>() } })
        }
        Value::Map(map) => json!({ "kvlistValue": { "values": attributes(map) } }),
    }
}

/// As protobuf's JSON names what is no number of JSON.
fn infinite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
