//! What each rule finds in a line, for people who write rules.

use std::sync::Arc;

use crate::line::{self, Fact};
use crate::record::{IdError, Severity};

use super::{Derived, Deriver, Form, built_in};

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the line's record has.
    Used,
    /// Another finding went before it.
    Shadowed,
    /// Its value is not what its key promises.
    Refused(IdError),
}

/// One thing that one rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// `trace_id`, `span_id`, `service`, `level`, `sampled`, or the name of a configured rule's group.
    pub field: Arc<str>,
    /// As the record has it: ids in canonical hex. As written where it was refused.
    pub value: String,
    /// Whether it counts.
    pub verdict: Verdict,
}

impl Deriver {
    /// Everything that every rule finds, those that do not count included.
    pub fn explain(&self, line: &[u8]) -> Vec<Finding> {
        let mut derived = Derived::default();
        self.derive(line, &mut derived);
        let mut findings = Vec::new();
        self.explain_configured(line, &derived, &mut findings);
        let mut hits = Vec::new();
        line::by_keys(line, &mut |hit| hits.push(hit));
        line::by_position(line, &mut |hit| hits.push(hit));
        for hit in hits {
            let written = || text(line.get(hit.start..hit.end).unwrap_or_default());
            let mut add = |field: &str, value: String, verdict: Verdict| {
                let rule = self.rule_name(built_in(hit.form)).cloned().unwrap_or_default();
                let finding = Finding { rule, field: Arc::from(field), value, verdict };
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            };
            let used = |yes: bool| if yes { Verdict::Used } else { Verdict::Shadowed };
            match hit.fact {
                Fact::Id(Ok(context)) => {
                    let chosen = derived.rule == Some(built_in(hit.form));
                    if let Some(trace) = context.trace {
                        add("trace_id", trace.to_string(), used(chosen && derived.trace == Some(trace)));
                    }
                    if let Some(span) = context.span {
                        add("span_id", span.to_string(), used(derived.span == Some(span)));
                    }
                    if let Some(sampled) = context.sampled {
                        add("sampled", sampled.to_string(), used(derived.sampled == Some(sampled)));
                    }
                }
                Fact::Id(Err(error)) => add(hit.field(), written(), Verdict::Refused(error)),
                Fact::Severity(severity) => {
                    add("level", severity.as_str().to_owned(), used(derived.severity == severity));
                }
                Fact::Service => {
                    let here = derived.service == Some(super::range(hit.start, hit.end));
                    add("service", written(), used(here));
                }
                Fact::Sampled(sampled) => {
                    add("sampled", sampled.to_string(), used(derived.sampled == Some(sampled)));
                }
            }
        }
        if derived.severity != Severity::Unknown && !findings.iter().any(|f| &*f.field == "level") {
            findings.push(Finding {
                rule: Arc::from("level_word"),
                field: Arc::from("level"),
                value: derived.severity.as_str().to_owned(),
                verdict: Verdict::Used,
            });
        }
        findings
    }

    /// Each configured rule by itself, so that one which is shadowed by another still shows what it finds.
    fn explain_configured(&self, line: &[u8], derived: &Derived, findings: &mut Vec<Finding>) {
        for (at, name) in self.rule_names().iter().skip(Form::ALL.len()).enumerate() {
            let (mut alone, number) = (Derived::default(), (Form::ALL.len() + at) as u16);
            self.user.run(at..at + 1, line, &mut alone);
            let mut add = |field: &str, value: String, used: bool| {
                let verdict = if used { Verdict::Used } else { Verdict::Shadowed };
                findings.push(Finding { rule: Arc::clone(name), field: Arc::from(field), value, verdict });
            };
            if let Some(trace) = alone.trace {
                add("trace_id", trace.to_string(), derived.rule == Some(number));
            }
            if let Some(span) = alone.span {
                add("span_id", span.to_string(), derived.span == Some(span));
            }
            if let Some(service) = alone.service {
                add("service", text(service.of(line)), derived.service == Some(service));
            }
            if alone.severity != Severity::Unknown {
                add("level", alone.severity.as_str().to_owned(), derived.severity == alone.severity);
            }
            for (field, value) in &alone.extra {
                add(field, text(value.of(line)), true);
            }
            if let Some(error) = alone.refused {
                findings.push(Finding {
                    rule: Arc::clone(name),
                    field: Arc::from("trace_id"),
                    value: String::new(),
                    verdict: Verdict::Refused(error),
                });
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
