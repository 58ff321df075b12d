//! Which difference is the consequence of another: where calls fail, those who make them wait, and call again, and what comes after
//! is left undone; where they take long, those who make them wait for a thread or a connection, and give up.

mod slow;

pub(super) use slow::OF_WAITING;

use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::{FindingKind, Unit};
use super::sets::{Candidate, Sets};
use crate::analysis::digest::{Cell, Digest};
use crate::analysis::options::{MIN_EFFECT, MIN_TRACES, SIGNIFICANCE};
use crate::analysis::stats::values;
use crate::analysis::vocabulary::Fact;

/// The part of an effect that must go with the traces that suffer from a cause for it to be theirs.
const OF_SUFFERING: f64 = 0.5;
/// The part of the largest difference of errors from which on another counts as a cause beside it, behind which consequences are put.
const OF_LARGEST: f64 = 0.2;
/// A consequence ranks right behind its cause.
pub(super) const BEHIND: f64 = 0.99;

/// What a difference is of, by its number.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// A measure of an operation.
    Operation(u32),
    /// A call.
    Call(Option<u32>, u32),
    /// A fact.
    Fact(u32),
    /// A series, which is of no trace.
    Series,
}

/// What an operation is told by in one trace.
type Measure = fn(&Cell) -> f64;

/// Time that it takes by itself, a span.
fn own(cell: &Cell) -> f64 {
    cell.own as f64 / f64::from(cell.spans.max(1))
}

/// How often it runs.
fn spans(cell: &Cell) -> f64 {
    f64::from(cell.spans)
}

/// Who stands above whom.
struct Callers {
    direct: FxHashMap<u32, FxHashSet<u32>>,
}

impl Callers {
    fn of(sets: &Sets<'_>) -> Self {
        let mut direct: FxHashMap<u32, FxHashSet<u32>> = FxHashMap::default();
        for (caller, callee) in sets.a.iter().chain(sets.b).flat_map(|digest| &digest.edges) {
            direct.entry(*callee).or_default().extend(caller);
        }
        Self { direct }
    }

    /// All who call it, or those who do.
    fn reach(&self, operation: u32) -> FxHashSet<u32> {
        let (mut found, mut next) = (FxHashSet::default(), vec![operation]);
        while let Some(callee) = next.pop() {
            for caller in self.direct.get(&callee).into_iter().flatten() {
                if *caller != operation && found.insert(*caller) {
                    next.push(*caller);
                }
            }
        }
        found
    }

    /// All who call it, or those who do, and whom it does not call in turn: of a ring nobody is above.
    fn above(&self, operation: u32) -> Vec<u32> {
        let mut above: Vec<u32> = self.reach(operation).into_iter().collect();
        above.retain(|caller| !self.reach(*caller).contains(&operation));
        above.sort_unstable();
        above
    }

    /// Whether an operation calls others, and none of its own service: what it takes by itself is waiting for them.
    fn only_waits(&self, operation: u32, sets: &Sets<'_>) -> bool {
        let service = sets.vocabulary.named(operation).service;
        let called = self.direct.iter().filter(|(_, callers)| callers.contains(&operation));
        let mut called = called.map(|(callee, _)| sets.vocabulary.named(*callee).service).peekable();
        called.peek().is_some() && called.all(|other| other != service)
    }
}

