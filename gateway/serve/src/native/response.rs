//! The body of the unified look-up: its typed shape, which `/openapi.json` describes, and its making from an [`Answer`].
//!
//! Times and durations are decimal strings: nanoseconds exceed 2^53, beyond which JSON numbers lose digits in JavaScript.
#![allow(clippy::struct_field_names, reason = "the fields are the body's keys")]

use correlate::{Answer, ExemplarSource, LinkTarget};
use parsers::record::{Attributes, Event, Labels, SpanId, SpellingKind};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::values;

/// What a cursor begins with; the number of spans before the part follows.
pub(super) const CURSOR: &str = "spans-";

/// Everything known of one request. All keys are always there, unless `fields` names those that are wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TraceBody {
    /// 32 lower-case hex digits.
    trace_id: String,
    /// Each way in which the id was seen written, most frequent first.
    spellings: Vec<Spelling>,
    /// From the first to just after the last instant of any record; null when nothing was found.
    window: Option<Window>,
    /// Services that took part.
    services: Vec<Service>,
    /// The span tree in pre-order: a parent stands before its children, `depth` says how deep. Of a trace with more spans than
    /// `limit`, a part of it.
    spans: Vec<Span>,
    /// Spans of the whole trace.
    total_spans: usize,
    /// What to give as `cursor` for the next part; null where this is the last.
    next: Option<String>,
    /// Log records in time order.
    logs: Vec<Log>,
    /// Log records round the trace's time that only mention its id in their text; asked for with `mentions=true`.
    mentions: Vec<Log>,
    /// Exemplars in time order.
    exemplars: Vec<Exemplar>,
    /// Series that describe the services around the time of the request, surest joins first.
    metrics: Vec<Metric>,
    /// What the request waited for, in time order, without overlaps, until its longest root ends. What was started and runs on after its
    /// parent is no part of it, and a warning names what ran on longest.
    critical_path: Vec<CriticalSegment>,
    /// Where to go on from here.
    links: Vec<Link>,
    /// Hosts whose clocks were off, and by how much.
    clocks: Vec<Clock>,
    /// What is not in this answer, and why.
    absent: Vec<Absence>,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
}

/// One way in which the id was seen written.
#[derive(Debug, Serialize, ToSchema)]
struct Spelling {
    written: String,
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
    start_unix_nano: String,
    end_unix_nano: String,
}

/// A service in the trace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceService)]
struct Service {
    name: String,
    version: String,
    namespace: String,
    pods: Vec<String>,
    spans: u64,
    errors: u64,
    logs: u64,
}

/// A span at its place in the tree.
#[derive(Debug, Serialize, ToSchema)]
struct Span {
    /// 16 lower-case hex digits.
    span_id: String,
    parent_span_id: Option<String>,
    /// 0 for roots.
    depth: u32,
    service: String,
    name: String,
    /// `server`, `client`, `internal`, `producer`, `consumer` or `unspecified`.
    kind: &'static str,
    status: Status,
    /// As the sender's clock has it.
    start_unix_nano: String,
    /// After the clocks of the hosts were brought together.
    adjusted_start_unix_nano: String,
    duration_nano: String,
    /// Duration less the union of its children's times, also of those that it did not wait for and the critical path passes over.
    self_time_nano: String,
    /// `orphan`, `cycle_cut`, `shared_id`, `earlier_state`, `skew_adjusted`, `ends_before_start`, `after_call`.
    oddities: Vec<&'static str>,
    /// `trace_id`, or `low64` where it has the id in another width than the trace.
    join: Join,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
    events: Vec<SpanEvent>,
    links: Vec<SpanLink>,
}

/// Outcome of a span.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// `unset`, `ok` or `error`.
    code: &'static str,
    message: String,
}

/// Something that happened during a span.
#[derive(Debug, Serialize, ToSchema)]
struct SpanEvent {
    time_unix_nano: String,
    name: String,
    attributes: Map<String, Value>,
}

/// A span's pointer to another span.
#[derive(Debug, Serialize, ToSchema)]
struct SpanLink {
    trace_id: Option<String>,
    span_id: Option<String>,
    attributes: Map<String, Value>,
}

/// A log record of the trace, or, without an id, probably of it: see `join`.
#[derive(Debug, Serialize, ToSchema)]
struct Log {
    /// As the sender's clock has it.
    time_unix_nano: String,
    /// After the clocks of the hosts were brought together: moved as its span was.
    adjusted_time_unix_nano: String,
    /// Invalid UTF-8 is shown as U+FFFD.
    line: String,
    /// Stream labels.
    labels: Map<String, Value>,
    /// Structured metadata.
    metadata: Map<String, Value>,
    severity: &'static str,
    /// The span that it names, if that span is in this answer; of a line that names none, the span that ran.
    span_id: Option<String>,
    /// The line does not name that span: it is the innermost one of its container that ran when the line was written.
    span_inferred: bool,
    join: Join,
}

