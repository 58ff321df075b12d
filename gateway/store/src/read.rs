//! The reading traits, and the plain data that goes in and out of them.
//!
//! What is stored here is read synchronously (page cache and memory): callers on an async runtime use a blocking thread.
//! Metrics live in another server for most users, so [`MetricRead`] is async.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Exemplar, Labels, LogRecord, Series, Severity, Span, SpanId, TraceId};

mod calls;
mod error;
mod exemplars;
mod hint;
mod running;
mod samples;
mod several;
mod span_view;
mod view;

pub use crate::calls::{Calls, Connection, EdgeCalls, OTHERS, OperationCalls, PAIRING_WAIT, Sketch, USER};
pub use error::ReadError;
pub use exemplars::{ExemplarLimits, ExemplarRead, StoredExemplars};
pub use hint::{AttributeScope, AttributeValue, AttributeValues, SpanHint, SpanStatistics};
pub use samples::{SampleLimits, SampleRead, SeriesSamples, SeriesStatistics};
pub(crate) use span_view::SpanBlock;
pub use span_view::{SpanView, ValueView};
pub use view::{LogView, LogVisit, Metadata, Tally};

/// Half-open time range in nanoseconds: `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant inside.
    pub start: u64,
    /// First instant after.
    pub end: u64,
}

impl Window {
    /// All of time.
    pub const ALL: Self = Self { start: 0, end: u64::MAX };

    /// Whether an instant lies inside.
    pub fn contains(self, time: u64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether a closed range `first..=last` touches this window.
    pub fn touches(self, first: u64, last: u64) -> bool {
        first < self.end && last >= self.start
    }
}

/// Which way a scan goes through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// How a label is compared.
#[derive(Debug, Clone)]
pub enum MatchOp {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored on both ends.
    Regex(regex::Regex),
    /// `!~`, anchored on both ends.
    NotRegex(regex::Regex),
    /// One of these, as `=~` with all of them: known names need no pattern to be compiled.
    OneOf(Vec<String>),
    /// None of these.
    NoneOf(Vec<String>),
}

impl MatchOp {
    /// Whether a value meets the condition; that of an absent label is empty.
    pub fn meets(&self, value: &str) -> bool {
        match self {
            Self::Equal(v) => value == v,
            Self::NotEqual(v) => value != v,
            Self::Regex(r) => r.is_match(value),
            Self::NotRegex(r) => !r.is_match(value),
            Self::OneOf(values) => values.iter().any(|v| value == v),
            Self::NoneOf(values) => values.iter().all(|v| value != v),
        }
    }
}

/// One condition on a label; an absent label compares as the empty string.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Label name.
    pub name: String,
    /// Comparison.
    pub op: MatchOp,
}

impl Matcher {
    /// `name = value`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal(value.into()) }
    }

    /// Whether a label set meets the condition.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.op.meets(labels.get(&self.name).unwrap_or_default())
    }
}

/// Which log records a scan visits. Everything but `matchers` and `window` is a hint that lets the store skip; the caller
/// still filters.
#[derive(Debug, Clone)]
pub struct LogSelect {
    /// All must hold for a stream to be read.
    pub matchers: Vec<Matcher>,
    /// Record times.
    pub window: Window,
    /// Order of the visit.
    pub direction: Direction,
    /// Only records of this trace (in either width) are of interest.
    pub trace: Option<TraceId>,
    /// Each must occur in the line.
    pub contains: Vec<Vec<u8>>,
    /// Only records that mention this trace are of interest.
    pub mentions: Option<Mention>,
}

/// How a log record names a trace: it is of the trace, or its line says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The trace.
    pub trace: TraceId,
    /// Spellings of its id, one of which the line holds.
    pub texts: Vec<Vec<u8>>,
}

/// What a scan read, whether or not it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanReport {
    /// Line bytes looked at.
    pub bytes: u64,
    /// Records looked at.
    pub records: u64,
    /// Blocks that could not be read and were passed over.
    pub damaged_blocks: u64,
}