impl Sets<'_> {
    /// Puts differences behind those that they follow from: what callers do otherwise behind the errors and the slowness of those
    /// whom they call, if the traces that do not suffer from these do not have it.
    pub(super) fn put_behind_their_causes(&self, found: &mut [Candidate]) {
        let mut by_operation: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
        for (place, one) in found.iter().enumerate().filter(|(_, one)| is_sure(one)) {
            let operation = match one.of {
                Of::Operation(operation) => operation,
                Of::Fact(fact) => match self.vocabulary.facts().get(fact as usize) {
                    Some(Fact::Pattern { operation, .. }) => *operation,
                    _ => continue,
                },
                Of::Call(..) | Of::Series => continue,
            };
            by_operation.entry(operation).or_default().push(place);
        }
        let callers = Callers::of(self);
        let mut follows: Vec<(usize, usize)> = Vec::new();
        for (place, cause) in found.iter().enumerate().filter(|(_, one)| is_sure(one)) {
            let Of::Operation(number) = cause.of else { continue };
            if !matches!(cause.finding.kind, FindingKind::Errors | FindingKind::Latency) {
                continue;
            }
            let above = callers.above(number);
            let is_slow = cause.finding.kind == FindingKind::Latency && !above.is_empty();
            let slow = is_slow.then(|| slow::Slow::of(self, number, cause));
            for caller in above {
                for &other in by_operation.get(&caller).into_iter().flatten() {
                    let Some(one) = found.get(other) else { continue };
                    let of_it = match &slow {
                        None => self.is_of_errors(&[number], caller, one),
                        Some(slow) => slow.makes(one, caller, &callers),
                    };
                    if of_it {
                        follows.push((place, other));
                    }
                }
            }
        }
        lower(&follows, found);
        let is_errors = |place: usize| {
            found.get(place).is_some_and(|one| one.finding.kind == FindingKind::Errors && is_sure(one))
        };
        let caused: FxHashSet<usize> = follows.iter().map(|(_, consequence)| *consequence).collect();
        let mut failing: Vec<usize> = (0..found.len()).filter(|place| is_errors(*place)).collect();
        if failing.iter().any(|place| !caused.contains(place)) {
            failing.retain(|place| !caused.contains(place));
        }
        let causes = self.of_their_own(failing, found);
        let Some(least) = causes
            .iter()
            .filter_map(|(place, _)| found.get(*place))
            .map(|one| one.finding.score)
            .min_by(f64::total_cmp)
        else {
            return;
        };
        let of_any = self.of_any(&causes, found, &by_operation, &callers);
        let is_cause = |place: &usize| causes.iter().any(|(cause, _)| cause == place);
        let of_one = follows.iter().filter(|(cause, _)| is_cause(cause)).map(|(_, consequence)| *consequence);
        for place in of_any.into_iter().chain(of_one.collect::<Vec<_>>()) {
            if let Some(one) = found.get_mut(place) {
                one.finding.score = one.finding.score.min(least * BEHIND);
            }
        }
        lower(&follows, found);
        self.put_behind_failures(found, least * BEHIND);
    }

    /// Of these errors those that are not there because of larger ones in the same traces, each with where it begins.
    fn of_their_own(&self, mut failing: Vec<usize>, found: &[Candidate]) -> Vec<(usize, u32)> {
        let score = |place: &usize| found.get(*place).map_or(0.0, |one| one.finding.score);
        failing.sort_by(|one, other| score(other).total_cmp(&score(one)).then(one.cmp(other)));
        let largest = failing.first().map_or(0.0, score);
        let mut causes: Vec<(usize, u32)> = Vec::new();
        for place in failing {
            let Some(one) = found.get(place) else { continue };
            let Of::Operation(operation) = one.of else { continue };
            let [a, b] = [self.a, self.b].map(|side| {
                let fails = |digest: &Digest| causes.iter().any(|(_, cause)| begins(digest, *cause));
                side.iter().filter(|digest| !fails(digest)).collect::<Vec<_>>()
            });
            let rest = self.rest_of_shares(one, &a, &b);
            let own = score(&place) >= largest * OF_LARGEST && rest >= one.tested.effect.abs() * OF_SUFFERING;
            if causes.is_empty() || own {
                causes.push((place, operation));
            }
        }
        causes
    }

    /// What callers, and those who fail, do otherwise in traces alone in which any of the errors begins that are below them, or theirs.
    fn of_any(
        &self,
        causes: &[(usize, u32)],
        found: &[Candidate],
        by_operation: &FxHashMap<u32, Vec<usize>>,
        callers: &Callers,
    ) -> Vec<usize> {
        let mut below: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (_, operation) in causes {
            for caller in callers.above(*operation).into_iter().chain([*operation]) {
                below.entry(caller).or_default().push(*operation);
            }
        }
        let mut consequences = Vec::new();
        for (caller, failing) in &below {
            for &place in by_operation.get(caller).into_iter().flatten() {
                if found.get(place).is_some_and(|one| self.is_of_errors(failing, *caller, one)) {
                    consequences.push(place);
                }
            }
        }
        consequences
    }

    /// Whether what a caller does otherwise is so in traces alone in which an error begins below it.
    fn is_of_errors(&self, failing: &[u32], caller: u32, one: &Candidate) -> bool {
        let measure: Measure = match (one.finding.kind, one.finding.unit) {
            (FindingKind::Latency, _) => own,
            (FindingKind::Structure, Unit::Spans) => spans,
            _ => return false,
        };
        let fails = |digest: &&Digest| failing.iter().any(|failing| begins(digest, *failing));
        let [a, b] = [self.a, self.b].map(|digests| {
            let well = digests.iter().filter(|digest| !fails(digest));
            well.filter_map(|digest| digest.cell(caller).map(measure)).collect::<Vec<_>>()
        });
        // Where hardly any trace is without, nothing speaks for another cause.
        let left = a.len().min(b.len()) >= MIN_TRACES;
        let rest = if left { values(&a, &b).effect.abs() } else { 0.0 };
        rest < one.tested.effect.abs() * OF_SUFFERING
    }

    /// Puts calls, attributes and lines behind errors if the traces without any error do not have their difference: an error is
    /// nearer to the cause than the status that it makes and the calls that no longer follow.
    fn put_behind_failures(&self, found: &mut [Candidate], score: f64) {
        let failed = |digest: &Digest| digest.cells.iter().any(|cell| cell.error_origins > 0);
        let [well_a, well_b] =
            [self.a, self.b].map(|side| side.iter().filter(|digest| !failed(digest)).collect::<Vec<_>>());
        for one in found.iter_mut().filter(|one| one.finding.score > score) {
            match one.of {
                Of::Operation(_) => continue,
                Of::Series => {
                    // Counted by status, requests tell again which of them failed.
                    if (one.finding.kind, one.finding.unit) == (FindingKind::Metric, Unit::Share) {
                        one.finding.score = score;
                    }
                    continue;
                }
                Of::Call(..) | Of::Fact(_) => {}
            }
            if self.rest_of_shares(one, &well_a, &well_b) < one.tested.effect.abs() * OF_SUFFERING {
                one.finding.score = score;
            }
        }
    }

    /// How large a difference of shares is in these traces alone; 0 where they are too few to speak for another cause.
    fn rest_of_shares(&self, one: &Candidate, a: &[&Digest], b: &[&Digest]) -> f64 {
        let share = |digests: &[&Digest]| {
            let (mut all, mut with) = (0_usize, 0_usize);
            for (of_it, has) in digests.iter().map(|digest| self.has(digest, one.of)) {
                all += usize::from(of_it);
                with += usize::from(of_it && has);
            }
            (all, with as f64 / all.max(1) as f64)
        };
        let ((all_a, a), (all_b, b)) = (share(a), share(b));
        if all_a.min(all_b) >= MIN_TRACES { (a - b).abs() } else { 0.0 }
    }

    /// Whether a trace has that of which a difference is told, and whether it holds there.
    fn has(&self, digest: &Digest, of: Of) -> (bool, bool) {
        match of {
            Of::Series => (false, false),
            Of::Operation(operation) => match digest.cell(operation) {
                Some(cell) => (true, cell.error_origins > 0),
                None => (false, false),
            },
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
}

/// Whether an error begins in an operation of a trace.
fn begins(digest: &Digest, operation: u32) -> bool {
    digest.cell(operation).is_some_and(|cell| cell.error_origins > 0)
}

/// Puts each consequence behind its cause. Each follows from something below it, so this ends.
fn lower(follows: &[(usize, usize)], found: &mut [Candidate]) {
    let mut moved = true;
    while std::mem::take(&mut moved) {
        for (cause, consequence) in follows {
            let most = found.get(*cause).map_or(f64::INFINITY, |cause| cause.finding.score * BEHIND);
            if let Some(one) = found.get_mut(*consequence).filter(|one| one.finding.score > most) {
                one.finding.score = most;
                moved = true;
            }
        }
    }
}

fn is_sure(one: &Candidate) -> bool {
    one.tested.p <= SIGNIFICANCE && one.tested.effect.abs() >= MIN_EFFECT
}
