//! Why the time of an operation varies: the variance of its total, split among the operations below it.
//!
//! In each trace the total is the sum of what the critical path gives to each operation. So the covariances of those parts with
//! the total add up to its variance, and each one's share of it is how much of the variance comes from there.

use std::cmp::Reverse;

use query::QueryError;
use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::{
    AttributeValue, CodeSeen, Contributor, Example, LinePattern, Others, Presence, Strength, Times, Variance,
};
use super::code::CodePlace;
use super::compare::{duration, named};
use super::digest::Digest;
use super::lines::Lines;
use super::options::{MIN_SUPPORT, MIN_TRACES};
use super::vocabulary::{Fact, Vocabulary};
use super::with::{GoesWith, Postings, goes_with};

/// Contributors for which it is looked what goes with them: the others have hardly a share.
const EXPLAINED: usize = 12;
/// The least share, of either sign, for which that is done.
const EXPLAINED_SHARE: f64 = 0.01;
/// Values, patterns and places of a contributor.
const MAX_TOLD: usize = 10;
/// The part of an operation's variance from which on it is looked who calls it: that only some traces do matters then.
const CALLED_EXPLAINS: f64 = 0.5;
/// Values of callers that are told to go with its being called at all.
const MAX_CALLED_WITH: usize = 3;
/// Slow traces that are told.
const EXAMPLES: usize = 5;
/// Of the traces whose lines are read, the part that are the slowest: what is rare in all of them is not in those.
const SLOW_PART: usize = 4;

/// What the answer is made of, once traces are read.
pub(super) struct Population<'a> {
    pub(super) digests: &'a mut [Digest],
    pub(super) vocabulary: &'a mut Vocabulary,
}

impl Population<'_> {
    /// Reads the lines of at most `most` traces: the slowest, and others as they come.
    pub(super) fn read_lines(&mut self, lines: &mut Lines<'_>, most: usize) -> Result<usize, QueryError> {
        let mut slowest: Vec<usize> = (0..self.digests.len()).collect();
        slowest.sort_by_key(|row| self.digests.get(*row).map(|digest| Reverse(digest.duration)));
        slowest.truncate(most / SLOW_PART);
        // One by one, so that of both there are some when time ends.
        let mut others = 0..self.digests.len();
        let mut chosen: Vec<usize> = Vec::with_capacity(most);
        for slow in slowest {
            chosen.push(slow);
            chosen.extend(others.by_ref().take(SLOW_PART - 1));
        }
        let mut seen = FxHashSet::default();
        let chosen: Vec<usize> = chosen.into_iter().filter(|row| seen.insert(*row)).take(most).collect();
        lines.add(self.digests, &chosen, self.vocabulary)?;
        Ok(self.digests.iter().filter(|digest| digest.lines_read).count())
    }
}

pub(super) fn example(digest: &Digest) -> Example {
    let span_id = Some(digest.span);
    Example { trace_id: digest.trace, span_id, start: digest.start, duration: digest.duration }
}

/// What the times are of, where they are counted.
pub(super) fn what(digests: &[Digest]) -> &'static str {
    if digests.iter().any(|digest| digest.of_several) { "spans" } else { "traces" }
}

