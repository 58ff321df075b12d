//! Range vectors: each series is gone through once, with a window that slides from step to step.

use std::rc::Rc;
use std::sync::Arc;

use parsers::record::{Labels, NativeHistogram};

use super::budget::Charge;
use super::select::{Samples, Selected, is_stale};
use super::value::{Column, Frame, Value};
use super::{Evaluator, PromError, Steps};
use crate::promql::ast::{Moved, Node, NodeKind, Span, Subquery};
use crate::promql::labels::{NAME, nameless};

/// Samples of one series within the range that ends at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub floats: &'a [(i64, f64)],
    pub histograms: &'a [(i64, Arc<NativeHistogram>)],
    /// The range's ends in milliseconds: samples lie after the first, and not after the second.
    pub start: i64,
    pub end: i64,
    /// The step that is evaluated.
    pub time: i64,
    pub step: usize,
    /// The series.
    pub labels: &'a Labels,
    /// Where the range is written.
    pub span: Span,
}

impl Window<'_> {
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// The series' name, for messages.
    pub fn name(&self) -> &str {
        self.labels.get(NAME).unwrap_or_default()
    }

    pub fn values(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.floats.iter().map(|(_, value)| *value)
    }
}

/// All series of a range vector.
pub(super) struct Range {
    pub series: Vec<Samples>,
    pub span: Span,
    millis: i64,
    moved: Moved,
    _charge: Rc<Charge>,
}

/// What a function makes of a window.
pub(super) type OverWindow<'a> = dyn Fn(Window<'_>) -> Option<Value> + 'a;

impl Evaluator<'_> {
    /// Reads a range vector: a selector's, or a subquery's.
    pub(super) fn range(&self, node: &Node) -> Result<Range, PromError> {
        let node = node.bare();
        match &node.kind {
            NodeKind::Matrix { selector, range } => {
                let (first, last) = self.looked_between(selector.moved);
                let selected = self.read(selector, first.saturating_sub(*range), last)?;
                let Selected { mut series, charge } = selected;
                for samples in &mut series {
                    samples.floats.retain(|(_, value)| !is_stale(*value));
                    samples.histograms.retain(|(_, histogram)| !is_stale(histogram.sum));
                }
                Ok(Range { series, span: node.span, millis: *range, moved: selector.moved, _charge: charge })
            }
            NodeKind::Subquery(subquery) => self.subquery(subquery, node.span),
            _ => Err(PromError::execution("expected a range vector")),
        }
    }

    fn subquery(&self, subquery: &Subquery, span: Span) -> Result<Range, PromError> {
        let (first, last) = self.looked_between(subquery.moved);
        let step = subquery.step.unwrap_or(self.shared.limits.subquery_step.as_millis() as i64).max(1);
        // Steps lie at multiples of themselves, whenever the query is asked.
        let begin = first.saturating_sub(subquery.range);
        let start = (begin.div_euclid(step) + 1).saturating_mul(step);
        let count = if last < start { 0 } else { ((last - start) / step + 1) as u64 };
        if count > self.shared.budget.left() {
            return Err(PromError::TooManySamples);
        }
        let steps = Steps { start, step, count: count as usize };
        let mut series = Vec::new();
        let mut held = 0;
        if steps.count > 0 {
            let inner = self.over(steps).vector(&subquery.inner)?;
            for column in inner.columns {
                let mut samples =
                    Samples { labels: column.labels, floats: Vec::new(), histograms: Vec::new() };
                for (time, point) in steps.times().zip(column.points) {
                    match point {
                        Some(Value::Float(value)) => samples.floats.push((time, value)),
                        Some(Value::Histogram(histogram)) => samples.histograms.push((time, histogram)),
                        None => {}
                    }
                }
                held += samples.floats.len() + samples.histograms.len();
                series.push(samples);
            }
        }
        let charge = self.shared.budget.charge(held as u64)?;
        Ok(Range { series, span, millis: subquery.range, moved: subquery.moved, _charge: charge })
    }

    /// Goes through one series' windows.
    pub(super) fn windows(&self, range: &Range, samples: &Samples, visit: &mut dyn FnMut(Window<'_>)) {
        let (mut float, mut histogram) = (Slide::default(), Slide::default());
        for (step, (time, end)) in self.steps.times().zip(self.looked_at(range.moved)).enumerate() {
            let start = end.saturating_sub(range.millis);
            visit(Window {
                floats: float.to(&samples.floats, start, end),
                histograms: histogram.to(&samples.histograms, start, end),
                start,
                end,
                time,
                step,
                labels: &samples.labels,
                span: range.span,
            });
        }
    }

    /// One value for each window that a function finds one for. Names go, unless the value is a sample as it was.
    pub(super) fn over_range(
        &self,
        range: &Range,
        keeps_name: bool,
        function: &OverWindow<'_>,
    ) -> Result<Frame, PromError> {
        let charge = self.shared.budget.charge((range.series.len() * self.steps.count) as u64)?;
        let mut columns = Vec::with_capacity(range.series.len());
        let mut given = 0;
        for samples in &range.series {
            self.shared.budget.check_time()?;
            let mut points = Vec::with_capacity(self.steps.count);
            self.windows(range, samples, &mut |window| {
                points.push(if window.is_empty() { None } else { function(window) });
            });
            given += points.iter().flatten().count();
            self.check_answer(given)?;
            let labels =
                if keeps_name { Arc::clone(&samples.labels) } else { Arc::new(nameless(&samples.labels)) };
            columns.push(Column { labels, points });
        }
        Frame { columns, charge: Some(charge) }.distinct()
    }
}

/// A stretch of a series that only moves forward.
#[derive(Debug, Default)]
struct Slide {
    from: usize,
    to: usize,
}

impl Slide {
    fn to<'a, T>(&mut self, samples: &'a [(i64, T)], after: i64, until: i64) -> &'a [(i64, T)] {
        while samples.get(self.to).is_some_and(|(at, _)| *at <= until) {
            self.to += 1;
        }
        while self.from < self.to && samples.get(self.from).is_some_and(|(at, _)| *at <= after) {
            self.from += 1;
        }
        samples.get(self.from..self.to).unwrap_or_default()
    }
}
