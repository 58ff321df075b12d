//! Tokens of PromQL, each with the bytes that it takes. Reading stops at the first that cannot be one; it is the last token,
//! so that a mistake before it is told first.

use super::quoted::quoted;
use super::scalar::{duration, number};
use crate::promql::ast::Span;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name or a keyword outside braces; a name within.
    Word(String),
    Text(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Symbol(&'static str),
    /// What is wrong here.
    Error(String),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Span,
    /// As it is written.
    pub raw: String,
    /// Within braces, where there are no keywords.
    pub in_braces: bool,
}

/// Longest first.
const SYMBOLS: [&str; 23] = [
    "==", "=~", "!=", "!~", ">=", "<=", "{", "}", "(", ")", "[", "]", ",", "=", ">", "<", "+", "-", "*", "/",
    "%", "^", "@",
];

/// What each kind of token is called in messages.
const KEYWORDS: [&str; 16] = [
    "and",
    "or",
    "unless",
    "atan2",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "start",
    "end",
    "smoothed",
    "anchored",
];

/// Operators that are words.
const WORD_OPERATORS: [&str; 4] = ["and", "or", "unless", "atan2"];

/// Whether a word outside braces has a meaning of its own.
pub(super) fn is_keyword(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    KEYWORDS.iter().take(14).any(|keyword| *keyword == lower)
}

impl Token {
    /// As Prometheus' messages name it.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Word(word) => {
                let lower = word.to_ascii_lowercase();
                if self.in_braces {
                    format!("identifier {word:?}")
                } else if WORD_OPERATORS.contains(&lower.as_str()) {
                    format!("<op:{lower}>")
                } else if is_keyword(word) {
                    format!("<{lower}>")
                } else if super::aggregation(word).is_some() {
                    format!("<aggr:{lower}>")
                } else if word.contains(':') {
                    format!("metric identifier {word:?}")
                } else {
                    format!("identifier {word:?}")
                }
            }
            Kind::Text(_) => format!("string {}", shortened(&self.raw)),
            Kind::Number(_) => format!("number {:?}", self.raw),
            Kind::Duration(_) => format!("duration {:?}", self.raw),
            Kind::Symbol(symbol @ ("{" | "}" | "(" | ")" | "[" | "]" | "," | ":" | "=")) => {
                format!("{symbol:?}")
            }
            Kind::Symbol("@") => "<op:@>".to_owned(),
            Kind::Symbol(symbol) => format!("<op:{symbol}>"),
            Kind::Error(text) => text.clone(),
            Kind::End => "end of input".to_owned(),
        }
    }
}

/// Long texts are cut, as Prometheus does.
fn shortened(text: &str) -> String {
    if text.chars().count() > 10 {
        format!("{:?}...", text.chars().take(10).collect::<String>())
    } else {
        format!("{text:?}")
    }
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: bool,
    brackets: bool,
    colon_seen: bool,
    parens: usize,
    tokens: Vec<Token>,
}

