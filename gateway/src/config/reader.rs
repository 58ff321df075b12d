//! Reads a tree of nodes key by key, collecting every mistake: unknown keys with the nearest known one, bad values with what
//! was expected.

use std::fmt;

use super::node::{Kind, Node, Place};

/// One thing that is wrong in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as it was named.
    pub file: String,
    /// Where in it, or which variable.
    pub place: Place,
    /// Path of the key, such as `store.retention.logs`.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line) => write!(f, "{}:{line}: ", self.file)?,
            Place::Variable(name) => write!(f, "{name}: ")?,
        }
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// Collects mistakes of one file.
#[derive(Debug)]
pub struct Mistakes {
    file: String,
    found: Vec<Mistake>,
}

impl Mistakes {
    /// For a file of this name.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// Notes one.
    pub fn push(&mut self, place: &Place, key: &str, message: impl Into<String>) {
        self.found.push(Mistake {
            file: self.file.clone(),
            place: place.clone(),
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// The value, if nothing is wrong; otherwise all mistakes.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.into_sorted()) }
    }

    /// The mistakes in file order, those of variables last.
    pub fn into_sorted(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|m| match m.place {
            Place::Line(line) => line,
            Place::Variable(_) => u64::MAX,
        });
        self.found
    }
}

/// A mapping being read: each key is taken once, [`Section::end`] complains of what is left.
#[derive(Debug)]
pub struct Section {
    path: String,
    entries: Vec<(String, Place, Node)>,
    known: Vec<&'static str>,
}

impl Section {
    /// A node as a mapping. Nothing and `null` are the empty mapping.
    pub fn new(node: Option<Node>, path: &str, mistakes: &mut Mistakes) -> Self {
        let entries = match node {
            None => Vec::new(),
            Some(Node { kind: Kind::Null, .. }) => Vec::new(),
            Some(Node { kind: Kind::Map(entries), .. }) => entries,
            Some(node) => {
                mistakes.push(&node.place, path, format!("expected a mapping, came {}", came(&node, path)));
                Vec::new()
            }
        };
        Self { path: path.to_owned(), entries, known: Vec::new() }
    }

    /// Path of a key below this section.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a key's node.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.entries.iter().position(|(name, _, _)| name == key)?;
        Some(self.entries.remove(index).2)
    }

    /// A key's node, which stays.
    pub fn peek(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    /// Where a key's value stands, if it has one: `null` is none.
    pub fn given(&self, key: &str) -> Option<Place> {
        let node = self.peek(key).filter(|node| !matches!(node.kind, Kind::Null));
        node.map(|node| node.place.clone())
    }

    /// Takes a mapping.
    pub fn section(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Self {
        let path = self.path(key);
        Self::new(self.take(key), &path, mistakes)
    }

    /// Takes a mapping that may be absent altogether.
    pub fn optional_section(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Self> {
        let path = self.path(key);
        self.take(key).map(|node| Self::new(Some(node), &path, mistakes))
    }

    /// Takes a list; each element comes with its path.
    pub fn list(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Vec<(String, Node)>> {
        let path = self.path(key);
        let node = self.take(key)?;
        match node.kind {
            Kind::List(list) => {
                Some(list.into_iter().enumerate().map(|(i, node)| (format!("{path}[{i}]"), node)).collect())
            }
            Kind::Null => Some(Vec::new()),
            _ => {
                mistakes.push(&node.place, &path, format!("expected a list, came {}", came(&node, &path)));
                None
            }
        }
    }

    /// Takes a scalar and reads it; the reader's error says what was expected.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let path = self.path(key);
        let node = self.take(key)?;
        scalar(&node, &path, read, mistakes)
    }

    /// Takes a mapping of free names to scalars.
    pub fn pairs(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Vec<(String, String)> {
        let rest = self.section(key, mistakes);
        let path = rest.path.clone();
        rest.entries
            .into_iter()
            .filter_map(|(name, _, node)| {
                let value = scalar(&node, &format!("{path}.{name}"), |text| Ok(text.to_owned()), mistakes)?;
                Some((name, value))
            })
            .collect()
    }

    /// Says what was not taken.
    pub fn end(self, mistakes: &mut Mistakes) {
        for (name, place, _) in &self.entries {
            let message = match nearest(name, &self.known) {
                Some(near) => format!("unknown key; did you mean `{near}`?"),
                None => format!("unknown key; known here: {}", self.known.join(", ")),
            };
            mistakes.push(place, &self.path(name), message);
        }
    }
}

/// Reads a scalar node.
pub fn scalar<T>(
    node: &Node,
    path: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    match &node.kind {
        Kind::Scalar(text) => match read(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                mistakes.push(&node.place, path, format!("expected {expected}, came {}", came(node, path)));
                None
            }
        },
        _ => {
            mistakes.push(&node.place, path, format!("expected a single value, came {}", came(node, path)));
            None
        }
    }
}

/// Keys below which secrets stand, or would if what stands there were right. Values of headers may be some.
const SECRETS: [&str; 9] = [
    "bearer_token",
    "bearer_token_file",
    "basic_auth",
    "headers",
    "secret_token",
    "api_keys",
    "sha256",
    "token_file",
    "key_file",
];

/// What stands somewhere, for a message: no secret, and no password of a URL.
fn came(node: &Node, path: &str) -> String {
    let is_secret = |segment: &str| SECRETS.contains(&segment.split('[').next().unwrap_or_default());
    match &node.kind {
        Kind::Scalar(_) if path.split('.').any(is_secret) => "something else (not shown)".to_owned(),
        Kind::Scalar(text) => match text.split_once("://").zip(text.rsplit_once('@')) {
            Some(((scheme, _), (_, host))) => format!("`{scheme}://***@{host}`"),
            None => node.kind.describe(),
        },
        _ => node.kind.describe(),
    }
}

/// The known key within an edit distance of a third of its length.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .filter(|(d, candidate)| *d <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
