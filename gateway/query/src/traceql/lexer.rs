//! Text to tokens. What a name may hold depends on what stands before it: after a scope and its dot, nearly anything.

use super::ast::{Field, Intrinsic, Scope, Static};
use super::duration;
use super::error::{ParseError, Place};
use super::names::{WORDS, intrinsic_of, scope_of};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word(String),
    /// `span.http.route`, `trace:id`: known by its scope alone.
    Field(Field),
    /// A literal: texts, numbers and durations.
    Literal(Static),
    /// An operator or bracket.
    Symbol(&'static str),
    /// Nothing more.
    End,
}

impl Kind {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Field(field) => format!("`{field}`"),
            Self::Literal(value) => format!("`{value}`"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the query".to_owned(),
        }
    }
}

/// Longest first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 35] = [
    "!>>", "!<<", "&>>", "&<<", "!=", "!~", "!>", "!<", "&&", "&>", "&<", "&~", "||", "=~", ">=", "<=", ">>",
    "<<", "{", "}", "(", ")", ",", "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", "!", "~",
];

/// Whether this belongs to the name of an attribute that is not quoted.
fn is_name(c: char) -> bool {
    !c.is_whitespace() && !"{}()=~!<>&|^,".contains(c)
}

/// Whether a name reads back without quotes; after `parent.` a name that begins like a scope would not.
pub(super) fn is_plain_name(name: &str, after_parent: bool) -> bool {
    let plain = !name.is_empty() && name.chars().all(|c| is_name(c) && c != '"' && c != '\\');
    let number = name.starts_with(|c: char| c.is_ascii_digit());
    plain && !number && !(after_parent && (name.starts_with("span.") || name.starts_with("resource.")))
}

