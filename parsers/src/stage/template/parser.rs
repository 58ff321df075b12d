//! Template text to nodes.

use super::functions::{Function, RegexFunction};
use super::values::Value;
use super::{Expr, Node};
use crate::stage::error::compile;
use crate::stage::matching::quoted;

/// Brackets and `if`s inside each other at most: bounds the stack that reading and rendering take.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Field(String),
    Literal(Value),
    Pipe,
    Open,
    Close,
}

/// A token and its column.
type Placed = (Token, usize);

/// What stands between `{{` and `}}`, or outside.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// Tokens with their columns, and where the action begins.
    Action(Vec<Placed>, usize),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = split(text)?;
    let mut reader = Reader { pieces: pieces.into_iter(), depth: 0 };
    let (nodes, end) = reader.nodes()?;
    match end {
        Stop::Text => Ok(nodes),
        Stop::Else(_, at) => Err(format!("the template has `else` without `if` at column {at}")),
        Stop::End(at) => Err(format!("the template has `end` without `if` at column {at}")),
    }
}

fn split(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (before, action) = rest.split_once("{{").map_or((rest, None), |(b, a)| (b, Some(a)));
        let before = if trim_next { before.trim_start() } else { before };
        let trims =
            action.is_some_and(|a| a.starts_with("- ") || a.starts_with("-\n") || a.starts_with("-\t"));
        let before = if trims { before.trim_end() } else { before };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let Some(action) = action else { return Ok(pieces) };
        let at = text.len() - action.len() - 1;
        let body = if trims { action.get(1..).unwrap_or_default() } else { action };
        if let Some(comment) = body.trim_start().strip_prefix("/*") {
            let (_, after) = comment
                .split_once("*/")
                .ok_or_else(|| format!("the template has a comment that does not end, at column {at}"))?;
            (rest, trim_next) = close(after).ok_or_else(|| unclosed(at))?;
            continue;
        }
        let (tokens, after) = tokens(text, body, at)?;
        pieces.push(Piece::Action(tokens, at));
        (rest, trim_next) = close(after).ok_or_else(|| unclosed(at))?;
    }
}

fn unclosed(at: usize) -> String {
    format!("the template has an action without closing `}}}}`, at column {at}")
}

/// What follows the end of an action, and whether white space goes.
fn close(text: &str) -> Option<(&str, bool)> {
    let trimmed = text.trim_start();
    if let Some(after) = trimmed.strip_prefix("-}}") {
        return Some((after, true));
    }
    trimmed.strip_prefix("}}").map(|after| (after, false))
}

/// The tokens up to the end of an action, and the text from that end on.
fn tokens<'t>(text: &str, body: &'t str, at: usize) -> Result<(Vec<Placed>, &'t str), String> {
    let mut tokens = Vec::new();
    let mut rest = body;
    loop {
        rest = rest.trim_start();
        let column = text.len() - rest.len() + 1;
        let Some(first) = rest.chars().next() else { return Err(unclosed(at)) };
        if close(rest).is_some() {
            return Ok((tokens, rest));
        }
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' => {
                let (value, length) = quoted(rest).ok_or_else(|| {
                    format!("the template has a text that cannot be read, at column {column}")
                })?;
                (Token::Literal(Value::Text(value)), length)
            }
            '`' => {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find('`').ok_or_else(|| {
                    format!("the template has a text that does not end, at column {column}")
                })?;
                (Token::Literal(Value::text(inner.get(..end).unwrap_or_default())), end + 2)
            }
            '.' => {
                let name = word(rest.get(1..).unwrap_or_default());
                if name.is_empty() || rest.get(1 + name.len()..).is_some_and(|after| after.starts_with('.')) {
                    return Err(format!(
                        "the template has a field at column {column} that is not supported; a field is `.name`"
                    ));
                }
                (Token::Field(name.to_owned()), 1 + name.len())
            }
            '0'..='9' | '-' | '+' => {
                let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
                let length =
                    1 + rest.get(1..).unwrap_or_default().find(|c| !number(c)).unwrap_or(rest.len() - 1);
                let spelling = rest.get(..length).unwrap_or_default();
                let int = spelling.parse().ok().map(Value::Int);
                let value = int.or_else(|| spelling.parse().ok().map(Value::Float));
                let value = value
                    .ok_or_else(|| format!("the template has `{spelling}` at column {column}, no number"))?;
                (Token::Literal(value), length)
            }
            _ => {
                let name = word(rest);
                if name.is_empty() {
                    return Err(format!(
                        "the template has `{first}` at column {column}, which is not supported: fields, texts, numbers, \
                         functions, pipes, brackets and `if` are"
                    ));
                }
                let token = match name {
                    "true" | "false" => Token::Literal(Value::Bool(name == "true")),
                    "nil" => Token::Literal(Value::Missing),
                    _ => Token::Word(name.to_owned()),
                };
                (token, name.len())
            }
        };
        tokens.push((token, column));
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// What ended a list of nodes.
enum Stop {
    Text,
    /// With the condition of an `else if`.
    Else(Option<Expr>, usize),
    End(usize),
}

