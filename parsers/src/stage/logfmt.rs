//! `logfmt`: values of `key=value` pairs become extracted values.

use std::borrow::Cow;

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
        for pair in LogfmtPairs::new(&text) {
            for (_, name) in self.mapping.iter().filter(|(wanted, _)| wanted == pair.key) {
                extracted.set(name, pair.value.as_deref().unwrap_or_default());
            }
        }
        if self.source.is_none() {
            *line = text;
        }
    }
}

/// A pair of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogfmtPair<'t> {
    /// What stands before the `=`.
    pub key: &'t str,
    /// What stands behind it, without quotes and escapes; `None` where there is no `=`.
    pub value: Option<Cow<'t, str>>,
    /// Whether it is written as it should be: a key, and quotes that are closed and nowhere else.
    pub sound: bool,
}

/// Each pair of a text, in order.
#[derive(Debug, Clone)]
pub struct LogfmtPairs<'t>(&'t str);

impl<'t> LogfmtPairs<'t> {
    /// Over a line.
    pub fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// The next pair that has a `=`. Where few words do, less is looked at than by going through all.
    pub fn next_with_value(&mut self) -> Option<LogfmtPair<'t>> {
        let assign = memchr::memchr(b'=', self.0.as_bytes())?;
        // Quotes count behind a `=` only, so that words before it are told apart by blanks alone.
        let key =
            self.0.as_bytes().iter().take(assign).rposition(|b| *b <= b' ').map_or(0, |blank| blank + 1);
        self.0 = self.0.get(key..)?;
        self.next()
    }
}

impl<'t> Iterator for LogfmtPairs<'t> {
    type Item = LogfmtPair<'t>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(|c: char| c <= ' ');
        if text.is_empty() {
            return None;
        }
        // Most lines are ASCII, and what ends a key or a value always is.
        let ends = |b: &u8| *b <= b' ';
        let end = text.bytes().position(|b| b == b'=' || ends(&b)).unwrap_or(text.len());
        let (key, after) = text.split_at_checked(end)?;
        let named = !key.is_empty() && !key.contains('"');
        let Some(value) = after.strip_prefix('=') else {
            self.0 = after;
            return Some(LogfmtPair { key, value: None, sound: named });
        };
        if let Some(quoted) = value.strip_prefix('"') {
            let plain = quoted
                .bytes()
                .position(|b| b == b'"' || b == b'\\')
                .filter(|end| quoted.as_bytes().get(*end) == Some(&b'"'));
            let (value, after, closed) = match plain.and_then(|end| quoted.split_at_checked(end)) {
                Some((value, after)) => (Cow::Borrowed(value), after.get(1..).unwrap_or_default(), true),
                None => {
                    let (value, after) = unquote(quoted);
                    (Cow::Owned(value), after.unwrap_or_default(), after.is_some())
                }
            };
            self.0 = after;
            let apart = after.bytes().next().is_none_or(|b| ends(&b));
            return Some(LogfmtPair { key, value: Some(value), sound: named && closed && apart });
        }
        let end = value.bytes().position(|b| ends(&b)).unwrap_or(value.len());
        let (value, after) = value.split_at_checked(end)?;
        self.0 = after;
        let sound = named && !value.contains(['"', '=']);
        Some(LogfmtPair { key, value: Some(Cow::Borrowed(value)), sound })
    }
}

/// The text up to the closing quote, its escapes undone, and what follows if there is such a quote.
fn unquote(text: &str) -> (String, Option<&str>) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, Some(text.get(at + 1..).unwrap_or_default())),
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
    (out, None)
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
