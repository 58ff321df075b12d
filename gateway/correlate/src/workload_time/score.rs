//! How probable it is that a line without an id belongs to a request, given all requests that ran beside it.
//!
//! Bayes over those who could have written the line: each request that ran at its instant, and the container itself, outside
//! any request. How much the container writes of itself is learnt from the stretches in which no request ran; requests that
//! send no spans, since they were not sampled, count there too, so that their lines are not given to the few that were. A fact
//! that line and request agree in counts for as much as it is rare among the requests, one in which they differ against it.

use rustc_hash::FxHashMap;
use store::read::Window;

use super::facts::{Fact, Kind, comparable, same, shape};

/// Part of a container's lines that no request wrote, as long as nothing else is known.
const OWN_SHARE: f64 = 0.1;
/// For how much of the window that assumption counts, against what is seen.
const ASSUMED: f64 = 0.1;
/// Lines of the container's that count as one kind's own: a kind seen rarely is taken for one like the others.
const KIND_PRIOR: f64 = 3.0;
/// How long nothing written tells that nobody is there, ns; what goes on longer is rather a pause in the traffic, in which
/// requests without spans rest as well, and counts for [`PAUSE`] of its time.
const SILENCE: f64 = 50e6;
const PAUSE: f64 = 0.1;
/// No line without an id is surer than this.
const SUREST: f64 = 0.99;
/// Pairs of requests that would share a thread by chance: with so many that do not, threads belong to requests.
const ENOUGH_PAIRS: f64 = 3.0;
/// Requests that are compared pair by pair.
const MAX_PAIRS_OF: usize = 400;

/// A request as one container saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// Low 64 bits of its trace.
    pub(super) trace: u64,
    /// When its spans ran, ns.
    pub(super) runs: Vec<(u64, u64)>,
    pub(super) facts: Vec<Fact>,
}

impl Request {
    /// Makes the runs disjoint and sorted.
    pub(super) fn settle(&mut self) {
        self.runs = merged(std::mem::take(&mut self.runs));
    }

    /// How much of `start..end` it ran in, of 1; an instant counts whole.
    fn overlap(&self, start: u64, end: u64) -> f64 {
        if end <= start + 1 {
            return f64::from(self.runs.iter().any(|(from, to)| *from <= start && start <= *to));
        }
        let inside = |(from, to): &(u64, u64)| (*to).min(end).saturating_sub((*from).max(start));
        self.runs.iter().map(inside).sum::<u64>() as f64 / (end - start) as f64
    }
}

/// A line whose request is looked for.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    /// First and, not included, last instant at which it may have been written: clocks of loggers are coarse.
    pub(super) written: (u64, u64),
    /// What lines of its kind have in common.
    pub(super) template: u64,
    pub(super) facts: &'a [Fact],
}

/// What is found of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) confidence: f64,
    /// Keys, or kinds, of the facts that agree.
    pub(super) agreed: Vec<String>,
}

/// Whether a thread tells requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    /// One request at a time.
    Exclusive,
    /// Too few requests ran at once to tell.
    Unproven,
    /// Requests share them, as in an asynchronous runtime.
    Shared,
}

/// Requests and lines of one container in a window.
pub(super) struct Scene<'a> {
    requests: &'a [Request],
    threads: Threads,
    /// Time in which no request ran, and in which any did, ns.
    idle: f64,
    busy: f64,
    /// Sum of the times of the requests.
    work: f64,
    /// Requests that send no spans, as long as any ran, on average.
    unseen: f64,
    /// Lines without id written while none ran, and while any did.
    lines: (f64, f64),
    by_template: FxHashMap<u64, (f64, f64)>,
}

