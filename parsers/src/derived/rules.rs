//! Rules of the configuration: regular expressions with named groups.

use std::ops::Range;
use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex};
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::line;
use crate::record::normalise::{KeyClass, keyed};
use crate::record::{IdError, ProblemKind, Severity};

use super::{Derived, Form, range};

/// A rule as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// What the rule is called; lines say `user:<name>`.
    pub name: String,
    /// The expression. Groups named `trace_id`, `span_id`, `service` and `level` have their meaning; others become
    /// structured metadata under their own name.
    pub regex: String,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {fault}")]
pub struct RuleError {
    /// Which rule, as an index into those given.
    pub index: usize,
    /// Its name.
    pub rule: String,
    /// What is wrong with it.
    pub fault: RuleFault,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// The expression cannot be read; what the reader of expressions says.
    #[error("the regular expression cannot be read: {0}")]
    Syntax(String),
    /// Nothing would come of a match.
    #[error("it names no group, so it would find nothing: write for instance (?P<trace_id>\\w+)")]
    NoGroup,
    /// No line can match, and why.
    #[error("it can never match a line: {0}")]
    NeverMatches(&'static str),
    /// It has no name.
    #[error("it has no name; lines say which rule found their id")]
    NoName,
    /// An earlier rule has the same name.
    #[error("another rule has the same name")]
    SameName,
    /// One rule too many.
    #[error("at most {MAX_RULES} rules can be run over each line")]
    TooMany,
}

/// Configured rules at most: each costs a search over every line.
pub const MAX_RULES: usize = 256;

/// What a named group is for.
#[derive(Debug, Clone)]
enum Group {
    Trace,
    Span,
    Service,
    Level,
    Metadata(Arc<str>),
}

#[derive(Debug)]
struct Rule {
    regex: Regex,
    /// Groups in order of meaning: number in the expression, and what it is for.
    groups: Vec<(usize, Group)>,
}

/// Room for captures, kept between lines. Belongs to one set of rules at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Captures {
    owner: Option<Arc<[Rule]>>,
    locations: Vec<CaptureLocations>,
}

/// The configured rules, compiled.
#[derive(Debug, Default)]
pub(super) struct UserRules(Arc<[Rule]>);

impl UserRules {
    pub(super) fn new(specs: &[RuleSpec]) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut rules = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let mut refuse = |fault| errors.push(RuleError { index, rule: spec.name.clone(), fault });
            if spec.name.trim().is_empty() {
                refuse(RuleFault::NoName);
            } else if specs.iter().take(index).any(|earlier| earlier.name == spec.name) {
                refuse(RuleFault::SameName);
            }
            if index == MAX_RULES {
                refuse(RuleFault::TooMany);
                break;
            }
            match compile(spec) {
                Ok(rule) => rules.push(rule),
                Err(fault) => refuse(fault),
            }
        }
        if errors.is_empty() { Ok(Self(rules.into())) } else { Err(errors) }
    }

    /// Runs each rule. Of several that find a field, the first wins.
    pub(super) fn apply(&self, line: &[u8], out: &mut Derived) {
        if !self.0.is_empty() {
            self.run(0..self.0.len(), line, out);
        }
    }

    /// Runs the rules of these numbers.
    pub(super) fn run(&self, numbers: Range<usize>, line: &[u8], out: &mut Derived) {
        let mut captures = std::mem::take(&mut out.captures);
        if !captures.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, &self.0)) {
            captures.locations = self.0.iter().map(|rule| rule.regex.capture_locations()).collect();
            captures.owner = Some(Arc::clone(&self.0));
        }
        for (at, (rule, locations)) in self.0.iter().zip(&mut captures.locations).enumerate() {
            if !numbers.contains(&at) {
                continue;
            }
            if rule.regex.captures_read(locations, line).is_none() {
                continue;
            }
            for (number, group) in &rule.groups {
                let Some((start, end)) = locations.get(*number) else { continue };
                let value = line.get(start..end).unwrap_or_default();
                match group {
                    Group::Trace if out.trace.is_none() => match keyed(KeyClass::Trace, value) {
                        Ok(context) if context.trace.is_some() => {
                            out.trace = context.trace;
                            out.sampled = context.sampled;
                            out.span = out.span.or(context.span);
                            out.rule = Some((Form::ALL.len() + at) as u16);
                        }
                        result => note(out, result.err()),
                    },
                    Group::Span if out.span.is_none() => match keyed(KeyClass::Span, value) {
                        Ok(context) => out.span = context.span,
                        Err(error) => note(out, Some(error)),
                    },
                    Group::Service if out.service.is_none() && start < end => {
                        out.service = Some(range(start, end));
                    }
                    Group::Level if out.severity == Severity::Unknown => {
                        out.severity = line::severity_of_level(value);
                    }
                    Group::Metadata(name) => out.extra.push((Arc::clone(name), range(start, end))),
                    _ => {}
                }
            }
        }
        out.captures = captures;
    }
}

