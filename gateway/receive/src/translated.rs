//! Spans of protocols other than OTLP on their way to a batch: collected, counted where they are left out, and what exporters
//! of OpenTelemetry hide in tags put back where OTLP has it.

use parsers::otlp::{Reason, Rejections, SpanEncoder};
use parsers::record::{Attributes, Scope, Span, SpanBatch, SpanKind, Status, StatusCode, Value, attribute};

/// Tags, events and their fields that one span may have. Far beyond what instrumentation writes; each takes some 80 bytes
/// while it is translated, a few on the wire.
pub(crate) const MAX_PARTS: usize = 1 << 14;

/// Spans of one request.
#[derive(Debug)]
pub(crate) struct Translated {
    arrival: u64,
    encoder: SpanEncoder,
    rejections: Rejections,
    seen: u64,
    first: Option<String>,
}

impl Translated {
    /// For a request that arrived at this time, in nanoseconds.
    pub(crate) fn new(arrival: u64) -> Self {
        let (encoder, rejections) = (SpanEncoder::default(), Rejections::default());
        Self { arrival, encoder, rejections, seen: 0, first: None }
    }

    /// When the request arrived: the time of what has none.
    pub(crate) fn arrival(&self) -> u64 {
        self.arrival
    }

    /// Spans that were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.seen.saturating_sub(self.left_out())
    }

    /// Spans that were left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.rejections.rejected()
    }

    /// Takes a span.
    pub(crate) fn push(&mut self, span: &Span) {
        match self.encoder.push(span) {
            Ok(()) => self.seen += 1,
            Err(reason) => self.leave_out(reason, || reason.as_str().to_owned()),
        }
    }

    /// Counts a span that cannot be taken; the first one's reason is what the sender is told.
    pub(crate) fn leave_out(&mut self, reason: Reason, detail: impl FnOnce() -> String) {
        let index = self.seen;
        self.first.get_or_insert_with(|| format!("span {index}: {}", detail()));
        self.rejections.add(reason);
        self.seen += 1;
    }

    /// The batch, and what was left out of it.
    pub(crate) fn finish(self) -> (SpanBatch, LeftOut) {
        let left_out = LeftOut { rejections: self.rejections, of: self.seen, first: self.first };
        (self.encoder.finish(), left_out)
    }
}

/// What was left out of a request.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    pub rejections: Rejections,
    /// Spans in the request.
    of: u64,
    first: Option<String>,
}

impl LeftOut {
    /// For the sender; `None` if all was taken.
    pub(crate) fn message(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("{} of {} spans left out; the first: {first}", self.rejections.rejected(), self.of))
    }
}

/// What was found in tags.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub kind: Option<SpanKind>,
    pub status: Status,
    pub scope: Scope,
    pub trace_state: String,
}

/// Takes out of the tags what has a place of its own. `error` stays, since people search for it.
pub(crate) fn restore(tags: &mut Attributes) -> Restored {
    let mut found = Restored::default();
    let (mut error, mut code, mut description) = (None, None, None);
    tags.retain(|(key, value)| {
        match (key.as_str(), value) {
            ("span.kind", Value::Str(text)) => match kind(text) {
                Some(kind) => found.kind = Some(kind),
                None => return true,
            },
            ("otel.status_code", value) => match status_code(value) {
                Some(status) => code = Some(status),
                None => return true,
            },
            ("otel.status_description", Value::Str(text)) => description = Some(text.clone()),
            ("otel.scope.name" | "otel.library.name", Value::Str(text)) => {
                found.scope.name.clone_from(text);
            }
            ("otel.scope.version" | "otel.library.version", Value::Str(text)) => {
                found.scope.version.clone_from(text);
            }
            ("w3c.tracestate", Value::Str(text)) => found.trace_state.clone_from(text),
            ("error", value) => {
                error = error_of(value);
                return true;
            }
            _ => return true,
        }
        false
    });
    found.status.code = match (code, &error) {
        (Some(code), _) => code,
        (None, Some(_)) => StatusCode::Error,
        (None, None) => StatusCode::Unset,
    };
    if found.status.code == StatusCode::Error {
        found.status.message = description.or(error).unwrap_or_default();
    }
    found
}

/// Attributes of a resource that tags are moved to; each tag is compared with all of them. Real ones have some 30.
const MAX_RESOURCE: usize = 128;

/// Moves tags of the resource there, unless it says something else under their names: exporters of OpenTelemetry write the
/// resource among the tags, where nothing would be joined by it.
pub(crate) fn move_to_resource(tags: &mut Attributes, resource: &mut Attributes) {
    tags.retain_mut(|(key, value)| {
        if resource.len() >= MAX_RESOURCE || !is_of_resource(key) {
            return true;
        }
        if let Some(known) = attribute(resource, key) {
            return known != value;
        }
        resource.push((std::mem::take(key), std::mem::take(value)));
        false
    });
}

/// Whether a tag of this name describes who sent the span, by OpenTelemetry's conventions.
pub(crate) fn is_of_resource(key: &str) -> bool {
    const PREFIXES: [&str; 10] = [
        "service.",
        "k8s.",
        "container.",
        "host.",
        "telemetry.",
        "process.",
        "os.",
        "cloud.",
        "deployment.",
        "faas.",
    ];
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

fn kind(text: &str) -> Option<SpanKind> {
    const KINDS: [SpanKind; 5] =
        [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    KINDS.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
}

fn status_code(value: &Value) -> Option<StatusCode> {
    match value {
        Value::Str(text) if text.eq_ignore_ascii_case("error") => Some(StatusCode::Error),
        Value::Str(text) if text.eq_ignore_ascii_case("ok") => Some(StatusCode::Ok),
        Value::Str(text) if text.eq_ignore_ascii_case("unset") => Some(StatusCode::Unset),
        Value::Int(code @ 0..=2) => Some(StatusCode::from_code(*code as u8)),
        _ => None,
    }
}

/// The message of an error, perhaps empty; `None` where the tag says that there was none.
fn error_of(value: &Value) -> Option<String> {
    match value {
        Value::Bool(truth) => truth.then(String::new),
        Value::Int(number) => (*number != 0).then(String::new),
        Value::Str(text) if text.eq_ignore_ascii_case("false") => None,
        Value::Str(text) if text.eq_ignore_ascii_case("true") => Some(String::new()),
        Value::Str(text) => Some(text.clone()),
        _ => Some(String::new()),
    }
}
