//! An expression as text that reads as the same expression.

use std::fmt;

use super::ast::{At, Card, LabelMatcher, MatchKind, Moved, Node, NodeKind, Selector};
use super::labels::NAME;
use super::parse::{show_duration, show_number};

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Number(number) => f.write_str(&show_number(*number)),
            NodeKind::Text(text) => f.write_str(&quoted(text)),
            NodeKind::Vector(selector) => {
                write!(f, "{selector}{}", selector.moved)
            }
            NodeKind::Matrix { selector, range } => {
                write!(f, "{selector}[{}]{}", show_duration(*range), selector.moved)
            }
            NodeKind::Subquery(subquery) => {
                let step = subquery.step.map(show_duration).unwrap_or_default();
                write!(f, "{}[{}:{step}]{}", subquery.inner, show_duration(subquery.range), subquery.moved)
            }
            NodeKind::Unary(inner) => write!(f, "-{inner}"),
            NodeKind::Paren(inner) => write!(f, "({inner})"),
            NodeKind::Binary(binary) => {
                write!(f, "{} {}", binary.left, binary.op.symbol())?;
                if binary.return_bool {
                    f.write_str(" bool")?;
                }
                let matching = &binary.matching;
                if matching.given {
                    let word = if matching.on { "on" } else { "ignoring" };
                    write!(f, " {word} ({})", names(&matching.labels))?;
                    match matching.card {
                        Card::ManyToOne => write!(f, " group_left ({})", names(&matching.include))?,
                        Card::OneToMany => write!(f, " group_right ({})", names(&matching.include))?,
                        Card::OneToOne | Card::ManyToMany => {}
                    }
                }
                write!(f, " {}", binary.right)
            }
            NodeKind::Aggregate(aggregate) => {
                f.write_str(aggregate.op.name())?;
                if aggregate.without {
                    write!(f, " without ({}) ", names(&aggregate.grouping))?;
                } else if !aggregate.grouping.is_empty() {
                    write!(f, " by ({}) ", names(&aggregate.grouping))?;
                }
                match &aggregate.parameter {
                    Some(parameter) => write!(f, "({parameter}, {})", aggregate.inner),
                    None => write!(f, "({})", aggregate.inner),
                }
            }
            NodeKind::Call { function, arguments } => {
                let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                write!(f, "{}({})", function.name, arguments.join(", "))
            }
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.name.as_deref().filter(|name| is_plain(name, true));
        let is_name = |m: &&LabelMatcher| m.name == NAME && m.kind == MatchKind::Equal;
        let mut parts: Vec<String> = Vec::new();
        for matcher in &self.matchers {
            if self.name.is_some() && is_name(&matcher) {
                if plain.is_none() {
                    parts.push(quoted(&matcher.value));
                }
                continue;
            }
            let name =
                if is_plain(&matcher.name, false) { matcher.name.clone() } else { quoted(&matcher.name) };
            parts.push(format!("{name}{}{}", matcher.kind.symbol(), quoted(&matcher.value)));
        }
        f.write_str(plain.unwrap_or_default())?;
        if parts.is_empty() { Ok(()) } else { write!(f, "{{{}}}", parts.join(",")) }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(At::Time(millis)) => write!(f, " @ {}", show_number(millis as f64 / 1000.0))?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            None => {}
        }
        if self.offset == 0 { Ok(()) } else { write!(f, " offset {}", show_duration(self.offset)) }
    }
}

/// Whether a name needs no quotes.
fn is_plain(name: &str, colons: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

fn names(labels: &[String]) -> String {
    let shown: Vec<String> =
        labels.iter().map(|l| if is_plain(l, false) { l.clone() } else { quoted(l) }).collect();
    shown.join(", ")
}

/// In double quotes, with the escapes that the parser reads.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
