//! The traces that an answer is made of: those that meet a query, or a part of them that is the same whenever it is asked for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use parsers::record::TraceId;
use query::QueryError;
use query::traceql::{self, Limits, Query, Visitor};
use store::read::{SpanView, TraceRead, Window};

use super::calls::CallsBy;
use super::digest::{Digest, Digested, Part, digest, scattered};
use super::options::MAX_TRACE_ROOTS;
use super::resources::Resources;
use super::vocabulary::Vocabulary;

/// What is looked for, and how much of it.
pub(crate) struct Wanted<'a> {
    pub(crate) query: &'a Query,
    pub(crate) window: Window,
    /// Only what is below the spans that the query finds, each by itself.
    pub(crate) below: bool,
    pub(crate) by: Option<CallsBy<'a>>,
    /// Traces; below spans, of these.
    pub(crate) traces: usize,
    pub(crate) spans: usize,
    pub(crate) limits: Limits,
}

/// Traces of a question.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// In an order that has nothing to do with what they are.
    pub(crate) digests: Vec<Digest>,
    /// How many traces there are in all, more or less where some were left out.
    pub(crate) matched: u64,
    /// Of them, those that were left out since they have too many spans.
    pub(crate) oversize: usize,
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
        count: 0,
        bound: None,
        matched: 0,
        oversize: 0,
        most_roots: 0,
    };
    let visited = traceql::visit(wanted.query, traces, wanted.window, wanted.limits, &mut collecting)?;
    let Collecting { kept, bound, matched, oversize, most_roots, .. } = collecting;
    let mut sample = Sample { matched, oversize, ..Sample::default() };
    if let Some((bound, _)) = bound {
        // So many lie below a place that this share of all places lies below.
        let share = bound as f64 / u64::MAX as f64;
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
    if most_roots > MAX_TRACE_ROOTS {
        sample.warnings.push(format!(
            "there are up to {most_roots} such spans in a trace; of one trace {MAX_TRACE_ROOTS} are looked at, chosen by their ids"
        ));
    }
    sample.digests = kept.into_values().flatten().collect();
    leave_out_rootless(&mut sample);
    Ok(sample)
}

/// A trace whose root is missing tells wrong times; but where most are so, it is how this system traces. One that misses others has
/// the right ones: what is missing counts for what is above it.
fn leave_out_rootless(sample: &mut Sample) {
    let all = sample.digests.len();
    let rootless = sample.digests.iter().filter(|digest| !digest.rooted).count();
    if rootless * 2 > all {
        sample.warnings.push(format!(
            "the roots of {rootless} of {all} traces are missing; these are looked at nevertheless, as far as the longest span of which \
             the parent is missing goes"
        ));
    } else if rootless > 0 {
        sample.digests.retain(|digest| digest.rooted);
        sample
            .warnings
            .push(format!("{rootless} of {all} traces are left out, since their roots are missing"));
    }
    let (all, gaps) = (sample.digests.len(), sample.digests.iter().filter(|digest| digest.gaps).count());
    if gaps > 0 {
        let what = if sample.digests.iter().any(|digest| digest.of_several) { "spans" } else { "traces" };
        sample.warnings.push(format!(
            "while {gaps} of {all} {what} ran, others did whose parents are missing: nobody knows whose they are, and what waited for \
             them has their time as its own"
        ));
    }
}

/// The place of a trace in an order that has nothing to do with what it is. A bijection of the id's low half, which is random
/// in most ids but a counter or a time in some.
pub(crate) fn place(trace: TraceId) -> u64 {
    scattered(trace.bits() as u64)
}

/// Where a trace stands among all.
type Place = (u64, u128);

struct Collecting<'a, 'w> {
    wanted: &'a Wanted<'w>,
    vocabulary: &'a mut Vocabulary,
    resources: Resources,
    kept: BTreeMap<Place, Vec<Digest>>,
    /// Digests of all that are kept.
    count: usize,
    /// From which place on traces are left out; `None` while there are not too many.
    bound: Option<Place>,
    matched: u64,
    oversize: usize,
    /// The most spans below which one trace would be looked at.
    most_roots: usize,
}

impl Collecting<'_, '_> {
    /// Leaves out what is at this place and behind.
    fn ends_at(&mut self, place: Place) {
        self.bound = Some(self.bound.map_or(place, |bound| bound.min(place)));
    }
}

impl Visitor for Collecting<'_, '_> {
    fn wants(&mut self, trace: TraceId) -> bool {
        let place = (place(trace), trace.bits());
        if self.bound.is_some_and(|bound| place >= bound) {
            return false;
        }
        let last = self.kept.last_key_value().map(|(last, _)| *last);
        let passed = self.count >= self.wanted.traces && last.is_none_or(|last| place > last);
        if passed {
            self.ends_at(place);
        }
        !passed
    }

    fn trace(&mut self, spans: &[SpanView<'_>], found: &[usize]) -> ControlFlow<()> {
        if spans.len() > self.wanted.spans {
            self.oversize += 1;
            return ControlFlow::Continue(());
        }
        let part = if self.wanted.below { Part::Below(found) } else { Part::Whole };
        let Digested { digests, all } =
            digest(spans, part, self.wanted.by, &mut self.resources, self.vocabulary);
        let Some(trace) = digests.first().map(|digest| digest.trace) else {
            return ControlFlow::Continue(());
        };
        self.matched += 1;
        self.most_roots = self.most_roots.max(all);
        self.count += digests.len();
        self.kept.insert((place(trace), trace.bits()), digests);
        while self.count > self.wanted.traces
            && self.kept.len() > 1
            && let Some((last, left_out)) = self.kept.pop_last()
        {
            self.count -= left_out.len();
            self.ends_at(last);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
