//! Regular expressions that are lists of values, as dashboards and look-ups write them: each value is looked up, where otherwise
//! all values of the label are tried.

use regex::Regex;

/// The values of an anchored expression that is nothing but a list of texts.
pub(super) fn alternatives(regex: &Regex) -> Option<Vec<String>> {
    let text = regex.as_str().strip_suffix(")$")?;
    let text = ["^(?s:", "^(?:"].into_iter().find_map(|start| text.strip_prefix(start))?;
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let mut values = Vec::new();
    let mut value = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => values.push(std::mem::take(&mut value)),
            // A backslash before a letter or a digit is a class or an anchor.
            '\\' => {
                let punctuation = |c: &char| c.is_ascii_punctuation() && !matches!(c, '<' | '>');
                value.push(chars.next().filter(punctuation)?);
            }
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => value.push(c),
        }
    }
    values.push(value);
    Some(values)
}
