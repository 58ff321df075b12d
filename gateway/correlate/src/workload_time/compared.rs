//! Requests as one container saw them, and what a line and each of them have in common.
//!
//! A fact that line and request agree in counts for as much as it is rare among the requests, one in which they differ against it.

use rustc_hash::FxHashMap;

use super::facts::{Fact, Kind, comparable, is_uuid, same, shape};
use super::lines::Words;
use super::rarity::{Rarities, Strange};
use super::traffic::merged;

/// Pairs of requests that would share a thread by chance: with so many that do not, threads belong to requests.
const ENOUGH_PAIRS: f64 = 3.0;
/// How much more usual threads are that requests share, before anything is known.
const SHARED_ODDS: f64 = 3.0;
/// How exact the time is to which an access log tells when a request began, ns.
const INEXACT: u64 = 1_000_000;
/// How probable it is that a request ran long before the line says that it began.
const BEGAN_ELSEWHERE: f64 = 0.02;
/// How exact the time is that an access log says that a request took, ns, beside a fifth of it: proxies count what networks take.
const INEXACT_LENGTH: u64 = 3_000_000;
/// How often a span lasts as long as an access log says, of requests that are not meant, and how often not, of the one that is.
const LASTS_ALIKE: f64 = 0.3;
const LASTS_OTHERWISE: f64 = 0.1;
/// Requests that are compared pair by pair.
const MAX_PAIRS_OF: usize = 400;

/// A request as one container saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// Low 64 bits of its trace.
    pub(super) trace: u64,
    /// Whether it sent spans; if not, lines with its id tell of it.
    pub(super) spanned: bool,
    /// When its spans ran, ns; disjoint and sorted once it is settled.
    pub(super) runs: Vec<(u64, u64)>,
    /// When each of them did.
    pub(super) spans: Vec<(u64, u64)>,
    pub(super) facts: Vec<Fact>,
}

impl Request {
    /// Makes the runs disjoint and sorted.
    pub(super) fn settle(&mut self) {
        self.spans.clone_from(&self.runs);
        self.runs = merged(std::mem::take(&mut self.runs));
    }

    /// How likely an access log that says when its request began, and how long it took, would tell of a span of this one.
    fn begins(&self, (start, end): (u64, u64), lasts: Option<u64>) -> f64 {
        let from = start.saturating_sub(INEXACT);
        let mut began = self.spans.iter().filter(|(began, _)| (from..end).contains(began)).peekable();
        let Some(lasts) = lasts.filter(|_| began.peek().is_some()) else {
            return if began.peek().is_some() { 1.0 } else { BEGAN_ELSEWHERE };
        };
        let alike = |(start, end): &(u64, u64)| {
            let ran = end.saturating_sub(*start);
            ran.abs_diff(lasts) <= INEXACT_LENGTH + ran.max(lasts) / 5
        };
        if began.any(alike) { (1.0 - LASTS_OTHERWISE) / LASTS_ALIKE } else { LASTS_OTHERWISE }
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

/// Whether a thread tells requests apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Threads {
    /// Requests share them, as in an asynchronous runtime.
    Shared,
    /// No two requests had one in common at a time, though so many pairs would have by chance.
    Apart(f64),
}

impl Threads {
    /// How probable it is that a thread has one request at a time.
    pub(super) fn exclusive(self) -> f64 {
        match self {
            Self::Shared => 0.0,
            Self::Apart(expected) => 1.0 / (1.0 + SHARED_ODDS * (-expected).exp()),
        }
    }
}

/// A line's facts by what they are about.
pub(super) type Groups<'f> = Vec<(Kind, Vec<&'f Fact>)>;

/// The requests of a container.
pub(super) struct Requests<'a> {
    pub(super) all: &'a [Request],
    pub(super) threads: Threads,
    rarities: Rarities,
}

impl<'a> Requests<'a> {
    pub(super) fn new(all: &'a [Request]) -> Self {
        Self { all, threads: threads(all), rarities: Rarities::new(all, Vec::new()) }
    }

    /// The same, when some lines were heard.
    pub(super) fn heard(self, lines: &[&Words]) -> Self {
        let mut strange = Vec::new();
        for line in lines {
            let (start, end) = line.written;
            let groups = self.groups(&line.facts);
            // A line may name paths of others that it calls, and its own.
            for (kind, facts) in
                groups.into_iter().filter(|(kind, _)| !matches!(kind, Kind::Path | Kind::Request))
            {
                let ran = self.all.iter().filter(|request| request.overlap(start, end) > 0.0);
                if !ran.into_iter().any(|request| agrees(kind, &facts, request) == Some(true)) {
                    let said = facts.iter().filter(|fact| self.says(kind, fact));
                    strange.extend(said.map(|fact| Strange { kind, value: fact.value.clone(), time: start }));
                }
            }
        }
        Self { rarities: Rarities::new(self.all, strange), ..self }
    }

