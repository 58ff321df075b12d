//! The body of the unified look-up. Times and durations are decimal strings: nanoseconds exceed 2^53, beyond which
//! JSON numbers lose digits in JavaScript.

use std::fmt::Write as _;

use correlate::{Answer, ExemplarSource, Join, JoinedExemplar, JoinedLog, LinkTarget, MetricLink, SpanNode};
use parsers::record::{Attributes, Labels, SpanId, Value as Attribute};
use serde_json::{Map, Value, json};

/// All twelve keys, always.
pub(super) fn body(answer: &Answer) -> Value {
    json!({
        "trace_id": answer.trace_id.to_string(),
        "spellings": answer.spellings.iter().map(|seen| json!({
            "written": seen.written,
            "count": seen.count,
            "in_spans": seen.in_spans,
            "in_logs": seen.in_logs,
            "in_exemplars": seen.in_exemplars,
        })).collect::<Vec<_>>(),
        "window": answer.window.map(|window| json!({
            "start_unix_nano": window.start.to_string(),
            "end_unix_nano": window.end.to_string(),
        })),
        "services": answer.services.iter().map(|service| json!({
            "name": service.name,
            "version": service.version,
            "namespace": service.namespace,
            "pods": service.pods,
            "spans": service.spans,
            "errors": service.errors,
            "logs": service.logs,
        })).collect::<Vec<_>>(),
        "spans": answer.spans.iter().map(span).collect::<Vec<_>>(),
        "logs": answer.logs.iter().map(log).collect::<Vec<_>>(),
        "exemplars": answer.exemplars.iter().map(exemplar).collect::<Vec<_>>(),
        "metrics": answer.metrics.iter().map(metric).collect::<Vec<_>>(),
        "critical_path": answer.critical_path.iter().map(|segment| json!({
            "span_id": segment.span_id.to_string(),
            "service": segment.service,
            "name": segment.name,
            "start_unix_nano": segment.start.to_string(),
            "duration_nano": segment.end.saturating_sub(segment.start).to_string(),
        })).collect::<Vec<_>>(),
        "links": answer.links.iter().map(|link| match &link.target {
            LinkTarget::Path(path) => json!({ "rel": link.rel, "path": path }),
            LinkTarget::Trace { trace_id, span_id, from } => json!({
                "rel": link.rel,
                "trace_id": trace_id.to_string(),
                "span_id": id(*span_id),
                "from_span_id": from.to_string(),
            }),
        }).collect::<Vec<_>>(),
        "absent": answer.absent.iter().map(|absence| json!({
            "signal": absence.signal.as_str(),
            "reason": absence.reason.as_str(),
            "detail": absence.detail,
        })).collect::<Vec<_>>(),
        "warnings": answer.warnings,
    })
}

fn id(span: Option<SpanId>) -> Option<String> {
    span.map(|span| span.to_string())
}

fn join(join: &Join) -> Value {
    json!({ "rule": join.rule.as_str(), "confidence": join.confidence, "agreed": join.agreed })
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn pairs(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn attributes(list: &Attributes) -> Map<String, Value> {
    list.iter().map(|(key, value)| (key.clone(), attribute(value))).collect()
}

/// 64-bit integers become strings only where a JSON number would lose digits for many readers; bytes become hex.
fn attribute(value: &Attribute) -> Value {
    const EXACT: u64 = 1 << 53;
    match value {
        Attribute::Empty => Value::Null,
        Attribute::Str(text) => text.as_str().into(),
        Attribute::Bool(truth) => (*truth).into(),
        Attribute::Int(number) if number.unsigned_abs() > EXACT => number.to_string().into(),
        Attribute::Int(number) => (*number).into(),
        Attribute::Double(number) => double(*number),
        Attribute::Bytes(bytes) => bytes
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
            .into(),
        Attribute::Array(values) => values.iter().map(attribute).collect(),
        Attribute::Map(map) => attributes(map).into(),
    }
}

/// JSON has no NaN and no infinities: those are strings.
fn double(number: f64) -> Value {
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

fn span(node: &SpanNode) -> Value {
    let span = &node.span;
    json!({
        "span_id": span.span_id.to_string(),
        "parent_span_id": id(span.parent_span_id),
        "service": node.service(),
        "name": span.name,
        "kind": span.kind.as_str(),
        "status": { "code": span.status.code.as_str(), "message": span.status.message },
        "start_unix_nano": span.start.to_string(),
        "adjusted_start_unix_nano": node.start.to_string(),
        "duration_nano": node.duration().to_string(),
        "self_time_nano": node.self_time.to_string(),
        "depth": node.depth,
        "oddities": node.oddities.iter().map(|oddity| oddity.as_str()).collect::<Vec<_>>(),
        "attributes": attributes(&span.attributes),
        "resource": attributes(&span.resource.attributes),
        "events": span.events.iter().map(|event| json!({
            "time_unix_nano": event.time.to_string(),
            "name": event.name,
            "attributes": attributes(&event.attributes),
        })).collect::<Vec<_>>(),
        "links": span.links.iter().map(|link| json!({
            "trace_id": link.trace_id.map(|trace| trace.to_string()),
            "span_id": id(link.span_id),
            "attributes": attributes(&link.attributes),
        })).collect::<Vec<_>>(),
    })
}

fn log(joined: &JoinedLog) -> Value {
    let record = &joined.record;
    let mut metadata = pairs(&record.metadata);
    if let Some(trace) = record.trace_id {
        metadata.insert("trace_id".to_owned(), trace.to_string().into());
    }
    if let Some(span) = record.span_id {
        metadata.insert("span_id".to_owned(), span.to_string().into());
    }
    metadata.insert("detected_level".to_owned(), record.severity.as_str().into());
    json!({
        "time_unix_nano": record.time.to_string(),
        "line": String::from_utf8_lossy(&record.line),
        "labels": labels(&record.labels),
        "metadata": metadata,
        "span_id": id(joined.span_id),
        "join": join(&joined.join),
    })
}

fn exemplar(joined: &JoinedExemplar) -> Value {
    let exemplar = &joined.exemplar;
    json!({
        "series": labels(&exemplar.series),
        "labels": pairs(&exemplar.labels),
        "value": double(exemplar.value),
        "time_unix_nano": exemplar.time.to_string(),
        "span_id": id(exemplar.span_id),
        "source": match &joined.source {
            ExemplarSource::Store => "store",
            ExemplarSource::Upstream(name) => name,
        },
        "join": join(&joined.join),
    })
}

fn metric(link: &MetricLink) -> Value {
    json!({
        "metric": link.metric,
        "service": link.service,
        "labels": labels(&link.labels),
        "query": link.query,
        "unit": link.unit,
        "values": link.values.iter().map(|sample| json!({
            "time_unix_nano": sample.time.to_string(),
            "value": double(sample.value),
        })).collect::<Vec<_>>(),
        "join": join(&link.join),
    })
}
