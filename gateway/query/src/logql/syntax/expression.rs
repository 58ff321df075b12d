//! Queries as a whole: aggregations, operators, ranges.

use super::ast::*;
use super::reader::Reader;
use super::stages::{label_filter, selector, stages};
use super::token::Token;
use super::{check, quantity};
use crate::QueryError;

/// Reads a query.
pub(in crate::logql) fn parse(text: &str) -> Result<Node, QueryError> {
    let mut reader = Reader::new(text)?;
    let node = operators(&mut reader, 0)?;
    match reader.peek() {
        Token::End => Ok(node),
        _ => Err(reader.unexpected("an operator or the end of the query")),
    }
}

/// The operator that is next, how tightly it binds, and whether it does so to the right.
fn operator(reader: &Reader<'_>) -> Option<(BinaryOp, u8, bool)> {
    Some(match reader.peek() {
        _ if reader.sees_word(0, &["or"]) => (BinaryOp::Or, 1, false),
        _ if reader.sees_word(0, &["and"]) => (BinaryOp::And, 2, false),
        _ if reader.sees_word(0, &["unless"]) => (BinaryOp::Unless, 2, false),
        Token::Symbol("==") => (BinaryOp::Compare(Comparison::Equal), 3, false),
        Token::Symbol("!=") => (BinaryOp::Compare(Comparison::NotEqual), 3, false),
        Token::Symbol(">") => (BinaryOp::Compare(Comparison::Greater), 3, false),
        Token::Symbol(">=") => (BinaryOp::Compare(Comparison::GreaterOrEqual), 3, false),
        Token::Symbol("<") => (BinaryOp::Compare(Comparison::Less), 3, false),
        Token::Symbol("<=") => (BinaryOp::Compare(Comparison::LessOrEqual), 3, false),
        Token::Symbol("+") => (BinaryOp::Add, 4, false),
        Token::Symbol("-") => (BinaryOp::Sub, 4, false),
        Token::Symbol("*") => (BinaryOp::Mul, 5, false),
        Token::Symbol("/") => (BinaryOp::Div, 5, false),
        Token::Symbol("%") => (BinaryOp::Mod, 5, false),
        Token::Symbol("^") => (BinaryOp::Pow, 6, true),
        _ => return None,
    })
}

fn operators(reader: &mut Reader<'_>, least: u8) -> Result<Node, QueryError> {
    reader.deeper(|reader| {
        let mut left = operand(reader)?;
        while let Some((op, strength, to_the_right)) = operator(reader).filter(|(_, s, _)| *s >= least) {
            let at = reader.at();
            reader.take();
            reader.operator()?;
            let (returns_bool, matching) = modifiers(reader)?;
            let right = operators(reader, if to_the_right { strength } else { strength + 1 })?;
            let binary = Binary { op, returns_bool, matching, left, right };
            check::binary(&binary).map_err(|detail| reader.refuse(at, detail))?;
            left = folded(binary);
        }
        Ok(left)
    })
}

/// Numbers are calculated at once.
fn folded(binary: Binary) -> Node {
    if let (Node::Number(a), Node::Number(b), None) = (&binary.left, &binary.right, &binary.matching)
        && let Some(value) = crate::logql::calculate(binary.op, *a, *b).filter(|value| value.is_finite())
    {
        return Node::Number(value);
    }
    Node::Binary(Box::new(binary))
}

/// `bool on (a) group_left (b)`
fn modifiers(reader: &mut Reader<'_>) -> Result<(bool, Option<Matching>), QueryError> {
    let returns_bool = reader.word("bool");
    let on = reader.word("on");
    if !on && !reader.word("ignoring") {
        return Ok((returns_bool, None));
    }
    let names = reader.names(true)?;
    let left = reader.word("group_left");
    let group = if left || reader.word("group_right") {
        // An operand in brackets may follow at once; its first token tells.
        let listed = reader.sees("(")
            && match reader.peek_at(1) {
                Token::Symbol(")") => true,
                Token::Word(_) => matches!(reader.peek_at(2), Token::Symbol("," | ")")),
                _ => false,
            };
        Some(Group { left, include: if listed { reader.names(true)? } else { Vec::new() } })
    } else {
        None
    };
    Ok((returns_bool, Some(Matching { on, names, group })))
}

fn operand(reader: &mut Reader<'_>) -> Result<Node, QueryError> {
    let at = reader.at();
    match *reader.peek() {
        Token::Symbol("(") => {
            reader.take();
            let node = operators(reader, 0)?;
            reader.expect(")")?;
            // `({a="b"}) | json` goes on with its stages.
            if let Node::Log(mut query) = node {
                stages(reader, &mut query.stages)?;
                return Ok(Node::Log(query));
            }
            Ok(node)
        }
        Token::Symbol("{") => Ok(Node::Log(lines(reader)?)),
        Token::Number(_) | Token::Symbol("-" | "+") => Ok(Node::Number(number(reader)?)),
        Token::Word(word) => {
            reader.take();
            call(reader, word, at)
        }
        _ => Err(reader.unexpected("a selector such as `{app=\"x\"}`, a function or a number")),
    }
}

