//! Words, texts, numbers and symbols, with the column of each. Both languages use it; they differ in what a word may hold.

use crate::QueryError;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Word(String),
    /// A quoted text, unescaped.
    Text(String),
    /// A number with its unit, as written: `5`, `.9`, `5m`, `1.5s`, `10KB`.
    Number(String),
    /// An operator or bracket.
    Symbol(&'static str),
    /// Nothing more.
    End,
}

impl Kind {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) => format!("`{text}`"),
            Self::Text(text) => format!("{text:?}"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longest first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 31] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "&&", "||", "{", "}", "(", ")", "[", "]",
    ",", "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", "!", "~",
];

/// Tokens being read.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokens: Vec<(usize, Kind)>,
    next: usize,
}

impl Tokens {
    /// Reads the text; `dotted` words hold dots, colons and dashes, as TraceQL's attributes do.
    pub(crate) fn new(text: &str, dotted: bool) -> Result<Self, QueryError> {
        let characters: Vec<char> = text.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&first) = characters.get(at) {
            let column = at + 1;
            let rest = characters.get(at..).unwrap_or_default();
            if first.is_whitespace() {
                at += 1;
            } else if first == '#' && !dotted {
                at += rest.iter().take_while(|c| **c != '\n').count();
            } else if first == '"' || first == '`' {
                let (text, length) = quoted(rest, column)?;
                tokens.push((column, Kind::Text(text)));
                at += length;
            } else if first.is_ascii_digit()
                || (first == '.' && rest.get(1).is_some_and(char::is_ascii_digit))
            {
                let length =
                    rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '.' || **c == 'µ').count();
                tokens.push((column, Kind::Number(rest.iter().take(length).collect())));
                at += length;
            } else if first.is_alphabetic() || first == '_' || (dotted && first == '.') {
                let inside = |c: &&char| c.is_alphanumeric() || **c == '_' || (dotted && ".:-".contains(**c));
                let length = rest.iter().take_while(inside).count();
                tokens.push((column, Kind::Word(rest.iter().take(length).collect())));
                at += length;
            } else {
                let symbol = SYMBOLS
                    .iter()
                    .find(|symbol| symbol.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c)));
                let Some(symbol) = symbol else {
                    return Err(QueryError::at(column, format!("unexpected character {first:?}")));
                };
                tokens.push((column, Kind::Symbol(symbol)));
                at += symbol.len();
            }
        }
        tokens.push((characters.len() + 1, Kind::End));
        Ok(Self { tokens, next: 0 })
    }

    /// The next token, not taken.
    pub(crate) fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |(_, kind)| kind)
    }

    /// The one after it.
    pub(crate) fn peek_second(&self) -> &Kind {
        self.tokens.get(self.next + 1).map_or(&Kind::End, |(_, kind)| kind)
    }

    /// Column of the next token.
    pub(crate) fn column(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |(column, _)| *column)
    }

    /// Takes a token.
    pub(crate) fn take(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len());
        kind
    }

    /// Takes this symbol if it is next.
    pub(crate) fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(next) if *next == symbol);
        if found {
            self.take();
        }
        found
    }

    /// Takes this word, in either case, if it is next.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(next) if next.eq_ignore_ascii_case(word));
        if found {
            self.take();
        }
        found
    }

    /// Takes this symbol, or fails.
    pub(crate) fn expect(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Takes any word, or fails.
    pub(crate) fn name(&mut self, expected: &str) -> Result<String, QueryError> {
        match self.peek().clone() {
            Kind::Word(word) => {
                self.take();
                Ok(word)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Takes a text, or fails.
    pub(crate) fn text(&mut self, expected: &str) -> Result<String, QueryError> {
        match self.peek().clone() {
            Kind::Text(text) => {
                self.take();
                Ok(text)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The error that says what should have stood here.
    pub(crate) fn unexpected(&self, expected: &str) -> QueryError {
        QueryError::at(self.column(), format!("expected {expected}, found {}", self.peek().describe()))
    }
}

/// A quoted text and how many characters it takes.
fn quoted(rest: &[char], column: usize) -> Result<(String, usize), QueryError> {
    let quote = rest.first().copied().unwrap_or('"');
    let mut text = String::new();
    let mut at = 1;
    while let Some(&c) = rest.get(at) {
        at += 1;
        if c == quote {
            return Ok((text, at));
        }
        if c != '\\' || quote == '`' {
            text.push(c);
            continue;
        }
        let escaped = rest.get(at).copied().unwrap_or('\\');
        at += 1;
        match escaped {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            other => text.push(other),
        }
    }
    Err(QueryError::at(column, format!("this text has no closing {quote}")))
}

/// Nanoseconds of `1h30m`, `500ms`, `1.5s`.
pub(crate) fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(split);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        let nanos = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            "y" => 31_536_000e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * nanos;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

/// Bytes of `10KB`, `1.5MiB`.
pub(crate) fn bytes(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let size = match unit.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * size)
}
