//! Calls of functions: which of them does what.

use std::sync::Arc;

use parsers::record::Labels;

use super::ranked::rank;
use super::value::{Column, Frame, Given, Value};
use super::{Evaluator, PromError, dates, elements, labelling, native};
use crate::promql::ast::{Node, NodeKind, Span};
use crate::promql::functions::Function;
use crate::promql::labels::nameless;

impl Evaluator<'_> {
    pub(super) fn call(
        &self,
        function: &Function,
        arguments: &[Node],
        span: Span,
    ) -> Result<Given, PromError> {
        let name = function.name;
        match (name, arguments) {
            ("time", []) => Ok(Given::Scalar(self.steps.times().map(|time| time as f64 / 1000.0).collect())),
            ("pi", []) => Ok(Given::Scalar(vec![std::f64::consts::PI; self.steps.count])),
            ("scalar", [vector]) => {
                let frame = self.vector(vector)?;
                let one = |step: usize| {
                    let mut values = frame.columns.iter().filter_map(|c| c.at(step)?.float());
                    let value = values.next();
                    value.filter(|_| values.next().is_none()).unwrap_or(f64::NAN)
                };
                Ok(Given::Scalar((0..self.steps.count).map(one).collect()))
            }
            _ => self.vector_call(name, arguments, span).map(Given::Vector),
        }
    }

    fn vector_call(&self, name: &str, arguments: &[Node], span: Span) -> Result<Frame, PromError> {
        if let [argument] = arguments {
            if let Some(answer) = self.over_time(name, argument) {
                return answer;
            }
            if let Some(element) = elements::find(name) {
                return self.each(argument, |value, _| Some(element(value)));
            }
        }
        if let Some(part) = dates::find(name) {
            return match arguments {
                [argument] => self
                    .each(argument, |value, _| Some(if value.is_finite() { part(value) } else { f64::NAN })),
                _ => self.alone(self.steps.times().map(|time| part(time as f64 / 1000.0)).collect()),
            };
        }
        match (name, arguments) {
            ("rate" | "increase" | "delta", [range]) => self.extrapolated(name, range),
            ("irate" | "idelta", [range]) => self.last_two(name, range),
            ("deriv", [range]) => self.deriv(range),
            ("predict_linear", [range, ahead]) => self.predict_linear(range, ahead),
            ("holt_winters", [range, smoothing, trend]) => self.holt_winters([range, smoothing, trend]),
            ("quantile_over_time", [quantile, range]) => self.quantile_over_time(quantile, range),
            ("absent", [vector]) => {
                let frame = self.vector(vector)?;
                self.absent(vector.bare(), |step| {
                    frame.columns.iter().all(|column| column.at(step).is_none())
                })
            }
            ("absent_over_time", [range]) => {
                let mut there = vec![false; self.steps.count];
                let found = self.range(range)?;
                for samples in &found.series {
                    self.windows(&found, samples, &mut |window| {
                        if let Some(there) = there.get_mut(window.step) {
                            *there |= !window.is_empty();
                        }
                    });
                }
                self.absent(range.bare(), |step| there.get(step) == Some(&false))
            }
            ("vector", [number]) => self.alone(self.scalar(number)?),
            ("timestamp", [argument]) => self.timestamp(argument),
            ("sort", [vector]) => self.sorted(vector, false),
            ("sort_desc", [vector]) => self.sorted(vector, true),
            ("round", [vector]) => self.each(vector, |value, _| Some(elements::round(value, 1.0))),
            ("round", [vector, to]) => {
                let to = self.scalar(to)?;
                self.each(vector, |value, step| Some(elements::round(value, *to.get(step)?)))
            }
            ("clamp", [vector, lower, upper]) => {
                let (lower, upper) = (self.scalar(lower)?, self.scalar(upper)?);
                self.each(vector, |value, step| elements::clamp(value, *lower.get(step)?, *upper.get(step)?))
            }
            ("clamp_min", [vector, lower]) => {
                let lower = self.scalar(lower)?;
                self.each(vector, |value, step| Some(elements::clamp_min(value, *lower.get(step)?)))
            }
            ("clamp_max", [vector, upper]) => {
                let upper = self.scalar(upper)?;
                self.each(vector, |value, step| Some(elements::clamp_max(value, *upper.get(step)?)))
            }
            ("label_replace", _) => self.label_replace(arguments),
            ("label_join", _) => self.label_join(arguments),
            ("histogram_quantile", _) => self.histogram_quantile(arguments),
            ("histogram_fraction", _) => self.histogram_fraction(arguments),
            ("histogram_count", [vector]) => self.of_native(vector, |h| h.count),
            ("histogram_sum", [vector]) => self.of_native(vector, |h| h.sum),
            ("histogram_avg", [vector]) => self.of_native(vector, |h| h.sum / h.count),
            ("histogram_stdvar", [vector]) => self.of_native(vector, native::variance),
            ("histogram_stddev", [vector]) => self.of_native(vector, |h| native::variance(h).sqrt()),
            _ => Err(PromError::Execution(format!(
                "{name} cannot be called so ({}..{})",
                span.start, span.end
            ))),
        }
    }

    /// A number of each number; names go, and histograms, too.
    fn each(
        &self,
        argument: &Node,
        function: impl Fn(f64, usize) -> Option<f64>,
    ) -> Result<Frame, PromError> {
        let mut frame = self.vector(argument)?;
        for column in &mut frame.columns {
            column.labels = Arc::new(nameless(&column.labels));
            for (step, point) in column.points.iter_mut().enumerate() {
                let value = point.take().and_then(|value| function(value.float()?, step));
                *point = value.map(Value::Float);
            }
        }
        frame.merged()
    }

    /// A vector of one element without labels.
    fn alone(&self, values: Vec<f64>) -> Result<Frame, PromError> {
        let charge = self.shared.budget.charge(values.len() as u64)?;
        let points = values.into_iter().map(|value| Some(Value::Float(value))).collect();
        Ok(Frame { columns: vec![Column { labels: Arc::default(), points }], charge: Some(charge) })
    }

    fn absent(&self, argument: &Node, is_absent: impl Fn(usize) -> bool) -> Result<Frame, PromError> {
        let labels: Labels = labelling::of_absent(argument);
        let point = |step| is_absent(step).then_some(Value::Float(1.0));
        let points = (0..self.steps.count).map(point).collect();
        Frame { columns: vec![Column { labels: Arc::new(labels), points }], charge: None }.merged()
    }

    /// When each sample was taken; of anything but a selector, the time of the step.
    fn timestamp(&self, argument: &Node) -> Result<Frame, PromError> {
        let seconds = |millis: i64| Value::Float(millis as f64 / 1000.0);
        let mut frame = if let NodeKind::Vector(selector) = &argument.bare().kind {
            self.select_timed(selector, &|at, _| seconds(at))?
        } else {
            let mut frame = self.vector(argument)?;
            for column in &mut frame.columns {
                for (time, point) in self.steps.times().zip(&mut column.points) {
                    *point = point.take().map(|_| seconds(time));
                }
            }
            frame
        };
        frame.columns.iter_mut().for_each(|c| c.labels = Arc::new(nameless(&c.labels)));
        frame.merged()
    }

    /// In the order of values. Over several steps there is none.
    fn sorted(&self, vector: &Node, largest: bool) -> Result<Frame, PromError> {
        let mut frame = self.vector(vector)?;
        if self.steps.count == 1 {
            let value = |column: &Column| column.at(0).and_then(Value::float);
            frame.columns.retain(|column| value(column).is_some());
            let key = |column: &Column| value(column).unwrap_or(f64::NAN);
            frame.columns.sort_by(|a, b| rank(key(a), key(b), largest));
        }
        Ok(frame)
    }
}
