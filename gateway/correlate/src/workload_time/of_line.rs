//! The other way round: a line without an id, and which spans may have been open when it was written, or when the request ran
//! that it tells of.

use parsers::record::LogRecord;
use store::read::SpanView;

use super::facts::{self, Fact, Kind};
use super::lines::{LATE_ACCESS_LOG, of_access, written};
use super::running;

/// What a line says of its request, and when that ran.
pub(crate) struct Said {
    facts: Vec<Fact>,
    /// First and, not included, last instant at which a span of it was open.
    pub(crate) ran: (u64, u64),
    /// It may name a request that ended a while before, as proxies do that keep lines back.
    late: bool,
}

impl Said {
    /// What [`Said::agrees`] is at least where the request's id is the same.
    pub(crate) const NAMED: usize = 100;

    pub(crate) fn of(record: &LogRecord) -> Self {
        let metadata = record.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let facts = facts::of_line(&record.line, metadata);
        let has = |kind: Kind| facts.iter().any(|fact| fact.kind == kind);
        let is_access = has(Kind::Path) && has(Kind::Status);
        let late = is_access && (has(Kind::Request) || has(Kind::Token));
        let written = written(record.time);
        let ran = if is_access { of_access(&facts, written) } else { written };
        Self { facts, ran, late }
    }

    /// From when on spans are of interest.
    pub(crate) fn earliest(&self) -> u64 {
        self.ran.0.saturating_sub(if self.late { LATE_ACCESS_LOG } else { 0 })
    }

    /// How much line and span say alike, if it may be the line's span: 0 for one that was merely open, most for one that has the
    /// request's id, which need not have been open still.
    pub(crate) fn agrees(&self, span: &SpanView<'_>) -> Option<usize> {
        let end = span.end.max(span.start);
        let open = span.start < self.ran.1 && end >= self.ran.0;
        if span.start >= self.ran.1 || end < self.earliest() {
            return None;
        }
        let mut of_span = Vec::new();
        running::of_span(span, &mut of_span, |kind| !matches!(kind, Kind::Process));
        let alike = |fact: &&Fact| {
            of_span.iter().any(|other| {
                let id = other.kind == Kind::Request
                    && matches!(fact.kind, Kind::Request | Kind::Token | Kind::Bracket);
                let thread = other.kind == Kind::Thread && matches!(fact.kind, Kind::Thread | Kind::Bracket);
                (other.kind == fact.kind || id || thread)
                    && facts::same(other.kind, &fact.value, &other.value)
            })
        };
        let is_id = |fact: &Fact| matches!(fact.kind, Kind::Request | Kind::Token);
        let named = self.facts.iter().filter(|fact| is_id(fact)).any(|fact| alike(&fact));
        if !open && !named {
            return None;
        }
        Some(self.facts.iter().filter(alike).count() + if named { Self::NAMED } else { 0 })
    }
}
