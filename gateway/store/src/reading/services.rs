//! Which services have spans, and which operations those have, without reading spans. Lists of segments are in their footers; what
//! came of putting them together is kept until a segment comes or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::read::{Signal, Window};
use crate::segment::{Segment, Service};
use crate::store::{Store, lock};

/// The list of the segments that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Listed(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// A segment that is held weakly keeps its address, so that no other is taken for it.
    of: Vec<Weak<Segment>>,
    services: Arc<Vec<Service>>,
}

impl Listed {
    fn of(&self, segments: &[&Arc<Segment>]) -> Arc<Vec<Service>> {
        let mut kept = lock(&self.0);
        let is_same =
            |(weak, segment): (&Weak<Segment>, &&Arc<Segment>)| weak.as_ptr() == Arc::as_ptr(segment);
        if kept.of.len() != segments.len() || !kept.of.iter().zip(segments).all(is_same) {
            let mut together = Together::default();
            segments.iter().for_each(|segment| together.add(&segment.footer.services));
            kept.services = Arc::new(together.into_list());
            kept.of = segments.iter().map(|segment| Arc::downgrade(segment)).collect();
        }
        Arc::clone(&kept.services)
    }
}

/// Several lists as one.
#[derive(Default)]
struct Together(BTreeMap<Arc<str>, BTreeSet<Arc<str>>>);

impl Together {
    fn add(&mut self, list: &[Service]) {
        for (service, operations) in list {
            if !self.0.contains_key(service) {
                self.0.insert(Arc::clone(service), BTreeSet::new());
            }
            if let Some(known) = self.0.get_mut(service) {
                for operation in operations {
                    if !known.contains(operation) {
                        known.insert(Arc::clone(operation));
                    }
                }
            }
        }
    }

    fn into_list(self) -> Vec<Service> {
        self.0.into_iter().map(|(service, operations)| (service, operations.into_iter().collect())).collect()
    }
}

/// Services with their operations, of all that touches the window.
pub(super) fn services(store: &Store, window: Window) -> Vec<(String, Vec<String>)> {
    let inner = store.inner();
    let (heads, segments) = {
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        let heads = view.frozen.iter().map(|head| &**head).chain([&view.active]);
        let heads = heads.filter(|head| head.has_spans_in(window));
        let heads: Vec<_> = heads.map(|head| (Arc::clone(&head.named), head.batches.clone())).collect();
        (heads, view.segments.clone())
    };
    let touched =
        |s: &&Arc<Segment>| s.name.signal == Signal::Traces && window.touches(s.footer.first, s.footer.last);
    let touched: Vec<&Arc<Segment>> = segments.iter().filter(touched).collect();
    let of_segments = inner.listed.of(&touched);
    let of_heads: Vec<_> = heads.iter().map(|(named, batches)| lock(named).of(batches)).collect();
    let mut together = Together::default();
    together.add(&of_segments);
    of_heads.iter().for_each(|list| together.add(list));
    let texts =
        |operations: Vec<Arc<str>>| operations.iter().map(|operation| operation.to_string()).collect();
    let all = together.into_list().into_iter();
    all.map(|(service, operations)| (service.to_string(), texts(operations))).collect()
}
