//! OTLP's protobuf.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{self as wire, ResourceSpans, ScopeSpans, Status};
use prost::Message;

use super::{Delivery, Span, Value, stack};
use crate::shop::Kind;

/// A request with spans of one pod.
pub(super) fn body(delivery: &Delivery<'_>, pod: usize, spans: &[&Span]) -> Vec<u8> {
    let resource = delivery.resource(pod).into_iter();
    let resource = Resource {
        attributes: resource.map(|(key, value)| attribute(key, &Value::Text(value))).collect(),
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "shop".to_owned(), ..InstrumentationScope::default() };
    let spans = spans.iter().map(|span| written(delivery, span)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let whole = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![whole] }.encode_to_vec()
}

fn written(delivery: &Delivery<'_>, span: &Span) -> wire::Span {
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    };
    let events = span.thrown.iter().map(|thrown| Event {
        time_unix_nano: delivery.shown(span.pod, thrown.time),
        name: "exception".to_owned(),
        attributes: vec![
            attribute("exception.type", &Value::Text(thrown.class.to_owned())),
            attribute("exception.message", &Value::Text(thrown.message.clone())),
            attribute("exception.stacktrace", &Value::Text(stack(thrown))),
        ],
        dropped_attributes_count: 0,
    });
    wire::Span {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind,
        start_time_unix_nano: delivery.shown(span.pod, span.start),
        end_time_unix_nano: delivery.shown(span.pod, span.end),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        events: events.collect(),
        status: span.error.as_ref().map(|error| Status { code: 2, message: error.clone() }),
        ..wire::Span::default()
    }
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Int(number) => any_value::Value::IntValue(*number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
