//! Reading an event's fields as its schema has them: what is missing or of another type is an error that names the field.

use parsers::record::{SpanId, TraceId};
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// Most characters of a keyword; ids longer than this are refused, other texts are cut.
const MAX_KEYWORD: usize = 1024;

/// An object of an event, and what to call it in errors.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v> {
    path: &'static str,
    object: &'v Object,
}

/// The text, cut to what a keyword may have.
pub(super) fn cut(text: &str) -> &str {
    match text.char_indices().nth(MAX_KEYWORD) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

impl<'v> Fields<'v> {
    pub(super) fn new(path: &'static str, value: &'v Value) -> Result<Self, String> {
        match value {
            Value::Object(object) => Ok(Self { path, object }),
            _ => Err(format!("validation error: '{path}' must be an object")),
        }
    }

    pub(super) fn object(&self) -> &'v Object {
        self.object
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, key: &str, what: &str) -> String {
        format!("validation error: '{}.{key}' {what}", self.path)
    }

    /// A text, cut.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'v str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(cut(text))),
            Some(_) => Err(self.wrong(key, "must be a string")),
        }
    }

    pub(super) fn required_text(&self, key: &str) -> Result<&'v str, String> {
        self.text(key)?.filter(|text| !text.is_empty()).ok_or_else(|| self.wrong(key, "required"))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(self.wrong(key, "must be a number")),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(_) => Err(self.wrong(key, "must be a boolean")),
        }
    }

    pub(super) fn inner(&self, key: &'static str) -> Result<Option<Self>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self { path: key, object })),
            Some(_) => Err(self.wrong(key, "must be an object")),
        }
    }

    /// Microseconds since 1970 to nanoseconds.
    pub(super) fn timestamp(&self) -> Result<Option<u64>, String> {
        let micros = self.number("timestamp")?;
        Ok(micros
            .filter(|micros| *micros > 0.0)
            .map(|micros| micros as u64)
            .map(|micros| micros.saturating_mul(1000)))
    }

    /// Milliseconds, perhaps a fraction of one, to nanoseconds.
    pub(super) fn millis(&self, key: &str) -> Result<Option<u64>, String> {
        Ok(self.number(key)?.map(nanos))
    }

    fn id(&self, key: &str) -> Result<Option<&'v str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.len() > MAX_KEYWORD => {
                Err(self.wrong(key, "must have at most 1024 characters"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "must be a string")),
        }
    }

    pub(super) fn trace_id(&self, key: &str) -> Result<Option<Named<'v, TraceId>>, String> {
        Ok(self.id(key)?.and_then(trace_id))
    }

    pub(super) fn span_id(&self, key: &str) -> Result<Option<Named<'v, SpanId>>, String> {
        Ok(self.id(key)?.and_then(span_id))
    }

    pub(super) fn required<T>(&self, key: &str, found: Option<T>) -> Result<T, String> {
        found.ok_or_else(|| self.wrong(key, "required"))
    }
}

/// Milliseconds to nanoseconds; nothing below zero.
pub(super) fn nanos(millis: f64) -> u64 {
    (millis * 1e6).round() as u64
}

/// An id with the string that it came as, where the id alone cannot give it back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'v, T> {
    pub id: T,
    pub opaque: Option<&'v str>,
}

/// An id that may be any string: hex if it is, else a hash of it.
pub(super) fn trace_id(text: &str) -> Option<Named<'_, TraceId>> {
    match TraceId::from_hex(text.as_bytes()) {
        Ok(id) => Some(Named { id, opaque: None }),
        Err(_) => TraceId::opaque(text.as_bytes()).map(|id| Named { id, opaque: Some(text) }),
    }
}

/// As [`trace_id`]. A span's id has 16 digits in every answer, so that another spelling is kept too.
pub(super) fn span_id(text: &str) -> Option<Named<'_, SpanId>> {
    match SpanId::from_hex(text.as_bytes()) {
        Ok(id) => {
            let canonical = text.len() == 16 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
            Some(Named { id, opaque: (!canonical).then_some(text) })
        }
        Err(_) => SpanId::opaque(text.as_bytes()).map(|id| Named { id, opaque: Some(text) }),
    }
}
