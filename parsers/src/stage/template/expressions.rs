//! Functions of which the first argument is a regular expression.

use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

use super::functions::text;
use super::values::{Failed, Value};
use crate::stage::entry::MAX_VALUE;
use crate::stage::error::compile_within;

/// Expressions that lines bring and that are kept: those of one template are few, or each is used once.
const KEPT: usize = 16;
/// Bytes that such an expression may be compiled to: they are compiled while lines are read.
const MAX_PROGRAM: usize = 1 << 20;

/// Expressions of one call that are not part of the template, compiled once for each text.
#[derive(Debug, Clone, Default)]
pub(super) struct Compiled(Arc<Mutex<Vec<(String, Regex)>>>);

impl Compiled {
    pub fn get(&self, expression: &Value) -> Result<Regex, Failed> {
        let expression = expression.as_text()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, regex)) = kept.iter().find(|(text, _)| text == expression) {
            return Ok(regex.clone());
        }
        let regex = compile_within(expression, MAX_PROGRAM).map_err(Failed::because)?;
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((expression.to_owned(), regex.clone()));
        Ok(regex)
    }
}

/// A function of which the first argument is an expression, compiled with the template where it is a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum RegexFunction {
    /// `regexReplaceAll expression text replacement`
    Replace,
    /// `regexReplaceAllLiteral expression text replacement`
    ReplaceLiteral,
    /// `regexMatch expression text`
    Match,
    /// `regexFind expression text`
    Find,
    /// `count expression text`
    Count,
}

impl RegexFunction {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "regexReplaceAll" => Self::Replace,
            "regexReplaceAllLiteral" => Self::ReplaceLiteral,
            "regexMatch" => Self::Match,
            "regexFind" => Self::Find,
            "count" => Self::Count,
            _ => return None,
        })
    }

    /// With the expression.
    pub fn arguments(self) -> usize {
        match self {
            Self::Replace | Self::ReplaceLiteral => 3,
            Self::Match | Self::Find | Self::Count => 2,
        }
    }

    pub fn call(self, regex: &Regex, arguments: &[Value]) -> Result<Value, Failed> {
        let subject = text(arguments, 0)?;
        Ok(match self {
            Self::Count => Value::Int(regex.find_iter(subject).count() as i64),
            Self::Match => Value::Bool(regex.is_match(subject)),
            Self::Find => Value::text(regex.find(subject).map_or("", |found| found.as_str())),
            Self::Replace | Self::ReplaceLiteral => {
                let replacement = text(arguments, 1)?;
                let mut out = String::new();
                let mut done = 0;
                for captures in regex.captures_iter(subject) {
                    let Some(whole) = captures.get(0) else { continue };
                    out.push_str(subject.get(done..whole.start()).unwrap_or_default());
                    if matches!(self, Self::Replace) {
                        captures.expand(replacement, &mut out);
                    } else {
                        out.push_str(replacement);
                    }
                    done = whole.end();
                    if out.len() > MAX_VALUE {
                        return Err(Failed::too_long());
                    }
                }
                out.push_str(subject.get(done..).unwrap_or_default());
                Value::Text(out)
            }
        })
    }
}
