//! Outlines of large traces, kept for a while: who reads a trace in parts comes back for the next one, and finds the trace as the
//! first part had it, without all of it being read again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parsers::record::{Resource, Scope, Span, SpanId, SpanKind, Status, StatusCode, TraceId};
use rustc_hash::FxHashMap;

use crate::{Answer, CriticalSegment, Oddity, SpanNode};

/// Bytes of outlines that are held: that of a trace of a hundred thousand spans has ten million.
pub(crate) const MAX_BYTES: u64 = 32 << 20;
/// How long nobody asks for the next part, until the trace is read anew for it.
const IDLE: Duration = Duration::from_mins(1);

/// Outlines of the traces that were read in parts last, each as somebody sees it. A cheap clone; all clones share the room.
#[derive(Clone)]
pub(crate) struct Outlines {
    kept: Cache<(Arc<str>, u128), Arc<Outline>>,
    /// Who asks.
    whose: Arc<str>,
    /// Held while a trace is read in outline, which takes some hundred bytes a span.
    reading: Arc<Mutex<()>>,
}

impl Default for Outlines {
    fn default() -> Self {
        let weigh =
            |_: &(Arc<str>, u128), outline: &Arc<Outline>| u32::try_from(outline.size()).unwrap_or(u32::MAX);
        // Who reads a trace needs it soon again, however often others were asked for before.
        let kept = Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_idle(IDLE);
        let kept = kept.eviction_policy(EvictionPolicy::lru()).build();
        Self { kept, whose: Arc::from(""), reading: Arc::default() }
    }
}

impl Outlines {
    /// Those of somebody who sees other records, in the same room.
    pub(crate) fn of(&self, whose: &str) -> Self {
        // Whoever sees a part of a part sees less than each of both.
        Self { whose: Arc::from(format!("{}\n{whose}", self.whose)), ..self.clone() }
    }

    pub(crate) fn get(&self, id: TraceId) -> Option<Arc<Outline>> {
        self.kept.get(&(Arc::clone(&self.whose), id.bits()))
    }

    pub(crate) fn keep(&self, id: TraceId, outline: Outline) {
        self.kept.insert((Arc::clone(&self.whose), id.bits()), Arc::new(outline));
        // What has no room goes at once, and not when many more have come.
        self.kept.run_pending_tasks();
    }

    /// As [`Outlines::turn`], if that is now.
    pub(crate) fn turn_now(&self) -> Option<MutexGuard<'_, ()>> {
        match self.reading.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until nobody else reads a trace in outline.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Outlines {
    /// Bytes that are held, and for how many.
    pub(crate) fn held(&self) -> (u64, usize) {
        (self.kept.iter().map(|(_, outline)| outline.size() as u64).sum(), self.kept.iter().count())
    }
}

/// A span in its place.
struct Light {
    id: SpanId,
    parent_id: Option<SpanId>,
    /// As sent.
    start: u64,
    end: u64,
    /// After clock adjustment.
    from: u64,
    self_time: u64,
    parent: Option<u32>,
    depth: u32,
    name: u32,
    resource: u32,
    kind: SpanKind,
    status: StatusCode,
}

/// A trace without what its spans carry.
pub(crate) struct Outline {
    /// What is the same in each part. It has no spans.
    pub(crate) common: Answer,
    lights: Vec<Light>,
    names: Vec<Arc<str>>,
    resources: Vec<Arc<Resource>>,
    scope: Arc<Scope>,
    /// Of the few that have any.
    oddities: FxHashMap<u32, Vec<Oddity>>,
    /// The critical path: place of the span, start and end.
    path: Vec<(u32, u64, u64)>,
}

impl Outline {
    pub(crate) fn new(common: Answer, nodes: &[SpanNode], path: &[CriticalSegment]) -> Self {
        let mut outline = Self {
            common,
            lights: Vec::with_capacity(nodes.len()),
            names: Vec::new(),
            resources: Vec::new(),
            scope: Arc::default(),
            oddities: FxHashMap::default(),
            path: path.iter().map(|stretch| (stretch.node as u32, stretch.start, stretch.end)).collect(),
        };
        let mut names: FxHashMap<&str, u32> = FxHashMap::default();
        let mut resources: FxHashMap<*const Resource, u32> = FxHashMap::default();
        for (place, node) in nodes.iter().enumerate() {
            let span = &node.span;
            let name = *names.entry(&span.name).or_insert_with(|| {
                outline.names.push(Arc::from(&*span.name));
                outline.names.len() as u32 - 1
            });
            let resource = *resources.entry(Arc::as_ptr(&span.resource)).or_insert_with(|| {
                outline.resources.push(Arc::clone(&span.resource));
                outline.resources.len() as u32 - 1
            });
            if !node.oddities.is_empty() {
                outline.oddities.insert(place as u32, node.oddities.clone());
            }
            outline.lights.push(Light {
                id: span.span_id,
                parent_id: span.parent_span_id,
                start: span.start,
                end: span.end,
                from: node.start,
                self_time: node.self_time,
                parent: node.parent.map(|parent| parent as u32),
                depth: node.depth,
                name,
                resource,
                kind: span.kind,
                status: span.status.code,
            });
        }
        outline
    }

    /// Bytes held, about.
    fn size(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + 32).sum();
        let told = self.common.warnings.len() + self.common.absent.len() + self.common.services.len();
        size_of::<Self>()
            + told * 256
            + size_of_val(&*self.lights)
            + size_of_val(&*self.path)
            + names
            + self.resources.len() * 1024
            + self.oddities.len() * 64
    }

    /// Its spans.
    pub(crate) fn len(&self) -> usize {
        self.lights.len()
    }

    /// The spans from one place to another, as they stand in the whole.
    pub(crate) fn nodes(&self, from: usize, to: usize) -> Vec<SpanNode> {
        let lights = self.lights.get(from..to).unwrap_or_default();
        lights.iter().enumerate().map(|(at, light)| self.node(from + at, light)).collect()
    }

    fn node(&self, place: usize, light: &Light) -> SpanNode {
        let span = Span {
            trace_id: self.common.trace_id,
            span_id: light.id,
            parent_span_id: light.parent_id,
            trace_state: String::new(),
            flags: 0,
            name: self.names.get(light.name as usize).map(|name| name.to_string()).unwrap_or_default(),
            kind: light.kind,
            start: light.start,
            end: light.end,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status { code: light.status, message: String::new() },
            resource: self.resources.get(light.resource as usize).cloned().unwrap_or_default(),
            scope: Arc::clone(&self.scope),
        };
        SpanNode {
            parent: light.parent.map(|parent| parent as usize),
            depth: light.depth,
            start: light.from,
            end: light.from.saturating_add(light.end.saturating_sub(light.start)),
            self_time: light.self_time,
            oddities: self.oddities.get(&(place as u32)).cloned().unwrap_or_default(),
            span,
        }
    }

    /// The critical path through the spans of a part, whose first has this place.
    pub(crate) fn path(&self, nodes: &[SpanNode], first: usize) -> Vec<CriticalSegment> {
        let segment = |(place, start, end): &(u32, u64, u64)| {
            let node = (*place as usize).checked_sub(first)?;
            let of = nodes.get(node)?;
            Some(CriticalSegment {
                node,
                span_id: of.span.span_id,
                service: of.service().to_owned(),
                name: of.span.name.clone(),
                start: *start,
                end: *end,
            })
        };
        self.path.iter().filter_map(segment).collect()
    }
}
