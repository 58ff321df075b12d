//! Of all that the built-in rules find in one line, what counts.

use crate::line::{Fact, Hit, Rank};
use crate::record::{IdError, ProblemKind, Severity, SpanId, TraceId};

use super::{Derived, built_in, range};

/// Takes hits in the order of the line; of equal rank, the first wins.
pub(super) struct Pick<'a> {
    out: &'a mut Derived,
    trace: Rank,
    span: Rank,
    /// The span that came in one value with a trace; it counts only if that trace does.
    with_trace: Option<(TraceId, SpanId)>,
}

impl<'a> Pick<'a> {
    /// What configured rules found is not touched.
    pub(super) fn new(out: &'a mut Derived) -> Self {
        let rank = |found: bool| if found { Rank::Configured } else { Rank::Nothing };
        let (trace, span) = (rank(out.trace.is_some()), rank(out.span.is_some()));
        Self { out, trace, span, with_trace: None }
    }

    pub(super) fn has_trace(&self) -> bool {
        self.out.trace.is_some()
    }

    #[inline]
    pub(super) fn take(&mut self, hit: &Hit) {
        match hit.fact {
            Fact::Id(Ok(context)) => {
                if let Some(trace) = context.trace {
                    if hit.rank < self.trace {
                        self.trace = hit.rank;
                        self.out.trace = Some(trace);
                        self.out.rule = Some(built_in(hit.form));
                        self.out.sampled = context.sampled.or(self.out.sampled);
                    }
                    if let (Some(span), None) = (context.span, self.with_trace) {
                        self.with_trace = Some((trace, span));
                    }
                } else if context.span.is_some() && hit.rank < self.span {
                    self.span = hit.rank;
                    self.out.span = context.span;
                }
            }
            Fact::Id(Err(IdError::Absent)) => {}
            Fact::Id(Err(_)) => self.out.problem = Some(ProblemKind::BadId),
            Fact::Severity(severity) => {
                if self.out.severity == Severity::Unknown {
                    self.out.severity = severity;
                }
            }
            Fact::Service => {
                if self.out.service.is_none() {
                    self.out.service = Some(range(hit.start, hit.end));
                }
            }
            Fact::Sampled(sampled) => self.out.sampled = self.out.sampled.or(Some(sampled)),
        }
    }

    pub(super) fn finish(self) {
        // An explicit span key goes before the span inside a header; a weak one after it.
        if let (Some(trace), Some((with, span))) = (self.out.trace, self.with_trace) {
            if trace == with && self.span >= Rank::Weak {
                self.out.span = Some(span);
            }
        }
    }
}
