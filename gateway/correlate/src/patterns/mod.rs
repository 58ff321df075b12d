//! What shapes the lines of a service have in a window, how often, in which traces, and which of them are new or more frequent than
//! before; and its exceptions, out of lines and spans, by type and stack.
//!
//! Counted from the stored lines themselves, newest first, until all are counted or a bound is met; a report says which.

mod count;
mod exceptions;
mod novelty;
mod of_labels;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Severity, SpanId, TraceId};
use store::read::{LogRead, Matcher, ReadError, ScanReport, TraceRead, Window};

use crate::absent::absence;
use crate::{Absence, AbsentReason, AbsentSignal, LabelMapping};

pub use exceptions::ExceptionGroup;
pub use novelty::{Novelty, Verdict};

/// Bytes of lines that one question reads in both windows together: some four seconds of a core.
const DEFAULT_BYTES: u64 = 2 << 30;
/// Longest time for it: a person waits.
const DEFAULT_TIME: Duration = Duration::from_secs(8);

/// Whose patterns, and when.
#[derive(Debug, Clone)]
pub struct PatternQuestion {
    /// The service; without one all lines are looked at.
    pub service: Option<String>,
    /// Further conditions on streams.
    pub matchers: Vec<Matcher>,
    /// Only records of this tenant.
    pub tenant: Option<String>,
    /// The window that is asked about.
    pub window: Window,
    /// The one that it is compared with.
    pub against: Window,
    /// Patterns and exceptions of the answer, each.
    pub limit: usize,
    /// Bytes of lines that may be read.
    pub bytes: u64,
    /// How long it may take.
    pub time: Duration,
}

impl PatternQuestion {
    /// About a service in a window, with the bounds that hold by default.
    pub fn new(service: Option<String>, window: Window, against: Window, limit: usize) -> Self {
        Self {
            service,
            matchers: Vec::new(),
            tenant: None,
            window,
            against,
            limit,
            bytes: DEFAULT_BYTES,
            time: DEFAULT_TIME,
        }
    }
}

/// What was counted of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The window that was asked for.
    pub window: Window,
    /// From when on all lines are counted: the window's start, or later if a bound was met.
    pub from: u64,
    /// When its lines begin, where that is much later and none are older: before, there was nobody to write them.
    pub begins: Option<u64>,
    /// Lines.
    pub lines: u64,
    /// Lines that are of no pattern: without words, or of patterns that gave way to others.
    pub other: u64,
    /// Spans that were looked at for exceptions.
    pub spans: u64,
}

impl Counted {
    /// Seconds that are counted, since there are lines.
    pub fn seconds(&self) -> f64 {
        let from = self.begins.unwrap_or(self.from);
        self.window.end.saturating_sub(from).max(1) as f64 / 1e9
    }
}

/// A trace in which something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExampleTrace {
    /// The trace.
    pub trace_id: TraceId,
    /// The span, if it was said.
    pub span_id: Option<SpanId>,
    /// When.
    pub time: u64,
    /// Whether spans of it are stored.
    pub stored: bool,
}

/// Lines of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPattern {
    /// What they have in common, as LogQL's `|>` reads it.
    pub pattern: String,
    /// Their level.
    pub level: Severity,
    /// How many in the window.
    pub count: u64,
    /// How many in the window that it is compared with.
    pub count_against: u64,
    /// Whether that is news.
    pub verdict: Verdict,
    /// First seen in either window.
    pub first: u64,
    /// Last seen in either window.
    pub last: u64,
    /// A line, shortened.
    pub example: String,
    /// Traces of the window that have such a line, those with stored spans first.
    pub traces: Vec<ExampleTrace>,
    /// LogQL for them.
    pub query: String,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct PatternReport {
    /// The window that was asked about.
    pub window: Counted,
    /// The one that it is compared with.
    pub against: Counted,
    /// Patterns: what is new or risen first, then by count.
    pub patterns: Vec<FoundPattern>,
    /// Exceptions, in the same order.
    pub exceptions: Vec<ExceptionGroup>,
    /// What is not here, and why.
    pub absent: Vec<Absence>,
    /// What a reader should know before trusting the rest.
    pub warnings: Vec<String>,
}

