//! Versions of a service against each other: what each new one does otherwise, and how much of the traffic it has.

use std::cmp::Ordering;

use query::{QueryError, traceql::Query};
use rustc_hash::FxHashMap;
use store::read::Window;

use super::answer::Comparison;
use super::question::{compared, side};
use super::sets::Sets;
use crate::analysis::Analyst;
use crate::analysis::analyst::selects;
use crate::analysis::answer::Times;
use crate::analysis::calls::{Calls, CallsBy};
use crate::analysis::digest::Digest;
use crate::analysis::sample::{Sample, Wanted, collect};
use crate::analysis::vocabulary::Vocabulary;

/// Versions that are compared with the usual one; more than a few at a time are no versions.
const MAX_COMPARED: usize = 8;
/// Versions that are listed.
const MAX_LISTED: usize = 100;

/// What do versions of a service do otherwise?
#[derive(Debug, Clone)]
pub struct VersionsQuestion {
    /// `service.name`.
    pub service: String,
    /// The attribute that tells versions apart: of the resource or the span, or as TraceQL writes one of these alone.
    pub by: String,
    /// In which spans of the service start.
    pub window: Window,
    /// Versions that are listed, and compared with the usual one.
    pub versions: usize,
    /// Findings that are listed for each version.
    pub limit: usize,
}

/// Versions of a service.
#[derive(Debug, Clone)]
pub struct Versions {
    /// The service.
    pub service: String,
    /// The attribute.
    pub by: String,
    /// In which spans of the service start.
    pub window: Window,
    /// Traces of the service in the window that were looked at.
    pub looked_at: usize,
    /// Traces that are left out since they have too many spans.
    pub oversize: usize,
    /// The newest, newest first.
    pub versions: Vec<VersionShare>,
    /// How many more there are.
    pub omitted: usize,
    /// The one with the most traffic, with which others are compared.
    pub baseline: Option<String>,
    /// What each other one does otherwise, newest first.
    pub compared: Vec<VersionFindings>,
    /// What a reader should know before trusting the rest.
    pub warnings: Vec<String>,
    /// Why nothing is compared.
    pub reason: Option<String>,
}

/// A version, and how much of the traffic it has.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionShare {
    /// Value of the attribute.
    pub version: String,
    /// Its share of the calls of the service, 0 to 1.
    pub share: f64,
    /// Calls of it: spans that enter the service.
    pub calls: u64,
    /// Traces that have any.
    pub traces: usize,
    /// Times of these calls, of at most so many a trace as are kept.
    pub times: Times,
    /// Calls of it that failed.
    pub failed: u64,
    /// First start of a call of it, ns.
    pub first_seen: u64,
    /// Last start of a call of it, ns.
    pub last_seen: u64,
}

/// A version against the one with the most traffic.
#[derive(Debug, Clone)]
pub struct VersionFindings {
    /// The version, which is `a`.
    pub version: String,
    /// Whether it is newer than the other, by its name.
    pub newer: bool,
    /// What is different.
    pub comparison: Comparison,
}

impl Analyst {
    /// Compares versions of a service.
    pub fn versions(&self, asked: &VersionsQuestion) -> Result<Versions, QueryError> {
        let query = selects(&asked.service, None)?;
        let mut vocabulary = Vocabulary::default();
        let sample = self.calls_of(asked, &query, false, &mut vocabulary)?;
        let (all, mut warnings) = (sample.digests.len(), sample.warnings.clone());
        let tallies = Tally::of(&sample.digests, &vocabulary);
        let with_several = sample.digests.iter().filter(|digest| digest.calls.len() > 1).count();
        let without = sample.digests.iter().filter(|digest| digest.calls.is_empty()).count();
        let by = &asked.by;
        if without > 0 {
            warnings.push(format!("{without} of {all} traces have no {by} and are left out"));
        }
        let calls: u64 = tallies.iter().map(|tally| tally.calls).sum();
        let most = asked.versions.min(MAX_LISTED);
        let mut answer = Versions {
            service: asked.service.clone(),
            by: by.clone(),
            window: asked.window,
            looked_at: all,
            oversize: sample.oversize,
            versions: tallies.iter().take(most).map(|tally| tally.share(calls)).collect(),
            omitted: tallies.len().saturating_sub(most),
            baseline: None,
            compared: Vec::new(),
            warnings,
            reason: None,
        };
        let usual = tallies.iter().enumerate().max_by_key(|(order, t)| (t.calls, usize::MAX - order));
        let Some((_, usual)) = usual else {
            answer.reason = Some(match all {
                0 if sample.oversize > 0 => format!(
                    "each of the {} traces in the window that have a span of {} has more than {} spans, which is too many to look at",
                    sample.oversize, asked.service, self.options.span_limit
                ),
                0 => format!("no trace in the window has a span of {}", asked.service),
                _ => format!("no span of {} has the attribute {by}", asked.service),
            });
            return Ok(answer);
        };
        answer.baseline = Some(usual.version.clone());
        if tallies.len() == 1 {
            let name = &usual.version;
            answer.reason = Some(format!("all calls are of {name}: there is nothing to compare it with"));
            return Ok(answer);
        }
        // Where most traces meet several, hardly any would be left for the usual one.
        let digests = if with_several * 2 > all {
            answer.warnings.push(format!(
                "{with_several} of {all} traces go through several values of {by}: calls of {} are compared, each with what is below it, \
                 instead of whole traces",
                asked.service
            ));
            self.calls_of(asked, &query, true, &mut vocabulary)?.digests
        } else {
            if with_several > 0 {
                answer.warnings.push(format!(
                    "{with_several} of {all} traces go through several values of {by}: each counts for the one of them that has the \
                     fewest calls, and what it did with the others is among the findings of that one"
                ));
            }
            sample.digests
        };
        self.against(asked, digests, (&tallies, usual), &mut vocabulary, &mut answer)?;
        Ok(answer)
    }

