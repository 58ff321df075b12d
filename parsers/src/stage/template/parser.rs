//! Template text to nodes.

use super::expressions::{Compiled, RegexFunction};
use super::functions::Function;
use super::node::{Branch, Expr, Node, Place, Range};
use super::values::Value;
use crate::stage::error::compile;
use crate::stage::matching::quoted;

/// Brackets and `if`s inside each other at most: bounds the stack that reading and rendering take.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    /// `.`
    Dot,
    /// `.a.b`
    Field(Vec<String>),
    /// `.a` at once behind a bracket
    Access(Vec<String>),
    /// `$x.a`
    Variable(String, Vec<String>),
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
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
    let mut reader = Reader { pieces: pieces.into_iter(), depth: 0, ranges: 0 };
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
            '.' if !rest.get(1..).is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit())) => {
                let (path, length) = path(rest);
                let behind = rest.len() < body.len()
                    && matches!(tokens.last(), Some((Token::Close, at)) if *at + 1 == column);
                match (path.is_empty(), behind) {
                    (true, _) if rest.get(1..).is_some_and(|after| after.starts_with('.')) => {
                        return Err(format!("the template has a field at column {column} that has no name"));
                    }
                    (true, _) => (Token::Dot, 1),
                    (false, true) => (Token::Access(path), length),
                    (false, false) => (Token::Field(path), length),
                }
            }
            '$' => {
                let name = word(rest.get(1..).unwrap_or_default());
                let (path, length) = path(rest.get(1 + name.len()..).unwrap_or_default());
                (Token::Variable(name.to_owned(), path), 1 + name.len() + length)
            }
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '=' => (Token::Assign, 1),
            ',' => (Token::Comma, 1),
            '0'..='9' | '-' | '+' | '.' => {
                let length = number(rest);
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
                        "the template has `{first}` at column {column}, which is not supported: fields, variables, texts, \
                         numbers, functions, pipes, brackets, `if`, `with` and `range` are"
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

/// Names with a dot before each, and the length of their spelling.
fn path(text: &str) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('.') {
        let name = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        rest = after.get(name.len()..).unwrap_or_default();
    }
    (names, text.len() - rest.len())
}

/// The length of a number's spelling, of which there is at least one character.
fn number(text: &str) -> usize {
    let mut before = ' ';
    let goes_on = |c: char| match std::mem::replace(&mut before, c) {
        'e' | 'E' if matches!(c, '+' | '-') => true,
        _ => c.is_ascii_alphanumeric() || matches!(c, '.' | '_'),
    };
    text.len() - text.get(1..).unwrap_or_default().trim_start_matches(goes_on).len()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// What ended a list of nodes.
enum Stop {
    Text,
    /// With what stands behind `else`.
    Else(Vec<Placed>, usize),
    End(usize),
}

struct Reader {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
    /// `range`s that are open.
    ranges: usize,
}

impl Reader {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("the template has more than {MAX_DEPTH} levels"));
        }
        let mut nodes = Vec::new();
        let stop = loop {
            let (tokens, at) = match self.pieces.next() {
                None => break Stop::Text,
                Some(Piece::Text(text)) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Some(Piece::Action(tokens, at)) => (tokens, at),
            };
            let rest = tokens.get(1..).unwrap_or_default();
            let keyword = match tokens.first() {
                Some((Token::Word(word), _)) => word.as_str(),
                _ => "",
            };
            match keyword {
                "end" => break Stop::End(at),
                "else" => break Stop::Else(rest.to_vec(), at),
                "if" | "with" => nodes.push(self.conditional(keyword, rest, at)?),
                "range" => nodes.push(self.range(rest, at)?),
                "break" | "continue" if self.ranges > 0 => {
                    nodes.push(if keyword == "break" { Node::Break } else { Node::Continue });
                }
                "break" | "continue" => {
                    return Err(format!("the template has `{keyword}` without `range` at column {at}"));
                }
                "define" | "block" | "template" => {
                    return Err(format!(
                        "the template has `{keyword}` at column {at}, which is not supported"
                    ));
                }
                _ => nodes.push(action(&tokens, at)?),
            }
        };
        self.depth -= 1;
        Ok((nodes, stop))
    }

    /// `if` or `with`, up to its end.
    fn conditional(&mut self, keyword: &str, tokens: &[Placed], at: usize) -> Result<Node, String> {
        let mut condition = Some(branch(tokens, at)?);
        let (mut branches, mut otherwise) = (Vec::new(), None);
        loop {
            let (nodes, end) = self.nodes()?;
            match condition.take() {
                Some(branch) => branches.push(Branch { nodes, ..branch }),
                None => otherwise = Some(nodes),
            }
            match end {
                Stop::Text => {
                    return Err(format!("the template has an `{keyword}` without `end`, at column {at}"));
                }
                Stop::End(_) => {
                    let otherwise = otherwise.unwrap_or_default();
                    return Ok(if keyword == "if" {
                        Node::If(branches, otherwise)
                    } else {
                        Node::With(branches, otherwise)
                    });
                }
                Stop::Else(_, column) if otherwise.is_some() => {
                    return Err(format!("the template has a second `else` at column {column}"));
                }
                Stop::Else(rest, column) => match rest.split_first() {
                    None => {}
                    Some(((Token::Word(word), _), rest)) if word == keyword => {
                        condition = Some(branch(rest, column)?);
                    }
                    Some(((_, column), _)) => {
                        return Err(format!(
                            "the template has `else` with something else than `{keyword}` at column {column}"
                        ));
                    }
                },
            }
        }
    }

    fn range(&mut self, tokens: &[Placed], at: usize) -> Result<Node, String> {
        let (variables, rest) = match tokens {
            [
                (Token::Variable(key, _), _),
                (Token::Comma, _),
                (Token::Variable(value, _), _),
                (Token::Declare, _),
                rest @ ..,
            ] => ([Some(key.clone()), Some(value.clone())], rest),
            [(Token::Variable(value, _), _), (Token::Declare, _), rest @ ..] => {
                ([None, Some(value.clone())], rest)
            }
            rest => ([None, None], rest),
        };
        let over = expression(rest, at)?;
        self.ranges += 1;
        let (nodes, end) = self.nodes()?;
        self.ranges -= 1;
        let (otherwise, end) = match end {
            Stop::Else(rest, _) if rest.is_empty() => self.nodes()?,
            other => (Vec::new(), other),
        };
        match end {
            Stop::End(_) => Ok(Node::Range(Box::new(Range { variables, over, nodes, otherwise }))),
            Stop::Text => Err(format!("the template has a `range` without `end`, at column {at}")),
            Stop::Else(_, column) => {
                Err(format!("the template has an `else` at column {column} that fits no `if`"))
            }
        }
    }
}

