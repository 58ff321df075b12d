//! Search: traces that have span sets as asked for, newest first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use parsers::record::{SpanId, StatusCode, TraceId};
use store::read::{ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, Window};

use super::ast::{Query, Static};
use super::expression::At;
use super::limits::{Limits, Spent};
use super::pipeline::{Pipeline, Set};
use super::plan::{Needed, REACH};
use super::shown::{Shown, shown};
use super::trace::Trace;
use crate::QueryError;

/// Records of a trace that is asked for by its id.
pub(super) const TRACE_SPANS: usize = 100_000;
/// Fields shown beside a span: what conditions look at can be much.
const MAX_SHOWN: usize = 64;

/// Times in ns and sizes of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchParams {
    /// The trace ends at or after this.
    pub start: u64,
    /// The trace starts before this.
    pub end: u64,
    /// Traces at most.
    pub limit: usize,
    /// Spans shown of each set.
    pub spans_per_set: usize,
    /// How much may be read.
    pub limits: Limits,
}

/// What a search gives.
#[derive(Debug)]
pub struct Found {
    /// Traces, newest first.
    pub hits: Vec<TraceHit>,
    /// What was read for it.
    pub report: ScanReport,
}

/// A trace that has spans as asked for.
#[derive(Debug, Clone)]
pub struct TraceHit {
    /// The trace.
    pub trace_id: TraceId,
    /// Service of the root span, or of the first if the root is not stored.
    pub root_service: String,
    /// Name of that span.
    pub root_name: String,
    /// First start, ns.
    pub start: u64,
    /// From the first start to the last end, ns.
    pub duration: u64,
    /// The sets of spans; at least one.
    pub sets: Vec<SetHit>,
    /// Spans of each service.
    pub services: BTreeMap<String, ServiceStats>,
}

/// A set of spans.
#[derive(Debug, Clone)]
pub struct SetHit {
    /// The first of the matching spans.
    pub spans: Vec<SpanHit>,
    /// How many match.
    pub matched: u64,
    /// Values of `by` and of aggregates.
    pub attributes: Vec<(String, Static)>,
}

/// Spans of one service in a trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceStats {
    /// All.
    pub spans: u64,
    /// With an error status.
    pub errors: u64,
}

/// A span that matches.
#[derive(Debug, Clone)]
pub struct SpanHit {
    /// Which.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its start, ns.
    pub start: u64,
    /// How long it took, ns.
    pub duration: u64,
    /// What `select` names, and what the conditions compared.
    pub attributes: Vec<(String, Static)>,
}

/// Traces that run through the window and, over all their spans, meet a query, newest first. Functions of metrics are not looked at: the spans that they count are found.
pub fn search(query: &Query, traces: &dyn TraceRead, params: &SearchParams) -> Result<Found, QueryError> {
    let pipeline = Pipeline::new(&query.pipeline)?;
    let needed = Needed::of(&pipeline);
    let window = Window { start: params.start, end: params.end };
    let mut searching = Searching {
        shown: shown(&pipeline),
        pipeline: &pipeline,
        params,
        window,
        hits: BTreeMap::new(),
        spent: Spent::new(params.limits),
    };
    let report = if let Some(id) = needed.trace {
        let records = traces.trace(id, TRACE_SPANS)?;
        let views: Vec<SpanView<'_>> = records.spans.iter().map(|span| Cow::Borrowed(span).into()).collect();
        let _ = searching.trace(&views);
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
        traces.visit_traces(&select, &mut searching)?
    };
    searching.spent.ended()?;
    Ok(Found { hits: searching.hits.into_values().rev().collect(), report })
}

struct Searching<'a> {
    pipeline: &'a Pipeline,
    params: &'a SearchParams,
    window: Window,
    /// By start and id, so that the first is the one to go.
    hits: BTreeMap<(u64, u128), TraceHit>,
    /// Fields to show beside each span.
    shown: Vec<Shown<'a>>,
    spent: Spent,
}

impl TraceVisitor for Searching<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let Some(trace) = Trace::new(spans) else { return ControlFlow::Continue(()) };
        let Some(root) = spans.get(trace.root) else { return ControlFlow::Continue(()) };
        if !self.window.touches(trace.start, trace.end.max(trace.start)) {
            return ControlFlow::Continue(());
        }
        let place = (trace.start, root.trace_id.bits());
        let full = self.hits.len() >= self.params.limit;
        if full && self.hits.first_key_value().is_none_or(|(oldest, _)| *oldest >= place) {
            return ControlFlow::Continue(());
        }
        let sets = self.pipeline.of(&trace);
        if sets.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut services: BTreeMap<String, ServiceStats> = BTreeMap::new();
        for span in spans {
            if !services.contains_key(span.service()) {
                services.insert(span.service().to_owned(), ServiceStats::default());
            }
            if let Some(stats) = services.get_mut(span.service()) {
                stats.spans += 1;
                stats.errors += u64::from(span.status == StatusCode::Error);
            }
        }
        let hit = TraceHit {
            trace_id: root.trace_id,
            root_service: root.service().to_owned(),
            root_name: root.name().into_owned(),
            start: trace.start,
            duration: trace.duration(),
            sets: sets.into_iter().map(|set| self.set_hit(&trace, set)).collect(),
            services,
        };
        self.hits.insert(place, hit);
        if self.hits.len() > self.params.limit {
            self.hits.pop_first();
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, newest: u64) -> ControlFlow<()> {
        // A trace starts no later than any of its spans.
        let settled = |(oldest, _): (&(u64, u128), &TraceHit)| oldest.0 > newest;
        if self.hits.len() >= self.params.limit && self.hits.first_key_value().is_none_or(settled) {
            return ControlFlow::Break(());
        }
        self.spent.check(report)
    }
}

impl Searching<'_> {
    fn set_hit(&self, trace: &Trace<'_>, set: Set) -> SetHit {
        let mut spans = set.spans.clone();
        spans.sort_by_key(|index| trace.spans.get(*index).map(|span| span.start));
        let spans = spans.iter().take(self.params.spans_per_set);
        SetHit {
            spans: spans.filter_map(|index| self.span_hit(trace, *index)).collect(),
            matched: set.spans.len() as u64,
            attributes: set.attributes,
        }
    }

    fn span_hit(&self, trace: &Trace<'_>, index: usize) -> Option<SpanHit> {
        let at = At::within(trace, index)?;
        let mut attributes: Vec<(String, Static)> = Vec::new();
        for field in self.shown.iter().take(MAX_SHOWN) {
            let (name, value) = (field.name(), field.value(at));
            if value != Static::Nil && !attributes.iter().any(|(known, _)| *known == name) {
                attributes.push((name, value));
            }
        }
        Some(SpanHit {
            span_id: at.span.span_id,
            name: at.span.name().into_owned(),
            start: at.span.start,
            duration: at.span.duration(),
            attributes,
        })
    }
}
