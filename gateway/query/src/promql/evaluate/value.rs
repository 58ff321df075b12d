//! Values by step: what every part of an expression gives.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use parsers::record::{Labels, NativeHistogram};

use super::budget::Charge;
use crate::promql::PromError;

/// A value of a series at one time.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<NativeHistogram>),
}

impl Value {
    /// The number, if it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// A series: one place for each step, empty where it has no value.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub labels: Arc<Labels>,
    pub points: Vec<Option<Value>>,
}

impl Column {
    pub fn at(&self, step: usize) -> Option<&Value> {
        self.points.get(step).and_then(Option::as_ref)
    }

    pub fn is_empty(&self) -> bool {
        self.points.iter().all(Option::is_none)
    }
}

/// Series of one instant vector over all steps.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub columns: Vec<Column>,
    /// What of the budget they take.
    pub charge: Option<Rc<Charge>>,
}

/// What a part of an expression gives.
#[derive(Debug)]
pub(super) enum Given {
    /// A number for each step.
    Scalar(Vec<f64>),
    Vector(Frame),
    Text(String),
}

/// What Prometheus says of two series that have become one.
pub(super) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

impl Frame {
    /// Columns without any value go, and those with equal labels become one, if no step has both.
    pub fn merged(self) -> Result<Self, PromError> {
        self.merged_or(SAME_LABELS)
    }

    /// As [`Frame::merged`], with another message.
    pub fn merged_or(mut self, message: &str) -> Result<Self, PromError> {
        self.columns.retain(|column| !column.is_empty());
        let mut places: HashMap<Arc<Labels>, usize> = HashMap::with_capacity(self.columns.len());
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let place = *places.entry(Arc::clone(&column.labels)).or_insert(columns.len());
            let Some(known) = columns.get_mut(place) else {
                columns.push(column);
                continue;
            };
            for (kept, point) in known.points.iter_mut().zip(column.points) {
                match (kept.is_some(), point.is_some()) {
                    (true, true) => return Err(PromError::execution(message)),
                    (false, true) => *kept = point,
                    _ => {}
                }
            }
        }
        Ok(Self { columns, charge: self.charge })
    }

    /// As [`Frame::merged`] for functions over ranges: equal labels are an error whichever steps they have values at.
    pub fn distinct(mut self) -> Result<Self, PromError> {
        self.columns.retain(|column| !column.is_empty());
        let count = self.columns.len();
        let merged = self.merged();
        match merged {
            Ok(frame) if frame.columns.len() == count => Ok(frame),
            _ => Err(PromError::execution(SAME_LABELS)),
        }
    }
}
