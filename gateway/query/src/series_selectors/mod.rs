//! Which series a PromQL expression selects: its selectors, found in one pass over its words.
//!
//! Expressions are evaluated by a real Prometheus, which also says what is wrong with one; nothing here nests, so that no text
//! is too deep for it.

#[cfg(test)]
mod tests;
mod words;

use store::read::{MatchOp, Matcher};

use crate::QueryError;
use crate::expressions::{allowed, anchored, shown};
use words::{Word, Words};

/// Selectors of one expression: a dashboard's longest have some ten.
const MAX_SELECTORS: usize = 100;
/// Conditions of one expression, all selectors together.
const MAX_MATCHERS: usize = 1_000;

/// One selector.
#[derive(Debug, Clone)]
pub struct Selector {
    /// Its conditions, that on the name among them as `__name__`.
    pub matchers: Vec<Matcher>,
    /// The same as PromQL that every version reads.
    pub text: String,
}

/// Words that stand between operands; what follows them in parentheses are labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that stand between operands, or are numbers.
const PLAIN: [&str; 8] = ["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];
/// Words after an aggregation's name, before its operand.
const AFTER_AGGREGATION: [&str; 2] = ["by", "without"];

/// The selectors of an expression, in their order.
pub fn selectors(text: &str) -> Result<Vec<Selector>, QueryError> {
    let mut words = Words::new(text);
    let (mut found, mut matchers, mut expressions) = (Vec::new(), 0, 0);
    while let Some(word) = words.next()? {
        let selector = match word {
            Word::Name(name) => {
                let known = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
                let selects = words.next_is('{');
                if known(&GROUPING) && !selects {
                    words.skip_list()?;
                    continue;
                }
                let is_call = words.next_is('(') || words.next_name_is(&AFTER_AGGREGATION);
                if !selects && (known(&PLAIN) || is_call) {
                    continue;
                }
                selector(Some(name), &mut words, selects, &mut expressions)?
            }
            Word::Symbol('{') => selector(None, &mut words, true, &mut expressions)?,
            Word::Symbol('[') => {
                words.skip_to(']')?;
                continue;
            }
            Word::Symbol(_) | Word::Text(_) => continue,
        };
        matchers += selector.matchers.len();
        found.push(selector);
        if found.len() > MAX_SELECTORS || matchers > MAX_MATCHERS {
            return Err(QueryError::TooMuch(format!(
                "the expression selects in more than {MAX_SELECTORS} places, or by more than {MAX_MATCHERS} conditions"
            )));
        }
    }
    Ok(found)
}

/// After a name, or inside the brace.
fn selector(
    name: Option<&str>,
    words: &mut Words<'_>,
    braces: bool,
    expressions: &mut usize,
) -> Result<Selector, QueryError> {
    let mut matchers = Vec::new();
    let mut parts = Vec::new();
    if let Some(name) = name {
        parts.push(format!("__name__={}", quoted(name)));
        matchers.push(Matcher::equal("__name__", name));
    }
    if braces {
        if name.is_some() {
            // The brace itself.
            words.next()?;
        }
        loop {
            let label = match words.required("a label, or }")? {
                Word::Symbol('}') => break,
                Word::Symbol(',') => continue,
                Word::Name(label) => label.to_owned(),
                Word::Text(text) if words.next_is(',') || words.next_is('}') => {
                    parts.push(format!("__name__={}", quoted(&text)));
                    matchers.push(Matcher::equal("__name__", text));
                    continue;
                }
                Word::Text(label) => label,
                Word::Symbol(other) => {
                    return Err(words.error(format!("expected a label, or }}, found {other:?}")));
                }
            };
            let op = words.operator()?;
            let Word::Text(value) = words.required("a text in quotes")? else {
                return Err(words.error("expected a text in quotes"));
            };
            parts.push(format!("{}{op}{}", label_name(&label), quoted(&value)));
            let mut regex = |words: &Words<'_>| {
                let program = allowed(*expressions).map_err(|detail| words.error(detail))?;
                *expressions += 1;
                anchored(&value, program).map_err(|error| {
                    // What the expression is, it quotes whole.
                    let error = error.to_string();
                    let reason = error.lines().last().unwrap_or_default();
                    words.error(format!("{:?} is no regular expression: {reason}", shown(&value)))
                })
            };
            let op = match op {
                "=" => MatchOp::Equal(value.clone()),
                "!=" => MatchOp::NotEqual(value.clone()),
                "=~" => MatchOp::Regex(regex(words)?),
                _ => MatchOp::NotRegex(regex(words)?),
            };
            matchers.push(Matcher { name: label, op });
            if matchers.len() > MAX_MATCHERS {
                break;
            }
        }
    }
    Ok(Selector { matchers, text: format!("{{{}}}", parts.join(",")) })
}

/// Names outside the classic alphabet are quoted, as Prometheus 3 reads them.
fn label_name(name: &str) -> String {
    let classic = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(classic) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
