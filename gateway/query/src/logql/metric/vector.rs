//! Aggregations over series at each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use parsers::record::Labels;

use super::Lane;
use super::fold::{Fold, Moments};
use super::grid::Steps;
use crate::logql::syntax::{Grouping, VectorAggregation, VectorOp};

pub(super) fn grouped(labels: &Labels, grouping: &Grouping) -> Labels {
    let named = |name: &str| grouping.names.iter().any(|wanted| wanted == name);
    Labels::new(labels.iter().filter(|(name, _)| named(name) != grouping.without))
}

pub(super) fn aggregate(
    aggregation: &VectorAggregation,
    grouping: &Grouping,
    lanes: Vec<Lane>,
    steps: Steps,
) -> Vec<Lane> {
    if matches!(aggregation.op, VectorOp::Sort | VectorOp::SortDesc) {
        return lanes;
    }
    let mut groups: BTreeMap<Labels, Vec<Lane>> = BTreeMap::new();
    for lane in lanes {
        groups.entry(grouped(&lane.labels, grouping)).or_default().push(lane);
    }
    if aggregation.op.ranks() {
        let keep = usize::try_from(aggregation.parameter.unwrap_or(0)).unwrap_or(usize::MAX);
        let largest = aggregation.op != VectorOp::BottomK;
        return groups.into_values().flat_map(|lanes| ranked(largest, keep, lanes)).collect();
    }
    let mut scratch = vec![None; steps.count as usize];
    let folded = groups.into_iter().map(|(labels, lanes)| {
        let points = folded(aggregation.op, &lanes, &mut scratch);
        Lane { labels: Arc::new(labels), points }
    });
    folded.collect()
}

/// What is kept of the values at one step.
#[derive(Debug, Clone)]
struct Step {
    value: f64,
    moments: Option<Moments>,
    count: f64,
}

fn folded(op: VectorOp, lanes: &[Lane], scratch: &mut [Option<Step>]) -> Vec<(u32, f64)> {
    let spread = matches!(op, VectorOp::StdDev | VectorOp::StdVar);
    // Groups of few values must not cost a look at each step.
    let mut used = Vec::new();
    for &(at, value) in lanes.iter().flat_map(|lane| &lane.points) {
        let Some(slot) = scratch.get_mut(at as usize) else { continue };
        let Some(step) = slot else {
            used.push(at);
            *slot = Some(Step { value, moments: spread.then(|| Moments::one(0, value)), count: 1.0 });
            continue;
        };
        step.count += 1.0;
        match op {
            // A value that is no number gives way to any.
            VectorOp::Min if value < step.value || step.value.is_nan() => step.value = value,
            VectorOp::Max if value > step.value || step.value.is_nan() => step.value = value,
            VectorOp::Min | VectorOp::Max => {}
            _ => step.value += value,
        }
        if let Some(moments) = &mut step.moments {
            moments.join(&Moments::one(0, value));
        }
    }
    let mut points = Vec::new();
    used.sort_unstable();
    for at in used {
        let Some(step) = scratch.get_mut(at as usize).and_then(Option::take) else { continue };
        let variance = step.moments.map_or(f64::NAN, |moments| moments.variance());
        let value = match op {
            VectorOp::Avg => step.value / step.count,
            VectorOp::Count => step.count,
            VectorOp::StdVar => variance,
            VectorOp::StdDev => variance.sqrt(),
            _ => step.value,
        };
        points.push((at, value));
    }
    points
}

/// The largest or smallest series at each step; of equal ones, those that come first by their labels.
fn ranked(largest: bool, keep: usize, mut lanes: Vec<Lane>) -> Vec<Lane> {
    lanes.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut at: BTreeMap<u32, Vec<(f64, usize)>> = BTreeMap::new();
    for (index, lane) in lanes.iter().enumerate() {
        for &(step, value) in &lane.points {
            at.entry(step).or_default().push((value, index));
        }
    }
    for lane in &mut lanes {
        lane.points.clear();
    }
    for (step, mut values) in at {
        // What is no number comes last either way.
        values.sort_by(|(a, _), (b, _)| {
            let order = a.is_nan().cmp(&b.is_nan());
            order.then_with(|| if largest { b.total_cmp(a) } else { a.total_cmp(b) })
        });
        for (value, index) in values.into_iter().take(keep) {
            if let Some(lane) = lanes.get_mut(index) {
                lane.points.push((step, value));
            }
        }
    }
    lanes.retain(|lane| !lane.points.is_empty());
    lanes
}
