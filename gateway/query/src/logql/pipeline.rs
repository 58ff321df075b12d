//! What happens to a line between its stream and the answer: filters, parsers, formats.

use std::borrow::Cow;

use parsers::record::{LogRecord, TraceId};
use regex::Regex;
use store::read::{LogSelect, Matcher};

use super::template::Template;
use crate::lexer;

/// A selector and the stages behind it.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) matchers: Vec<Matcher>,
    pub(super) stages: Vec<Stage>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Any of the alternatives must be in the line, or with `negate` none.
    Line {
        negate: bool,
        any: Vec<Needle>,
    },
    Filter(Filter),
    /// Pairs of name and path; none means all keys.
    Json(Vec<(String, String)>),
    Logfmt,
    Regexp(Regex),
    Drop(Vec<String>),
    Keep(Vec<String>),
    LabelFormat(Vec<(String, Format)>),
    LineFormat(Template),
    Decolorize,
}

#[derive(Debug)]
pub(super) enum Needle {
    Text(String),
    Regex(Regex),
}

#[derive(Debug)]
pub(super) enum Format {
    Rename(String),
    Template(Template),
}

#[derive(Debug)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Text { name: String, negate: bool, value: String },
    Regex { name: String, negate: bool, value: Regex },
    Number { name: String, op: &'static str, value: f64 },
}

/// A line on its way.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: LogRecord,
    pub(super) line: Vec<u8>,
    pub(super) parsed: Vec<(String, String)>,
    pub(super) dropped: Vec<String>,
}

impl Row {
    fn new(mut record: LogRecord) -> Self {
        let line = std::mem::take(&mut record.line);
        Self { record, line, parsed: Vec::new(), dropped: Vec::new() }
    }

    /// A label's value: parsed before metadata before stream labels; empty if there is none.
    pub(super) fn get(&self, name: &str) -> Cow<'_, str> {
        if let Some((_, value)) = self.parsed.iter().rev().find(|(key, _)| key == name) {
            return Cow::Borrowed(value);
        }
        if self.dropped.iter().any(|dropped| dropped == name) {
            return Cow::Borrowed("");
        }
        let special = match name {
            "trace_id" => self.record.trace_id.map(|id| id.to_string()),
            "span_id" => self.record.span_id.map(|id| id.to_string()),
            "detected_level" => Some(self.record.severity.as_str().to_owned()),
            _ => None,
        };
        if let Some(value) = special {
            return Cow::Owned(value);
        }
        let metadata =
            self.record.metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        Cow::Borrowed(metadata.or_else(|| self.record.labels.get(name)).unwrap_or_default())
    }

    fn set(&mut self, name: &str, value: String) {
        self.parsed.retain(|(key, _)| key != name);
        self.parsed.push((name.to_owned(), value));
    }

    /// Structured metadata with the ids and the level.
    pub(super) fn structured(&self) -> Vec<(String, String)> {
        let mut all = self.record.metadata.clone();
        for name in ["trace_id", "span_id", "detected_level"] {
            if !self.parsed.iter().any(|(key, _)| key == name) {
                let value = self.get(name).into_owned();
                if !value.is_empty() {
                    all.push((name.to_owned(), value));
                }
            }
        }
        all.retain(|(name, _)| !self.dropped.contains(name));
        all
    }
}

impl Pipeline {
    /// What the source may skip by: texts that must be in the line and the one trace, as far as the stages before let it.
    pub(super) fn hint(&self, select: &mut LogSelect) {
        for stage in &self.stages {
            match stage {
                Stage::Line { negate: false, any } => {
                    if let [Needle::Text(text)] = any.as_slice() {
                        select.contains.push(text.as_bytes().to_vec());
                    }
                }
                Stage::Line { .. } => {}
                Stage::Filter(filter) => {
                    if let Some(id) = filter.trace() {
                        select.trace = Some(id);
                    }
                }
                // From here on lines and labels are no longer those that are stored.
                _ => return,
            }
        }
    }

    /// The row as the stages leave it, or nothing if one of them drops it.
    pub(super) fn run(&self, record: LogRecord) -> Option<Row> {
        let mut row = Row::new(record);
        self.stages.iter().all(|stage| stage.run(&mut row)).then_some(row)
    }
}

