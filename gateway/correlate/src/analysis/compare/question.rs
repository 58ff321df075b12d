//! The question what is different: reads both sides, and has them compared.

use parsers::record::TraceId;
use query::QueryError;
use query::traceql::{self, Query};
use rustc_hash::FxHashSet;
use store::read::Window;

use super::answer::{Comparison, Side, Significance};
use super::metrics::{self, Metrics};
use super::pair::{self, Whole};
use super::ranked::ranked;
use super::sets::Sets;
use super::traffic;
use crate::analysis::Analyst;
use crate::analysis::answer::{Example, Times};
use crate::analysis::digest::Digest;
use crate::analysis::lines::Lines;
use crate::analysis::options::MIN_TRACES;
use crate::analysis::sample::{Sample, Wanted, collect};
use crate::analysis::stats::values;
use crate::analysis::variance::example;
use crate::analysis::vocabulary::Vocabulary;
use crate::{Absence, AbsentSignal, LabelMapping, absent};

/// What the second side is called where it is not named.
pub const OTHERS: &str = "all other traces";
/// Traces named of each side.
const EXAMPLES: usize = 3;

/// What is on one side.
#[derive(Debug, Clone)]
pub enum Selection {
    /// One trace.
    Trace(TraceId),
    /// All that meet a query.
    Query(Query),
}

impl Selection {
    /// A trace's id in any spelling, or TraceQL.
    pub fn read(text: &str) -> Result<Self, QueryError> {
        match TraceId::from_spelling(text.trim().as_bytes()) {
            Ok(id) => Ok(Self::Trace(id)),
            Err(_) => {
                let query = traceql::parse(text)?;
                if query.metrics.is_some() {
                    return Err(QueryError::Invalid(
                        "a selection of traces was expected, and this counts them: leave out what follows the spans, as `| rate()`"
                            .to_owned(),
                    ));
                }
                Ok(Self::Query(query))
            }
        }
    }
}

/// What is different between `a` and `b`?
#[derive(Debug, Clone)]
pub struct CompareQuestion {
    /// The first, as it was written, and as it was read.
    pub a: (String, Selection),
    /// In which spans of the first start.
    pub a_window: Window,
    /// The second; without it, all other traces of its window.
    pub b: Option<(String, Selection)>,
    /// In which spans of the second start.
    pub b_window: Window,
    /// Now, ns: nothing has started later.
    pub now: u64,
    /// Findings that are listed.
    pub limit: usize,
    /// Pairs of spans that are listed of two traces.
    pub pairs: usize,
}

impl Analyst {
    /// Compares two traces or two sets.
    pub fn compare(&self, asked: &CompareQuestion) -> Result<Comparison, QueryError> {
        let all = traceql::parse("{ }")?;
        let others = (OTHERS.to_owned(), Selection::Query(all));
        let (text, b) = asked.b.as_ref().unwrap_or(&others);
        match (&asked.a.1, b) {
            (Selection::Trace(a), Selection::Trace(b)) => self.pair(asked, *a, (*b, text)),
            (Selection::Query(a), Selection::Query(b)) => self.queries(asked, a, (b, text)),
            _ => Err(QueryError::Invalid(
                "a trace is compared with a trace, and a query with a query: to see what is unusual about one trace, \
                 compare { trace:id = \"...\" } of a few like it"
                    .to_owned(),
            )),
        }
    }

