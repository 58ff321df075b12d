//! Range aggregations: from the lines of windows to series of values.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::Labels;
use store::read::{Direction, LogRead, ScanReport, Window};

use super::fold::{Counter, Ends, Extremes, Fold, Moments, Total};
use super::grid::{Grid, Steps};
use super::keys::{Found, Keys};
use super::{Lane, too_many_values};
use crate::QueryError;
use crate::logql::Limits;
use crate::logql::pipeline::{Program, Row};
use crate::logql::scan::{Deadline, Order, scan};
use crate::logql::syntax::{Grouping, RangeAggregation, RangeOp, TextTest, VectorOp};

/// Bytes of a value: its place and itself.
const VALUE: u64 = 24;

/// Whether grouping the lines at once gives what grouping the series does.
pub(super) fn adds_up(range: &RangeAggregation, op: VectorOp) -> bool {
    match range.op {
        RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum => {
            op == VectorOp::Sum
        }
        RangeOp::Max => op == VectorOp::Max && range.grouping.is_none(),
        RangeOp::Min => op == VectorOp::Min && range.grouping.is_none(),
        _ => false,
    }
}

/// What one evaluation is given.
struct Task<'a> {
    range: &'a RangeAggregation,
    keys: Keys,
    logs: &'a dyn LogRead,
    steps: Steps,
    grid: Grid,
    limits: &'a Limits,
    deadline: &'a Deadline,
    report: ScanReport,
}

/// The series, and what was read for them. `outer` is a grouping that is applied at once; `wanted` are names by which they
/// are grouped or joined later.
pub(super) fn evaluate(
    range: &RangeAggregation,
    (outer, wanted): (Option<&Grouping>, &[String]),
    logs: &dyn LogRead,
    steps: Steps,
    limits: &Limits,
    deadline: &Deadline,
) -> Result<(Vec<Lane>, ScanReport), QueryError> {
    let keys = if range.op == RangeOp::Absent {
        Keys::By(Vec::new())
    } else {
        Keys::new(range.grouping.as_ref(), outer, wanted, &range.lines, range.unwrap.as_ref())
    };
    let grid = Grid::new(steps, range.range, range.offset);
    let mut task = Task { range, keys, logs, steps, grid, limits, deadline, report: ScanReport::default() };
    let seconds = range.range as f64 / 1e9;
    let lanes = match range.op {
        RangeOp::Count | RangeOp::Bytes | RangeOp::Sum => task.folded(|f: &Total, _| f.sum),
        RangeOp::Rate | RangeOp::BytesRate => task.folded(|f: &Total, _| f.sum / seconds),
        RangeOp::Avg => task.folded(|f: &Moments, _| f.mean),
        RangeOp::StdVar => task.folded(|f: &Moments, _| f.variance()),
        RangeOp::StdDev => task.folded(|f: &Moments, _| f.variance().sqrt()),
        RangeOp::Max => task.folded(|f: &Extremes, _| f.max),
        RangeOp::Min => task.folded(|f: &Extremes, _| f.min),
        RangeOp::First => task.folded(|f: &Ends, _| f.first.1),
        RangeOp::Last => task.folded(|f: &Ends, _| f.last.1),
        RangeOp::RateCounter => task.folded(|f: &Counter, window| f.rate(window)),
        RangeOp::Quantile => task.quantiles(),
        RangeOp::Absent => {
            let present = task.folded(|f: &Total, _| f.sum)?;
            Ok(absent(range, &present, steps))
        }
    }?;
    Ok((lanes, task.report))
}

