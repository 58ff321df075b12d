//! The words of PromQL, one after the other.

use crate::QueryError;

/// A word.
#[derive(Debug, PartialEq)]
pub(super) enum Word<'a> {
    /// A name: of a metric, a label, a function, or a word of the language.
    Name(&'a str),
    /// A text, its quotes and escapes taken away.
    Text(String),
    /// Any other character.
    Symbol(char),
}

/// What of the expression is still to be read.
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
}

fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

fn goes_on(c: char) -> bool {
    starts_name(c) || c.is_ascii_digit()
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// At the word that comes next.
    pub(super) fn error(&self, detail: impl Into<String>) -> QueryError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        QueryError::at(before.chars().count() + 1, detail)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Over white space and comments.
    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// The next word that is no number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Word<'a>>, QueryError> {
        loop {
            self.skip_space();
            let mut chars = self.rest().chars();
            let Some(first) = chars.next() else { return Ok(None) };
            let second = chars.next().unwrap_or(' ');
            if first.is_ascii_digit() || (first == '.' && second.is_ascii_digit()) {
                // Also a duration, or a number in hex.
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            } else if starts_name(first) {
                return Ok(Some(Word::Name(self.take_while(goes_on))));
            } else if matches!(first, '"' | '\'' | '`') {
                return self.quoted(first).map(|text| Some(Word::Text(text)));
            } else {
                self.at += first.len_utf8();
                return Ok(Some(Word::Symbol(first)));
            }
        }
    }

    /// The next word, which must be there.
    pub(super) fn required(&mut self, expected: &str) -> Result<Word<'a>, QueryError> {
        match self.next()? {
            Some(word) => Ok(word),
            None => Err(self.error(format!("expected {expected}, found the end"))),
        }
    }

    /// Whether this character comes next.
    pub(super) fn next_is(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.rest().starts_with(wanted)
    }

    /// Whether one of these names comes next, in capitals or not.
    pub(super) fn next_name_is(&mut self, wanted: &[&str]) -> bool {
        self.skip_space();
        let rest = self.rest();
        let name = rest.get(..rest.find(|c: char| !goes_on(c)).unwrap_or(rest.len())).unwrap_or_default();
        wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    }

    /// `=`, `!=`, `=~` or `!~`.
    pub(super) fn operator(&mut self) -> Result<&'static str, QueryError> {
        self.skip_space();
        for op in ["=~", "!~", "!=", "="] {
            if self.rest().starts_with(op) {
                self.at += op.len();
                return Ok(op);
            }
        }
        Err(self.error("expected =, !=, =~ or !~"))
    }

    /// Over labels in parentheses, if they come next.
    pub(super) fn skip_list(&mut self) -> Result<(), QueryError> {
        if self.next_is('(') { self.skip_to(')') } else { Ok(()) }
    }

    /// Over everything up to this character, which must come.
    pub(super) fn skip_to(&mut self, end: char) -> Result<(), QueryError> {
        loop {
            if self.required(&format!("{end:?}"))? == Word::Symbol(end) {
                return Ok(());
            }
        }
    }

    /// A text, as Go writes it: without escapes between back-ticks.
    fn quoted(&mut self, quote: char) -> Result<String, QueryError> {
        let start = self.at;
        let unclosed = |words: &mut Self| {
            words.at = start;
            words.error("a text without its closing quote")
        };
        self.at += 1;
        let (mut out, mut bytes) = (String::new(), Vec::new());
        let flush = |bytes: &mut Vec<u8>, out: &mut String| {
            out.push_str(&String::from_utf8_lossy(bytes));
            bytes.clear();
        };
        loop {
            let Some(c) = self.rest().chars().next() else { return Err(unclosed(self)) };
            self.at += c.len_utf8();
            if c == quote {
                flush(&mut bytes, &mut out);
                return Ok(out);
            }
            if c != '\\' || quote == '`' {
                flush(&mut bytes, &mut out);
                out.push(c);
                continue;
            }
            let Some(escape) = self.rest().chars().next() else { return Err(unclosed(self)) };
            self.at += escape.len_utf8();
            let simple = match escape {
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                '\\' | '\'' | '"' => escape,
                'x' => {
                    // A byte; some of them after each other may be a character.
                    bytes.push(self.number(2, 16)? as u8);
                    continue;
                }
                '0'..='7' => {
                    self.at -= 1;
                    bytes.push(self.number(3, 8)? as u8);
                    continue;
                }
                'u' => self.character(4)?,
                'U' => self.character(8)?,
                other => return Err(self.error(format!("\\{other} is no escape"))),
            };
            flush(&mut bytes, &mut out);
            out.push(simple);
        }
    }

    fn number(&mut self, digits: usize, radix: u32) -> Result<u32, QueryError> {
        let number = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        let number = number.ok_or_else(|| self.error(format!("expected {digits} digits of base {radix}")))?;
        self.at += digits;
        Ok(number)
    }

    fn character(&mut self, digits: usize) -> Result<char, QueryError> {
        let number = self.number(digits, 16)?;
        char::from_u32(number).ok_or_else(|| self.error("no character has this number"))
    }
}
