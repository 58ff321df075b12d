//! Calls in a window, from a source that keeps no count of them.

use std::ops::ControlFlow;

use parsers::otlp::SpanEncoder;
use parsers::record::Batch;

use super::{ReadError, SpanSelect, TraceRead, Window};
use crate::calls::{Calls, Sheet};
use crate::reading::{minutes, of_batches};

/// Spans that are counted together.
const SPANS_AT_ONCE: usize = 100_000;

/// [`TraceRead::calls`] over whole traces.
pub(super) fn of_traces<T: TraceRead + ?Sized>(traces: &T, window: Window) -> Result<Calls, ReadError> {
    let (minutes, window) = minutes(window);
    let mut all = Sheet::within(minutes);
    let mut merge = |encoder: &mut SpanEncoder| {
        let batch = Batch { spans: std::mem::take(encoder).finish(), ..Batch::default() };
        all.merge(&of_batches(std::iter::once(&batch)));
    };
    let (mut encoder, mut held) = (SpanEncoder::default(), 0);
    traces.scan_traces(&SpanSelect { window, service: None, name: None }, &mut |spans| {
        held += spans.len();
        for span in &spans {
            // One trace more is far below what a batch may hold.
            let _ = encoder.push(span);
        }
        if held >= SPANS_AT_ONCE {
            held = 0;
            merge(&mut encoder);
        }
        ControlFlow::Continue(())
    })?;
    merge(&mut encoder);
    Ok(all.into_calls(window, crate::retention::now()))
}
