//! The part of JMESPath that `json` stages use: `a.b`, `a[0]`, `a[-1]`, `"a.b".c`. Anything else is an error with its column.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(i64),
}

/// A path into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Part>);

impl Path {
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        let column = |rest: &str| text.len() - rest.len() + 1 - (text.len() - text.trim_end().len());
        let refuse = |rest: &str| {
            let what = rest.chars().next().map_or("its end".to_owned(), |c| format!("`{c}`"));
            format!(
                "the path `{text}` has {what} at column {}; supported are names, \"quoted names\", dots and [indexes]",
                column(rest)
            )
        };
        let mut name_next = true;
        while !rest.is_empty() || name_next {
            if let Some(inner) = rest.strip_prefix('[').filter(|_| !name_next || parts.is_empty()) {
                let (digits, after) = inner.split_once(']').ok_or_else(|| refuse(rest))?;
                parts.push(Part::Index(digits.trim().parse().map_err(|_| refuse(inner))?));
                rest = after;
                name_next = false;
                continue;
            }
            if !name_next {
                rest = rest.strip_prefix('.').ok_or_else(|| refuse(rest))?;
            }
            if rest.starts_with('"') {
                let end = closing_quote(rest).ok_or_else(|| refuse(rest))?;
                let (quoted, after) = rest.split_at_checked(end + 1).ok_or_else(|| refuse(rest))?;
                parts.push(Part::Key(serde_json::from_str(quoted).map_err(|_| refuse(rest))?));
                rest = after;
            } else {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).ok_or_else(|| refuse(rest))?;
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(refuse(rest));
                }
                parts.push(Part::Key(name.to_owned()));
                rest = after;
            }
            name_next = false;
        }
        Ok(Self(parts))
    }

    /// The value there; `None` if there is none, or `null`.
    pub fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let mut at = value;
        for part in &self.0 {
            at = match part {
                Part::Key(key) => at.as_object()?.get(key)?,
                Part::Index(index) => {
                    let list = at.as_array()?;
                    let from_end = list.len() as i64 + index;
                    list.get(usize::try_from(if *index < 0 { from_end } else { *index }).ok()?)?
                }
            };
        }
        (!at.is_null()).then_some(at)
    }
}

/// Where the string that begins the text ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}
