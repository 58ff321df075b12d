//! Which attributes spans have, with values, without reading them.

use std::sync::{Arc, PoisonError};

use crate::read::{Signal, SpanStatistics, Window};
use crate::store::{Store, lock};

/// Statistics of each place whose spans touch the window: heads first.
pub(super) fn statistics(store: &Store, window: Window) -> Vec<Arc<SpanStatistics>> {
    let inner = store.inner();
    let (heads, segments) = {
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        let heads = view.frozen.iter().map(|head| &**head).chain([&view.active]);
        let heads = heads.filter(|head| head.has_spans_in(window));
        let heads: Vec<_> = heads.map(|head| (Arc::clone(&head.counted), head.batches.clone())).collect();
        (heads, view.segments.clone())
    };
    let of_heads = heads.iter().map(|(counted, batches)| lock(counted).of(batches));
    let segments = segments.iter().filter(|segment| {
        segment.name.signal == Signal::Traces && window.touches(segment.footer.first, segment.footer.last)
    });
    of_heads.chain(segments.map(|segment| inner.statistics(segment))).collect()
}
