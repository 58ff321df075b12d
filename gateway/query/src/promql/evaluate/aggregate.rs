//! Aggregations: one value of each group at each step.

use std::collections::HashMap;
use std::sync::Arc;

use parsers::record::{Labels, NativeHistogram};

use super::sums::{Sum, mean, quantile, variance};
use super::value::{Column, Frame, Value};
use super::{Evaluator, PromError, native};
use crate::promql::ast::{Aggregate, AggregateOp, Span};
use crate::promql::labels::{NAME, only, without};

/// Columns that are aggregated together, with the labels of what comes of them.
pub(super) struct Group {
    pub labels: Labels,
    pub columns: Vec<usize>,
}

pub(super) fn groups(frame: &Frame, aggregate: &Aggregate) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (number, column) in frame.columns.iter().enumerate() {
        let labels = if aggregate.without {
            without(&column.labels, &aggregate.grouping).filtered(|name| name != NAME)
        } else {
            only(&column.labels, &aggregate.grouping)
        };
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { labels, columns: Vec::new() });
        }
        if let Some(group) = groups.get_mut(place) {
            group.columns.push(number);
        }
    }
    groups
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, span: Span) -> Result<Frame, PromError> {
        let frame = self.vector(&aggregate.inner)?;
        match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk => return self.ranked(aggregate, frame, span),
            AggregateOp::CountValues => return self.count_values(aggregate, &frame),
            _ => {}
        }
        let parameter = match &aggregate.parameter {
            Some(node) => {
                let values = self.scalar(node)?;
                if !frame.columns.is_empty() {
                    self.shared.notes.quantiles(node.span, &values);
                }
                values
            }
            None => Vec::new(),
        };
        let groups = groups(&frame, aggregate);
        let charge = self.shared.budget.charge((groups.len() * self.steps.count) as u64)?;
        let (mut floats, mut histograms): (Vec<f64>, Vec<&NativeHistogram>) = (Vec::new(), Vec::new());
        let mut columns = Vec::with_capacity(groups.len());
        for group in groups {
            self.shared.budget.check_time()?;
            let members: Vec<&Column> =
                group.columns.iter().filter_map(|number| frame.columns.get(*number)).collect();
            let points = (0..self.steps.count).map(|step| {
                floats.clear();
                histograms.clear();
                for column in &members {
                    match column.at(step) {
                        Some(Value::Float(value)) => floats.push(*value),
                        Some(Value::Histogram(histogram)) => histograms.push(histogram),
                        None => {}
                    }
                }
                let parameter = parameter.get(step).copied().unwrap_or(f64::NAN);
                self.aggregated(aggregate.op, &floats, &histograms, parameter, span)
            });
            columns.push(Column { points: points.collect(), labels: Arc::new(group.labels) });
        }
        Frame { columns, charge: Some(charge) }.merged()
    }

    fn aggregated(
        &self,
        op: AggregateOp,
        floats: &[f64],
        histograms: &[&NativeHistogram],
        parameter: f64,
        span: Span,
    ) -> Option<Value> {
        let count = floats.len() + histograms.len();
        if count == 0 {
            return None;
        }
        match op {
            AggregateOp::Count => return Some(Value::Float(count as f64)),
            AggregateOp::Group => return Some(Value::Float(1.0)),
            AggregateOp::Sum | AggregateOp::Avg if !histograms.is_empty() => {
                if !floats.is_empty() {
                    self.shared
                        .notes
                        .warn(span, "encountered a mix of histograms and floats for aggregation");
                    return None;
                }
                let Some(mut sum) = native::sum(histograms.iter().copied()) else {
                    let text = "vector contains a mix of histograms with exponential and custom buckets schemas \
                                for metric name \"\"";
                    self.shared.notes.warn(span, text);
                    return None;
                };
                if op == AggregateOp::Avg {
                    native::scale(&mut sum, 1.0 / histograms.len() as f64);
                }
                return Some(Value::Histogram(Arc::new(sum)));
            }
            _ => {}
        }
        if !histograms.is_empty() {
            self.shared.notes.info(span, &format!("ignored histogram in {} aggregation", op.name()));
        }
        if floats.is_empty() {
            return None;
        }
        let all = || floats.iter().copied();
        // Of a number and one that is none, the number is larger and smaller.
        let best = |better: fn(f64, f64) -> bool| {
            all().reduce(|best, value| if better(value, best) || best.is_nan() { value } else { best })
        };
        let value = match op {
            AggregateOp::Sum => all().collect::<Sum>().value(),
            AggregateOp::Avg => mean(all()),
            AggregateOp::Min => best(|a, b| a < b)?,
            AggregateOp::Max => best(|a, b| a > b)?,
            AggregateOp::Stdvar => variance(all()),
            AggregateOp::Stddev => variance(all()).sqrt(),
            AggregateOp::Quantile => quantile(parameter, floats.to_vec()),
            _ => return None,
        };
        Some(Value::Float(value))
    }
}