/// A selector and its stages.
fn lines(reader: &mut Reader<'_>) -> Result<LogQuery, QueryError> {
    let at = reader.at();
    let matchers = selector(reader)?;
    check::selector(&matchers).map_err(|detail| reader.refuse(at, detail))?;
    let mut query = LogQuery { matchers, stages: Vec::new() };
    stages(reader, &mut query.stages)?;
    Ok(query)
}

fn number(reader: &mut Reader<'_>) -> Result<f64, QueryError> {
    let negative = reader.symbol("-");
    if !negative {
        reader.symbol("+");
    }
    let value = match *reader.peek() {
        Token::Number(text) => quantity::number(text).filter(|value| value.is_finite()),
        _ => None,
    };
    let value = value.ok_or_else(|| reader.unexpected("a number"))?;
    reader.take();
    Ok(if negative { -value } else { value })
}

fn call(reader: &mut Reader<'_>, word: &str, at: usize) -> Result<Node, QueryError> {
    let name = word.to_ascii_lowercase();
    if let Some((_, op)) = RangeOp::ALL.iter().find(|(spelling, _)| *spelling == name) {
        return range_aggregation(reader, *op, at);
    }
    if let Some((_, op)) = VectorOp::ALL.iter().find(|(spelling, _)| *spelling == name) {
        return vector_aggregation(reader, *op, at);
    }
    match name.as_str() {
        "vector" => {
            reader.expect("(")?;
            let value = number(reader)?;
            reader.expect(")")?;
            Ok(Node::VectorOf(value))
        }
        "label_replace" => label_replace(reader),
        _ => Err(reader.refuse(
            at,
            format!(
                "syntax error: unexpected `{word}`, expecting a function such as rate, count_over_time or sum"
            ),
        )),
    }
}

fn label_replace(reader: &mut Reader<'_>) -> Result<Node, QueryError> {
    reader.expect("(")?;
    let inner = metric(reader, "label_replace")?;
    let mut argument = |expected: &str| {
        reader.expect(",")?;
        reader.text(expected)
    };
    let (to, to_at) = argument("the label to set, in quotes")?;
    let (replacement, _) = argument("the replacement, in quotes")?;
    let (from, _) = argument("the label to read, in quotes")?;
    let (text, text_at) = argument("an expression, in quotes")?;
    reader.expect(")")?;
    let is_name = to.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && to.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !is_name {
        return Err(reader.refuse(to_at, format!("invalid label name {to:?} in label_replace")));
    }
    let expression = reader.expression(text, true, text_at)?;
    Ok(Node::LabelReplace(Box::new(LabelReplace { inner, to, replacement, from, expression })))
}

/// A part that must be samples.
fn metric(reader: &mut Reader<'_>, of: &str) -> Result<Node, QueryError> {
    let at = reader.at();
    match operators(reader, 0)? {
        Node::Log(_) => Err(reader.refuse(
            at,
            format!("syntax error: unexpected lines in {of}, expecting a metric such as count_over_time({{...}}[5m])"),
        )),
        node => Ok(node),
    }
}

fn grouping(reader: &mut Reader<'_>) -> Result<Option<Grouping>, QueryError> {
    let without = reader.word("without");
    if !without && !reader.word("by") {
        return Ok(None);
    }
    Ok(Some(Grouping { without, names: reader.names(false)? }))
}

fn vector_aggregation(reader: &mut Reader<'_>, op: VectorOp, at: usize) -> Result<Node, QueryError> {
    let before = grouping(reader)?;
    reader.expect("(")?;
    let counted =
        matches!(reader.peek(), Token::Number(_)) && matches!(reader.peek_at(1), Token::Symbol(","));
    let parameter =
        if counted || (op.ranks() && !reader.sees("(") && !matches!(reader.peek(), Token::Word(_))) {
            let at = reader.at();
            let value = number(reader)?;
            reader.expect(",")?;
            if value < 0.0 || value.fract() != 0.0 || value > f64::from(u32::MAX) {
                return Err(reader.refuse(at, format!("invalid parameter {value} of {}", op.spelling())));
            }
            Some(value as u64)
        } else {
            None
        };
    let inner = metric(reader, op.spelling())?;
    reader.expect(")")?;
    let grouping = match before {
        Some(grouping) => Some(grouping),
        None => grouping(reader)?,
    };
    let vector = VectorAggregation { op, parameter, grouping, inner };
    check::vector(&vector).map_err(|detail| reader.refuse(at, detail))?;
    Ok(Node::Vector(Box::new(vector)))
}

