//! The reading traits over heads and segments.

mod ahead;
mod calls;
mod exemplars;
mod found;
mod logs;
mod partial;
mod recent;
mod running;
mod samples;
mod sections;
mod services;
mod several;
mod statistics;
mod traces;
mod visit;

#[cfg(test)]
pub(crate) use calls::in_parts;
pub(crate) use calls::{Sheets, minutes, of_batches};
pub(crate) use recent::Recent;
pub(crate) use sections::Sections;
pub(crate) use services::Listed;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use parsers::record::Batch;

use crate::codec::Damaged;
use crate::head::{Kind, Timed};
use crate::read::{Signal, Window};
use crate::sampling::{Mask, Sampling};
use crate::segment::Segment;
use crate::store::Inner;

/// Some of a batch's rows.
type BatchRows = (Arc<Batch>, Vec<u32>);

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

    /// As [`Self::snapshot`], with those batches only that have records of a signal near a window.
    fn snapshot_within(&self, signal: Signal, window: Window) -> (Vec<Timed>, Vec<Arc<Segment>>) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let heads = view.frozen.iter().map(|head| &**head).chain([&view.active]);
        let batches = heads.flat_map(|head| head.within(signal, window)).collect();
        (batches, view.segments.clone())
    }

    /// As [`Self::snapshot`], with what is not sealed of one trace only: batches with their log records of it.
    fn snapshot_of(&self, low64: u64) -> (Vec<BatchRows>, Vec<Arc<Segment>>) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let heads = view.frozen.iter().map(|head| &**head).chain([&view.active]);
        let found = heads.flat_map(|head| head.find(low64)).filter(|(_, kind, _)| *kind == Kind::Log);
        let mut batches: Vec<BatchRows> = Vec::new();
        for (batch, _, row) in found {
            match batches.last_mut() {
                Some((last, rows)) if Arc::ptr_eq(last, &batch) => rows.push(row as u32),
                _ => batches.push((batch, vec![row as u32])),
            }
        }
        (batches, view.segments.clone())
    }

    fn block(&self, segment: &Segment, number: usize) -> Option<Batch> {
        self.whole_block(segment, number, segment.block(number))
    }

    /// As [`Self::block`]; log records that are not of a trace, by the low half of its id, may be left out.
    fn block_of(&self, segment: &Segment, number: usize, low64: u64) -> Option<Arc<Batch>> {
        match segment.name.signal {
            Signal::Logs => {
                let of_trace =
                    segment.logs(number, |block| block.only(Some(low64), |_, row| row.trace as u64 == low64));
                self.whole_block(segment, number, of_trace).map(Arc::new)
            }
            Signal::Traces => self.spans_block(segment, number),
            Signal::Metrics => self.block(segment, number).map(Arc::new),
        }
    }

    fn whole_block<T>(&self, segment: &Segment, number: usize, read: Result<T, Damaged>) -> Option<T> {
        if read.is_err() {
            self.tell_damaged(segment, number);
        }
        read.ok()
    }

    fn tell_damaged(&self, segment: &Segment, number: usize) {
        self.counters.damaged_blocks.fetch_add(1, Relaxed);
        tracing::error!(file = %segment.path.display(), block = number, "a damaged block is passed over");
    }
}
