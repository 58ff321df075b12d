//! Text in, expression out: a lexer, a parser by precedence, and a check of types.

mod check;
mod grammar;
mod lexer;
mod modifiers;
mod quoted;
mod scalar;
mod selector;

pub use scalar::show_number;
pub(crate) use scalar::{show_duration, show_general};

use super::ast::{AggregateOp, Node, Span};
use super::error::{PromError, position};
use lexer::{Kind, Token};

/// Expressions within expressions at most: reading each takes several frames of the stack.
const MAX_NESTING: usize = 64;
/// Operators and calls above one another at most, chains among them: evaluating each takes a frame of the stack.
const MAX_DEPTH: usize = 200;
/// Operators of one query at most. A chain such as `a + b + c` is a tree as deep as it is long, so it ends earlier yet.
const MAX_LINKS: usize = 1000;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub span: Span,
    pub detail: String,
}

type Parsed<T> = Result<T, Fault>;

fn fault<T>(span: Span, detail: impl Into<String>) -> Parsed<T> {
    Err(Fault { span, detail: detail.into() })
}

/// The aggregation of this name, in either case.
fn aggregation(word: &str) -> Option<AggregateOp> {
    AggregateOp::ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, op)| *op)
}

/// Tokens being read.
struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// Operators so far.
    links: usize,
    /// Regular expressions so far.
    expressions: usize,
}

/// Reads an expression and checks its types.
pub(crate) fn parse(query: &str) -> Result<Node, PromError> {
    read(query).map_err(|fault| {
        let (line, column) = position(query, fault.span.start);
        PromError::Parse { line, column, detail: fault.detail }
    })
}

fn read(query: &str) -> Parsed<Node> {
    let mut parser = Parser { tokens: lexer::tokens(query), next: 0, depth: 0, links: 0, expressions: 0 };
    if matches!(parser.kind(), Kind::End) {
        return fault(parser.token().span, "no expression found in input");
    }
    let node = parser.expression(0)?;
    if !matches!(parser.kind(), Kind::End) {
        return parser.unexpected("", "");
    }
    if node.depth() > MAX_DEPTH {
        return fault(node.span, "expression is nested too deeply");
    }
    check::check(&node)?;
    Ok(node)
}

impl Parser {
    fn token(&self) -> &Token {
        static END: Token =
            Token { kind: Kind::End, span: Span { start: 0, end: 0 }, raw: String::new(), in_braces: false };
        self.tokens.get(self.next).or(self.tokens.last()).unwrap_or(&END)
    }

    fn kind(&self) -> &Kind {
        &self.token().kind
    }

    fn following(&self) -> Option<&Kind> {
        self.tokens.get(self.next + 1).map(|token| &token.kind)
    }

    /// Takes a token; the last one stays.
    fn take(&mut self) -> Token {
        let token = self.token().clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    /// Where the token before ends.
    fn end(&self) -> usize {
        self.next.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |token| token.span.end)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.kind(), Kind::Symbol(next) if *next == symbol);
        if found {
            self.take();
        }
        found
    }

    /// Whether the next token is this keyword.
    fn at_word(&self, word: &str) -> bool {
        matches!(self.kind(), Kind::Word(next) if !self.token().in_braces && next.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.take();
        }
        found
    }

    fn unexpected<T>(&self, context: &str, expected: &str) -> Parsed<T> {
        let token = self.token();
        if let Kind::Error(text) = &token.kind {
            return fault(token.span, text.clone());
        }
        let mut detail = format!("unexpected {}", token.describe());
        if !context.is_empty() {
            detail.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            detail.push_str(&format!(", expected {expected}"));
        }
        fault(token.span, detail)
    }
}