    /// Traces with calls of the service, or each of the calls by itself.
    fn calls_of(
        &self,
        asked: &VersionsQuestion,
        query: &Query,
        each: bool,
        vocabulary: &mut Vocabulary,
    ) -> Result<Sample, QueryError> {
        let wanted = Wanted {
            query,
            window: asked.window,
            below: each,
            by: Some(CallsBy { service: &asked.service, attribute: &asked.by }),
            traces: self.options.trace_limit,
            spans: self.options.span_limit,
            limits: self.limits(),
        };
        collect(&*self.traces, &wanted, vocabulary)
    }

    /// Fills in what each other version does otherwise than the usual one.
    fn against(
        &self,
        asked: &VersionsQuestion,
        digests: Vec<Digest>,
        (tallies, usual): (&[Tally], &Tally),
        vocabulary: &mut Vocabulary,
        answer: &mut Versions,
    ) -> Result<(), QueryError> {
        let mut groups: FxHashMap<u32, Vec<Digest>> = FxHashMap::default();
        for digest in digests {
            // Newest first, so that of several that are as rare it is the newest.
            let met = |tally: &&Tally| digest.calls.iter().any(|calls| calls.value == tally.value);
            if let Some(rarest) = tallies.iter().filter(met).min_by_key(|tally| tally.calls) {
                groups.entry(rarest.value).or_default().push(digest);
            }
        }
        let mut baseline = groups.remove(&usual.value).unwrap_or_default();
        let others = || tallies.iter().filter(|tally| tally.value != usual.value);
        let compared_with = asked.versions.min(MAX_COMPARED);
        let count = others().count().min(compared_with);
        let mut lines = self.lines(1 + count);
        self.read_lines(&mut baseline, &mut lines, vocabulary)?;
        if others().count() > count {
            answer.warnings.push(format!("of {} other versions {count} are compared", others().count()));
        }
        let named = CallsBy { service: &asked.service, attribute: &asked.by };
        let given = [named.named().0.to_owned()];
        for tally in others().take(count) {
            let mut digests = groups.remove(&tally.value).unwrap_or_default();
            self.read_lines(&mut digests, &mut lines, vocabulary)?;
            let sets = Sets {
                a: &digests,
                b: &baseline,
                vocabulary,
                lines: &lines,
                given: &given,
                // Each version runs in pods of its own.
                instances_of: Some(&asked.service),
            };
            let mut comparison = compared(&sets, self.metrics(), asked.limit);
            let of = |digests: &[Digest], version: &str| {
                let sample = Sample { matched: digests.len() as u64, ..Sample::default() };
                side(&Sample { digests: digests.to_vec(), ..sample }, version, asked.window)
            };
            (comparison.a, comparison.b) = (of(&digests, &tally.version), of(&baseline, &usual.version));
            let newer = newer(&tally.version, &usual.version) == Ordering::Greater;
            answer.compared.push(VersionFindings { version: tally.version.clone(), newer, comparison });
        }
        answer.warnings.extend(lines.warning());
        Ok(())
    }
}

/// All calls of one version.
struct Tally {
    value: u32,
    version: String,
    calls: u64,
    failed: u64,
    traces: usize,
    times: Vec<u64>,
    first: u64,
    last: u64,
}

impl Tally {
    /// Of each version, newest first.
    fn of(digests: &[Digest], vocabulary: &Vocabulary) -> Vec<Self> {
        let mut by_value: FxHashMap<u32, Self> = FxHashMap::default();
        for calls in digests.iter().flat_map(|digest| &digest.calls) {
            let tally = by_value.entry(calls.value).or_insert_with(|| Self {
                value: calls.value,
                version: vocabulary.text(calls.value).to_owned(),
                calls: 0,
                failed: 0,
                traces: 0,
                times: Vec::new(),
                first: u64::MAX,
                last: 0,
            });
            tally.add(calls);
        }
        let mut tallies: Vec<Self> = by_value.into_values().collect();
        tallies.sort_by(|a, b| newer(&b.version, &a.version));
        tallies
    }

    fn add(&mut self, calls: &Calls) {
        self.calls += calls.count;
        self.failed += calls.failed;
        self.traces += 1;
        self.times.extend_from_slice(&calls.times);
        (self.first, self.last) = (self.first.min(calls.first), self.last.max(calls.last));
    }

    fn share(&self, all: u64) -> VersionShare {
        VersionShare {
            version: self.version.clone(),
            share: self.calls as f64 / all.max(1) as f64,
            calls: self.calls,
            traces: self.traces,
            times: Times::of(self.times.iter().copied()),
            failed: self.failed,
            first_seen: self.first,
            last_seen: self.last,
        }
    }
}

/// Orders versions as people do: numbers in them by size.
fn newer(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        text.as_bytes()
            .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
            .map(|part| {
                let text = String::from_utf8_lossy(part).into_owned();
                (text.parse::<u64>().ok(), text)
            })
            .collect::<Vec<_>>()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests;