impl Task<'_> {
    /// Series of folds, and each window's value.
    fn folded<F: Fold>(&mut self, value: impl Fn(&F, (i128, i128)) -> f64) -> Result<Vec<Lane>, QueryError> {
        // Counters and ends are told by order; all others are not.
        let ordered = matches!(self.range.op, RangeOp::RateCounter | RangeOp::First | RangeOp::Last);
        let order = if ordered { Order::In(Direction::Forward) } else { Order::Any };
        let mut cells: Vec<Vec<(u64, F)>> = Vec::new();
        let mut held = 0usize;
        let mut counter = self.limits.allowance.counter(VALUE);
        let grid = self.grid;
        let limits = self.limits;
        let found = self.samples(order, &mut |place, time, sample| {
            let Some(cell) = grid.cell(time) else { return Ok(()) };
            if place >= cells.len() {
                cells.resize_with(place + 1, Vec::new);
            }
            let Some(cells) = cells.get_mut(place) else { return Ok(()) };
            let one = F::one(time, sample);
            match cells.last_mut() {
                Some((last, fold)) if *last == cell => {
                    fold.join(&one);
                    return Ok(());
                }
                Some((last, _)) if *last > cell => match cells.binary_search_by_key(&cell, |(cell, _)| *cell)
                {
                    Ok(at) => {
                        if let Some((_, fold)) = cells.get_mut(at) {
                            fold.join(&one);
                        }
                        return Ok(());
                    }
                    Err(at) => cells.insert(at, (cell, one)),
                },
                _ => cells.push((cell, one)),
            }
            held += 1;
            counter.add(1)?;
            too_many_values(held, limits)
        })?;
        let mut lanes = Vec::new();
        let mut points_held = 0;
        for (labels, cells) in found.labels.into_iter().zip(cells) {
            let mut points = Vec::new();
            grid.slide(&cells, |at, fold| points.push((at, value(fold, grid.window(at)))));
            points_held += points.len();
            counter.add(points.len() as u64)?;
            too_many_values(points_held, limits)?;
            if !points.is_empty() {
                lanes.push(Lane { labels, points });
            }
        }
        Ok(lanes)
    }

    /// Quantiles need all samples of a window at once.
    fn quantiles(&mut self) -> Result<Vec<Lane>, QueryError> {
        let mut samples: Vec<Vec<(u64, f64)>> = Vec::new();
        let mut held = 0;
        let limits = self.limits;
        let mut counter = limits.allowance.counter(VALUE);
        let found = self.samples(Order::In(Direction::Forward), &mut |place, time, sample| {
            if place >= samples.len() {
                samples.resize_with(place + 1, Vec::new);
            }
            if let Some(samples) = samples.get_mut(place) {
                samples.push((time, sample));
            }
            held += 1;
            counter.add(1)?;
            too_many_values(held, limits)
        })?;
        let wanted = self.range.parameter.unwrap_or(f64::NAN);
        let (mut lanes, mut points_held) = (Vec::new(), 0);
        let mut values = Vec::new();
        for (labels, samples) in found.labels.into_iter().zip(samples) {
            let mut points = Vec::new();
            let mut at = 0;
            while at < self.steps.count {
                let (start, end) = self.grid.window(at);
                let from = samples.partition_point(|(time, _)| i128::from(*time) <= start);
                let to = samples.partition_point(|(time, _)| i128::from(*time) <= end);
                values.clear();
                values.extend(samples.get(from..to).unwrap_or_default().iter().map(|(_, value)| *value));
                if !values.is_empty() {
                    points.push((at, quantile(wanted, &mut values)));
                    at += 1;
                    continue;
                }
                // Series of few samples must not cost a look at each step.
                let Some((time, _)) = samples.get(to) else { break };
                at = self.grid.first_until(*time).max(at + 1);
            }
            points_held += points.len();
            counter.add(points.len() as u64)?;
            too_many_values(points_held, limits)?;
            if !points.is_empty() {
                lanes.push(Lane { labels, points });
            }
        }
        Ok(lanes)
    }

    /// Gives the series' number, time and value of each sample.
    fn samples(
        &mut self,
        order: Order,
        take: &mut dyn FnMut(usize, u64, f64) -> Result<(), QueryError>,
    ) -> Result<Found, QueryError> {
        let (range, keys, limits) = (self.range, &self.keys, self.limits);
        let unwrap = range.unwrap.as_ref();
        let mut program = Program::new(&range.lines, keys.needed(&range.lines, unwrap), keys.has_ids());
        let mut found = Found::default();
        let mut counter = limits.allowance.counter(1);
        let (start, end) = self.grid.bounds();
        let in_order = (Window { start, end }, order);
        self.report = scan(&range.lines, &mut program, self.logs, in_order, self.deadline, &mut |row| {
            let sample = match (unwrap, range.op) {
                (Some(unwrap), _) => match Program::sample(unwrap, row) {
                    Some(sample) => sample,
                    None => return Ok(ControlFlow::Continue(())),
                },
                (None, RangeOp::Bytes | RangeOp::BytesRate) => row.bytes().len() as f64,
                (None, _) => 1.0,
            };
            if let Some((error, details)) = row.error() {
                return Err(pipeline_error(error, details, row));
            }
            let place = found.place(keys, row);
            counter.add(found.added())?;
            take(place, row.time(), sample)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// A line that a stage could not read must not be counted silently.
fn pipeline_error(error: &str, details: &str, row: &Row<'_>) -> QueryError {
    QueryError::Invalid(format!(
        "pipeline error: '{error}' for series: '{}' ({details}).\nUse a label filter to intentionally skip this error. (e.g | \
         __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter \
         can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )",
        spelled(&row.stream_labels())
    ))
}

fn spelled(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// 1 where there is nothing; its labels are those that the selector says for sure.
fn absent(range: &RangeAggregation, present: &[Lane], steps: Steps) -> Vec<Lane> {
    let mut wanted: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in &range.lines.matchers {
        if let TextTest::Equal(value) = &matcher.test {
            wanted.entry(&matcher.name).and_modify(|value| *value = None).or_insert(Some(value));
        }
    }
    let sure = wanted.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut points = steps.constant(1.0).points;
    if let Some(lane) = present.first() {
        points.retain(|(at, _)| lane.points.binary_search_by_key(at, |(at, _)| *at).is_err());
    }
    if points.is_empty() { Vec::new() } else { vec![Lane { labels: Arc::new(Labels::new(sure)), points }] }
}

/// The value below which this part of the values lies, drawn between the two nearest.
fn quantile(wanted: f64, values: &mut [f64]) -> f64 {
    if wanted.is_nan() {
        return f64::NAN;
    }
    if wanted < 0.0 {
        return f64::NEG_INFINITY;
    }
    if wanted > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = wanted * (values.len() as f64 - 1.0);
    let (lower, upper) = (rank.floor(), (rank.floor() + 1.0).min(values.len() as f64 - 1.0));
    let weight = rank - lower;
    let get = |at: f64| values.get(at as usize).copied().unwrap_or(f64::NAN);
    get(lower) * (1.0 - weight) + get(upper) * weight
}
