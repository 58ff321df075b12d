//! Transactions and spans as OTLP has them: a transaction is the span by which a request enters a service.

use std::sync::Arc;

use parsers::record::{Attributes, Link, Resource, Span, SpanKind, Status, StatusCode, Value};
use serde_json::Value as Json;

use super::fields::{Fields, Named, span_id, trace_id};
use super::flat;
use super::metadata::Sender;

/// Links of one span; each takes some 80 bytes, a few on the wire.
const MAX_LINKS: usize = 1024;

/// A transaction.
pub(super) fn transaction(value: &Json, sender: &Sender, arrival: u64) -> Result<Span, String> {
    let fields = Fields::new("transaction", value)?;
    let kind = fields.required_text("type")?;
    let counts = fields.inner("span_count")?;
    let counts = fields.required("span_count", counts)?;
    let started = counts.number("started")?;
    counts.required("started", started)?;
    let mut made = Made::new(&fields, sender, arrival)?;
    made.span.kind = if kind == "messaging" { SpanKind::Consumer } else { SpanKind::Server };
    if made.span.name.is_empty() {
        "unnamed".clone_into(&mut made.span.name);
    }
    made.text("transaction.type", Some(kind));
    made.text("transaction.result", fields.text("result")?);
    if let Some(sampled) = fields.truth("sampled")? {
        made.span.flags = u32::from(sampled);
        made.put("transaction.sampled", Value::Bool(sampled));
    } else {
        made.span.flags = 1;
    }
    if let Some(dropped) = counts.number("dropped")?.filter(|dropped| *dropped > 0.0) {
        made.put("transaction.span_count.dropped", Value::Int(dropped as i64));
    }
    made.finish(&fields, "transaction.id", 500, sender)
}

/// A span.
pub(super) fn span(value: &Json, sender: &Sender, arrival: u64) -> Result<Span, String> {
    let fields = Fields::new("span", value)?;
    let kind = fields.required_text("type")?;
    fields.required_text("name")?;
    let parent = fields.span_id("parent_id")?;
    fields.required("parent_id", parent)?;
    let start = fields.millis("start")?;
    if start.is_none() && fields.timestamp()?.is_none() {
        return Err(fields.wrong("start", "or 'span.timestamp' required"));
    }
    // `start` counts from its transaction, which may be in another request; the time of arrival is the best there is.
    let mut made = Made::new(&fields, sender, arrival.saturating_add(start.unwrap_or(0)))?;
    made.span.flags = 1;
    let (subtype, action) = (fields.text("subtype")?, fields.text("action")?);
    made.span.kind = match (kind.split('.').next().unwrap_or_default(), action) {
        ("messaging", Some("receive" | "poll" | "process")) => SpanKind::Consumer,
        ("messaging", _) => SpanKind::Producer,
        ("db" | "external" | "cache" | "storage" | "grpc", _) => SpanKind::Client,
        _ => SpanKind::Internal,
    };
    made.text("span.type", Some(kind));
    made.text("span.subtype", subtype);
    made.text("span.action", action);
    if let Some(transaction) = fields.span_id("transaction_id")? {
        let text = transaction.opaque.map_or_else(|| transaction.id.to_string(), str::to_owned);
        made.put("transaction.id", Value::Str(text));
    }
    if let Some(composite) = fields.inner("composite")? {
        flat::flatten(composite.object(), "span.composite", &[], &mut made.span.attributes);
    }
    made.finish(&fields, "span.id", 400, sender)
}

/// A span in the making.
struct Made<'v> {
    span: Span,
    trace: Named<'v, parsers::record::TraceId>,
    id: Named<'v, parsers::record::SpanId>,
}

