//! How rare a value is: how often a request that is not meant says the same.
//!
//! Requests that sent spans tell it. Where most send none, these are few, and lines tell more: what fits no request that ran when it was
//! written is of another one, and how often such lines name the same user again is how often users come again.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use smol_str::{SmolStr, StrExt};

use super::compared::{Request, agrees};
use super::facts::{Fact, Kind};

/// For how many requests what is assumed of a kind counts.
const ASSUMED: f64 = 2.0;
/// By how many standard deviations more pairs of requests are taken to say the same than were found to.
const DEVIATIONS: f64 = 2.0;

/// What a line names that fits no request that ran.
#[derive(Debug)]
pub(super) struct Strange {
    pub(super) kind: Kind,
    pub(super) value: SmolStr,
    /// When it was written, ns.
    pub(super) time: u64,
}

/// How often values come, of the requests of a container.
#[derive(Default)]
pub(super) struct Rarities {
    /// How often two requests say the same, by what it is about.
    alike: FxHashMap<Kind, f64>,
    /// How many requests that sent no spans named something, by what it is about...
    strangers: FxHashMap<Kind, f64>,
    /// ...and how many of them this value, in lower case.
    named: FxHashMap<(Kind, SmolStr), f64>,
    /// What was found: many lines say the same.
    found: RefCell<FxHashMap<(Kind, SmolStr), f64>>,
}

/// How often others say the same, before anything is known.
fn assumed(kind: Kind) -> f64 {
    match kind {
        Kind::User => 0.05,
        Kind::Thread => 0.1,
        Kind::Process => 0.5,
        _ => 0.3,
    }
}

impl Rarities {
    pub(super) fn new(requests: &[Request], strange: Vec<Strange>) -> Self {
        let named = episodes(requests, strange);
        let mut strangers: FxHashMap<Kind, f64> = FxHashMap::default();
        for ((kind, _), count) in &named {
            *strangers.entry(*kind).or_default() += count;
        }
        Self { alike: alike(requests, &named, &strangers), strangers, named, found: RefCell::default() }
    }

    /// How often a request that is not meant says what a line does.
    pub(super) fn of(&self, kind: Kind, facts: &[&Fact], requests: &[Request]) -> f64 {
        if kind == Kind::Request {
            return if facts.iter().any(|f| f.value.len() >= 16) { 1e-6 } else { 1e-3 };
        }
        let values = (kind, facts.iter().flat_map(|fact| [fact.value.as_str(), "\n"]).collect());
        if let Some(found) = self.found.borrow().get(&values) {
            return *found;
        }
        let (mut known, mut equal) = (0.0, 0.0);
        for request in requests {
            if let Some(agrees) = agrees(kind, facts, request) {
                known += 1.0;
                equal += f64::from(agrees);
            }
        }
        let strangers = self.strangers.get(&kind).copied().unwrap_or_default();
        let alike = |fact: &&Fact| self.named.get(&(kind, fact.value.to_ascii_lowercase_smolstr())).copied();
        let of_strangers = facts.iter().filter_map(alike).fold(0.0, f64::max);
        // One of the requests is the one that is meant.
        let of_value = ((equal - 1.0_f64).max(0.0) + of_strangers + ASSUMED * assumed(kind))
            / ((known - 1.0_f64).max(0.0) + strangers + ASSUMED);
        let found = of_value.max(self.alike.get(&kind).copied().unwrap_or_default());
        self.found.borrow_mut().insert(values, found);
        found
    }
}

/// How many requests without spans named each value: lines of one are not farther apart than such requests last.
fn episodes(requests: &[Request], mut strange: Vec<Strange>) -> FxHashMap<(Kind, SmolStr), f64> {
    let runs = || requests.iter().flat_map(|request| &request.runs);
    let long = runs().map(|(start, end)| end - start).sum::<u64>() / (runs().count() as u64).max(1);
    strange.sort_by_key(|said| said.time);
    let mut last: FxHashMap<(Kind, SmolStr), (u64, f64)> = FxHashMap::default();
    for Strange { kind, value, time } in strange {
        let (before, count) = last.entry((kind, value.to_ascii_lowercase_smolstr())).or_insert((time, 1.0));
        if time - *before > long {
            *count += 1.0;
        }
        *before = time;
    }
    last.into_iter().map(|(value, (_, count))| (value, count)).collect()
}

/// How often two requests name the same value, of kinds of which enough are known.
fn alike(
    requests: &[Request],
    named: &FxHashMap<(Kind, SmolStr), f64>,
    strangers: &FxHashMap<Kind, f64>,
) -> FxHashMap<Kind, f64> {
    let mut values = named.clone();
    for fact in requests.iter().flat_map(|request| &request.facts) {
        *values.entry((fact.kind, fact.value.to_ascii_lowercase_smolstr())).or_default() += 1.0;
    }
    let mut of_kinds: FxHashMap<Kind, (f64, f64)> = FxHashMap::default();
    for ((kind, _), count) in &values {
        let (all, equal) = of_kinds.entry(*kind).or_default();
        *all += count;
        *equal += count * (count - 1.0);
    }
    let of_pairs = |(kind, (all, equal)): (Kind, (f64, f64))| {
        let (mut equal, mut pairs) = (equal / 2.0, all * (all - 1.0) / 2.0);
        // Where others are known to have written, too, rather more of them say the same than were found to.
        if strangers.contains_key(&kind) {
            equal += 1.0 + DEVIATIONS * equal.sqrt();
            pairs += 1.0 / assumed(kind);
        }
        (pairs > 0.0).then(|| (kind, equal / pairs))
    };
    of_kinds.into_iter().filter_map(of_pairs).collect()
}
