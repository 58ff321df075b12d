//! When requests ran in a container, and when it can be told that none did.
//!
//! Between two requests that send spans there may be some that send none, for as long as there is traffic; in a pause of the traffic
//! they rest as well, and what is written then is the container's own.

use store::read::Window;

use super::compared::Request;

/// Between requests nobody is seen to run for some time; three times as long as usual is a pause.
const PAUSE: f64 = 3.0;
/// Where requests follow each other without a gap, for as long as two of them are apart.
const APART: f64 = 2.0;
/// Gaps that tell how long they usually are.
const ENOUGH_GAPS: usize = 3;
/// Where there are few requests, what is longer than this may be a pause, ns.
const MAX_GAP: f64 = 50e6;
/// How much less probable it is that requests come in bursts than that they come steadily, before anything is known.
const BURSTS: f64 = 0.5;

/// Where an instant lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Some request ran.
    Busy,
    /// None that is known ran, and some had or would soon.
    Between,
    /// None ran for long.
    Pause,
}

/// The requests of a container in a window, as lengths of time, ns.
#[derive(Debug)]
pub(super) struct Traffic {
    /// When any ran.
    union: Vec<(u64, u64)>,
    /// What is not farther from a request is between two.
    reach: u64,
    pub(super) busy: f64,
    pub(super) between: f64,
    pub(super) pause: f64,
    /// Sum of the times of all requests...
    pub(super) work: f64,
    /// ...and of those that sent no spans, of which lines with ids tell.
    without: f64,
    requests: f64,
    /// How probable it is that requests without spans go on in a pause.
    pub(super) steady: f64,
}

/// Disjoint and sorted.
pub(super) fn merged(mut runs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
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

impl Traffic {
    pub(super) fn of(requests: &[Request], window: Window) -> Self {
        let clip = |(start, end): (u64, u64)| (start.max(window.start), end.min(window.end));
        let long = |run: (u64, u64)| {
            let (start, end) = clip(run);
            end.saturating_sub(start) as f64
        };
        let union = merged(requests.iter().flat_map(|r| r.runs.iter().copied()).collect());
        let busy = union.iter().map(|run| long(*run)).sum::<f64>().max(1.0);
        let works = |request: &Request| request.runs.iter().map(|run| long(*run)).sum::<f64>();
        let work = requests.iter().map(works).sum::<f64>();
        let without = requests.iter().filter(|request| !request.spanned).map(works).sum();
        let mut gaps: Vec<u64> = union.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)).collect();
        gaps.sort_unstable();
        let usual = match gaps.get(gaps.len() / 2) {
            Some(median) if gaps.len() >= ENOUGH_GAPS => PAUSE * *median as f64,
            _ => (APART * busy / requests.len().max(1) as f64).min(MAX_GAP),
        };
        let reach = (usual / 2.0) as u64;
        let near = union.iter().map(|(start, end)| (start.saturating_sub(reach), end.saturating_add(reach)));
        let near = merged(near.collect()).into_iter().map(long).sum::<f64>();
        let whole = (window.end.saturating_sub(window.start) as f64).max(near);
        // Steady traffic would not leave so much of the window alone by chance.
        let chance = (near / whole).powi(requests.len().saturating_sub(1).min(1_000) as i32);
        Self {
            union,
            reach,
            busy,
            between: near - busy,
            pause: whole - near,
            work: work.max(1.0),
            without,
            requests: requests.len() as f64,
            steady: chance / (chance + BURSTS),
        }
    }

    pub(super) fn at(&self, time: u64) -> Part {
        let next = self.union.partition_point(|run| run.1 < time);
        let until = self.union.get(next).map_or(u64::MAX, |run| run.0.saturating_sub(time));
        let since = next.checked_sub(1).and_then(|last| self.union.get(last)).map(|run| time - run.1);
        match until.min(since.unwrap_or(u64::MAX)) {
            _ if until == 0 => Part::Busy,
            away if away <= self.reach => Part::Between,
            _ => Part::Pause,
        }
    }

    /// How much of an average request a stretch of time is, 1 at most.
    pub(super) fn of_a_request(&self, (start, end): (u64, u64)) -> f64 {
        (end.saturating_sub(start) as f64 * self.requests / self.work).min(1.0)
    }

    /// Requests at a time, on average, while there was traffic: those that sent spans, and those that lines tell of.
    pub(super) fn at_once(&self) -> (f64, f64) {
        let time = self.busy + self.between + self.steady * self.pause;
        ((self.work - self.without).max(1.0) / time, self.without / time)
    }
}

#[cfg(test)]
mod tests;
