//! Which services have spans in a segment, and which operations those have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parsers::record::{SpanBatch, SpanRow};
use rustc_hash::FxHashSet;

use super::Service;

/// Operations of a service that a segment lists: names made of URLs and ids must not fill the memory.
const MAX_OPERATIONS: usize = 1000;
/// Services that a segment lists, for the same reason.
const MAX_SERVICES: usize = 10_000;

/// The list being gathered.
#[derive(Debug, Default)]
pub struct Services(BTreeMap<Arc<str>, BTreeSet<Arc<str>>>);

impl Services {
    /// Notes a span's service and name.
    pub fn add(&mut self, from: &SpanBatch, row: &SpanRow) {
        if let Some(resource) = from.resources.get(row.resource as usize) {
            self.note(&resource.service, &String::from_utf8_lossy(row.name.of(&from.bytes)));
        }
    }

    /// Notes those of all spans of a batch, most of which say nothing new.
    pub fn add_batch(&mut self, from: &SpanBatch) {
        let mut known: FxHashSet<(u32, &[u8])> = FxHashSet::default();
        for row in &from.rows {
            if known.insert((row.resource, row.name.of(&from.bytes))) {
                self.add(from, row);
            }
        }
    }

    /// Notes all that another list has.
    pub fn add_all(&mut self, list: &[Service]) {
        for (service, operations) in list {
            operations.iter().for_each(|o| self.note(service, o));
        }
    }

    fn note(&mut self, service: &Arc<str>, operation: &str) {
        if self.0.len() >= MAX_SERVICES && !self.0.contains_key(service) {
            return;
        }
        let operations = self.0.entry(Arc::clone(service)).or_default();
        if operations.len() < MAX_OPERATIONS && !operations.contains(operation) {
            operations.insert(Arc::from(operation));
        }
    }

    /// The list so far, sorted.
    pub fn list(&self) -> Vec<Service> {
        self.0.iter().map(|(s, o)| (Arc::clone(s), o.iter().cloned().collect())).collect()
    }

    /// The list, sorted.
    pub fn into_list(self) -> Vec<Service> {
        self.0.into_iter().map(|(s, o)| (s, o.into_iter().collect())).collect()
    }
}
