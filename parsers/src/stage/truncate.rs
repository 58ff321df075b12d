//! `truncate`: shortens the line, labels, metadata or extracted values, at a character's boundary.

use super::config::{TruncateConfig, TruncateRule, TruncateTarget};
use super::entry::{Entry, Fields, cut};

#[derive(Debug, Clone)]
pub(super) struct Truncate(Vec<TruncateRule>);

impl Truncate {
    pub fn new(config: &TruncateConfig) -> Result<Self, String> {
        if config.rules.is_empty() {
            return Err("expected at least one `rules` entry".into());
        }
        if let Some(rule) = config.rules.iter().find(|rule| rule.suffix.len() as u64 >= rule.limit) {
            return Err(format!(
                "a `limit` of {} leaves no room beside its suffix `{}`",
                rule.limit, rule.suffix
            ));
        }
        Ok(Self(config.rules.clone()))
    }

    pub fn apply(&self, entry: &mut Entry) {
        for rule in &self.0 {
            match &rule.target {
                TruncateTarget::Line => entry.truncated += shorten(&mut entry.line, rule),
                TruncateTarget::Label(name) => fields(&mut entry.labels, name.as_deref(), rule),
                TruncateTarget::StructuredMetadata(name) => {
                    fields(&mut entry.metadata, name.as_deref(), rule);
                }
                TruncateTarget::Extracted(name) => fields(&mut entry.extracted, name.as_deref(), rule),
            }
        }
    }
}

fn shorten(text: &mut String, rule: &TruncateRule) -> u64 {
    let limit = usize::try_from(rule.limit).unwrap_or(usize::MAX);
    if text.len() <= limit {
        return 0;
    }
    let lost = cut(text, limit.saturating_sub(rule.suffix.len()));
    text.push_str(&rule.suffix);
    lost as u64
}

fn fields(fields: &mut Fields, name: Option<&str>, rule: &TruncateRule) {
    let long: Vec<(String, String)> = fields
        .iter()
        .filter(|(key, value)| name.is_none_or(|name| name == *key) && value.len() as u64 > rule.limit)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for (key, mut value) in long {
        shorten(&mut value, rule);
        fields.set(&key, value);
    }
}
