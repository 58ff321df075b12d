//! Owned records back to OTLP messages, in the order of field numbers.

use crate::record::{Attributes, Resource, Scope, Span, SpanId, TraceId, Value};

use super::Writer;

/// Appends a `Span` message, without a length before it. Resource and scope are messages of their own.
pub fn encode_span(span: &Span, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.bytes(1, &span.trace_id.bits().to_be_bytes());
    w.bytes(2, &span.span_id.bits().to_be_bytes());
    w.bytes(3, span.trace_state.as_bytes());
    if let Some(parent) = span.parent_span_id {
        w.bytes(4, &parent.bits().to_be_bytes());
    }
    w.bytes(5, span.name.as_bytes());
    w.varint(6, span.kind as u64);
    w.fixed64(7, span.start);
    w.fixed64(8, span.end);
    attributes(&mut w, 9, &span.attributes);
    for event in &span.events {
        w.message(11, |out| {
            let mut w = Writer::new(out);
            w.fixed64(1, event.time);
            w.bytes(2, event.name.as_bytes());
            attributes(&mut w, 3, &event.attributes);
        });
    }
    for link in &span.links {
        w.message(13, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, &link.trace_id.map(TraceId::bits).map(u128::to_be_bytes).unwrap_or_default());
            w.bytes(2, &link.span_id.map(SpanId::bits).map(u64::to_be_bytes).unwrap_or_default());
            attributes(&mut w, 4, &link.attributes);
        });
    }
    if !span.status.message.is_empty() || span.status.code as u64 != 0 {
        w.message(15, |out| {
            let mut w = Writer::new(out);
            w.bytes(2, span.status.message.as_bytes());
            w.varint(3, span.status.code as u64);
        });
    }
    w.fixed32(16, span.flags);
}

/// Appends a `Resource` message.
pub fn encode_resource(resource: &Resource, out: &mut Vec<u8>) {
    attributes(&mut Writer::new(out), 1, &resource.attributes);
}

/// Appends an `InstrumentationScope` message.
pub fn encode_scope(scope: &Scope, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.bytes(1, scope.name.as_bytes());
    w.bytes(2, scope.version.as_bytes());
    attributes(&mut w, 3, &scope.attributes);
}

fn attributes(w: &mut Writer<'_>, number: u32, attributes: &Attributes) {
    for (key, value) in attributes {
        w.message(number, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, key.as_bytes());
            w.message(2, |out| encode_value(value, out));
        });
    }
}

/// Appends an `AnyValue` message.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    match value {
        Value::Empty => {}
        Value::Str(text) => w.always_bytes(1, text.as_bytes()),
        Value::Bool(truth) => w.always_varint(2, u64::from(*truth)),
        Value::Int(number) => w.always_varint(3, *number as u64),
        Value::Double(number) => w.always_double(4, *number),
        Value::Array(items) => w.message(5, |out| {
            for item in items {
                Writer::new(out).message(1, |out| encode_value(item, out));
            }
        }),
        Value::Map(pairs) => w.message(6, |out| attributes(&mut Writer::new(out), 1, pairs)),
        Value::Bytes(bytes) => w.always_bytes(7, bytes),
    }
}