/// Fills in contributors, examples and the reason of an answer.
pub(super) fn split(
    answer: &mut Variance,
    digests: &[Digest],
    lines: &Lines<'_>,
    vocabulary: &Vocabulary,
    (limit, span_limit): (usize, usize),
) {
    answer.times = Times::of(digests.iter().map(|digest| digest.duration));
    answer.traces = digests.iter().map(|digest| digest.trace).collect::<FxHashSet<_>>().len();
    let what = what(digests);
    let runs_on = RunsOn::of(digests);
    answer.warnings.extend(runs_on.map(|after| after.warning(digests.len(), what, vocabulary)));
    let mut slowest: Vec<&Digest> = digests.iter().collect();
    slowest.sort_by_key(|digest| (Reverse(digest.duration), digest.trace.bits()));
    answer.slowest = slowest.iter().take(EXAMPLES).map(|digest| example(digest)).collect();
    if digests.len() < 2 || answer.times.variance <= 0.0 {
        answer.reason = Some(match digests.len() {
            0 if answer.oversize > 0 => format!(
                "each of the {} traces in the window that have a span of this operation has more than {span_limit} spans, which is \
                 too many to look at",
                answer.oversize
            ),
            0 => "no trace in the window has a span of this operation".to_owned(),
            1 => "only one trace has it, once: nothing varies".to_owned(),
            all if runs_on.is_some() => format!(
                "all {all} {what} take the same time; what may vary is what they start, which runs on when they have ended"
            ),
            all => format!("all {all} {what} take the same time"),
        });
        return;
    }
    if digests.len() < MIN_TRACES {
        answer.warnings.push(format!(
            "shares are of {} {what} alone: they tell how these differ, not what usually makes it slow, which takes {MIN_TRACES} at \
             least; widen the window",
            digests.len()
        ));
    }
    let mut shares = shares(digests, answer.times);
    shares
        .sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| vocabulary.named(a.0).cmp(&vocabulary.named(b.0))));
    let postings = Postings::new(digests.iter(), vocabulary);
    let callers = callers(digests);
    let groups = Groups::new(digests, answer.times);
    for (order, (operation, share)) in shares.iter().take(limit).enumerate() {
        let mut contributor = groups.contributor(*operation, *share, digests, vocabulary);
        if order < EXPLAINED && share.abs() >= EXPLAINED_SHARE {
            let told = Told { digests, lines, vocabulary, postings: &postings };
            told.explain(&mut contributor, *operation, &callers);
        }
        answer.contributors.push(contributor);
    }
    let rest = shares.get(limit..).unwrap_or_default();
    answer.others = Others { operations: rest.len(), share: rest.iter().map(|(_, share)| share).sum() };
}

/// The part of a span's time from which on it matters that what it started ran on after its end.
const RUNS_ON_FROM: f64 = 0.1;

/// What is started and not waited for, as messages are.
#[derive(Debug, Clone, Copy)]
struct RunsOn {
    /// After how many it does.
    count: usize,
    /// How much longer at most, ns.
    longest: u64,
    /// What usually ends last.
    operation: u32,
}

impl RunsOn {
    /// `None` where hardly anything does.
    fn of(digests: &[Digest]) -> Option<Self> {
        let matters = |digest: &Digest| {
            digest.after.filter(|(after, _)| *after as f64 > digest.duration as f64 * RUNS_ON_FROM)
        };
        let mut last: FxHashMap<u32, usize> = FxHashMap::default();
        let (mut count, mut longest) = (0, 0);
        for (after, operation) in digests.iter().filter_map(matters) {
            count += 1;
            longest = longest.max(after);
            *last.entry(operation).or_default() += 1;
        }
        let (operation, _) =
            last.into_iter().max_by_key(|(operation, times)| (*times, Reverse(*operation)))?;
        Some(Self { count, longest, operation })
    }

    fn warning(&self, all: usize, what: &str, vocabulary: &Vocabulary) -> String {
        let (count, longest) = (self.count, duration(self.longest as f64));
        let last = vocabulary.named(self.operation);
        format!(
            "in {count} of {all} {what} something that was started and not waited for runs on after the end, up to {longest}, mostly \
             {}: that is no part of the time that is split here; ask for that operation to see why it varies",
            named(&last)
        )
    }
}

/// Each operation's share, in no order. They add up to 1.
fn shares(digests: &[Digest], times: Times) -> Vec<(u32, f64)> {
    let mut together: FxHashMap<u32, f64> = FxHashMap::default();
    for digest in digests {
        let apart = digest.duration as f64 - times.mean;
        for cell in &digest.cells {
            // The mean of the part drops out: what the total is apart from its mean adds up to nothing.
            *together.entry(cell.operation).or_default() += cell.critical as f64 * apart;
        }
    }
    let total = times.variance * digests.len() as f64;
    together.into_iter().map(|(operation, product)| (operation, product / total)).collect()
}

/// Who calls an operation, by operation.
fn callers(digests: &[Digest]) -> FxHashMap<u32, FxHashSet<u32>> {
    let mut callers: FxHashMap<u32, FxHashSet<u32>> = FxHashMap::default();
    for (caller, operation) in digests.iter().flat_map(|digest| &digest.edges) {
        if let Some(caller) = caller {
            callers.entry(*operation).or_default().insert(*caller);
        }
    }
    callers
}

