//! What is shown beside a span: the fields that a query looks at, and of several values of one field that which the query's
//! conditions are met by.

use std::cmp::Reverse;

use super::ast::{Field, Intrinsic, Static};
use super::expression::{At, Node, field_value};
use super::pipeline::{Number, Pipeline, Step};
use super::sets::Finder;
use super::value::Val;

/// A field, and the comparisons of it with constants.
pub(super) struct Shown<'a> {
    field: &'a Field,
    conditions: Vec<&'a Node>,
}

impl Shown<'_> {
    /// As answers name it.
    pub(super) fn name(&self) -> String {
        match self.field {
            Field::Attribute { name, .. } => name.clone(),
            Field::Intrinsic(_) => self.field.to_string(),
        }
    }

    /// Its value in a span. Of the items of a list and of several events or links, the first of those that meet most conditions;
    /// of a list whose items are alike in this, all of it.
    pub(super) fn value(&self, at: At<'_>) -> Static {
        let value = field_value(self.field, at);
        let (Val::Each(items) | Val::List(items)) = &value else { return value.to_static() };
        let met = |item: &Val<'_>| self.conditions.iter().filter(|node| node.holds_of(item)).count();
        let best = items.iter().min_by_key(|item| Reverse(met(item)));
        let alike = items.iter().map(met).max() == items.iter().map(met).min();
        match best {
            Some(item) if !alike || matches!(value, Val::Each(_)) => item.to_static(),
            _ => value.to_static(),
        }
    }
}

/// What `select` names and conditions compare, but for what an answer tells of every span or trace anyway.
pub(super) fn shown(pipeline: &Pipeline) -> Vec<Shown<'_>> {
    let mut conditions = Vec::new();
    walk(pipeline, &mut |part| {
        if let Part::Where(node) = part {
            comparisons(node, &mut conditions);
        }
    });
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for field in fields(pipeline) {
        let told = matches!(
            field,
            Field::Intrinsic(
                Intrinsic::Name
                    | Intrinsic::Duration
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootService
                    | Intrinsic::TraceId
                    | Intrinsic::SpanId
                    | Intrinsic::Parent
            )
        );
        if !told && !shown.iter().any(|known| known.field == field) {
            let of_field = conditions.iter().filter(|(of, _)| *of == field);
            shown.push(Shown { field, conditions: of_field.map(|(_, node)| *node).collect() });
        }
    }
    shown
}

/// The fields that a pipeline looks at, those that it selects among them.
pub(super) fn fields(pipeline: &Pipeline) -> Vec<&Field> {
    let mut fields = Vec::new();
    walk(pipeline, &mut |part| match part {
        Part::Selected(selected) => fields.extend(selected),
        Part::Where(node) | Part::By(node) => node.fields(&mut fields),
    });
    fields
}

/// Comparisons of fields with constants that are not denied.
fn comparisons<'a>(node: &'a Node, out: &mut Vec<(&'a Field, &'a Node)>) {
    match node {
        Node::And(left, right) | Node::Or(left, right) => {
            comparisons(left, out);
            comparisons(right, out);
        }
        Node::Compare(_, left, right) => match (&**left, &**right) {
            (Node::Field(field), Node::Static(_)) | (Node::Static(_), Node::Field(field)) => {
                out.push((field, node));
            }
            _ => {}
        },
        Node::Match { of, .. } => {
            if let Node::Field(field) = &**of {
                out.push((field, node));
            }
        }
        _ => {}
    }
}

enum Part<'a> {
    Selected(&'a [Field]),
    Where(&'a Node),
    By(&'a Node),
}

fn walk<'a>(pipeline: &'a Pipeline, visit: &mut dyn FnMut(Part<'a>)) {
    visit(Part::Selected(&pipeline.selected));
    for step in &pipeline.steps {
        match step {
            Step::Spans(finder) => walk_finder(finder, visit),
            Step::Filter(left, _, right) => {
                let mut inner = Vec::new();
                Number::pipelines(left, &mut inner);
                Number::pipelines(right, &mut inner);
                for pipeline in inner {
                    walk(pipeline, visit);
                }
            }
            Step::By(_, node) => visit(Part::By(node)),
            Step::Coalesce => {}
        }
    }
}

fn walk_finder<'a>(finder: &'a Finder, visit: &mut dyn FnMut(Part<'a>)) {
    match finder {
        Finder::Where(node) => visit(Part::Where(node)),
        Finder::Pipeline(pipeline) => walk(pipeline, visit),
        Finder::Join(_, left, right) => {
            walk_finder(left, visit);
            walk_finder(right, visit);
        }
    }
}
