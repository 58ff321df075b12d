//! Jaeger's JSON: a trace is a list of spans and a table of the processes that they name. A trace in a list always has spans, root first,
//! since Grafana reads the first of each; times are whole microseconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use correlate::ServiceCalls;
use parsers::record::{Attributes, Event, Resource, Span, SpanId, SpanKind, StatusCode, TraceId, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::values;

/// What all of Jaeger's answers are wrapped in.
#[derive(Serialize)]
pub(super) struct Envelope<T> {
    data: Vec<T>,
    errors: Option<Vec<ErrorBody>>,
    limit: usize,
    offset: usize,
    total: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    code: u16,
    msg: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
}

impl<T> Envelope<T> {
    /// All there is.
    pub(super) fn of(data: Vec<T>) -> Self {
        Self { total: data.len(), data, errors: None, limit: 0, offset: 0 }
    }
}

#[derive(Serialize)]
struct Trace<'a> {
    #[serde(rename = "traceID")]
    id: String,
    spans: Vec<SpanBody<'a>>,
    processes: BTreeMap<String, Process<'a>>,
    warnings: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Process<'a> {
    service_name: &'a str,
    tags: Vec<Tag<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanBody<'a> {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    flags: u32,
    operation_name: &'a str,
    references: Vec<Reference>,
    start_time: u64,
    duration: u64,
    tags: Vec<Tag<'a>>,
    logs: Vec<Log<'a>>,
    #[serde(rename = "processID")]
    process_id: String,
    warnings: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Serialize)]
struct Tag<'a> {
    key: &'a str,
    r#type: &'static str,
    value: Json,
}

#[derive(Serialize)]
struct Log<'a> {
    timestamp: u64,
    fields: Vec<Tag<'a>>,
}

/// `raw`: ids that two halves of a call share stay as they are.
pub(super) fn traces(found: &[Vec<Span>], raw: bool) -> Vec<u8> {
    traces_and_missing(found, &[], raw)
}

/// Traces that were asked for by their ids, and those that are not there.
pub(super) fn traces_and_missing(found: &[Vec<Span>], missing: &[TraceId], raw: bool) -> Vec<u8> {
    let data = found.iter().filter_map(|spans| trace(spans, raw)).collect();
    let error = |id: &TraceId| ErrorBody { code: 404, msg: "trace not found", trace_id: id.to_string() };
    let errors = (!missing.is_empty()).then(|| missing.iter().map(error).collect());
    // These shapes have string keys and finite numbers only: writing them to memory cannot fail.
    serde_json::to_vec(&Envelope { errors, ..Envelope::of(data) }).unwrap_or_default()
}

fn trace(spans: &[Span], raw: bool) -> Option<Trace<'_>> {
    // Of a trace whose id was cut to 64 bits on its way, the whole one.
    let id = spans.iter().map(|span| span.trace_id).max_by_key(|id| id.bits())?;
    let mut order: Vec<&Span> = spans.iter().collect();
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let depends = |span: &Span| {
        span.parent_span_id.is_some_and(|parent| known.contains(&parent)) || is_callee_half(span, spans)
    };
    let root = order
        .iter()
        .copied()
        .filter(|span| !depends(span))
        .min_by_key(|span| (span.parent_span_id.is_some(), span.start));
    order.sort_by_key(|span| (root.is_none_or(|root| !std::ptr::eq(*span, root)), span.start));
    let ids = if raw { Ids::default() } else { Ids::new(spans) };
    let mut processes = Processes::default();
    let bodies = order.iter().map(|span| body(span, id, &ids, &mut processes)).collect();
    Some(Trace { id: id.to_string(), spans: bodies, processes: processes.table, warnings: None })
}

/// Whether it is the called half of a call whose calling half is here under the same id. Only spans without a parent are asked.
fn is_callee_half(span: &Span, spans: &[Span]) -> bool {
    is_callee(span)
        && span.parent_span_id.is_none()
        && spans.iter().any(|other| other.span_id == span.span_id && !is_callee(other))
}

fn is_callee(span: &Span) -> bool {
    matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
}

