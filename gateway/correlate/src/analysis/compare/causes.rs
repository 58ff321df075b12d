//! Which difference is the consequence of another: where calls fail, those who make them wait, and call again, and what comes after
//! is left undone.

use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::{FindingKind, Unit};
use super::sets::{Candidate, Sets};
use crate::analysis::digest::{Cell, Digest};
use crate::analysis::options::{MIN_EFFECT, MIN_TRACES, SIGNIFICANCE};
use crate::analysis::stats::values;

/// The part of an effect that must go with the failed traces for it to be theirs.
const OF_FAILURES: f64 = 0.5;
/// A consequence ranks right behind its cause.
const BEHIND: f64 = 0.99;

/// What a difference is of, by its number.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// A measure of an operation, or of anything but the traces.
    Measure,
    /// A call.
    Call(Option<u32>, u32),
    /// A fact.
    Fact(u32),
}

impl Sets<'_> {
    /// Puts what callers do otherwise behind the errors of those whom they call, if the traces without such errors do not have it.
    pub(super) fn put_behind_their_causes(&self, found: &mut [Candidate]) {
        let is_sure = |one: &&Candidate| {
            one.finding.kind == FindingKind::Errors
                && one.tested.p <= SIGNIFICANCE
                && one.tested.effect.abs() >= MIN_EFFECT
        };
        let failing: Vec<_> = found
            .iter()
            .filter(is_sure)
            .map(|one| (one.finding.operation.clone(), one.finding.score))
            .collect();
        if failing.is_empty() {
            return;
        }
        let most = failing.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        self.put_behind_failures(found, most * BEHIND);
        let callers = self.callers();
        for (failing, score) in failing {
            let all = 0..self.vocabulary.operations() as u32;
            let Some(number) = all.into_iter().find(|number| self.vocabulary.named(*number) == failing)
            else {
                continue;
            };
            for caller in above(number, &callers) {
                let operation = self.vocabulary.named(caller);
                for one in found.iter_mut().filter(|one| one.finding.operation == operation) {
                    let measure: fn(&Cell) -> f64 = match (one.finding.kind, one.finding.unit) {
                        (FindingKind::Latency, _) => |cell| cell.own as f64 / f64::from(cell.spans.max(1)),
                        (FindingKind::Structure, Unit::Spans) => |cell| f64::from(cell.spans),
                        _ => continue,
                    };
                    if one.finding.score <= score * BEHIND {
                        continue;
                    }
                    let [a, b] = [self.a, self.b].map(|digests| without(digests, number, caller, measure));
                    // Where hardly any trace is without, nothing speaks for another cause.
                    let left = a.len().min(b.len()) >= MIN_TRACES;
                    let rest = if left { values(&a, &b).effect.abs() } else { 0.0 };
                    if rest < one.tested.effect.abs() * OF_FAILURES {
                        one.finding.score = score * BEHIND;
                    }
                }
            }
        }
    }

    /// Puts calls, attributes and lines behind errors if the traces without any error do not have their difference: an error is
    /// nearer to the cause than the status that it makes and the calls that no longer follow.
    fn put_behind_failures(&self, found: &mut [Candidate], score: f64) {
        let failed = |digest: &Digest| digest.cells.iter().any(|cell| cell.error_origins > 0);
        let [well_a, well_b] =
            [self.a, self.b].map(|side| side.iter().filter(|digest| !failed(digest)).collect::<Vec<_>>());
        for one in found.iter_mut().filter(|one| one.finding.score > score) {
            if matches!(one.of, Of::Measure) {
                // Counted by status, requests tell again which of them failed.
                if (one.finding.kind, one.finding.unit) == (FindingKind::Metric, Unit::Share) {
                    one.finding.score = score;
                }
                continue;
            }
            let share = |digests: &[&Digest]| {
                let (mut all, mut with) = (0_usize, 0_usize);
                for (of_it, has) in digests.iter().map(|digest| self.has(digest, one.of)) {
                    all += usize::from(of_it);
                    with += usize::from(of_it && has);
                }
                (all, with as f64 / all.max(1) as f64)
            };
            let ((all_a, a), (all_b, b)) = (share(&well_a), share(&well_b));
            // Where hardly any trace is without, nothing speaks for another cause.
            let left = all_a.min(all_b) >= MIN_TRACES;
            let rest = if left { (a - b).abs() } else { 0.0 };
            if rest < one.tested.effect.abs() * OF_FAILURES {
                one.finding.score = score;
            }
        }
    }

    /// Whether a trace has that of which a difference is told, and whether it holds there.
    fn has(&self, digest: &Digest, of: Of) -> (bool, bool) {
        match of {
            Of::Measure => (false, false),
            Of::Call(caller, callee) => {
                let of_it = caller.is_none_or(|caller| digest.cell(caller).is_some());
                (of_it, digest.edges.binary_search(&(caller, callee)).is_ok())
            }
            Of::Fact(number) => {
                let Some(fact) = self.vocabulary.facts().get(number as usize) else { return (false, false) };
                let operation = fact.operation();
                let looked = !self.vocabulary.takes_offers(number) || digest.looked_for;
                let read = !fact.of_lines() || digest.lines_read_of(operation) && looked;
                (read && digest.cell(operation).is_some(), digest.facts.binary_search(&number).is_ok())
            }
        }
    }

    /// Who calls each operation.
    fn callers(&self) -> FxHashMap<u32, FxHashSet<u32>> {
        let mut callers: FxHashMap<u32, FxHashSet<u32>> = FxHashMap::default();
        for (caller, callee) in self.a.iter().chain(self.b).flat_map(|digest| &digest.edges) {
            callers.entry(*callee).or_default().extend(caller);
        }
        callers
    }
}

/// All who call it, or those who do.
fn above(operation: u32, callers: &FxHashMap<u32, FxHashSet<u32>>) -> FxHashSet<u32> {
    let (mut found, mut next) = (FxHashSet::default(), vec![operation]);
    while let Some(callee) = next.pop() {
        for caller in callers.get(&callee).into_iter().flatten() {
            if *caller != operation && found.insert(*caller) {
                next.push(*caller);
            }
        }
    }
    found
}

/// A measure of an operation in the traces in which no error begins in another one.
fn without(digests: &[Digest], failing: u32, operation: u32, measure: fn(&Cell) -> f64) -> Vec<f64> {
    let fails = |digest: &&Digest| digest.cell(failing).is_some_and(|cell| cell.error_origins > 0);
    let well = digests.iter().filter(|digest| !fails(digest));
    well.filter_map(|digest| digest.cell(operation).map(measure)).collect()
}
