//! Several reports of one span: a sender told of its beginning, and later of its end.

use parsers::record::{Span, StatusCode};

use crate::read::SpanView;

/// Attributes, events and links that a span may gather from its reports; each is compared with those there are.
const MAX_GATHERED: usize = 512;

/// Whether one of the two says nothing of its end, so that they are parts of one story and not the same one twice.
pub fn is_partial(known: &Span, start: u64, end: u64) -> bool {
    known.end <= known.start || end <= start
}

/// The same of two spans as they lie in their blocks.
pub fn is_partial_view(known: &SpanView<'_>, other: &SpanView<'_>) -> bool {
    known.end <= known.start || other.end <= other.start
}

/// Adds what another report says. What both say stays as it was found first, but for the times: the earlier start, and the
/// longer duration.
pub fn complete(known: &mut Span, other: Span) {
    let duration = known.duration().max(other.duration());
    known.start = known.start.min(other.start);
    known.end = known.start.saturating_add(duration);
    if known.name.is_empty() {
        known.name = other.name;
    }
    known.parent_span_id = known.parent_span_id.or(other.parent_span_id);
    if known.status.code == StatusCode::Unset {
        known.status = other.status;
    }
    gather(&mut known.attributes, other.attributes, |a, b| a.0 == b.0);
    gather(&mut known.events, other.events, PartialEq::eq);
    gather(&mut known.links, other.links, PartialEq::eq);
    known.events.sort_by_key(|event| event.time);
}

fn gather<T>(known: &mut Vec<T>, other: Vec<T>, same: fn(&T, &T) -> bool) {
    for one in other {
        if known.len() >= MAX_GATHERED {
            return;
        }
        if !known.iter().any(|known| same(known, &one)) {
            known.push(one);
        }
    }
}

#[cfg(test)]
mod tests;
