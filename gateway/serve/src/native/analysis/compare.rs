//! The bodies of `/api/v1/analysis/compare` and `/api/v1/analysis/versions`. Times are whole nanoseconds in decimal strings.
#![allow(clippy::struct_field_names, reason = "the fields are the body's keys")]

use correlate::analysis::Times;
use correlate::analysis::compare::{self as core, Comparison, Detail, Versions};
use serde::Serialize;
use serde_json::{Map, Value};
use store::read::Window;
use utoipa::ToSchema;

use super::variance::{AnalysisExample, AnalysisWindow, nano};
use crate::native::shape::AbsenceBody;

/// What is different. All keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::native) struct CompareBody {
    /// From the start of the earlier side to the end of the later one.
    window: AnalysisWindow,
    a: Side,
    b: Side,
    /// Whether the times of the traces differ as a whole; null of two single traces.
    overall: Option<Significance>,
    /// What matters most first.
    findings: Vec<Finding>,
    /// How many differences were tested.
    tested: usize,
    /// Findings that `limit` left out.
    omitted: usize,
    /// Of two single traces: their spans side by side, parents before their children. Empty of two sets.
    spans: Vec<SpanPair>,
    /// Pairs of them that `limit` left out.
    spans_omitted: usize,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
    /// What is not there, why, and what to try next.
    pub(super) absent: Vec<AbsenceBody>,
    /// Why there are no findings; null where there are.
    reason: Option<String>,
}

/// One side.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareSide)]
struct Side {
    /// What was asked for, or the version.
    selection: String,
    window: AnalysisWindow,
    /// Traces that match; an estimate where they are too many to be read.
    matched: u64,
    /// Traces that were looked at; where calls of versions are compared instead of traces, these, here and below.
    traces: usize,
    /// Traces of them whose root failed.
    failed: usize,
    /// Traces of them whose log lines were read.
    line_traces: usize,
    times: CompareTimes,
    examples: Vec<AnalysisExample>,
}

/// How times are distributed.
#[derive(Debug, Serialize, ToSchema)]
struct CompareTimes {
    /// How many there are of what was timed.
    traces: usize,
    mean_nano: String,
    p50_nano: String,
    p90_nano: String,
    p95_nano: String,
    p99_nano: String,
    max_nano: String,
}

/// How sure a difference is, and how large.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareSignificance)]
struct Significance {
    /// Probability that chance does as much.
    significance: f64,
    /// -1 to 1: how much likelier the larger value is one of `a` (Cliff's delta); of shares, their difference.
    effect: f64,
    /// `mann_whitney`, `fisher` or `chi_square`.
    test: &'static str,
}

/// Something that is different.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareFinding)]
struct Finding {
    /// `latency`, `errors`, `attribute`, `pattern`, `metric` or `structure`.
    kind: &'static str,
    /// In words.
    what: String,
    service: String,
    operation: String,
    /// The value on this side, in `unit`.
    a: f64,
    /// The value on this side, in `unit`.
    b: f64,
    /// `ns`: self time of a span; `share`: of `errors` the part of all traces, else of those that have the operation (or its caller), of a
    /// `metric` the part that the series has of its counter; `spans`, `lines`: in a trace;
    /// `metric`: the metric's own; `per_second`: traces that are stored.
    unit: &'static str,
    /// Probability that chance does as much, corrected for how much was tested; null of two single traces.
    significance: Option<f64>,
    /// As in `overall`.
    effect: Option<f64>,
    /// `mann_whitney`, `fisher` or `chi_square`.
    test: Option<&'static str>,
    /// 0 to 1, by which findings are ranked.
    score: f64,
    /// Of `attribute`: `span` or `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    /// Of `attribute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Of `attribute`; of two single traces, that of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Of `attribute` of two single traces: the value of the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_value: Option<String>,
    /// Of `pattern`: as LogQL's `|>` reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// Of `structure` about a call: who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    /// Of `latency` of two sets: times of the operation's longest span in each trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Both>,
    /// Of `metric`: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    /// Of `metric`: labels that all of its series have.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Map<String, Value>>,
    /// In words, what tells the same: values that took each other's place, attributes with the same shares, metrics that count the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    /// Traces of the side that has more of it.
    example_trace_ids: Vec<String>,
}

/// Times on both sides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareBoth)]
struct Both {
    a: CompareTimes,
    b: CompareTimes,
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareCaller)]
struct Caller {
    service: String,
    operation: String,
}

/// Spans at one place of both traces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareSpanPair)]
struct SpanPair {
    service: String,
    operation: String,
    depth: u32,
    /// Which of several siblings of one name, from 0.
    ordinal: u32,
    a: Option<SpanSide>,
    b: Option<SpanSide>,
}

/// A span of one of both traces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompareSpan)]
struct SpanSide {
    span_id: String,
    /// From the start of its trace.
    offset_nano: String,
    duration_nano: String,
    self_time_nano: String,
    /// `unset`, `ok` or `error`.
    status: &'static str,
}

/// Versions of a service. All keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::native) struct VersionsBody {
    service: String,
    by: String,
    window: AnalysisWindow,
    /// Newest first.
    versions: Vec<Version>,
    /// Older ones that are not listed.
    omitted: usize,
    /// The one with the most traffic.
    baseline: Option<String>,
    /// Each other version (`a`) against the baseline (`b`), newest first.
    compared: Vec<VersionCompared>,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
    /// What is not there, why, and what to try next.
    pub(super) absent: Vec<AbsenceBody>,
    /// Why nothing is compared; null where something is.
    reason: Option<String>,
}

