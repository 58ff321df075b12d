//! `drop`: drops lines of which all that is configured holds.

use std::sync::Arc;

use regex::Regex;

use super::config::DropConfig;
use super::entry::Entry;
use super::error::compile;
use super::pipeline::Flow;

#[derive(Debug, Clone)]
pub(super) struct Drop {
    source: Vec<String>,
    separator: String,
    expression: Option<Regex>,
    value: Option<String>,
    older_than: Option<u64>,
    longer_than: Option<u64>,
    reason: Arc<str>,
}

impl Drop {
    pub fn new(config: &DropConfig) -> Result<Self, String> {
        let DropConfig { source, separator, expression, value, older_than, longer_than, drop_counter_reason } =
            config;
        if source.is_empty() && expression.is_none() && older_than.is_none() && longer_than.is_none() {
            return Err(
                "expected at least one of `source`, `expression`, `older_than` and `longer_than`".into()
            );
        }
        if value.is_some() && expression.is_some() {
            return Err("`value` and `expression` cannot both be given".into());
        }
        if value.is_some() && source.is_empty() {
            return Err("`value` needs a `source` to compare".into());
        }
        Ok(Self {
            source: source.clone(),
            separator: separator.clone().unwrap_or_else(|| ";".into()),
            expression: expression.as_deref().map(compile).transpose()?,
            value: value.clone(),
            older_than: *older_than,
            longer_than: *longer_than,
            reason: drop_counter_reason.as_deref().unwrap_or("drop_stage").into(),
        })
    }

    pub fn apply(&self, entry: &Entry, now: u64) -> Flow {
        if self.holds(entry, now) { Flow::Drop(Arc::clone(&self.reason)) } else { Flow::Next }
    }

    fn holds(&self, entry: &Entry, now: u64) -> bool {
        if self.longer_than.is_some_and(|limit| entry.line.len() as u64 <= limit) {
            return false;
        }
        if self.older_than.is_some_and(|age| entry.time >= now.saturating_sub(age)) {
            return false;
        }
        if self.source.is_empty() {
            return self.expression.as_ref().is_none_or(|regex| regex.is_match(&entry.line));
        }
        let found: Vec<&str> = self.source.iter().filter_map(|name| entry.extracted.get(name)).collect();
        let joined = || found.join(&self.separator);
        match (&self.expression, &self.value) {
            (Some(regex), _) => regex.is_match(&joined()),
            (None, Some(value)) => joined() == *value,
            (None, None) => found.len() == self.source.len(),
        }
    }
}
