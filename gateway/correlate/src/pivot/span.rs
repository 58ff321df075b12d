//! Starts that are a trace or a span. There is no index by span id: spans are searched for it, newest first.

use std::ops::ControlFlow;
use std::time::Instant;

use parsers::record::{SpanId, TraceId, format_rfc3339};
use store::read::{ReadError, ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, Window};

use super::gather::Gathered;
use super::{LookedAt, Pivot, Related, SCAN_TIME};
use crate::absent::absence;
use crate::{AbsentReason, AbsentSignal};

impl Pivot {
    pub(super) async fn of_trace(
        &self,
        id: TraceId,
        span: Option<SpanId>,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let answer = self.correlator.answer(id).await;
        gathered.add_answer(answer, span, self.held);
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
        let traces = self.correlator.store();
        let found = super::gather::blocking(move || find(&*traces, id, window)).await?;
        gathered.related.looked_at = found.looked_at;
        if let Some(trace) = found.trace {
            return self.of_trace(trace, Some(id), gathered).await;
        }
        let looked = found.looked_at;
        let detail = format!(
            "{} spans ({} MiB) were looked at, {}, and none has this id; there is no index by span id: name the trace, or the time \
             with `start` and `end`",
            looked.spans,
            looked.bytes >> 20,
            if looked.from <= window.start {
                "all of the window".to_owned()
            } else {
                format!("the newest, back to {}", format_rfc3339(looked.from))
            }
        );
        let reason =
            if looked.from <= window.start { AbsentReason::NeverSeen } else { AbsentReason::Truncated };
        gathered.related.absent.push(absence(AbsentSignal::Spans, reason, detail));
        Ok(gathered.related)
    }
}

struct Found {
    trace: Option<TraceId>,
    looked_at: LookedAt,
}

/// The trace of a span.
fn find(traces: &dyn TraceRead, id: SpanId, window: Window) -> Result<Found, ReadError> {
    let bytes = id.bits().to_be_bytes();
    let is_it = |span: &SpanView<'_>| span.span_id == id;
    let select = TraceSelect {
        window,
        service: None,
        contains: vec![bytes.to_vec()],
        hint: store::read::SpanHint::Anything,
        wanted: &is_it,
        whole: false,
    };
    let mut search = Search { id, began: Instant::now(), trace: None, reached: u64::MAX, cut: false };
    let report = traces.visit_traces(&select, &mut search)?;
    let from = if search.cut { search.reached } else { window.start };
    let looked_at = LookedAt { spans: report.records, lines: 0, bytes: report.bytes, from };
    Ok(Found { trace: search.trace, looked_at })
}

struct Search {
    id: SpanId,
    began: Instant,
    trace: Option<TraceId>,
    reached: u64,
    cut: bool,
}

impl TraceVisitor for Search {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        self.trace = spans.iter().find(|span| span.span_id == self.id).map(|span| span.trace_id);
        if self.trace.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
