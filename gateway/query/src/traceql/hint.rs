//! Conditions in the form that lets the store pass over blocks: what is not told by it is left out, so that it holds for every
//! span for which the condition does.

use store::read::{AttributeScope, AttributeValue, SpanHint};

use super::ast::{Comparison, Field, Intrinsic, Scope, Static};
use super::expression::Node;

/// What every span meets for which the condition holds.
pub(super) fn of(node: &Node) -> SpanHint {
    match node {
        Node::And(left, right) => {
            let both = [of(left), of(right)].into_iter().filter(|hint| *hint != SpanHint::Anything);
            let mut both: Vec<SpanHint> = both.collect();
            match both.len() {
                0 => SpanHint::Anything,
                1 => both.pop().unwrap_or_default(),
                _ => SpanHint::All(both),
            }
        }
        Node::Or(left, right) => one_of(vec![of(left), of(right)]),
        Node::Compare(op, left, right) => match (&**left, &**right) {
            (Node::Field(field), Node::Static(value)) => compared(*op, field, value),
            (Node::Static(value), Node::Field(field)) => compared(mirrored(*op), field, value),
            _ => SpanHint::Anything,
        },
        Node::Match { of, .. } => match &**of {
            Node::Field(Field::Attribute { parent: false, scope, name }) => has(*scope, name),
            _ => SpanHint::Anything,
        },
        _ => SpanHint::Anything,
    }
}

/// What holds if one of these does.
pub(super) fn one_of(mut hints: Vec<SpanHint>) -> SpanHint {
    if hints.contains(&SpanHint::Anything) {
        return SpanHint::Anything;
    }
    if hints.len() == 1 { hints.pop().unwrap_or_default() } else { SpanHint::OneOf(hints) }
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same @ (Comparison::Equal | Comparison::NotEqual) => same,
    }
}

/// Where an attribute of this scope may be written.
pub(super) fn places(scope: Scope) -> &'static [AttributeScope] {
    match scope {
        Scope::Any => &[AttributeScope::Span, AttributeScope::Resource],
        Scope::Span => &[AttributeScope::Span],
        Scope::Resource => &[AttributeScope::Resource],
        Scope::Event => &[AttributeScope::Event],
        Scope::Link => &[AttributeScope::Link],
        Scope::Instrumentation => &[AttributeScope::Instrumentation],
    }
}

/// Bytes that are not UTF-8 where they are stored read as U+FFFD here.
fn is_exact(text: &str) -> bool {
    !text.contains('\u{fffd}')
}

fn attribute(scope: Scope, name: &str, hint: impl Fn(AttributeScope, String) -> SpanHint) -> SpanHint {
    if !is_exact(name) {
        return SpanHint::Anything;
    }
    one_of(places(scope).iter().map(|place| hint(*place, name.to_owned())).collect())
}

fn has(scope: Scope, name: &str) -> SpanHint {
    attribute(scope, name, SpanHint::Has)
}

fn compared(op: Comparison, field: &Field, value: &Static) -> SpanHint {
    let equal = op == Comparison::Equal;
    match (field, value) {
        // Nothing is equal to what is not there, and compares with nothing else.
        (Field::Attribute { parent: false, .. }, Static::Nil) if equal => SpanHint::Anything,
        (Field::Attribute { parent: false, scope, name }, value) => {
            let value = match value {
                Static::Str(text) if is_exact(text) => Some(AttributeValue::Str(text.clone())),
                Static::Int(number) | Static::Duration(number) => Some(AttributeValue::Int(*number)),
                Static::Float(number) => Some(AttributeValue::Double(number.to_bits())),
                Static::Bool(truth) => Some(AttributeValue::Bool(*truth)),
                _ => None,
            };
            match value.filter(|_| equal) {
                Some(value) => {
                    attribute(*scope, name, |place, key| SpanHint::Equals(place, key, value.clone()))
                }
                None => has(*scope, name),
            }
        }
        (Field::Intrinsic(Intrinsic::Name), Static::Str(name)) if equal && is_exact(name) => {
            SpanHint::Name(name.clone())
        }
        (Field::Intrinsic(Intrinsic::Status), Static::Status(status)) if equal => SpanHint::Status(*status),
        (Field::Intrinsic(Intrinsic::Kind), Static::Kind(kind)) if equal => SpanHint::Kind(*kind),
        (Field::Intrinsic(Intrinsic::Duration), Static::Duration(nanos) | Static::Int(nanos)) => {
            let nanos = u64::try_from(*nanos).unwrap_or(0);
            match op {
                Comparison::Equal => SpanHint::Duration(nanos, nanos),
                Comparison::Less | Comparison::LessEqual => SpanHint::Duration(0, nanos),
                Comparison::Greater | Comparison::GreaterEqual => SpanHint::Duration(nanos, u64::MAX),
                Comparison::NotEqual => SpanHint::Anything,
            }
        }
        _ => SpanHint::Anything,
    }
}