/// What stands in a range aggregation's brackets, its parts in any order that Loki takes.
struct Ranged {
    lines: LogQuery,
    unwrap: Option<Unwrap>,
    range: Option<u64>,
    offset: i64,
}

fn range_aggregation(reader: &mut Reader<'_>, op: RangeOp, at: usize) -> Result<Node, QueryError> {
    reader.expect("(")?;
    let parameter = if matches!(reader.peek(), Token::Number(_) | Token::Symbol("-" | "+")) {
        let value = number(reader)?;
        reader.expect(",")?;
        Some(value)
    } else {
        None
    };
    let ranged = ranged(reader)?;
    let Some(range) = ranged.range else {
        return Err(reader.unexpected("a range such as `[5m]`"));
    };
    reader.expect(")")?;
    let grouping = grouping(reader)?;
    let (lines, unwrap, offset) = (ranged.lines, ranged.unwrap, ranged.offset);
    let aggregation = RangeAggregation { op, parameter, lines, unwrap, range, offset, grouping };
    check::range(&aggregation).map_err(|detail| reader.refuse(at, detail))?;
    Ok(Node::Range(Box::new(aggregation)))
}

fn ranged(reader: &mut Reader<'_>) -> Result<Ranged, QueryError> {
    let mut ranged = if reader.symbol("(") {
        let inner = reader.deeper(ranged)?;
        reader.expect(")")?;
        inner
    } else {
        Ranged { lines: lines(reader)?, unwrap: None, range: None, offset: 0 }
    };
    loop {
        if ranged.range.is_none() && reader.symbol("[") {
            ranged.range = Some(window(reader)?);
            if reader.word("offset") {
                ranged.offset = offset(reader)?;
            }
        } else if ranged.unwrap.is_none() && is_unwrap(reader) {
            reader.take();
            reader.take();
            ranged.unwrap = Some(unwrap(reader)?);
        } else {
            let before = reader.at();
            if ranged.unwrap.is_none() {
                stages(reader, &mut ranged.lines.stages)?;
            }
            if reader.at() == before {
                return Ok(ranged);
            }
        }
    }
}

fn is_unwrap(reader: &Reader<'_>) -> bool {
    reader.sees("|") && reader.sees_word(1, &["unwrap"])
}

/// The duration behind `[`, and the closing bracket.
fn window(reader: &mut Reader<'_>) -> Result<u64, QueryError> {
    let range = nanos(reader)?;
    if range < 1 {
        return Err(reader.unexpected("a duration over zero"));
    }
    if matches!(reader.peek(), Token::Colon) {
        return Err(reader.refuse(
            reader.at(),
            "syntax error: unexpected `:`, expecting `]`: subqueries are not part of LogQL",
        ));
    }
    reader.expect("]")?;
    Ok(range.unsigned_abs())
}

fn offset(reader: &mut Reader<'_>) -> Result<i64, QueryError> {
    if reader.symbol("-") { Ok(-nanos(reader)?) } else { nanos(reader) }
}

fn nanos(reader: &mut Reader<'_>) -> Result<i64, QueryError> {
    let (text, nanos) = match *reader.peek() {
        Token::Number(text) => (text, quantity::duration(text)),
        _ => ("", None),
    };
    let nanos = nanos.ok_or_else(|| reader.unexpected("a duration such as `5m`"))?;
    if nanos >= i64::MAX as f64 {
        let detail = format!("the duration {text:?} is too long: expected at most 292 years");
        return Err(reader.refuse(reader.at(), detail));
    }
    reader.take();
    Ok(nanos.round() as i64)
}

fn unwrap(reader: &mut Reader<'_>) -> Result<Unwrap, QueryError> {
    let at = reader.at();
    let word = reader.name("a label name")?;
    let (name, conversion) = if reader.symbol("(") {
        let conversion = match word.to_ascii_lowercase().as_str() {
            "duration" => Conversion::Duration,
            "duration_seconds" => Conversion::DurationSeconds,
            "bytes" => Conversion::Bytes,
            _ => {
                let detail = format!(
                    "syntax error: unexpected `{word}`, expecting duration, duration_seconds or bytes"
                );
                return Err(reader.refuse(at, detail));
            }
        };
        let name = reader.name("a label name")?;
        reader.expect(")")?;
        (name, conversion)
    } else {
        (word, Conversion::None)
    };
    let mut filters = Vec::new();
    while reader.sees("|") && !is_unwrap(reader) {
        reader.take();
        filters.push(label_filter(reader)?);
    }
    Ok(Unwrap { name, conversion, filters })
}
