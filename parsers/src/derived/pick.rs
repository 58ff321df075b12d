//! Of all that the built-in rules find in one line, what counts.

use crate::line::{Fact, Hit, Rank};
use crate::record::normalise::Context;
use crate::record::{IdError, ProblemKind, Severity};

use super::{Derived, built_in, range};

/// Takes hits in the order of the line; of equal rank, the first wins.
pub(super) struct Pick<'a> {
    out: &'a mut Derived,
    trace: Rank,
    span: Rank,
    /// The first value that held more than a trace; the rest of it counts only if its trace does.
    header: Option<Context>,
    /// A configured rule has told about sampling, or a key of its own has.
    sampled: bool,
    /// For a line without a level.
    weak_severity: Severity,
    /// Length of the line.
    len: usize,
}

impl<'a> Pick<'a> {
    /// What configured rules found is not touched.
    pub(super) fn new(out: &'a mut Derived, len: usize) -> Self {
        let rank = |found: bool| if found { Rank::Configured } else { Rank::Nothing };
        let (trace, span) = (rank(out.trace.is_some()), rank(out.span.is_some()));
        let sampled = out.sampled.is_some();
        Self { out, trace, span, header: None, sampled, weak_severity: Severity::Unknown, len }
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
                        self.out.trace_ends_line = hit.end == self.len;
                        self.out.trace = Some(trace);
                        self.out.rule = Some(built_in(hit.form));
                    }
                    if self.header.is_none() && (context.span.is_some() || context.sampled.is_some()) {
                        self.header = Some(context);
                    }
                } else if context.span.is_some() && hit.rank < self.span {
                    self.span = hit.rank;
                    self.out.span_ends_line = hit.end == self.len;
                    self.out.span = context.span;
                }
            }
            Fact::Id(Err(IdError::Absent)) => {}
            Fact::Id(Err(_)) => self.out.problem = Some(ProblemKind::BadId),
            Fact::Severity(severity) if hit.rank == Rank::Weak => self.weak_severity = severity,
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
            Fact::Sampled(sampled) => {
                if !self.sampled {
                    self.sampled = true;
                    self.out.sampled = Some(sampled);
                }
            }
        }
    }

    /// Gives the severity that counts if the line names none in any other way.
    pub(super) fn finish(self) -> Severity {
        let weak = self.weak_severity;
        let Some(header) = self.header.filter(|header| header.trace == self.out.trace) else { return weak };
        // An explicit span key goes before the span inside a header; a weak one after it.
        if header.span.is_some() && self.span >= Rank::Weak {
            self.out.span = header.span;
            self.out.span_ends_line = false;
        }
        if !self.sampled {
            self.out.sampled = header.sampled;
        }
        weak
    }
}
