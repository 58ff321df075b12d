//! A tree of plain values that keeps the order of its keys, and its two spellings: YAML in block style and JSON.
//!
//! The YAML half writes only what this crate needs, and quotes whatever another reader could take for something else.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value of a generated document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    /// A map from keys and values, in this order.
    pub(crate) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A map from as many keys and values as there are, in this order.
    pub(crate) fn of(entries: Vec<(&str, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A list of anything that is a node.
    pub(crate) fn list(items: impl IntoIterator<Item = impl Into<Self>>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The same tree with each text value (keys stay) replaced.
    pub(crate) fn map_text(self, change: &impl Fn(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Self::Text(change(&text)),
            Self::List(items) => Self::List(items.into_iter().map(|item| item.map_text(change)).collect()),
            Self::Map(entries) => {
                Self::Map(entries.into_iter().map(|(key, value)| (key, value.map_text(change))).collect())
            }
            other => other,
        }
    }

    /// Block-style YAML, ending in a newline.
    pub(crate) fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.write_block(&mut out, 0);
        out
    }

    /// Indented JSON, ending in a newline.
    pub(crate) fn to_json(&self) -> String {
        // Serialising a tree of strings, integers, lists and string-keyed maps into memory has no way to fail.
        let mut out = serde_json::to_string_pretty(self).unwrap_or_default();
        out.push('\n');
        out
    }

    /// Writes the node as a block that starts at the present column and ends with a newline.
    fn write_block(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (number, (key, value)) in entries.iter().enumerate() {
                    if number > 0 {
                        push_indent(out, indent);
                    }
                    push_scalar(out, key);
                    out.push(':');
                    value.write_after_key(out, indent);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        push_indent(out, indent);
                    }
                    out.push_str("- ");
                    item.write_block(out, indent + 2);
                }
            }
            leaf => {
                leaf.push_leaf(out, indent);
                out.push('\n');
            }
        }
    }

    fn write_after_key(&self, out: &mut String, indent: usize) {
        let nested = match self {
            Self::Map(entries) => !entries.is_empty(),
            Self::List(items) => !items.is_empty(),
            _ => false,
        };
        if nested {
            out.push('\n');
            push_indent(out, indent + 2);
            self.write_block(out, indent + 2);
        } else {
            out.push(' ');
            self.push_leaf(out, indent + 2);
            out.push('\n');
        }
    }

    /// A scalar or an empty collection, without the newline after it; `indent` is that of a literal block's lines.
    fn push_leaf(&self, out: &mut String, indent: usize) {
        match self {
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Text(text) if is_literal_block(text) => {
                out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
                for line in text.lines() {
                    out.push('\n');
                    if !line.is_empty() {
                        push_indent(out, indent);
                        out.push_str(line);
                    }
                }
            }
            Self::Text(text) => push_scalar(out, text),
            Self::List(_) => out.push_str("[]"),
            Self::Map(_) => out.push_str("{}"),
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether the text reads back the same from a `|` or `|-` block: several lines of printable text that neither begins with
/// a blank nor ends in blank lines.
fn is_literal_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
}

/// Plain where no reader of YAML 1.1 or 1.2 could take the text for anything but this text, else in single quotes, else
/// (control characters, line breaks, anything beyond ASCII) in double quotes.
fn push_scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text.chars().all(|c| (' '..='~').contains(&c)) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                ' '..='~' => out.push(c),
                _ if (c as u32) <= 0xFFFF => out.push_str(&format!("\\u{:04X}", c as u32)),
                _ => out.push_str(&format!("\\U{:08X}", c as u32)),
            }
        }
        out.push('"');
    }
}

fn is_plain(text: &str) -> bool {
    /// Words that YAML 1.1 reads as booleans or null.
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
