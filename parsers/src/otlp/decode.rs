//! Stored messages to owned records. Total: invalid UTF-8 is replaced, unknown fields are ignored, and a message that breaks
//! off gives what stood before the break.

use std::borrow::Cow;
use std::sync::Arc;

use crate::record::{
    Attributes, Event, Link, Resource, Scope, Span, SpanId, SpanKind, Spelling, Status, StatusCode, TraceId,
    Value,
};

use super::{Field, Reader};

/// How deep lists and maps may nest before the rest reads as empty: protobuf's own default is 100 messages, of which each
/// level of a map takes three.
const MAX_DEPTH: u32 = 32;

/// Bytes that should be UTF-8.
pub(super) struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    pub(super) fn cow(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }
    fn owned(&self) -> String {
        self.cow().into_owned()
    }
}

/// Calls for each field until the message ends or breaks.
pub(super) fn fields<'a>(message: &'a [u8], mut each: impl FnMut(u32, Field<'a>)) {
    let mut reader = Reader::new(message);
    while let Ok(Some((number, field))) = reader.read() {
        each(number, field);
    }
}

/// A `Span` message. The id is given the spelling that the row remembers. `None` if an id is missing or invalid.
pub fn decode_span(
    payload: &[u8],
    spelling: Spelling,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
) -> Option<Span> {
    let (mut trace_id, mut span_id, mut parent_span_id) = (None, None, None);
    let (mut trace_state, mut flags, mut name) = (String::new(), 0, String::new());
    let (mut kind, mut start, mut end) = (SpanKind::Unspecified, 0, 0);
    let (mut attributes, mut events, mut links) = (Attributes::new(), Vec::new(), Vec::new());
    let mut outcome = Status::default();
    fields(payload, |number, field| match (number, field) {
        (1, Field::Bytes(bytes)) => trace_id = trace(bytes, spelling),
        (2, Field::Bytes(bytes)) => span_id = SpanId::from_bytes(bytes).ok(),
        (3, Field::Bytes(bytes)) => trace_state = Text(bytes).owned(),
        (4, Field::Bytes(bytes)) => parent_span_id = SpanId::from_bytes(bytes).ok(),
        (5, Field::Bytes(bytes)) => name = Text(bytes).owned(),
        (6, Field::Varint(code)) => kind = SpanKind::from_code(u8::try_from(code).unwrap_or(0)),
        (7, Field::Fixed64(time)) => start = time,
        (8, Field::Fixed64(time)) => end = time,
        (9, Field::Bytes(bytes)) => attributes.push(key_value(bytes, 0)),
        (11, Field::Bytes(bytes)) => events.push(event(bytes)),
        (13, Field::Bytes(bytes)) => links.push(link(bytes)),
        (15, Field::Bytes(bytes)) => outcome = status(bytes),
        (16, Field::Fixed32(bits)) => flags = bits,
        _ => {}
    });
    Some(Span {
        trace_id: trace_id?,
        span_id: span_id?,
        parent_span_id,
        trace_state,
        flags,
        name,
        kind,
        start,
        end,
        attributes,
        events,
        links,
        status: outcome,
        resource,
        scope,
    })
}

fn trace(bytes: &[u8], spelling: Spelling) -> Option<TraceId> {
    TraceId::new(u128::from_be_bytes(bytes.try_into().ok()?), spelling)
}

fn event(message: &[u8]) -> Event {
    let mut event = Event::default();
    fields(message, |number, field| match (number, field) {
        (1, Field::Fixed64(time)) => event.time = time,
        (2, Field::Bytes(bytes)) => event.name = Text(bytes).owned(),
        (3, Field::Bytes(bytes)) => event.attributes.push(key_value(bytes, 0)),
        _ => {}
    });
    event
}

fn link(message: &[u8]) -> Link {
    let mut link = Link { trace_id: None, span_id: None, attributes: Attributes::new() };
    fields(message, |number, field| match (number, field) {
        (1, Field::Bytes(bytes)) => link.trace_id = TraceId::from_bytes(bytes).ok(),
        (2, Field::Bytes(bytes)) => link.span_id = SpanId::from_bytes(bytes).ok(),
        (4, Field::Bytes(bytes)) => link.attributes.push(key_value(bytes, 0)),
        _ => {}
    });
    link
}

fn status(message: &[u8]) -> Status {
    let mut status = Status::default();
    fields(message, |number, field| match (number, field) {
        (2, Field::Bytes(bytes)) => status.message = Text(bytes).owned(),
        (3, Field::Varint(code)) => status.code = StatusCode::from_code(u8::try_from(code).unwrap_or(0)),
        _ => {}
    });
    status
}

/// A `Resource` message; an empty one is a resource without attributes.
pub fn decode_resource(message: &[u8]) -> Resource {
    let mut resource = Resource::default();
    fields(message, |number, field| {
        if let (1, Field::Bytes(bytes)) = (number, field) {
            resource.attributes.push(key_value(bytes, 0));
        }
    });
    resource
}

/// An `InstrumentationScope` message.
pub fn decode_scope(message: &[u8]) -> Scope {
    let mut scope = Scope::default();
    fields(message, |number, field| match (number, field) {
        (1, Field::Bytes(bytes)) => scope.name = Text(bytes).owned(),
        (2, Field::Bytes(bytes)) => scope.version = Text(bytes).owned(),
        (3, Field::Bytes(bytes)) => scope.attributes.push(key_value(bytes, 0)),
        _ => {}
    });
    scope
}

/// A `KeyValue` message.
pub(super) fn key_value(message: &[u8], depth: u32) -> (String, Value) {
    let (mut key, mut value) = (String::new(), Value::Empty);
    fields(message, |number, field| match (number, field) {
        (1, Field::Bytes(bytes)) => key = Text(bytes).owned(),
        (2, Field::Bytes(bytes)) => value = any_value(bytes, depth),
        _ => {}
    });
    (key, value)
}

/// An `AnyValue` message. Lists and maps nested deeper than 32 read as empty.
pub fn decode_value(message: &[u8]) -> Value {
    any_value(message, 0)
}

fn any_value(message: &[u8], depth: u32) -> Value {
    let mut value = Value::Empty;
    if depth > MAX_DEPTH {
        return value;
    }
    fields(message, |number, field| match (number, field) {
        (1, Field::Bytes(bytes)) => value = Value::Str(Text(bytes).owned()),
        (2, Field::Varint(bits)) => value = Value::Bool(bits != 0),
        (3, Field::Varint(bits)) => value = Value::Int(bits as i64),
        (4, Field::Fixed64(bits)) => value = Value::Double(f64::from_bits(bits)),
        (5, Field::Bytes(bytes)) => {
            let mut items = Vec::new();
            fields(bytes, |number, field| {
                if let (1, Field::Bytes(item)) = (number, field) {
                    items.push(any_value(item, depth + 1));
                }
            });
            value = Value::Array(items);
        }
        (6, Field::Bytes(bytes)) => {
            let mut pairs = Attributes::new();
            fields(bytes, |number, field| {
                if let (1, Field::Bytes(pair)) = (number, field) {
                    pairs.push(key_value(pair, depth + 1));
                }
            });
            value = Value::Map(pairs);
        }
        (7, Field::Bytes(bytes)) => value = Value::Bytes(bytes.to_vec()),
        _ => {}
    });
    value
}
