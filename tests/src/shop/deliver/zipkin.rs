//! Zipkin's JSON, version 2. A library of its own age knows the last 64 bits of a trace id only.

use serde_json::{Map, Value as Json, json};

use super::{Delivery, Span};
use crate::shop::Kind;

/// A request with spans of one pod.
pub(super) fn body(delivery: &Delivery<'_>, pod: usize, spans: &[&Span]) -> Json {
    let resource = delivery.resource(pod);
    let spans = spans.iter().map(|span| {
        let mut tags: Map<String, Json> = resource
            .iter()
            .filter(|(key, _)| *key != "service.name")
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        tags.extend(span.attributes.iter().map(|(key, value)| ((*key).to_owned(), json!(value.as_text()))));
        if let Some(error) = &span.error {
            tags.insert("error".to_owned(), json!(error));
        }
        let trace = if delivery.short_ids {
            format!("{:016x}", span.trace as u64)
        } else {
            format!("{:032x}", span.trace)
        };
        let mut made = json!({
            "traceId": trace,
            "id": format!("{:016x}", span.id),
            "name": span.name,
            "timestamp": delivery.shown(span.pod, span.start) / 1000,
            "duration": (span.duration() / 1000).max(1),
            "localEndpoint": {"serviceName": delivery.traffic.pods[pod].service.name()},
            "tags": tags,
        });
        if let Some(parent) = span.parent {
            made["parentId"] = json!(format!("{parent:016x}"));
        }
        let kind = match span.kind {
            Kind::Internal => None,
            Kind::Server => Some("SERVER"),
            Kind::Client => Some("CLIENT"),
            Kind::Producer => Some("PRODUCER"),
            Kind::Consumer => Some("CONSUMER"),
        };
        if let Some(kind) = kind {
            made["kind"] = json!(kind);
        }
        if let Some(peer) = span.text("peer.service") {
            made["remoteEndpoint"] = json!({"serviceName": peer});
        }
        made
    });
    spans.collect()
}