/// Everything stored of one trace.
#[derive(Debug, Clone, Default)]
pub struct TraceRecords {
    /// Spans, each id once per (span id, kind, service).
    pub spans: Vec<Span>,
    /// Log records, in time order.
    pub logs: Vec<LogRecord>,
    /// Exemplars, in time order.
    pub exemplars: Vec<Exemplar>,
    /// Records of the trace that were left out because the limit was met.
    pub omitted: u64,
    /// Blocks that hold parts of the trace but could not be read.
    pub damaged_blocks: u64,
    /// Why records of this trace are gone; the embedded store tells it for signals of which nothing is left, and of a trace
    /// that was sampled out it gives nothing else.
    pub fates: Vec<Fate>,
}

/// How much is read of a trace's spans: of one that is too large to be held, first the outline, then some of them.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// All that was sent.
    All,
    /// Ids, name, kind, times, the outcome without its message, and the resource.
    Outline,
    /// Everything, of the spans with these ids.
    Only(&'a HashSet<SpanId>),
}

/// Why records are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Retention dropped them. Known by 32 bits of the id: with the thirty million ids that are remembered at most, wrong in
    /// fewer than one case in a hundred.
    Expired {
        /// Which signal.
        signal: Signal,
        /// Newest record of what was dropped.
        newest: u64,
    },
    /// Sampling dropped the trace as a whole. Known by the low 64 bits of the id.
    SampledOut {
        /// The rule that decided.
        rule: Arc<str>,
        /// When.
        decided: u64,
    },
}

/// The kinds of records, as retention and absences name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
    /// Samples and exemplars.
    Metrics,
}

/// Which traces a search visits: an over-approximation is allowed, the caller filters.
#[derive(Debug, Clone)]
pub struct SpanSelect {
    /// Some span of the trace starts in here.
    pub window: Window,
    /// Some span has this `service.name`.
    pub service: Option<String>,
    /// Some span has this name.
    pub name: Option<String>,
}

/// Which traces a visit goes to, and how.
pub struct TraceSelect<'a> {
    /// Some wanted span of the trace starts in here.
    pub window: Window,
    /// Instead, those traces may be wanted that run through the window, wherever in them the wanted span lies: it ran no
    /// further from the window than this, ns, or the trace has a span longer than that which ran in the window. The visitor
    /// looks whether the trace runs through it.
    pub reach: Option<u64>,
    /// The wanted span has this `service.name`; a hint.
    pub service: Option<String>,
    /// Each occurs in the bytes of the wanted span or of its resource or scope; a hint that lets blocks be passed over.
    pub contains: Vec<Vec<u8>>,
    /// What every wanted span meets; a hint that lets blocks be passed over unread.
    pub hint: SpanHint,
    /// Whether a span is a wanted one.
    pub wanted: &'a dyn Fn(&SpanView<'_>) -> bool,
    /// Whether all spans of a trace are needed at once. Otherwise those that lie in different segments come separately, and a
    /// span that was received twice may come twice.
    pub whole: bool,
}

/// Whose spans are asked for by the time at which they ran.
#[derive(Debug, Clone)]
pub struct RunningSelect {
    /// The span ran at some instant of it.
    pub window: Window,
    /// It has one of these `service.name`s.
    pub services: Vec<String>,
    /// How long before the window a span may have started, ns; what runs longer may be left out.
    pub longest: u64,
    /// Bytes of spans that are read for it at most.
    pub bytes: u64,
}

impl RunningSelect {
    /// Whether a span is one of them.
    pub fn wants(&self, service: &str, start: u64, end: u64) -> bool {
        self.window.touches(start, end.max(start)) && self.services.iter().any(|wanted| wanted == service)
    }
}

/// Visits traces.
pub trait TraceVisitor {
    /// A trace that has a wanted span: all its spans, in no order.
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()>;

    /// Called now and then, with what was read so far. No span that comes from now on starts after `newest`.
    fn progress(&mut self, report: ScanReport, newest: u64) -> ControlFlow<()>;
}

