//! LogQL's words, texts, numbers and symbols, each with the byte at which it begins.

use crate::QueryError;

/// Longest first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 27] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", "[", "]", ",", "|", "=",
    ">", "<", "+", "-", "*", "/", "%", "^",
];

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or keyword.
    Word(&'t str),
    /// A quoted text, unescaped.
    Text(String),
    /// A number, with its unit if it has one, as written: `5`, `.9`, `1e3`, `5m`, `10KB`.
    Number(&'t str),
    /// `--strict`
    Flag(&'t str),
    /// An operator or bracket.
    Symbol(&'static str),
    /// A colon, which is in subqueries only.
    Colon,
    /// Nothing more.
    End,
}

impl Token<'_> {
    /// As errors name it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) => format!("`{text}`"),
            Self::Flag(text) => format!("`--{text}`"),
            Self::Text(text) => {
                let mut shown: String = text.chars().take(40).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                format!("the text {shown:?}")
            }
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::Colon => "`:`".to_owned(),
            Self::End => "the end of the query".to_owned(),
        }
    }
}

/// All tokens of a text, the last being [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let mut length = first.len_utf8();
        match first {
            c if c.is_whitespace() => {}
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '"' | '`' => {
                let (value, taken) = quoted(rest).map_err(|(offset, detail)| {
                    QueryError::in_text(text, at + offset, format!("syntax error: {detail}"))
                })?;
                tokens.push((at, Token::Text(value)));
                length = taken;
            }
            c if c.is_ascii_digit()
                || (c == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) =>
            {
                length = number(rest);
                tokens.push((at, Token::Number(rest.get(..length).unwrap_or_default())));
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                length = word(rest);
                tokens.push((at, Token::Word(rest.get(..length).unwrap_or_default())));
            }
            ':' => tokens.push((at, Token::Colon)),
            _ if flag(rest).is_some() => {
                let name = flag(rest).unwrap_or_default();
                length = 2 + name.len();
                tokens.push((at, Token::Flag(name)));
            }
            _ => {
                let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) else {
                    let detail = format!("syntax error: unexpected character {first:?}");
                    return Err(QueryError::in_text(text, at, detail));
                };
                tokens.push((at, Token::Symbol(symbol)));
                length = symbol.len();
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// The name behind `--`.
fn flag(text: &str) -> Option<&str> {
    // What is no name is not read to its end.
    let name = text.strip_prefix("--").filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))?;
    let length = name.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(name.len());
    name.get(..length)
}

/// Length of a number with its unit: a sign belongs to it behind an exponent's `e` only.
fn number(text: &str) -> usize {
    let mut length = 0;
    let mut before = '0';
    let mut plain = true;
    for c in text.chars() {
        let exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && plain;
        if !(c.is_ascii_alphanumeric() || matches!(c, '.' | 'µ' | 'μ' | '_') || exponent_sign) {
            break;
        }
        plain &= c.is_ascii_digit() || c == '.' || (matches!(c, 'e' | 'E') && before != 'e');
        length += c.len_utf8();
        before = c;
    }
    length
}

/// A quoted text and the length of its spelling; where it is wrong, and how.
fn quoted(text: &str) -> Result<(String, usize), (usize, String)> {
    if let Some(body) = text.strip_prefix('`') {
        let end = body.find('`').ok_or((0, "this text has no closing backtick".to_owned()))?;
        return Ok((body.get(..end).unwrap_or_default().to_owned(), end + 2));
    }
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\n' => break,
            '\\' => {
                let unknown =
                    || (at, "this is no escape; inside `\"`, a backslash is written `\\\\`".to_owned());
                out.push(escape(&mut chars).ok_or_else(unknown)?);
            }
            c => out.push(c),
        }
    }
    Err((0, "this text has no closing quote".to_owned()))
}

/// The character that an escape of Go stands for, behind its backslash.
fn escape(chars: &mut dyn Iterator<Item = (usize, char)>) -> Option<char> {
    let (_, c) = chars.next()?;
    let mut code = |digits: usize, first: Option<char>, radix: u32| {
        let rest = (0..digits).map(|_| chars.next().map(|(_, c)| c));
        let value = first
            .map(Some)
            .into_iter()
            .chain(rest)
            .try_fold(0u32, |value, c| value.checked_mul(radix)?.checked_add(c?.to_digit(radix)?))?;
        char::from_u32(value)
    };
    match c {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        '\\' | '"' => Some(c),
        'x' => code(2, None, 16),
        'u' => code(4, None, 16),
        'U' => code(8, None, 16),
        '0'..='3' => code(2, Some(c), 8),
        _ => None,
    }
}
