//! Derived fields: the ids, the severity and the service that a line names, found by built-in rules and by those of the
//! configuration.
//!
//! The built-in rules know the formats in [`crate::line`] and cost no regular expression. A rule of the configuration is
//! a regular expression with named groups, as Grafana's derived fields and Promtail's `regex` stage have them; what it
//! finds goes before what the built-in rules find. Bare hex digits without a key are never taken for an id.

mod append;
mod explain;
mod pick;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::line::{self, Form};
use crate::record::{ByteRange, IdError, ProblemKind, Severity, SpanId, TraceId};

pub use append::LineSource;
pub use explain::{Finding, Verdict};
pub use rules::{MAX_RULES, RuleError, RuleFault, RuleSpec};

use pick::Pick;
use rules::UserRules;

/// Which rule, among those of one [`Deriver`]: the built-in ones, then the configured ones in their order.
pub type RuleIndex = u16;

/// What a line says, apart from its text. Reused from line to line: deriving allocates nothing for the built-in rules.
#[derive(Debug, Clone, Default)]
pub struct Derived {
    /// The trace that it names.
    pub trace: Option<TraceId>,
    /// The span that it names.
    pub span: Option<SpanId>,
    /// Whether the trace was sampled, if the line says.
    pub sampled: Option<bool>,
    /// Severity, from a level's key or from a word near the line's beginning.
    pub severity: Severity,
    /// The rule that found `trace`.
    pub rule: Option<RuleIndex>,
    /// Where in the line the name of the service stands.
    pub service: Option<ByteRange>,
    /// Named groups of configured rules other than ids, service and level: name, and where in the line the value stands.
    pub extra: Vec<(Arc<str>, ByteRange)>,
    /// [`ProblemKind::BadId`] if a key that names an id had a value which is not one.
    pub problem: Option<ProblemKind>,
    /// The value of `trace` ran to the line's very end: of a line that was cut, it may be the head of the id.
    trace_ends_line: bool,
    /// As `trace_ends_line`.
    span_ends_line: bool,
    /// Why a configured rule's value was not an id.
    refused: Option<IdError>,
    /// Room for the groups of configured rules.
    captures: rules::Captures,
}

impl Derived {
    fn clear(&mut self) {
        self.trace = None;
        self.span = None;
        self.sampled = None;
        self.severity = Severity::Unknown;
        self.rule = None;
        self.service = None;
        self.extra.clear();
        self.problem = None;
        self.trace_ends_line = false;
        self.span_ends_line = false;
        self.refused = None;
    }
}

/// The rules, ready to run. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Deriver {
    names: Vec<Arc<str>>,
    user: UserRules,
}

impl Default for Deriver {
    /// The built-in rules alone.
    fn default() -> Self {
        Self::with(UserRules::default(), &[])
    }
}

impl Deriver {
    /// The built-in rules and these. All mistakes are reported at once.
    pub fn new(specs: &[RuleSpec]) -> Result<Self, Vec<RuleError>> {
        Ok(Self::with(UserRules::new(specs)?, specs))
    }

    fn with(user: UserRules, specs: &[RuleSpec]) -> Self {
        let mut names: Vec<Arc<str>> = Form::ALL.iter().map(|form| Arc::from(form.name())).collect();
        names.extend(specs.iter().map(|spec| Arc::from(format!("user:{}", spec.name))));
        Self { names, user }
    }

    /// Finds what a line says. Total: any bytes give a result.
    pub fn derive(&self, line: &[u8], out: &mut Derived) {
        out.clear();
        self.user.apply(line, out);
        let mut pick = Pick::new(out, line.len());
        line::by_keys(line, &mut |hit| pick.take(&hit));
        if !pick.has_trace() {
            line::by_position(line, &mut |hit| pick.take(&hit));
        }
        let weak = pick.finish();
        if out.severity == Severity::Unknown {
            out.severity = match line::severity(line) {
                Severity::Unknown => weak,
                found => found,
            };
        }
    }

    /// The stable name of a rule: `json`, `logfmt`, `otel_python`, ..., `user:<name>`.
    pub fn rule_name(&self, rule: RuleIndex) -> Option<&Arc<str>> {
        self.names.get(rule as usize)
    }

    /// The names of all rules, in the order of [`RuleIndex`].
    pub fn rule_names(&self) -> &[Arc<str>] {
        &self.names
    }
}

/// The index of a built-in rule.
fn built_in(form: Form) -> RuleIndex {
    form as RuleIndex
}

/// A range of a line. Lines are far below 4 GiB; what lies beyond is clamped and reads as empty.
fn range(start: usize, end: usize) -> ByteRange {
    let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    ByteRange { start: clamp(start), end: clamp(end) }
}
