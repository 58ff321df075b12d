//! The traces that an answer is made of: those that meet a query, or a part of them that is the same whenever it is asked for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use parsers::record::TraceId;
use query::QueryError;
use query::traceql::{self, Limits, Query, Visitor};
use store::read::{SpanView, TraceRead, Window};

use super::digest::{Digest, GroupBy, Part, Resources, digest};
use super::vocabulary::Vocabulary;

/// What is looked for, and how much of it.
pub(crate) struct Wanted<'a> {
    pub(crate) query: &'a Query,
    pub(crate) window: Window,
    /// Only what is below the spans that the query finds.
    pub(crate) below: bool,
    pub(crate) by: Option<GroupBy<'a>>,
    pub(crate) traces: usize,
    pub(crate) spans: usize,
    pub(crate) limits: Limits,
}

/// Traces of a question.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// In an order that has nothing to do with what they are.
    pub(crate) digests: Vec<Digest>,
    /// How many there are in all, more or less where some were left out.
    pub(crate) matched: u64,
    /// What a reader should know.
    pub(crate) warnings: Vec<String>,
}

/// Finds traces. Which are left out where there are too many is told by their ids alone.
pub(crate) fn collect(
    traces: &dyn TraceRead,
    wanted: &Wanted<'_>,
    vocabulary: &mut Vocabulary,
) -> Result<Sample, QueryError> {
    let mut collecting = Collecting {
        wanted,
        vocabulary,
        resources: Resources::default(),
        kept: BTreeMap::new(),
        passed: false,
        matched: 0,
        oversize: 0,
    };
    let visited = traceql::visit(wanted.query, traces, wanted.window, wanted.limits, &mut collecting)?;
    let Collecting { kept, passed, matched, oversize, .. } = collecting;
    let mut sample = Sample { matched, ..Sample::default() };
    if passed && let Some(((last, _), _)) = kept.last_key_value() {
        // So many lie below a place that this share of all places lies below.
        let share = *last as f64 / u64::MAX as f64;
        sample.matched = (kept.len() as f64 / share.max(f64::MIN_POSITIVE)).round() as u64;
        let (matched, kept) = (sample.matched, kept.len());
        sample
            .warnings
            .push(format!("about {matched} traces match; {kept} of them are looked at, chosen by their ids"));
    }
    match visited.ended {
        // What was read is an answer too, if there is any.
        Some(error) if kept.is_empty() => return Err(error),
        Some(error) => sample.warnings.push(format!("older traces of the window were not read: {error}")),
        None => {}
    }
    if visited.report.damaged_blocks > 0 {
        let blocks = visited.report.damaged_blocks;
        sample.warnings.push(format!("{blocks} damaged blocks of the store were passed over"));
    }
    if oversize > 0 {
        let most = wanted.spans;
        sample.warnings.push(format!("{oversize} traces with more than {most} spans are left out"));
    }
    sample.digests = kept.into_values().collect();
    leave_out_incomplete(&mut sample);
    Ok(sample)
}

/// A trace of which spans are missing tells wrong times; but where most are so, it is how this system traces.
fn leave_out_incomplete(sample: &mut Sample) {
    let all = sample.digests.len();
    let incomplete = sample.digests.iter().filter(|digest| !digest.complete).count();
    if incomplete == 0 {
        return;
    }
    if incomplete * 2 > all {
        sample.warnings.push(format!(
            "{incomplete} of {all} traces have spans whose parents are missing; they are looked at nevertheless"
        ));
        return;
    }
    sample.digests.retain(|digest| digest.complete);
    sample
        .warnings
        .push(format!("{incomplete} of {all} traces are left out, since parents of their spans are missing"));
}

/// The place of a trace in an order that has nothing to do with what it is. A bijection of the id's low half, which is random
/// in most ids but a counter or a time in some.
pub(crate) fn place(trace: TraceId) -> u64 {
    let mut mixed = trace.bits() as u64;
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}

struct Collecting<'a, 'w> {
    wanted: &'a Wanted<'w>,
    vocabulary: &'a mut Vocabulary,
    resources: Resources,
    kept: BTreeMap<(u64, u128), Digest>,
    /// Whether any was left out for its place.
    passed: bool,
    matched: u64,
    oversize: u64,
}

impl Visitor for Collecting<'_, '_> {
    fn wants(&mut self, trace: TraceId) -> bool {
        let full = self.kept.len() >= self.wanted.traces;
        let beyond = |(last, _): (&(u64, u128), &Digest)| (place(trace), trace.bits()) >= *last;
        let passed = full && self.kept.last_key_value().is_none_or(beyond);
        self.passed |= passed;
        !passed
    }

    fn trace(&mut self, spans: &[SpanView<'_>], found: &[usize]) -> ControlFlow<()> {
        if spans.len() > self.wanted.spans {
            self.oversize += 1;
            return ControlFlow::Continue(());
        }
        let part = if self.wanted.below { Part::Below(found) } else { Part::Whole };
        let Some(digest) = digest(spans, part, self.wanted.by, &mut self.resources, self.vocabulary) else {
            return ControlFlow::Continue(());
        };
        self.matched += 1;
        self.kept.insert((place(digest.trace), digest.trace.bits()), digest);
        if self.kept.len() > self.wanted.traces {
            self.kept.pop_last();
            self.passed = true;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