/// All tokens; the last is the end or an error.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let lexer = Lexer {
        text,
        at: 0,
        braces: false,
        brackets: false,
        colon_seen: false,
        parens: 0,
        tokens: Vec::new(),
    };
    lexer.run()
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Token> {
        loop {
            let (start, in_braces) = (self.skip_blank(), self.braces);
            let kind = self.next().unwrap_or_else(Kind::Error);
            let last = matches!(kind, Kind::Error(_) | Kind::End);
            let span = Span { start, end: self.at };
            let raw = self.text.get(start..self.at).unwrap_or_default().to_owned();
            self.tokens.push(Token { kind, span, raw, in_braces });
            if last {
                return self.tokens;
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blank(&mut self) -> usize {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let comment =
                if trimmed.starts_with('#') { trimmed.find('\n').unwrap_or(trimmed.len()) } else { 0 };
            let skipped = rest.len() - trimmed.len() + comment;
            if skipped == 0 {
                return self.at;
            }
            self.at += skipped;
        }
    }

    fn next(&mut self) -> Result<Kind, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return if self.braces {
                Err("unexpected end of input inside braces".to_owned())
            } else if self.brackets {
                Err("unclosed left bracket".to_owned())
            } else if self.parens > 0 {
                Err("unclosed left parenthesis".to_owned())
            } else {
                Ok(Kind::End)
            };
        };
        if matches!(first, '"' | '\'' | '`') {
            let (text, length) = quoted(rest)?;
            self.at += length;
            return Ok(Kind::Text(text));
        }
        let digit_follows = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if !self.braces && (first.is_ascii_digit() || (first == '.' && digit_follows)) {
            return self.number(rest);
        }
        if begins_word(first) || (first == ':' && !self.braces && !self.brackets) {
            let colon = !self.braces && !self.brackets;
            let length = rest
                .find(|c: char| !(begins_word(c) || c.is_ascii_digit() || (colon && c == ':')))
                .unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            self.at += length;
            if !self.braces && word.eq_ignore_ascii_case("nan") {
                return Ok(Kind::Number(f64::NAN));
            }
            if !self.braces && word.eq_ignore_ascii_case("inf") {
                return Ok(Kind::Number(f64::INFINITY));
            }
            if word == ":" {
                return Err("unexpected colon ':'".to_owned());
            }
            return Ok(Kind::Word(word.to_owned()));
        }
        if first == ':' && self.brackets {
            if self.colon_seen {
                return Err("unexpected second colon(:) in subquery expression".to_owned());
            }
            self.colon_seen = true;
            self.at += 1;
            return Ok(Kind::Symbol(":"));
        }
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)).copied();
        let Some(symbol) = symbol else {
            return Err(if let (Some(next), '!') = (rest.chars().nth(1), first) {
                format!("unexpected character after '!': {next:?}")
            } else if self.braces {
                format!("unexpected character inside braces: {first:?}")
            } else {
                format!("unexpected character: {first:?}")
            });
        };
        if self.braces && !matches!(symbol, "}" | "," | "=" | "=~" | "!=" | "!~" | "{") {
            // `=` alone may stand before what `==` begins with.
            if symbol == "==" {
                self.at += 1;
                return Ok(Kind::Symbol("="));
            }
            return Err(format!("unexpected character inside braces: {first:?}"));
        }
        match symbol {
            "{" if self.braces => return Err("unexpected left brace '{'".to_owned()),
            "{" => self.braces = true,
            "}" if !self.braces => return Err("unexpected right brace '}'".to_owned()),
            "}" => self.braces = false,
            "[" => {
                if self.brackets {
                    return Err("unexpected left bracket '['".to_owned());
                }
                (self.brackets, self.colon_seen) = (true, false);
            }
            "]" if !self.brackets => return Err("unexpected right bracket ']'".to_owned()),
            "]" => self.brackets = false,
            "(" => self.parens += 1,
            ")" => {
                let Some(parens) = self.parens.checked_sub(1) else {
                    return Err("unexpected right parenthesis ')'".to_owned());
                };
                self.parens = parens;
            }
            "=~" | "!~" if !self.braces => {
                return Err(format!("unexpected character after {:?}: '~'", first));
            }
            _ => {}
        }
        self.at += symbol.len();
        Ok(Kind::Symbol(symbol))
    }

    /// A number or a duration: all letters and digits that follow must belong to it.
    fn number(&mut self, rest: &str) -> Result<Kind, String> {
        let bytes = rest.as_bytes();
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let before = length.checked_sub(1).and_then(|i| bytes.get(i));
            let sign = matches!(byte, b'+' | b'-')
                && !hex
                && matches!(before, Some(b'e' | b'E'))
                && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
                break;
            }
            length += 1;
        }
        let text = rest.get(..length).unwrap_or_default();
        self.at += length;
        if let Some(number) = number(text) {
            return Ok(Kind::Number(number));
        }
        duration(text).map(Kind::Duration).ok_or_else(|| format!("bad number or duration syntax: {text:?}"))
    }
}
