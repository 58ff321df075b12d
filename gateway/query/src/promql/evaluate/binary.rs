//! Operators: between numbers, between a vector and a number, and signs. Vectors find each other in `matching`.

use std::sync::Arc;

use super::native;
use super::value::{Column, Frame, Given, Value};
use super::{Evaluator, PromError};
use crate::promql::ast::{Binary, Node, Op, Span};
use crate::promql::labels::nameless;

/// Whether a comparison holds; `None` for operators that compute.
fn compare(op: Op, left: f64, right: f64) -> Option<bool> {
    Some(match op {
        Op::Eql => left == right,
        Op::Neq => left != right,
        Op::Lte => left <= right,
        Op::Lss => left < right,
        Op::Gte => left >= right,
        Op::Gtr => left > right,
        _ => return None,
    })
}

fn compute(op: Op, left: f64, right: f64) -> f64 {
    match op {
        Op::Add => left + right,
        Op::Sub => left - right,
        Op::Mul => left * right,
        Op::Div => left / right,
        Op::Mod => left % right,
        Op::Pow => left.powf(right),
        Op::Atan2 => left.atan2(right),
        _ => f64::NAN,
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary, span: Span) -> Result<Given, PromError> {
        let (left, right) = (self.evaluate(&binary.left)?, self.evaluate(&binary.right)?);
        match (left, right) {
            (Given::Scalar(left), Given::Scalar(right)) => {
                let one = |(l, r): (&f64, &f64)| match compare(binary.op, *l, *r) {
                    Some(holds) => truth(holds),
                    None => compute(binary.op, *l, *r),
                };
                Ok(Given::Scalar(left.iter().zip(&right).map(one).collect()))
            }
            (Given::Vector(frame), Given::Scalar(numbers)) => {
                self.with_numbers(binary, frame, &numbers, false, span).map(Given::Vector)
            }
            (Given::Scalar(numbers), Given::Vector(frame)) => {
                self.with_numbers(binary, frame, &numbers, true, span).map(Given::Vector)
            }
            (Given::Vector(left), Given::Vector(right)) => {
                self.match_vectors(binary, left, right, span).map(Given::Vector)
            }
            _ => Err(PromError::execution(
                "binary expression must contain only scalar and instant vector types",
            )),
        }
    }

    fn with_numbers(
        &self,
        binary: &Binary,
        frame: Frame,
        numbers: &[f64],
        swapped: bool,
        span: Span,
    ) -> Result<Frame, PromError> {
        let keeps_name = binary.op.is_comparison() && !binary.return_bool;
        let point = |(value, number): (Option<Value>, &f64)| {
            let (value, number) = (value?, Value::Float(*number));
            let (left, right) = if swapped { (&number, &value) } else { (&value, &number) };
            // A comparison that holds gives the vector's side, wherever it stands.
            self.element(binary, left, right, &value, span)
        };
        let columns = frame.columns.into_iter().map(|column| {
            let labels = if keeps_name { column.labels } else { Arc::new(nameless(&column.labels)) };
            Column { labels, points: column.points.into_iter().zip(numbers).map(point).collect() }
        });
        Frame { columns: columns.collect(), charge: frame.charge }.merged()
    }

    /// One value of two; nothing if a comparison without `bool` does not hold. `kept` is what it gives if it does.
    pub(super) fn element(
        &self,
        binary: &Binary,
        left: &Value,
        right: &Value,
        kept: &Value,
        span: Span,
    ) -> Option<Value> {
        let op = binary.op;
        let holds = match (left, right) {
            (Value::Float(l), Value::Float(r)) => match compare(op, *l, *r) {
                Some(holds) => holds,
                None => return Some(Value::Float(compute(op, *l, *r))),
            },
            (Value::Histogram(l), Value::Histogram(r)) => match op {
                Op::Eql => same(l, r),
                Op::Neq => !same(l, r),
                Op::Add | Op::Sub => {
                    let sum = native::combine(&[(l, 1.0), (r, if op == Op::Add { 1.0 } else { -1.0 })]);
                    if sum.is_none() {
                        let text = "incompatible bucket layout encountered for binary operator";
                        self.shared.notes.warn(span, &format!("{text} {}", op.symbol()));
                    }
                    return sum.map(|sum| Value::Histogram(Arc::new(sum)));
                }
                _ => return self.unfit(op, left, right, span),
            },
            (Value::Histogram(h), Value::Float(number)) | (Value::Float(number), Value::Histogram(h)) => {
                let histogram_first = matches!(left, Value::Histogram(_));
                let factor = match op {
                    Op::Mul => *number,
                    Op::Div if histogram_first => 1.0 / number,
                    _ => return self.unfit(op, left, right, span),
                };
                let mut scaled = (**h).clone();
                native::scale(&mut scaled, factor);
                return Some(Value::Histogram(Arc::new(scaled)));
            }
        };
        match (binary.return_bool, holds) {
            (true, holds) => Some(Value::Float(truth(holds))),
            (false, true) => Some(kept.clone()),
            (false, false) => None,
        }
    }

    /// Says that an operator knows nothing of these two.
    fn unfit(&self, op: Op, left: &Value, right: &Value, span: Span) -> Option<Value> {
        let kind = |value: &Value| if matches!(value, Value::Float(_)) { "float" } else { "histogram" };
        let (symbol, left, right) = (op.symbol(), kind(left), kind(right));
        let text = "incompatible sample types encountered for binary operator";
        self.shared.notes.info(span, &format!("{text} {symbol:?}: {left} {symbol} {right}"));
        None
    }

    pub(super) fn negate(&self, inner: &Node) -> Result<Given, PromError> {
        match self.evaluate(inner)? {
            Given::Scalar(values) => Ok(Given::Scalar(values.into_iter().map(|value| -value).collect())),
            Given::Vector(mut frame) => {
                for column in &mut frame.columns {
                    column.labels = Arc::new(nameless(&column.labels));
                    for value in column.points.iter_mut().flatten() {
                        match value {
                            Value::Float(number) => *number = -*number,
                            Value::Histogram(histogram) => native::scale(Arc::make_mut(histogram), -1.0),
                        }
                    }
                }
                frame.distinct().map(Given::Vector)
            }
            Given::Text(_) => Err(PromError::execution("expected a scalar or an instant vector")),
        }
    }
}

/// Whether two histograms say the same, whatever their counts were sent as.
fn same(left: &native::NativeHistogram, right: &native::NativeHistogram) -> bool {
    let plain = |h: &native::NativeHistogram| native::NativeHistogram {
        float: true,
        reset_hint: 0,
        positive: h.positive.iter().copied().filter(|(_, count)| *count != 0.0).collect(),
        negative: h.negative.iter().copied().filter(|(_, count)| *count != 0.0).collect(),
        ..h.clone()
    };
    plain(left) == plain(right)
}
