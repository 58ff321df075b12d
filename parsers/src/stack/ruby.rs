//! Ruby: `cart.rb:42:in 'Cart#total': no stock (OutOfStock)`, then a frame a line; also with the class in a line above, as Rails has
//! it.

use super::frame::{bounded, library_path};
use super::{Language, MAX_FRAMES, MAX_HEADER, Stack, shortened};

/// What stands between a place and its function.
pub(super) const MARK: &str = ":in ";

pub(super) fn parse(text: &str) -> Option<Stack> {
    let lines: Vec<&str> = text.lines().collect();
    let (first, head) = lines.iter().enumerate().find_map(|(at, line)| Some((at, frame(line)?)))?;
    let frames: Vec<String> = lines
        .get(first..)?
        .iter()
        .map_while(|line| frame(line).map(|(frame, _)| frame))
        .take(MAX_FRAMES)
        .collect();
    let own = head.1.strip_prefix(": ").and_then(|said| {
        let (said, class) = said.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
        is_class(class).then_some((class, said))
    });
    let above =
        || lines.get(first.saturating_sub(MAX_HEADER)..first)?.iter().rev().find_map(|line| header(line));
    let (kind, message) = own.or_else(above).unwrap_or_default();
    Some(Stack {
        language: Language::Ruby,
        kind: shortened(kind),
        message: shortened(message),
        cause: None,
        frames,
    })
}

/// The function with its file, and what follows it.
fn frame(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("from ").unwrap_or(line);
    let (place, rest) = line.split_once(MARK)?;
    let (file, number) = place.rsplit_once(':')?;
    if file.is_empty() || number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (function, rest) = rest.strip_prefix(['`', '\''])?.split_once('\'')?;
    // Names of compiled templates end with numbers that change.
    let function = function.split("___").next().unwrap_or_default();
    // What came before the frame in a line of a log is none of its file.
    let file = file.rsplit(' ').next().unwrap_or_default();
    Some((bounded(format!("{function} ({})", library_path(file))), rest))
}

/// `OutOfStock (no stock):` or `Shop::OutOfStock: no stock`.
fn header(line: &str) -> Option<(&str, &str)> {
    let words = line.char_indices().filter(|(at, _)| *at == 0 || line.as_bytes().get(at - 1) == Some(&b' '));
    words.map(|(at, _)| line.get(at..).unwrap_or_default()).find_map(|rest| {
        let end = rest.find([' ', '(']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(class) = word.strip_suffix(':') {
            return is_class(class).then_some((class, after.trim()));
        }
        let said = after.trim().strip_prefix('(')?.strip_suffix("):")?;
        is_class(word).then_some((word, said))
    })
}

fn is_class(word: &str) -> bool {
    word.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    }) && !word.bytes().all(|b| b.is_ascii_uppercase())
}
