//! Several reports under one id: a span that was sent again, one of which a sender told the beginning and later the end, and others
//! that a sender gave the id of the first.

use std::hash::{Hash as _, Hasher as _};

use parsers::record::{Span, SpanId, SpanKind, StatusCode};
use rustc_hash::{FxHashSet, FxHasher};

/// Attributes, events and links that a span may gather from its reports; each is compared with those there are.
const MAX_GATHERED: usize = 512;

/// What tells a span that was sent again from another one of the same id, kind and service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Report {
    /// The span's id.
    pub span: SpanId,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began, as sent.
    pub start: u64,
    /// When it ended, as sent.
    pub end: u64,
    /// Its outcome.
    pub status: StatusCode,
    named: u64,
}

impl Report {
    /// Of a span of this service and name.
    pub fn new(
        (span, kind, status): (SpanId, SpanKind, StatusCode),
        (start, end): (u64, u64),
        service: &str,
        name: &[u8],
    ) -> Self {
        let mut hasher = FxHasher::default();
        (service, name).hash(&mut hasher);
        Self { span, kind, start, end, status, named: hasher.finish() }
    }

    /// Of a span as it is.
    pub fn of(span: &Span) -> Self {
        let what = (span.span_id, span.kind, span.status.code);
        Self::new(what, (span.start, span.end), span.resource.service(), span.name.as_bytes())
    }

    fn says_no_end(&self) -> bool {
        self.end <= self.start
    }
}

/// What another report under an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The same once more.
    Again,
    /// A part of the first one's story: one of the two says nothing of its end.
    Part,
    /// Another span.
    Another,
}

/// Reports under ids that have several.
#[derive(Debug, Default)]
pub struct Repeats(FxHashSet<Report>);

impl Repeats {
    /// What `other` is, which has id, kind and service in common with `known`, the first of them as it is by now.
    pub fn tell(&mut self, known: Report, other: Report) -> Repeat {
        if other == known || self.0.contains(&other) {
            return Repeat::Again;
        }
        self.0.insert(other);
        if known.says_no_end() || other.says_no_end() {
            // What is known changes with it, and may come again as it was.
            self.0.insert(known);
            return Repeat::Part;
        }
        Repeat::Another
    }

    /// Notes one of which nothing else is held; whether it is new.
    pub fn note(&mut self, report: Report) -> bool {
        self.0.insert(report)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
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
