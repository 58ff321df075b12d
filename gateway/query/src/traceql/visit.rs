//! Traces that meet a query, whole, with the spans that it finds in them: what analyses read.

use std::borrow::Cow;
use std::ops::ControlFlow;

use parsers::record::TraceId;
use store::read::{ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, Window};

use super::ast::{Field, Query};
use super::limits::{Limits, Spent};
use super::pipeline::Pipeline;
use super::plan::{Needed, REACH};
use super::search::TRACE_SPANS;
use super::sets::union;
use super::shown::fields;
use super::trace::Trace;
use crate::QueryError;

/// Takes traces.
pub trait Visitor {
    /// Whether a trace is looked at at all; asked before the query is.
    fn wants(&mut self, trace: TraceId) -> bool;

    /// A trace that meets the query: all its spans, in no order, and which of them are found, by index.
    fn trace(&mut self, spans: &[SpanView<'_>], found: &[usize]) -> ControlFlow<()>;
}

/// How a visit went.
#[derive(Debug)]
pub struct Visited {
    /// What was read.
    pub report: ScanReport,
    /// The limit that ended it before all was read; newer traces come first, but for those of one segment.
    pub ended: Option<QueryError>,
}

/// Visits the traces that meet a query by spans that start in the window, each once. Functions of metrics are not looked at.
pub fn visit(
    query: &Query,
    traces: &dyn TraceRead,
    window: Window,
    limits: Limits,
    visitor: &mut dyn Visitor,
) -> Result<Visited, QueryError> {
    let pipeline = Pipeline::new(&query.pipeline)?;
    let needed = Needed::of(&pipeline);
    let mut visiting = Visiting { pipeline: &pipeline, window, visitor, spent: Spent::new(limits) };
    let report = if let Some(id) = needed.trace {
        let records = traces.trace(id, TRACE_SPANS)?;
        let views: Vec<SpanView<'_>> = records.spans.iter().map(|span| Cow::Borrowed(span).into()).collect();
        let _ = if views.is_empty() { ControlFlow::Continue(()) } else { visiting.trace(&views) };
        ScanReport { records: views.len() as u64, ..ScanReport::default() }
    } else {
        let select = TraceSelect {
            window,
            reach: Some(REACH),
            service: needed.service.clone(),
            contains: needed.contains.clone(),
            hint: needed.hint.clone(),
            wanted: &|span| needed.wants(span),
            whole: true,
        };
        traces.visit_traces(&select, &mut visiting)?
    };
    Ok(Visited { report, ended: visiting.spent.ended().err() })
}

/// Names of the attributes that a query's conditions look at.
pub fn attributes(query: &Query) -> Result<Vec<String>, QueryError> {
    let pipeline = Pipeline::new(&query.pipeline)?;
    let name = |field: &Field| match field {
        Field::Attribute { name, .. } => Some(name.clone()),
        Field::Intrinsic(_) => None,
    };
    Ok(fields(&pipeline).into_iter().filter_map(name).collect())
}

struct Visiting<'a> {
    pipeline: &'a Pipeline,
    window: Window,
    visitor: &'a mut dyn Visitor,
    spent: Spent,
}

impl TraceVisitor for Visiting<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        if !spans.first().is_some_and(|span| self.visitor.wants(span.trace_id)) {
            return ControlFlow::Continue(());
        }
        let Some(trace) = Trace::new(spans) else { return ControlFlow::Continue(()) };
        let sets = self.pipeline.of(&trace);
        let found = sets.into_iter().fold(Vec::new(), |all, set| union(&all, &set.spans));
        if !found.iter().any(|index| spans.get(*index).is_some_and(|span| self.window.contains(span.start))) {
            return ControlFlow::Continue(());
        }
        self.visitor.trace(spans, &found)
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        self.spent.check(report)
    }
}
