//! What an analysis of why times vary answers. Times in nanoseconds.

use parsers::record::{SpanId, TraceId};
use store::read::Window;

use super::code::CodePlace;
use super::stats::quantile;
use super::vocabulary::{AttributeScope, Operation};

/// Why the time of an operation varies.
#[derive(Debug, Clone)]
pub struct Variance {
    /// The service.
    pub service: String,
    /// The operation; `None` for whatever enters the service.
    pub operation: Option<String>,
    /// In which the operation begins.
    pub window: Window,
    /// Times of the operation, of each of its spans that is not below another of them.
    pub times: Times,
    /// Traces that these are of.
    pub traces: usize,
    /// Traces that are left out since they have too many spans.
    pub oversize: usize,
    /// Operations by their share of the variance, largest first. All shares, with that of `others`, add up to 1.
    pub contributors: Vec<Contributor>,
    /// What the contributors beyond the limit have together.
    pub others: Others,
    /// The slowest, slowest first.
    pub slowest: Vec<Example>,
    /// Those of the times for which log lines were read.
    pub line_traces: usize,
    /// What a reader should know before trusting the rest.
    pub warnings: Vec<String>,
    /// Why there are no contributors.
    pub reason: Option<String>,
}

/// How times are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Times {
    /// How many.
    pub traces: usize,
    /// ns.
    pub mean: f64,
    /// ns^2, of all of them (not of a sample).
    pub variance: f64,
    /// Half are quicker, ns.
    pub p50: u64,
    /// ns.
    pub p90: u64,
    /// ns.
    pub p95: u64,
    /// ns.
    pub p99: u64,
    /// ns.
    pub max: u64,
}

impl Times {
    /// In any order.
    pub(crate) fn of(times: impl Iterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = times.collect();
        sorted.sort_unstable();
        let count = sorted.len().max(1) as f64;
        let mean = sorted.iter().map(|time| *time as f64).sum::<f64>() / count;
        let variance = sorted.iter().map(|time| (*time as f64 - mean).powi(2)).sum::<f64>() / count;
        Self {
            traces: sorted.len(),
            mean,
            variance,
            p50: quantile(&sorted, 0.5),
            p90: quantile(&sorted, 0.9),
            p95: quantile(&sorted, 0.95),
            p99: quantile(&sorted, 0.99),
            max: sorted.last().copied().unwrap_or_default(),
        }
    }
}

/// What is not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Others {
    /// How many operations.
    pub operations: usize,
    /// Their share of the variance.
    pub share: f64,
}

/// An operation with its share of the variance.
#[derive(Debug, Clone)]
pub struct Contributor {
    /// Which.
    pub operation: Operation,
    /// Covariance of its time with the total, by the variance of the total. Below 0 where it takes less time in slow traces.
    pub share: f64,
    /// What of the critical path is its own, a trace, ns.
    pub mean: f64,
    /// The same of the slowest tenth.
    pub mean_slow: f64,
    /// The same of the quicker half.
    pub mean_fast: f64,
    /// Spans a trace in the slowest tenth.
    pub spans_slow: f64,
    /// Spans a trace in the quicker half.
    pub spans_fast: f64,
    /// That only some traces call it; `None` if all do, or if it has hardly a share.
    pub presence: Option<Presence>,
    /// Attribute values that go with its time among the traces that have it, those that explain most first.
    pub attributes: Vec<AttributeValue>,
    /// Patterns of log lines that go with its time among the traces that have it.
    pub patterns: Vec<LinePattern>,
    /// Places in the code: those that go with its time, then others that were seen inside.
    pub code: Vec<CodeSeen>,
    /// Traces in which it took longest.
    pub examples: Vec<Example>,
}

/// That an operation is called in some traces alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence {
    /// Traces that have it.
    pub with: usize,
    /// Traces that don't.
    pub without: usize,
    /// The part of the variance of its time, over all traces, that its being called explains, 0 to 1.
    pub explains: f64,
    /// Where that is much: attribute values of those above it with which it is called more often. Their means are the shares of traces
    /// in which it is called.
    pub attributes: Vec<AttributeValue>,
}

/// How surely and how much something goes with time.
#[derive(Debug, Clone, PartialEq)]
pub struct Strength {
    /// The part of the variance of the operation's time that it explains, 0 to 1.
    pub explains: f64,
    /// Probability that this is chance (Mann and Whitney's test, corrected for how much was tested).
    pub significance: f64,
    /// Traces with it.
    pub with: usize,
    /// Traces without it.
    pub without: usize,
    /// The operation's time in traces with it, ns.
    pub mean_with: f64,
    /// The operation's time in traces without it, ns.
    pub mean_without: f64,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeValue {
    /// Whose spans have it: the operation itself, or one that calls it.
    pub operation: Operation,
    /// Whose attribute it is.
    pub scope: AttributeScope,
    /// Its name.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// How much it goes with time.
    pub strength: Strength,
    /// Traces with it, in which the operation took longest.
    pub examples: Vec<TraceId>,
}

/// A pattern of log lines.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePattern {
    /// Inside whose spans the lines were written.
    pub operation: Operation,
    /// As LogQL's `|>` reads it.
    pub pattern: String,
    /// How much it goes with time.
    pub strength: Strength,
    /// Traces with it, in which the operation took longest.
    pub examples: Vec<TraceId>,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeSeen {
    /// Whose spans, or whose lines, named it.
    pub operation: Operation,
    /// Where.
    pub place: CodePlace,
    /// Whether lines named it; otherwise attributes of spans did.
    pub from_line: bool,
    /// Traces that named it.
    pub traces: usize,
    /// How much it goes with time; `None` if it does not.
    pub strength: Option<Strength>,
}

/// A span to look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Example {
    /// Whose.
    pub trace_id: TraceId,
    /// The span of the operation, or the trace's root; `None` of a trace that has several.
    pub span_id: Option<SpanId>,
    /// Start of the operation, ns.
    pub start: u64,
    /// Time of the operation, ns.
    pub duration: u64,
}
