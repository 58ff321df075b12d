//! Metric queries: samples of lines, folded into windows, grouped and calculated with.

mod binary;
mod fold;
mod grid;
mod keys;
mod range;
mod vector;

use std::sync::Arc;

use parsers::record::{Labels, Sample, Series};
use store::read::{LogRead, ScanReport};

use super::scan::{Deadline, sum};
use super::syntax::{Grouping, LabelReplace, Node, RangeAggregation, VectorAggregation, VectorOp};
use super::{Data, Limits, Outcome, RangeParams};
use crate::QueryError;
use grid::Steps;

pub(super) use binary::calculate;

/// Values of one series: the step's number and the value, ascending.
#[derive(Debug, Clone, PartialEq)]
struct Lane {
    labels: Arc<Labels>,
    points: Vec<(u32, f64)>,
}

enum Evaluated {
    Number(f64),
    Lanes(Vec<Lane>),
}

/// Values at each step.
pub(super) fn range(
    node: &Node,
    logs: &dyn LogRead,
    params: &RangeParams,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    let step = u64::try_from(params.step.as_nanos()).unwrap_or(u64::MAX).max(1);
    let count = (params.end.saturating_sub(params.start) / step).saturating_add(1);
    if count > limits.steps {
        return Err(QueryError::TooMuch(format!(
            "exceeded maximum resolution of {} points per time series. Try increasing the value of the step parameter",
            limits.steps
        )));
    }
    let steps = Steps { first: params.start, step, count: count as u32 };
    let mut run = Run { logs, limits, steps, deadline: Deadline::new(limits), report: ScanReport::default() };
    let mut lanes = match run.value(node, &[])? {
        Evaluated::Number(value) => vec![steps.constant(value)],
        Evaluated::Lanes(lanes) => lanes,
    };
    lanes.retain(|lane| !lane.points.is_empty());
    answerable(&lanes, limits)?;
    lanes.sort_by(|a, b| a.labels.cmp(&b.labels));
    let series = lanes.into_iter().map(|lane| Series {
        labels: lane.labels,
        samples: lane.points.iter().map(|&(at, value)| Sample { time: steps.time(at), value }).collect(),
    });
    Ok(Outcome { data: Data::Matrix(series.collect()), report: run.report })
}

/// Values at one time.
pub(super) fn instant(
    node: &Node,
    logs: &dyn LogRead,
    time: u64,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    let steps = Steps { first: time, step: 0, count: 1 };
    let mut run = Run { logs, limits, steps, deadline: Deadline::new(limits), report: ScanReport::default() };
    let data = match run.value(node, &[])? {
        Evaluated::Number(value) => Data::Scalar(Sample { time, value }),
        Evaluated::Lanes(mut lanes) => {
            lanes.retain(|lane| !lane.points.is_empty());
            answerable(&lanes, limits)?;
            let mut values: Vec<(Arc<Labels>, Sample)> = lanes
                .into_iter()
                .filter_map(|lane| Some((lane.labels, Sample { time, value: lane.points.first()?.1 })))
                .collect();
            match sorted(node) {
                Some(descending) => values.sort_by(|a, b| {
                    let order = a.1.value.total_cmp(&b.1.value);
                    if descending { order.reverse() } else { order }
                }),
                None => values.sort_by(|a, b| a.0.cmp(&b.0)),
            }
            Data::Vector(values)
        }
    };
    Ok(Outcome { data, report: run.report })
}

/// Whether the query says in which order values stand, and if so whether the largest comes first.
fn sorted(node: &Node) -> Option<bool> {
    let Node::Vector(vector) = node else { return None };
    match vector.op {
        VectorOp::SortDesc | VectorOp::TopK | VectorOp::ApproxTopK => Some(true),
        VectorOp::Sort | VectorOp::BottomK => Some(false),
        _ => None,
    }
}

struct Run<'a> {
    logs: &'a dyn LogRead,
    limits: &'a Limits,
    steps: Steps,
    deadline: Deadline,
    report: ScanReport,
}

