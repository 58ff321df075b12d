//! Blocks of spans that were read last: who looks up a trace asks next what ran beside it, which is in the same blocks.

use std::mem::size_of;
use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parsers::record::{Batch, SpanRow};

use super::sections::Place;
use crate::segment::{Extent, Segment};
use crate::store::Inner;

/// Bytes that are kept: some thirty blocks.
const KEPT: u64 = 4 << 20;

/// Blocks by where they lie.
#[derive(Debug)]
pub(crate) struct Recent(Cache<Place, Arc<Batch>>);

impl Default for Recent {
    fn default() -> Self {
        let weigh = |_: &Place, batch: &Arc<Batch>| {
            let spans = &batch.spans;
            (spans.bytes.len() + spans.rows.len() * size_of::<SpanRow>()) as u32
        };
        // What was just read is asked for next, however often others were.
        let lru = EvictionPolicy::lru();
        Self(Cache::builder().max_capacity(KEPT).weigher(weigh).eviction_policy(lru).build())
    }
}

impl Inner {
    /// A block of spans, kept for who asks next; for readers of few blocks.
    pub(super) fn spans_block(&self, segment: &Segment, number: usize) -> Option<Arc<Batch>> {
        let place = segment.footer.blocks.get(number).map(|block| {
            let Extent { offset, checksum, .. } = block.extent();
            (segment.name, offset, checksum)
        });
        if let Some(kept) = place.and_then(|place| self.recent.0.get(&place)) {
            return Some(kept);
        }
        let batch = Arc::new(self.block(segment, number)?);
        if let Some(place) = place {
            self.recent.0.insert(place, Arc::clone(&batch));
        }
        Some(batch)
    }
}