/// Finds patterns. A cheap clone.
#[derive(Clone)]
pub struct LogPatterns {
    logs: Arc<dyn LogRead>,
    traces: Arc<dyn TraceRead>,
    mapping: Arc<LabelMapping>,
}

impl LogPatterns {
    /// Of what these hold.
    pub fn new(logs: Arc<dyn LogRead>, traces: Arc<dyn TraceRead>, mapping: &LabelMapping) -> Self {
        Self { logs, traces, mapping: Arc::new(mapping.clone()) }
    }

    /// Counts and compares. Reads disk: to be called where that may block.
    pub fn find(&self, question: &PatternQuestion) -> Result<PatternReport, ReadError> {
        let mut spent = Spent { began: Instant::now(), bytes: 0, question };
        let counts = count::count(self, question, &mut spent)?;
        let mut groups = exceptions::of_spans(self, question, &mut spent, counts.exceptions)?;
        let mut windows = counts.windows;
        for (window, spans) in windows.iter_mut().zip(groups.spans) {
            window.spans = spans;
        }
        let [window, against] = windows;
        let (patterns, cut) = count::report(counts.patterns, &counts.selectors, &windows, question.limit);
        let warnings = std::mem::take(&mut groups.warnings);
        let (exceptions, more) = groups.report(&windows, question.limit);
        let mut report = PatternReport {
            absent: absent(question, &window, &against, &patterns),
            warnings: counts.warnings,
            window,
            against,
            patterns,
            exceptions,
        };
        report.warnings.extend(warnings);
        for (cut, what) in [(cut, "patterns"), (more, "exceptions")] {
            if cut > 0 {
                report.warnings.push(format!("{cut} more {what} are left out: ask with a higher `limit`"));
            }
        }
        self.look_for_spans(&mut report);
        Ok(report)
    }

    /// Says of each example whether its trace has spans here.
    fn look_for_spans(&self, report: &mut PatternReport) {
        let of_patterns = report.patterns.iter_mut().map(|pattern| &mut pattern.traces);
        let of_exceptions = report.exceptions.iter_mut().map(|group| &mut group.traces);
        for traces in of_patterns.chain(of_exceptions) {
            for example in &mut *traces {
                let records = self.traces.trace(example.trace_id, 1);
                example.stored = records.is_ok_and(|records| !records.spans.is_empty());
            }
            traces.sort_by_key(|example| !example.stored);
            traces.truncate(count::EXAMPLES);
        }
    }
}

/// What a question has cost so far.
struct Spent<'a> {
    began: Instant,
    bytes: u64,
    question: &'a PatternQuestion,
}

impl Spent<'_> {
    /// Whether a scan that has read so much may go on; `part` of the bounds is for it and those before it.
    fn allows(&self, report: &ScanReport, part: f64) -> bool {
        let (bytes, time) = (self.question.bytes as f64 * part, self.question.time.mul_f64(part));
        ((self.bytes + report.bytes) as f64) < bytes && self.began.elapsed() < time
    }
}

fn absent(
    question: &PatternQuestion,
    window: &Counted,
    against: &Counted,
    patterns: &[FoundPattern],
) -> Vec<Absence> {
    let mut absent = Vec::new();
    let mut add = |reason, detail: String| {
        absent.push(absence(AbsentSignal::Logs, reason, detail));
    };
    let whose = question.service.as_ref().map_or_else(String::new, |service| format!(" of {service}"));
    if window.lines == 0 {
        let detail = format!(
            "no line{whose} is stored of this window; streams are found by the labels service_name, service, app, job and container, \
             and by the pods of its spans: `/loki/api/v1/series` lists what there is"
        );
        add(AbsentReason::NoMatch, detail);
    } else if against.lines == 0 {
        let detail = format!(
            "no line{whose} is stored of the window to compare with, so that no pattern or exception can be called new; name another with `against`"
        );
        add(AbsentReason::OutsideWindow, detail);
    }
    if !patterns.is_empty() && patterns.iter().all(|pattern| pattern.traces.is_empty()) {
        let detail = "no line of these patterns carries a trace id".to_owned();
        absent.push(absence(AbsentSignal::Spans, AbsentReason::NeverSeen, detail));
    }
    absent
}
