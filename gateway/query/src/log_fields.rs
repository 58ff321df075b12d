//! Which fields lines have, drawn from some of them: structured metadata, what a query's parsers have found, and what a JSON or
//! logfmt parser would find.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::Value;

use crate::logql::{Stream, clean, flatten};

/// Fields that are told; lines with made-up keys must not fill an answer.
const MAX_FIELDS: usize = 1_000;
/// Different values that are kept of a field.
const MAX_VALUES: usize = 1_000;
/// Bytes of a line that are looked into.
const MAX_LINE: usize = 1 << 16;

/// What a query says of lines that it could not read.
const ERRORS: [&str; 2] = ["__error__", "__error_details__"];

/// A field of lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogField {
    /// What its values are, all of them: `int`, `float`, `duration`, `bytes` or `string`.
    pub kind: &'static str,
    /// `json` or `logfmt`, whichever finds it; none for structured metadata.
    pub parsers: BTreeSet<&'static str>,
    /// Where it is in JSON.
    pub path: Vec<String>,
    /// Its values, at most 1,000 of them.
    pub values: BTreeSet<String>,
}

/// The fields of these lines, by name.
pub fn detect(streams: &[Stream]) -> BTreeMap<String, LogField> {
    let mut fields = BTreeMap::new();
    for stream in streams {
        for entry in &stream.entries {
            for (name, value) in &entry.structured {
                note(&mut fields, Cow::Borrowed(name), value, None, &[]);
            }
            let given = |name: &str| {
                stream.labels.get(name).is_some() || entry.structured.iter().any(|(given, _)| given == name)
            };
            let line = String::from_utf8_lossy(entry.line.get(..MAX_LINE).unwrap_or(&entry.line));
            if let Ok(Value::Object(map)) = serde_json::from_str::<Value>(&line) {
                let mut paths = BTreeMap::new();
                places(&map, &mut Vec::new(), &mut paths);
                for (name, value) in parsed(&line) {
                    let path = paths.get(&name).map(Vec::as_slice).unwrap_or_default();
                    note(&mut fields, Cow::Owned(own_name(name, given)), &value, Some("json"), path);
                }
            } else {
                for (key, value) in logfmt(&line) {
                    let name = own_name(sanitised(&key), given);
                    note(&mut fields, Cow::Owned(name), &value, Some("logfmt"), &[]);
                }
            }
            for (name, value) in &entry.parsed {
                // Of the query's own parsers: which one is in the query. What went wrong with a line is no field of it.
                if !fields.contains_key(name) && !ERRORS.contains(&name.as_str()) {
                    note(&mut fields, Cow::Borrowed(name), value, None, &[]);
                }
            }
        }
    }
    for field in fields.values_mut() {
        field.kind = kind(&field.values);
    }
    fields
}

/// What a JSON parser finds in a line, by name: of keys that become one name, the last.
fn parsed(line: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let read = flatten(line, &mut String::new(), &mut |name, value| {
        let text = found.entry(name.to_owned()).or_default();
        text.clear();
        value.write(text);
        ControlFlow::Continue(())
    });
    // The caller has read it already: only what is nested too deep is refused.
    if read.is_ok() { found } else { BTreeMap::new() }
}

/// Where in JSON the values of names are.
fn places(
    map: &serde_json::Map<String, Value>,
    path: &mut Vec<String>,
    out: &mut BTreeMap<String, Vec<String>>,
) {
    for (key, value) in map {
        path.push(key.clone());
        match value {
            Value::Object(map) => places(map, path, out),
            Value::Array(_) | Value::Null => {}
            _ => {
                let mut name = String::new();
                for part in path.iter() {
                    if !name.is_empty() {
                        name.push('_');
                    }
                    clean(part, name.is_empty(), &mut name);
                }
                out.entry(name).or_insert_with(|| path.clone());
            }
        }
        path.pop();
    }
}

/// A field that a label or metadata hides has a name that tells them apart, as in a query.
fn own_name(name: String, given: impl Fn(&str) -> bool) -> String {
    if given(&name) { format!("{name}_extracted") } else { name }
}

/// A name as LogQL reads it.
fn sanitised(key: &str) -> String {
    let mut name = String::new();
    clean(key, true, &mut name);
    name
}

fn note(
    fields: &mut BTreeMap<String, LogField>,
    name: Cow<'_, str>,
    value: &str,
    parser: Option<&'static str>,
    path: &[String],
) {
    if name.is_empty() || value.is_empty() || (fields.len() >= MAX_FIELDS && !fields.contains_key(&*name)) {
        return;
    }
    let field = fields.entry(name.into_owned()).or_default();
    field.parsers.extend(parser);
    if field.path.is_empty() {
        field.path = path.to_vec();
    }
    if field.values.len() < MAX_VALUES && !field.values.contains(value) {
        field.values.insert(value.to_owned());
    }
}

/// `key=value` and `key="quoted value"`; what is neither is passed over.
fn logfmt(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            rest = after;
            continue;
        };
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                (value.to_owned(), after)
            }
        };
        if !key.is_empty() && !key.contains('"') {
            pairs.push((key.to_owned(), value));
        }
        rest = after;
    }
    pairs
}

/// Up to the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => {}
            },
            c => value.push(c),
        }
    }
    (value, "")
}

/// The narrowest kind that all values are of.
fn kind(values: &BTreeSet<String>) -> &'static str {
    let all = |is: fn(&str) -> bool| values.iter().all(|value| is(value));
    let with_unit = |value: &str, units: &[&str]| {
        let number = value.trim_end_matches(|c: char| c.is_alphabetic());
        let unit = value.get(number.len()..).unwrap_or_default();
        number.trim().parse::<f64>().is_ok() && units.iter().any(|known| known.eq_ignore_ascii_case(unit))
    };
    if all(|value| value.parse::<i64>().is_ok()) {
        "int"
    } else if all(|value| value.parse::<f64>().is_ok()) {
        "float"
    } else if values.iter().all(|value| is_duration(value)) {
        "duration"
    } else if values
        .iter()
        .all(|value| with_unit(value, &["b", "kb", "kib", "mb", "mib", "gb", "gib", "tb", "tib"]))
    {
        "bytes"
    } else {
        "string"
    }
}

/// One or more numbers, each with a unit of time.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if number.len() == rest.len() {
            return false;
        }
        let after = number.trim_start_matches(char::is_alphabetic);
        let unit = number.get(..number.len() - after.len()).unwrap_or_default();
        if !["ns", "us", "µs", "ms", "s", "m", "h"].contains(&unit) {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests;