    /// Whether some request says anything that the fact could be told apart from.
    fn says(&self, kind: Kind, fact: &Fact) -> bool {
        self.said(kind).any(|of_request| comparable(kind, &fact.value, &of_request.value))
    }

    /// How much of the time of a line each request ran, and the same times how likely it would say what the line says.
    pub(super) fn weights(&self, line: &Words, groups: &Groups<'_>) -> Vec<(f64, f64)> {
        let rarity: Vec<f64> =
            groups.iter().map(|(kind, facts)| self.rarities.of(*kind, facts, self.all)).collect();
        let (start, end) = line.written;
        let weight = |request: &Request| {
            let begins = if line.begins { request.begins(line.written, line.lasts) } else { 1.0 };
            let over = request.overlap(start, end) * begins;
            let likely =
                |((kind, facts), rarity): (&(Kind, Vec<&Fact>), &f64)| match agrees(*kind, facts, request) {
                    None => 1.0,
                    Some(true) => (1.0 - against(*kind, self.threads)) / rarity,
                    Some(false) if *kind == Kind::Path => against_http(facts, request),
                    Some(false) => against(*kind, self.threads),
                };
            let weight = if over > 0.0 { groups.iter().zip(&rarity).map(likely).product() } else { 0.0 };
            (over, over * weight)
        };
        self.all.iter().map(weight).collect()
    }

    /// The facts of a line by what they are about; those of an HTTP request count as one.
    pub(super) fn groups<'f>(&self, facts: &'f [Fact]) -> Vec<(Kind, Vec<&'f Fact>)> {
        let mut groups: Vec<(Kind, Vec<&Fact>)> = Vec::new();
        let names_one = |fact: &Fact| {
            fact.kind == Kind::Request
                || (fact.kind == Kind::Token && self.has_value(Kind::Request, &fact.value))
        };
        // An access log that has an id, and not one of these requests', is of another.
        let is_foreign = is_access(facts)
            && self.said(Kind::Request).any(|fact| is_uuid(&fact.value))
            && !facts.iter().any(names_one);
        for fact in facts {
            let kind = match fact.kind {
                Kind::Method | Kind::Path | Kind::Status => Kind::Path,
                Kind::Token if is_foreign && is_uuid(&fact.value) => Kind::Request,
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

    fn said(&self, kind: Kind) -> impl Iterator<Item = &Fact> {
        self.all.iter().flat_map(|r| &r.facts).filter(move |fact| fact.kind == kind)
    }

    fn has_value(&self, kind: Kind, value: &str) -> bool {
        self.said(kind).any(|fact| same(kind, value, &fact.value))
    }

    /// Whether it looks like the threads that requests name.
    fn has_shape(&self, value: &str) -> bool {
        let letters = value.bytes().any(|b| b.is_ascii_alphabetic());
        letters && self.said(Kind::Thread).any(|fact| shape(&fact.value).eq(shape(value)))
    }
}

/// How often a line of a request says otherwise than its spans, of how often others do.
fn against(kind: Kind, threads: Threads) -> f64 {
    match kind {
        Kind::Thread if matches!(threads, Threads::Apart(expected) if expected >= ENOUGH_PAIRS) => 0.0,
        Kind::Thread => 0.1,
        Kind::Process | Kind::Request => 0.01,
        Kind::User => 0.02,
        Kind::Path | Kind::Method | Kind::Status => 0.1,
        _ => 0.3,
    }
}

/// Whether a line with these facts tells of a whole HTTP request.
pub(super) fn is_access(facts: &[Fact]) -> bool {
    let has = |kind: Kind| facts.iter().any(|fact| fact.kind == kind);
    has(Kind::Path) && has(Kind::Status)
}

/// The same for an HTTP request of which some is told otherwise. Where a line tells all of it, as access logs do, each part counts
/// for itself; one of the application may name a path of something else.
fn against_http(facts: &[&Fact], request: &Request) -> f64 {
    let all = |kind: Kind| facts.iter().any(|fact| fact.kind == kind);
    if !(all(Kind::Path) && all(Kind::Status)) {
        return against(Kind::Path, Threads::Shared);
    }
    let parts = [(Kind::Method, 0.03), (Kind::Path, 0.03), (Kind::Status, 0.03)];
    let differs = |kind: Kind| {
        let of_kind: Vec<&Fact> = facts.iter().copied().filter(|fact| fact.kind == kind).collect();
        agrees(kind, &of_kind, request) == Some(false)
    };
    parts.into_iter().filter(|(kind, _)| differs(*kind)).map(|(_, often)| often).product()
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
    if shared > 0.2 * expected { Threads::Shared } else { Threads::Apart(expected) }
}

/// Whether line and request say the same; `None` if one of them says nothing that can be compared.
pub(super) fn agrees(kind: Kind, line: &[&Fact], request: &Request) -> Option<bool> {
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
