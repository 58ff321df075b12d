//! The body of `/api/v1/analysis/variance`. Times are whole nanoseconds in decimal strings, as everywhere on this surface.
#![allow(clippy::struct_field_names, reason = "the fields are the body's keys")]

use correlate::analysis::{self as core, Variance};
use parsers::record::TraceId;
use serde::Serialize;
use store::read;
use utoipa::ToSchema;

use crate::native::shape::AbsenceBody;

/// Why the time of an operation varies. All keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::native) struct VarianceBody {
    service: String,
    /// Null for whatever enters the service.
    operation: Option<String>,
    window: AnalysisWindow,
    /// Traces that were looked at.
    traces: usize,
    /// Spans of the operation in them, each of which counts by itself: as many as traces, but where one has several.
    spans: usize,
    mean_nano: String,
    p50_nano: String,
    p90_nano: String,
    p95_nano: String,
    p99_nano: String,
    max_nano: String,
    /// Of the operation's time, in ns^2.
    variance: f64,
    /// Largest share first.
    contributors: Vec<Contributor>,
    /// What is not listed: with it, the shares add up to 1.
    others: Others,
    /// The slowest spans of the operation.
    slowest: Vec<AnalysisExample>,
    /// Spans of the operation whose log lines were read for patterns and places.
    line_traces: usize,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
    /// What is not there, why, and what to try next.
    pub(super) absent: Vec<AbsenceBody>,
    /// Why there are no contributors; null where there are.
    reason: Option<String>,
}

/// Half open.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnalysisWindow {
    start_unix_nano: String,
    end_unix_nano: String,
}

impl From<read::Window> for AnalysisWindow {
    fn from(window: read::Window) -> Self {
        Self { start_unix_nano: window.start.to_string(), end_unix_nano: window.end.to_string() }
    }
}

/// A trace to look at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnalysisExample {
    trace_id: String,
    /// The span of the operation, or the trace's root; null of one of two single traces.
    span_id: Option<String>,
    /// Of the operation, or of the trace's root.
    start_unix_nano: String,
    duration_nano: String,
}

impl From<&core::Example> for AnalysisExample {
    fn from(example: &core::Example) -> Self {
        Self {
            trace_id: example.trace_id.to_string(),
            span_id: example.span_id.map(|span| span.to_string()),
            start_unix_nano: example.start.to_string(),
            duration_nano: example.duration.to_string(),
        }
    }
}

/// An operation with its share of the variance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceContributor)]
struct Contributor {
    service: String,
    operation: String,
    /// Of the variance; below 0 where it takes less time in slow traces.
    share: f64,
    /// Its own part of the critical path, a trace.
    mean_nano: String,
    /// The same of the slowest tenth of the traces.
    slow_mean_nano: String,
    /// The same of the quicker half.
    fast_mean_nano: String,
    /// Spans a trace in the slowest tenth.
    slow_spans: f64,
    /// Spans a trace in the quicker half.
    fast_spans: f64,
    /// That only some traces call it; null if all do, or if it has hardly a share.
    presence: Option<Presence>,
    /// Attribute values that go with its time among the traces that have it, those that explain most first.
    attributes: Vec<AttributeValue>,
    /// Patterns of log lines that go with its time among the traces that have it, those that explain most first.
    patterns: Vec<Pattern>,
    /// Places in the code: those that go with its time, then others that were seen inside its spans.
    code: Vec<Code>,
    /// Traces in which it took longest.
    examples: Vec<AnalysisExample>,
}

/// That an operation is called in some traces alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VariancePresence)]
struct Presence {
    traces_with: usize,
    traces_without: usize,
    /// The part of the variance of its time, over all traces, that its being called explains, 0 to 1.
    explains: f64,
    /// Where that is much: attribute values of those above it with which it is called more often.
    attributes: Vec<CalledWith>,
}

/// A value of an attribute of a caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceCalledWith)]
struct CalledWith {
    key: String,
    value: String,
    /// `span` or `resource`.
    scope: &'static str,
    /// Whose spans have it.
    service: String,
    operation: String,
    /// Of the traces that have it, in which part the contributor is called.
    share_with: f64,
    /// The same of the traces of that operation that don't.
    share_without: f64,
    /// Probability that chance does as much, corrected for how much was tested.
    significance: f64,
    example_trace_ids: Vec<String>,
}

/// The rest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceOthers)]
struct Others {
    operations: usize,
    share: f64,
}

/// How much something goes with the contributor's time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceStrength)]
struct Strength {
    /// The part of the variance of the contributor's time that it explains, 0 to 1.
    explains: f64,
    /// Probability that chance does as much, corrected for how much was tested.
    significance: f64,
    /// Where a trace has the operation several times, each of these counts, here and wherever traces are counted below.
    traces_with: usize,
    traces_without: usize,
    /// The contributor's time in traces with it.
    mean_with_nano: String,
    /// The contributor's time in traces without it.
    mean_without_nano: String,
}

/// A value of an attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceAttribute)]
struct AttributeValue {
    key: String,
    value: String,
    /// `span` or `resource`.
    scope: &'static str,
    /// Whose spans have it: the contributor, or what calls it.
    service: String,
    operation: String,
    #[serde(flatten)]
    strength: Strength,
    example_trace_ids: Vec<String>,
}

