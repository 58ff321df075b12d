//! Stages over the span sets of a trace: what keeps spans, what keeps sets, what splits and joins them.

use super::ast::{Aggregate, AggregateFunction, Arithmetic, Comparison, Field, Scalar, Stage, Static};
use super::error::ParseError;
use super::expression::{At, Node};
use super::sets::{Finder, union};
use super::trace::Trace;
use super::value::{Val, calculate, compare};
use super::{ast, names};

/// Spans of a trace, and what was found of them together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set {
    /// By index, in order.
    pub(super) spans: Vec<usize>,
    /// Values of `by` and of aggregates.
    pub(super) attributes: Vec<(String, Static)>,
}

/// A pipeline that is ready to run.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) steps: Vec<Step>,
    /// What `select` names.
    pub(super) selected: Vec<Field>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Spans(Finder),
    Filter(Number, Comparison, Number),
    By(String, Node),
    Coalesce,
}

/// A number of a set.
#[derive(Debug, Clone)]
pub(super) enum Number {
    Static(Static),
    Negative(Static),
    Aggregate(Total),
    Arithmetic(Arithmetic, Box<Number>, Box<Number>),
    /// Of the sets that a pipeline makes of this one.
    Pipeline(Box<Pipeline>, Total),
}

#[derive(Debug, Clone)]
pub(super) struct Total {
    /// As it is written, for answers.
    name: String,
    function: AggregateFunction,
    of: Option<Node>,
}

impl Pipeline {
    pub(super) fn new(pipeline: &ast::Pipeline) -> Result<Self, ParseError> {
        let mut ready = Self { steps: Vec::new(), selected: Vec::new() };
        for stage in &pipeline.0 {
            ready.steps.push(match stage {
                Stage::Spans(spans) => Step::Spans(Finder::new(spans)?),
                Stage::Filter(filter) => {
                    Step::Filter(Number::new(&filter.left)?, filter.op, Number::new(&filter.right)?)
                }
                Stage::By(expr) => Step::By(format!("by({expr})"), Node::new(expr)?),
                Stage::Coalesce => Step::Coalesce,
                Stage::Select(fields) => {
                    ready.selected.extend(fields.iter().cloned());
                    continue;
                }
            });
        }
        Ok(ready)
    }

    /// Its sets of a whole trace; none is empty.
    pub(super) fn of(&self, trace: &Trace<'_>) -> Vec<Set> {
        self.run(trace, vec![Set { spans: (0..trace.spans.len()).collect(), attributes: Vec::new() }])
    }

    pub(super) fn run(&self, trace: &Trace<'_>, mut sets: Vec<Set>) -> Vec<Set> {
        for step in &self.steps {
            sets = match step {
                Step::Spans(finder) => {
                    sets.into_iter().map(|set| Set { spans: finder.find(trace, &set), ..set }).collect()
                }
                Step::Filter(left, op, right) => {
                    sets.into_iter().filter_map(|set| kept(trace, set, left, *op, right)).collect()
                }
                Step::By(name, node) => sets.iter().flat_map(|set| split(trace, set, name, node)).collect(),
                Step::Coalesce => {
                    let all = sets.iter().fold(Vec::new(), |all, set| union(&all, &set.spans));
                    vec![Set { spans: all, attributes: Vec::new() }]
                }
            };
            sets.retain(|set| !set.spans.is_empty());
            if sets.is_empty() {
                break;
            }
        }
        sets
    }
}

/// A set for each value.
fn split(trace: &Trace<'_>, set: &Set, name: &str, node: &Node) -> Vec<Set> {
    let mut groups: Vec<(Static, Vec<usize>)> = Vec::new();
    for index in &set.spans {
        let Some(at) = At::within(trace, *index) else { continue };
        let value = node.value(at);
        match groups.iter_mut().find(|(known, _)| value.is(known)) {
            Some((_, spans)) => spans.push(*index),
            None => groups.push((value.to_static(), vec![*index])),
        }
    }
    let set = |(value, spans)| {
        let mut attributes = set.attributes.clone();
        attributes.push((name.to_owned(), value));
        Set { spans, attributes }
    };
    groups.into_iter().map(set).collect()
}

/// The set with its numbers, if they compare so.
fn kept(trace: &Trace<'_>, mut set: Set, left: &Number, op: Comparison, right: &Number) -> Option<Set> {
    let mut told = Vec::new();
    // Spans of what stands in brackets: the answer shows them.
    let mut shown = None;
    let (left, right) =
        (left.value(trace, &set, &mut told, &mut shown), right.value(trace, &set, &mut told, &mut shown));
    if !compare(op, &left, &right) {
        return None;
    }
    set.spans = shown.unwrap_or(set.spans);
    for (name, value) in told {
        set.attributes.retain(|(known, _)| *known != name);
        set.attributes.push((name, value));
    }
    Some(set)
}

