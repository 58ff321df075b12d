//! `collect.stdin`: what is collected besides files.

use std::fmt::Write as _;

use parsers::stage::StageConfig;
use parsers::stage::relabel::RelabelConfig;

use super::Files;
use super::node::{Kind, Node};
use super::reader::{Mistakes, Section};
use super::render::quoted;

/// What is done to the records of a source that is not a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// `labels`
    pub labels: Vec<(String, String)>,
    lines: Files,
}

impl Default for Feed {
    fn default() -> Self {
        Self { labels: Vec::new(), lines: Files::new("") }
    }
}

impl Feed {
    /// `pipeline_stages`
    pub fn stages(&self) -> &[StageConfig] {
        &self.lines.stages
    }

    /// `relabel_configs`
    pub fn relabel(&self) -> &[RelabelConfig] {
        &self.lines.relabel
    }

    /// Takes the keys that all such sources have.
    fn take(section: &mut Section, mistakes: &mut Mistakes) -> Self {
        if let Some(Node { kind: Kind::Map(entries), .. }) = section.peek("labels") {
            for (name, place, _) in entries {
                if !is_label_name(name) {
                    let path = format!("{}.{name}", section.path("labels"));
                    mistakes.push(place, &path, "cannot name a label: expected letters, digits and `_`");
                }
            }
        }
        Self {
            labels: section.pairs("labels", mistakes),
            lines: super::pipeline(String::new(), section, mistakes),
        }
    }

    /// Writes what there is, each key in a line of its own.
    pub(super) fn render(&self, indent: &str, out: &mut String) {
        if !self.labels.is_empty() {
            let pairs: Vec<String> = self
                .labels
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
                .collect();
            let _ = writeln!(out, "{indent}labels: {{{}}}", pairs.join(", "));
        }
        for (key, text) in &self.lines.written {
            let _ = writeln!(out, "{indent}{key}: {text}");
        }
    }
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `collect.stdin`
pub(super) fn stdin(mut section: Section, mistakes: &mut Mistakes) -> Feed {
    let feed = Feed::take(&mut section, mistakes);
    section.end(mistakes);
    feed
}