/// A version with its traffic.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceVersion)]
struct Version {
    version: String,
    /// Of the calls of the service in the traces that were looked at, 0 to 1.
    share: f64,
    /// Calls of it: spans that enter the service.
    calls: u64,
    /// Traces that have any.
    traces: usize,
    /// Calls of it that failed.
    failed: u64,
    /// Of its calls, of a trace with very many of the first of them.
    times: CompareTimes,
    first_seen_unix_nano: String,
    last_seen_unix_nano: String,
}

/// A version against the baseline.
#[derive(Debug, Serialize, ToSchema)]
struct VersionCompared {
    version: String,
    /// Whether it is newer than the baseline, by its name.
    newer: bool,
    #[serde(flatten)]
    comparison: CompareBody,
}

impl From<Times> for CompareTimes {
    fn from(times: Times) -> Self {
        Self {
            traces: times.traces,
            mean_nano: nano(times.mean),
            p50_nano: times.p50.to_string(),
            p90_nano: times.p90.to_string(),
            p95_nano: times.p95.to_string(),
            p99_nano: times.p99.to_string(),
            max_nano: times.max.to_string(),
        }
    }
}

impl From<&core::Side> for Side {
    fn from(side: &core::Side) -> Self {
        Self {
            selection: side.selection.clone(),
            window: side.window.into(),
            matched: side.matched,
            traces: side.times.traces,
            failed: side.failed,
            line_traces: side.line_traces,
            times: side.times.into(),
            examples: side.examples.iter().map(AnalysisExample::from).collect(),
        }
    }
}

impl From<&core::Finding> for Finding {
    fn from(finding: &core::Finding) -> Self {
        let mut body = Self {
            kind: finding.kind.as_str(),
            what: finding.what.clone(),
            service: finding.operation.service.clone(),
            operation: finding.operation.operation.clone(),
            a: finding.a,
            b: finding.b,
            unit: finding.unit.as_str(),
            significance: finding.significance.map(|significance| significance.p),
            effect: finding.significance.map(|significance| significance.effect),
            test: finding.significance.map(|significance| significance.test.as_str()),
            score: finding.score,
            scope: None,
            key: None,
            value: None,
            other_value: None,
            pattern: None,
            caller: None,
            times: None,
            metric: None,
            labels: None,
            also: finding.also.clone(),
            example_trace_ids: finding.examples.iter().map(ToString::to_string).collect(),
        };
        match &finding.detail {
            Detail::None | Detail::Caller(None) => {}
            Detail::Times { a, b } => body.times = Some(Both { a: (*a).into(), b: (*b).into() }),
            Detail::Attribute { scope, key, value, other } => {
                body.scope = Some(scope.as_str());
                body.key = Some(key.clone());
                body.value = Some(value.clone());
                body.other_value.clone_from(other);
            }
            Detail::Pattern(pattern) => body.pattern = Some(pattern.clone()),
            Detail::Caller(Some(caller)) => {
                let (service, operation) = (caller.service.clone(), caller.operation.clone());
                body.caller = Some(Caller { service, operation });
            }
            Detail::Metric { name, labels } => {
                body.metric = Some(name.clone());
                let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
                body.labels = Some(pairs.collect());
            }
        }
        body
    }
}

fn span(side: &core::SpanSide) -> SpanSide {
    SpanSide {
        span_id: side.span_id.to_string(),
        offset_nano: side.offset.to_string(),
        duration_nano: side.duration.to_string(),
        self_time_nano: side.self_time.to_string(),
        status: side.status.as_str(),
    }
}

fn pair(pair: &core::SpanPair) -> SpanPair {
    SpanPair {
        service: pair.operation.service.clone(),
        operation: pair.operation.operation.clone(),
        depth: pair.depth,
        ordinal: pair.ordinal,
        a: pair.a.as_ref().map(span),
        b: pair.b.as_ref().map(span),
    }
}

impl From<&Comparison> for CompareBody {
    fn from(comparison: &Comparison) -> Self {
        let (a, b) = (comparison.a.window, comparison.b.window);
        Self {
            window: Window { start: a.start.min(b.start), end: a.end.max(b.end) }.into(),
            a: Side::from(&comparison.a),
            b: Side::from(&comparison.b),
            overall: comparison.overall.map(|overall| Significance {
                significance: overall.p,
                effect: overall.effect,
                test: overall.test.as_str(),
            }),
            findings: comparison.findings.iter().map(Finding::from).collect(),
            tested: comparison.tested,
            omitted: comparison.omitted,
            spans: comparison.spans.iter().map(pair).collect(),
            spans_omitted: comparison.spans_omitted,
            warnings: comparison.warnings.clone(),
            absent: Vec::new(),
            reason: comparison.reason.clone(),
        }
    }
}

impl From<&Versions> for VersionsBody {
    fn from(answer: &Versions) -> Self {
        let version = |version: &core::VersionShare| Version {
            version: version.version.clone(),
            share: version.share,
            calls: version.calls,
            traces: version.traces,
            failed: version.failed,
            times: version.times.into(),
            first_seen_unix_nano: version.first_seen.to_string(),
            last_seen_unix_nano: version.last_seen.to_string(),
        };
        let compared = |found: &core::VersionFindings| VersionCompared {
            version: found.version.clone(),
            newer: found.newer,
            comparison: CompareBody::from(&found.comparison),
        };
        Self {
            service: answer.service.clone(),
            by: answer.by.clone(),
            window: answer.window.into(),
            versions: answer.versions.iter().map(version).collect(),
            omitted: answer.omitted,
            baseline: answer.baseline.clone(),
            compared: answer.compared.iter().map(compared).collect(),
            warnings: answer.warnings.clone(),
            absent: Vec::new(),
            reason: answer.reason.clone(),
        }
    }
}
