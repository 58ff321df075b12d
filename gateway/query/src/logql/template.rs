//! The part of Go's templates that Grafana's links and builders use: `{{.label}}`, `{{ __line__ }}`, `{{ contains "x" __line__ }}`.

use super::pipeline::Row;

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Label(String),
    Line,
    Contains(String),
}

/// A template that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    /// Reads it; the error names what is not supported.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let (action, after) = after.split_once("}}").ok_or("a template action has no closing `}}`")?;
            parts.push(action_part(action.trim_matches(['-', ' ']))?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Fills it in.
    pub(super) fn render(&self, row: &Row) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Label(name) => out.push_str(&row.get(name)),
                Part::Line => out.push_str(&String::from_utf8_lossy(&row.line)),
                Part::Contains(needle) => {
                    let found = String::from_utf8_lossy(&row.line).contains(needle.as_str());
                    out.push_str(if found { "true" } else { "false" });
                }
            }
        }
        out
    }
}

fn action_part(action: &str) -> Result<Part, String> {
    if action == "__line__" {
        return Ok(Part::Line);
    }
    if let Some(name) = action.strip_prefix('.')
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Ok(Part::Label(name.to_owned()));
    }
    if let Some(rest) = action.strip_prefix("contains ") {
        let rest = rest.trim().strip_suffix("__line__").map(str::trim);
        if let Some(needle) = rest.and_then(|text| text.strip_prefix('"')?.strip_suffix('"')) {
            return Ok(Part::Contains(needle.to_owned()));
        }
    }
    Err(format!(
        "the template action `{action}` is not supported; supported: .label, __line__, contains \"text\" __line__"
    ))
}