/// Reads all signals by trace id.
pub trait TraceRead: Send + Sync {
    /// Everything of one trace, by any spelling of its id: ids of 64 bits match the low half of longer ones and the other way
    /// round ([`TraceId::matches`]). At most `limit` records a signal.
    fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError>;

    /// The spans of one trace, at most `limit`, in so much detail, in order of their starts.
    fn trace_spans(&self, id: TraceId, detail: Detail<'_>, limit: usize) -> Result<Vec<Span>, ReadError> {
        let Detail::Only(wanted) = detail else { return Ok(self.trace(id, limit)?.spans) };
        let mut spans = self.trace(id, usize::MAX)?.spans;
        spans.retain(|span| wanted.contains(&span.span_id));
        spans.truncate(limit);
        Ok(spans)
    }

    /// Visits log records of several traces, in no order, each with the place of its trace in the list. What lies together is
    /// read once, so that this is much less than looking each of them up.
    fn lines_of(&self, ids: &[TraceId], visit: &mut dyn FnMut(usize, &LogView<'_>)) -> Result<(), ReadError> {
        several::lines(self, ids, visit)
    }

    /// As [`TraceRead::lines_of`], their spans; one that was received twice may come twice.
    fn spans_of(
        &self,
        ids: &[TraceId],
        visit: &mut dyn FnMut(usize, &SpanView<'_>),
    ) -> Result<(), ReadError> {
        several::spans(self, ids, visit)
    }

    /// The [`Fate::SampledOut`] of a trace, if that is what became of it: whoever names traces from other sources asks.
    fn sampled_out(&self, _id: TraceId) -> Option<Fate> {
        None
    }

    /// Visits whole traces (all their spans), those with the newest spans first, until told to stop.
    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError>;

    /// Visits traces over the senders' own bytes: those of newer segments first, in no order within one, each once.
    fn visit_traces(
        &self,
        select: &TraceSelect<'_>,
        visitor: &mut dyn TraceVisitor,
    ) -> Result<ScanReport, ReadError> {
        let (mut window, service) = (select.widened(), select.service.clone());
        // Nobody knows how long they run that began earlier.
        if select.reach.is_some() {
            window.start = 0;
        }
        let service = service.filter(|_| select.reach.is_none());
        let scan = SpanSelect { window, service, name: None };
        let mut so_far = ScanReport::default();
        self.scan_traces(&scan, &mut |spans| {
            so_far.records += spans.len() as u64;
            visitor.progress(so_far, u64::MAX)?;
            let views: Vec<SpanView<'_>> = spans.iter().map(SpanView::from).collect();
            let wanted = views.iter().any(|view| select.takes(view));
            if wanted { visitor.trace(&views) } else { ControlFlow::Continue(()) }
        })
    }

    /// Visits spans of any traces that ran in a window, in any order; one that was received twice may come twice. Tells whether
    /// these are all of them: `false` where the visit or the bound on what is read ended it.
    fn running(
        &self,
        select: &RunningSelect,
        visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        running::by_traces(self, select, visit)
    }

    /// Which operations ran and who called whom, counted over the spans that started in the window, widened to whole minutes.
    /// Spans count that sampling dropped since, if they were in a segment before.
    fn calls(&self, window: Window) -> Result<Calls, ReadError> {
        calls::of_traces(self, window)
    }

    /// Services that have spans in the window, each with its operations, both sorted. What touches the window counts whole: a
    /// sealed segment, or what is not sealed yet, which list at most 1,000 operations a service.
    fn services(&self, window: Window) -> Result<Vec<(String, Vec<String>)>, ReadError>;

    /// Which attributes the spans in the window have, place by place, without reading spans: what touches the window counts whole.
    /// `None` from a source that does not know without reading.
    fn statistics(&self, _window: Window) -> Result<Option<Vec<Arc<SpanStatistics>>>, ReadError> {
        Ok(None)
    }
}

/// Reads log records by stream and time.
pub trait LogRead: Send + Sync {
    /// Visits records in time order until told to stop.
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError>;

    /// As [`LogRead::scan_logs`], but lends the records, which costs no allocations; with `ordered` false they come in
    /// whichever order is quickest.
    fn scan_views(
        &self,
        select: &LogSelect,
        ordered: bool,
        visit: &mut dyn LogVisit,
    ) -> Result<ScanReport, ReadError> {
        let _ = ordered;
        let mut so_far = ScanReport::default();
        self.scan_logs(select, &mut |record| {
            so_far.records += 1;
            so_far.bytes += record.line.len() as u64;
            visit.progress(&so_far)?;
            visit.record(&LogView::from(&record))
        })
    }

    /// How much there is, stream by stream and stretch by stretch, in any order. What is sealed is not read for it: a stretch
    /// that the window cuts counts by the part of its time that is inside, and its bytes are those of lines with their
    /// metadata.
    fn tally(
        &self,
        matchers: &[Matcher],
        window: Window,
        visit: &mut dyn FnMut(&Tally<'_>),
    ) -> Result<(), ReadError> {
        let select = LogSelect {
            matchers: matchers.to_vec(),
            window,
            direction: Direction::Forward,
            trace: None,
            contains: Vec::new(),
            mentions: None,
        };
        self.scan_logs(&select, &mut |record| {
            let bytes = record.line.len() as u64;
            visit(&Tally {
                labels: &record.labels,
                first: record.time,
                last: record.time,
                records: 1,
                bytes,
            });
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// Label sets of the streams that have records in the window and meet all matchers.
    fn streams(&self, matchers: &[Matcher], window: Window) -> Result<Vec<Arc<Labels>>, ReadError>;
}

/// Lines of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternCount {
    /// What they have in common, as LogQL's `|>` reads it.
    pub pattern: String,
    /// Their level.
    pub level: Severity,
    /// How many there were from these times on, in nanoseconds, in time order.
    pub samples: Vec<(u64, u64)>,
}

impl PatternCount {
    /// How many in all.
    pub fn total(&self) -> u64 {
        self.samples.iter().map(|(_, lines)| lines).sum()
    }
}

/// Reads patterns of lines.
pub trait PatternRead: Send + Sync {
    /// Patterns of the streams that meet all matchers, most frequent first, counted in steps of so many nanoseconds.
    fn patterns(&self, matchers: &[Matcher], window: Window, step: u64) -> Vec<PatternCount>;
}

/// Reads metrics, from whichever server has them.
#[async_trait::async_trait]
pub trait MetricRead: Send + Sync {
    /// What to call this source in answers.
    fn name(&self) -> &str;

    /// Label sets of series that match one of the selectors (PromQL series selectors) and have samples in the window.
    async fn series(&self, selectors: &[String], window: Window) -> Result<Vec<Labels>, ReadError>;

    /// Evaluates an expression over the window.
    async fn range(&self, expression: &str, window: Window, step: Duration)
    -> Result<Vec<Series>, ReadError>;

    /// As [`MetricRead::range`], several expressions one after the other; the answers are in their order.
    async fn ranges(
        &self,
        expressions: &[String],
        window: Window,
        step: Duration,
    ) -> Vec<Result<Vec<Series>, ReadError>> {
        let mut answers = Vec::with_capacity(expressions.len());
        for expression in expressions {
            answers.push(self.range(expression, window, step).await);
        }
        answers
    }

    /// How many expressions are best asked for together: one, of a server that is asked by request.
    fn together(&self) -> usize {
        1
    }

    /// Exemplars of the series that the expression selects.
    async fn exemplars(&self, expression: &str, window: Window) -> Result<Vec<Exemplar>, ReadError>;

    /// The same source for somebody whose thread may wait: it reads on that thread, so that its answers are ready at once, and is slow
    /// once so much time is over; what has begun to be read then is read to its end. `None` of one that is asked over a network.
    fn here(&self, _within: Duration) -> Option<Arc<dyn MetricRead>> {
        None
    }

    /// The same source, asked for what is of these tenants (`X-Scope-OrgID`); `None` if it cannot be.
    fn of_tenants(&self, _tenants: &str) -> Option<Arc<dyn MetricRead>> {
        None
    }
}
