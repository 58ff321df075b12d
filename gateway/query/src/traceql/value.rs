//! What an expression gives for a span, and how such values compare.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use parsers::record::{SpanKind, StatusCode, Value};
use store::read::ValueView;

use super::ast::{Arithmetic, Comparison, Static};

/// A value of a span.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val<'a> {
    Nil,
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    Status(StatusCode),
    Kind(SpanKind),
    /// A list: equal to what one of its items is equal to, unequal to what none is.
    List(Vec<Val<'a>>),
    /// Of several events or links: anything holds that holds for one of them.
    Each(Vec<Val<'a>>),
}

impl<'a> From<ValueView<'a>> for Val<'a> {
    fn from(value: ValueView<'a>) -> Self {
        match value {
            ValueView::Str(text) => Self::Str(text),
            ValueView::Bool(truth) => Self::Bool(truth),
            ValueView::Int(number) => Self::Int(number),
            ValueView::Double(number) => Self::Float(number),
            ValueView::Other(other) => match other.into_owned() {
                Value::Array(items) => Self::List(items.iter().map(owned).collect()),
                _ => Self::Nil,
            },
        }
    }
}

fn owned(value: &Value) -> Val<'static> {
    match value {
        Value::Str(text) => Val::Str(Cow::Owned(text.clone())),
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Int(number) => Val::Int(*number),
        Value::Double(number) => Val::Float(*number),
        _ => Val::Nil,
    }
}

impl<'a> From<&'a Static> for Val<'a> {
    fn from(value: &'a Static) -> Self {
        match value {
            Static::Nil => Self::Nil,
            Static::Int(number) => Self::Int(*number),
            Static::Float(number) => Self::Float(*number),
            Static::Str(text) => Self::Str(Cow::Borrowed(text)),
            Static::Bool(truth) => Self::Bool(*truth),
            Static::Duration(nanos) => Self::Duration(*nanos),
            Static::Status(status) => Self::Status(*status),
            Static::Kind(kind) => Self::Kind(*kind),
            Static::List(items) => Self::List(items.iter().map(Val::from).collect()),
        }
    }
}

impl Val<'_> {
    /// As a number; durations in nanoseconds.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// As series have it; durations in seconds.
    pub(super) fn measured(&self) -> Option<f64> {
        match self {
            Self::Duration(nanos) => Some(*nanos as f64 / 1e9),
            other => other.number(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Bool(truth) => *truth,
            Self::Each(values) => values.iter().any(Val::is_true),
            _ => false,
        }
    }

    /// A copy that outlives the span. Of several events or links, the first's; a list is whole, as Tempo groups by it.
    pub(super) fn to_static(&self) -> Static {
        match self {
            Self::Nil => Static::Nil,
            Self::Int(number) => Static::Int(*number),
            Self::Float(number) => Static::Float(*number),
            Self::Str(text) => Static::Str(text.clone().into_owned()),
            Self::Bool(truth) => Static::Bool(*truth),
            Self::Duration(nanos) => Static::Duration(*nanos),
            Self::Status(status) => Static::Status(*status),
            Self::Kind(kind) => Static::Kind(*kind),
            Self::List(values) => Static::List(values.iter().map(Val::to_static).collect()),
            Self::Each(values) => values.first().map_or(Static::Nil, Val::to_static),
        }
    }

    /// Whether it is this, to the type; of several events or links, the first's.
    pub(super) fn is(&self, other: &Static) -> bool {
        match (self, other) {
            (Self::Nil, Static::Nil) => true,
            (Self::Int(a), Static::Int(b)) => a == b,
            (Self::Float(a), Static::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Static::Str(b)) => a == b,
            (Self::Bool(a), Static::Bool(b)) => a == b,
            (Self::Duration(a), Static::Duration(b)) => a == b,
            (Self::Status(a), Static::Status(b)) => a == b,
            (Self::Kind(a), Static::Kind(b)) => a == b,
            (Self::List(a), Static::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b)),
            (Self::Each(values), _) => match values.first() {
                Some(first) => first.is(other),
                None => *other == Static::Nil,
            },
            _ => false,
        }
    }
}

