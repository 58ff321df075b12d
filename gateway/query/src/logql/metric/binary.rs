//! Operators between series, and between series and numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parsers::record::Labels;

use super::{Evaluated, Lane};
use crate::QueryError;
use crate::logql::syntax::{Binary, BinaryOp, Matching};

/// The value of an operator over two numbers; comparisons give 0 and 1. `None` of operators over sets.
pub(in crate::logql) fn calculate(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Compare(comparison) => f64::from(u8::from(comparison.holds(a, b))),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => return None,
    })
}

/// The value at a step: of a comparison that filters, `kept` where it holds.
fn value(binary: &Binary, a: f64, b: f64, kept: f64) -> Option<f64> {
    match binary.op {
        BinaryOp::Compare(comparison) if !binary.returns_bool => comparison.holds(a, b).then_some(kept),
        op => calculate(op, a, b),
    }
}

pub(super) fn apply(binary: &Binary, left: Evaluated, right: Evaluated) -> Result<Evaluated, QueryError> {
    let each = |lanes: Vec<Lane>, change: &dyn Fn(f64) -> Option<f64>| {
        let changed = lanes.into_iter().map(|lane| {
            let points = lane.points.into_iter().filter_map(|(at, value)| Some((at, change(value)?)));
            Lane { labels: lane.labels, points: points.collect() }
        });
        Ok(Evaluated::Lanes(changed.filter(|lane| !lane.points.is_empty()).collect()))
    };
    match (left, right) {
        (Evaluated::Number(a), Evaluated::Number(b)) => {
            Ok(Evaluated::Number(calculate(binary.op, a, b).unwrap_or(f64::NAN)))
        }
        (Evaluated::Lanes(lanes), Evaluated::Number(b)) => each(lanes, &|a| value(binary, a, b, a)),
        (Evaluated::Number(a), Evaluated::Lanes(lanes)) => each(lanes, &|b| value(binary, a, b, b)),
        (Evaluated::Lanes(left), Evaluated::Lanes(right)) => {
            let lanes = if binary.op.is_of_sets() {
                of_sets(binary, left, right)
            } else {
                joined(binary, left, right)?
            };
            Ok(Evaluated::Lanes(lanes))
        }
    }
}

/// The labels by which two sides are joined.
fn signature(labels: &Labels, matching: Option<&Matching>) -> Labels {
    let Some(matching) = matching else { return labels.clone() };
    let named = |name: &str| matching.names.iter().any(|wanted| wanted == name);
    Labels::new(labels.iter().filter(|(name, _)| named(name) == matching.on))
}

/// Steps at which any series of a signature has a value, ascending: as much as there are values, however many steps there are.
struct Present(HashMap<Labels, Vec<u32>>);

impl Present {
    fn of(lanes: &[Lane], matching: Option<&Matching>) -> Self {
        let mut by_signature: HashMap<Labels, Vec<u32>> = HashMap::new();
        for lane in lanes {
            let present = by_signature.entry(signature(&lane.labels, matching)).or_default();
            present.extend(lane.points.iter().map(|(at, _)| *at));
        }
        for present in by_signature.values_mut() {
            present.sort_unstable();
            present.dedup();
        }
        Self(by_signature)
    }

    /// The points of a series where the other side is, or is not.
    fn only(&self, lane: Lane, matching: Option<&Matching>, wanted: bool) -> Option<Lane> {
        let present = self.0.get(&signature(&lane.labels, matching));
        let there = |at: u32| present.is_some_and(|present| present.binary_search(&at).is_ok());
        let Lane { labels, mut points } = lane;
        points.retain(|(at, _)| there(*at) == wanted);
        (!points.is_empty()).then_some(Lane { labels, points })
    }
}

fn of_sets(binary: &Binary, left: Vec<Lane>, right: Vec<Lane>) -> Vec<Lane> {
    let matching = binary.matching.as_ref();
    if binary.op == BinaryOp::Or {
        let present = Present::of(&left, matching);
        let others = right.into_iter().filter_map(|lane| present.only(lane, matching, false));
        let others: Vec<Lane> = others.collect();
        return merged(left.into_iter().chain(others).map(|lane| (lane.labels, lane.points)));
    }
    let present = Present::of(&right, matching);
    left.into_iter().filter_map(|lane| present.only(lane, matching, binary.op == BinaryOp::And)).collect()
}

