//! Metrics: series out of the spans that a pipeline leaves.
//!
//! Counting in intervals is `series`', `compare` has a file of its own, and `second` is what is done with the series.

mod cells;
mod compare;
mod second;
mod series;

use std::ops::ControlFlow;

use parsers::record::TraceId;
use store::read::{ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, Window};

use super::ast::{Field, MetricsFunction, Query, Static};
use super::expression::{At, Node};
use super::limits::{Limits, Spent};
use super::pipeline::{Pipeline, Step};
use super::plan::{Needed, REACH};
use super::sets::Finder;
use super::trace::Trace;
use crate::{Allowance, QueryError};

/// Intervals of a series at most, as Prometheus has it.
const MAX_INTERVALS: u64 = 11_000;
/// Series of an answer when it is not said, as Tempo has it.
pub const DEFAULT_SERIES: usize = 1_000;
/// Bytes of an interval of a series while it is counted: what is kept of it, its sample, and its place among others where the
/// greatest are kept.
const CELL: u64 = 40;
/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// Times in ns and sizes of a metrics query.
#[derive(Debug, Clone)]
pub struct MetricsParams {
    /// First instant.
    pub start: u64,
    /// First instant after.
    pub end: u64,
    /// Length of an interval; 0 for one that is the whole range.
    pub step: u64,
    /// Exemplars at most.
    pub exemplars: usize,
    /// Series at most.
    pub series: usize,
    /// How much may be read.
    pub limits: Limits,
    /// Points of the answer, and bytes together with other queries.
    pub allowance: Allowance,
}

/// What a metrics query gives.
#[derive(Debug)]
pub struct MetricsFound {
    /// The series, in order of their labels.
    pub series: Vec<Series>,
    /// Why some are missing, if some are.
    pub partial: Option<String>,
    /// What was read for it.
    pub report: ScanReport,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Names and values.
    pub labels: Vec<(String, Static)>,
    /// Ends of intervals in ms, and values.
    pub samples: Vec<(u64, f64)>,
    /// In order of time.
    pub exemplars: Vec<Exemplar>,
}

/// A span that stands for a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// When the span started, ms.
    pub time: u64,
    /// The value; of functions that count, that of the series.
    pub value: f64,
}

/// The intervals of a query.
#[derive(Debug, Clone, Copy)]
struct Intervals {
    start: u64,
    step: u64,
    count: usize,
}

impl Intervals {
    fn new(params: &MetricsParams) -> Result<Self, QueryError> {
        if params.end <= params.start {
            let told = format!(
                "http parameter start must be before end. received start={} end={}",
                params.start, params.end
            );
            return Err(QueryError::TooMuch(told));
        }
        let (start, step) = match params.step {
            0 => (params.start, params.end - params.start),
            // Intervals begin at whole multiples, so that those of two queries are the same.
            step => (params.start - params.start % step, step),
        };
        let count = (params.end - start).div_ceil(step);
        if count > MAX_INTERVALS {
            let told = format!(
                "exceeded maximum resolution of {MAX_INTERVALS} points per series: use a larger step"
            );
            return Err(QueryError::TooMuch(told));
        }
        Ok(Self { start, step, count: count as usize })
    }

    /// An interval does not hold its first instant, and holds its last: so do Prometheus' ranges. The first one holds both, so
    /// that nothing between two times that are asked for is left out, in however many intervals.
    fn window(self) -> Window {
        let end = self.start.saturating_add(self.step.saturating_mul(self.count as u64));
        Window { start: self.start, end: end.saturating_add(1) }
    }

    fn of(self, time: u64) -> Option<usize> {
        let interval = (time.checked_sub(self.start)?.saturating_sub(1) / self.step) as usize;
        (interval < self.count).then_some(interval)
    }

    /// The end of an interval in milliseconds.
    fn time(self, interval: usize) -> u64 {
        self.start.saturating_add(self.step.saturating_mul(interval as u64 + 1)) / MILLISECOND
    }

    fn seconds(self) -> f64 {
        self.step as f64 / 1e9
    }
}

