//! The functions of templates: Go's own, Promtail's, LogQL's, and the commonest of sprig's.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};
use sha3::Sha3_256;

use super::printf::{print, printf, quote};
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
            "quote" => (|a| Ok(Value::Text(spaced(a, |v| quote(&v.print(), false)))), 1..=MANY),
            "squote" => (|a| Ok(Value::Text(spaced(a, |v| format!("'{}'", v.print())))), 1..=MANY),
            "cat" => (|a| Ok(Value::Text(spaced(a, Value::print))), 1..=MANY),
            "print" => (|a| Ok(Value::Text(print(a))), 0..=MANY),
            "println" => (|a| Ok(Value::Text(spaced(a, Value::print) + "\n")), 0..=MANY),
            "printf" => (|a| printf(text(a, 0)?, a.get(1..).unwrap_or_default()).map(Value::Text), 1..=MANY),
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
            "round" => (
                |a| {
                    let from = a.get(2).map_or(floats::HALF, Value::to_float);
                    Ok(floats::round(get(a, 0)?.to_float(), get(a, 1)?.to_int(), from))
                },
                2..=3,
            ),
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
            "urlquery" => (|a| Ok(Value::Text(texts::to_query(&print(a)))), 1..=MANY),
            "html" => (|a| Ok(Value::Text(texts::to_html(&print(a)))), 1..=MANY),
            "js" => (|a| Ok(Value::Text(texts::to_javascript(&print(a)))), 1..=MANY),
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
    arguments.get(at).ok_or_else(|| Failed::because("an argument is missing"))
}

/// An argument that has to be a text.
pub(super) fn text(arguments: &[Value], at: usize) -> Result<&str, Failed> {
    get(arguments, at)?.as_text()
}

fn one(arguments: &[Value], body: impl Fn(&str) -> String) -> Result<Value, Failed> {
    Ok(Value::Text(body(text(arguments, 0)?)))
}

fn two(arguments: &[Value], body: impl Fn(&str, &str) -> String) -> Result<Value, Failed> {
    Ok(Value::Text(body(text(arguments, 0)?, text(arguments, 1)?)))
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
                let place = key.to_int();
                let found = usize::try_from(place).ok().and_then(|place| items.get(place));
                found.ok_or_else(|| Failed::because(format!("index out of range: {place}")))?
            }
            Value::Map(map) => match map.get(key.as_text()?) {
                Some(value) => value,
                None => return Ok(Value::Missing),
            },
            other => return Err(Failed::because(format!("cannot index {}", other.shown()))),
        };
    }
    Ok(value.clone())
}

/// `slice x 1 2` is `x[1:2]`.
fn slice(arguments: &[Value]) -> Result<Value, Failed> {
    let out_of_range = || Failed::because("index out of range");
    let place = |at: usize| {
        arguments.get(at).map(|v| usize::try_from(v.to_int()).map_err(|_| out_of_range())).transpose()
    };
    let from = place(1)?.unwrap_or(0);
    let to = place(2)?;
    match get(arguments, 0)? {
        Value::Text(text) => {
            text.get(from..to.unwrap_or(text.len())).map(Value::text).ok_or_else(out_of_range)
        }
        Value::List(items) => {
            let part = items.get(from..to.unwrap_or(items.len())).ok_or_else(out_of_range)?;
            Ok(Value::List(part.to_vec()))
        }
        other => Err(Failed::because(format!("cannot slice {}", other.shown()))),
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

/// A capital behind whatever is neither letter, digit nor `_`, as Go's `strings.Title` has it.
fn title(text: &str) -> String {
    let mut at_start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if at_start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        let in_word = if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { !c.is_whitespace() };
        at_start = !in_word;
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
    let by = by(get(arguments, 0)?.to_int(), get(arguments, 1)?.to_int());
    by.map(Value::Int).ok_or_else(|| Failed::because("integer divide by zero"))
}

/// At most `count` times, all if negative. Fails where the result would be longer than values may be.
fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<Value, Failed> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = text.matches(old).take(most).count();
    if text.len().saturating_add(found.saturating_mul(new.len())) > 2 * MAX_VALUE {
        return Err(Failed::too_long());
    }
    Ok(Value::Text(text.replacen(old, new, most)))
}

fn repeat(count: i64, text: &str) -> Result<Value, Failed> {
    let count = usize::try_from(count).unwrap_or(0);
    if count.saturating_mul(text.len()) > MAX_VALUE {
        return Err(Failed::too_long());
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
