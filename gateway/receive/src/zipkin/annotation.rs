//! An annotation to an event. Exporters of OpenTelemetry write an event's attributes behind its name, as JSON:
//! `{"name": {…}}` in Python, `"name":{…}` in Java, `name: {…}` in Go.

use parsers::record::{Attributes, Event, Value};
use serde_json::Map;

/// Bytes of an annotation in which attributes are looked for: as JSON they take many times as much while they are read.
const MAX_TEXT: usize = 1 << 16;

/// The event. `room` is how many attributes, and values in them, the span's events may still have.
pub(super) fn event(time: u64, text: String, room: &mut usize) -> Event {
    match with_attributes(&text, room) {
        Some((name, attributes)) => Event { time, name, attributes },
        None => Event { time, name: text, attributes: Attributes::new() },
    }
}

/// The name and the attributes, if that is what the text is.
fn with_attributes(text: &str, room: &mut usize) -> Option<(String, Attributes)> {
    if text.len() > MAX_TEXT || !text.ends_with('}') {
        return None;
    }
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let (name, json) = if inner.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let name = names.next()?.ok()?;
        (name, inner.get(names.byte_offset()..)?.trim_start().strip_prefix(':')?)
    } else {
        let colon = inner.find(": {")?;
        (inner.get(..colon)?.to_owned(), inner.get(colon + 1..)?)
    };
    let map: Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    let mut left = *room;
    let pairs = map.into_iter().map(|(key, value)| Some((key, attribute(value, &mut left, true)?)));
    let attributes: Attributes = pairs.collect::<Option<_>>()?;
    *room = left;
    Some((name, attributes))
}

/// A scalar, or a list of them.
fn attribute(value: serde_json::Value, room: &mut usize, may_be_list: bool) -> Option<Value> {
    *room = room.checked_sub(1)?;
    match value {
        serde_json::Value::Null => Some(Value::Empty),
        serde_json::Value::Bool(truth) => Some(Value::Bool(truth)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(Value::Int(integer)),
            None => number.as_f64().map(Value::Double),
        },
        serde_json::Value::String(text) => Some(Value::Str(text)),
        serde_json::Value::Array(list) if may_be_list => {
            let items = list.into_iter().map(|item| attribute(item, room, false));
            items.collect::<Option<_>>().map(Value::Array)
        }
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}