fn merged(mut runs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    runs.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::with_capacity(runs.len());
    for (start, end) in runs {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

impl<'a> Scene<'a> {
    /// `lines` are times and templates of all lines without an id, `sampled` the part of the requests that send spans, as far as
    /// lines with ids tell.
    pub(super) fn new(
        requests: &'a [Request],
        lines: impl Iterator<Item = (u64, u64)>,
        window: Window,
        sampled: f64,
    ) -> Self {
        let clip = |(start, end): (u64, u64)| (start.max(window.start), end.min(window.end));
        let long = |(start, end): (u64, u64)| end.saturating_sub(start) as f64;
        let union = merged(requests.iter().flat_map(|r| r.runs.iter().copied()).collect());
        let busy: f64 = union.iter().map(|run| long(clip(*run))).sum();
        let work = requests.iter().flat_map(|r| &r.runs).map(|run| long(clip(*run))).sum::<f64>();
        let busy = busy.max(1.0);
        let mut scene = Self {
            requests,
            threads: threads(requests),
            idle: 0.0,
            busy,
            work: work.max(1.0),
            unseen: work / busy * (1.0 - sampled) / sampled.max(0.01),
            lines: (0.0, 0.0),
            by_template: FxHashMap::default(),
        };
        // What parts the time in which no request ran: requests, and lines.
        let mut marks = union.clone();
        for (time, template) in lines {
            let at = union.partition_point(|run| run.1 < time);
            let running = union.get(at).is_some_and(|run| run.0 <= time);
            if !running {
                marks.push((time, time));
            }
            let of_kind = scene.by_template.entry(template).or_default();
            for counts in [&mut scene.lines, of_kind] {
                *(if running { &mut counts.1 } else { &mut counts.0 }) += 1.0;
            }
        }
        marks.push((window.end, window.end));
        marks.sort_unstable();
        let mut free = window.start;
        for (start, end) in marks {
            let silent = long(clip((free, start)));
            scene.idle += silent.min(SILENCE) + (silent - SILENCE).max(0.0) * PAUSE;
            free = free.max(end);
        }
        scene
    }

    /// Lines of a kind that the container writes of itself, and that a running request writes, a nanosecond.
    fn rates(&self, template: u64) -> (f64, f64) {
        let (idle, busy) = self.lines;
        let all = (idle + busy).max(1.0);
        let (of_idle, of_busy) = self.by_template.get(&template).copied().unwrap_or_default();
        let (idle, busy) = (of_idle + KIND_PRIOR * idle / all, of_busy + KIND_PRIOR * busy / all);
        let whole = self.idle + self.busy;
        let assumed = ASSUMED * whole;
        let own = (idle + OWN_SHARE * (idle + busy) / whole * assumed) / (self.idle + assumed);
        let of_requests = (busy - own * self.busy).max(0.02 * busy + 1e-3);
        (own, of_requests / self.work)
    }

    /// The probability that the line is of the request at this index.
    pub(super) fn score(&self, wanted: usize, line: &Candidate<'_>) -> Option<Score> {
        let mine = self.requests.get(wanted)?;
        let known: Vec<(Kind, Vec<&Fact>)> = self.groups(line.facts);
        let (own, each) = self.rates(line.template);
        let rarity: Vec<f64> = known.iter().map(|(kind, facts)| self.rarity(*kind, facts)).collect();
        let weight = |request: &Request| {
            let (start, end) = line.written;
            let over = request.overlap(start, end);
            let likely =
                |((kind, facts), rarity): (&(Kind, Vec<&Fact>), &f64)| match agrees(*kind, facts, request) {
                    None => 1.0,
                    Some(true) => (1.0 - against(*kind, self.threads)) / rarity,
                    Some(false) => against(*kind, self.threads),
                };
            if over > 0.0 { over * known.iter().zip(&rarity).map(likely).product::<f64>() } else { 0.0 }
        };
        let of_mine = weight(mine);
        let others = self.requests.iter().enumerate().filter(|(at, _)| *at != wanted);
        let of_others: f64 = others.map(|(_, request)| weight(request)).sum::<f64>();
        let sum = each * (of_mine + of_others + self.unseen) + own;
        let confidence = (each * of_mine / sum).min(SUREST);
        let agreeing = known.iter().filter(|(kind, facts)| agrees(*kind, facts, mine) == Some(true));
        let agreed = agreeing.flat_map(|(kind, facts)| facts.iter().map(move |fact| name(*kind, fact)));
        (confidence.is_finite() && of_mine > 0.0).then(|| Score { confidence, agreed: agreed.collect() })
    }

    /// The facts of a line by what they are about; those of an HTTP request count as one.
    fn groups<'f>(&self, facts: &'f [Fact]) -> Vec<(Kind, Vec<&'f Fact>)> {
        let mut groups: Vec<(Kind, Vec<&Fact>)> = Vec::new();
        for fact in facts {
            let kind = match fact.kind {
                Kind::Method | Kind::Path | Kind::Status => Kind::Path,
                Kind::Token if self.has_value(Kind::Request, &fact.value) => Kind::Request,
                Kind::Bracket if self.has_value(Kind::Request, &fact.value) => Kind::Request,
                Kind::Bracket if self.has_shape(&fact.value) => Kind::Thread,
                Kind::Token | Kind::Bracket => continue,
                Kind::Thread if self.threads == Threads::Shared => continue,
                other => other,
            };
            if kind == Kind::Thread && self.threads == Threads::Shared {
                continue;
            }
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, group)) => group.push(fact),
                None => groups.push((kind, vec![fact])),
            }
        }
        groups
    }

    fn all(&self, kind: Kind) -> impl Iterator<Item = &Fact> {
        self.requests.iter().flat_map(|r| &r.facts).filter(move |fact| fact.kind == kind)
    }

    fn has_value(&self, kind: Kind, value: &str) -> bool {
        self.all(kind).any(|fact| same(kind, value, &fact.value))
    }

    /// Whether it looks like the threads that requests name.
    fn has_shape(&self, value: &str) -> bool {
        let letters = value.bytes().any(|b| b.is_ascii_alphabetic());
        letters && self.all(Kind::Thread).any(|fact| shape(&fact.value).eq(shape(value)))
    }

    /// How often a request that is not meant says the same.
    fn rarity(&self, kind: Kind, facts: &[&Fact]) -> f64 {
        let assumed = match kind {
            Kind::Request => return if facts.iter().any(|f| f.value.len() >= 16) { 1e-6 } else { 1e-3 },
            Kind::User => 0.05,
            Kind::Thread => 0.1,
            Kind::Process => 0.5,
            _ => 0.3,
        };
        let (mut known, mut equal) = (0.0, 0.0);
        for request in self.requests {
            if let Some(agrees) = agrees(kind, facts, request) {
                known += 1.0;
                equal += f64::from(agrees);
            }
        }
        // One of them is the one that is meant.
        ((equal - 1.0_f64).max(0.0) + 2.0 * assumed) / ((known - 1.0_f64).max(0.0) + 2.0)
    }
}

