//! Who else may have written a line: requests that send no spans, and the container itself.
//!
//! How many requests are unseen is one number for the container; how much it writes of itself is one for each kind of line. Both are
//! counted in requests: three unseen ones write as much as three that are seen. Neither is known, so that each is a distribution, and
//! a line's probability the mean over both. They are learnt from when lines of a kind were written (while requests ran, between
//! them, in pauses) and from whether what they say fits a request that ran: where many name a user, a path or a thread that none has,
//! others wrote them.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::sampling::{SHARES, Sampled};
use super::traffic::{Part, Traffic};

/// How much a container writes of itself, beside each request that runs on average, with how probable that is for a kind of line.
const OWN: [(f64, f64); 8] =
    [(0.0, 0.5), (0.03, 0.08), (0.1, 0.1), (0.3, 0.1), (1.0, 0.1), (3.0, 0.06), (10.0, 0.04), (100.0, 0.02)];
/// How much a line counts: several of one request say the same.
const EACH: f64 = 0.5;
/// Kinds with fewer lines are taken for one, too: what is less sure of both counts.
const FEW: f64 = 3.0;
/// Bounds of how likely one line is for what is assumed: neither clocks nor names are exact enough for more.
const LEAST: f64 = 1e-3;
const MOST: f64 = 1e18;
/// How likely so many lines are is multiplied before a logarithm is taken.
const AT_ONCE: usize = 16;
/// The template of those.
const RARE: u64 = 0;

/// What a line says, as the number of requests that ran, and of these, as many as would say so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    pub(super) template: u64,
    pub(super) running: f64,
    pub(super) fit: f64,
}

/// Lines of a kind.
#[derive(Debug, Default, Clone)]
struct Lines {
    /// While requests ran, between them, and in pauses.
    written: [f64; 3],
    said: Vec<Saying>,
}

type OfShares<T> = [T; SHARES.len()];
/// How probable each amount of own lines is, for each share.
type Own = OfShares<[f64; OWN.len()]>;

/// Those who write lines beside the requests that are known.
pub(super) struct Writers {
    /// How probable each share is.
    shares: OfShares<f64>,
    /// How many requests are unseen at a time, for each.
    unseen: OfShares<f64>,
    /// How probable each amount of own lines is, of a kind, for each share.
    own: FxHashMap<u64, Own>,
    /// Kinds with few lines, and how much each of them is written by the container, once it was asked.
    few: FxHashMap<u64, Lines>,
    own_of_few: RefCell<FxHashMap<u64, Own>>,
    traffic: Traffic,
    /// Requests that run at a time, while any does.
    at_once: f64,
}

/// From logarithms to probabilities that add up to 1; with the logarithm of the sum.
fn settled<const N: usize>(logs: [f64; N]) -> ([f64; N], f64) {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    (logs.map(|log| (log - most).exp() / sum), most + sum.ln())
}

impl Writers {
    /// `lines` are times and templates of all lines without an id in the window.
    pub(super) fn new(
        traffic: Traffic,
        lines: impl Iterator<Item = (u64, u64)>,
        said: Vec<Saying>,
        sampled: Sampled,
    ) -> Self {
        let mut kinds: FxHashMap<u64, Lines> = FxHashMap::default();
        for (time, template) in lines {
            let part = match traffic.at(time) {
                Part::Busy => 0,
                Part::Between => 1,
                Part::Pause => 2,
            };
            if let Some(count) = kinds.entry(template).or_default().written.get_mut(part) {
                *count += 1.0;
            }
        }
        for saying in said {
            kinds.entry(saying.template).or_default().said.push(saying);
        }
        let (few, mut kinds): (FxHashMap<_, _>, FxHashMap<_, _>) =
            kinds.into_iter().partition(|(_, lines)| lines.written.iter().sum::<f64>() < FEW);
        let mut rare = Lines::default();
        for lines in few.values() {
            rare.written.iter_mut().zip(lines.written).for_each(|(all, some)| *all += some);
            rare.said.extend_from_slice(&lines.said);
        }
        kinds.insert(RARE, rare);
        let at_once = traffic.work / traffic.busy;
        let (sent, told) = traffic.at_once();
        let unseen = SHARES.map(|(share, _)| (sent * (1.0 - share) / share - told).max(0.0));
        let mut writers = Self {
            shares: SHARES.map(|(_, before)| before),
            unseen,
            own: FxHashMap::default(),
            few,
            own_of_few: RefCell::default(),
            at_once,
            traffic,
        };
        let mut logs = sampled.logs();
        for (template, lines) in &kinds {
            let of_shares = writers.of_shares(lines);
            logs.iter_mut().zip(&of_shares).for_each(|(log, (_, all))| *log += all);
            writers.own.insert(*template, of_shares.map(|(own, _)| own));
        }
        writers.shares = settled(logs).0;
        writers
    }

    /// See [`Traffic::of_a_request`].
    pub(super) fn of_a_request(&self, stretch: (u64, u64)) -> f64 {
        self.traffic.of_a_request(stretch)
    }

    /// How probable it is that a line is of one request: `mine` of `all` that ran, each as far as it would say so; `others` is how
    /// likely those would say so of whom nothing is known.
    pub(super) fn confidence(&self, template: u64, mine: f64, all: f64, others: f64) -> f64 {
        let of = |own: &Own| -> f64 {
            let shares = self.shares.iter().zip(&self.unseen).zip(own);
            let of = shares.flat_map(|((share, unseen), of_share)| {
                let amounts = OWN.iter().zip(of_share);
                amounts.map(move |((own, _), probable)| {
                    share * probable * mine / (all + others * (unseen + own * self.at_once))
                })
            });
            of.sum()
        };
        if let Some(own) = self.own.get(&template) {
            return of(own);
        }
        let rare = self.own.get(&RARE).map_or(0.0, of);
        let Some(lines) = self.few.get(&template) else { return rare };
        let mut known = self.own_of_few.borrow_mut();
        let alone = known.entry(template).or_insert_with(|| self.of_shares(lines).map(|(own, _)| own));
        rare.min(of(alone))
    }

    /// How probable each amount of own lines is for each share, and how likely these lines are for that share.
    fn of_shares(&self, lines: &Lines) -> OfShares<([f64; OWN.len()], f64)> {
        self.unseen.map(|unseen| {
            settled(OWN.map(|(own, before)| {
                before.ln() + EACH * lines.likely(&self.traffic, unseen, own * self.at_once)
            }))
        })
    }
}

impl Lines {
    /// Logarithm of how likely these are if so many requests are unseen, and the container writes as much as so many, less a constant.
    fn likely(&self, traffic: &Traffic, unseen: f64, own: f64) -> f64 {
        let parts = [
            traffic.work + (unseen + own) * traffic.busy,
            (unseen + own) * traffic.between,
            (unseen * traffic.steady + own) * traffic.pause,
        ];
        let all: f64 = parts.iter().sum();
        let times = self.written.iter().zip(parts);
        let times: f64 = times.map(|(count, part)| count * (part / all).max(LEAST).ln()).sum();
        let beside = unseen + own;
        let likely = |line: &Saying| {
            let likely = (line.fit + beside) / (line.running + beside);
            if likely > LEAST { likely.min(MOST) } else { LEAST }
        };
        // Logarithms are dear; so few factors stay within what a number can hold.
        let said = self.said.chunks(AT_ONCE).map(|some| some.iter().map(likely).product::<f64>().ln());
        times + said.sum::<f64>()
    }
}
