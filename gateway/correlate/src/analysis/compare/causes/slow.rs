//! What follows from an operation that takes longer: who calls it waits longer before it is begun, fails when it has waited too long,
//! and says so.

use super::{Callers, OF_SUFFERING, own};
use crate::analysis::compare::answer::FindingKind;
use crate::analysis::compare::sets::{Candidate, FULL_CHANGE, Sets};
use crate::analysis::digest::Digest;
use crate::analysis::options::MIN_TRACES;
use crate::analysis::stats::values;

/// The least part of the time that a caller waits more which its cause must take more: before a place that is always taken one may
/// wait many times as long as anybody holds it.
pub(in crate::analysis::compare) const OF_WAITING: f64 = 0.1;
/// As [`OF_WAITING`], of the time of a caller that may have work of its own.
const OF_WORK: f64 = 0.5;

/// An operation that takes longer on one side.
pub(super) struct Slow<'a> {
    sets: &'a Sets<'a>,
    service: String,
    effect: f64,
    /// How much more time it takes in a mean trace, ns.
    change: f64,
    /// Traces in which it is not slow.
    usual: [Vec<&'a Digest>; 2],
}

impl<'a> Slow<'a> {
    pub(super) fn of(sets: &'a Sets<'_>, number: u32, cause: &Candidate) -> Self {
        let measure = |digest: &Digest| digest.cell(number).map_or(0.0, own);
        let [a, b] = [sets.a, sets.b].map(|digests| digests.iter().map(measure).collect::<Vec<_>>());
        let level = between(a, b);
        let usual = [sets.a, sets.b]
            .map(|digests| digests.iter().filter(|digest| measure(digest) <= level).collect());
        let service = cause.finding.operation.service.clone();
        Self { sets, service, effect: cause.tested.effect, change: change(sets, number), usual }
    }

    /// Whether a difference of an operation above it follows from it: those traces alone have it in which this one is slow.
    pub(super) fn makes(&self, one: &Candidate, caller: u32, callers: &Callers) -> bool {
        let [a, b] = &self.usual;
        let effect = one.tested.effect;
        let rest_of_shares = || self.sets.rest_of_shares(one, a, b) < effect.abs() * OF_SUFFERING;
        match one.finding.kind {
            FindingKind::Latency => effect * self.effect > 0.0 && self.makes_wait(one, caller, callers),
            FindingKind::Errors => effect * self.effect > 0.0 && self.delays() && rest_of_shares(),
            // What its own service says tells why.
            FindingKind::Pattern if one.finding.operation.service != self.service => rest_of_shares(),
            _ => false,
        }
    }

    fn makes_wait(&self, one: &Candidate, caller: u32, callers: &Callers) -> bool {
        let [a, b] = self.usual.each_ref().map(|digests| {
            digests.iter().filter_map(|digest| digest.cell(caller).map(own)).collect::<Vec<_>>()
        });
        let left = a.len().min(b.len()) >= MIN_TRACES;
        if left && values(&a, &b).effect.abs() >= one.tested.effect.abs() * OF_SUFFERING {
            return false;
        }
        let least = match (callers.only_waits(caller, self.sets), left) {
            (true, _) => OF_WAITING,
            (false, true) => OF_WORK,
            // Both are slow in the same traces: the caller's work may well be what is wrong.
            (false, false) => 1.0,
        };
        self.change >= change(self.sets, caller) * least
    }

    /// Whether it delays whole traces, so that somebody may give up.
    fn delays(&self) -> bool {
        self.change >= self.sets.usual_duration() * FULL_CHANGE
    }
}

/// How much more time an operation takes by itself in a mean trace of one side, ns.
fn change(sets: &Sets<'_>, number: u32) -> f64 {
    let [a, b] = [sets.a, sets.b].map(|digests| {
        let own = digests.iter().filter_map(|digest| digest.cell(number)).map(|cell| cell.own as f64);
        own.sum::<f64>() / digests.len().max(1) as f64
    });
    (a - b).abs()
}

/// The value that parts two lists best: of one there are more above it, of the other more that are not (Kolmogorov and Smirnov).
fn between(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let (mut best, mut level) = (0.0, f64::INFINITY);
    let (mut below_a, mut below_b) = (0, 0);
    while let (Some(next_a), Some(next_b)) = (a.get(below_a), b.get(below_b)) {
        let value = next_a.min(*next_b);
        below_a += a.iter().skip(below_a).take_while(|one| **one <= value).count();
        below_b += b.iter().skip(below_b).take_while(|one| **one <= value).count();
        let apart = (below_a as f64 / a.len() as f64 - below_b as f64 / b.len() as f64).abs();
        if apart > best {
            (best, level) = (apart, value);
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn what_is_slow_lies_above_the_value_that_parts_both_sides_best() {
        let usual: Vec<f64> = (0..75).map(f64::from).collect();
        let slow: Vec<f64> = (150..175).map(f64::from).collect();
        let mixed = [usual.clone(), slow.clone()].concat();
        assert_eq!(between(slow.clone(), mixed.clone()), 74.0);
        assert_eq!(between(mixed, slow.clone()), 74.0);
        assert_eq!(between(usual, slow), 74.0);
        assert_eq!(between(vec![], vec![1.0]), f64::INFINITY);
    }
}
