//! The functions of templates: Go's own, Promtail's, LogQL's, and the commonest of sprig's.

use std::ops::RangeInclusive;

use regex::Regex;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

use super::values::{Failed, Value};
use super::{floats, texts, times};
use crate::stage::entry::MAX_VALUE;

type Body = fn(&[Value]) -> Result<Value, Failed>;

/// A function that has been found by its name.
#[derive(Clone, Copy)]
pub(super) struct Function(Body);

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

/// Arguments at most of a function that takes any number.
const MANY: usize = 64;

impl Function {
    /// The function and how many arguments it takes.
    pub fn named(name: &str) -> Option<(Self, RangeInclusive<usize>)> {
        let (body, arguments): (Body, RangeInclusive<usize>) = match name {
            "ToLower" | "toLower" | "lower" => (|a| one(a, |s| s.to_lowercase()), 1..=1),
            "ToUpper" | "toUpper" | "upper" => (|a| one(a, |s| s.to_uppercase()), 1..=1),
            "title" => (|a| one(a, title), 1..=1),
            "TrimSpace" | "trim" => (|a| one(a, |s| s.trim().to_owned()), 1..=1),
            "Trim" => (|a| two(a, |s, set| s.trim_matches(|c| set.contains(c)).to_owned()), 2..=2),
            "TrimLeft" => (|a| two(a, |s, set| s.trim_start_matches(|c| set.contains(c)).to_owned()), 2..=2),
            "TrimRight" => (|a| two(a, |s, set| s.trim_end_matches(|c| set.contains(c)).to_owned()), 2..=2),
            "TrimPrefix" => (|a| two(a, |s, p| s.strip_prefix(p).unwrap_or(s).to_owned()), 2..=2),
            "TrimSuffix" => (|a| two(a, |s, p| s.strip_suffix(p).unwrap_or(s).to_owned()), 2..=2),
            // sprig has what is piped last.
            "trimAll" => (|a| two(a, |set, s| s.trim_matches(|c| set.contains(c)).to_owned()), 2..=2),
            "trimPrefix" => (|a| two(a, |p, s| s.strip_prefix(p).unwrap_or(s).to_owned()), 2..=2),
            "trimSuffix" => (|a| two(a, |p, s| s.strip_suffix(p).unwrap_or(s).to_owned()), 2..=2),
            "contains" => (|a| Ok(Value::Bool(text(a, 1)?.contains(text(a, 0)?))), 2..=2),
            "hasPrefix" => (|a| Ok(Value::Bool(text(a, 1)?.starts_with(text(a, 0)?))), 2..=2),
            "hasSuffix" => (|a| Ok(Value::Bool(text(a, 1)?.ends_with(text(a, 0)?))), 2..=2),
            "Replace" => (|a| replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, get(a, 3)?.to_int()), 4..=4),
            "replace" => (|a| replace(text(a, 2)?, text(a, 0)?, text(a, 1)?, -1), 3..=3),
            "Hash" => (|a| two(a, |salt, s| hex(&Sha3_256::digest(format!("{salt}{s}")))), 2..=2),
            "Sha2Hash" => (|a| two(a, |salt, s| hex(&Sha256::digest(format!("{salt}{s}")))), 2..=2),
            "sha256sum" => (|a| one(a, |s| hex(&Sha256::digest(s))), 1..=1),
            "substr" => (|a| Ok(substr(get(a, 0)?.to_int(), get(a, 1)?.to_int(), text(a, 2)?)), 3..=3),
            "trunc" => (|a| Ok(trunc(get(a, 0)?.to_int(), text(a, 1)?)), 2..=2),
            "repeat" => (|a| repeat(get(a, 0)?.to_int(), text(a, 1)?), 2..=2),
            "nospace" => (|a| one(a, |s| s.split_whitespace().collect()), 1..=1),
            "quote" => (|a| Ok(Value::Text(spaced(a, |v| format!("{:?}", v.print())))), 1..=MANY),
            "squote" => (|a| Ok(Value::Text(spaced(a, |v| format!("'{}'", v.print())))), 1..=MANY),
            "cat" => (|a| Ok(Value::Text(spaced(a, Value::print))), 1..=MANY),
            "print" => (|a| Ok(Value::Text(a.iter().map(Value::print).collect())), 0..=MANY),
            "println" => (|a| Ok(Value::Text(spaced(a, Value::print) + "\n")), 0..=MANY),
            "printf" => (printf, 1..=MANY),
            "len" => (length, 1..=1),
            "not" => (|a| Ok(Value::Bool(!get(a, 0)?.is_true())), 1..=1),
            "eq" => (equal, 2..=MANY),
            "ne" => (|a| Ok(Value::Bool(!get(a, 0)?.equals(get(a, 1)?)?)), 2..=2),
            "lt" => (|a| Ok(Value::Bool(get(a, 0)?.order(get(a, 1)?)?.is_lt())), 2..=2),
            "le" => (|a| Ok(Value::Bool(get(a, 0)?.order(get(a, 1)?)?.is_le())), 2..=2),
            "gt" => (|a| Ok(Value::Bool(get(a, 0)?.order(get(a, 1)?)?.is_gt())), 2..=2),
            "ge" => (|a| Ok(Value::Bool(get(a, 0)?.order(get(a, 1)?)?.is_ge())), 2..=2),
            "default" => (|a| Ok(pick(get(a, 1)?.is_true(), get(a, 1)?, get(a, 0)?)), 2..=2),
            "empty" => (|a| Ok(Value::Bool(!get(a, 0)?.is_true())), 1..=1),
            "coalesce" => {
                (|a| Ok(a.iter().find(|v| v.is_true()).cloned().unwrap_or(Value::Missing)), 1..=MANY)
            }
            "ternary" => (|a| Ok(pick(get(a, 2)?.is_true(), get(a, 0)?, get(a, 1)?)), 3..=3),
            "int" | "int64" | "atoi" => (|a| Ok(Value::Int(get(a, 0)?.to_int())), 1..=1),
            "float64" => (|a| Ok(Value::Float(get(a, 0)?.to_float())), 1..=1),
            "toString" => (|a| Ok(Value::Text(get(a, 0)?.print())), 1..=1),
            "add" => (|a| Ok(Value::Int(a.iter().fold(0, |n, v| v.to_int().wrapping_add(n)))), 1..=MANY),
            "mul" => (|a| Ok(Value::Int(a.iter().fold(1, |n, v| v.to_int().wrapping_mul(n)))), 1..=MANY),
            "sub" => (|a| Ok(Value::Int(get(a, 0)?.to_int().wrapping_sub(get(a, 1)?.to_int()))), 2..=2),
            "div" => (|a| divide(a, i64::checked_div), 2..=2),
            "mod" => (|a| divide(a, i64::checked_rem), 2..=2),
            "addf" => (|a| floats::fold(a, |a, b| a + b), 1..=MANY),
            "subf" => (|a| floats::fold(a, |a, b| a - b), 1..=MANY),
            "mulf" => (|a| floats::fold(a, |a, b| a * b), 1..=MANY),
            "divf" => (|a| floats::fold(a, |a, b| a / b), 1..=MANY),
            "maxf" => (|a| floats::fold(a, f64::max), 1..=MANY),
            "minf" => (|a| floats::fold(a, f64::min), 1..=MANY),
            "ceil" => (|a| Ok(Value::Float(get(a, 0)?.to_float().ceil())), 1..=1),
            "floor" => (|a| Ok(Value::Float(get(a, 0)?.to_float().floor())), 1..=1),
            "round" => (|a| Ok(floats::round(get(a, 0)?.to_float(), get(a, 1)?.to_int())), 2..=2),
            "bytes" => (|a| floats::bytes(text(a, 0)?), 1..=1),
            "duration" | "duration_seconds" => (|a| floats::seconds(text(a, 0)?), 1..=1),
            "indent" => (|a| texts::indent(get(a, 0)?.to_int(), text(a, 1)?), 2..=2),
            "nindent" => (
                |a| {
                    texts::indent(get(a, 0)?.to_int(), text(a, 1)?)
                        .map(|v| Value::Text(format!("\n{}", v.print())))
                },
                2..=2,
            ),
            "alignLeft" => (|a| texts::align(get(a, 0)?.to_int(), text(a, 1)?, true), 2..=2),
            "alignRight" => (|a| texts::align(get(a, 0)?.to_int(), text(a, 1)?, false), 2..=2),
            "b64enc" => (|a| one(a, texts::to_base64), 1..=1),
            "b64dec" => (|a| one(a, texts::from_base64), 1..=1),
            "urlencode" => (|a| one(a, texts::to_query), 1..=1),
            "urldecode" => (|a| texts::from_query(text(a, 0)?), 1..=1),
            "urlquery" => (|a| Ok(Value::Text(texts::to_query(&printed(a)))), 1..=MANY),
            "html" => (|a| Ok(Value::Text(texts::to_html(&printed(a)))), 1..=MANY),
            "js" => (|a| Ok(Value::Text(texts::to_javascript(&printed(a)))), 1..=MANY),
            "fromJson" => {
                (|a| Ok(serde_json::from_str(text(a, 0)?).map_or(Value::Missing, Value::from_json)), 1..=1)
            }
            "index" => (index, 1..=MANY),
            "slice" => (slice, 1..=3),
            "toDate" => (|a| times::to_date(text(a, 0)?, "UTC", text(a, 1)?), 2..=2),
            "toDateInZone" => (|a| times::to_date(text(a, 0)?, text(a, 1)?, text(a, 2)?), 3..=3),
            "date" => (|a| times::date(text(a, 0)?, get(a, 1)?), 2..=2),
            "unixEpoch" => (|a| times::epoch(get(a, 0)?, 1_000_000_000), 1..=1),
            "unixEpochMillis" => (|a| times::epoch(get(a, 0)?, 1_000_000), 1..=1),
            "unixEpochNanos" => (|a| times::epoch(get(a, 0)?, 1), 1..=1),
            "unixToTime" => (|a| times::from_epoch(text(a, 0)?), 1..=1),
            "max" => (|a| Ok(Value::Int(a.iter().map(Value::to_int).max().unwrap_or(0))), 1..=MANY),
            "min" => (|a| Ok(Value::Int(a.iter().map(Value::to_int).min().unwrap_or(0))), 1..=MANY),
            _ => return None,
        };
        Some((Self(body), arguments))
    }

    pub fn call(self, arguments: &[Value]) -> Result<Value, Failed> {
        (self.0)(arguments)
    }
}