/// How often a line of a request says otherwise than its spans, of how often others do.
fn against(kind: Kind, threads: Threads) -> f64 {
    match kind {
        Kind::Thread if threads == Threads::Exclusive => 0.0,
        Kind::Thread => 0.1,
        Kind::Process | Kind::Request => 0.01,
        Kind::User => 0.02,
        Kind::Path | Kind::Method | Kind::Status => 0.1,
        _ => 0.3,
    }
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

/// Looks whether requests that ran at once ever had a thread in common, and how often they would have had by chance.
fn threads(requests: &[Request]) -> Threads {
    let on: Vec<(&Request, Vec<&str>)> = requests
        .iter()
        .map(|r| (r, r.facts.iter().filter(|f| f.kind == Kind::Thread).map(|f| f.value.as_str()).collect()))
        .filter(|(_, names): &(_, Vec<&str>)| !names.is_empty())
        .take(MAX_PAIRS_OF)
        .collect();
    let mut uses: FxHashMap<&str, f64> = FxHashMap::default();
    on.iter().flat_map(|(_, names)| names).for_each(|name| *uses.entry(name).or_default() += 1.0);
    let all: f64 = uses.values().sum();
    let by_chance: f64 = uses.values().map(|count| (count / all) * (count / all)).sum();
    let (mut pairs, mut shared) = (0.0, 0.0);
    for (at, (a, names)) in on.iter().enumerate() {
        for (b, others) in on.iter().skip(at + 1) {
            let at_once = a.runs.iter().any(|(start, end)| b.overlap(*start, *end) > 0.0);
            if at_once && a.trace != b.trace {
                pairs += 1.0;
                shared += f64::from(names.iter().any(|name| others.contains(name)));
            }
        }
    }
    let expected = pairs * by_chance;
    if shared > 0.2 * expected && shared > 0.0 {
        Threads::Shared
    } else if expected >= ENOUGH_PAIRS {
        Threads::Exclusive
    } else {
        Threads::Unproven
    }
}

/// Whether line and request say the same; `None` if one of them says nothing that can be compared.
fn agrees(kind: Kind, line: &[&Fact], request: &Request) -> Option<bool> {
    let mut verdict = None;
    for fact in line {
        let kind = match (kind, fact.kind) {
            (Kind::Path, own) => own,
            (kind, _) => kind,
        };
        let mut known = false;
        let mut equal = false;
        for of_request in request.facts.iter().filter(|of_request| of_request.kind == kind) {
            known |= comparable(kind, &fact.value, &of_request.value);
            equal |= same(kind, &fact.value, &of_request.value);
        }
        match (known, equal) {
            (_, true) => verdict = verdict.or(Some(true)),
            (true, false) => verdict = Some(false),
            (false, false) => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests;