struct Reader {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

impl Reader {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("the template has more than {MAX_DEPTH} levels"));
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, at) => (tokens, at),
            };
            let keyword = match tokens.first() {
                Some((Token::Word(word), _)) => word.as_str(),
                _ => "",
            };
            match keyword {
                "end" => {
                    self.depth -= 1;
                    return Ok((nodes, Stop::End(at)));
                }
                "else" => {
                    let rest = tokens.get(1..).unwrap_or_default();
                    let condition = match rest.first() {
                        None => None,
                        Some((Token::Word(word), _)) if word == "if" => {
                            Some(expression(rest.get(1..).unwrap_or_default(), at)?)
                        }
                        Some((_, column)) => {
                            return Err(format!(
                                "the template has `else` with something else than `if` at column {column}"
                            ));
                        }
                    };
                    self.depth -= 1;
                    return Ok((nodes, Stop::Else(condition, at)));
                }
                "if" => nodes.push(self.conditional(&tokens, at)?),
                "range" | "with" | "define" | "block" | "template" | "break" | "continue" => {
                    return Err(format!(
                        "the template has `{keyword}` at column {at}, which is not supported"
                    ));
                }
                _ => nodes.push(Node::Print(expression(&tokens, at)?)),
            }
        }
        self.depth -= 1;
        Ok((nodes, Stop::Text))
    }

    fn conditional(&mut self, tokens: &[Placed], at: usize) -> Result<Node, String> {
        let mut condition = Some(expression(tokens.get(1..).unwrap_or_default(), at)?);
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        loop {
            let (nodes, end) = self.nodes()?;
            match condition.take() {
                Some(condition) => branches.push((condition, nodes)),
                None => otherwise = nodes,
            }
            match end {
                Stop::Text => return Err(format!("the template has an `if` without `end`, at column {at}")),
                Stop::End(_) => return Ok(Node::If(branches, otherwise)),
                Stop::Else(_, column) if !otherwise.is_empty() => {
                    return Err(format!("the template has a second `else` at column {column}"));
                }
                Stop::Else(next, _) => condition = next,
            }
        }
    }
}

/// A pipeline of commands.
fn expression(tokens: &[Placed], at: usize) -> Result<Expr, String> {
    let mut tokens = tokens;
    let expr = pipeline(&mut tokens, at, 0)?;
    match tokens.first() {
        None => Ok(expr),
        Some((_, column)) => {
            Err(format!("the template has something at column {column} that belongs to nothing"))
        }
    }
}

fn pipeline(tokens: &mut &[Placed], at: usize, depth: usize) -> Result<Expr, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the template has more than {MAX_DEPTH} levels of brackets"));
    }
    let mut piped = None;
    loop {
        piped = Some(command(tokens, piped, at, depth)?);
        match tokens.split_first() {
            Some(((Token::Pipe, _), after)) => *tokens = after,
            _ => break,
        }
    }
    piped.ok_or_else(|| format!("the template has an empty action at column {at}"))
}

/// A function with its arguments, or one operand; what was piped is the last argument.
fn command(tokens: &mut &[Placed], piped: Option<Expr>, at: usize, depth: usize) -> Result<Expr, String> {
    let name = match tokens.split_first() {
        Some(((Token::Word(name), column), after)) => {
            *tokens = after;
            Some((name.clone(), *column))
        }
        _ => None,
    };
    let mut operands = Vec::new();
    while let Some(((token, column), after)) = tokens.split_first() {
        match token {
            Token::Pipe | Token::Close => break,
            Token::Open => {
                *tokens = after;
                operands.push(pipeline(tokens, *column, depth + 1)?);
                match tokens.split_first() {
                    Some(((Token::Close, _), after)) => *tokens = after,
                    _ => {
                        return Err(format!(
                            "the template has a bracket that does not close, at column {column}"
                        ));
                    }
                }
                continue;
            }
            Token::Field(name) => operands.push(Expr::Field(name.clone())),
            Token::Literal(value) => operands.push(Expr::Literal(value.clone())),
            // A function without arguments as an argument.
            Token::Word(name) => {
                return Err(format!(
                    "the template has `{name}` as an argument at column {column}: put it in brackets"
                ));
            }
        }
        *tokens = after;
    }
    let Some((name, column)) = name else {
        return match (operands.pop(), operands.is_empty(), piped) {
            (Some(operand), true, None) => Ok(operand),
            (None, _, _) => Err(format!("the template has an empty action at column {at}")),
            _ => Err(format!("the template has a value at column {at} that cannot take arguments")),
        };
    };
    operands.extend(piped);
    call(&name, operands, column)
}

fn call(name: &str, mut operands: Vec<Expr>, column: usize) -> Result<Expr, String> {
    match name {
        "and" | "or" if operands.is_empty() => {
            return Err(format!("the template's `{name}` at column {column} needs arguments"));
        }
        "and" => return Ok(Expr::And(operands)),
        "or" => return Ok(Expr::Or(operands)),
        _ => {}
    }
    if let Some(function) = RegexFunction::named(name) {
        if operands.len() != function.arguments() {
            let expected = function.arguments();
            return Err(format!("the template's `{name}` at column {column} takes {expected} arguments"));
        }
        let Expr::Literal(Value::Text(expression)) = operands.remove(0) else {
            return Err(format!("the template's `{name}` at column {column} needs its expression as a text"));
        };
        return Ok(Expr::Regex(function, compile(&expression)?, operands));
    }
    let Some((function, arguments)) = Function::named(name) else {
        return Err(format!(
            "the template has the function `{name}` at column {column}, which is not supported"
        ));
    };
    if !arguments.contains(&operands.len()) {
        let (least, most) = arguments.into_inner();
        let expected = if least == most { least.to_string() } else { format!("at least {least}") };
        return Err(format!(
            "the template's `{name}` at column {column} takes {expected} arguments, came {}",
            operands.len()
        ));
    }
    Ok(Expr::Call(function, operands))
}