fn get(arguments: &[Value], at: usize) -> Result<&Value, Failed> {
    arguments.get(at).ok_or(Failed)
}

fn text(arguments: &[Value], at: usize) -> Result<&str, Failed> {
    get(arguments, at)?.as_text()
}

fn one(arguments: &[Value], body: impl Fn(&str) -> String) -> Result<Value, Failed> {
    Ok(Value::Text(body(text(arguments, 0)?)))
}

fn two(arguments: &[Value], body: impl Fn(&str, &str) -> String) -> Result<Value, Failed> {
    Ok(Value::Text(body(text(arguments, 0)?, text(arguments, 1)?)))
}

fn printed(arguments: &[Value]) -> String {
    arguments.iter().map(Value::print).collect()
}

/// Bytes of a text, items of a list or a map.
fn length(arguments: &[Value]) -> Result<Value, Failed> {
    Ok(Value::Int(match get(arguments, 0)? {
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => other.as_text()?.len(),
    } as i64))
}

/// `index x 1 "a"` is `x[1]["a"]`.
fn index(arguments: &[Value]) -> Result<Value, Failed> {
    let mut value = get(arguments, 0)?;
    for key in arguments.iter().skip(1) {
        value = match value {
            Value::List(items) => {
                items.get(usize::try_from(key.to_int()).map_err(|_| Failed)?).ok_or(Failed)?
            }
            Value::Map(map) => match map.get(key.as_text()?) {
                Some(value) => value,
                None => return Ok(Value::Missing),
            },
            _ => return Err(Failed),
        };
    }
    Ok(value.clone())
}

