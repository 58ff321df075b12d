//! Expressions that are ready to run: regular expressions compiled, and what can be told of a span alone set apart.

use std::borrow::Cow;

use ::regex::Regex;
use store::read::SpanView;

use crate::expressions;

use super::ast::{Arithmetic, Comparison, Expr, Field, Intrinsic, Operator, Scope, Static};
use super::error::ParseError;
use super::regex::compile;
use super::trace::Trace;
use super::value::{Val, calculate, compare};

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Static(Static),
    Field(Field),
    Negative(Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Match { regex: Regex, negated: bool, of: Box<Node> },
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
}

/// Where a span stands; without its trace, what needs it is nil.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) span: &'a SpanView<'a>,
    pub(super) trace: Option<(&'a Trace<'a>, usize)>,
}

impl<'a> At<'a> {
    pub(super) fn within(trace: &'a Trace<'a>, index: usize) -> Option<Self> {
        Some(Self { span: trace.spans.get(index)?, trace: Some((trace, index)) })
    }
}

impl Node {
    pub(super) fn new(expr: &Expr) -> Result<Self, ParseError> {
        let boxed = |expr: &Expr| Self::new(expr).map(Box::new);
        Ok(match expr {
            Expr::Static(value) => Self::Static(value.clone()),
            Expr::Field(field) => Self::Field(field.clone()),
            Expr::Negative(inner) => Self::Negative(boxed(inner)?),
            Expr::Not(inner) => Self::Not(boxed(inner)?),
            Expr::Binary(op, left, right) => match op {
                Operator::And => Self::And(boxed(left)?, boxed(right)?),
                Operator::Or => Self::Or(boxed(left)?, boxed(right)?),
                Operator::Compare(op) => Self::Compare(*op, boxed(left)?, boxed(right)?),
                Operator::Arithmetic(op) => Self::Arithmetic(*op, boxed(left)?, boxed(right)?),
                Operator::Match | Operator::NotMatch => {
                    let Expr::Static(Static::Str(pattern)) = &**right else {
                        return Err(ParseError::Meaning(format!("not a regular expression: {right}")));
                    };
                    let regex = compile(pattern, expressions::LARGE_PROGRAM).map_err(ParseError::Meaning)?;
                    Self::Match { regex, negated: *op == Operator::NotMatch, of: boxed(left)? }
                }
            },
        })
    }

    /// Its value for a span.
    pub(super) fn value<'a>(&'a self, at: At<'a>) -> Val<'a> {
        match self {
            Self::Static(value) => value.into(),
            Self::Field(field) => field_value(field, at),
            Self::Negative(inner) => match inner.value(at) {
                Val::Int(number) => Val::Int(number.saturating_neg()),
                Val::Duration(nanos) => Val::Duration(nanos.saturating_neg()),
                Val::Float(number) => Val::Float(-number),
                _ => Val::Nil,
            },
            Self::Not(inner) => match inner.value(at) {
                Val::Bool(truth) => Val::Bool(!truth),
                _ => Val::Nil,
            },
            Self::Arithmetic(op, left, right) => calculate(*op, &left.value(at), &right.value(at)),
            Self::And(..) | Self::Or(..) | Self::Compare(..) | Self::Match { .. } => {
                Val::Bool(self.holds(at))
            }
        }
    }

    /// Whether it is true of a span.
    pub(super) fn holds(&self, at: At<'_>) -> bool {
        match self {
            Self::And(left, right) => left.holds(at) && right.holds(at),
            Self::Or(left, right) => left.holds(at) || right.holds(at),
            Self::Compare(op, left, right) => compare(*op, &left.value(at), &right.value(at)),
            Self::Match { regex, negated, of } => matches(regex, *negated, &of.value(at)),
            _ => self.value(at).is_true(),
        }
    }