/// Which rule made a join, and how sure it is.
#[derive(Debug, Serialize, ToSchema)]
struct Join {
    /// `trace_id`, `low64`, `exemplar`, `labels`, `workload_time`, `access_log` or `mention`.
    rule: &'static str,
    /// 0 to 1.
    confidence: f64,
    /// What agreed: label names for the rule `labels`, fields of the line for `workload_time` and `access_log`.
    agreed: Vec<String>,
}

/// A measurement that names the trace.
#[derive(Debug, Serialize, ToSchema)]
struct Exemplar {
    metric: String,
    /// Labels of the series.
    labels: Map<String, Value>,
    /// The exemplar's own labels other than the ids.
    exemplar_labels: Map<String, Value>,
    /// A number, or `NaN`, `inf`, `-inf` as a string.
    value: Value,
    time_unix_nano: String,
    span_id: Option<String>,
    /// `store`, or the name of the metrics server.
    source: String,
    join: Join,
}

/// A series that describes a service of the trace.
#[derive(Debug, Serialize, ToSchema)]
struct Metric {
    metric: String,
    service: String,
    labels: Map<String, Value>,
    /// PromQL that gives the values.
    query: String,
    unit: Option<&'static str>,
    /// Pairs of time (nanoseconds, a string) and value.
    values: Vec<(String, Value)>,
    join: Join,
}

/// A stretch of the critical path.
#[derive(Debug, Serialize, ToSchema)]
struct CriticalSegment {
    span_id: String,
    service: String,
    name: String,
    start_unix_nano: String,
    end_unix_nano: String,
}

