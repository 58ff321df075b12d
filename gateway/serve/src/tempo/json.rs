//! Search answers as JSON. Grafana's decoder is strict: a key that it does not know is an error, so nothing is added to
//! the keys below. Whole numbers of 64 bits are strings, as JSON of protobuf has them.

use std::collections::{BTreeMap, BTreeSet};

use parsers::record::Value;
use query::traceql::{SpanHit, TraceHit};
use serde::Serialize;
use store::read::ScanReport;

/// The version that `buildinfo` tells. Grafana 12.2 and older look at it to see what may be asked: from 2.6 on, all that
/// is answered here.
pub(super) const SPOKEN_VERSION: &str = "2.8.0";

#[derive(Serialize)]
struct Found<'a> {
    traces: Vec<Trace<'a>>,
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    #[serde(rename = "traceID")]
    id: String,
    root_service_name: &'a str,
    root_trace_name: &'a str,
    start_time_unix_nano: String,
    duration_ms: u64,
    /// The same as `span_sets`: tables read one or the other.
    span_set: SpanSet<'a>,
    span_sets: [SpanSet<'a>; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_stats: BTreeMap<&'a str, ServiceStats>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStats {
    span_count: u64,
    error_count: u64,
}

#[derive(Clone, Serialize)]
struct SpanSet<'a> {
    spans: Vec<SpanShown<'a>>,
    matched: u64,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanShown<'a> {
    #[serde(rename = "spanID")]
    span_id: String,
    name: &'a str,
    start_time_unix_nano: String,
    duration_nanos: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Clone, Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Clone, Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    Str(&'a str),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    inspected_spans: String,
    inspected_bytes: String,
    completed_jobs: u32,
    total_jobs: u32,
}

/// Traces found, and how much was read for them.
pub(super) fn search(hits: &[TraceHit], report: ScanReport) -> Vec<u8> {
    // One search is one job.
    let metrics = Metrics {
        inspected_spans: report.records.to_string(),
        inspected_bytes: report.bytes.to_string(),
        completed_jobs: 1,
        total_jobs: 1,
    };
    body(&Found { traces: hits.iter().map(trace).collect(), metrics })
}

fn trace(hit: &TraceHit) -> Trace<'_> {
    let spans = SpanSet { spans: hit.spans.iter().map(span).collect(), matched: hit.matched };
    let stats = |stats: &query::traceql::ServiceStats| ServiceStats {
        span_count: stats.spans,
        error_count: stats.errors,
    };
    Trace {
        id: hit.trace_id.to_string(),
        root_service_name: &hit.root_service,
        root_trace_name: &hit.root_name,
        start_time_unix_nano: hit.start.to_string(),
        duration_ms: hit.duration / 1_000_000,
        span_set: spans.clone(),
        span_sets: [spans],
        service_stats: hit.services.iter().map(|(name, counts)| (&**name, stats(counts))).collect(),
    }
}

fn span(hit: &SpanHit) -> SpanShown<'_> {
    SpanShown {
        span_id: hit.span_id.to_string(),
        name: &hit.name,
        start_time_unix_nano: hit.start.to_string(),
        duration_nanos: hit.duration.to_string(),
        attributes: hit.attributes.iter().filter_map(|(key, value)| attribute(key, value)).collect(),
    }
}

/// Lists, maps and bytes have no place in a table.
fn attribute<'a>(key: &'a str, value: &'a Value) -> Option<Attribute<'a>> {
    let value = match value {
        Value::Str(text) => AnyValue::Str(text),
        Value::Int(number) => AnyValue::Int(number.to_string()),
        Value::Double(number) if number.is_finite() => AnyValue::Double(*number),
        Value::Bool(truth) => AnyValue::Bool(*truth),
        _ => return None,
    };
    Some(Attribute { key, value })
}

#[derive(Serialize)]
struct Scopes<'a> {
    scopes: Vec<Scope<'a>>,
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    tags: &'a [String],
}

/// Tag names by scope.
pub(super) fn scopes(found: &[(&'static str, Vec<String>)]) -> Vec<u8> {
    body(&Scopes { scopes: found.iter().map(|(name, tags)| Scope { name, tags }).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagNames<'a> {
    tag_names: BTreeSet<&'a String>,
}

/// Tag names of all scopes together.
pub(super) fn tag_names(found: &[(&'static str, Vec<String>)]) -> Vec<u8> {
    body(&TagNames { tag_names: found.iter().flat_map(|(_, tags)| tags).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagValues<T> {
    tag_values: Vec<T>,
}

#[derive(Serialize)]
struct TypedValue<'a> {
    r#type: &'a str,
    value: &'a str,
}

/// Values with their types.
pub(super) fn typed_values(values: &[(&'static str, String)]) -> Vec<u8> {
    let tag_values = values.iter().map(|(r#type, value)| TypedValue { r#type, value }).collect();
    body(&TagValues { tag_values })
}

/// Values as text.
pub(super) fn plain_values(values: &[(&'static str, String)]) -> Vec<u8> {
    body(&TagValues { tag_values: values.iter().map(|(_, value)| value).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
}

/// What this is, in Tempo's words.
pub(super) fn build_info() -> Vec<u8> {
    body(&BuildInfo {
        version: SPOKEN_VERSION,
        revision: concat!("trefoil-", env!("CARGO_PKG_VERSION")),
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
    })
}

fn body(value: &impl Serialize) -> Vec<u8> {
    // These shapes have string keys and finite numbers only: writing them to memory cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
