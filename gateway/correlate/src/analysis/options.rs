//! How much one analysis reads and holds, and from when on it speaks of a difference. Every list has its bound here.

use std::time::Duration;

/// Traces of one question, of both sets together: what is said of them is no surer with more, and they take some tens of
/// megabytes and half a second.
pub const DEFAULT_TRACE_LIMIT: usize = 10_000;
/// Traces whose log lines are read: each is a look-up by id.
pub const DEFAULT_LOG_TRACE_LIMIT: usize = 800;
/// Records of one trace when its lines are read.
pub const DEFAULT_RECORD_LIMIT: usize = 1_000;
/// Spans of a trace that is looked at; larger ones are batch jobs, and one of them would cost as much as thousands.
pub const DEFAULT_SPAN_LIMIT: usize = 20_000;
/// Longest time for reading spans, and again for reading lines: a person is waiting.
pub const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// Different operations. What comes later counts as one, [`OTHER`].
pub const DEFAULT_OPERATION_LIMIT: usize = 5_000;
/// Different values of one attribute of an operation: an id that each request has anew is none that goes with anything.
pub const DEFAULT_VALUE_LIMIT: usize = 2_000;
/// Bytes of attribute values.
pub const DEFAULT_VALUE_BYTES: usize = 16 << 20;
/// Bytes of one value that are kept.
pub const MAX_VALUE: usize = 256;
/// Different facts (an operation with a value of an attribute) at most.
pub const MAX_FACTS: usize = 400_000;
/// Facts of one trace.
pub const MAX_TRACE_FACTS: usize = 4_096;
/// Spans of one operation in one trace that are looked at each by itself: a batch job of this many items tells why some take longer.
pub const MAX_TRACE_ROOTS: usize = 1_000;
/// Values of the attribute that tells versions apart, in one trace.
pub const MAX_TRACE_VALUES: usize = 64;
/// Times of calls of a service that are kept of one trace.
pub const MAX_TRACE_TIMES: usize = 256;
/// Patterns of log lines.
pub const MAX_PATTERNS: usize = 2_000;
/// What stands for operations beyond the limit.
pub const OTHER: &str = "(other)";

/// Probability, corrected for how many things were tested, with which chance alone may explain what is told.
pub const SIGNIFICANCE: f64 = 0.01;
/// The least effect (0 to 1) that is worth telling, however sure it is.
pub const MIN_EFFECT: f64 = 0.05;
/// Traces in which a value must occur: two may agree by chance in anything.
pub const MIN_SUPPORT: usize = 3;
/// Traces of a set below which nothing can be told.
pub const MIN_TRACES: usize = 5;

/// Settings of an [`super::Analyst`].
#[derive(Debug, Clone)]
pub struct AnalysisOptions {
    /// Traces of one question.
    pub trace_limit: usize,
    /// Traces whose log lines are read.
    pub log_trace_limit: usize,
    /// Records of one trace when its lines are read.
    pub record_limit: usize,
    /// Spans of a trace that is looked at.
    pub span_limit: usize,
    /// Longest time for reading.
    pub time: Duration,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        Self {
            trace_limit: DEFAULT_TRACE_LIMIT,
            log_trace_limit: DEFAULT_LOG_TRACE_LIMIT,
            record_limit: DEFAULT_RECORD_LIMIT,
            span_limit: DEFAULT_SPAN_LIMIT,
            time: DEFAULT_TIME,
        }
    }
}
