//! Zipkin's JSON, version 2: a trace is a list of spans, tags are texts, times whole microseconds. Every trace has a span without
//! a parent: Grafana takes it for the root without asking whether there is one.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU64;

use correlate::ServiceCalls;
use parsers::record::{
    Attributes, Event, Resource, Span, SpanKind, StatusCode, TraceId, Value, Width, attribute,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::values;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanBody<'a> {
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    local_endpoint: Endpoint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    debug: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

/// Attributes that make up the two endpoints, and marks of ours: no tags.
const NO_TAGS: [&str; 8] = [
    "service.name",
    "network.local.address",
    "network.local.port",
    "peer.service",
    "network.peer.address",
    "network.peer.port",
    "zipkin.debug",
    "zipkin.shared",
];

/// A list of spans.
pub(super) fn trace(spans: &[Span]) -> Vec<u8> {
    written(&bodies(spans))
}

/// A list of traces; those without spans are left out.
pub(super) fn traces(found: &[Vec<Span>]) -> Vec<u8> {
    written(&found.iter().filter(|spans| !spans.is_empty()).map(|spans| bodies(spans)).collect::<Vec<_>>())
}

fn written(body: &impl Serialize) -> Vec<u8> {
    // These shapes have string keys and whole numbers only: writing them to memory cannot fail.
    serde_json::to_vec(body).unwrap_or_default()
}

fn bodies(spans: &[Span]) -> Vec<SpanBody<'_>> {
    // Of a trace whose id was cut to 64 bits on its way, the whole one.
    let Some(id) = spans.iter().map(|span| span.trace_id).max_by_key(|id| id.bits()) else {
        return Vec::new();
    };
    let mut order: Vec<&Span> = spans.iter().collect();
    order.sort_by_key(|span| span.start);
    let known: HashSet<_> = spans.iter().map(|span| span.span_id).collect();
    let is_child = |span: &Span| {
        span.parent_span_id.is_some_and(|parent| known.contains(&parent) && parent != span.span_id)
    };
    let rooted = spans.iter().any(|span| span.parent_span_id.is_none());
    // The root was lost, or all are in a ring: the oldest span that hangs nowhere stands for it in this view.
    let oldest = order.iter().copied().find(|span| !is_child(span)).or(order.first().copied());
    let stands_in = oldest.filter(|_| !rooted);
    order
        .iter()
        .map(|span| {
            let is_root = stands_in.is_some_and(|root| std::ptr::eq(root, *span));
            body(span, id, is_root)
        })
        .collect()
}

fn body(span: &Span, trace: TraceId, is_root: bool) -> SpanBody<'_> {
    let said = |key: &str| attribute(&span.attributes, key) == Some(&Value::Bool(true));
    let micros = |nanos: u64| (nanos > 0).then(|| (nanos / 1_000).max(1));
    let parent = span.parent_span_id.filter(|parent| !is_root && *parent != span.span_id);
    let remote = endpoint(
        attribute(&span.attributes, "peer.service").and_then(Value::as_str),
        &span.attributes,
        ["network.peer.address", "network.peer.port"],
    );
    SpanBody {
        trace_id: trace_id(trace),
        parent_id: parent.map(|id| id.to_string()),
        id: span.span_id.to_string(),
        kind: kind(span.kind),
        name: &span.name,
        timestamp: micros(span.start),
        duration: micros(span.duration()),
        local_endpoint: endpoint(
            Some(span.resource.service()),
            &span.resource.attributes,
            ["network.local.address", "network.local.port"],
        ),
        remote_endpoint: (remote != Endpoint::default()).then_some(remote),
        annotations: span.events.iter().map(annotation).collect(),
        tags: tags(span, &span.resource),
        debug: said("zipkin.debug"),
        shared: said("zipkin.shared"),
    }
}

/// 16 digits where they are enough, as those who sent them wrote.
fn trace_id(id: TraceId) -> String {
    match id.width() {
        Width::Bits64 => format!("{:016x}", id.low64()),
        Width::Bits128 => id.to_string(),
    }
}

fn kind(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Unspecified | SpanKind::Internal => None,
    }
}

fn endpoint<'a>(service: Option<&'a str>, attributes: &'a Attributes, keys: [&str; 2]) -> Endpoint<'a> {
    let [address, port] = keys.map(|key| attribute(attributes, key));
    let address = address.and_then(Value::as_str).and_then(|text| text.parse::<IpAddr>().ok());
    let port = port.and_then(|port| values::text(port).parse().ok()).filter(|port| *port > 0);
    Endpoint {
        service_name: service.filter(|name| !name.is_empty()),
        ipv4: address.filter(IpAddr::is_ipv4),
        ipv6: address.filter(IpAddr::is_ipv6),
        port,
    }
}

/// The name; with attributes, as OpenTelemetry's exporters write them behind it and our receiver reads them.
fn annotation(event: &Event) -> Annotation {
    let value = if event.attributes.is_empty() {
        event.name.clone()
    } else {
        let pairs = event.attributes.iter().map(|(key, value)| (key.clone(), values::json(value)));
        let body = Map::from_iter([(event.name.clone(), Json::Object(pairs.collect()))]);
        Json::Object(body).to_string()
    };
    Annotation { timestamp: event.time / 1_000, value }
}

/// Texts under the keys of span and resource, the span's own first, and what has a place of its own in OpenTelemetry only.
fn tags(span: &Span, resource: &Resource) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    let status = match span.status.code {
        StatusCode::Unset => "",
        StatusCode::Ok => "OK",
        StatusCode::Error => "ERROR",
    };
    let own = span.attributes.iter().chain(&resource.attributes);
    for (key, value) in own.filter(|(key, _)| !NO_TAGS.contains(&key.as_str())) {
        tags.entry(key.clone()).or_insert_with(|| values::text(value).into_owned());
    }
    for (key, value) in [
        ("otel.scope.name", span.scope.name.as_str()),
        ("otel.scope.version", span.scope.version.as_str()),
        ("otel.status_code", status),
        ("w3c.tracestate", span.trace_state.as_str()),
    ] {
        if !value.is_empty() {
            tags.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    // An error without a message, as Zipkin has it.
    if span.status.code == StatusCode::Error {
        tags.entry("error".to_owned()).or_insert_with(|| error_text(span).to_owned());
    }
    tags
}

/// What stands under `error`: the message, or that there was one.
pub(super) fn error_text(span: &Span) -> &str {
    if span.status.message.is_empty() { "true" } else { &span.status.message }
}

/// How often one service called another.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'a> {
    parent: &'a str,
    child: &'a str,
    call_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_count: Option<NonZeroU64>,
}

/// Calls between services, those that send no spans among them. A pair is listed once.
pub(super) fn dependencies(calls: &[ServiceCalls]) -> Vec<u8> {
    let list: Vec<Dependency<'_>> = calls
        .chunk_by(|a, b| a.parent == b.parent && a.child == b.child)
        .filter_map(|pair| {
            let first = pair.first()?;
            Some(Dependency {
                parent: &first.parent,
                child: &first.child,
                call_count: pair.iter().map(|one| one.calls).sum(),
                error_count: NonZeroU64::new(pair.iter().map(|one| one.errors).sum()),
            })
        })
        .collect();
    written(&list)
}

/// A list of names.
pub(super) fn names(names: &[String]) -> Vec<u8> {
    written(&names)
}
