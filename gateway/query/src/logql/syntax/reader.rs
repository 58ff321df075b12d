//! The tokens of a query being read, with what all parts of the reader need of them.

use super::ast::Expression;
use super::literals;
use super::token::{Token, tokens};
use crate::{QueryError, expressions};

/// Bytes of a query at most, as Loki has it.
const MAX_TEXT: usize = 128 << 10;

/// Brackets inside each other at most: the reader calls itself for each.
const MAX_DEPTH: usize = 64;

/// Operators of a query at most: `a + b + c` is a tree as deep as it is long, and whoever walks it calls itself.
const MAX_OPERATORS: usize = 500;

pub(super) struct Reader<'t> {
    text: &'t str,
    tokens: Vec<(usize, Token<'t>)>,
    next: usize,
    depth: usize,
    operators: usize,
    expressions: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, QueryError> {
        if text.len() > MAX_TEXT {
            let detail = format!("the query has {} bytes, more than {MAX_TEXT}", text.len());
            return Err(QueryError::in_text(text, 0, detail));
        }
        Ok(Self { text, tokens: tokens(text)?, next: 0, depth: 0, operators: 0, expressions: 0 })
    }

    /// The next token, not taken.
    pub(super) fn peek(&self) -> &Token<'t> {
        self.peek_at(0)
    }

    /// The one so many behind it.
    pub(super) fn peek_at(&self, ahead: usize) -> &Token<'t> {
        self.tokens.get(self.next + ahead).map_or(&Token::End, |(_, token)| token)
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |(at, _)| *at)
    }

    pub(super) fn take(&mut self) -> Token<'t> {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len());
        token
    }

    /// Whether this symbol is next.
    pub(super) fn sees(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(next) if *next == symbol)
    }

    /// Takes this symbol if it is next.
    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.sees(symbol);
        self.next += usize::from(found);
        found
    }

    /// Whether so many tokens ahead one of these words of the language stands: in any case of letters, as Loki has them.
    pub(super) fn sees_word(&self, ahead: usize, words: &[&str]) -> bool {
        let Token::Word(next) = self.peek_at(ahead) else { return false };
        words.iter().any(|word| next.eq_ignore_ascii_case(word))
    }

    /// Takes this word of the language if it is next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.sees_word(0, &[word]);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Takes any word.
    pub(super) fn name(&mut self, expected: &str) -> Result<String, QueryError> {
        match *self.peek() {
            Token::Word(word) => {
                self.next += 1;
                Ok(word.to_owned())
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Takes a text, and says where it began.
    pub(super) fn text(&mut self, expected: &str) -> Result<(String, usize), QueryError> {
        let at = self.at();
        match self.peek().clone() {
            Token::Text(text) => {
                self.next += 1;
                Ok((text, at))
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Names in brackets, perhaps none. A comma may stand behind the last of those that are matched by.
    pub(super) fn names(&mut self, matched: bool) -> Result<Vec<String>, QueryError> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.symbol(")") {
            if !names.is_empty() {
                if !self.symbol(",") {
                    return Err(self.unexpected("`,` or `)`"));
                }
                if matched && self.symbol(")") {
                    break;
                }
            }
            names.push(self.name("a label name")?);
        }
        Ok(names)
    }

    /// The error that says what should have stood here.
    pub(super) fn unexpected(&self, expected: &str) -> QueryError {
        let came = self.peek().describe();
        self.refuse(self.at(), format!("syntax error: unexpected {came}, expecting {expected}"))
    }

    /// An error at a byte.
    pub(super) fn refuse(&self, at: usize, detail: impl Into<String>) -> QueryError {
        QueryError::in_text(self.text, at, detail)
    }

    /// Reads what stands in brackets, unless there are too many.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse(self.at(), format!("nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Counts an operator.
    pub(super) fn operator(&mut self) -> Result<(), QueryError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(self.refuse(self.at(), format!("more than {MAX_OPERATORS} operators")));
        }
        Ok(())
    }

    /// An expression, matched anywhere or on the whole text, that stands at a byte.
    pub(super) fn expression(
        &mut self,
        text: String,
        whole: bool,
        at: usize,
    ) -> Result<Expression, QueryError> {
        let compiled = expressions::allowed(self.expressions)
            .and_then(|program| literals::expression(text, whole, program))
            .map_err(|detail| self.refuse(at, detail))?;
        self.expressions += 1;
        Ok(compiled)
    }
}