impl<'v> Made<'v> {
    /// What both kinds have; `start` stands in for a missing time.
    fn new(fields: &Fields<'v>, sender: &Sender, start: u64) -> Result<Self, String> {
        let (trace, id) = (fields.trace_id("trace_id")?, fields.span_id("id")?);
        let (trace, id) = (fields.required("trace_id", trace)?, fields.required("id", id)?);
        let duration = fields.millis("duration")?;
        let duration = fields.required("duration", duration)?;
        let start = fields.timestamp()?.unwrap_or(start);
        let span = Span {
            trace_id: trace.id,
            span_id: id.id,
            parent_span_id: fields.span_id("parent_id")?.map(|parent| parent.id),
            trace_state: String::new(),
            flags: 0,
            name: fields.text("name")?.unwrap_or_default().to_owned(),
            kind: SpanKind::Unspecified,
            start,
            end: start.saturating_add(duration),
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: Arc::clone(&sender.resource),
            scope: Arc::clone(&sender.scope),
        };
        Ok(Self { span, trace, id })
    }

    fn put(&mut self, name: &str, value: Value) {
        self.span.attributes.push((name.to_owned(), value));
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(name, Value::Str(value.to_owned()));
        }
    }

    /// What both kinds have besides: context, links, what a bridge to OpenTelemetry says, and the outcome.
    fn finish(
        mut self,
        fields: &Fields<'v>,
        id: &str,
        failure_from: i64,
        sender: &Sender,
    ) -> Result<Span, String> {
        // What the hash in the id cannot give back.
        self.text("trace.id", self.trace.opaque);
        self.text(id, self.id.opaque);
        if let Some(context) = fields.inner("context")? {
            let object = context.object();
            flat::flatten(object, "", &["tags", "service", "custom"], &mut self.span.attributes);
            if let Some(tags) = context.inner("tags")? {
                flat::labels(tags.object(), &mut self.span.attributes);
            }
            if let Some(service) = context.inner("service")? {
                self.of_service(&service, sender)?;
            }
        }
        for link in fields.get("links").and_then(Json::as_array).into_iter().flatten().take(MAX_LINKS) {
            let text = |key: &str| link.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
            let mut attributes = Attributes::new();
            let trace = text("trace_id").and_then(trace_id);
            let span = text("span_id").and_then(span_id);
            for (name, opaque) in
                [("trace.id", trace.and_then(|id| id.opaque)), ("span.id", span.and_then(|id| id.opaque))]
            {
                attributes.extend(opaque.map(|text| (name.to_owned(), Value::Str(text.to_owned()))));
            }
            let (trace_id, span_id) = (trace.map(|trace| trace.id), span.map(|span| span.id));
            self.span.links.push(Link { trace_id, span_id, attributes });
        }
        if let Some(otel) = fields.inner("otel")? {
            const KINDS: [SpanKind; 5] = [
                SpanKind::Internal,
                SpanKind::Server,
                SpanKind::Client,
                SpanKind::Producer,
                SpanKind::Consumer,
            ];
            let said = otel.text("span_kind")?.unwrap_or_default();
            if let Some(kind) = KINDS.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(said)) {
                self.span.kind = kind;
            }
            if let Some(attributes) = otel.inner("attributes")? {
                flat::flatten(attributes.object(), "", &[], &mut self.span.attributes);
            }
        }
        let status = self.span.attributes.iter().find(|(name, _)| name == "http.response.status_code");
        let failed = match (fields.text("outcome")?, status) {
            (Some("failure"), _) => true,
            (Some(_), _) => false,
            (None, Some((_, Value::Int(code)))) => *code >= failure_from,
            (None, _) => false,
        };
        if failed {
            self.span.status.code = StatusCode::Error;
        }
        self.text("event.outcome", fields.text("outcome")?);
        Ok(self.span)
    }

    /// An event may be of another service than its sender says at first.
    fn of_service(&mut self, service: &Fields<'v>, sender: &Sender) -> Result<(), String> {
        let mut attributes = sender.resource.attributes.clone();
        let mut changed = false;
        for (key, name) in [
            ("name", "service.name"),
            ("version", "service.version"),
            ("environment", "deployment.environment.name"),
        ] {
            let Some(text) = service.text(key)?.filter(|text| !text.is_empty()) else { continue };
            changed = true;
            attributes.retain(|(known, _)| known != name);
            attributes.push((name.to_owned(), Value::Str(text.to_owned())));
        }
        if changed {
            self.span.resource = Arc::new(Resource { attributes });
        }
        Ok(())
    }
}
