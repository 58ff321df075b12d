//! The body of the unified look-up: its typed shape, which `/openapi.json` describes.
//!
//! Times and durations are decimal strings: nanoseconds exceed 2^53, beyond which JSON numbers lose digits in JavaScript.
#![allow(clippy::struct_field_names, reason = "the fields are the body's keys")]

mod of_answer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use parsers::record::{SpanId, TraceId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::shape::{LabelSet, Text};
use crate::values::Written;

/// What a cursor begins with; the number of spans before the part follows.
pub(super) const CURSOR: &str = "spans-";

/// An object of texts; of a key that comes twice the last one counts.
type Pairs<'a> = BTreeMap<&'a str, Cow<'a, str>>;

/// Everything known of one request. All keys are always there, unless `fields` names those that are wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TraceBody<'a> {
    /// 32 lower-case hex digits.
    #[schema(value_type = String)]
    trace_id: Text<TraceId>,
    /// Each way in which the id was seen written, most frequent first.
    spellings: Vec<Spelling<'a>>,
    /// From the first to just after the last instant of any record; null when nothing was found.
    window: Option<Window>,
    /// Services that took part.
    services: Vec<Service<'a>>,
    /// The span tree in pre-order: a parent stands before its children, `depth` says how deep. Of a trace with more spans than
    /// `limit`, a part of it.
    spans: Vec<Span<'a>>,
    /// Spans of the whole trace.
    total_spans: usize,
    /// What to give as `cursor` for the next part; null where this is the last.
    next: Option<String>,
    /// Log records in time order.
    logs: Vec<Log<'a>>,
    /// Log records round the trace's time that only mention its id in their text; asked for with `mentions=true`.
    mentions: Vec<Log<'a>>,
    /// Exemplars in time order.
    exemplars: Vec<Exemplar<'a>>,
    /// Series that describe the services around the time of the request, surest joins first.
    metrics: Vec<Metric<'a>>,
    /// What the request waited for, in time order, without overlaps, until its longest root ends. What was started and runs on after its
    /// parent is no part of it, and a warning names what ran on longest.
    critical_path: Vec<CriticalSegment<'a>>,
    /// Where to go on from here.
    links: Vec<Link<'a>>,
    /// Hosts whose clocks were off, and by how much.
    clocks: Vec<Clock<'a>>,
    /// What is not in this answer, and why.
    absent: Vec<Absence<'a>>,
    /// What a reader should know before trusting the rest.
    #[schema(value_type = Vec<String>)]
    warnings: &'a [String],
}

/// One way in which the id was seen written.
#[derive(Debug, Serialize, ToSchema)]
struct Spelling<'a> {
    #[schema(value_type = String)]
    written: &'a str,
    /// `hex`, `decimal`, `x_ray`, `uuid`, `binary` or `opaque`.
    form: &'static str,
    /// How many records.
    count: u64,
    /// `spans`, `logs`, `exemplars`.
    signals: Vec<&'static str>,
}

/// Half open.
#[derive(Debug, Serialize, ToSchema)]
struct Window {
    #[schema(value_type = String)]
    start_unix_nano: Text<u64>,
    #[schema(value_type = String)]
    end_unix_nano: Text<u64>,
}

/// A service in the trace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceService)]
struct Service<'a> {
    #[schema(value_type = String)]
    name: &'a str,
    #[schema(value_type = String)]
    version: &'a str,
    #[schema(value_type = String)]
    namespace: &'a str,
    #[schema(value_type = Vec<String>)]
    pods: &'a [String],
    spans: u64,
    errors: u64,
    logs: u64,
}

/// A span at its place in the tree.
#[derive(Debug, Serialize, ToSchema)]
struct Span<'a> {
    /// 16 lower-case hex digits.
    #[schema(value_type = String)]
    span_id: Text<SpanId>,
    #[schema(value_type = Option<String>)]
    parent_span_id: Option<Text<SpanId>>,
    /// 0 for roots.
    depth: u32,
    #[schema(value_type = String)]
    service: &'a str,
    #[schema(value_type = String)]
    name: &'a str,
    /// `server`, `client`, `internal`, `producer`, `consumer` or `unspecified`.
    kind: &'static str,
    status: Status<'a>,
    /// As the sender's clock has it.
    #[schema(value_type = String)]
    start_unix_nano: Text<u64>,
    /// After the clocks of the hosts were brought together.
    #[schema(value_type = String)]
    adjusted_start_unix_nano: Text<u64>,
    #[schema(value_type = String)]
    duration_nano: Text<u64>,
    /// Duration less the union of its children's times, also of those that it did not wait for and the critical path passes over.
    #[schema(value_type = String)]
    self_time_nano: Text<u64>,
    /// `orphan`, `cycle_cut`, `shared_id`, `earlier_state`, `skew_adjusted`, `ends_before_start`, `after_call`.
    oddities: Vec<&'static str>,
    /// `trace_id`, or `low64` where it has the id in another width than the trace.
    join: Join<'a>,
    #[schema(value_type = Map<String, Value>)]
    attributes: BTreeMap<&'a str, Written<'a>>,
    #[schema(value_type = Map<String, Value>)]
    resource: BTreeMap<&'a str, Written<'a>>,
    events: Vec<SpanEvent<'a>>,
    links: Vec<SpanLink<'a>>,
}

/// Outcome of a span.
#[derive(Debug, Serialize, ToSchema)]
struct Status<'a> {
    /// `unset`, `ok` or `error`.
    code: &'static str,
    #[schema(value_type = String)]
    message: &'a str,
}

/// Something that happened during a span.
#[derive(Debug, Serialize, ToSchema)]
struct SpanEvent<'a> {
    #[schema(value_type = String)]
    time_unix_nano: Text<u64>,
    #[schema(value_type = String)]
    name: &'a str,
    #[schema(value_type = Map<String, Value>)]
    attributes: BTreeMap<&'a str, Written<'a>>,
}

