//! Spans by the time at which they ran. What is not sealed is in memory and looked through; of segments, blocks that touch the
//! window and hold spans of the services, as their index of times tells, are read up to a bound.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::Batch;

use crate::read::{RunningSelect, Signal, SpanBlock, SpanView};
use crate::sampling::Mask;
use crate::store::Store;

/// Visits, and tells whether these are all.
pub(super) fn running(
    store: &Store,
    select: &RunningSelect,
    visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
) -> bool {
    let inner = store.inner();
    let mask = inner.mask();
    let (batches, segments) = inner.snapshot_within(Signal::Traces, select.window);
    for (batch, _, _) in batches {
        if of_batch(batch, select, mask.as_ref(), visit).is_break() {
            return false;
        }
    }
    let of_service =
        |(service, _): &(Arc<str>, _)| select.services.iter().any(|wanted| **wanted == **service);
    let mut touched: Vec<_> = segments
        .iter()
        .filter(|s| s.name.signal == Signal::Traces && select.window.touches(s.footer.first, s.footer.last))
        .filter(|s| s.footer.services.iter().any(of_service))
        .collect();
    touched.sort_by_key(|s| Reverse(s.footer.last));
    let mut bytes = 0;
    for segment in touched {
        let mask = mask.as_ref().filter(|mask| mask.is_over(segment));
        let blocks = segment.footer.blocks.iter().enumerate();
        let in_window = || {
            blocks
                .filter(|(_, block)| select.window.touches(block.first, block.last))
                .map(|(number, _)| number as u32)
        };
        // Those of earlier versions do not tell which, and an index that cannot be read excludes none.
        let blocks: Vec<u32> = match inner.ran(segment, select) {
            Ok(Some(blocks)) => blocks,
            Ok(None) | Err(_) => in_window().collect(),
        };
        let raw = |number: &u32| {
            segment.footer.blocks.get(*number as usize).map_or(0, |block| u64::from(block.raw))
        };
        bytes += blocks.iter().map(raw).sum::<u64>();
        if bytes > select.bytes {
            return false;
        }
        for number in blocks {
            let Some(batch) = inner.spans_block(segment, number as usize) else { continue };
            if of_batch(batch, select, mask, visit).is_break() {
                return false;
            }
        }
    }
    true
}

fn of_batch(
    batch: Arc<Batch>,
    select: &RunningSelect,
    mask: Option<&Mask<'_>>,
    visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let ran = |start: u64, end: u64| select.window.touches(start, end.max(start));
    if !batch.spans.rows.iter().any(|row| ran(row.start, row.end)) {
        return ControlFlow::Continue(());
    }
    let block = SpanBlock::new(batch);
    for (number, row) in block.spans().rows.iter().enumerate() {
        let resource = block.spans().resources.get(row.resource as usize);
        let wanted = ran(row.start, row.end)
            && resource.is_some_and(|resource| select.wants(&resource.service, row.start, row.end))
            && !mask.is_some_and(|mask| mask.hides(row.trace));
        if let Some(view) = block.view(number).filter(|_| wanted) {
            visit(&view)?;
        }
    }
    ControlFlow::Continue(())
}
