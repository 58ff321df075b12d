//! What an answer holds. Ids stay typed; surfaces write them as lower-case hex (`Display`).

use std::sync::Arc;

use parsers::record::{
    Exemplar, Labels, LogRecord, Sample, Span, SpanId, SpellingKind, TraceId, TraceMatch, Workload,
};
use store::read::Window;

/// Everything known of one trace.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The id that was asked for; of 64 and 128 bits seen for one trace, the longer.
    pub trace_id: TraceId,
    /// Each way in which the id was seen written, most frequent first.
    pub spellings: Vec<SeenSpelling>,
    /// From the first to just after the last instant of any record; `None` when nothing was found.
    pub window: Option<Window>,
    /// Services that took part, by name and version.
    pub services: Vec<ServiceSummary>,
    /// The tree in pre-order: a parent stands before its children, siblings by start. Flat, so that a trace nested
    /// ten thousand deep is as harmless as any other.
    pub spans: Vec<SpanNode>,
    /// Spans of the whole trace, of which this may be a part.
    pub total_spans: usize,
    /// Where the next part begins, in spans; `None` where this is the last.
    pub next: Option<usize>,
    /// What ran, in all parts of the trace; filled in with the metrics, which are asked for by it.
    pub(crate) workloads: Vec<Workload>,
    /// Log records in time order.
    pub logs: Vec<JoinedLog>,
    /// Log records that only mention the id in their text, in time order.
    pub mentions: Vec<JoinedLog>,
    /// Exemplars in time order.
    pub exemplars: Vec<JoinedExemplar>,
    /// Series that describe the workloads of the trace around its time, surest joins first.
    pub metrics: Vec<MetricLink>,
    /// What the request waited for, in time order, without overlaps; of a part, the stretches of its own spans.
    pub critical_path: Vec<CriticalSegment>,
    /// Where to go on from here.
    pub links: Vec<RelatedLink>,
    /// Hosts whose clocks were off, and by how much; those with most spans first.
    pub clocks: Vec<ClockOffset>,
    /// What is not in this answer, and why.
    pub absent: Vec<Absence>,
    /// What a reader should know before trusting the rest: clocks moved, lists cut, ids shared.
    pub warnings: Vec<String>,
}

impl Answer {
    /// Whether any signal holds something of this trace.
    pub fn found(&self) -> bool {
        !self.spans.is_empty() || !self.logs.is_empty() || !self.exemplars.is_empty()
    }

    /// Why a span is here.
    pub fn join_of(&self, node: &SpanNode) -> Join {
        let how = self.trace_id.matches(node.span.trace_id).unwrap_or(TraceMatch::Low64);
        crate::seen::join(how, JoinRule::TraceId)
    }
}

/// One way in which the id was seen written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSpelling {
    /// The characters.
    pub written: String,
    /// Their form.
    pub form: SpellingKind,
    /// How many records.
    pub count: u64,
    /// Spans among them.
    pub in_spans: bool,
    /// Log records among them.
    pub in_logs: bool,
    /// Exemplars among them.
    pub in_exemplars: bool,
}

/// A service in the trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSummary {
    /// `service.name`.
    pub name: String,
    /// `service.version`, empty if not said.
    pub version: String,
    /// Kubernetes namespace, empty if not said.
    pub namespace: String,
    /// Pods that took part, sorted.
    pub pods: Vec<String>,
    /// Spans.
    pub spans: u64,
    /// Spans with an error status.
    pub errors: u64,
    /// Log records.
    pub logs: u64,
}

/// Something about a span's place in the tree that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Oddity {
    /// It names a parent that is not in the answer.
    Orphan,
    /// Its parents formed a ring, which was cut here.
    CycleCut,
    /// Another span of the trace has the same id (Zipkin's client and server halves, or a repeat).
    SharedId,
    /// It was sent again when it had grown: another span of the answer is the same, and ends later or says more.
    EarlierState,
    /// Its clock was moved; see the adjusted times.
    SkewAdjusted,
    /// It ends before it starts.
    EndsBeforeStart,
    /// A request that began only after the call that made it had ended: the caller had given up, as far as is known, and it is
    /// where it was sent, or no offset of clocks brings it inside.
    AfterCall,
}

impl Oddity {
    /// Lower case with underscores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::CycleCut => "cycle_cut",
            Self::SharedId => "shared_id",
            Self::EarlierState => "earlier_state",
            Self::SkewAdjusted => "skew_adjusted",
            Self::EndsBeforeStart => "ends_before_start",
            Self::AfterCall => "after_call",
        }
    }
}

/// A span at its place in the tree.
#[derive(Debug, Clone)]
pub struct SpanNode {
    /// The span as sent: its own times are in here.
    pub span: Span,
    /// Index of the parent in [`Answer::spans`], always smaller than its own.
    pub parent: Option<usize>,
    /// 0 for roots.
    pub depth: u32,
    /// Start after clock adjustment, ns.
    pub start: u64,
    /// End after clock adjustment, ns; never before `start`.
    pub end: u64,
    /// Duration less the union of its children's times, ns.
    pub self_time: u64,
    /// What is odd about it.
    pub oddities: Vec<Oddity>,
}

impl SpanNode {
    /// `service.name`.
    pub fn service(&self) -> &str {
        self.span.resource.service()
    }

    /// Adjusted duration, ns (the same as sent: adjustment moves, it does not stretch).
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has this oddity.
    pub fn is(&self, oddity: Oddity) -> bool {
        self.oddities.contains(&oddity)
    }
}