/// Reads the whole text; the last token is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Place, Kind)>, ParseError> {
    let mut lexer =
        Lexer { rest: text.chars().collect::<Vec<_>>(), at: 0, place: Place { line: 1, column: 1 } };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let place = lexer.place;
        let kind = lexer.token()?;
        let ended = kind == Kind::End;
        tokens.push((place, kind));
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    place: Place,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn skip(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.take();
        });
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek(0).filter(|c| wanted(*c)) {
            taken.push(c);
            self.take();
        }
        taken
    }

    /// Whitespace, `// ...` and `/* ... */`.
    fn skip_blank(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => {
                    self.take();
                }
                (Some('/'), Some('/')) => while self.take().is_some_and(|c| c != '\n') {},
                (Some('/'), Some('*')) => {
                    self.take();
                    self.take();
                    while self.peek(0).is_some() && (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
                        self.take();
                    }
                    self.take();
                    self.take();
                }
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Result<Kind, ParseError> {
        let Some(first) = self.peek(0) else { return Ok(Kind::End) };
        let digit_follows = self.peek(1).is_some_and(|c| c.is_ascii_digit());
        match first {
            '"' | '`' => self.text(),
            '0'..='9' => self.number(),
            '.' if digit_follows => self.number(),
            '.' => {
                self.take();
                let name = self.attribute_name()?;
                Ok(Kind::Field(Field::Attribute { scope: Scope::Any, parent: false, name }))
            }
            _ if first.is_alphabetic() || first == '_' => self.word(),
            _ => {
                let is_next =
                    |symbol: &&&str| symbol.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c));
                let Some(symbol) = SYMBOLS.iter().find(is_next) else {
                    return Err(self.place.word(format!("unexpected character {first:?}")));
                };
                self.skip(symbol.len());
                Ok(Kind::Symbol(symbol))
            }
        }
    }

    fn word(&mut self) -> Result<Kind, ParseError> {
        let place = self.place;
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_');
        match self.peek(0) {
            Some('.') if word == "parent" => {
                self.take();
                let scope = [(Scope::Span, "span."), (Scope::Resource, "resource.")]
                    .into_iter()
                    .find(|(_, text)| text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)));
                if let Some((_, text)) = scope {
                    self.skip(text.len());
                }
                let scope = scope.map_or(Scope::Any, |(scope, _)| scope);
                let name = self.attribute_name()?;
                Ok(Kind::Field(Field::Attribute { scope, parent: true, name }))
            }
            Some('.') if scope_of(&word).is_some() => {
                self.take();
                let name = self.attribute_name()?;
                let scope = scope_of(&word).unwrap_or(Scope::Any);
                Ok(Kind::Field(Field::Attribute { scope, parent: false, name }))
            }
            Some(':') if word == "trace" || scope_of(&word).is_some() => {
                self.take();
                let after = self.take_while(|c| c.is_alphanumeric() || c == '_');
                match intrinsic_of(&format!("{word}:{after}")) {
                    Some(intrinsic) => Ok(Kind::Field(Field::Intrinsic(intrinsic))),
                    None => Err(place.word(format!("`{word}:{after}` is not known"))),
                }
            }
            _ => Ok(Kind::Word(word)),
        }
    }

    /// Runs of plain and of quoted characters.
    fn attribute_name(&mut self) -> Result<String, ParseError> {
        let mut name = String::new();
        let (start, from) = (self.place, self.at);
        while let Some(c) = self.peek(0).filter(|c| is_name(*c)) {
            let place = self.place;
            self.take();
            if c != '"' {
                name.push(c);
                continue;
            }
            loop {
                match self.take() {
                    Some('"') => break,
                    Some('\\') => match self.take() {
                        Some(escaped @ ('"' | '\\')) => name.push(escaped),
                        _ => return Err(place.word("invalid escape sequence")),
                    },
                    Some(c) => name.push(c),
                    None => return Err(place.word("unexpected EOF, expecting \"")),
                }
            }
        }
        if self.at == from {
            let found = self.peek(0).map_or_else(|| Kind::End.describe(), |c| format!("`{c}`"));
            return Err(start.syntax(found, "the name of an attribute"));
        }
        Ok(name)
    }

    fn number(&mut self) -> Result<Kind, ParseError> {
        let place = self.place;
        let mut text = self.take_while(|c| c.is_ascii_digit() || c == '.');
        let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let exponent = matches!(self.peek(0), Some('e' | 'E'))
            && self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit());
        if exponent {
            (0..=sign).for_each(|_| text.extend(self.take()));
            text.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        text.push_str(&self.take_while(|c| c.is_alphanumeric() || c == '.'));
        let value = if text.chars().all(|c| c.is_ascii_digit()) {
            text.parse().ok().map(Static::Int)
        } else if let Some(nanos) = duration::read(&text) {
            Some(Static::Duration(nanos))
        } else {
            let known = text.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
            text.parse().ok().filter(|number: &f64| known && number.is_finite()).map(Static::Float)
        };
        value.map(Kind::Literal).ok_or_else(|| place.word(format!("`{text}` is not a number or a duration")))
    }

    fn text(&mut self) -> Result<Kind, ParseError> {
        let place = self.place;
        let quote = self.take();
        let mut text = String::new();
        loop {
            let at = self.place;
            match self.take() {
                c if c == quote => return Ok(Kind::Literal(Static::Str(text))),
                None => return Err(place.word("literal not terminated")),
                Some('\n') if quote == Some('"') => return Err(place.word("literal not terminated")),
                Some('\\') if quote == Some('"') => match self.escaped() {
                    Some(c) => text.push(c),
                    None => return Err(at.word("invalid escape sequence")),
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// What stands after a backslash.
    fn escaped(&mut self) -> Option<char> {
        let digits = |lexer: &mut Self, count: usize, radix: u32| {
            let text: String = (0..count).filter_map(|_| lexer.take()).collect();
            u32::from_str_radix(&text, radix).ok().and_then(char::from_u32)
        };
        match self.take()? {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            'x' => digits(self, 2, 16),
            'u' => digits(self, 4, 16),
            'U' => digits(self, 8, 16),
            c @ ('\\' | '"') => Some(c),
            _ => None,
        }
    }
}

/// A literal or an intrinsic that is one word.
pub(super) fn value_of(word: &str) -> Option<Static> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone())
}

/// An intrinsic that is one word.
pub(super) fn intrinsic_word(word: &str) -> Option<Intrinsic> {
    intrinsic_of(word).filter(|_| !word.contains(':'))
}