impl Number {
    fn new(scalar: &Scalar) -> Result<Self, ParseError> {
        Ok(match scalar {
            Scalar::Static(value) => Self::Static(value.clone()),
            Scalar::Negative(value) => Self::Negative(value.clone()),
            Scalar::Aggregate(aggregate) => Self::Aggregate(Total::new(aggregate)?),
            Scalar::Arithmetic(op, left, right) => {
                Self::Arithmetic(*op, Box::new(Self::new(left)?), Box::new(Self::new(right)?))
            }
            Scalar::Pipeline(pipeline, aggregate) => {
                Self::Pipeline(Box::new(Pipeline::new(pipeline)?), Total::new(aggregate)?)
            }
        })
    }

    fn value(
        &self,
        trace: &Trace<'_>,
        set: &Set,
        told: &mut Vec<(String, Static)>,
        shown: &mut Option<Vec<usize>>,
    ) -> Val<'static> {
        let own = |value: &Static| match value {
            Static::Int(number) => Val::Int(*number),
            Static::Float(number) => Val::Float(*number),
            Static::Duration(nanos) => Val::Duration(*nanos),
            _ => Val::Nil,
        };
        match self {
            Self::Static(value) => own(value),
            Self::Negative(value) => match own(value) {
                Val::Float(number) => Val::Float(-number),
                Val::Int(number) => Val::Int(-number),
                Val::Duration(nanos) => Val::Duration(-nanos),
                other => other,
            },
            Self::Arithmetic(op, left, right) => {
                calculate(*op, &left.value(trace, set, told, shown), &right.value(trace, set, told, shown))
            }
            Self::Aggregate(total) => {
                let value = total.value(trace, &set.spans);
                told.push((total.name.clone(), value.to_static()));
                value
            }
            Self::Pipeline(pipeline, total) => {
                let sets = pipeline.run(trace, vec![set.clone()]);
                let Some(first) = sets.into_iter().next() else { return Val::Nil };
                let value = total.value(trace, &first.spans);
                told.push((total.name.clone(), value.to_static()));
                *shown = Some(union(shown.as_deref().unwrap_or_default(), &first.spans));
                value
            }
        }
    }

    /// Pipelines inside.
    pub(super) fn pipelines<'a>(&'a self, out: &mut Vec<&'a Pipeline>) {
        match self {
            Self::Pipeline(pipeline, _) => out.push(pipeline),
            Self::Arithmetic(_, left, right) => {
                left.pipelines(out);
                right.pipelines(out);
            }
            _ => {}
        }
    }
}

impl Total {
    fn new(aggregate: &Aggregate) -> Result<Self, ParseError> {
        let of = aggregate.of.as_ref();
        Ok(Self {
            name: match of {
                Some(expr) => format!("{}({expr})", names::aggregate(aggregate.function)),
                None => format!("{}()", names::aggregate(aggregate.function)),
            },
            function: aggregate.function,
            of: of.map(Node::new).transpose()?,
        })
    }

    /// Nothing, where no span has a number to be counted in. Whole numbers and durations stay such, a mean of whole numbers
    /// does not.
    fn value(&self, trace: &Trace<'_>, spans: &[usize]) -> Val<'static> {
        let Some(node) = &self.of else { return Val::Int(spans.len() as i64) };
        let mut total: Option<Val<'static>> = None;
        let mut count = 0u32;
        for index in spans {
            let Some(at) = At::within(trace, *index) else { continue };
            let value = match node.value(at) {
                Val::Int(number) => Val::Int(number),
                Val::Float(number) => Val::Float(number),
                Val::Duration(nanos) => Val::Duration(nanos),
                _ => continue,
            };
            count += 1;
            total = Some(match total {
                None => value,
                Some(total) => match self.function {
                    AggregateFunction::Min if compare(Comparison::Less, &value, &total) => value,
                    AggregateFunction::Max if compare(Comparison::Greater, &value, &total) => value,
                    AggregateFunction::Min | AggregateFunction::Max => total,
                    _ => calculate(Arithmetic::Add, &total, &value),
                },
            });
        }
        match (self.function, total) {
            (_, None) => Val::Nil,
            (AggregateFunction::Avg, Some(Val::Duration(nanos))) => Val::Duration(nanos / i64::from(count)),
            (AggregateFunction::Avg, Some(total)) => {
                total.number().map_or(Val::Nil, |total| Val::Float(total / f64::from(count)))
            }
            (_, Some(total)) => total,
        }
    }
}
