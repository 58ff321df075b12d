//! Labels written as one string: `{job="varlogs", app="x"}`.

use std::borrow::Cow;

/// Labels of one stream that are read; each is a few bytes on the wire and many in memory. Far above what Loki takes.
pub(super) const MAX_READ: usize = 256;

/// Reads a label string. `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Vec<(&str, Cow<'_, str>)>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        let is_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-'));
        if name.is_empty() || !is_name {
            return None;
        }
        let (value, after) = quoted(after.trim_start())?;
        if labels.len() < MAX_READ {
            labels.push((name, value));
        }
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => {}
            None => return None,
        }
    }
    Some(labels)
}

/// A string as Go writes it, and what stands behind it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (value, rest) = raw.split_once('`')?;
        return Some((Cow::Borrowed(value), rest));
    }
    let inner = text.strip_prefix('"')?;
    let end = inner.find(['"', '\\'])?;
    if inner[end..].starts_with('"') {
        return Some((Cow::Borrowed(&inner[..end]), &inner[end + 1..]));
    }
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), inner.get(at + 1..)?)),
            '\\' => {
                let (_, escaped) = chars.next()?;
                let digits: Result<char, usize> = match escaped {
                    'n' => Ok('\n'),
                    't' => Ok('\t'),
                    'r' => Ok('\r'),
                    'a' => Ok('\u{7}'),
                    'b' => Ok('\u{8}'),
                    'f' => Ok('\u{c}'),
                    'v' => Ok('\u{b}'),
                    '\\' | '"' | '\'' => Ok(escaped),
                    'x' => Err(2),
                    'u' => Err(4),
                    'U' => Err(8),
                    _ => return None,
                };
                match digits {
                    Ok(c) => value.push(c),
                    Err(count) => {
                        let mut code = 0u32;
                        for _ in 0..count {
                            code = code.checked_mul(16)? + chars.next()?.1.to_digit(16)?;
                        }
                        value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
            }
            c => value.push(c),
        }
    }
    None
}