/// The part of the variance of values that lies between those that are called and the others, 0 to 1.
fn explained(values: &[f64], called: &[bool]) -> f64 {
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
    let of = |wanted: bool| -> Vec<f64> {
        values.iter().zip(called).filter(|(_, called)| **called == wanted).map(|(value, _)| *value).collect()
    };
    let all = mean(values);
    let whole: f64 = values.iter().map(|value| (value - all).powi(2)).sum();
    let between = |group: &[f64]| group.len() as f64 * (mean(group) - all).powi(2);
    if whole > 0.0 { (between(&of(true)) + between(&of(false))) / whole } else { 0.0 }
}

/// An operation and all above it, nearest first.
fn upwards(operation: u32, callers: &FxHashMap<u32, FxHashSet<u32>>) -> Vec<u32> {
    let mut line = vec![operation];
    let mut at = 0;
    while let Some(here) = line.get(at).copied() {
        at += 1;
        let mut above: Vec<u32> = callers.get(&here).into_iter().flatten().copied().collect();
        above.sort_unstable();
        above.retain(|caller| !line.contains(caller));
        line.extend(above);
    }
    line
}

/// Slow and quick traces.
struct Groups {
    slow: Vec<bool>,
    fast: Vec<bool>,
}

impl Groups {
    fn new(digests: &[Digest], times: Times) -> Self {
        Self {
            slow: digests.iter().map(|digest| digest.duration >= times.p90).collect(),
            fast: digests.iter().map(|digest| digest.duration <= times.p50).collect(),
        }
    }

    fn contributor(
        &self,
        operation: u32,
        share: f64,
        digests: &[Digest],
        vocabulary: &Vocabulary,
    ) -> Contributor {
        let mut sums = [[0.0; 3]; 2];
        let mut longest: Vec<(u64, &Digest)> = Vec::new();
        for ((digest, slow), fast) in digests.iter().zip(&self.slow).zip(&self.fast) {
            let Some(cell) = digest.cell(operation) else { continue };
            let (time, spans) = (cell.critical as f64, f64::from(cell.spans));
            for (sums, value) in sums.iter_mut().zip([time, spans]) {
                sums[0] += value;
                sums[1] += if *slow { value } else { 0.0 };
                sums[2] += if *fast { value } else { 0.0 };
            }
            longest.push((cell.critical, digest));
        }
        longest.sort_by_key(|(time, digest)| (Reverse(*time), digest.trace.bits()));
        let count = |group: &[bool]| group.iter().filter(|inside| **inside).count().max(1) as f64;
        let (slow, fast) = (count(&self.slow), count(&self.fast));
        let [times, spans] = sums;
        Contributor {
            operation: vocabulary.named(operation),
            share,
            mean: times[0] / digests.len().max(1) as f64,
            mean_slow: times[1] / slow,
            mean_fast: times[2] / fast,
            spans_slow: spans[1] / slow,
            spans_fast: spans[2] / fast,
            presence: None,
            attributes: Vec::new(),
            patterns: Vec::new(),
            code: Vec::new(),
            examples: longest.into_iter().take(EXAMPLES).map(|(_, digest)| example(digest)).collect(),
        }
    }
}

/// What is known of all traces.
struct Told<'a> {
    digests: &'a [Digest],
    lines: &'a Lines<'a>,
    vocabulary: &'a Vocabulary,
    postings: &'a Postings,
}

