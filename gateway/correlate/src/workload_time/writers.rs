//! Who else may have written a line: requests that send no spans, and the container itself.
//!
//! How many requests are unseen is one number for the container; how much it writes of itself is one for each kind of line. Both are
//! counted in requests: three unseen ones write as much as three that are seen. Neither is known, so that each is a distribution, and
//! a line's probability the mean over both. They are learnt from when lines of a kind were written (while requests ran, between
//! them, in pauses) and from whether what they say fits a request that ran: where many name a user, a path or a thread that none has,
//! others wrote them.

use rustc_hash::FxHashMap;

use super::sampling::{SHARES, Sampled};
use super::traffic::{Part, Traffic};

/// How much a container writes of itself, beside each request that runs on average, with how probable that is for a kind of line.
const OWN: [(f64, f64); 8] = [
    (0.0, 0.7),
    (0.03, 0.08),
    (0.1, 0.07),
    (0.3, 0.05),
    (1.0, 0.04),
    (3.0, 0.03),
    (10.0, 0.02),
    (100.0, 0.01),
];
/// How much a line counts: several of one request say the same.
const EACH: f64 = 0.5;
/// Kinds with fewer lines are taken for one.
const FEW: f64 = 3.0;
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

/// Those who write lines beside the requests that are known.
pub(super) struct Writers {
    kinds: FxHashMap<u64, Lines>,
    /// How probable each share is.
    shares: OfShares<f64>,
    /// How many requests are unseen at a time, for each.
    unseen: OfShares<f64>,
    /// How probable each amount of own lines is, of a kind, for each share.
    own: FxHashMap<u64, OfShares<[f64; OWN.len()]>>,
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
        traffic: &Traffic,
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
        let mut rare = Lines::default();
        kinds.retain(|_, lines| {
            let few = lines.written.iter().sum::<f64>() < FEW;
            if few {
                rare.written.iter_mut().zip(lines.written).for_each(|(all, some)| *all += some);
                rare.said.append(&mut lines.said);
            }
            !few
        });
        kinds.insert(RARE, rare);
        let at_once = traffic.work / traffic.busy;
        let (sent, told) = traffic.at_once();
        let unseen = SHARES.map(|(share, _)| (sent * (1.0 - share) / share - told).max(0.0));
        let mut writers = Self {
            kinds,
            shares: SHARES.map(|(_, before)| before),
            unseen,
            own: FxHashMap::default(),
            at_once,
        };
        let mut logs = sampled.logs();
        for (template, lines) in &writers.kinds {
            let of_shares =
                unseen.map(|unseen| {
                    settled(OWN.map(|(own, before)| {
                        before.ln() + EACH * lines.likely(traffic, unseen, own * at_once)
                    }))
                });
            logs.iter_mut().zip(&of_shares).for_each(|(log, (_, all))| *log += all);
            writers.own.insert(*template, of_shares.map(|(own, _)| own));
        }
        writers.shares = settled(logs).0;
        writers
    }

    /// How probable it is that a line is of one request: `mine` of `all` that ran, each as far as it would say so; `others` is how
    /// likely those would say so of whom nothing is known.
    pub(super) fn confidence(&self, template: u64, mine: f64, all: f64, others: f64) -> f64 {
        let Some(own) = self.own.get(&template).or_else(|| self.own.get(&RARE)) else { return 0.0 };
        let shares = self.shares.iter().zip(&self.unseen).zip(own);
        let of = shares.flat_map(|((share, unseen), of_share)| {
            let amounts = OWN.iter().zip(of_share);
            amounts.map(move |((own, _), probable)| {
                share * probable * mine / (all + others * (unseen + own * self.at_once))
            })
        });
        of.sum()
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
        // Clocks are not exact enough that nothing could happen.
        let times: f64 = times.map(|(count, part)| count * (part / all).max(1e-3).ln()).sum();
        let beside = unseen + own;
        let said =
            self.said.iter().map(|line| ((line.fit + beside) / (line.running + beside)).max(1e-3).ln());
        times + said.sum::<f64>()
    }
}
