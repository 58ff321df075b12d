//! Evaluation: every part of an expression is evaluated once, over all steps of the query.

mod aggregate;
mod binary;
mod buckets;
mod budget;
mod call;
mod dates;
mod elements;
mod labelling;
mod matching;
mod native;
mod notes;
mod outcome;
mod over_time;
mod ranges;
mod ranked;
mod rates;
mod regression;
mod select;
mod sums;
mod value;

use std::rc::Rc;

use store::read::SampleRead;

pub use budget::Limits;
pub use native::{ShownBucket, shown_buckets};
pub use outcome::{Data, Outcome, Point, SeriesPoints, evaluate_instant, evaluate_range};
pub use value::Value;

use super::PromError;
use super::ast::{At, Moved, Node, NodeKind, ValueType};
use budget::Budget;
use notes::Notes;
use value::{Column, Frame, Given};

/// Milliseconds of a day's worth of steps and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// First, in milliseconds.
    start: i64,
    /// Between two, in milliseconds.
    step: i64,
    count: usize,
}

impl Steps {
    fn at(self, number: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(number as i64))
    }

    fn last(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |number| self.at(number))
    }
}

/// What all parts of one query share.
struct Shared<'a> {
    source: &'a dyn SampleRead,
    limits: &'a Limits,
    budget: Rc<Budget>,
    notes: Notes<'a>,
    /// What `start()` and `end()` mean, in milliseconds. The last step may lie before the end.
    whole: (i64, i64),
}

/// Evaluates over some steps: the query's, or a subquery's.
#[derive(Clone, Copy)]
struct Evaluator<'a> {
    shared: &'a Shared<'a>,
    steps: Steps,
    /// Whether each point that comes of it is one of the answer.
    direct: bool,
}

impl Evaluator<'_> {
    fn over(&self, steps: Steps) -> Self {
        Self { shared: self.shared, steps, direct: false }
    }

    /// An error as soon as an answer is known to have more points than one may.
    fn check_answer(&self, points: usize) -> Result<(), PromError> {
        if self.direct {
            self.shared.limits.allowance.check(points)?;
        }
        Ok(())
    }

    /// The instant that `@` names, less the offset; `None` if it is each step's own.
    fn fixed(&self, moved: Moved) -> Option<i64> {
        let (start, end) = self.shared.whole;
        let at = match moved.at? {
            At::Time(millis) => millis,
            At::Start => start,
            At::End => end,
        };
        Some(at.saturating_sub(moved.offset))
    }

    /// The instants at which something that is moved is looked at.
    fn looked_at(&self, moved: Moved) -> impl Iterator<Item = i64> + use<> {
        let fixed = self.fixed(moved);
        self.steps.times().map(move |time| fixed.unwrap_or(time.saturating_sub(moved.offset)))
    }

    /// The first and the last of them.
    fn looked_between(&self, moved: Moved) -> (i64, i64) {
        match self.fixed(moved) {
            Some(time) => (time, time),
            None => (
                self.steps.start.saturating_sub(moved.offset),
                self.steps.last().saturating_sub(moved.offset),
            ),
        }
    }

    fn evaluate(&self, node: &Node) -> Result<Given, PromError> {
        self.shared.budget.check_time()?;
        if self.steps.count > 1 && is_constant(node) {
            return self.evaluate_once(node);
        }
        let this = Self { direct: self.direct && leaves_points(node), ..*self };
        this.evaluate_kind(node)
    }

    fn evaluate_kind(&self, node: &Node) -> Result<Given, PromError> {
        match &node.kind {
            NodeKind::Number(number) => Ok(Given::Scalar(vec![*number; self.steps.count])),
            NodeKind::Text(text) => Ok(Given::Text(text.clone())),
            NodeKind::Vector(selector) => self.select(selector).map(Given::Vector),
            NodeKind::Paren(inner) => self.evaluate(inner),
            NodeKind::Unary(inner) => self.negate(inner),
            NodeKind::Binary(binary) => self.binary(binary, node.span),
            NodeKind::Aggregate(aggregate) => self.aggregate(aggregate, node.span).map(Given::Vector),
            NodeKind::Call { function, arguments } => self.call(function, arguments, node.span),
            // The check of types lets ranges stand only where they are taken apart.
            NodeKind::Matrix { .. } | NodeKind::Subquery(_) => {
                Err(PromError::execution("a range vector stands where it has no value"))
            }
        }
    }

    /// What is the same at every step is evaluated at one.
    fn evaluate_once(&self, node: &Node) -> Result<Given, PromError> {
        let count = self.steps.count;
        let once = self.over(Steps { count: 1, ..self.steps });
        Ok(match once.evaluate(node)? {
            Given::Scalar(values) => Given::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); count]),
            Given::Vector(frame) => {
                let charge = self.shared.budget.charge((frame.columns.len() * count) as u64)?;
                let repeated = |column: Column| {
                    let point = column.points.into_iter().next().flatten();
                    Column { labels: column.labels, points: vec![point; count] }
                };
                let columns = frame.columns.into_iter().map(repeated).collect();
                Given::Vector(Frame { columns, charge: Some(charge) })
            }
            text @ Given::Text(_) => text,
        })
    }

    fn vector(&self, node: &Node) -> Result<Frame, PromError> {
        match self.evaluate(node)? {
            Given::Vector(frame) => Ok(frame),
            _ => Err(PromError::execution("expected an instant vector")),
        }
    }

    fn scalar(&self, node: &Node) -> Result<Vec<f64>, PromError> {
        match self.evaluate(node)? {
            Given::Scalar(values) => Ok(values),
            _ => Err(PromError::execution("expected a scalar")),
        }
    }

    fn text(&self, node: &Node) -> Result<String, PromError> {
        match self.evaluate(node)? {
            Given::Text(text) => Ok(text),
            _ => Err(PromError::execution("expected a string")),
        }
    }
}

/// Functions whose value depends on the step even where their arguments do not.
const BY_STEP: [&str; 11] = [
    "time",
    "predict_linear",
    "timestamp",
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
];

/// Whether what comes of a part's parts comes of it, too, point by point.
fn leaves_points(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Vector(_) | NodeKind::Paren(_) | NodeKind::Unary(_) => true,
        NodeKind::Call { function, arguments } => {
            let is_range = |node: &Node| node.value_type() == ValueType::Matrix;
            function.name != "absent_over_time" && arguments.iter().any(is_range)
        }
        _ => false,
    }
}

/// Whether a part has the same value at every step.
fn is_constant(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) => true,
        NodeKind::Vector(selector) | NodeKind::Matrix { selector, .. } => selector.moved.at.is_some(),
        NodeKind::Subquery(subquery) => subquery.moved.at.is_some(),
        NodeKind::Unary(inner) | NodeKind::Paren(inner) => is_constant(inner),
        NodeKind::Binary(binary) => is_constant(&binary.left) && is_constant(&binary.right),
        NodeKind::Aggregate(aggregate) => {
            aggregate.parameter.as_ref().is_none_or(is_constant) && is_constant(&aggregate.inner)
        }
        NodeKind::Call { function, arguments } => {
            !BY_STEP.contains(&function.name) && arguments.iter().all(is_constant)
        }
    }
}
