//! Aggregations that keep elements as they are, or count equal ones: `topk`, `bottomk`, `count_values`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use parsers::record::Labels;

use super::aggregate::groups;
use super::value::{Column, Frame, Value};
use super::{Evaluator, PromError};
use crate::promql::ast::{Aggregate, AggregateOp, Span};
use crate::promql::parse::show_general;
use crate::promql::show_number;

/// Largest first, or smallest; what is no number comes last.
pub(super) fn rank(a: f64, b: f64, largest: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if largest => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
        _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

impl Evaluator<'_> {
    pub(super) fn ranked(&self, aggregate: &Aggregate, frame: Frame, span: Span) -> Result<Frame, PromError> {
        let largest = aggregate.op == AggregateOp::Topk;
        let counts = match &aggregate.parameter {
            Some(node) => self.scalar(node)?,
            None => Vec::new(),
        };
        if let Some(wrong) = counts.iter().find(|k| !(**k >= i64::MIN as f64 && **k <= i64::MAX as f64)) {
            return Err(PromError::Execution(format!(
                "Scalar value {} overflows int64",
                show_general(*wrong)
            )));
        }
        let mut kept: Vec<Column> = Vec::with_capacity(frame.columns.len());
        let mut order: Vec<usize> = Vec::new();
        for column in &frame.columns {
            let points = vec![None; self.steps.count];
            kept.push(Column { labels: Arc::clone(&column.labels), points });
        }
        let charge = self.shared.budget.charge((kept.len() * self.steps.count) as u64)?;
        let mut elements: Vec<(f64, usize)> = Vec::new();
        for group in groups(&frame, aggregate) {
            self.shared.budget.check_time()?;
            for (step, count) in counts.iter().enumerate() {
                elements.clear();
                for number in &group.columns {
                    match frame.columns.get(*number).and_then(|column| column.at(step)) {
                        Some(Value::Float(value)) => elements.push((*value, *number)),
                        Some(Value::Histogram(_)) => {
                            let text = format!("ignored histogram in {} aggregation", aggregate.op.name());
                            self.shared.notes.info(span, &text);
                        }
                        None => {}
                    }
                }
                elements.sort_by(|a, b| rank(a.0, b.0, largest));
                elements.truncate(if *count < 1.0 { 0 } else { *count as usize });
                for (value, number) in &elements {
                    order.push(*number);
                    if let Some(point) = kept.get_mut(*number).and_then(|c| c.points.get_mut(step)) {
                        *point = Some(Value::Float(*value));
                    }
                }
            }
        }
        // At one step the order is part of the answer.
        if self.steps.count == 1 {
            let mut sorted: Vec<Column> = Vec::with_capacity(order.len());
            sorted.extend(order.iter().filter_map(|number| kept.get(*number).cloned()));
            kept = sorted;
        }
        kept.retain(|column| !column.is_empty());
        Ok(Frame { columns: kept, charge: Some(charge) })
    }

    pub(super) fn count_values(&self, aggregate: &Aggregate, frame: &Frame) -> Result<Frame, PromError> {
        let label = match &aggregate.parameter {
            Some(node) => self.text(node)?,
            None => String::new(),
        };
        if label.is_empty() {
            return Err(PromError::Execution(format!("invalid label name {label:?}")));
        }
        let mut places: HashMap<Arc<Labels>, usize> = HashMap::new();
        let mut columns: Vec<Column> = Vec::new();
        let mut charges = Vec::new();
        for group in groups(frame, aggregate) {
            for number in &group.columns {
                let Some(column) = frame.columns.get(*number) else { continue };
                for (step, point) in column.points.iter().enumerate() {
                    let Some(Value::Float(value)) = point else { continue };
                    let labels = Arc::new(group.labels.with(label.as_str(), show_number(*value)));
                    let place = *places.entry(Arc::clone(&labels)).or_insert(columns.len());
                    if place == columns.len() {
                        charges.push(self.shared.budget.charge(self.steps.count as u64)?);
                        columns.push(Column { labels, points: vec![None; self.steps.count] });
                    }
                    let counted = columns.get_mut(place).and_then(|c| c.points.get_mut(step));
                    if let Some(counted) = counted {
                        let before = counted.as_ref().and_then(Value::float).unwrap_or(0.0);
                        *counted = Some(Value::Float(before + 1.0));
                    }
                }
            }
        }
        drop(charges);
        let charge = self.shared.budget.charge((columns.len() * self.steps.count) as u64)?;
        Ok(Frame { columns, charge: Some(charge) })
    }
}
