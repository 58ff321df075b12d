//! The two kinds of queries, and what they give.

use std::sync::Arc;
use std::time::Duration;

use parsers::record::Labels;
use store::read::SampleRead;

use super::budget::{Budget, Limits};
use super::notes::Notes;
use super::value::{Column, Frame, Given, Value};
use super::{Evaluator, Shared, Steps};
use crate::promql::ast::ValueType;
use crate::promql::{Expr, PromError};

/// A value with its time in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Milliseconds.
    pub time: i64,
    /// Value.
    pub value: Value,
}

/// A series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPoints {
    /// Labels; `__name__` is among them only where no function or operator took it away.
    pub labels: Arc<Labels>,
    /// Values in time order, at least one.
    pub points: Vec<Point>,
}

/// The shapes of answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A number.
    Scalar(Point),
    /// A text.
    Text {
        /// Milliseconds.
        time: i64,
        /// The text.
        text: String,
    },
    /// Elements at one time; in the order of values where the query asks for one.
    Vector(Vec<(Arc<Labels>, Point)>),
    /// Series, sorted by labels.
    Matrix(Vec<SeriesPoints>),
}

impl Data {
    /// Cuts elements or series off beyond this many; whether there were so many. Scalars and texts are what they are.
    pub fn truncate(&mut self, most: usize) -> bool {
        let before = match self {
            Self::Vector(elements) => {
                let before = elements.len();
                elements.truncate(most);
                before
            }
            Self::Matrix(series) => {
                let before = series.len();
                series.truncate(most);
                before
            }
            Self::Scalar(_) | Self::Text { .. } => 0,
        };
        before > most
    }
}

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The answer.
    pub data: Data,
    /// What may be wrong with it.
    pub warnings: Vec<String>,
    /// What is worth knowing of it.
    pub infos: Vec<String>,
    /// Samples and values held at a time, at most.
    pub peak_samples: u64,
}

/// Evaluates at one time, in milliseconds since 1970.
pub fn evaluate_instant(
    expr: &Expr,
    source: &dyn SampleRead,
    time: i64,
    limits: &Limits,
) -> Result<Outcome, PromError> {
    let steps = Steps { start: time, step: 1, count: 1 };
    run(expr, source, steps, time, limits, |evaluator| {
        if expr.node().value_type() == ValueType::Matrix {
            let range = evaluator.range(expr.node())?;
            let mut found = Vec::new();
            for samples in &range.series {
                evaluator.windows(&range, samples, &mut |window| {
                    let floats = window.floats.iter().map(|(time, v)| (*time, Value::Float(*v)));
                    let histograms =
                        window.histograms.iter().map(|(time, h)| (*time, Value::Histogram(Arc::clone(h))));
                    let mut points: Vec<Point> =
                        floats.chain(histograms).map(|(time, value)| Point { time, value }).collect();
                    points.sort_by_key(|point| point.time);
                    if !points.is_empty() {
                        found.push(SeriesPoints { labels: Arc::clone(&samples.labels), points });
                    }
                });
            }
            let values = |one: &SeriesPoints| one.points.iter().map(|point| size(&point.value)).sum();
            answerable(limits, found.iter().map(|one| (&*one.labels, values(one))))?;
            found.sort_by(|a, b| a.labels.cmp(&b.labels));
            return Ok(Data::Matrix(found));
        }
        Ok(match evaluator.evaluate(expr.node())? {
            Given::Scalar(values) => {
                let value = Value::Float(values.first().copied().unwrap_or(f64::NAN));
                Data::Scalar(Point { time, value })
            }
            Given::Text(text) => Data::Text { time, text },
            Given::Vector(frame) => {
                answerable_frame(limits, &frame)?;
                let element = |column: Column| {
                    let value = column.points.into_iter().next().flatten()?;
                    Some((column.labels, Point { time, value }))
                };
                Data::Vector(frame.columns.into_iter().filter_map(element).collect())
            }
        })
    })
}

/// Evaluates at every step from one time to another, in milliseconds since 1970.
pub fn evaluate_range(
    expr: &Expr,
    source: &dyn SampleRead,
    (start, end): (i64, i64),
    step: Duration,
    limits: &Limits,
) -> Result<Outcome, PromError> {
    let kind = expr.node().value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        return Err(PromError::BadData(format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            kind.describe()
        )));
    }
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    if step == 0 {
        return Err(PromError::BadData(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        ));
    }
    if end < start {
        return Err(PromError::BadData("end timestamp must not be before start time".to_owned()));
    }
    let between = end.saturating_sub(start) / step;
    if between as u64 > limits.steps {
        return Err(PromError::BadData(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
            thousands(limits.steps)
        )));
    }
    let steps = Steps { start, step, count: between as usize + 1 };
    run(expr, source, steps, end, limits, |evaluator| {
        let mut found = match evaluator.evaluate(expr.node())? {
            Given::Scalar(values) => {
                let point = |(time, value)| Point { time, value: Value::Float(value) };
                let points = steps.times().zip(values).map(point).collect();
                vec![SeriesPoints { labels: Arc::default(), points }]
            }
            Given::Vector(frame) => {
                answerable_frame(limits, &frame)?;
                let series = frame.columns.into_iter().map(|column| {
                    let point = |(time, value): (i64, Option<Value>)| Some(Point { time, value: value? });
                    let points = steps.times().zip(column.points).filter_map(point).collect();
                    SeriesPoints { labels: column.labels, points }
                });
                series.filter(|series| !series.points.is_empty()).collect()
            }
            Given::Text(_) => Vec::new(),
        };
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Data::Matrix(found))
    })
}

/// Points that a value counts as: a histogram as many as it has buckets, and one.
fn size(value: &Value) -> usize {
    match value {
        Value::Float(_) => 1,
        Value::Histogram(histogram) => 1 + histogram.positive.len() + histogram.negative.len(),
    }
}

/// Takes what an answer of these labels and so many points each needs until it is written.
fn answerable<'a>(
    limits: &Limits,
    series: impl Iterator<Item = (&'a Labels, usize)>,
) -> Result<(), PromError> {
    let (mut points, mut text) = (0, 0);
    for (labels, values) in series {
        points += values;
        text += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    }
    Ok(limits.allowance.answer(points, text)?)
}

fn answerable_frame(limits: &Limits, frame: &Frame) -> Result<(), PromError> {
    let values = |column: &Column| column.points.iter().flatten().map(size).sum();
    answerable(limits, frame.columns.iter().map(|column| (&*column.labels, values(column))))
}

/// `11,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn run(
    expr: &Expr,
    source: &dyn SampleRead,
    steps: Steps,
    end: i64,
    limits: &Limits,
    evaluate: impl Fn(&Evaluator<'_>) -> Result<Data, PromError>,
) -> Result<Outcome, PromError> {
    let budget = Budget::new(limits);
    let shared = Shared { source, limits, budget, notes: Notes::new(expr.text()), whole: (steps.start, end) };
    let data = evaluate(&Evaluator { shared: &shared, steps, direct: true })?;
    let peak_samples = shared.budget.peak();
    let (warnings, infos) = shared.notes.into_lists();
    Ok(Outcome { data, warnings, infos, peak_samples })
}
