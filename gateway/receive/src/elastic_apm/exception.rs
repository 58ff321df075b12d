//! Error events: each is a log record, and an event of the span in which it happened if that is at hand.

use parsers::record::{Attributes, Event, SpanId, TraceId, Value};
use serde_json::Value as Json;

use super::fields::Fields;
use super::flat;

/// Characters of a stack written as text; agents send up to 500 frames.
const MAX_STACK: usize = 32_000;
/// Causes that are read of one exception.
const MAX_FRAMES: usize = 500;

/// What an error event says.
pub(super) struct Thrown {
    pub trace: Option<TraceId>,
    /// The span in which it happened, or the transaction.
    pub span: Option<SpanId>,
    pub time: u64,
    /// For people: type and message.
    pub line: String,
    pub attributes: Attributes,
}

impl Thrown {
    /// The event of its span.
    pub(super) fn event(&self) -> Event {
        let wanted = |(name, _): &&(String, Value)| name.starts_with("exception.");
        let attributes = self.attributes.iter().filter(wanted).cloned().collect();
        Event { time: self.time, name: "exception".to_owned(), attributes }
    }
}

/// Reads an error event.
pub(super) fn read(value: &Json, arrival: u64) -> Result<Thrown, String> {
    let fields = Fields::new("error", value)?;
    let id = fields.required_text("id")?;
    let (exception, log) = (fields.inner("exception")?, fields.inner("log")?);
    let (trace, parent) = (fields.trace_id("trace_id")?, fields.span_id("parent_id")?);
    let transaction = fields.span_id("transaction_id")?;
    for (key, there, needs) in [
        ("parent_id", parent.is_some(), trace.is_some() || transaction.is_some()),
        ("trace_id", trace.is_some(), parent.is_some() || transaction.is_some()),
    ] {
        if needs && !there {
            return Err(fields.wrong(key, "required"));
        }
    }
    let mut attributes = vec![("error.id".to_owned(), Value::Str(id.to_owned()))];
    let mut put = |name: &str, value: Option<String>| {
        attributes.extend(value.map(|value| (name.to_owned(), Value::Str(value))));
    };
    let text = |fields: &Fields<'_>, key: &str| fields.get(key).and_then(Json::as_str).map(long);
    let line = match (&exception, &log) {
        (Some(exception), _) => {
            let (kind, message) = (exception.text("type")?, text(exception, "message"));
            if kind.is_none() && message.is_none() {
                return Err(
                    "validation error: one of 'exception.message' and 'exception.type' required".to_owned()
                );
            }
            put("exception.type", kind.map(str::to_owned));
            put("exception.message", message.clone());
            put("exception.stacktrace", stack(exception));
            match (kind, message) {
                (Some(kind), Some(message)) if !message.starts_with(kind) => format!("{kind}: {message}"),
                (kind, message) => message.or(kind.map(str::to_owned)).unwrap_or_default(),
            }
        }
        (None, Some(log)) => {
            let message = text(log, "message").ok_or_else(|| log.wrong("message", "required"))?;
            put("exception.stacktrace", stack(log));
            message
        }
        (None, None) => {
            return Err("validation error: one of 'error.exception' and 'error.log' required".to_owned());
        }
    };
    if let Some(log) = &log {
        put("log.level", log.text("level")?.map(str::to_owned));
        put("log.logger", log.text("logger_name")?.map(str::to_owned));
    }
    put("error.culprit", fields.text("culprit")?.map(str::to_owned));
    put("trace.id", trace.and_then(|id| id.opaque).map(str::to_owned));
    put("transaction.id", transaction.map(|id| id.opaque.map_or_else(|| id.id.to_string(), str::to_owned)));
    if let Some(context) = fields.inner("context")? {
        flat::flatten(context.object(), "", &["tags", "service", "custom"], &mut attributes);
        if let Some(tags) = context.inner("tags")? {
            flat::labels(tags.object(), &mut attributes);
        }
    }
    Ok(Thrown {
        trace: trace.map(|id| id.id),
        span: parent.or(transaction).map(|id| id.id),
        time: fields.timestamp()?.unwrap_or(arrival),
        line,
        attributes,
    })
}

fn long(text: &str) -> String {
    text.chars().take(MAX_STACK).collect()
}

/// `function (file:line)`, a frame a line, the innermost first as agents send them. Where agents send the class or the package of
/// a function by itself, it stands before it, as the language has it.
fn stack(exception: &Fields<'_>) -> Option<String> {
    let frames = exception.get("stacktrace")?.as_array()?;
    let mut out = String::new();
    for frame in frames.iter().take(MAX_FRAMES) {
        let text = |key: &str| frame.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let (file, function) = (text("filename"), text("function").unwrap_or("?"));
        let package = text("module").filter(|_| file.and_then(|file| file.rsplit('.').next()) == Some("go"));
        let line =
            frame.get("lineno").and_then(Json::as_u64).map(|line| format!(":{line}")).unwrap_or_default();
        let frame = match (text("classname").or(package), file) {
            (Some(class), Some(file)) => format!("at {class}.{function} ({file}{line})\n"),
            // Packages of Java are written small, name spaces of .NET are not.
            (Some(class), None) if class.starts_with(|c: char| c.is_lowercase()) => {
                format!("at {class}.{function} (Unknown Source)\n")
            }
            (Some(class), None) => format!("at {class}.{function}()\n"),
            (None, file) => {
                format!("at {function} ({}{line})\n", file.or_else(|| text("module")).unwrap_or("?"))
            }
        };
        if out.len() + frame.len() > MAX_STACK {
            break;
        }
        out.push_str(&frame);
    }
    (!out.is_empty()).then_some(out)
}
