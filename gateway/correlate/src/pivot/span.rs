//! Starts that are a trace or a span. There is no index by span id: spans are searched for it, newest first.

use std::ops::ControlFlow;
use std::time::Instant;

use parsers::record::{SpanId, TraceId, format_rfc3339};
use store::read::{ReadError, ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, Window};

use super::gather::Gathered;
use super::tenant::{OneTenant, of_resource};
use super::{LookedAt, Pivot, Related, SCAN_TIME};
use crate::absent::absence;
use crate::{Absence, AbsentReason, AbsentSignal};

impl Pivot {
    pub(super) async fn of_trace(
        &self,
        id: TraceId,
        span: Option<SpanId>,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let answer = self.correlator.answer(id).await;
        gathered.add_answer(answer, span, self.from);
        if self.held {
            self.add_metrics(&mut gathered).await;
        }
        self.summarise(gathered).await
    }

    pub(super) async fn of_span(
        &self,
        id: SpanId,
        window: Window,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let (traces, tenant) = (self.correlator.store(), gathered.tenant.clone());
        let found = super::gather::blocking(move || find(&*traces, id, window, tenant)).await?;
        gathered.related.looked_at = found.looked_at;
        if let Some((trace, _)) = found.span {
            return self.of_trace(trace, Some(id), gathered).await;
        }
        let (traces, tenant) = (self.correlator.store(), gathered.tenant.clone());
        let elsewhere = match window {
            Window::ALL => None,
            _ => super::gather::blocking(move || find(&*traces, id, Window::ALL, tenant)).await?.span,
        };
        gathered.related.absent.push(missing(&found.looked_at, window, elsewhere));
        Ok(gathered.related)
    }
}

/// Why a span was not found.
fn missing(looked: &LookedAt, window: Window, elsewhere: Option<(TraceId, u64)>) -> Absence {
    if let Some((trace, start)) = elsewhere {
        let (start, from, to) =
            (format_rfc3339(start), format_rfc3339(window.start), format_rfc3339(window.end));
        let detail =
            format!("the span is of the trace {trace} and began at {start}, not between {from} and {to}");
        let hint = format!("ask with `trace_id={trace}`, or with another `start` and `end`");
        return Absence { hint, ..absence(AbsentSignal::Spans, AbsentReason::OutsideWindow, detail) };
    }
    let all = looked.from <= window.start;
    let (spans, size) = (looked.spans, looked.bytes >> 20);
    let how = if all {
        "all of the window".to_owned()
    } else {
        format!("the newest, back to {}", format_rfc3339(looked.from))
    };
    let detail = format!(
        "{spans} spans ({size} MiB) were looked at, {how}, and none has this id: it never came, or its trace was sampled out or has \
         expired since, which is known of trace ids only"
    );
    let (reason, hint) = if all {
        (AbsentReason::NoMatch, "name the trace with `trace_id`: of that it is known what became of it")
    } else {
        (AbsentReason::Truncated, "name the trace with `trace_id`, or the time with `start` and `end`")
    };
    Absence { hint: hint.to_owned(), ..absence(AbsentSignal::Spans, reason, detail) }
}

struct Found {
    /// Its trace, and when it began.
    span: Option<(TraceId, u64)>,
    looked_at: LookedAt,
}

/// The trace of a span.
fn find(traces: &dyn TraceRead, id: SpanId, window: Window, tenant: OneTenant) -> Result<Found, ReadError> {
    let bytes = id.bits().to_be_bytes();
    let is_it =
        |span: &SpanView<'_>| span.span_id == id && tenant.clone().lets_in(of_resource(span.resource()));
    let select = TraceSelect {
        window,
        reach: None,
        service: None,
        contains: vec![bytes.to_vec()],
        hint: store::read::SpanHint::Anything,
        wanted: &is_it,
        whole: false,
    };
    let began = Instant::now();
    let mut search = Search { is_it: &is_it, began, span: None, reached: u64::MAX, cut: false };
    let report = traces.visit_traces(&select, &mut search)?;
    let from = if search.cut { search.reached } else { window.start };
    let looked_at = LookedAt { spans: report.records, lines: 0, bytes: report.bytes, from };
    Ok(Found { span: search.span, looked_at })
}

struct Search<'a> {
    is_it: &'a dyn Fn(&SpanView<'_>) -> bool,
    began: Instant,
    span: Option<(TraceId, u64)>,
    reached: u64,
    cut: bool,
}

impl TraceVisitor for Search<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        self.span = spans.iter().find(|span| (self.is_it)(span)).map(|span| (span.trace_id, span.start));
        if self.span.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn progress(&mut self, _: ScanReport, newest: u64) -> ControlFlow<()> {
        self.reached = newest;
        if self.began.elapsed() < SCAN_TIME {
            return ControlFlow::Continue(());
        }
        self.cut = true;
        ControlFlow::Break(())
    }
}
