//! What an answer holds.

use parsers::record::{LogRecord, SpanId, TraceId, Workload};
use store::read::Window;

use crate::{Absence, FoundExemplar, MetricLink};

/// Why a record is in an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The rule that joined it: `trace_id`, `low64`, `span_id`, `span_link`, `exemplar`, `workload_time`, `labels`, `stream`.
    pub rule: &'static str,
    /// 0 to 1.
    pub confidence: f64,
    /// Names of labels or attributes that agreed.
    pub agreed: Vec<String>,
    /// For people: what makes it worth a look.
    pub why: String,
}

impl Reason {
    pub(super) fn new(rule: &'static str, confidence: f64, why: impl Into<String>) -> Self {
        Self { rule, confidence, agreed: Vec::new(), why: why.into() }
    }

    pub(super) fn by(mut self, agreed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.agreed = agreed.into_iter().map(Into::into).collect();
        self
    }
}

/// A workload that took part.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedWorkload {
    /// Which.
    pub workload: Workload,
    /// Why it is here.
    pub reason: Reason,
}

/// A trace.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedTrace {
    /// Which.
    pub trace_id: TraceId,
    /// The span that it is about.
    pub span_id: Option<SpanId>,
    /// Service of the root span, or of the first if the root is not stored.
    pub root_service: String,
    /// Name of that span.
    pub root_name: String,
    /// First start, ns.
    pub start: u64,
    /// From the first start to the last end, ns.
    pub duration: u64,
    /// Spans that are stored.
    pub spans: usize,
    /// Those with an error status.
    pub errors: usize,
    /// Services that took part, sorted.
    pub services: Vec<String>,
    /// Why it is here.
    pub reason: Reason,
}

/// A log line.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedLog {
    /// The record.
    pub record: LogRecord,
    /// The span under which it stands: the one that it names, or under which the look-up of its trace offers it.
    pub span_id: Option<SpanId>,
    /// Whether it is of what was asked about itself, and not of its traces or its neighbourhood alone. Such lines come first.
    pub own: bool,
    /// Why it is here.
    pub reason: Reason,
}

/// An exemplar.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedExemplar {
    /// Received, or made here.
    pub found: FoundExemplar,
    /// Why it is here.
    pub reason: Reason,
}

/// A query that gives such records on a surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurfaceQuery {
    /// A trace by its id.
    Trace(TraceId),
    /// LogQL.
    LogQl(String),
    /// TraceQL.
    TraceQl(String),
    /// PromQL.
    PromQl(String),
}

/// What was read to find what no index leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookedAt {
    /// Spans.
    pub spans: u64,
    /// Lines.
    pub lines: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// From when on all was looked at, ns; 0 says everything.
    pub from: u64,
}

/// The other signals. Each list has what is surest and most telling first.
#[derive(Debug, Clone, Default)]
pub struct Related {
    /// The time that the records are of.
    pub window: Option<Window>,
    /// The tenant of all records.
    pub tenant: Option<String>,
    /// Workloads that took part.
    pub workloads: Vec<RelatedWorkload>,
    /// Traces.
    pub traces: Vec<RelatedTrace>,
    /// Log lines.
    pub logs: Vec<RelatedLog>,
    /// Exemplars.
    pub exemplars: Vec<RelatedExemplar>,
    /// Series around that time.
    pub metrics: Vec<MetricLink>,
    /// Where to go on.
    pub queries: Vec<SurfaceQuery>,
    /// What was read to find them.
    pub looked_at: LookedAt,
    /// What is not here, and why.
    pub absent: Vec<Absence>,
    /// What a reader should know before trusting the rest.
    pub warnings: Vec<String>,
}

impl Related {
    /// Whether anything was found.
    pub fn found(&self) -> bool {
        !self.traces.is_empty()
            || !self.logs.is_empty()
            || !self.exemplars.is_empty()
            || !self.metrics.is_empty()
    }
}
