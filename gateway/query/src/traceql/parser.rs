//! Text to a query, and the older `tags=` form.

use regex::Regex;

use super::{Condition, Field, Query, Spans, Wanted};
use crate::QueryError;
use crate::lexer::{Kind, Tokens, duration};

/// Nested brackets and operators at most: the reader calls itself for each.
const MAX_DEPTH: usize = 64;

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let mut tokens = Tokens::new(text, true)?;
    let spans = either(&mut tokens, 0)?;
    let mut query = Query { spans, select: Vec::new(), at_least: None };
    while tokens.symbol("|") {
        let column = tokens.column();
        match tokens.name("`select` or `count`")?.as_str() {
            "select" => {
                tokens.expect("(")?;
                loop {
                    query.select.push(field(&mut tokens)?);
                    if !tokens.symbol(",") {
                        break;
                    }
                }
                tokens.expect(")")?;
            }
            "count" => {
                tokens.expect("(")?;
                tokens.expect(")")?;
                let op = comparison(&mut tokens)?;
                query.at_least = Some((op, number(&mut tokens)?));
            }
            // What follows only says how to search: newest first is how it is done anyway.
            "with" => {
                while !matches!(tokens.peek(), Kind::End) {
                    tokens.take();
                }
            }
            other => return Err(QueryError::at(column, format!("`| {other}` is not supported"))),
        }
    }
    match tokens.peek() {
        Kind::End => Ok(query),
        _ => Err(tokens.unexpected("the end of the query")),
    }
}

fn deeper(tokens: &Tokens, depth: usize) -> Result<usize, QueryError> {
    if depth >= MAX_DEPTH {
        return Err(QueryError::at(tokens.column(), format!("nested deeper than {MAX_DEPTH}")));
    }
    Ok(depth + 1)
}

fn either(tokens: &mut Tokens, depth: usize) -> Result<Spans, QueryError> {
    let depth = deeper(tokens, depth)?;
    let mut left = both(tokens, depth)?;
    while tokens.symbol("||") {
        left = Spans::Either(Box::new(left), Box::new(both(tokens, depth)?));
    }
    Ok(left)
}

fn both(tokens: &mut Tokens, depth: usize) -> Result<Spans, QueryError> {
    let mut left = set(tokens, depth)?;
    while tokens.symbol("&&") {
        left = Spans::Both(Box::new(left), Box::new(set(tokens, depth)?));
    }
    Ok(left)
}

fn set(tokens: &mut Tokens, depth: usize) -> Result<Spans, QueryError> {
    if tokens.symbol("(") {
        let inner = either(tokens, depth)?;
        tokens.expect(")")?;
        return Ok(inner);
    }
    tokens.expect("{")?;
    if tokens.symbol("}") {
        return Ok(Spans::Where(None));
    }
    let condition = any(tokens, depth)?;
    tokens.expect("}")?;
    Ok(Spans::Where(Some(condition)))
}

fn any(tokens: &mut Tokens, depth: usize) -> Result<Condition, QueryError> {
    let depth = deeper(tokens, depth)?;
    let mut left = all(tokens, depth)?;
    while tokens.symbol("||") {
        left = Condition::Or(Box::new(left), Box::new(all(tokens, depth)?));
    }
    Ok(left)
}

fn all(tokens: &mut Tokens, depth: usize) -> Result<Condition, QueryError> {
    let mut left = one(tokens, depth)?;
    while tokens.symbol("&&") {
        left = Condition::And(Box::new(left), Box::new(one(tokens, depth)?));
    }
    Ok(left)
}

fn one(tokens: &mut Tokens, depth: usize) -> Result<Condition, QueryError> {
    if tokens.symbol("(") {
        let inner = any(tokens, depth)?;
        tokens.expect(")")?;
        return Ok(inner);
    }
    if tokens.symbol("!") {
        let depth = deeper(tokens, depth)?;
        return Ok(Condition::Not(Box::new(one(tokens, depth)?)));
    }
    if tokens.word("true") {
        return Ok(Condition::Always(true));
    }
    if tokens.word("false") {
        return Ok(Condition::Always(false));
    }
    let field = field(tokens)?;
    let op = comparison(tokens)?;
    let column = tokens.column();
    let value = match tokens.take() {
        Kind::Text(text) if op.ends_with('~') => {
            let regex = Regex::new(&format!("^(?s:{text})$")).map_err(|error| {
                QueryError::at(column, format!("the regular expression cannot be read: {error}"))
            })?;
            Wanted::Matches(regex)
        }
        Kind::Text(text) => Wanted::Text(text),
        Kind::Symbol("-") => Wanted::Number(-number(tokens)?),
        Kind::Number(text) => Wanted::Number(
            text.parse()
                .ok()
                .or_else(|| duration(&text))
                .ok_or_else(|| QueryError::at(column, "expected a number or a duration"))?,
        ),
        Kind::Word(word) => match word.as_str() {
            "true" => Wanted::Truth(true),
            "false" => Wanted::Truth(false),
            "nil" => Wanted::Nil,
            "ok" | "error" | "unset" | "server" | "client" | "producer" | "consumer" | "internal"
            | "unspecified" => Wanted::Text(word),
            _ => return Err(QueryError::at(column, format!("expected a value, found `{word}`"))),
        },
        other => return Err(QueryError::at(column, format!("expected a value, found {}", other.describe()))),
    };
    Ok(Condition::Compare { field, op, value })
}

