//! Blocks of spans that were read last: who looks up a trace asks next what ran beside it, which is in the same blocks.

use std::mem::size_of;
use std::sync::Arc;

use moka::sync::Cache;
use parsers::record::{Batch, SpanRow};

use crate::segment::{Name, Segment};
use crate::store::Inner;

/// Bytes that are kept: some thirty blocks.
const KEPT: u64 = 4 << 20;

/// Blocks by segment and number.
#[derive(Debug)]
pub(crate) struct Recent(Cache<(Name, usize), Arc<Batch>>);

impl Default for Recent {
    fn default() -> Self {
        let weigh = |_: &(Name, usize), batch: &Arc<Batch>| {
            let spans = &batch.spans;
            (spans.bytes.len() + spans.rows.len() * size_of::<SpanRow>()) as u32
        };
        Self(Cache::builder().max_capacity(KEPT).weigher(weigh).build())
    }
}

impl Inner {
    /// A block of spans, kept for who asks next; for readers of few blocks.
    pub(super) fn spans_block(&self, segment: &Segment, number: usize) -> Option<Arc<Batch>> {
        let place = (segment.name, number);
        if let Some(kept) = self.recent.0.get(&place) {
            return Some(kept);
        }
        let batch = Arc::new(self.block(segment, number)?);
        self.recent.0.insert(place, Arc::clone(&batch));
        Some(batch)
    }
}
