//! Protobuf bodies. Grafana's client dereferences `trace`, `resource`, `scope` and `status` without asking whether they
//! are there, and drops spans whose resource has no attributes: all four are always written, and `service.name` too.

use std::sync::Arc;

use parsers::otlp::{Writer, encode_resource, encode_scope, encode_span};
use parsers::record::{Resource, Span, Value, attribute};

/// A `Trace`: repeated `ResourceSpans` in field 1.
pub(super) fn trace(spans: &[Span]) -> Vec<u8> {
    let mut out = Vec::new();
    let same = |a: &Span, b: &Span| Arc::ptr_eq(&a.resource, &b.resource) && Arc::ptr_eq(&a.scope, &b.scope);
    for group in spans.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        Writer::new(&mut out).message(1, |out| {
            Writer::new(out).message(1, |out| resource(&first.resource, out));
            Writer::new(out).message(2, |out| {
                Writer::new(out).message(1, |out| encode_scope(&first.scope, out));
                for span in group {
                    Writer::new(out).message(2, |out| {
                        encode_span(span, out);
                        // An empty status on top of one that was written changes nothing: protobuf merges the two.
                        Writer::new(out).message(15, |_| ());
                    });
                }
            });
        });
    }
    out
}

/// A `TraceByIDResponse`: the trace in field 1; field 3 is 1 if parts of it are missing.
pub(super) fn trace_by_id(spans: &[Span], partial: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.always_bytes(1, &trace(spans));
    writer.varint(3, u64::from(partial));
    out
}

fn resource(resource: &Resource, out: &mut Vec<u8>) {
    let named = attribute(&resource.attributes, "service.name").and_then(Value::as_str);
    encode_resource(resource, out);
    if named.is_none_or(str::is_empty) {
        let name = Value::Str(resource.service().to_owned());
        encode_resource(&Resource { attributes: vec![("service.name".to_owned(), name)] }, out);
    }
}
