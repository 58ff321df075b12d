//! `replace`: puts other text in the place of an expression's groups.

use std::ops::Range;

use regex::{Captures, Regex};

use super::config::ReplaceConfig;
use super::entry::{Entry, MAX_VALUE, cut};
use super::error::compile;
use super::template::{Extracted, Template};

#[derive(Debug, Clone)]
pub(super) struct Replace {
    regex: Regex,
    source: Option<String>,
    template: Template,
}

impl Replace {
    pub fn new(config: &ReplaceConfig) -> Result<Self, String> {
        if config.expression.is_empty() {
            return Err("expected an `expression`".into());
        }
        let regex = compile(&config.expression)?;
        if regex.captures_len() < 2 {
            return Err(
                "its expression has no group, and groups are what is replaced: put `(...)` round it".into()
            );
        }
        Ok(Self { regex, source: config.source.clone(), template: Template::new(&config.replace)? })
    }

    pub fn apply(&self, entry: &mut Entry) {
        let text = match &self.source {
            Some(source) => match entry.extracted.get(source) {
                Some(text) => text.to_owned(),
                None => return,
            },
            None => std::mem::take(&mut entry.line),
        };
        let mut replaced = self.replaced(&text, entry).unwrap_or(text);
        match &self.source {
            Some(source) => entry.extracted.set(source, replaced),
            None => {
                entry.truncated += cut(&mut replaced, MAX_VALUE) as u64;
                entry.line = replaced;
            }
        }
    }

    /// `None` if nothing matches or the template fails.
    fn replaced(&self, text: &str, entry: &mut Entry) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        let mut named = Vec::new();
        for (at, captures) in self.regex.captures_iter(text).enumerate() {
            for (range, value) in self.groups(&captures, &entry.extracted)? {
                // A group inside one that has been replaced is gone with it.
                if range.start >= done {
                    out.push_str(text.get(done..range.start)?);
                    out.push_str(&value);
                    done = range.end;
                }
            }
            // Names are given to what replaces the groups of the first match.
            for name in self.regex.capture_names().flatten().filter(|_| at == 0) {
                if let Some(group) = captures.name(name) {
                    named.push((name, self.fill(group.as_str(), &entry.extracted)?));
                }
            }
            // What follows would be cut anyway.
            if out.len() > MAX_VALUE {
                break;
            }
        }
        if done == 0 && named.is_empty() && !self.regex.is_match(text) {
            return None;
        }
        for (name, value) in named {
            entry.extracted.set(name, value);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Some(out)
    }

    fn groups(
        &self,
        captures: &Captures<'_>,
        extracted: &super::entry::Fields,
    ) -> Option<Vec<(Range<usize>, String)>> {
        let groups = captures.iter().skip(1).flatten();
        groups.map(|group| Some((group.range(), self.fill(group.as_str(), extracted)?))).collect()
    }

    fn fill(&self, value: &str, extracted: &super::entry::Fields) -> Option<String> {
        self.template
            .render(&Extracted { value: Some(value), entry: None, time: None, others: extracted })
            .ok()
    }
}