fn comparison(tokens: &mut Tokens) -> Result<&'static str, QueryError> {
    match tokens.peek().clone() {
        Kind::Symbol(op @ ("=" | "!=" | ">" | ">=" | "<" | "<=" | "=~" | "!~")) => {
            tokens.take();
            Ok(op)
        }
        _ => Err(tokens.unexpected("a comparison such as = or >")),
    }
}

fn number(tokens: &mut Tokens) -> Result<f64, QueryError> {
    match tokens.peek().clone() {
        Kind::Number(text) => {
            let value = text.parse().ok().or_else(|| duration(&text));
            let value = value.ok_or_else(|| tokens.unexpected("a number"))?;
            tokens.take();
            Ok(value)
        }
        _ => Err(tokens.unexpected("a number")),
    }
}

fn field(tokens: &mut Tokens) -> Result<Field, QueryError> {
    let column = tokens.column();
    let mut name = tokens.name("an attribute such as `resource.service.name` or `.http.route`")?;
    // `span."a b"`
    if name.ends_with('.') {
        name.push_str(&tokens.text("a quoted attribute name")?);
    }
    field_of(&name).ok_or_else(|| QueryError::at(column, format!("`{name}` is not supported")))
}

/// A field by its name in a query.
pub(super) fn field_of(name: &str) -> Option<Field> {
    if let Some(key) = name.strip_prefix("resource.") {
        return Some(Field::Resource(key.to_owned()));
    }
    if let Some(key) = name.strip_prefix("span.") {
        return Some(Field::Span(key.to_owned()));
    }
    if let Some(key) = name.strip_prefix('.') {
        return Some(Field::Any(key.to_owned()));
    }
    Some(match name {
        "name" | "span:name" => Field::Name,
        "kind" | "span:kind" => Field::Kind,
        "status" | "span:status" => Field::Status,
        "statusMessage" | "span:statusMessage" => Field::StatusMessage,
        "duration" | "span:duration" => Field::Duration,
        "rootName" | "trace:rootName" => Field::RootName,
        "rootServiceName" | "trace:rootService" => Field::RootService,
        "traceDuration" | "trace:duration" => Field::TraceDuration,
        "trace:id" => Field::TraceId,
        "span:id" => Field::SpanId,
        "span:parentID" => Field::ParentId,
        _ => return None,
    })
}

/// The `tags=` form: `service.name=cart http.status_code=500`, values perhaps quoted; and durations of the whole trace, ns.
pub fn from_tags(
    tags: &str,
    min_duration: Option<u64>,
    max_duration: Option<u64>,
) -> Result<Query, QueryError> {
    let mut condition = None;
    let mut add = |next: Condition| {
        condition = Some(match condition.take() {
            Some(before) => Condition::And(Box::new(before), Box::new(next)),
            None => next,
        });
    };
    let mut rest = tags.trim_start();
    while !rest.is_empty() {
        let column = tags.len() - rest.len() + 1;
        let Some((name, after)) = rest.split_once('=') else {
            return Err(QueryError::at(column, "expected tags such as `service.name=cart`"));
        };
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let field = field_of(name).unwrap_or_else(|| Field::Any(name.to_owned()));
        add(Condition::Compare { field, op: "=", value: Wanted::Text(value.to_owned()) });
        rest = next.trim_start();
    }
    for (op, bound) in [(">=", min_duration), ("<=", max_duration)] {
        if let Some(bound) = bound {
            add(Condition::Compare { field: Field::TraceDuration, op, value: Wanted::Number(bound as f64) });
        }
    }
    Ok(Query { spans: Spans::Where(condition), select: Vec::new(), at_least: None })
}