/// A pattern of log lines.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VariancePattern)]
struct Pattern {
    /// As LogQL's `|>` reads it.
    pattern: String,
    /// Inside whose spans the lines were written.
    service: String,
    operation: String,
    #[serde(flatten)]
    strength: Strength,
    example_trace_ids: Vec<String>,
}

/// A place in the code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VarianceCode)]
struct Code {
    /// `file:line`, or what is known of it.
    location: String,
    file: Option<String>,
    line: Option<u32>,
    function: Option<String>,
    /// `span` where attributes named it, `log` where lines did.
    source: &'static str,
    service: String,
    operation: String,
    /// Traces that named it.
    traces: usize,
    /// How much it goes with the contributor's time; null where it is only seen there.
    goes_with: Option<Strength>,
}

pub(super) fn nano(time: f64) -> String {
    // Zero has no sign here.
    format!("{:.0}", time.max(0.0) + 0.0)
}

fn ids(list: &[TraceId]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl From<&core::Strength> for Strength {
    fn from(strength: &core::Strength) -> Self {
        Self {
            explains: strength.explains,
            significance: strength.significance,
            traces_with: strength.with,
            traces_without: strength.without,
            mean_with_nano: nano(strength.mean_with),
            mean_without_nano: nano(strength.mean_without),
        }
    }
}

impl From<&core::Contributor> for Contributor {
    fn from(contributor: &core::Contributor) -> Self {
        Self {
            service: contributor.operation.service.clone(),
            operation: contributor.operation.operation.clone(),
            share: contributor.share,
            mean_nano: nano(contributor.mean),
            slow_mean_nano: nano(contributor.mean_slow),
            fast_mean_nano: nano(contributor.mean_fast),
            slow_spans: contributor.spans_slow,
            fast_spans: contributor.spans_fast,
            presence: contributor.presence.as_ref().map(presence),
            attributes: contributor.attributes.iter().map(attribute).collect(),
            patterns: contributor.patterns.iter().map(pattern).collect(),
            code: contributor.code.iter().map(code).collect(),
            examples: contributor.examples.iter().map(AnalysisExample::from).collect(),
        }
    }
}

fn presence(presence: &core::Presence) -> Presence {
    let called = |value: &core::AttributeValue| CalledWith {
        key: value.key.clone(),
        value: value.value.clone(),
        scope: value.scope.as_str(),
        service: value.operation.service.clone(),
        operation: value.operation.operation.clone(),
        share_with: value.strength.mean_with,
        share_without: value.strength.mean_without,
        significance: value.strength.significance,
        example_trace_ids: ids(&value.examples),
    };
    Presence {
        traces_with: presence.with,
        traces_without: presence.without,
        explains: presence.explains,
        attributes: presence.attributes.iter().map(called).collect(),
    }
}

fn attribute(value: &core::AttributeValue) -> AttributeValue {
    AttributeValue {
        key: value.key.clone(),
        value: value.value.clone(),
        scope: value.scope.as_str(),
        service: value.operation.service.clone(),
        operation: value.operation.operation.clone(),
        strength: Strength::from(&value.strength),
        example_trace_ids: ids(&value.examples),
    }
}

fn pattern(pattern: &core::LinePattern) -> Pattern {
    Pattern {
        pattern: pattern.pattern.clone(),
        service: pattern.operation.service.clone(),
        operation: pattern.operation.operation.clone(),
        strength: Strength::from(&pattern.strength),
        example_trace_ids: ids(&pattern.examples),
    }
}

fn code(seen: &core::CodeSeen) -> Code {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let place = &seen.place;
    let location = match (some(&place.file), place.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file,
        (None, _) => place.function.clone(),
    };
    Code {
        location,
        file: some(&place.file),
        line: place.line,
        function: some(&place.function),
        source: if seen.from_line { "log" } else { "span" },
        service: seen.operation.service.clone(),
        operation: seen.operation.operation.clone(),
        traces: seen.traces,
        goes_with: seen.strength.as_ref().map(Strength::from),
    }
}

impl From<&Variance> for VarianceBody {
    fn from(answer: &Variance) -> Self {
        let times = answer.times;
        Self {
            service: answer.service.clone(),
            operation: answer.operation.clone(),
            window: answer.window.into(),
            traces: answer.traces,
            spans: times.traces,
            mean_nano: nano(times.mean),
            p50_nano: times.p50.to_string(),
            p90_nano: times.p90.to_string(),
            p95_nano: times.p95.to_string(),
            p99_nano: times.p99.to_string(),
            max_nano: times.max.to_string(),
            variance: times.variance + 0.0,
            contributors: answer.contributors.iter().map(Contributor::from).collect(),
            others: Others { operations: answer.others.operations, share: answer.others.share + 0.0 },
            slowest: answer.slowest.iter().map(AnalysisExample::from).collect(),
            line_traces: answer.line_traces,
            warnings: answer.warnings.clone(),
            absent: Vec::new(),
            reason: answer.reason.clone(),
        }
    }
}