impl Hash for Val<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Nil => 0u8.hash(state),
            Self::Int(number) => (1u8, number).hash(state),
            Self::Float(number) => (2u8, number.to_bits()).hash(state),
            Self::Str(text) => (3u8, text).hash(state),
            Self::Bool(truth) => (4u8, truth).hash(state),
            Self::Duration(nanos) => (5u8, nanos).hash(state),
            Self::Status(status) => (6u8, status).hash(state),
            Self::Kind(kind) => (7u8, kind).hash(state),
            Self::List(values) => (8u8, values).hash(state),
            Self::Each(values) => values.first().unwrap_or(&Val::Nil).hash(state),
        }
    }
}

/// Whether `left op right` holds. Values of different types are not equal, and not unequal either.
pub(super) fn compare(op: Comparison, left: &Val<'_>, right: &Val<'_>) -> bool {
    match (left, right) {
        (Val::Each(values), other) => {
            if *other == Val::Nil {
                return (op == Comparison::Equal) == values.is_empty();
            }
            values.iter().any(|value| compare(op, value, other))
        }
        (other, Val::Each(values)) => values.iter().any(|value| compare(op, other, value)),
        (Val::List(values), other) if *other != Val::Nil => {
            listed(op, values, |value| compare(op, value, other))
        }
        (other, Val::List(values)) if *other != Val::Nil => {
            listed(op, values, |value| compare(op, other, value))
        }
        (Val::Nil, Val::Nil) => op == Comparison::Equal,
        // Something is never nil; nothing compares with something only as not being it, which tells of no span.
        (_, Val::Nil) => op == Comparison::NotEqual,
        (Val::Nil, _) => false,
        _ => order(left, right).is_some_and(|order| meets(op, order)),
    }
}

fn listed(op: Comparison, values: &[Val<'_>], holds: impl Fn(&Val<'_>) -> bool) -> bool {
    if op == Comparison::NotEqual { values.iter().all(holds) } else { values.iter().any(holds) }
}

/// How two values of one type stand to each other.
fn order(left: &Val<'_>, right: &Val<'_>) -> Option<Ordering> {
    match (left, right) {
        (Val::Int(a) | Val::Duration(a), Val::Int(b) | Val::Duration(b)) => Some(a.cmp(b)),
        (Val::Str(a), Val::Str(b)) => Some(a.cmp(b)),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Status(a), Val::Status(b)) => Some((*a as u8).cmp(&(*b as u8))),
        (Val::Kind(a), Val::Kind(b)) => Some((*a as u8).cmp(&(*b as u8))),
        _ => left.number()?.partial_cmp(&right.number()?),
    }
}

/// Whether values that stand so to each other meet a comparison.
pub(super) fn meets(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterEqual => order.is_ge(),
    }
}

/// A whole number stays one where it can, a duration too.
pub(super) fn calculate(op: Arithmetic, left: &Val<'_>, right: &Val<'_>) -> Val<'static> {
    let (Some(a), Some(b)) = (left.number(), right.number()) else { return Val::Nil };
    let exact = |a: i64, b: i64| match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Mod => a.checked_rem(b),
        Arithmetic::Div | Arithmetic::Pow => None,
    };
    let result = match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::Mod => a % b,
        Arithmetic::Pow => a.powf(b),
    };
    match (left, right) {
        (Val::Int(a), Val::Int(b)) => exact(*a, *b).map_or(Val::Float(result), Val::Int),
        (Val::Duration(_), Val::Duration(_)) if op == Arithmetic::Div => Val::Float(result),
        (Val::Duration(_), _) | (_, Val::Duration(_)) => Val::Duration(result as i64),
        _ => Val::Float(result),
    }
}