impl Told<'_> {
    /// Fills in what goes with a contributor's time.
    fn explain(
        &self,
        contributor: &mut Contributor,
        operation: u32,
        callers: &FxHashMap<u32, FxHashSet<u32>>,
    ) {
        let time = |digest: &Digest| digest.cell(operation).map_or(0.0, |cell| cell.critical as f64);
        let values: Vec<f64> = self.digests.iter().map(time).collect();
        let calls: Vec<bool> = self.digests.iter().map(|digest| digest.cell(operation).is_some()).collect();
        let line = upwards(operation, callers);
        contributor.presence = self.presence(&values, &calls, line.get(1..).unwrap_or_default());
        // Against traces that never call it anything would explain its time that is so in those that do.
        let read = self.digests.iter().zip(&calls);
        let read: Vec<bool> = read.map(|(digest, calls)| digest.lines_read && *calls).collect();
        let mut told = FxHashSet::default();
        for with in goes_with(&values, &calls, &read, &line, self.postings, self.vocabulary) {
            let of = self.vocabulary.named(with.fact.operation());
            match with.fact {
                Fact::Attribute { key, value, .. } => {
                    if contributor.attributes.len() >= MAX_TOLD || !told.insert((key, value)) {
                        continue;
                    }
                    contributor.attributes.push(self.attribute(key, value, &with));
                }
                Fact::Pattern { pattern, .. } => {
                    let text = self.lines.pattern(pattern);
                    if let Some(pattern) = text.filter(|_| contributor.patterns.len() < MAX_TOLD) {
                        contributor.patterns.push(LinePattern {
                            operation: of,
                            pattern,
                            strength: strength(&with),
                            examples: self.examples(&with),
                        });
                    }
                }
                Fact::Code { place, from_line, .. } => contributor.code.push(CodeSeen {
                    operation: of,
                    place: CodePlace::read(self.vocabulary.text(place)),
                    from_line,
                    traces: with.with,
                    strength: Some(strength(&with)),
                }),
            }
        }
        self.seen_inside(contributor, operation);
        contributor.code.truncate(MAX_TOLD);
    }

    /// How much it matters that an operation is called at all, and what its callers have where it is; `None` if all call it.
    fn presence(&self, values: &[f64], calls: &[bool], callers: &[u32]) -> Option<Presence> {
        let with = calls.iter().filter(|called| **called).count();
        let without = calls.len().saturating_sub(with);
        if without == 0 {
            return None;
        }
        let explains = explained(values, calls);
        let mut presence = Presence { with, without, explains, attributes: Vec::new() };
        if explains >= CALLED_EXPLAINS {
            let (called, all) = (
                calls.iter().map(|called| f64::from(u8::from(*called))).collect::<Vec<_>>(),
                vec![true; calls.len()],
            );
            let mut told = FxHashSet::default();
            for with in goes_with(&called, &all, &[], callers, self.postings, self.vocabulary) {
                let Fact::Attribute { key, value, .. } = with.fact else { continue };
                if presence.attributes.len() < MAX_CALLED_WITH && told.insert((key, value)) {
                    presence.attributes.push(self.attribute(key, value, &with));
                }
            }
        }
        Some(presence)
    }

    fn attribute(&self, key: u32, value: u32, with: &GoesWith) -> AttributeValue {
        let (scope, name) = self.vocabulary.key_name(key);
        AttributeValue {
            operation: self.vocabulary.named(with.fact.operation()),
            scope,
            key: name.to_owned(),
            value: self.vocabulary.text(value).to_owned(),
            strength: strength(with),
            examples: self.examples(with),
        }
    }

    /// Adds places that were seen inside the operation's spans, though not more in slow traces than in others.
    fn seen_inside(&self, contributor: &mut Contributor, operation: u32) {
        let mut seen = Vec::new();
        for number in self.postings.of(operation) {
            let Some(Fact::Code { place, from_line, .. }) =
                self.vocabulary.facts().get(*number as usize).copied()
            else {
                continue;
            };
            let place = CodePlace::read(self.vocabulary.text(place));
            if !contributor.code.iter().any(|known| known.place == place) {
                seen.push((self.postings.rows(*number).len(), place, from_line));
            }
        }
        seen.sort_by_key(|(traces, place, _)| (Reverse(*traces), place.to_string()));
        contributor.code.extend(seen.into_iter().map(|(traces, place, from_line)| CodeSeen {
            operation: contributor.operation.clone(),
            place,
            from_line,
            traces,
            strength: None,
        }));
    }

    fn examples(&self, with: &GoesWith) -> Vec<parsers::record::TraceId> {
        let of = |row: &u32| self.digests.get(*row as usize).map(|digest| digest.trace);
        let mut traces: Vec<_> = with.rows.iter().take(MIN_SUPPORT).filter_map(of).collect();
        // Several spans may be of one.
        let mut told = FxHashSet::default();
        traces.retain(|trace| told.insert(*trace));
        traces
    }
}

fn strength(with: &GoesWith) -> Strength {
    Strength {
        explains: with.explains,
        significance: with.significance,
        with: with.with,
        without: with.without,
        mean_with: with.mean_with,
        mean_without: with.mean_without,
    }
}

#[cfg(test)]
mod tests;
