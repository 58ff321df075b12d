//! `logfmt`: values of `key=value` pairs become extracted values.

use super::config::LogfmtConfig;
use super::entry::Entry;

#[derive(Debug, Clone)]
pub(super) struct Logfmt {
    /// Key in the line, name to extract.
    mapping: Vec<(String, String)>,
    source: Option<String>,
}

impl Logfmt {
    pub fn new(config: &LogfmtConfig) -> Result<Self, String> {
        if config.mapping.is_empty() {
            return Err("expected a `mapping`, at least of one name".into());
        }
        let mapping = config.mapping.iter().map(|(name, key)| {
            let key = key.as_ref().filter(|key| !key.is_empty()).unwrap_or(name);
            (key.clone(), name.clone())
        });
        Ok(Self { mapping: mapping.collect(), source: config.source.clone() })
    }

    pub fn apply(&self, entry: &mut Entry) {
        let Entry { line, extracted, .. } = entry;
        let text = match &self.source {
            Some(source) => match extracted.get(source) {
                Some(text) => text.to_owned(),
                None => return,
            },
            None => std::mem::take(line),
        };
        pairs(&text, &mut |key, value| {
            for (_, name) in self.mapping.iter().filter(|(wanted, _)| wanted == key) {
                extracted.set(name, value);
            }
        });
        if self.source.is_none() {
            *line = text;
        }
    }
}

/// Each pair of the text; a key without a value has an empty one.
fn pairs(text: &str, take: &mut dyn FnMut(&str, &str)) {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            take(key, "");
            rest = after;
            continue;
        };
        if let Some(quoted) = value.strip_prefix('"') {
            let (value, after) = unquote(quoted);
            take(key, &value);
            rest = after;
        } else {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            let (value, after) = value.split_at(end);
            take(key, value);
            rest = after;
        }
    }
}

/// The text up to the closing quote, its escapes undone, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, text.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((at, 'u')) => match code(text.get(at + 1..).unwrap_or_default()) {
                    Some((c, length)) => {
                        out.push(c);
                        chars.nth(length - 1);
                    }
                    None => out.push('u'),
                },
                Some((_, c)) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    (out, "")
}

/// The character that hexadecimal digits behind `\u` stand for, and how many bytes spell it; two halves of a UTF-16 pair
/// are one.
fn code(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    let second = text.get(4..).and_then(|rest| rest.strip_prefix("\\u")).and_then(unit);
    let mut units = char::decode_utf16(std::iter::once(first).chain(second));
    let c = units.next()?.ok()?;
    Some((c, if c.len_utf16() == 2 { 10 } else { 4 }))
}
