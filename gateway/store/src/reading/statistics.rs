//! What spans have, without reading them: services with operations, attributes with values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use parsers::record::Batch;
use rustc_hash::FxHashSet;

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

/// Services with their operations.
pub(super) fn services(store: &Store, window: Window) -> Vec<(String, Vec<String>)> {
    let mask = store.inner().mask();
    let (batches, segments) = store.inner().snapshot();
    let stays = |trace| mask.as_ref().is_none_or(|mask| !mask.hides(trace));
    let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for batch in &batches {
        of_batch(batch, window, stays, &mut services);
    }
    for segment in segments.iter().filter(|s| window.touches(s.footer.first, s.footer.last)) {
        for (service, operations) in &segment.footer.services {
            let known = services.entry(service.to_string()).or_default();
            for operation in operations {
                if !known.contains(&**operation) {
                    known.insert(operation.to_string());
                }
            }
        }
    }
    services.into_iter().map(|(s, o)| (s, o.into_iter().collect())).collect()
}

fn of_batch(
    batch: &Batch,
    window: Window,
    stays: impl Fn(u128) -> bool,
    services: &mut BTreeMap<String, BTreeSet<String>>,
) {
    // Most spans say nothing new.
    let mut known: FxHashSet<(u32, &[u8])> = FxHashSet::default();
    for row in batch.spans.rows.iter().filter(|row| window.contains(row.start)) {
        let name = row.name.of(&batch.spans.bytes);
        if known.contains(&(row.resource, name)) || !stays(row.trace) {
            continue;
        }
        known.insert((row.resource, name));
        if let Some(resource) = batch.spans.resources.get(row.resource as usize) {
            let operations = services.entry(resource.service.to_string()).or_default();
            operations.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
}
