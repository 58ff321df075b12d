//! Versions of a service against each other: what each new one does otherwise, and how much of the traffic it has.

use std::cmp::Ordering;

use query::QueryError;
use rustc_hash::FxHashMap;
use store::read::Window;

use super::answer::Comparison;
use super::question::{compared, side};
use super::sets::Sets;
use crate::analysis::Analyst;
use crate::analysis::analyst::selects;
use crate::analysis::answer::Times;
use crate::analysis::digest::{Digest, Group, GroupBy};
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
    /// The attribute that tells versions apart: of the resource or the span.
    pub by: String,
    /// In which spans of the service start.
    pub window: Window,
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
    /// All of them, newest first.
    pub versions: Vec<VersionShare>,
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
    /// Its share of the traces, 0 to 1.
    pub share: f64,
    /// Times of its traces.
    pub times: Times,
    /// Traces whose root failed.
    pub failed: usize,
    /// First start of a trace of it in the window, ns.
    pub first_seen: u64,
    /// Last start of a trace of it in the window, ns.
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
        let wanted = Wanted {
            query: &query,
            window: asked.window,
            below: false,
            by: Some(GroupBy { service: &asked.service, attribute: &asked.by }),
            traces: self.options.trace_limit,
            spans: self.options.span_limit,
            limits: self.limits(),
        };
        let Sample { digests, mut warnings, .. } = collect(&*self.traces, &wanted, &mut vocabulary)?;
        let (all, by) = (digests.len(), &asked.by);
        let mut groups: FxHashMap<u32, Vec<Digest>> = FxHashMap::default();
        let (mut mixed, mut without) = (0, 0);
        for digest in digests {
            match digest.group {
                Group::One(value) => groups.entry(value).or_default().push(digest),
                Group::Mixed => mixed += 1,
                Group::None => without += 1,
            }
        }
        if mixed > 0 {
            warnings.push(format!("{mixed} traces go through several values of {by} and are left out"));
        }
        if without > 0 {
            warnings.push(format!("{without} of {all} traces have no {by} and are left out"));
        }
        let mut groups: Vec<(String, Vec<Digest>)> =
            groups.into_iter().map(|(value, digests)| (vocabulary.text(value).to_owned(), digests)).collect();
        groups.sort_by(|a, b| newer(&b.0, &a.0));
        let counted: usize = groups.iter().map(|(_, digests)| digests.len()).sum();
        let versions: Vec<VersionShare> = groups
            .iter()
            .take(MAX_LISTED)
            .map(|(version, digests)| shared(version, digests, counted))
            .collect();
        let mut answer = Versions {
            service: asked.service.clone(),
            by: by.clone(),
            window: asked.window,
            looked_at: all,
            versions,
            baseline: None,
            compared: Vec::new(),
            warnings,
            reason: None,
        };
        let usual = groups.iter().enumerate().max_by_key(|(order, (_, d))| (d.len(), usize::MAX - order));
        let Some(usual) = usual.map(|(order, _)| order) else {
            answer.reason = Some(match all {
                0 => format!("no trace in the window has a span of {}", asked.service),
                _ => format!("no span of {} has the attribute {by}", asked.service),
            });
            return Ok(answer);
        };
        let (name, mut baseline) = groups.remove(usual);
        answer.baseline = Some(name.clone());
        if groups.is_empty() {
            answer.reason = Some(format!("all traces are of {name}: there is nothing to compare it with"));
            return Ok(answer);
        }
        let mut lines = self.lines(1 + groups.len().min(MAX_COMPARED));
        self.read_lines(&mut baseline, &mut lines, &mut vocabulary)?;
        if groups.len() > MAX_COMPARED {
            answer.warnings.push(format!("of {} other versions {MAX_COMPARED} are compared", groups.len()));
        }
        let given = [by.clone()];
        for (version, mut digests) in groups.into_iter().take(MAX_COMPARED) {
            self.read_lines(&mut digests, &mut lines, &mut vocabulary)?;
            let sets = Sets {
                a: &digests,
                b: &baseline,
                vocabulary: &vocabulary,
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
            (comparison.a, comparison.b) = (of(&digests, &version), of(&baseline, &name));
            let newer = newer(&version, &name) == Ordering::Greater;
            answer.compared.push(VersionFindings { version, newer, comparison });
        }
        answer.warnings.extend(lines.warning());
        Ok(answer)
    }
}

fn shared(version: &str, digests: &[Digest], all: usize) -> VersionShare {
    VersionShare {
        version: version.to_owned(),
        share: digests.len() as f64 / all.max(1) as f64,
        times: Times::of(digests.iter().map(|digest| digest.duration)),
        failed: digests.iter().filter(|digest| digest.failed).count(),
        first_seen: digests.iter().map(|digest| digest.start).min().unwrap_or_default(),
        last_seen: digests.iter().map(|digest| digest.start).max().unwrap_or_default(),
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
