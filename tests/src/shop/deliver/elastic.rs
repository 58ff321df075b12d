//! Elastic APM's intake: a line each of JSON for who sends, transactions, spans and errors.

use serde_json::{Value as Json, json};

use super::{Delivery, Span};
use crate::shop::{Kind, NAMESPACE, Thrown, Value};

/// A request with spans of one pod.
pub(super) fn body(delivery: &Delivery<'_>, pod: usize, spans: &[&Span]) -> Vec<u8> {
    let own = &delivery.traffic.pods[pod];
    let metadata = json!({"metadata": {
        "service": {
            "name": own.service.name(), "version": own.version, "node": {"configured_name": own.name},
            "agent": {"name": "python", "version": "6.23.0"}, "language": {"name": "python"},
            "framework": {"name": "django", "version": "5.2"},
        },
        "system": {
            "detected_hostname": own.host,
            "kubernetes": {"namespace": NAMESPACE, "node": {"name": own.host}, "pod": {"name": own.name, "uid": own.uid}},
        },
    }});
    let mut lines = vec![metadata];
    for span in spans {
        let transaction = matches!(span.kind, Kind::Server | Kind::Consumer);
        let mut event = json!({
            "id": format!("{:016x}", span.id),
            "trace_id": format!("{:032x}", span.trace),
            "name": span.name,
            "timestamp": delivery.shown(span.pod, span.start) / 1000,
            "duration": span.duration() as f64 / 1e6,
            "outcome": if span.error.is_some() { "failure" } else { "success" },
        });
        if let Some(parent) = span.parent {
            event["parent_id"] = json!(format!("{parent:016x}"));
        }
        if transaction {
            event["type"] = json!("request");
            event["span_count"] = json!({"started": 1});
            event["context"] = request(span);
            lines.push(json!({"transaction": event}));
        } else {
            event["type"] = json!("db");
            event["subtype"] = json!("postgresql");
            event["context"] = query(span);
            lines.push(json!({"span": event}));
        }
        lines.extend(span.thrown.as_ref().map(|thrown| error(delivery, span, thrown)));
    }
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

fn request(span: &Span) -> Json {
    let status = span.attributes.iter().find_map(|(key, value)| match value {
        Value::Int(status) if *key == "http.response.status_code" => Some(*status),
        _ => None,
    });
    let mut tags = serde_json::Map::new();
    if let Some(tenant) = span.text("tenant.id") {
        tags.insert("tenant_id".to_owned(), json!(tenant));
    }
    json!({
        "request": {"method": span.text("http.request.method")},
        "response": {"status_code": status},
        "tags": tags,
    })
}

fn query(span: &Span) -> Json {
    let system = span.text("db.system");
    json!({
        "db": {"statement": span.text("db.statement"), "type": "sql", "instance": span.text("db.name")},
        "destination": {"address": span.text("server.address"), "service": {"resource": system, "type": "db", "name": system}},
    })
}

fn error(delivery: &Delivery<'_>, span: &Span, thrown: &Thrown) -> Json {
    let frames = thrown.stack.iter().map(|frame| {
        let mut parts = frame.split('"');
        let file = parts.nth(1).unwrap_or_default();
        let mut rest = parts.next().unwrap_or_default().split(", ").skip(1);
        let line: Option<u32> = rest.next().and_then(|text| text.strip_prefix("line ")?.parse().ok());
        let function = rest.next().and_then(|text| text.strip_prefix("in "));
        json!({"filename": file, "lineno": line, "function": function})
    });
    json!({"error": {
        "id": format!("{:032x}", u128::from(span.id) << 64 | span.trace >> 64),
        "trace_id": format!("{:032x}", span.trace),
        "transaction_id": format!("{:016x}", span.id),
        "parent_id": format!("{:016x}", span.id),
        "timestamp": delivery.shown(span.pod, thrown.time) / 1000,
        "exception": {
            "type": thrown.class, "message": thrown.message, "stacktrace": frames.collect::<Vec<_>>(),
        },
    }})
}
