//! `collect.stdin` and `collect.journal`: what is collected besides files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use parsers::stage::StageConfig;
use parsers::stage::relabel::RelabelConfig;

use super::node::{Kind, Node};
use super::reader::{Mistakes, Section, scalar};
use super::render::{duration, list, quoted};
use super::{Files, values};

/// Found in the `PATH`.
const JOURNALCTL: &str = "journalctl";
/// As Promtail: a shift's worth.
const MAX_AGE: Duration = Duration::from_hours(7);

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

/// `collect.journal`
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// `path`: the journal's folder, if not the machine's own
    pub directory: Option<PathBuf>,
    /// `max_age`: how far back a first run goes
    pub max_age: Duration,
    /// `json`: whether a record is the whole entry
    pub json: bool,
    /// `matches`: such as `_SYSTEMD_UNIT=ssh.service`; all of them have to hold
    pub matches: Vec<String>,
    /// `journalctl`: the program
    pub program: PathBuf,
    /// `labels`, `relabel_configs`, `pipeline_stages`
    pub feed: Feed,
}

impl Journal {
    pub(super) fn render(&self, indent: &str, out: &mut String) {
        if let Some(directory) = &self.directory {
            let _ = writeln!(out, "{indent}path: {}", quoted(&directory.display().to_string()));
        }
        let _ = writeln!(out, "{indent}max_age: {}\n{indent}json: {}", duration(self.max_age), self.json);
        let _ = writeln!(out, "{indent}matches: {}", list(&self.matches));
        let _ = writeln!(out, "{indent}journalctl: {}", quoted(&self.program.display().to_string()));
        self.feed.render(indent, out);
    }
}

/// `collect.journal`
pub(super) fn journal(mut section: Section, mistakes: &mut Mistakes) -> Journal {
    let mut matches = Vec::new();
    for (path, node) in section.list("matches", mistakes).unwrap_or_default() {
        matches.extend(scalar(&node, &path, a_match, mistakes));
    }
    let journal = Journal {
        directory: section.value("path", values::text, mistakes).map(PathBuf::from),
        max_age: section.value("max_age", values::duration, mistakes).unwrap_or(MAX_AGE),
        json: section.value("json", values::boolean, mistakes).unwrap_or_default(),
        matches,
        program: section
            .value("journalctl", values::text, mistakes)
            .unwrap_or_else(|| JOURNALCTL.into())
            .into(),
        feed: Feed::take(&mut section, mistakes),
    };
    section.end(mistakes);
    journal
}

/// `FIELD=value`; anything else `journalctl` might take for an option.
fn a_match(text: &str) -> Result<String, String> {
    let field = text.split_once('=').map(|(field, _)| field);
    let valid = |field: &str| {
        !field.is_empty() && field.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    match field {
        Some(field) if valid(field) => Ok(text.to_owned()),
        _ => Err("a match such as `_SYSTEMD_UNIT=ssh.service`".into()),
    }
}
