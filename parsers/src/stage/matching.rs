//! The selector of `match`: LogQL's label matchers and line filters, over one entry.

use regex::Regex;

use super::entry::Entry;
use super::error::compile;

#[derive(Debug, Clone)]
enum Test {
    Text(String),
    Regex(Regex),
}

#[derive(Debug, Clone)]
struct LabelMatcher {
    name: String,
    negate: bool,
    test: Test,
}

#[derive(Debug, Clone)]
struct LineFilter {
    negate: bool,
    any: Vec<Test>,
}

/// Which lines a `match` stage is for.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    labels: Vec<LabelMatcher>,
    lines: Vec<LineFilter>,
}

impl Selector {
    pub fn new(text: &str) -> Result<Self, String> {
        Reader { text, rest: text }.selector()
    }

    pub fn matches(&self, entry: &Entry) -> bool {
        self.labels.iter().all(|matcher| {
            let value = entry.labels.get(&matcher.name).unwrap_or_default();
            let equal = match &matcher.test {
                Test::Text(text) => text == value,
                Test::Regex(regex) => regex.is_match(value),
            };
            equal != matcher.negate
        }) && self.lines.iter().all(|filter| {
            let found = filter.any.iter().any(|test| match test {
                Test::Text(text) => entry.line.contains(text.as_str()),
                Test::Regex(regex) => regex.is_match(&entry.line),
            });
            found != filter.negate
        })
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    fn refuse<T>(&self, expected: &str) -> Result<T, String> {
        let column = self.text.len() - self.rest.len() + 1;
        let came = self.rest.chars().next().map_or("its end".to_owned(), |c| format!("`{c}`"));
        Err(format!("the selector `{}` has {came} at column {column}, expected {expected}", self.text))
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn selector(mut self) -> Result<Selector, String> {
        if !self.eat("{") {
            return self.refuse("`{`");
        }
        let mut labels = Vec::new();
        while !self.eat("}") {
            if !labels.is_empty() && !self.eat(",") {
                return self.refuse("`,` or `}`");
            }
            if self.eat("}") {
                break;
            }
            labels.push(self.matcher()?);
        }
        let mut lines = Vec::new();
        loop {
            self.space();
            if self.rest.is_empty() {
                return Ok(Selector { labels, lines });
            }
            lines.push(self.filter()?);
        }
    }

    fn matcher(&mut self) -> Result<LabelMatcher, String> {
        self.space();
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at(end);
        if name.is_empty() {
            return self.refuse("a label");
        }
        self.rest = after;
        let (negate, is_regex) = if self.eat("=~") {
            (false, true)
        } else if self.eat("!~") {
            (true, true)
        } else if self.eat("!=") {
            (true, false)
        } else if self.eat("=") {
            (false, false)
        } else {
            return self.refuse("`=`, `!=`, `=~` or `!~`");
        };
        let value = self.string()?;
        // Label expressions match whole values.
        let test =
            if is_regex { Test::Regex(compile(&format!("^(?:{value})$"))?) } else { Test::Text(value) };
        Ok(LabelMatcher { name: name.to_owned(), negate, test })
    }

    fn filter(&mut self) -> Result<LineFilter, String> {
        let (negate, is_regex) = if self.eat("|=") {
            (false, false)
        } else if self.eat("|~") {
            (false, true)
        } else if self.eat("!=") {
            (true, false)
        } else if self.eat("!~") {
            (true, true)
        } else {
            return self.refuse(
                "a line filter: `|=`, `!=`, `|~` or `!~` (label filters and parsers are not for `match`)",
            );
        };
        let mut any = Vec::new();
        loop {
            let text = self.string()?;
            any.push(if is_regex { Test::Regex(compile(&text)?) } else { Test::Text(text) });
            if !self.eat("or ") {
                return Ok(LineFilter { negate, any });
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.space();
        if let Some(body) = self.rest.strip_prefix('`') {
            let Some((raw, after)) = body.split_once('`') else { return self.refuse("a closing backtick") };
            self.rest = after;
            return Ok(raw.to_owned());
        }
        let Some((value, length)) = self.rest.starts_with('"').then(|| quoted(self.rest)).flatten() else {
            return self.refuse("a text in double quotes");
        };
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(value)
    }
}

/// A text in double quotes with Go's escapes, and the length of its spelling. `None` if it does not end, or has an escape
/// that Go does not know.
pub(super) fn quoted(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => {
                let (_, escape) = chars.next()?;
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let mut code = 0u32;
                    for _ in 0..digits {
                        code = code.wrapping_mul(16) + chars.next()?.1.to_digit(16)?;
                    }
                    out.push(char::from_u32(code)?);
                    continue;
                }
                out.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    '\\' | '"' | '\'' => escape,
                    _ => return None,
                });
            }
            c => out.push(c),
        }
    }
    None
}
