//! Spans and traces by the time at which they ran, and spans so of a source that only knows to visit traces.

use std::ops::ControlFlow;

use super::{
    ReadError, RunningSelect, ScanReport, SpanHint, SpanView, TraceRead, TraceSelect, TraceVisitor, Window,
};

impl TraceSelect<'_> {
    /// Where the wanted span is looked for.
    pub fn widened(&self) -> Window {
        let reach = self.reach.unwrap_or(0);
        Window { start: self.window.start.saturating_sub(reach), end: self.window.end.saturating_add(reach) }
    }

    /// Whether a span makes its trace one to be visited.
    pub fn takes(&self, span: &SpanView<'_>) -> bool {
        let Some(reach) = self.reach else { return self.window.contains(span.start) && (self.wanted)(span) };
        let last = span.end.max(span.start);
        let near = self.widened().touches(span.start, last) && (self.wanted)(span);
        near || (last - span.start > reach && self.window.touches(span.start, last))
    }
}

/// Hands on those spans of the traces visited that ran.
struct Visitor<'a> {
    select: &'a RunningSelect,
    visit: &'a mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
    complete: bool,
}

impl TraceVisitor for Visitor<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let wanted = spans.iter().filter(|span| self.select.wants(span.service(), span.start, span.end));
        for span in wanted {
            if (self.visit)(span).is_break() {
                self.complete = false;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        if report.bytes <= self.select.bytes {
            return ControlFlow::Continue(());
        }
        self.complete = false;
        ControlFlow::Break(())
    }
}

/// [`TraceRead::running`] by way of [`TraceRead::visit_traces`].
pub(super) fn by_traces<R: TraceRead + ?Sized>(
    source: &R,
    select: &RunningSelect,
    visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
) -> Result<bool, ReadError> {
    let wanted = |span: &SpanView<'_>| select.wants(span.service(), span.start, span.end);
    let traces = TraceSelect {
        window: Window { start: select.window.start.saturating_sub(select.longest), end: select.window.end },
        reach: None,
        service: match select.services.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        },
        contains: Vec::new(),
        hint: SpanHint::Anything,
        wanted: &wanted,
        whole: false,
    };
    let mut visitor = Visitor { select, visit, complete: true };
    source.visit_traces(&traces, &mut visitor)?;
    Ok(visitor.complete)
}
