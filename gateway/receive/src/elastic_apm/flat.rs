//! Free-form parts of an event to attributes: nested objects to dotted names, and names that OpenTelemetry has words for to
//! those.

use parsers::record::{Attributes, Value};
use serde_json::Value as Json;

use super::fields::{Object, cut};

/// Attributes of one event; each takes some 80 bytes, a few on the wire.
const MAX_ATTRIBUTES: usize = 1024;
/// Characters of a statement or a message; other texts are cut at 1024.
const MAX_LONG: usize = 10_000;
/// How deep objects may nest.
const MAX_DEPTH: usize = 8;

/// Names of Elastic's and of OpenTelemetry.
const WORDS: [(&str, &str); 17] = [
    ("request.method", "http.request.method"),
    ("request.url.full", "url.full"),
    ("request.url.pathname", "url.path"),
    ("request.url.hostname", "server.address"),
    ("request.url.search", "url.query"),
    ("request.socket.remote_address", "client.address"),
    ("response.status_code", "http.response.status_code"),
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.response.status_code", "http.response.status_code"),
    ("http.url", "url.full"),
    ("db.type", "db.system"),
    ("db.instance", "db.name"),
    ("db.user", "db.user"),
    ("destination.address", "server.address"),
    ("destination.port", "server.port"),
    ("message.queue.name", "messaging.destination.name"),
];

/// A scalar as an attribute's value.
pub(super) fn scalar(value: &Json) -> Option<Value> {
    match value {
        Json::String(text) => Some(Value::Str(cut(text).to_owned())),
        Json::Bool(truth) => Some(Value::Bool(*truth)),
        Json::Number(number) => Some(
            number
                .as_i64()
                .map(Value::Int)
                .unwrap_or_else(|| Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        ),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Adds what an object holds, except its keys in `but`.
pub(super) fn flatten(object: &Object, prefix: &str, but: &[&str], out: &mut Attributes) {
    let depth = prefix.bytes().filter(|byte| *byte == b'.').count();
    for (key, value) in object {
        if but.contains(&key.as_str()) || out.len() >= MAX_ATTRIBUTES {
            continue;
        }
        let name = if prefix.is_empty() { cut(key).to_owned() } else { format!("{prefix}.{}", cut(key)) };
        match value {
            Json::Null => {}
            Json::Object(inner) if depth < MAX_DEPTH => flatten(inner, &name, &[], out),
            Json::Array(list) if list.iter().all(|item| scalar(item).is_some()) => {
                let items = list.iter().take(MAX_ATTRIBUTES).filter_map(scalar).collect();
                push(name, Value::Array(items), out);
            }
            Json::String(text) if name == "db.statement" => {
                let text: String = text.chars().take(MAX_LONG).collect();
                push(name, Value::Str(text), out);
            }
            Json::Object(_) | Json::Array(_) => {
                push(name, Value::Str(cut(&value.to_string()).to_owned()), out);
            }
            _ => out.extend(scalar(value).map(|value| (word(name), value))),
        }
    }
}

fn push(name: String, value: Value, out: &mut Attributes) {
    out.push((word(name), value));
}

fn word(name: String) -> String {
    match WORDS.iter().find(|(elastic, _)| *elastic == name) {
        Some((_, word)) => (*word).to_owned(),
        None => name,
    }
}

/// Adds labels, which later ones of the same name replace. Objects and lists are none.
pub(super) fn labels(object: &Object, out: &mut Attributes) {
    for (key, value) in object {
        let Some(value) = scalar(value) else { continue };
        let name = format!("labels.{}", cut(key));
        let room = out.len() < MAX_ATTRIBUTES;
        match out.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None if room => out.push((name, value)),
            None => {}
        }
    }
}