    /// Whether a comparison of a field with a constant holds for one of the field's values.
    pub(super) fn holds_of(&self, value: &Val<'_>) -> bool {
        match self {
            Self::Compare(op, left, right) => match (&**left, &**right) {
                (Self::Field(_), Self::Static(constant)) => compare(*op, value, &constant.into()),
                (Self::Static(constant), Self::Field(_)) => compare(*op, &constant.into(), value),
                _ => false,
            },
            Self::Match { regex, negated, .. } => matches(regex, *negated, value),
            _ => false,
        }
    }

    /// Whether all that it looks at is told by a span alone.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Field(Field::Attribute { parent, .. }) => !parent,
            Self::Field(Field::Intrinsic(intrinsic)) => !matches!(
                intrinsic,
                Intrinsic::ChildCount
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootService
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent
            ),
            Self::Negative(inner) | Self::Not(inner) => inner.is_local(),
            Self::Match { of, .. } => of.is_local(),
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare(_, left, right)
            | Self::Arithmetic(_, left, right) => left.is_local() && right.is_local(),
        }
    }

    /// What a span alone must meet for this to hold; `None` if that is nothing.
    pub(super) fn relaxed(&self) -> Option<Self> {
        match self {
            Self::And(left, right) => match (left.relaxed(), right.relaxed()) {
                (Some(left), Some(right)) => Some(Self::And(Box::new(left), Box::new(right))),
                (one, other) => one.or(other),
            },
            Self::Or(left, right) => Some(Self::Or(Box::new(left.relaxed()?), Box::new(right.relaxed()?))),
            // Roots are known by having no parent: Grafana's apps ask for them in this way.
            Self::Compare(Comparison::Less, left, right)
                if matches!(**left, Self::Field(Field::Intrinsic(Intrinsic::NestedSetParent)))
                    && matches!(**right, Self::Static(Static::Int(0))) =>
            {
                let parent = Self::Field(Field::Intrinsic(Intrinsic::Parent));
                let nil = Self::Static(Static::Nil);
                Some(Self::Compare(Comparison::Equal, Box::new(parent), Box::new(nil)))
            }
            Self::Static(Static::Bool(true)) => None,
            _ => self.is_local().then(|| self.clone()),
        }
    }

    /// The fields that it looks at.
    pub(super) fn fields<'a>(&'a self, out: &mut Vec<&'a Field>) {
        match self {
            Self::Static(_) => {}
            Self::Field(field) => out.push(field),
            Self::Negative(inner) | Self::Not(inner) | Self::Match { of: inner, .. } => inner.fields(out),
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare(_, left, right)
            | Self::Arithmetic(_, left, right) => {
                left.fields(out);
                right.fields(out);
            }
        }
    }
}

fn matches(regex: &Regex, negated: bool, value: &Val<'_>) -> bool {
    match value {
        Val::Str(text) => regex.is_match(text) != negated,
        Val::Each(values) => values.iter().any(|value| matches(regex, negated, value)),
        Val::List(values) if negated => values.iter().all(|value| matches(regex, true, value)),
        Val::List(values) => values.iter().any(|value| matches(regex, false, value)),
        _ => false,
    }
}

/// What a field is in a span.
pub(super) fn field_value<'a>(field: &Field, at: At<'a>) -> Val<'a> {
    match field {
        Field::Intrinsic(intrinsic) => intrinsic_value(*intrinsic, at),
        Field::Attribute { scope, parent: false, name } => attribute_value(*scope, name, at.span),
        Field::Attribute { scope, parent: true, name } => {
            let parent = at.trace.and_then(|(trace, index)| {
                let parent = trace.tree().parent.get(index).copied().flatten()?;
                trace.spans.get(parent)
            });
            parent.map_or(Val::Nil, |parent| attribute_value(*scope, name, parent))
        }
    }
}

fn attribute_value<'a>(scope: Scope, name: &str, span: &'a SpanView<'a>) -> Val<'a> {
    let of_resource = || parsers::record::attribute(&span.resource().attributes, name).map(Into::into);
    let value = match scope {
        Scope::Span => span.attribute(name),
        Scope::Resource => of_resource(),
        Scope::Any => span.attribute(name).or_else(of_resource),
        Scope::Instrumentation => parsers::record::attribute(&span.scope().attributes, name).map(Into::into),
        Scope::Event => {
            let events = span.whole().map(|span| &*span.events).unwrap_or_default();
            return each(events.iter().map(|event| &event.attributes), name);
        }
        Scope::Link => {
            let links = span.whole().map(|span| &*span.links).unwrap_or_default();
            return each(links.iter().map(|link| &link.attributes), name);
        }
    };
    value.map_or(Val::Nil, Val::from)
}

