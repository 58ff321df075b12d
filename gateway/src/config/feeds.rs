//! `collect.stdin`, `collect.journal` and `collect.syslog`: what is collected besides files.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use parsers::stage::StageConfig;
use parsers::stage::relabel::RelabelConfig;
use tail::feed::Transport;

use super::node::{Kind, Node};
use super::reader::{Mistakes, Section, scalar};
use super::render::{duration, list, quoted};
use super::{Files, is_label_name, values};

/// Found in the `PATH`.
const JOURNALCTL: &str = "journalctl";
/// As Promtail: a shift's worth.
const MAX_AGE: Duration = Duration::from_hours(7);

/// As Promtail; RFC 5424 wants 2 KiB at least, and this where it can be.
const MAX_MESSAGE: u64 = 8 << 10;
/// The longest message that may be asked for: what a line of a file may have.
const MAX_MAX_MESSAGE: u64 = 256 << 10;
/// As Promtail.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

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

    /// Whether the configuration says anything of it.
    pub(super) fn is_given(&self) -> bool {
        !self.labels.is_empty() || !self.lines.written.is_empty()
    }

    /// What is done to its lines.
    pub(super) fn lines_mut(&mut self) -> &mut Files {
        &mut self.lines
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

/// Where to listen for syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// `tcp://` or `udp://`
    pub transport: Transport,
    /// What follows it
    pub address: SocketAddr,
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        write!(f, "{transport}://{}", self.address)
    }
}

/// An element of `collect.syslog`
#[derive(Debug, Clone, PartialEq)]
pub struct Syslog {
    /// `listen`
    pub listen: Listen,
    /// `use_incoming_timestamp`: the message's own time, not that of its arrival
    pub use_incoming_timestamp: bool,
    /// `max_message_bytes`
    pub max_message_bytes: u64,
    /// `idle_timeout` of a connection
    pub idle_timeout: Duration,
    /// `labels`, `relabel_configs`, `pipeline_stages`
    pub feed: Feed,
}

impl Syslog {
    pub(super) fn render(&self, indent: &str, out: &mut String) {
        let _ = writeln!(out, "{indent}- listen: {}", quoted(&self.listen.to_string()));
        let _ = writeln!(out, "{indent}  use_incoming_timestamp: {}", self.use_incoming_timestamp);
        let _ = writeln!(out, "{indent}  max_message_bytes: {}", self.max_message_bytes);
        let _ = writeln!(out, "{indent}  idle_timeout: {}", duration(self.idle_timeout));
        self.feed.render(&format!("{indent}  "), out);
    }
}

/// `collect.syslog`
pub(super) fn syslog(list: &[(String, Node)], mistakes: &mut Mistakes) -> Vec<Syslog> {
    let mut sources = Vec::new();
    for (path, node) in list {
        let mut section = Section::new(Some(node.clone()), path, mistakes);
        if section.peek("listen").is_none() && matches!(node.kind, Kind::Map(_)) {
            mistakes.push(&node.place, &section.path("listen"), format!("expected {LISTEN}"));
        }
        let address = section.value("listen", listen, mistakes);
        let use_incoming_timestamp = section.value("use_incoming_timestamp", values::boolean, mistakes);
        let max_message_bytes = section.value("max_message_bytes", max_message, mistakes);
        let idle_timeout = section.value("idle_timeout", values::duration, mistakes);
        let feed = Feed::take(&mut section, mistakes);
        section.end(mistakes);
        sources.extend(address.map(|listen| Syslog {
            listen,
            use_incoming_timestamp: use_incoming_timestamp.unwrap_or_default(),
            max_message_bytes: max_message_bytes.unwrap_or(MAX_MESSAGE),
            idle_timeout: idle_timeout.unwrap_or(IDLE_TIMEOUT),
            feed,
        }));
    }
    sources
}

const LISTEN: &str = "where to listen, such as `tcp://0.0.0.0:1514` or `udp://0.0.0.0:1514`";

fn listen(text: &str) -> Result<Listen, String> {
    let (transport, address) = match text.split_once("://") {
        Some(("tcp", address)) => (Transport::Tcp, address),
        Some(("udp", address)) => (Transport::Udp, address),
        _ => return Err(LISTEN.into()),
    };
    Ok(Listen { transport, address: values::address(address).map_err(|_| LISTEN)? })
}

fn max_message(text: &str) -> Result<u64, String> {
    let expected = || "a size from `480` to `256KiB`".to_owned();
    values::bytes(text).ok().filter(|bytes| (480..=MAX_MAX_MESSAGE).contains(bytes)).ok_or_else(expected)
}