/// A span's pointer to another span.
#[derive(Debug, Serialize, ToSchema)]
struct SpanLink<'a> {
    #[schema(value_type = Option<String>)]
    trace_id: Option<Text<TraceId>>,
    #[schema(value_type = Option<String>)]
    span_id: Option<Text<SpanId>>,
    #[schema(value_type = Map<String, Value>)]
    attributes: BTreeMap<&'a str, Written<'a>>,
}

/// A log record of the trace, or, without an id, probably of it: see `join`.
#[derive(Debug, Serialize, ToSchema)]
struct Log<'a> {
    /// As the sender's clock has it.
    #[schema(value_type = String)]
    time_unix_nano: Text<u64>,
    /// After the clocks of the hosts were brought together: moved as its span was.
    #[schema(value_type = String)]
    adjusted_time_unix_nano: Text<u64>,
    /// Invalid UTF-8 is shown as U+FFFD.
    #[schema(value_type = String)]
    line: Cow<'a, str>,
    /// Stream labels.
    #[schema(value_type = Map<String, Value>)]
    labels: LabelSet<'a>,
    /// Structured metadata.
    #[schema(value_type = Map<String, Value>)]
    metadata: Pairs<'a>,
    severity: &'static str,
    /// The span that it names, if that span is in this answer; of a line that names none, the span that ran.
    #[schema(value_type = Option<String>)]
    span_id: Option<Text<SpanId>>,
    /// The line does not name that span: it is the innermost one of its container that ran when the line was written.
    span_inferred: bool,
    join: Join<'a>,
}

/// Which rule made a join, and how sure it is.
#[derive(Debug, Serialize, ToSchema)]
struct Join<'a> {
    /// `trace_id`, `low64`, `exemplar`, `labels`, `workload_time`, `access_log` or `mention`.
    rule: &'static str,
    /// 0 to 1.
    confidence: f64,
    /// What agreed: label names for the rule `labels`, fields of the line for `workload_time` and `access_log`.
    #[schema(value_type = Vec<String>)]
    agreed: Cow<'a, [String]>,
}

/// A measurement that names the trace.
#[derive(Debug, Serialize, ToSchema)]
struct Exemplar<'a> {
    #[schema(value_type = String)]
    metric: &'a str,
    /// Labels of the series.
    #[schema(value_type = Map<String, Value>)]
    labels: LabelSet<'a>,
    /// The exemplar's own labels other than the ids.
    #[schema(value_type = Map<String, Value>)]
    exemplar_labels: Pairs<'a>,
    /// A number, or `NaN`, `inf`, `-inf` as a string.
    value: Value,
    #[schema(value_type = String)]
    time_unix_nano: Text<u64>,
    #[schema(value_type = Option<String>)]
    span_id: Option<Text<SpanId>>,
    /// `store`, or the name of the metrics server.
    #[schema(value_type = String)]
    source: &'a str,
    join: Join<'a>,
}

/// A series that describes a service of the trace.
#[derive(Debug, Serialize, ToSchema)]
struct Metric<'a> {
    #[schema(value_type = String)]
    metric: &'a str,
    #[schema(value_type = String)]
    service: &'a str,
    #[schema(value_type = Map<String, Value>)]
    labels: LabelSet<'a>,
    /// PromQL that gives the values.
    #[schema(value_type = String)]
    query: &'a str,
    unit: Option<&'static str>,
    /// Pairs of time (nanoseconds, a string) and value.
    #[schema(value_type = Vec<(String, Value)>)]
    values: Vec<(Text<u64>, Value)>,
    join: Join<'a>,
}

/// A stretch of the critical path.
#[derive(Debug, Serialize, ToSchema)]
struct CriticalSegment<'a> {
    #[schema(value_type = String)]
    span_id: Text<SpanId>,
    #[schema(value_type = String)]
    service: &'a str,
    #[schema(value_type = String)]
    name: &'a str,
    #[schema(value_type = String)]
    start_unix_nano: Text<u64>,
    #[schema(value_type = String)]
    end_unix_nano: Text<u64>,
}

/// Where to go on: a path on this gateway, or another trace.
#[derive(Debug, Serialize, ToSchema)]
struct Link<'a> {
    /// `self`, `tempo`, `loki` or `span_link`.
    rel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    trace_id: Option<Text<TraceId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    span_id: Option<Text<SpanId>>,
    /// The span that has the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    from: Option<Text<SpanId>>,
}

/// Something missing, and why.
#[derive(Debug, Serialize, ToSchema)]
struct Absence<'a> {
    /// `spans`, `logs`, `exemplars` or `metrics`.
    signal: &'static str,
    /// `never_seen`, `sampled_out`, `expired`, `outside_window`, `source_down`, `source_slow`, `other_spelling`,
    /// `not_configured`, `no_match`, `truncated` or `incomplete`.
    reason: &'static str,
    #[schema(value_type = String)]
    detail: &'a str,
    /// What to try next.
    #[schema(value_type = String)]
    hint: &'a str,
}

/// A host whose clock was off.
#[derive(Debug, Serialize, ToSchema)]
struct Clock<'a> {
    /// Host, pod or instance, whichever its spans name; else their service.
    #[schema(value_type = String)]
    host: &'a str,
    /// The one that it is measured against.
    #[schema(value_type = String)]
    against: &'a str,
    /// What was added to its times, nanoseconds: less than 0 where its clock is fast, 0 where single spans were moved only.
    #[schema(value_type = String)]
    offset_nano: Text<i64>,
    /// Calls between both that say so.
    calls: u64,
    /// Spans that were moved.
    spans: u64,
}