/// Ids for called halves that share theirs with the calling half, as Zipkin's tracers have it: Jaeger's page holds one span an id.
#[derive(Default)]
struct Ids<'a> {
    /// The new id of the called half, and its service.
    renamed: HashMap<SpanId, (SpanId, &'a str)>,
    /// Services of the calling halves.
    callers: HashMap<SpanId, &'a str>,
}

impl<'a> Ids<'a> {
    fn new(spans: &'a [Span]) -> Self {
        let mut ids = Self::default();
        let mut used: HashSet<u64> = spans.iter().map(|span| span.span_id.bits()).collect();
        if used.len() == spans.len() {
            return ids;
        }
        for span in spans.iter().filter(|span| matches!(span.kind, SpanKind::Client | SpanKind::Producer)) {
            ids.callers.insert(span.span_id, span.resource.service());
        }
        for span in spans.iter().filter(|span| is_callee(span) && ids.callers.contains_key(&span.span_id)) {
            let mut bits = span.span_id.bits().wrapping_add(1);
            while !used.insert(bits) || bits == 0 {
                bits = bits.wrapping_add(1);
            }
            if let Some(new) = SpanId::new(bits) {
                ids.renamed.entry(span.span_id).or_insert((new, span.resource.service()));
            }
        }
        ids
    }

    /// Whether this is a called half with an id of its own now.
    fn own(&self, span: &Span) -> Option<SpanId> {
        self.renamed.get(&span.span_id).filter(|_| is_callee(span)).map(|(new, _)| *new)
    }

    /// The parent: below a shared id the half of the child's own service, else the called one.
    fn parent(&self, span: &Span) -> Option<SpanId> {
        if self.own(span).is_some() {
            return Some(span.span_id);
        }
        let parent = span.parent_span_id.filter(|parent| *parent != span.span_id)?;
        let of_caller = self.callers.get(&parent) == Some(&span.resource.service());
        match self.renamed.get(&parent) {
            Some((_, service)) if of_caller && *service != span.resource.service() => Some(parent),
            Some((new, _)) => Some(*new),
            None => Some(parent),
        }
    }
}

/// The processes of a trace, each once.
#[derive(Default)]
struct Processes<'a> {
    table: BTreeMap<String, Process<'a>>,
    by_place: HashMap<*const Resource, String>,
    by_text: HashMap<String, String>,
}

impl<'a> Processes<'a> {
    fn id(&mut self, resource: &'a Arc<Resource>) -> String {
        if let Some(id) = self.by_place.get(&Arc::as_ptr(resource)) {
            return id.clone();
        }
        let named = |(key, _): &&(String, Value)| key != "service.name";
        let tags: Vec<Tag<'_>> = resource.attributes.iter().filter(named).map(tag).collect();
        let process = Process { service_name: resource.service(), tags };
        let text = serde_json::to_string(&process).unwrap_or_default();
        let next = format!("p{}", self.table.len() + 1);
        let id = self.by_text.entry(text).or_insert_with(|| next.clone()).clone();
        if id == next {
            self.table.insert(next, process);
        }
        self.by_place.insert(Arc::as_ptr(resource), id.clone());
        id
    }
}

fn body<'a>(span: &'a Span, trace: TraceId, ids: &Ids<'_>, processes: &mut Processes<'a>) -> SpanBody<'a> {
    let said = |key: &str| span.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let debug = said("jaeger.debug") == Some(&Value::Bool(true));
    let mut warnings: Vec<String> = match said("jaeger.warnings") {
        Some(Value::Array(warnings)) => warnings.iter().map(|text| values::text(text).into_owned()).collect(),
        _ => Vec::new(),
    };
    if span.end < span.start {
        warnings.push("the span ends before it starts: its duration is not known".to_owned());
    }
    SpanBody {
        trace_id: trace.to_string(),
        span_id: ids.own(span).unwrap_or(span.span_id).to_string(),
        flags: span.flags & 1 | u32::from(debug) << 1,
        operation_name: &span.name,
        references: references(span, trace, ids),
        start_time: span.start / 1_000,
        duration: span.duration() / 1_000,
        tags: tags(span),
        logs: span.events.iter().map(log).collect(),
        process_id: processes.id(&span.resource),
        warnings: (!warnings.is_empty()).then_some(warnings),
    }
}

