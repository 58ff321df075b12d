//! How probable it is that a line without an id belongs to a request, given all requests that ran beside it.
//!
//! Bayes over those who could have written the line: each request that ran at its instant, and those of whom nothing is known (see
//! [`super::writers`]).

use rustc_hash::FxHashSet;
use store::read::Window;

use super::compared::{Request, Requests, agrees};
use super::facts::{Fact, Kind};
use super::lines::Words;
use super::sampling::Sampled;
use super::traffic::Traffic;
use super::writers::{Saying, Writers};

/// No line without an id is surer than this.
const SUREST: f64 = 0.99;
/// Lines from whose words it is learnt who writes.
const MAX_SAYINGS: usize = 256;
/// How much those of whom nothing is known write on the thread of a request that has it to itself, of what they write elsewhere.
const ON_ITS_THREAD: f64 = 0.02;

/// What is found of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) confidence: f64,
    /// Keys, or kinds, of the facts that agree.
    pub(super) agreed: Vec<String>,
}

/// Requests and lines of one container in a window.
pub(super) struct Scene<'a> {
    requests: Requests<'a>,
    writers: Writers,
}

impl<'a> Scene<'a> {
    /// `lines` are times and templates of all lines without an id, `heard` some of them with what they say, `sampled` is what is
    /// known of requests beside these.
    pub(super) fn new<'c>(
        requests: &'a [Request],
        lines: impl Iterator<Item = (u64, u64)>,
        heard: impl Iterator<Item = &'c Words>,
        window: Window,
        sampled: Sampled,
    ) -> Self {
        let traffic = Traffic::of(requests, window);
        let heard: Vec<&Words> = heard.filter(|line| !line.facts.is_empty()).take(MAX_SAYINGS).collect();
        let requests = Requests::new(requests).heard(&heard);
        let said = sayings(&requests, &heard);
        Self { writers: Writers::new(traffic, lines, said, sampled), requests }
    }

    /// The probability that the line is of the request at this index.
    pub(super) fn score(&self, wanted: usize, line: &Words) -> Option<Score> {
        let groups = self.requests.groups(&line.facts);
        let weights = self.requests.weights(line, &groups);
        let (mine, (_, of_mine)) = (self.requests.all.get(wanted)?, weights.get(wanted)?);
        let all = weights.iter().map(|(_, weight)| weight).sum();
        let agreeing: Vec<_> =
            groups.iter().filter(|(kind, facts)| agrees(*kind, facts, mine) == Some(true)).collect();
        let on_its_thread = agreeing.iter().any(|(kind, _)| *kind == Kind::Thread);
        let exclusive = if on_its_thread { self.requests.threads.exclusive() } else { 0.0 };
        // Of those who run at a time, few began just then.
        let others = if line.begins { self.writers.of_a_request(line.written) } else { 1.0 };
        let confidence = |others| self.writers.confidence(line.template, *of_mine, all, others);
        let confidence =
            exclusive * confidence(ON_ITS_THREAD * others) + (1.0 - exclusive) * confidence(others);
        let agreed = agreeing.iter().flat_map(|(kind, facts)| facts.iter().map(|fact| name(*kind, fact)));
        (confidence.is_finite() && *of_mine > 0.0)
            .then(|| Score { confidence: doubted(confidence).min(SUREST), agreed: agreed.collect() })
    }
}

/// What is claimed of a probability: from even odds on, doubt counts up to twice, as if two had to be of one opinion. A reader relies
/// on what is told as nearly sure, and what was estimated from little is rather less probable than more.
fn doubted(probability: f64) -> f64 {
    let doubt = 1.0 - probability;
    if probability > 0.5 { probability * probability + doubt * doubt } else { probability }
}

/// What lines say that were written while requests ran. What no line has in common with any request is written in other words.
fn sayings(requests: &Requests<'_>, heard: &[&Words]) -> Vec<Saying> {
    let mut spoken = FxHashSet::default();
    let mut said = Vec::new();
    for line in heard {
        let groups = requests.groups(&line.facts);
        if groups.is_empty() {
            continue;
        }
        let weights = requests.weights(line, &groups);
        let (mut running, mut fit) = (0.0, 0.0);
        let mut about = vec![None; groups.len()];
        for (request, (over, weight)) in requests.all.iter().zip(weights) {
            running += over;
            fit += weight;
            if over > 0.0 {
                for ((kind, facts), known) in groups.iter().zip(&mut about) {
                    *known = (*known).max(agrees(*kind, facts, request));
                }
            }
        }
        let kinds = || groups.iter().map(|(kind, _)| *kind).zip(about.iter().copied());
        spoken.extend(kinds().filter(|(_, agreed)| *agreed == Some(true)).map(|(kind, _)| kind));
        let differs: Vec<Kind> =
            kinds().filter(|(_, agreed)| *agreed == Some(false)).map(|(kind, _)| kind).collect();
        if about.iter().any(Option::is_some) {
            said.push((Saying { template: line.template, running, fit }, differs));
        }
    }
    said.retain(|(_, differs)| differs.iter().all(|kind| spoken.contains(kind)));
    said.into_iter().map(|(saying, _)| saying).collect()
}

fn name(kind: Kind, fact: &Fact) -> String {
    match (fact.key.as_str(), kind) {
        ("", Kind::Thread) => "thread".to_owned(),
        ("", Kind::Request) => "request_id".to_owned(),
        ("", _) => match fact.kind {
            Kind::Method => "method".to_owned(),
            Kind::Status => "status".to_owned(),
            _ => "path".to_owned(),
        },
        (key, _) => key.to_owned(),
    }
}

#[cfg(test)]
mod tests;
