//! What readers must not see: records of dropped traces in sources that are not swept.

use std::sync::atomic::Ordering::Acquire;
use std::sync::{Arc, PoisonError};

use super::Sampling;
use super::frontier::Frontier;
use crate::segment::Segment;

/// A reader's view of what is dropped. Taken before the reader looks which segments there are.
pub(crate) struct Mask<'a> {
    sampling: &'a Sampling,
    frontier: Arc<Frontier>,
}

impl Sampling {
    /// For a reader that is about to begin.
    pub(crate) fn mask(&self) -> Mask<'_> {
        Mask { sampling: self, frontier: self.frontier() }
    }
}

impl Mask<'_> {
    /// Whether a segment may hold records that must be hidden.
    pub(crate) fn is_over(&self, segment: &Segment) -> bool {
        self.frontier.is_unswept(&segment.name)
    }

    /// Whether a record of this trace must be hidden.
    pub(crate) fn hides(&self, trace: u128) -> bool {
        if trace == 0 {
            return false;
        }
        let sampling = self.sampling;
        let low64 = trace as u64;
        if sampling.dropped.read().unwrap_or_else(PoisonError::into_inner).contains_key(&low64) {
            return true;
        }
        // What was swept since the reader began is forgotten there, and so is what an earlier run knew: tombstones tell.
        let outlived = !sampling.ready.load(Acquire) || !Arc::ptr_eq(&self.frontier, &sampling.frontier());
        (outlived || !self.frontier.hidden.is_empty()) && sampling.sheets.find(low64).is_some()
    }
}
