//! The older form of a search: tags as logfmt, and bounds of the trace's duration.

use super::ast::*;
use super::error::{ParseError, Place};
use super::parser::field;

/// `service.name=cart http.status_code=500`, values perhaps quoted; and durations of the whole trace, ns. A value that looks like
/// a number or a truth is also met as one.
pub fn from_tags(
    tags: &str,
    min_duration: Option<u64>,
    max_duration: Option<u64>,
) -> Result<Query, ParseError> {
    let mut condition = None;
    let mut add = |next: Expr| {
        condition = Some(match condition.take() {
            Some(before) => binary(Operator::And, before, next),
            None => next,
        });
    };
    let mut rest = tags.trim_start();
    let mut count = 0;
    while !rest.is_empty() {
        let column = tags.chars().count() - rest.chars().count() + 1;
        let place = Place { line: 1, column };
        count += 1;
        if count > MAX_TAGS {
            return Err(place.word(format!("more than {MAX_TAGS} tags")));
        }
        let Some((name, after)) = rest.split_once('=') else {
            return Err(place.syntax(format!("`{rest}`"), "tags such as `service.name=cart`"));
        };
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let field = field(name).unwrap_or_else(|_| Field::Attribute {
            scope: Scope::Any,
            parent: false,
            name: name.to_owned(),
        });
        add(equals(&field, value));
        rest = next.trim_start();
    }
    for (op, bound) in [(Comparison::GreaterEqual, min_duration), (Comparison::LessEqual, max_duration)] {
        if let Some(bound) = bound {
            let nanos = Static::Duration(i64::try_from(bound).unwrap_or(i64::MAX));
            let duration = Expr::Field(Field::Intrinsic(Intrinsic::TraceDuration));
            add(binary(Operator::Compare(op), duration, Expr::Static(nanos)));
        }
    }
    let condition = condition.unwrap_or(Expr::Static(Static::Bool(true)));
    Ok(Query {
        pipeline: Pipeline(vec![Stage::Spans(Spans::Where(condition))]),
        metrics: None,
        hints: Vec::new(),
    })
}

/// Tags of one search at most; forms have a handful.
const MAX_TAGS: usize = 100;

fn binary(op: Operator, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}

fn equals(field: &Field, text: &str) -> Expr {
    let is = |value: Static| {
        binary(Operator::Compare(Comparison::Equal), Expr::Field(field.clone()), Expr::Static(value))
    };
    let word = super::lexer::value_of(text);
    match (field, word) {
        (Field::Intrinsic(Intrinsic::Status | Intrinsic::Kind), Some(word)) => return is(word),
        (_, Some(truth @ Static::Bool(_))) => {
            return binary(Operator::Or, is(Static::Str(text.to_owned())), is(truth));
        }
        _ => {}
    }
    let plain = is(Static::Str(text.to_owned()));
    match (text.parse(), text.parse()) {
        (Ok(number), _) => binary(Operator::Or, plain, is(Static::Int(number))),
        (_, Ok(number)) if f64::is_finite(number) => binary(Operator::Or, plain, is(Static::Float(number))),
        _ => plain,
    }
}