/// Where to go on: a path on this gateway, or another trace.
#[derive(Debug, Serialize, ToSchema)]
struct Link {
    /// `self`, `tempo`, `loki` or `span_link`.
    rel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    /// The span that has the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

/// Something missing, and why.
#[derive(Debug, Serialize, ToSchema)]
struct Absence {
    /// `spans`, `logs`, `exemplars` or `metrics`.
    signal: &'static str,
    /// `never_seen`, `sampled_out`, `expired`, `outside_window`, `source_down`, `source_slow`, `other_spelling`,
    /// `not_configured`, `no_match`, `truncated` or `incomplete`.
    reason: &'static str,
    detail: String,
    /// What to try next.
    hint: String,
}

/// A host whose clock was off.
#[derive(Debug, Serialize, ToSchema)]
struct Clock {
    /// Host, pod or instance, whichever its spans name; else their service.
    host: String,
    /// The one that it is measured against.
    against: String,
    /// What was added to its times, nanoseconds: less than 0 where its clock is fast, 0 where single spans were moved only.
    offset_nano: String,
    /// Calls between both that say so.
    calls: u64,
    /// Spans that were moved.
    spans: u64,
}

impl From<&Answer> for TraceBody {
    fn from(answer: &Answer) -> Self {
        Self {
            trace_id: answer.trace_id.to_string(),
            spellings: answer.spellings.iter().map(spelling).collect(),
            window: answer.window.map(|window| Window {
                start_unix_nano: window.start.to_string(),
                end_unix_nano: window.end.to_string(),
            }),
            services: answer.services.iter().map(service).collect(),
            spans: answer.spans.iter().map(|node| span(node, &answer.join_of(node))).collect(),
            total_spans: answer.total_spans,
            next: answer.next.map(|offset| format!("{CURSOR}{offset}")),
            logs: answer.logs.iter().map(log).collect(),
            mentions: answer.mentions.iter().map(log).collect(),
            exemplars: answer.exemplars.iter().map(exemplar).collect(),
            metrics: answer.metrics.iter().map(metric).collect(),
            critical_path: answer.critical_path.iter().map(segment).collect(),
            links: answer.links.iter().map(link).collect(),
            clocks: answer.clocks.iter().map(clock).collect(),
            absent: answer
                .absent
                .iter()
                .map(|absence| Absence {
                    signal: absence.signal.as_str(),
                    reason: absence.reason.as_str(),
                    detail: absence.detail.clone(),
                    hint: absence.hint.clone(),
                })
                .collect(),
            warnings: answer.warnings.clone(),
        }
    }
}

fn clock(clock: &correlate::ClockOffset) -> Clock {
    Clock {
        host: clock.host.clone(),
        against: clock.against.clone(),
        offset_nano: clock.by.to_string(),
        calls: clock.calls,
        spans: clock.spans,
    }
}

fn id(span: Option<SpanId>) -> Option<String> {
    span.map(|span| span.to_string())
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn pairs(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn attributes(list: &Attributes) -> Map<String, Value> {
    list.iter().map(|(key, value)| (key.clone(), values::json(value))).collect()
}

fn spelling(seen: &correlate::SeenSpelling) -> Spelling {
    let signals = [("spans", seen.in_spans), ("logs", seen.in_logs), ("exemplars", seen.in_exemplars)];
    Spelling {
        written: seen.written.clone(),
        form: match seen.form {
            SpellingKind::Hex(_) | SpellingKind::HexUpper(_) => "hex",
            SpellingKind::Decimal => "decimal",
            SpellingKind::XRay => "x_ray",
            SpellingKind::Uuid => "uuid",
            SpellingKind::Binary => "binary",
            SpellingKind::Opaque => "opaque",
        },
        count: seen.count,
        signals: signals.iter().filter(|(_, in_it)| *in_it).map(|(name, _)| *name).collect(),
    }
}

fn service(service: &correlate::ServiceSummary) -> Service {
    Service {
        name: service.name.clone(),
        version: service.version.clone(),
        namespace: service.namespace.clone(),
        pods: service.pods.clone(),
        spans: service.spans,
        errors: service.errors,
        logs: service.logs,
    }
}

fn join(join: &correlate::Join) -> Join {
    Join { rule: join.rule.as_str(), confidence: join.confidence, agreed: join.agreed.clone() }
}

fn span(node: &correlate::SpanNode, why: &correlate::Join) -> Span {
    let span = &node.span;
    let event = |event: &Event| SpanEvent {
        time_unix_nano: event.time.to_string(),
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
    };
    Span {
        span_id: span.span_id.to_string(),
        parent_span_id: id(span.parent_span_id),
        depth: node.depth,
        service: node.service().to_owned(),
        name: span.name.clone(),
        kind: span.kind.as_str(),
        status: Status { code: span.status.code.as_str(), message: span.status.message.clone() },
        start_unix_nano: span.start.to_string(),
        adjusted_start_unix_nano: node.start.to_string(),
        duration_nano: node.duration().to_string(),
        self_time_nano: node.self_time.to_string(),
        oddities: node.oddities.iter().map(|oddity| oddity.as_str()).collect(),
        join: join(why),
        attributes: attributes(&span.attributes),
        resource: attributes(&span.resource.attributes),
        events: span.events.iter().map(event).collect(),
        links: span
            .links
            .iter()
            .map(|link| SpanLink {
                trace_id: link.trace_id.map(|trace| trace.to_string()),
                span_id: id(link.span_id),
                attributes: attributes(&link.attributes),
            })
            .collect(),
    }
}

fn log(joined: &correlate::JoinedLog) -> Log {
    let record = &joined.record;
    let mut metadata = pairs(&record.metadata);
    if let Some(trace) = record.trace_id {
        metadata.insert("trace_id".to_owned(), trace.to_string().into());
    }
    if let Some(span) = record.span_id {
        metadata.insert("span_id".to_owned(), span.to_string().into());
    }
    if let Some(rule) = &record.rule {
        metadata.insert("trace_id_rule".to_owned(), (**rule).into());
    }
    Log {
        time_unix_nano: record.time.to_string(),
        adjusted_time_unix_nano: joined.adjusted.to_string(),
        line: String::from_utf8_lossy(&record.line).into_owned(),
        labels: labels(&record.labels),
        metadata,
        severity: record.severity.as_str(),
        span_id: id(joined.span_id),
        span_inferred: joined.span_inferred,
        join: join(&joined.join),
    }
}

fn exemplar(joined: &correlate::JoinedExemplar) -> Exemplar {
    let exemplar = &joined.exemplar;
    Exemplar {
        metric: exemplar.series.get("__name__").unwrap_or_default().to_owned(),
        labels: labels(&exemplar.series),
        exemplar_labels: pairs(&exemplar.labels),
        value: values::double(exemplar.value),
        time_unix_nano: exemplar.time.to_string(),
        span_id: id(exemplar.span_id),
        source: match &joined.source {
            ExemplarSource::Store => "store".to_owned(),
            ExemplarSource::Upstream(name) => name.to_string(),
        },
        join: join(&joined.join),
    }
}

fn metric(link: &correlate::MetricLink) -> Metric {
    Metric {
        metric: link.metric.clone(),
        service: link.service.clone(),
        labels: labels(&link.labels),
        query: link.query.clone(),
        unit: link.unit,
        values: link
            .values
            .iter()
            .map(|sample| (sample.time.to_string(), values::double(sample.value)))
            .collect(),
        join: join(&link.join),
    }
}

fn segment(segment: &correlate::CriticalSegment) -> CriticalSegment {
    CriticalSegment {
        span_id: segment.span_id.to_string(),
        service: segment.service.clone(),
        name: segment.name.clone(),
        start_unix_nano: segment.start.to_string(),
        end_unix_nano: segment.end.to_string(),
    }
}

fn link(link: &correlate::RelatedLink) -> Link {
    match &link.target {
        LinkTarget::Path(path) => {
            Link { rel: link.rel, path: Some(path.clone()), trace_id: None, span_id: None, from: None }
        }
        LinkTarget::Trace { trace_id, span_id, from } => Link {
            rel: link.rel,
            path: None,
            trace_id: Some(trace_id.to_string()),
            span_id: id(*span_id),
            from: Some(from.to_string()),
        },
    }
}
