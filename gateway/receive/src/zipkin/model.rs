//! What a Zipkin reporter says of one span, in the terms of version 2, and the span that it makes. All four encodings end here.

use std::net::IpAddr;
use std::sync::Arc;

use parsers::otlp::Reason;
use parsers::record::{
    Attributes, IdError, Resource, Span, SpanId, SpanKind, Spelling, SpellingKind, TraceId, Value,
};

use super::annotation;
use crate::translated::{MAX_PARTS, move_to_resource, restore};

/// One side of a connection. All fields may be unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Endpoint {
    pub service: String,
    pub ip: Option<IpAddr>,
    pub port: u16,
}

impl Endpoint {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn attributes(&self, service: &str, prefix: &str) -> Attributes {
        let mut attributes = Attributes::new();
        if !self.service.is_empty() {
            attributes.push((service.to_owned(), Value::Str(self.service.clone())));
        }
        if let Some(ip) = self.ip {
            attributes.push((format!("{prefix}.address"), Value::Str(ip.to_canonical().to_string())));
        }
        if self.port != 0 {
            attributes.push((format!("{prefix}.port"), Value::Int(i64::from(self.port))));
        }
        attributes
    }
}

/// One report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: String,
    pub kind: Option<SpanKind>,
    /// Nanoseconds; 0 is unknown.
    pub start: u64,
    /// Nanoseconds; 0 is unknown.
    pub duration: u64,
    pub local: Endpoint,
    pub remote: Endpoint,
    /// Times in nanoseconds.
    pub annotations: Vec<(u64, String)>,
    pub tags: Vec<(String, String)>,
    pub debug: bool,
    pub shared: bool,
}

impl Report {
    pub(super) fn new(trace: TraceId, id: SpanId) -> Self {
        Self {
            trace,
            id,
            parent: None,
            name: String::new(),
            kind: None,
            start: 0,
            duration: 0,
            local: Endpoint::default(),
            remote: Endpoint::default(),
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        }
    }

    /// The span. A report without a time begins at its first annotation, or when it arrived.
    pub(super) fn into_span(self, arrival: u64) -> Span {
        let first = self.annotations.iter().map(|(time, _)| *time).filter(|time| *time > 0).min();
        let start = if self.start > 0 { self.start } else { first.unwrap_or(arrival) };
        let mut attributes: Attributes =
            self.tags.into_iter().map(|(key, value)| (key, Value::Str(value))).collect();
        let restored = restore(&mut attributes);
        let mut resource = self.local.attributes("service.name", "network.local");
        move_to_resource(&mut attributes, &mut resource);
        attributes.extend(self.remote.attributes("peer.service", "network.peer"));
        for (key, said) in [("zipkin.shared", self.shared), ("zipkin.debug", self.debug)] {
            if said {
                attributes.push((key.to_owned(), Value::Bool(true)));
            }
        }
        let mut room = MAX_PARTS;
        let event = |(time, text)| annotation::event(time, text, &mut room);
        Span {
            trace_id: self.trace,
            span_id: self.id,
            parent_span_id: self.parent.filter(|parent| *parent != self.id),
            trace_state: restored.trace_state,
            // What is reported was sampled.
            flags: 1,
            name: self.name,
            // Without a kind it is local work.
            kind: self.kind.or(restored.kind).unwrap_or(SpanKind::Internal),
            start,
            end: start.saturating_add(self.duration),
            attributes,
            events: self.annotations.into_iter().map(event).collect(),
            links: Vec::new(),
            status: restored.status,
            resource: Arc::new(Resource { attributes: resource }),
            scope: Arc::new(restored.scope),
        }
    }
}

/// Why a report is not taken.
#[derive(Debug)]
pub(super) struct Bad {
    pub reason: Reason,
    pub detail: String,
}

impl Bad {
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self { reason: Reason::Malformed, detail: detail.into() }
    }

    pub(super) fn parts() -> Self {
        let detail = format!("more than {MAX_PARTS} tags and annotations");
        Self { reason: Reason::TooMany, detail }
    }
}

pub(super) fn trace_of(id: Result<TraceId, IdError>) -> Result<TraceId, Bad> {
    id.map_err(|error| Bad { reason: Reason::TraceId, detail: format!("trace id: {error}") })
}

pub(super) fn span_of(id: Result<SpanId, IdError>) -> Result<SpanId, Bad> {
    id.map_err(|error| Bad { reason: Reason::SpanId, detail: format!("span id: {error}") })
}

/// The two halves of an id as thrift has them.
pub(super) fn trace_of_halves(high: i64, low: i64) -> Result<TraceId, IdError> {
    let bits = u128::from(high as u64) << 64 | u128::from(low as u64);
    TraceId::new(bits, Spelling::new(SpellingKind::Binary)).ok_or(IdError::Absent)
}

/// Nanoseconds of microseconds; 0, which is unknown, for what is negative or out of range.
pub(super) fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).ok().and_then(|micros| micros.checked_mul(1000)).unwrap_or(0)
}
