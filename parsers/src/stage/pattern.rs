//! `pattern`: texts between fixed parts become extracted values, as in LogQL's `pattern`.

use super::config::PatternConfig;
use super::entry::Entry;
use super::error::is_label_name;

/// Texts with names between them, such as `<ip> - <user>`. Compares by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturePattern {
    text: String,
    parts: Vec<Part>,
}

impl CapturePattern {
    /// Reads a pattern; the error is for people.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), parts: parse(text)? })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What each name stands for, as far as the text goes with the pattern; the last has all that is left.
    pub fn find<'s, 't>(&'s self, text: &'t str) -> Vec<(&'s str, &'t str)> {
        let mut found = Vec::new();
        let mut rest = text;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(fixed) => match rest.strip_prefix(fixed.as_str()) {
                    Some(after) => rest = after,
                    None => return found,
                },
                Part::Name(name) => {
                    let end = match parts.peek() {
                        Some(Part::Text(fixed)) => rest.find(fixed.as_str()).unwrap_or(rest.len()),
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at(end);
                    if let Some(name) = name {
                        found.push((name.as_str(), value));
                    }
                    rest = after;
                }
            }
        }
        found
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `None` is `<_>`.
    Name(Option<String>),
}

#[derive(Debug, Clone)]
pub(super) struct PatternStage {
    pattern: CapturePattern,
    source: Option<String>,
    labels: bool,
}

impl PatternStage {
    pub fn new(config: &PatternConfig) -> Result<Self, String> {
        let pattern = CapturePattern::new(&config.pattern)?;
        Ok(Self { pattern, source: config.source.clone(), labels: config.labels_from_groups })
    }

    pub fn apply(&self, entry: &mut Entry) {
        let text = match &self.source {
            Some(source) => match entry.extracted.get(source) {
                Some(text) => text.to_owned(),
                None => return,
            },
            None => std::mem::take(&mut entry.line),
        };
        for (name, value) in self.pattern.find(&text) {
            entry.extracted.set(name, value);
            if self.labels && !value.is_empty() {
                entry.labels.set(name, value);
            }
        }
        if self.source.is_none() {
            entry.line = text;
        }
    }
}

fn parse(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    let mut fixed = String::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let name = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
        let name = name.filter(|(name, _)| is_label_name(name));
        if let Some((name, after)) = name {
            if !fixed.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut fixed)));
            } else if matches!(parts.last(), Some(Part::Name(_))) {
                return Err(format!(
                    "`<{name}>` follows another name at once: some text must stand between them"
                ));
            }
            let seen = parts.iter().any(|part| matches!(part, Part::Name(Some(seen)) if seen == name));
            if seen {
                return Err(format!("`<{name}>` occurs twice"));
            }
            parts.push(Part::Name((name != "_").then(|| name.to_owned())));
            rest = after;
        } else {
            let mut chars = rest.chars();
            fixed.extend(chars.next());
            rest = chars.as_str();
        }
    }
    if !fixed.is_empty() {
        parts.push(Part::Text(fixed));
    }
    if !parts.iter().any(|part| matches!(part, Part::Name(Some(_)))) {
        return Err(
            "the pattern names nothing, so it would find nothing: write for instance `<ip> - <user>`".into(),
        );
    }
    Ok(parts)
}