    fn pair(
        &self,
        asked: &CompareQuestion,
        a: TraceId,
        (b, text): (TraceId, &String),
    ) -> Result<Comparison, QueryError> {
        let read = |id| {
            let records = self.traces.trace(id, self.options.span_limit)?;
            let mut warnings = Vec::new();
            if records.omitted > 0 {
                warnings.push(format!("{} records of {id} are left out", records.omitted));
            }
            // What there is beside its spans does not matter here.
            let absent = absent::stored(id, &records, self.options.span_limit).into_iter();
            let absent =
                absent.filter(|_| records.spans.is_empty()).find(|one| one.signal == AbsentSignal::Spans);
            Ok::<_, QueryError>((Whole::new(id, records), absent, warnings))
        };
        let ((first, first_absent, mut warnings), (second, second_absent, more)) = (read(a)?, read(b)?);
        warnings.extend(more);
        let missing: Vec<String> = [(&first_absent, &asked.a.0), (&second_absent, text)]
            .into_iter()
            .filter_map(|(absent, text)| {
                Some(format!("no span of {text} is stored: {}", absent.as_ref()?.detail))
            })
            .collect();
        let side = |whole: &Whole, absent: Option<Absence>, selection: &str, window: Window| {
            let (start, end) = whole.bounds();
            let found = !whole.nodes.is_empty();
            let failing =
                |node: &crate::SpanNode| node.span.status.code == parsers::record::StatusCode::Error;
            Side {
                selection: selection.to_owned(),
                window: if found { Window { start, end: end.saturating_add(1) } } else { window },
                matched: u64::from(found),
                times: Times::of(found.then_some(end - start).into_iter()),
                failed: usize::from(whole.nodes.first().is_some_and(failing)),
                line_traces: usize::from(found),
                examples: found
                    .then_some(Example { trace_id: whole.trace, span_id: None, start, duration: end - start })
                    .into_iter()
                    .collect(),
                absent,
            }
        };
        let (mut spans, mut findings) = pair::compare(&first, &second);
        let reason = if !missing.is_empty() {
            findings.clear();
            Some(missing.join("; "))
        } else if findings.is_empty() {
            Some("both have the same spans, with the same outcomes and much the same times".to_owned())
        } else {
            None
        };
        let spans_omitted = spans.len().saturating_sub(asked.pairs);
        spans.truncate(asked.pairs);
        let tested = findings.len();
        let omitted = tested.saturating_sub(asked.limit);
        findings.truncate(asked.limit);
        Ok(Comparison {
            a: side(&first, first_absent, &asked.a.0, asked.a_window),
            b: side(&second, second_absent, text, asked.b_window),
            overall: None,
            findings,
            tested,
            omitted,
            spans,
            spans_omitted,
            warnings,
            reason,
        })
    }

    fn queries(
        &self,
        asked: &CompareQuestion,
        a: &Query,
        (b, text): (&Query, &String),
    ) -> Result<Comparison, QueryError> {
        let mut vocabulary = Vocabulary::default();
        let mut read = |query: &Query, window: Window| {
            let wanted = Wanted {
                query,
                window,
                below: false,
                by: None,
                traces: self.options.trace_limit / 2,
                spans: self.options.span_limit,
                limits: self.limits(),
            };
            collect(&*self.traces, &wanted, &mut vocabulary)
        };
        let (mut first, mut second) = (read(a, asked.a_window)?, read(b, asked.b_window)?);
        let traffic = self.traffic(asked, &first, (&second, text));
        let shared = keep_apart(&mut first, &mut second);
        let no_others = asked.b.is_none() && leave_to_the_first(&first, &mut second);
        let mut given = traceql::attributes(a)?;
        given.extend(traceql::attributes(b)?);
        let mut lines = self.lines(2);
        self.read_lines(&mut first.digests, &mut lines, &mut vocabulary)?;
        self.read_lines(&mut second.digests, &mut lines, &mut vocabulary)?;
        let sets = Sets {
            a: &first.digests,
            b: &second.digests,
            vocabulary: &vocabulary,
            lines: &lines,
            given: &given,
            instances_of: None,
        };
        let mut comparison = compared(&sets, self.metrics(), asked.limit);
        if let Some(finding) = traffic {
            traffic::add(finding, &mut comparison, asked.limit);
        }
        comparison.a = side(&first, &asked.a.0, asked.a_window);
        comparison.b = side(&second, text, asked.b_window);
        comparison.warnings.extend(shared.filter(|_| asked.b.is_some()));
        if no_others {
            let all = comparison.a.matched;
            comparison.reason = Some(format!(
                "all {all} traces of the window are in a, so there are no others: narrow a, or name b"
            ));
        }
        for (name, sample) in [("a", &first), ("b", &second)] {
            comparison.warnings.extend(sample.warnings.iter().map(|warning| format!("{name}: {warning}")));
        }
        if lines.cut {
            comparison.warnings.push("not all log lines were read in the time there is".to_owned());
        }
        comparison.warnings.extend(lines.warning());
        Ok(comparison)
    }

    /// That the same question has many more traces at one of two times.
    fn traffic(
        &self,
        asked: &CompareQuestion,
        a: &Sample,
        (b, text): (&Sample, &String),
    ) -> Option<super::answer::Finding> {
        let a = traffic::Side { sample: a, window: asked.a_window };
        let b = traffic::Side { sample: b, window: asked.b_window };
        let same = asked.a.0 == *text;
        traffic::finding(&*self.traces, &a, &b, asked.now).filter(|_| same)
    }

    /// Lines of so many traces that both sides have their half.
    pub(super) fn read_lines(
        &self,
        digests: &mut [Digest],
        lines: &mut Lines<'_>,
        vocabulary: &mut Vocabulary,
    ) -> Result<(), QueryError> {
        let chosen: Vec<usize> = (0..digests.len()).take(self.options.log_trace_limit / 2).collect();
        lines.add(digests, &chosen, vocabulary)
    }
}