/// `slice x 1 2` is `x[1:2]`.
fn slice(arguments: &[Value]) -> Result<Value, Failed> {
    let place =
        |at: usize| arguments.get(at).map(|v| usize::try_from(v.to_int()).map_err(|_| Failed)).transpose();
    let from = place(1)?.unwrap_or(0);
    let to = place(2)?;
    match get(arguments, 0)? {
        Value::Text(text) => text.get(from..to.unwrap_or(text.len())).map(Value::text).ok_or(Failed),
        Value::List(items) => {
            items.get(from..to.unwrap_or(items.len())).map(|part| Value::List(part.to_vec())).ok_or(Failed)
        }
        _ => Err(Failed),
    }
}

fn pick(first: bool, a: &Value, b: &Value) -> Value {
    if first { a.clone() } else { b.clone() }
}

fn spaced(arguments: &[Value], spell: impl Fn(&Value) -> String) -> String {
    arguments.iter().map(spell).collect::<Vec<_>>().join(" ")
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn title(text: &str) -> String {
    let mut at_start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if at_start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        at_start = c.is_whitespace();
    }
    out
}

fn equal(arguments: &[Value]) -> Result<Value, Failed> {
    let first = get(arguments, 0)?;
    for other in arguments.iter().skip(1) {
        if first.equals(other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn divide(arguments: &[Value], by: fn(i64, i64) -> Option<i64>) -> Result<Value, Failed> {
    by(get(arguments, 0)?.to_int(), get(arguments, 1)?.to_int()).map(Value::Int).ok_or(Failed)
}

/// At most `count` times, all if negative. Fails where the result would be longer than values may be.
fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<Value, Failed> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = text.matches(old).take(most).count();
    if text.len().saturating_add(found.saturating_mul(new.len())) > 2 * MAX_VALUE {
        return Err(Failed);
    }
    Ok(Value::Text(text.replacen(old, new, most)))
}

fn repeat(count: i64, text: &str) -> Result<Value, Failed> {
    let count = usize::try_from(count).unwrap_or(0);
    if count.saturating_mul(text.len()) > MAX_VALUE {
        return Err(Failed);
    }
    Ok(Value::Text(text.repeat(count)))
}

/// Bytes from `start` up to `end`, at characters' boundaries; an `end` that is negative or too large is the text's.
fn substr(start: i64, end: i64, text: &str) -> Value {
    let end = usize::try_from(end).unwrap_or(text.len()).min(text.len());
    let start = usize::try_from(start).unwrap_or(0).min(end);
    let part = text.get(text.floor_char_boundary(start)..text.floor_char_boundary(end));
    Value::text(part.unwrap_or_default())
}

/// The first bytes, or with a negative length the last ones.
fn trunc(length: i64, text: &str) -> Value {
    let wanted = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= text.len() {
        return Value::text(text);
    }
    let part = if length < 0 {
        text.get(text.ceil_char_boundary(text.len() - wanted)..)
    } else {
        text.get(..text.floor_char_boundary(wanted))
    };
    Value::text(part.unwrap_or_default())
}

/// Columns that a value is filled up to at most.
const MAX_WIDTH: usize = 1_000;

/// `%s %v %d %f %q %t %x %%` with a width and a precision. Anything else fails.
fn printf(arguments: &[Value]) -> Result<Value, Failed> {
    let mut values = arguments.iter().skip(1);
    let mut out = String::new();
    let mut chars = text(arguments, 0)?.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut left, mut zero) = (false, false);
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0' | '+' | ' ')) {
            left |= flag == '-';
            zero |= flag == '0';
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut n = 0usize;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                n = n.saturating_mul(10).saturating_add(digit as usize);
                chars.next();
            }
            n.min(MAX_WIDTH)
        };
        let width = number(&mut chars);
        let precision = chars.next_if_eq(&'.').map(|_| number(&mut chars));
        let verb = chars.next().ok_or(Failed)?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or(Failed)?;
        let spelled = match verb {
            's' | 'v' | 't' => {
                let whole = value.print();
                precision.map_or(whole.clone(), |most| whole.chars().take(most).collect())
            }
            'd' => value.to_int().to_string(),
            'f' => format!("{:.*}", precision.unwrap_or(6), value.to_float()),
            'q' => format!("{:?}", value.print()),
            'x' => match value {
                Value::Text(text) => hex(text.as_bytes()),
                other => format!("{:x}", other.to_int()),
            },
            _ => return Err(Failed),
        };
        let missing = width.saturating_sub(spelled.chars().count());
        let fill = if zero && !left { "0" } else { " " }.repeat(missing);
        out.push_str(&if left { format!("{spelled}{fill}") } else { format!("{fill}{spelled}") });
    }
    Ok(Value::Text(out))
}

/// A function of which the first argument is an expression, compiled with the template.
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
                        return Err(Failed);
                    }
                }
                out.push_str(subject.get(done..).unwrap_or_default());
                Value::Text(out)
            }
        })
    }
}
