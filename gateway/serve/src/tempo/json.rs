//! Search answers as JSON. Grafana's decoder is strict: a key that it does not know is an error, so nothing is added to
//! the keys below. Whole numbers of 64 bits are strings, as JSON of protobuf has them.

use std::collections::{BTreeMap, BTreeSet};

use query::traceql::{MetricsFound, Scopes, Series, SetHit, SpanHit, Static, TraceHit, shown};
use serde::{Serialize, Serializer};
use store::read::{ScanReport, ValueView};

use super::labels::{self, EXEMPLAR_TRACE};

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
    /// The first of `span_sets`: tables read one or the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_set: Option<SpanSet<'a>>,
    span_sets: Vec<SpanSet<'a>>,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
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
    value: AnyValue,
}

#[derive(Clone, Serialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    Str(String),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[serde(rename = "arrayValue")]
    Array(Array),
}

#[derive(Clone, Serialize)]
struct Array {
    values: Vec<AnyValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    inspected_spans: String,
    inspected_bytes: String,
    completed_jobs: u32,
    total_jobs: u32,
}

/// What was read. One question is one job.
fn metrics(report: ScanReport) -> Metrics {
    Metrics {
        inspected_spans: report.records.to_string(),
        inspected_bytes: report.bytes.to_string(),
        completed_jobs: 1,
        total_jobs: 1,
    }
}

/// Traces found, and how much was read for them.
pub(super) fn search(hits: &[TraceHit], report: ScanReport) -> Vec<u8> {
    body(&Found { traces: hits.iter().map(trace).collect(), metrics: metrics(report) })
}

fn trace(hit: &TraceHit) -> Trace<'_> {
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
        span_set: hit.sets.first().map(set),
        span_sets: hit.sets.iter().map(set).collect(),
        service_stats: hit.services.iter().map(|(name, counts)| (&**name, stats(counts))).collect(),
    }
}

fn set(hit: &SetHit) -> SpanSet<'_> {
    SpanSet {
        spans: hit.spans.iter().map(span).collect(),
        matched: hit.matched,
        attributes: attributes(&hit.attributes),
    }
}

fn span(hit: &SpanHit) -> SpanShown<'_> {
    SpanShown {
        span_id: hit.span_id.to_string(),
        name: &hit.name,
        start_time_unix_nano: hit.start.to_string(),
        duration_nanos: hit.duration.to_string(),
        attributes: attributes(&hit.attributes),
    }
}

fn attributes(list: &[(String, Static)]) -> Vec<Attribute<'_>> {
    list.iter().map(|(key, value)| Attribute { key, value: any_value(value) }).collect()
}

fn any_value(value: &Static) -> AnyValue {
    match shown(value) {
        ValueView::Str(text) => AnyValue::Str(text.into_owned()),
        ValueView::Int(number) => AnyValue::Int(number.to_string()),
        ValueView::Double(number) if number.is_finite() => AnyValue::Double(number),
        ValueView::Bool(truth) => AnyValue::Bool(truth),
        ValueView::Other(_) if let Static::List(items) = value => {
            AnyValue::Array(Array { values: items.iter().map(any_value).collect() })
        }
        _ => AnyValue::Str(value.to_string()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Range<'a, T> {
    series: Vec<T>,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RangeSeries<'a> {
    labels: Vec<Attribute<'a>>,
    samples: Samples<'a>,
    prom_labels: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<ExemplarShown<'a>>,
}

/// One after the other: an answer has up to a million of them.
struct Samples<'a>(&'a [(u64, f64)]);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown =
            |(time, value): &(u64, f64)| SampleShown { timestamp_ms: time.to_string(), value: *value };
        serializer.collect_seq(self.0.iter().map(shown))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleShown {
    timestamp_ms: String,
    value: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExemplarShown<'a> {
    labels: Vec<Attribute<'a>>,
    value: f64,
    timestamp_ms: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstantSeries<'a> {
    labels: Vec<Attribute<'a>>,
    value: f64,
    prom_labels: String,
}

fn answer<T: Serialize>(found: &MetricsFound, series: Vec<T>) -> Vec<u8> {
    body(&Range {
        series,
        metrics: metrics(found.report),
        status: found.partial.as_ref().map(|_| "PARTIAL"),
        message: found.partial.as_deref(),
    })
}

/// Series over a range of time.
pub(super) fn range(found: &MetricsFound) -> Vec<u8> {
    answer(found, found.series.iter().map(range_series).collect())
}

/// The value of each series at one time.
pub(super) fn instant(found: &MetricsFound) -> Vec<u8> {
    answer(found, found.series.iter().filter_map(instant_series).collect())
}

fn range_series(series: &Series) -> RangeSeries<'_> {
    let exemplar = |exemplar: &query::traceql::Exemplar| {
        let trace = AnyValue::Str(exemplar.trace_id.to_string());
        let mut labels = vec![Attribute { key: EXEMPLAR_TRACE, value: trace }];
        labels.extend(attributes(&series.labels));
        ExemplarShown { labels, value: exemplar.value, timestamp_ms: exemplar.time.to_string() }
    };
    RangeSeries {
        labels: attributes(&series.labels),
        samples: Samples(&series.samples),
        prom_labels: labels::as_prometheus(&series.labels),
        exemplars: series.exemplars.iter().map(exemplar).collect(),
    }
}

fn instant_series(series: &Series) -> Option<InstantSeries<'_>> {
    let (_, value) = *series.samples.first()?;
    let (labels, prom_labels) = (attributes(&series.labels), labels::as_prometheus(&series.labels));
    Some(InstantSeries { labels, value, prom_labels })
}

#[derive(Serialize)]
struct ScopeList<'a> {
    scopes: Vec<Scope<'a>>,
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    tags: &'a [String],
}

/// Tag names by scope.
pub(super) fn scopes(found: &Scopes) -> Vec<u8> {
    body(&ScopeList { scopes: found.iter().map(|(name, tags)| Scope { name, tags }).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagNames<'a> {
    tag_names: BTreeSet<&'a String>,
}

/// Tag names of all scopes together.
pub(super) fn tag_names(found: &Scopes) -> Vec<u8> {
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
    // Of several types some are written alike.
    let texts: BTreeSet<&String> = values.iter().map(|(_, value)| value).collect();
    body(&TagValues { tag_values: texts.into_iter().collect() })
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
