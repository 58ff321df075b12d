//! PHP: `Uncaught OutOfStock: no stock in /app/Cart.php:42`, `Stack trace:`, then `#0 /app/Api.php(12): Shop\Cart->total()`.

use super::frame::{bounded, library_path};
use super::{Language, MAX_FRAMES, MAX_HEADER, Stack, shortened};

/// The first frame.
pub(super) const MARK: &str = "#0 ";

pub(super) fn parse(text: &str) -> Option<Stack> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.trim_start().starts_with(MARK) && frame(line).is_some())?;
    let frames = lines.get(first..)?.iter().map_while(|line| frame(line)).take(MAX_FRAMES).collect();
    let above = lines.get(first.saturating_sub(MAX_HEADER)..first)?;
    // On one line with what was said, or above.
    let (kind, message) = above.iter().rev().find_map(|line| header(line)).unwrap_or_default();
    Some(Stack {
        language: Language::Php,
        kind: shortened(kind),
        message: shortened(message),
        cause: None,
        frames,
    })
}

fn frame(line: &str) -> Option<String> {
    let (number, rest) = line.trim_start().strip_prefix('#')?.split_once(' ')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if rest.trim_end() == "{main}" {
        return Some("{main}".to_owned());
    }
    let (place, call) = rest.split_once(": ")?;
    let function = call.split('(').next().unwrap_or_default();
    if place == "[internal function]" {
        return Some(bounded(function.to_owned()));
    }
    let (file, number) = place.strip_suffix(')')?.rsplit_once('(')?;
    let counted = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    counted.then(|| bounded(format!("{function} ({})", library_path(file))))
}

/// `Uncaught Shop\OutOfStock: no stock in /app/Cart.php:42`, or as Monolog has it: `(Shop\OutOfStock(code: 0): no stock at /app/...)`.
fn header(line: &str) -> Option<(&str, &str)> {
    let (kind, said) = match line.split_once("Uncaught ") {
        Some((_, rest)) => rest.split_once(": ")?,
        None => match line.split_once("(code: ") {
            Some((before, rest)) => (before, rest.split_once("): ").map_or("", |(_, said)| said)),
            None => line.split_once(": ")?,
        },
    };
    let kind = kind.rsplit([' ', '(', '[']).next().unwrap_or_default();
    let is_class = kind.starts_with(|c: char| c.is_ascii_uppercase())
        && kind.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '\\' | '@'));
    let said = said.rsplit_once(" in /").or_else(|| said.rsplit_once(" at /")).map_or(said, |(said, _)| said);
    is_class.then_some((kind, said))
}
