//! `regex`: named groups of an expression become extracted values.

use regex::Regex;

use super::config::RegexConfig;
use super::entry::Entry;
use super::error::{compile, is_label_name};

#[derive(Debug, Clone)]
pub(super) struct RegexStage {
    regex: Regex,
    source: Option<String>,
    labels: bool,
}

impl RegexStage {
    pub fn new(config: &RegexConfig) -> Result<Self, String> {
        if config.expression.is_empty() {
            return Err("expected an `expression`".into());
        }
        let regex = compile(&config.expression)?;
        let names: Vec<&str> = regex.capture_names().flatten().collect();
        if names.is_empty() {
            return Err(
                "its expression names no group, so it would find nothing: write for instance (?P<level>\\w+)"
                    .into(),
            );
        }
        if config.labels_from_groups
            && let Some(bad) = names.iter().find(|name| !is_label_name(name))
        {
            return Err(format!("the group `{bad}` cannot name a label"));
        }
        Ok(Self { regex, source: config.source.clone(), labels: config.labels_from_groups })
    }

    pub fn apply(&self, entry: &mut Entry) {
        let Entry { line, extracted, labels, .. } = entry;
        let text = match &self.source {
            Some(source) => match extracted.get(source) {
                Some(text) => text.to_owned(),
                None => return,
            },
            None => std::mem::take(line),
        };
        if let Some(captures) = self.regex.captures(&text) {
            for (at, name) in self.regex.capture_names().enumerate() {
                let Some(name) = name else { continue };
                // A group that took no part extracts the empty text, as Go has it.
                let value = captures.get(at).map_or("", |group| group.as_str());
                extracted.set(name, value);
                if self.labels && !value.is_empty() {
                    labels.set(name, value);
                }
            }
        }
        if self.source.is_none() {
            *line = text;
        }
    }
}