fn references(span: &Span, trace: TraceId, ids: &Ids<'_>) -> Vec<Reference> {
    let parent = ids.parent(span).map(|parent| Reference {
        ref_type: "CHILD_OF",
        trace_id: trace.to_string(),
        span_id: parent.to_string(),
    });
    let links = span.links.iter().filter_map(|link| {
        let kind = link.attributes.iter().find(|(key, _)| key == "opentracing.ref_type");
        let is_parent = kind.and_then(|(_, kind)| kind.as_str()) == Some("child_of");
        Some(Reference {
            ref_type: if is_parent { "CHILD_OF" } else { "FOLLOWS_FROM" },
            trace_id: link.trace_id?.to_string(),
            span_id: link.span_id?.to_string(),
        })
    });
    parent.into_iter().chain(links).collect()
}

/// A status as OpenTelemetry's exporters name it in a tag.
pub(super) fn status_code(code: StatusCode) -> Option<&'static str> {
    match code {
        StatusCode::Unset => None,
        StatusCode::Ok => Some("OK"),
        StatusCode::Error => Some("ERROR"),
    }
}

/// Its attributes, and what has a place of its own in OpenTelemetry but none here.
fn tags(span: &Span) -> Vec<Tag<'_>> {
    let text = |key, value: &str| Tag { key, r#type: "string", value: value.into() };
    let has = |key: &str| span.attributes.iter().any(|(name, _)| name == key);
    let ours = |(key, _): &&(String, Value)| !matches!(key.as_str(), "jaeger.debug" | "jaeger.warnings");
    let mut tags: Vec<Tag<'_>> = span.attributes.iter().filter(ours).map(tag).collect();
    for (key, value) in [
        ("otel.scope.name", span.scope.name.as_str()),
        ("otel.scope.version", span.scope.version.as_str()),
        ("span.kind", if span.kind == SpanKind::Unspecified { "" } else { span.kind.as_str() }),
        ("otel.status_code", status_code(span.status.code).unwrap_or_default()),
        ("otel.status_description", span.status.message.as_str()),
        ("w3c.tracestate", span.trace_state.as_str()),
    ] {
        if !value.is_empty() && !has(key) {
            tags.push(text(key, value));
        }
    }
    if span.status.code == StatusCode::Error && !has("error") {
        tags.push(Tag { key: "error", r#type: "bool", value: true.into() });
    }
    tags
}

fn log(event: &Event) -> Log<'_> {
    let name = Tag { key: "event", r#type: "string", value: event.name.as_str().into() };
    let name = (!event.name.is_empty()).then_some(name);
    Log { timestamp: event.time / 1_000, fields: name.into_iter().chain(fields(&event.attributes)).collect() }
}

fn fields(attributes: &Attributes) -> impl Iterator<Item = Tag<'_>> {
    attributes.iter().map(tag)
}

fn tag((key, value): &(String, Value)) -> Tag<'_> {
    let (r#type, value) = match value {
        Value::Bool(truth) => ("bool", (*truth).into()),
        Value::Int(_) => ("int64", values::json(value)),
        Value::Double(number) if number.is_finite() => ("float64", (*number).into()),
        Value::Bytes(bytes) => ("binary", STANDARD.encode(bytes).into()),
        _ => ("string", values::text(value).into()),
    };
    Tag { key, r#type, value }
}

/// How often one service called another.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency<'a> {
    parent: &'a str,
    child: &'a str,
    call_count: u64,
}

/// Calls between services that both send spans.
pub(super) fn dependencies(calls: &[ServiceCalls]) -> Vec<Dependency<'_>> {
    let traced = calls.iter().filter(|calls| calls.traced);
    traced.map(|one| Dependency { parent: &one.parent, child: &one.child, call_count: one.calls }).collect()
}
