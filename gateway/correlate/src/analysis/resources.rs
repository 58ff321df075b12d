//! Resources of the spans that an analysis reads, each copied once, with what they say.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parsers::record::{Resource, Scope, Span, Status, Value};
use rustc_hash::{FxHashMap, FxHasher};
use store::read::SpanView;

use super::digest::text;
use super::vocabulary::{AttributeScope, Vocabulary};

/// Resources that are held at a time, and pairs of them with operations: there is one for each process that sends spans.
const MAX_RESOURCES: usize = 4_096;

/// Resources of all traces, each copied once, with what they say.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// By a hash of what they say.
    known: FxHashMap<u64, Arc<Resource>>,
    scope: Arc<Scope>,
    /// Facts of a resource with an operation, by its address, at which it stays as long as it is held here.
    told: FxHashMap<(usize, u32), (Arc<Resource>, Vec<u32>)>,
}

impl Resources {
    fn of(&mut self, view: &SpanView<'_>) -> Arc<Resource> {
        let resource = view.resource();
        let mut hasher = FxHasher::default();
        for (name, value) in &resource.attributes {
            name.hash(&mut hasher);
            if let Value::Str(text) = value {
                text.hash(&mut hasher);
            }
        }
        let hash = hasher.finish();
        if let Some(known) = self.known.get(&hash)
            && **known == *resource
        {
            return Arc::clone(known);
        }
        if self.known.len() >= MAX_RESOURCES {
            self.known.clear();
        }
        let copy = Arc::new(resource.clone());
        self.known.insert(hash, Arc::clone(&copy));
        copy
    }

    /// Facts of a span's resource.
    pub(super) fn facts(
        &mut self,
        resource: &Arc<Resource>,
        operation: u32,
        vocabulary: &mut Vocabulary,
        out: &mut Vec<u32>,
    ) {
        if self.told.len() >= MAX_RESOURCES {
            self.told.clear();
        }
        let (_, told) = self.told.entry((Arc::as_ptr(resource).addr(), operation)).or_insert_with(|| {
            let named = resource.attributes.iter().filter(|(name, _)| name != "service.name");
            let facts = named.filter_map(|(name, value)| {
                let key = vocabulary.key(AttributeScope::Resource, name);
                text(&value.into(), |text| vocabulary.attribute(operation, key, text)).flatten()
            });
            (Arc::clone(resource), facts.collect())
        });
        out.extend_from_slice(told);
    }
}

/// What the tree needs of a span. The tree moves it, and its flags tell where it was.
pub(super) fn light(view: &SpanView<'_>, place: usize, resources: &mut Resources) -> Span {
    Span {
        trace_id: view.trace_id,
        span_id: view.span_id,
        parent_span_id: view.parent,
        trace_state: String::new(),
        flags: place as u32,
        name: String::new(),
        kind: view.kind,
        start: view.start,
        end: view.end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status { code: view.status, message: String::new() },
        resource: resources.of(view),
        scope: Arc::clone(&resources.scope),
    }
}
