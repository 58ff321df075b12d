//! What a Jaeger client says of one span, and the span that it makes. Thrift and protobuf end here.

use std::sync::Arc;

use parsers::otlp::Reason;
use parsers::record::{Attributes, Event, Link, Resource, Span, SpanId, SpanKind, TraceId, Value, attribute};

use crate::translated::{MAX_PARTS, Translated, is_of_resource, move_to_resource, restore};

/// How a span refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Relation {
    #[default]
    ChildOf,
    FollowsFrom,
}

impl Relation {
    /// From the number in both encodings.
    pub(super) fn from_code(code: i64) -> Self {
        if code == 1 { Self::FollowsFrom } else { Self::ChildOf }
    }
}

/// A reference to another span.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Reference {
    pub relation: Relation,
    pub trace: Option<TraceId>,
    pub span: Option<SpanId>,
}

/// One span as it was sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sent {
    pub trace: Option<TraceId>,
    pub id: Option<SpanId>,
    /// Thrift has it as a field of its own, protobuf only among the references.
    pub parent: Option<SpanId>,
    pub name: String,
    pub references: Vec<Reference>,
    pub flags: u32,
    /// Nanoseconds; 0 is unknown, and becomes the time of arrival.
    pub start: u64,
    /// Nanoseconds.
    pub duration: u64,
    pub tags: Attributes,
    /// Times in nanoseconds.
    pub logs: Vec<(u64, Attributes)>,
    pub warnings: Vec<String>,
    pub incomplete: bool,
    /// References, tags, logs and their fields met so far.
    pub parts: usize,
}

const SAMPLED: u32 = 1;
const DEBUG: u32 = 2;

impl Sent {
    /// Whether there is room for one part more.
    pub(super) fn has_room(&mut self) -> bool {
        self.parts += 1;
        self.parts <= MAX_PARTS
    }

    /// To the rest of its request, or left out.
    pub(super) fn put(mut self, process: Process, into: &mut Translated) {
        let Some(trace) = self.trace else {
            return into
                .leave_out(Reason::TraceId, || "trace id: missing, zero or of a wrong length".to_owned());
        };
        let Some(id) = self.id else {
            return into
                .leave_out(Reason::SpanId, || "span id: missing, zero or of a wrong length".to_owned());
        };
        if self.parts > MAX_PARTS {
            let detail = || format!("more than {MAX_PARTS} references, tags and log fields");
            return into.leave_out(Reason::TooMany, detail);
        }
        if self.start == 0 {
            self.start = into.arrival();
        }
        into.push(&self.into_span(trace, id, process));
    }

    /// The parent is the field, else the first `CHILD_OF` of the same trace, else the first `FOLLOWS_FROM` of it.
    fn parent_of(&self, trace: TraceId, id: SpanId) -> Option<SpanId> {
        let of = |relation| {
            let mut references = self.references.iter();
            let found = references.find(|one| one.relation == relation && one.trace == Some(trace));
            found.and_then(|one| one.span)
        };
        let parent = self.parent.or_else(|| of(Relation::ChildOf)).or_else(|| of(Relation::FollowsFrom));
        parent.filter(|parent| *parent != id)
    }

    fn into_span(mut self, trace_id: TraceId, span_id: SpanId, process: Process) -> Span {
        let parent_span_id = self.parent_of(trace_id, span_id);
        let restored = restore(&mut self.tags);
        let mut attributes = self.tags;
        let resource = process.with(&mut attributes);
        for (key, said) in [("jaeger.debug", self.flags & DEBUG != 0), ("jaeger.incomplete", self.incomplete)]
        {
            if said {
                attributes.push((key.to_owned(), Value::Bool(true)));
            }
        }
        if !self.warnings.is_empty() {
            let warnings = self.warnings.into_iter().map(Value::Str).collect();
            attributes.push(("jaeger.warnings".to_owned(), Value::Array(warnings)));
        }
        let is_parent = |one: &Reference| one.trace == Some(trace_id) && one.span == parent_span_id;
        let links = self.references.iter().filter(|one| !is_parent(one)).map(link).collect();
        Span {
            trace_id,
            span_id,
            parent_span_id,
            trace_state: restored.trace_state,
            flags: self.flags & SAMPLED,
            name: self.name,
            kind: restored.kind.unwrap_or(SpanKind::Unspecified),
            start: self.start,
            end: self.start.saturating_add(self.duration),
            attributes,
            events: self.logs.into_iter().map(|(time, fields)| event(time, fields)).collect(),
            links,
            status: restored.status,
            resource,
            scope: Arc::new(restored.scope),
        }
    }
}