/// A host whose clock was off against that of another, as the calls between them tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOffset {
    /// Host, pod or instance, whichever its spans name; else their service.
    pub host: String,
    /// The one that it is measured against; itself, where only single spans of it did not fit.
    pub against: String,
    /// What was added to its times, ns; 0 where single spans were moved only. Less than nothing: its clock is fast.
    pub by: i64,
    /// Calls between both that say so.
    pub calls: u64,
    /// Spans that were moved.
    pub spans: u64,
}

/// The rules of design that make joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JoinRule {
    /// The record carries the id.
    TraceId,
    /// The low 64 bits agree and one of both ids has no more.
    Low64,
    /// An exemplar names the trace.
    Exemplar,
    /// Workload labels agree with a series.
    Labels,
    /// A log line without an id, of a container of the trace and inside its time.
    WorkloadTime,
    /// A line of an access log without an id, by request id, path, status and time.
    AccessLog,
    /// The id occurs in the text of a line only, outside any known field.
    Mention,
}

impl JoinRule {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TraceId => "trace_id",
            Self::Low64 => "low64",
            Self::Exemplar => "exemplar",
            Self::Labels => "labels",
            Self::WorkloadTime => "workload_time",
            Self::AccessLog => "access_log",
            Self::Mention => "mention",
        }
    }
}

/// Which rule made a join, and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// The rule.
    pub rule: JoinRule,
    /// 0 to 1.
    pub confidence: f64,
    /// What agreed: label names for [`JoinRule::Labels`], fields of the line for [`JoinRule::WorkloadTime`] and
    /// [`JoinRule::AccessLog`].
    pub agreed: Vec<String>,
}

/// A log record of the trace.
#[derive(Debug, Clone)]
pub struct JoinedLog {
    /// The record.
    pub record: LogRecord,
    /// The span that it names, if that span is in the answer, or for a line that names none the span that ran; else the line
    /// stands at trace level. What the line itself says stays in `record.span_id`.
    pub span_id: Option<SpanId>,
    /// Whether the line itself does not name that span: it is the innermost one of its container that ran when it was written.
    pub span_inferred: bool,
    /// Its time after the clocks were brought together, ns: moved as its span was.
    pub adjusted: u64,
    /// Why it is here.
    pub join: Join,
}

/// Where an exemplar was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExemplarSource {
    /// Trefoil's own store.
    Store,
    /// A metrics server, by its name.
    Upstream(Arc<str>),
}

/// An exemplar of the trace.
#[derive(Debug, Clone)]
pub struct JoinedExemplar {
    /// The exemplar.
    pub exemplar: Exemplar,
    /// Where it was read.
    pub source: ExemplarSource,
    /// Why it is here.
    pub join: Join,
}

/// A series that describes a workload of the trace.
#[derive(Debug, Clone)]
pub struct MetricLink {
    /// Metric name.
    pub metric: String,
    /// The service of the trace that it describes.
    pub service: String,
    /// Series labels, `__name__` among them.
    pub labels: Arc<Labels>,
    /// PromQL that gives `values`.
    pub query: String,
    /// Unit of the values (`s`, `By`, `1/s`), if the name tells.
    pub unit: Option<&'static str>,
    /// Values around the request.
    pub values: Vec<Sample>,
    /// Why it is here.
    pub join: Join,
}

/// A stretch of the critical path: the request waited for this span itself, not for a child of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalSegment {
    /// Index into [`Answer::spans`].
    pub node: usize,
    /// The span.
    pub span_id: SpanId,
    /// Its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Adjusted ns.
    pub start: u64,
    /// Adjusted ns, after `start`.
    pub end: u64,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// A path on this gateway.
    Path(String),
    /// Another trace, which a span of this one links to.
    Trace {
        /// The other trace.
        trace_id: TraceId,
        /// The other span.
        span_id: Option<SpanId>,
        /// The span that has the link.
        from: SpanId,
    },
}

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedLink {
    /// What it is: `self`, `tempo`, `loki`, `span_link`.
    pub rel: &'static str,
    /// Where it leads.
    pub target: LinkTarget,
}

/// What may be missing from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AbsentSignal {
    /// Spans.
    Spans,
    /// Log records.
    Logs,
    /// Exemplars.
    Exemplars,
    /// Metric links.
    Metrics,
}

impl AbsentSignal {
    /// The key of the answer that is empty or short.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Exemplars => "exemplars",
            Self::Metrics => "metrics",
        }
    }
}

/// Why something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AbsentReason {
    /// No record with this id was ever stored here, as far as the store can tell.
    NeverSeen,
    /// The sender said that the trace is not sampled.
    SampledOut,
    /// Retention dropped it.
    Expired,
    /// The source was asked for another time, since nothing tells the trace's own.
    OutsideWindow,
    /// The source failed or cannot be reached.
    SourceDown,
    /// The source did not answer within its deadline.
    SourceSlow,
    /// It exists under another spelling of the id.
    OtherSpelling,
    /// No such source is configured.
    NotConfigured,
    /// The source answered, with nothing that fits.
    NoMatch,
    /// There is more than the limits let in.
    Truncated,
    /// Parts are missing: parents that spans name, the root, or the other side of a call.
    Incomplete,
}

impl AbsentReason {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverSeen => "never_seen",
            Self::SampledOut => "sampled_out",
            Self::Expired => "expired",
            Self::OutsideWindow => "outside_window",
            Self::SourceDown => "source_down",
            Self::SourceSlow => "source_slow",
            Self::OtherSpelling => "other_spelling",
            Self::NotConfigured => "not_configured",
            Self::NoMatch => "no_match",
            Self::Truncated => "truncated",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Something missing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// What is missing.
    pub signal: AbsentSignal,
    /// Why.
    pub reason: AbsentReason,
    /// For people: which source, until when.
    pub detail: String,
    /// For people: what to try next.
    pub hint: String,
}