/// The attribute in each of several lists that has it.
fn each<'a>(lists: impl Iterator<Item = &'a parsers::record::Attributes>, name: &str) -> Val<'a> {
    let values = lists.filter_map(|list| parsers::record::attribute(list, name));
    Val::Each(values.map(|value| Val::from(store::read::ValueView::from(value))).collect())
}

fn intrinsic_value<'a>(intrinsic: Intrinsic, at: At<'a>) -> Val<'a> {
    let span = at.span;
    let text = |text: Cow<'a, str>| Val::Str(text);
    let some = |text: Option<String>| text.map_or(Val::Nil, |text| Val::Str(Cow::Owned(text)));
    let root = || at.trace.and_then(|(trace, _)| trace.spans.get(trace.root));
    let tree = |number: fn(&super::trace::Tree, usize) -> Option<i64>| {
        let found = at.trace.and_then(|(trace, index)| number(trace.tree(), index));
        found.map_or(Val::Nil, Val::Int)
    };
    let named = |name: &'a str| if name.is_empty() { Val::Nil } else { Val::Str(Cow::Borrowed(name)) };
    match intrinsic {
        Intrinsic::Duration => Val::Duration(span.duration() as i64),
        Intrinsic::Name => text(span.name()),
        Intrinsic::Status => Val::Status(span.status),
        Intrinsic::StatusMessage => text(span.status_message()),
        Intrinsic::Kind => Val::Kind(span.kind),
        Intrinsic::Parent | Intrinsic::ParentId => some(span.parent.map(|id| id.to_string())),
        Intrinsic::ChildCount => tree(|tree, index| tree.children.get(index).map(|count| i64::from(*count))),
        Intrinsic::TraceDuration => {
            at.trace.map_or(Val::Nil, |(trace, _)| Val::Duration(trace.duration() as i64))
        }
        Intrinsic::RootName => root().map_or(Val::Nil, |root| text(root.name())),
        Intrinsic::RootService => root().map_or(Val::Nil, |root| Val::Str(Cow::Borrowed(root.service()))),
        Intrinsic::NestedSetLeft => tree(|tree, index| tree.nested.get(index).map(|n| n.0)),
        Intrinsic::NestedSetRight => tree(|tree, index| tree.nested.get(index).map(|n| n.1)),
        Intrinsic::NestedSetParent => tree(|tree, index| tree.nested.get(index).map(|n| n.2)),
        Intrinsic::TraceId => some(Some(span.trace_id.to_string())),
        Intrinsic::SpanId => some(Some(span.span_id.to_string())),
        Intrinsic::EventName | Intrinsic::EventTimeSinceStart => {
            let events = span.whole().map(|span| &*span.events).unwrap_or_default();
            Val::Each(
                events
                    .iter()
                    .map(|event| match intrinsic {
                        Intrinsic::EventName => Val::Str(Cow::Borrowed(&*event.name)),
                        _ => Val::Duration(event.time.saturating_sub(span.start) as i64),
                    })
                    .collect(),
            )
        }
        Intrinsic::LinkTraceId => {
            let links = span.whole().map(|span| &*span.links).unwrap_or_default();
            Val::Each(links.iter().map(|link| some(link.trace_id.map(|id| id.to_string()))).collect())
        }
        Intrinsic::LinkSpanId => {
            let links = span.whole().map(|span| &*span.links).unwrap_or_default();
            Val::Each(links.iter().map(|link| some(link.span_id.map(|id| id.to_string()))).collect())
        }
        Intrinsic::InstrumentationName => named(&span.scope().name),
        Intrinsic::InstrumentationVersion => named(&span.scope().version),
    }
}