fn link(reference: &Reference) -> Link {
    let relation = match reference.relation {
        Relation::ChildOf => "child_of",
        Relation::FollowsFrom => "follows_from",
    };
    let attributes = vec![("opentracing.ref_type".to_owned(), Value::Str(relation.to_owned()))];
    Link { trace_id: reference.trace, span_id: reference.span, attributes }
}

/// Takes a field out, if it is a text.
fn take_text(fields: &mut Attributes, wanted: &str) -> Option<String> {
    let at = fields.iter().position(|(key, value)| key == wanted && value.as_str().is_some())?;
    match fields.remove(at).1 {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

/// A log's fields. The field `event` names it; what OpenTracing says of an error has other names in OpenTelemetry.
fn event(time: u64, mut fields: Attributes) -> Event {
    let name = take_text(&mut fields, "event");
    let has = |key| attribute(&fields, key).is_some();
    let is_error = has("error.kind") || has("stack") || (name.as_deref() == Some("error") && has("message"));
    if !is_error {
        // Without a name its message says what it is; exporters of OpenTelemetry write the name there.
        let name = name.or_else(|| take_text(&mut fields, "message")).unwrap_or_else(|| "log".to_owned());
        return Event { time, name, attributes: fields };
    }
    for (key, _) in &mut fields {
        let known = match key.as_str() {
            "error.kind" => "exception.type",
            "message" => "exception.message",
            "stack" => "exception.stacktrace",
            _ => continue,
        };
        known.clone_into(key);
    }
    Event { time, name: "exception".to_owned(), attributes: fields }
}

/// Who sent spans. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    resource: Arc<Resource>,
    /// Whether it is too large to be copied for a span of its own.
    is_large: bool,
}

/// Bytes of a process, roughly, up to which it is copied. Clients write a few hundred.
const MAX_COPIED: usize = 4096;

impl Process {
    /// Its host is also given under the name by which records join.
    pub(super) fn new(service: String, tags: Attributes) -> Self {
        let mut attributes = Attributes::new();
        if !service.is_empty() {
            attributes.push(("service.name".to_owned(), Value::Str(service)));
        }
        attributes.extend(tags.into_iter().filter(|(key, _)| key != "service.name"));
        if attribute(&attributes, "host.name").is_none()
            && let Some(host) = attribute(&attributes, "hostname").cloned()
        {
            attributes.push(("host.name".to_owned(), host));
        }
        let bytes = |(key, value): &(String, Value)| {
            let value = match value {
                Value::Str(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 8,
            };
            key.len() + value
        };
        let is_large = attributes.iter().map(bytes).sum::<usize>() > MAX_COPIED;
        Self { resource: Arc::new(Resource { attributes }), is_large }
    }

    /// The resource of a span with these tags, which lose those that are of the resource.
    fn with(self, tags: &mut Attributes) -> Arc<Resource> {
        if self.is_large || !tags.iter().any(|(key, _)| is_of_resource(key)) {
            return self.resource;
        }
        let mut attributes = self.resource.attributes.clone();
        move_to_resource(tags, &mut attributes);
        if attributes.len() == self.resource.attributes.len() {
            return self.resource;
        }
        Arc::new(Resource { attributes })
    }
}