impl Run<'_> {
    /// `wanted` are names by which the series are grouped or joined further out.
    fn value(&mut self, node: &Node, wanted: &[String]) -> Result<Evaluated, QueryError> {
        match node {
            Node::Number(value) => Ok(Evaluated::Number(*value)),
            Node::VectorOf(value) => Ok(Evaluated::Lanes(vec![self.steps.constant(*value)])),
            Node::Log(_) => {
                Err(QueryError::Invalid("lines cannot be calculated with; count them first".to_owned()))
            }
            Node::Range(range) => Ok(Evaluated::Lanes(self.range(range, None, wanted)?)),
            Node::Vector(aggregation) => Ok(Evaluated::Lanes(self.vector(aggregation, wanted)?)),
            Node::LabelReplace(replace) => {
                let wanted = with(wanted, std::slice::from_ref(&replace.from));
                let lanes = self.lanes(&replace.inner, "label_replace", &wanted)?;
                let lanes = replaced(replace, lanes)?;
                self.bound(&lanes)?;
                Ok(Evaluated::Lanes(lanes))
            }
            Node::Binary(operation) => {
                let mut wanted = wanted.to_vec();
                if let Some(matching) = operation.matching.as_ref().filter(|matching| matching.on) {
                    wanted.extend(matching.names.iter().cloned());
                }
                let group = operation.matching.as_ref().and_then(|matching| matching.group.as_ref());
                wanted.extend(group.iter().flat_map(|group| group.include.iter().cloned()));
                let left = self.value(&operation.left, &wanted)?;
                let right = self.value(&operation.right, &wanted)?;
                let result = binary::apply(operation, left, right)?;
                if let Evaluated::Lanes(lanes) = &result {
                    self.bound(lanes)?;
                }
                Ok(result)
            }
        }
    }

    fn lanes(&mut self, node: &Node, of: &str, wanted: &[String]) -> Result<Vec<Lane>, QueryError> {
        match self.value(node, wanted)? {
            Evaluated::Lanes(lanes) => Ok(lanes),
            Evaluated::Number(_) => {
                Err(QueryError::Invalid(format!("{of} is of metrics, not of numbers; use vector()")))
            }
        }
    }

    fn vector(
        &mut self,
        aggregation: &VectorAggregation,
        wanted: &[String],
    ) -> Result<Vec<Lane>, QueryError> {
        let whole = Grouping::default();
        let grouping = aggregation.grouping.as_ref().unwrap_or(&whole);
        let lanes = match &aggregation.inner {
            // The sum of counts by group is the count by group: nobody needs the single series.
            Node::Range(range) if range::adds_up(range, aggregation.op) => {
                self.range(range, Some(grouping), wanted)?
            }
            inner if grouping.without => self.lanes(inner, aggregation.op.spelling(), wanted)?,
            inner => self.lanes(inner, aggregation.op.spelling(), &with(wanted, &grouping.names))?,
        };
        let lanes = vector::aggregate(aggregation, grouping, lanes, self.steps);
        self.bound(&lanes)?;
        Ok(lanes)
    }

    fn range(
        &mut self,
        range: &RangeAggregation,
        outer: Option<&Grouping>,
        wanted: &[String],
    ) -> Result<Vec<Lane>, QueryError> {
        let names = (outer, wanted);
        let (lanes, report) =
            range::evaluate(range, names, self.logs, self.steps, self.limits, &self.deadline)?;
        self.report = sum(self.report, report);
        Ok(lanes)
    }

    /// Takes what series on the way to an answer need: how many they are is no matter, the answer's own number is bounded.
    fn bound(&self, lanes: &[Lane]) -> Result<(), QueryError> {
        self.limits.allowance.take(lanes.iter().map(|lane| room_of(&lane.labels)).sum())?;
        too_many_values(lanes.iter().map(|lane| lane.points.len()).sum(), self.limits)
    }
}

fn with(names: &[String], more: &[String]) -> Vec<String> {
    names.iter().chain(more).cloned().collect()
}

/// Bytes of a series' labels: their text, and what holds them.
fn room_of(labels: &Labels) -> u64 {
    const EACH: usize = 48;
    const SET: usize = 64;
    (SET + labels.iter().map(|(name, value)| EACH + name.len() + value.len()).sum::<usize>()) as u64
}

fn too_many_series(count: usize, limits: &Limits) -> Result<(), QueryError> {
    if count <= limits.series {
        return Ok(());
    }
    Err(QueryError::TooMuch(format!(
        "maximum of series ({}) reached for a single query; consider reducing query cardinality by adding more specific \
         stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()",
        limits.series
    )))
}

/// Whether there are few enough series; takes what the answer needs until it is written.
fn answerable(lanes: &[Lane], limits: &Limits) -> Result<(), QueryError> {
    too_many_series(lanes.len(), limits)?;
    let points = lanes.iter().map(|lane| lane.points.len()).sum();
    let text = |lane: &Lane| lane.labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    Ok(limits.allowance.answer(points, lanes.iter().map(text).sum())?)
}

fn too_many_values(count: usize, limits: &Limits) -> Result<(), QueryError> {
    if count <= limits.values {
        return Ok(());
    }
    Err(QueryError::TooMuch(format!(
        "more than {} values on the way to an answer; consider a larger step, a shorter time range or fewer series",
        limits.values
    )))
}

/// Sets a label from another's parts, where the whole value matches.
fn replaced(replace: &LabelReplace, lanes: Vec<Lane>) -> Result<Vec<Lane>, QueryError> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let value = lane.labels.get(&replace.from).unwrap_or_default();
        let labels = match replace.expression.regex.captures(value) {
            None => Arc::clone(&lane.labels),
            Some(captures) => {
                let mut to = String::new();
                captures.expand(&replace.replacement, &mut to);
                let others = lane.labels.iter().filter(|(name, _)| *name != replace.to);
                Arc::new(Labels::new(others.chain([(replace.to.as_str(), to.as_str())])))
            }
        };
        if !seen.insert(Arc::clone(&labels)) {
            return Err(QueryError::Invalid(
                "vector cannot contain metrics with the same labelset: label_replace made two series alike"
                    .to_owned(),
            ));
        }
        out.push(Lane { labels, points: lane.points });
    }
    Ok(out)
}
