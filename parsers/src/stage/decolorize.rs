//! `decolorize`: takes ANSI escape sequences out of the line.

use super::entry::Entry;

#[derive(Debug, Clone)]
pub(super) struct Decolorize;

impl Decolorize {
    #[allow(clippy::unused_self, reason = "every stage is applied the same way")]
    pub fn apply(&self, entry: &mut Entry) {
        if memchr::memchr(0x1b, entry.line.as_bytes()).is_some() {
            entry.line = without_colours(&entry.line);
        }
    }
}

/// The text without `ESC [ ... letter` sequences; an escape that begins none stays.
pub fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        let sequence = after.strip_prefix('[').and_then(|body| {
            let end = body.find(|c: char| !matches!(c, '\u{20}'..='\u{3f}'))?;
            let (_, last) = body.split_at_checked(end)?;
            last.strip_prefix(|c: char| matches!(c, '\u{40}'..='\u{7e}'))
        });
        rest = if let Some(behind) = sequence {
            behind
        } else {
            out.push('\u{1b}');
            after
        };
    }
    out.push_str(rest);
    out
}