/// A value that is there and is no id is worth a note; an absent one is not.
fn note(out: &mut Derived, error: Option<IdError>) {
    if error.is_some_and(|error| error != IdError::Absent) {
        out.problem = Some(ProblemKind::BadId);
        out.refused = error;
    }
}

/// In one line: what, and where.
fn syntax(error: &regex_syntax::Error) -> RuleFault {
    RuleFault::Syntax(match error {
        regex_syntax::Error::Parse(e) => format!("{} at byte {}", e.kind(), e.span().start.offset),
        regex_syntax::Error::Translate(e) => format!("{} at byte {}", e.kind(), e.span().start.offset),
        other => other.to_string(),
    })
}

fn compile(spec: &RuleSpec) -> Result<Rule, RuleFault> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&spec.regex);
    if let Some(reason) = never_matches(&hir.map_err(|e| syntax(&e))?) {
        return Err(RuleFault::NeverMatches(reason));
    }
    let regex = Regex::new(&spec.regex).map_err(|e| RuleFault::Syntax(e.to_string()))?;
    let groups: Vec<(usize, Group)> = regex
        .capture_names()
        .enumerate()
        .filter_map(|(number, name)| {
            let group = match name? {
                "trace_id" => Group::Trace,
                "span_id" => Group::Span,
                "service" => Group::Service,
                "level" => Group::Level,
                other => Group::Metadata(Arc::from(other)),
            };
            Some((number, group))
        })
        .collect();
    if groups.is_empty() {
        return Err(RuleFault::NoGroup);
    }
    Ok(Rule { regex, groups })
}

/// Why an expression matches no line, for the mistakes that people make: text before `^` or behind `$`, a newline, an
/// empty class. `None` if it may match.
fn never_matches(hir: &Hir) -> Option<&'static str> {
    match hir.kind() {
        HirKind::Class(_) if hir.properties().minimum_len().is_none() => Some("it holds an empty class"),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => {
            Some("it wants a newline, and lines are matched one by one, without theirs")
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => never_matches(&repetition.sub),
        HirKind::Capture(capture) => never_matches(&capture.sub),
        HirKind::Alternation(branches) => {
            let reasons: Vec<_> = branches.iter().map(never_matches).collect();
            reasons.into_iter().collect::<Option<Vec<_>>>().and_then(|reasons| reasons.first().copied())
        }
        HirKind::Concat(parts) => {
            let mut text_before = false;
            let mut ended = false;
            for part in parts {
                if let Some(reason) = never_matches(part) {
                    return Some(reason);
                }
                let prefix = part.properties().look_set_prefix();
                if text_before && prefix.contains(Look::Start) {
                    return Some("it wants text before the beginning of the line (`^`)");
                }
                let needs_text = part.properties().minimum_len().is_some_and(|len| len > 0);
                if ended && needs_text {
                    return Some("it wants text behind the end of the line (`$`)");
                }
                text_before |= needs_text;
                ended |= matches!(part.kind(), HirKind::Look(Look::End));
            }
            None
        }
        _ => None,
    }
}
