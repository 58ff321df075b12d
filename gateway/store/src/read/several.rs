//! Records of several traces, from a source that only knows to look each up.

use parsers::record::TraceId;

use super::{LogView, ReadError, SpanView, TraceRead};

/// [`TraceRead::lines_of`] by way of [`TraceRead::trace`].
pub(super) fn lines<R: TraceRead + ?Sized>(
    source: &R,
    ids: &[TraceId],
    visit: &mut dyn FnMut(usize, &LogView<'_>),
) -> Result<(), ReadError> {
    for (place, id) in ids.iter().enumerate() {
        let records = source.trace(*id, usize::MAX)?;
        records.logs.iter().for_each(|record| visit(place, &LogView::from(record)));
    }
    Ok(())
}

/// [`TraceRead::spans_of`] by way of [`TraceRead::trace_spans`].
pub(super) fn spans<R: TraceRead + ?Sized>(
    source: &R,
    ids: &[TraceId],
    visit: &mut dyn FnMut(usize, &SpanView<'_>),
) -> Result<(), ReadError> {
    for (place, id) in ids.iter().enumerate() {
        let spans = source.trace_spans(*id, super::Detail::Outline, usize::MAX)?;
        spans.iter().for_each(|span| visit(place, &SpanView::from(span)));
    }
    Ok(())
}