/// Takes the traces that are on both sides out of the larger one: `{ status = error }` against `{ }` is errors against others. Two
/// sides of the same traces stay as they are. Says what was done.
fn keep_apart(a: &mut Sample, b: &mut Sample) -> Option<String> {
    let of = |sample: &Sample| -> FxHashSet<u128> {
        sample.digests.iter().map(|digest| digest.trace.bits()).collect()
    };
    let (ids_a, ids_b) = (of(a), of(b));
    let shared = ids_a.intersection(&ids_b).count();
    if shared == 0 || shared == ids_a.len().max(ids_b.len()) {
        return None;
    }
    let (larger, smaller, name) =
        if ids_b.len() >= ids_a.len() { (b, &ids_a, "a") } else { (a, &ids_b, "b") };
    larger.digests.retain(|digest| !smaller.contains(&digest.trace.bits()));
    larger.matched = larger.matched.saturating_sub(shared as u64);
    Some(format!("{shared} traces meet both queries: they count for {name} alone"))
}

/// Of all other traces those that are in the first are none. Says whether that left nothing of some.
fn leave_to_the_first(first: &Sample, others: &mut Sample) -> bool {
    let ids: FxHashSet<u128> = first.digests.iter().map(|digest| digest.trace.bits()).collect();
    let before = others.digests.len();
    others.digests.retain(|digest| !ids.contains(&digest.trace.bits()));
    let taken = before - others.digests.len();
    others.matched = others.matched.saturating_sub(taken as u64);
    if others.digests.is_empty() {
        others.matched = 0;
    }
    taken > 0 && others.digests.is_empty()
}

/// One side of the answer.
pub(super) fn side(sample: &Sample, selection: &str, window: Window) -> Side {
    let digests = &sample.digests;
    Side {
        selection: selection.to_owned(),
        window,
        matched: sample.matched,
        times: Times::of(digests.iter().map(|digest| digest.duration)),
        failed: digests.iter().filter(|digest| digest.failed).count(),
        line_traces: digests.iter().filter(|digest| digest.lines_read).count(),
        examples: digests.iter().take(EXAMPLES).map(example).collect(),
        absent: None,
    }
}

/// Findings of two sets, without what is said of the sides.
pub(super) fn compared(
    sets: &Sets<'_>,
    metrics: Option<(&Metrics, &LabelMapping)>,
    limit: usize,
) -> Comparison {
    let (count_a, count_b) = (sets.a.len(), sets.b.len());
    let mut warnings = Vec::new();
    let mut candidates = sets.candidates();
    if let Some((metrics, mapping)) = metrics {
        let (more, failed) = metrics::candidates(metrics, mapping, (sets.a, sets.b), sets.vocabulary);
        candidates.extend(more);
        warnings.extend(failed);
    }
    sets.put_behind_their_causes(&mut candidates);
    let tested = candidates.len();
    let mut findings = ranked(candidates);
    let reason = if count_a < MIN_TRACES || count_b < MIN_TRACES {
        findings.clear();
        Some(format!(
            "a has {count_a} traces and b has {count_b}: with less than {MIN_TRACES} on a side nothing can be told from chance"
        ))
    } else if findings.is_empty() {
        Some(format!("{tested} differences were tested, none is larger than chance makes them"))
    } else {
        None
    };
    let ids: FxHashSet<TraceId> = sets.a.iter().map(|digest| digest.trace).collect();
    let both = sets.b.iter().filter(|digest| ids.contains(&digest.trace)).count();
    if both > 0 {
        warnings.push(format!("{both} traces are on both sides"));
    }
    let mut given = sets.given.to_vec();
    given.sort_unstable();
    given.dedup();
    if !given.is_empty() {
        let names = given.join(", ");
        warnings
            .push(format!("attributes by which the sides are chosen are not among the findings: {names}"));
    }
    let crowded = sets.vocabulary.crowded();
    if !crowded.is_empty() {
        let names = crowded.join(", ");
        warnings.push(format!("not all values of these attributes were looked at: {names}"));
    }
    let times = |digests: &[Digest]| digests.iter().map(|digest| digest.duration as f64).collect::<Vec<_>>();
    let overall = values(&times(sets.a), &times(sets.b));
    let omitted = findings.len().saturating_sub(limit);
    findings.truncate(limit);
    let nothing = || side(&Sample::default(), "", Window::ALL);
    Comparison {
        a: nothing(),
        b: nothing(),
        overall: Some(Significance { p: overall.p, effect: overall.effect, test: overall.test }),
        findings,
        tested,
        omitted,
        spans: Vec::new(),
        spans_omitted: 0,
        warnings,
        reason,
    }
}