/// A condition, perhaps with a variable for it; what follows from it is not read yet.
fn branch(tokens: &[Placed], at: usize) -> Result<Branch, String> {
    let (variable, rest) = match tokens {
        [(Token::Variable(name, _), _), (Token::Declare, _), rest @ ..] => (Some(name.clone()), rest),
        rest => (None, rest),
    };
    Ok(Branch { variable, condition: expression(rest, at)?, nodes: Vec::new() })
}

/// An assignment, or what is printed.
fn action(tokens: &[Placed], at: usize) -> Result<Node, String> {
    match tokens {
        [(Token::Variable(name, path), column), (Token::Declare | Token::Assign, _), ..]
            if name.is_empty() || !path.is_empty() =>
        {
            Err(format!("the template sets at column {column} what is no variable"))
        }
        [(Token::Variable(name, _), _), (how @ (Token::Declare | Token::Assign), _), rest @ ..] => {
            let declares = *how == Token::Declare;
            Ok(Node::Assign { name: name.clone(), declares, value: expression(rest, at)? })
        }
        tokens => Ok(Node::Print(expression(tokens, at)?, at)),
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
            Token::Dot => operands.push(Expr::Dot),
            Token::Field(path) => operands.push(Expr::Field(path.clone())),
            Token::Variable(name, path) => operands.push(Expr::Variable(name.clone(), path.clone())),
            Token::Access(path) => match operands.pop() {
                Some(operand) => operands.push(Expr::Access(Box::new(operand), path.clone())),
                None => return Err(format!("the template has a field of nothing at column {column}")),
            },
            Token::Declare | Token::Assign | Token::Comma => {
                return Err(format!("the template has something at column {column} that belongs to nothing"));
            }
            Token::Word(name) if constant(name).is_some() => operands.extend(constant(name)),
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
    if let Some(constant) = constant(&name).filter(|_| operands.is_empty()) {
        return Ok(constant);
    }
    call(&name, operands, column)
}

/// What takes no arguments, and so needs no brackets.
fn constant(name: &str) -> Option<Expr> {
    match name {
        "__line__" => Some(Expr::Line),
        "__timestamp__" => Some(Expr::Timestamp),
        "now" => Some(Expr::Now),
        _ => None,
    }
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
    let place = Place { name: name.to_owned(), column };
    if let Some(function) = RegexFunction::named(name) {
        if operands.len() != function.arguments() {
            let expected = function.arguments();
            return Err(format!("the template's `{name}` at column {column} takes {expected} arguments"));
        }
        return match operands.first() {
            Some(Expr::Literal(Value::Text(expression))) => {
                let regex = compile(expression)?;
                operands.remove(0);
                Ok(Expr::Regex(function, place, regex, operands))
            }
            _ => Ok(Expr::Expression(function, place, Compiled::default(), operands)),
        };
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
    Ok(Expr::Call(function, place, operands))
}