impl Stage {
    fn run(&self, row: &mut Row) -> bool {
        match self {
            Self::Line { negate, any } => {
                let text = String::from_utf8_lossy(&row.line);
                any.iter().any(|needle| match needle {
                    Needle::Text(needle) => text.contains(needle.as_str()),
                    Needle::Regex(regex) => regex.is_match(&text),
                }) != *negate
            }
            Self::Filter(filter) => filter.holds(row),
            Self::Json(paths) => {
                json(row, paths);
                true
            }
            Self::Logfmt => {
                logfmt(row);
                true
            }
            Self::Regexp(regex) => {
                let text = String::from_utf8_lossy(&row.line).into_owned();
                if let Some(found) = regex.captures(&text) {
                    for name in regex.capture_names().flatten() {
                        if let Some(value) = found.name(name) {
                            row.set(name, value.as_str().to_owned());
                        }
                    }
                }
                true
            }
            Self::Drop(names) => {
                row.parsed.retain(|(name, _)| !names.contains(name));
                row.dropped.extend(names.iter().cloned());
                true
            }
            Self::Keep(names) => {
                row.parsed.retain(|(name, _)| names.contains(name));
                let others = row.record.labels.iter().map(|(name, _)| name.to_owned());
                let others = others.chain(row.record.metadata.iter().map(|(name, _)| name.clone()));
                row.dropped = others.filter(|name| !names.contains(name)).collect();
                true
            }
            Self::LabelFormat(formats) => {
                for (name, format) in formats {
                    let value = match format {
                        Format::Rename(from) => row.get(from).into_owned(),
                        Format::Template(template) => template.render(row),
                    };
                    row.set(name, value);
                }
                true
            }
            Self::LineFormat(template) => {
                row.line = template.render(row).into_bytes();
                true
            }
            Self::Decolorize => {
                row.line = without_colours(&row.line);
                true
            }
        }
    }
}

impl Filter {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::And(left, right) => left.holds(row) && right.holds(row),
            Self::Or(left, right) => left.holds(row) || right.holds(row),
            Self::Text { name, negate, value } => {
                let same =
                    match (name.as_str(), row.record.trace_id, TraceId::from_spelling(value.as_bytes())) {
                        // One id has many spellings; each of them finds it.
                        ("trace_id", Some(id), Ok(asked)) => id.matches(asked).is_some(),
                        _ => *row.get(name) == **value,
                    };
                same != *negate
            }
            Self::Regex { name, negate, value } => value.is_match(&row.get(name)) != *negate,
            Self::Number { name, op, value } => {
                let text = row.get(name);
                let number =
                    text.parse().ok().or_else(|| lexer::duration(&text)).or_else(|| lexer::bytes(&text));
                number.is_some_and(|number: f64| match *op {
                    ">" => number > *value,
                    ">=" => number >= *value,
                    "<" => number < *value,
                    "<=" => number <= *value,
                    "!=" => number != *value,
                    _ => number == *value,
                })
            }
        }
    }

    /// The one trace that all rows must be of, if this says so.
    fn trace(&self) -> Option<TraceId> {
        match self {
            Self::Text { name, negate: false, value } if name == "trace_id" => {
                TraceId::from_spelling(value.as_bytes()).ok()
            }
            Self::And(left, right) => left.trace().or_else(|| right.trace()),
            _ => None,
        }
    }
}

/// Labels of a JSON object: nested keys joined by `_`, names cleaned as Prometheus has them.
fn json(row: &mut Row, paths: &[(String, String)]) {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&row.line) else {
        row.set("__error__", "JSONParserErr".to_owned());
        return;
    };
    let object = serde_json::Value::Object(object);
    if paths.is_empty() {
        let mut found = Vec::new();
        flatten("", &object, &mut found);
        for (name, value) in found {
            row.set(&name, value);
        }
        return;
    }
    for (name, path) in paths {
        let plain_path = path.replace("[\"", ".").replace("\"]", "").replace('[', ".").replace(']', "");
        let mut pointer = String::new();
        for part in plain_path.split('.').filter(|part| !part.is_empty()) {
            pointer.push('/');
            pointer.push_str(part);
        }
        row.set(name, object.pointer(&pointer).map(plain).unwrap_or_default());
    }
}

fn flatten(prefix: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let key: String =
                    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                let name = if prefix.is_empty() { key } else { format!("{prefix}_{key}") };
                flatten(&name, value, out);
            }
        }
        serde_json::Value::Array(_) | serde_json::Value::Null => {}
        scalar => out.push((prefix.to_owned(), plain(scalar))),
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn logfmt(row: &mut Row) {
    let text = String::from_utf8_lossy(&row.line).into_owned();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let split = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(split);
        let Some(after) = after.strip_prefix('=') else {
            rest = after.trim_start();
            continue;
        };
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if !name.is_empty() && !value.is_empty() {
            row.set(&name, value.to_owned());
        }
        rest = next.trim_start();
    }
}

/// The line without ANSI colour sequences.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == 0x1b {
            // `ESC [ ... letter`
            let _ = bytes.by_ref().find(|b| b.is_ascii_alphabetic());
        } else {
            out.push(byte);
        }
    }
    out
}
