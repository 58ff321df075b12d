//! Calls of a service by the value of an attribute: the versions that a trace met, and how each of them did.

use parsers::record::{SpanKind, StatusCode, attribute};
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{SpanView, ValueView};

use super::digest::text;
use super::options::{MAX_TRACE_TIMES, MAX_TRACE_VALUES};
use super::vocabulary::{AttributeScope, Vocabulary};
use crate::SpanNode;

/// By which attribute calls of which service are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallsBy<'a> {
    pub(crate) service: &'a str,
    /// Its name; with `span.` or `resource.` before it, only of these.
    pub(crate) attribute: &'a str,
}

impl<'a> CallsBy<'a> {
    /// The attribute's name as spans have it, and whose it has to be.
    pub(crate) fn named(&self) -> (&'a str, Option<AttributeScope>) {
        let of = |scope: AttributeScope| {
            let name = self.attribute.strip_prefix(scope.as_str())?.strip_prefix('.')?;
            (!name.is_empty()).then_some((name, Some(scope)))
        };
        let either = || self.attribute.strip_prefix('.').map(|name| (name, None));
        let scoped = of(AttributeScope::Span).or_else(|| of(AttributeScope::Resource)).or_else(either);
        scoped.unwrap_or((self.attribute, None))
    }

    /// Number of the value that a span has. An attribute whose own name begins as a scope does is found, too.
    fn value(&self, view: &SpanView<'_>, vocabulary: &mut Vocabulary) -> Option<u32> {
        let (name, scope) = self.named();
        let of_span = |name: &str| view.attribute(name);
        let of_resource = |name: &str| attribute(&view.resource().attributes, name).map(ValueView::from);
        let found = match scope {
            Some(AttributeScope::Span) => of_span(name),
            Some(AttributeScope::Resource) => of_resource(name),
            None => of_span(name).or_else(|| of_resource(name)),
        };
        let found = found.or_else(|| of_span(self.attribute)).or_else(|| of_resource(self.attribute));
        found.and_then(|value| text(&value, |text| vocabulary.value(text)).flatten())
    }
}

/// Calls of the service that met one value, in one trace.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    pub(crate) value: u32,
    pub(crate) count: u64,
    pub(crate) failed: u64,
    /// Of so many of them as are kept of a trace, ns.
    pub(crate) times: Vec<u64>,
    /// First start, ns.
    pub(crate) first: u64,
    /// Last start, ns.
    pub(crate) last: u64,
}

/// A call is a span that enters the service, with those of the service that it makes inside: a value that any of them has is the
/// call's. By value, each once; of more values than are kept the first ones.
pub(crate) fn calls<'v>(
    nodes: &[SpanNode],
    inside: impl Iterator<Item = usize>,
    view_of: impl Fn(&SpanNode) -> Option<&'v SpanView<'v>>,
    by: CallsBy<'_>,
    vocabulary: &mut Vocabulary,
) -> Vec<Calls> {
    let mut found: Vec<Calls> = Vec::new();
    let mut place: FxHashMap<u32, usize> = FxHashMap::default();
    let mut entries: FxHashMap<usize, usize> = FxHashMap::default();
    let mut met: FxHashSet<(usize, u32)> = FxHashSet::default();
    let mut times = 0;
    for index in inside {
        let Some(node) = nodes.get(index).filter(|node| node.service() == by.service) else { continue };
        // A service that calls itself is entered again.
        let enters = matches!(node.span.kind, SpanKind::Server | SpanKind::Consumer);
        let above = node.parent.filter(|_| !enters).and_then(|parent| entries.get(&parent));
        let entry = above.copied().unwrap_or(index);
        entries.insert(index, entry);
        let Some(value) = view_of(node).and_then(|view| by.value(view, vocabulary)) else { continue };
        let Some(call) = nodes.get(entry).filter(|_| met.insert((entry, value))) else { continue };
        let at = match place.get(&value) {
            Some(at) => *at,
            None if found.len() >= MAX_TRACE_VALUES => continue,
            None => {
                let (first, last) = (call.start, call.start);
                found.push(Calls { value, count: 0, failed: 0, times: Vec::new(), first, last });
                place.insert(value, found.len() - 1);
                found.len() - 1
            }
        };
        let Some(calls) = found.get_mut(at) else { continue };
        calls.count += 1;
        calls.failed += u64::from(call.span.status.code == StatusCode::Error);
        (calls.first, calls.last) = (calls.first.min(call.start), calls.last.max(call.start));
        if times < MAX_TRACE_TIMES || calls.times.is_empty() {
            times += 1;
            calls.times.push(call.duration());
        }
    }
    found
}