/// Counts spans.
trait Counting {
    fn observe(&mut self, at: At<'_>, intervals: Intervals) -> Result<(), QueryError>;
}

/// The series of a query over a range of time.
pub fn metrics(
    query: &Query,
    traces: &dyn TraceRead,
    params: &MetricsParams,
) -> Result<MetricsFound, QueryError> {
    let Some(asked) = &query.metrics else {
        let told = "a search query has no series: add a function such as `| rate()`";
        return Err(super::ParseError::Meaning(told.to_owned()).into());
    };
    let intervals = Intervals::new(params)?;
    let pipeline = Pipeline::new(&query.pipeline)?;
    let (series, allowance) = (params.series, &params.allowance);
    let exemplars = wanted_exemplars(query, params.exemplars);
    let (mut found, partial, report) = match &asked.function {
        MetricsFunction::Compare { selection, top, window } => {
            let selection = Node::new(selection)?;
            let mut counting = compare::Comparing::new(selection, *window, *top, intervals, allowance);
            let report = run(&pipeline, false, &mut counting, traces, intervals, params.limits)?;
            (counting.series(series)?, None, report)
        }
        function => {
            let bounds = series::Bounds { series, exemplars, allowance, all_answered: asked.then.is_empty() };
            let mut counting = series::Counted::new(function, &asked.by, intervals, bounds);
            let local = asked.by.iter().chain(counting.of.as_ref()).all(is_local);
            let report = run(&pipeline, local, &mut counting, traces, intervals, params.limits)?;
            let partial = counting.left_out.then(|| {
                format!("Response exceeds maximum series limit of {series}, a partial response is returned.")
            });
            (counting.series(), partial, report)
        }
    };
    second::apply(&asked.then, &mut found);
    let points = found.iter().map(|series| series.samples.len() + series.exemplars.len()).sum();
    // Labels are written twice: as attributes, and as Prometheus' clients read them.
    let text = found.iter().flat_map(|series| &series.labels).map(|(name, value)| match value {
        Static::Str(text) => 2 * (name.len() + text.len()),
        _ => 2 * name.len(),
    });
    allowance.answer(points, text.sum())?;
    Ok(MetricsFound { series: found, partial, report })
}

fn is_local(field: &Field) -> bool {
    Node::Field(field.clone()).is_local()
}

/// `with(exemplars=...)` says how many, or whether.
fn wanted_exemplars(query: &Query, asked: usize) -> usize {
    let hint = query.hints.iter().rev().find(|(name, _)| name == "exemplars").map(|(_, value)| value);
    match hint {
        Some(Static::Bool(false)) => 0,
        Some(Static::Int(count)) => asked.min(usize::try_from(*count).unwrap_or(0)),
        _ => asked,
    }
}

/// Shows the spans that a pipeline leaves. `local` says that what is counted by is told by a span alone.
fn run(
    pipeline: &Pipeline,
    local: bool,
    counting: &mut dyn Counting,
    traces: &dyn TraceRead,
    intervals: Intervals,
    limits: Limits,
) -> Result<ScanReport, QueryError> {
    let needed = Needed::of(pipeline);
    let filter = match pipeline.steps.as_slice() {
        [Step::Spans(Finder::Where(node))] if local && node.is_local() => Some(node.clone()),
        [Step::Spans(Finder::Where(node))] if local => root_filter(node),
        _ => None,
    };
    let whole = filter.is_none();
    let spent = Spent::new(limits);
    let mut running = Running { pipeline, filter, counting, intervals, spent, refused: Ok(()) };
    let report = if let Some(id) = needed.trace {
        let spans = traces.trace(id, usize::MAX)?.spans;
        let views: Vec<SpanView<'_>> = spans.iter().map(SpanView::from).collect();
        let _ = running.trace(&views);
        ScanReport { records: views.len() as u64, ..ScanReport::default() }
    } else {
        // A condition on single spans is looked at when they are counted.
        let any = |_: &SpanView<'_>| true;
        let meets = |span: &SpanView<'_>| needed.wants(span);
        let select = TraceSelect {
            window: intervals.window(),
            // What is counted starts in the window; of what is beside it in its trace anything may lie elsewhere.
            reach: whole.then_some(REACH),
            service: needed.service.clone(),
            contains: needed.contains.clone(),
            hint: needed.hint.clone(),
            wanted: if whole { &meets } else { &any },
            whole,
        };
        traces.visit_traces(&select, &mut running)?
    };
    running.refused?;
    running.spent.ended()?;
    Ok(report)
}

/// A filter that is told by spans alone once roots are known by having no parent.
fn root_filter(node: &Node) -> Option<Node> {
    match node {
        Node::And(left, right) => {
            Some(Node::And(Box::new(root_filter(left)?), Box::new(root_filter(right)?)))
        }
        node if node.is_local() => Some(node.clone()),
        node @ Node::Compare(..) => node.relaxed(),
        _ => None,
    }
}

struct Running<'a> {
    pipeline: &'a Pipeline,
    /// The one condition, where a span alone tells whether it is counted.
    filter: Option<Node>,
    counting: &'a mut dyn Counting,
    intervals: Intervals,
    spent: Spent,
    /// Why counting ended.
    refused: Result<(), QueryError>,
}

impl Running<'_> {
    fn count(&mut self, spans: &[SpanView<'_>]) -> Result<(), QueryError> {
        let window = self.intervals.window();
        if let Some(filter) = &self.filter {
            for span in spans.iter().filter(|span| window.contains(span.start)) {
                let at = At { span, trace: None };
                if filter.holds(at) {
                    self.counting.observe(at, self.intervals)?;
                }
            }
            return Ok(());
        }
        let Some(trace) = Trace::new(spans) else { return Ok(()) };
        for set in self.pipeline.of(&trace) {
            for index in set.spans {
                if let Some(at) = At::within(&trace, index).filter(|at| window.contains(at.span.start)) {
                    self.counting.observe(at, self.intervals)?;
                }
            }
        }
        Ok(())
    }
}

impl TraceVisitor for Running<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        if self.refused.is_ok() {
            self.refused = self.count(spans);
        }
        if self.refused.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        self.spent.check(report)
    }
}