/// Series of one label set put together; they have no step in common.
fn merged(parts: impl Iterator<Item = (Arc<Labels>, Vec<(u32, f64)>)>) -> Vec<Lane> {
    let mut lanes: BTreeMap<Arc<Labels>, Vec<(u32, f64)>> = BTreeMap::new();
    for (labels, points) in parts {
        lanes.entry(labels).or_default().extend(points);
    }
    let sorted = lanes.into_iter().map(|(labels, mut points)| {
        points.sort_by_key(|(at, _)| *at);
        Lane { labels, points }
    });
    sorted.collect()
}

/// Values of one side met with those of the other.
fn joined(binary: &Binary, left: Vec<Lane>, right: Vec<Lane>) -> Result<Vec<Lane>, QueryError> {
    let matching = binary.matching.as_ref();
    let group = matching.and_then(|matching| matching.group.as_ref());
    let right_is_many = group.is_some_and(|group| !group.left);
    let (many, one) = if right_is_many { (right, left) } else { (left, right) };
    let mut ones: HashMap<Labels, Vec<&Lane>> = HashMap::new();
    for lane in &one {
        ones.entry(signature(&lane.labels, matching)).or_default().push(lane);
    }
    for (labels, lanes) in &ones {
        if let Some(at) = twice(lanes) {
            return Err(QueryError::Invalid(format!(
                "found duplicate series for the match group {} on the {} hand-side of the operation at step {at}; \
                 many-to-many matching not allowed: matching labels must be unique on one side",
                spelled(labels),
                if right_is_many { "left" } else { "right" },
            )));
        }
    }
    let mut parts: BTreeMap<Arc<Labels>, BTreeMap<u32, f64>> = BTreeMap::new();
    for lane in &many {
        let labels = signature(&lane.labels, matching);
        for other in ones.get(&labels).into_iter().flatten() {
            let result = Arc::new(match (group, matching) {
                (Some(group), _) => {
                    let kept =
                        lane.labels.iter().filter(|(name, _)| !group.include.iter().any(|i| i == name));
                    let taken = group
                        .include
                        .iter()
                        .map(|name| (name.as_str(), other.labels.get(name).unwrap_or("")));
                    Labels::new(kept.chain(taken))
                }
                (None, _) => labels.clone(),
            });
            let points = parts.entry(result).or_default();
            for (at, a, b) in met(&lane.points, &other.points) {
                let (a, b) = if right_is_many { (b, a) } else { (a, b) };
                let Some(value) = value(binary, a, b, a) else { continue };
                if points.insert(at, value).is_some() {
                    return Err(QueryError::Invalid(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                            .to_owned(),
                    ));
                }
            }
        }
    }
    let lanes =
        parts.into_iter().map(|(labels, points)| Lane { labels, points: points.into_iter().collect() });
    Ok(lanes.filter(|lane| !lane.points.is_empty()).collect())
}

/// A step at which two of these have a value.
fn twice(lanes: &[&Lane]) -> Option<u32> {
    if lanes.len() < 2 {
        return None;
    }
    let mut seen = std::collections::HashSet::new();
    lanes.iter().flat_map(|lane| &lane.points).map(|(at, _)| *at).find(|at| !seen.insert(*at))
}

/// Steps that both have.
fn met<'a>(left: &'a [(u32, f64)], right: &'a [(u32, f64)]) -> impl Iterator<Item = (u32, f64, f64)> + 'a {
    let mut rest = right;
    left.iter().filter_map(move |&(at, a)| {
        let skip = rest.iter().take_while(|(other, _)| *other < at).count();
        rest = rest.get(skip..).unwrap_or_default();
        rest.first().filter(|(other, _)| *other == at).map(|&(_, b)| (at, a, b))
    })
}

fn spelled(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
