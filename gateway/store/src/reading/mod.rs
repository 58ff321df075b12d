//! The reading traits over heads and segments.

mod exemplars;
mod found;
mod logs;
mod partial;
mod running;
mod samples;
mod traces;
mod visit;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use parsers::record::Batch;

use crate::sampling::{Mask, Sampling};
use crate::segment::Segment;
use crate::store::Inner;

impl Inner {
    /// What a reader must not see; to be taken before it looks what there is.
    fn mask(&self) -> Option<Mask<'_>> {
        self.sampling.as_ref().map(Sampling::mask)
    }

    fn snapshot(&self) -> (Vec<Arc<Batch>>, Vec<Arc<Segment>>) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let frozen = view.frozen.iter().flat_map(|h| h.batches.iter().cloned());
        (frozen.chain(view.active.batches.iter().cloned()).collect(), view.segments.clone())
    }

    fn block(&self, segment: &Segment, number: usize) -> Option<Batch> {
        let block = segment.block(number);
        if block.is_err() {
            self.tell_damaged(segment, number);
        }
        block.ok()
    }

    fn tell_damaged(&self, segment: &Segment, number: usize) {
        self.counters.damaged_blocks.fetch_add(1, Relaxed);
        tracing::error!(file = %segment.path.display(), block = number, "a damaged block is passed over");
    }
}
