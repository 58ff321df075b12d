//! How many traces there are at two times: what nothing else of a comparison tells, since all else is told by the trace.

use store::read::{TraceRead, Window};

use super::answer::{Comparison, Detail, Finding, FindingKind, Significance, Unit};
use crate::analysis::options::SIGNIFICANCE;
use crate::analysis::sample::Sample;
use crate::analysis::stats::rates;
use crate::analysis::vocabulary::Operation;

/// How many times as many are told: what comes and goes by less is how traffic is.
const MIN_RATIO: f64 = 1.5;
/// What it says of a cause, beside errors, which count in full.
const FACTOR: f64 = 0.95;
/// Traces named with it.
const EXAMPLES: usize = 3;

/// The traces of one side.
pub(super) struct Side<'a> {
    pub(super) sample: &'a Sample,
    pub(super) window: Window,
}

impl Side<'_> {
    /// From when to when there could be any: nothing is stored from before the store began, or from what is to come.
    fn seconds(&self, traces: &dyn TraceRead, now: u64) -> f64 {
        let before = Window { start: 0, end: self.window.start };
        let begun = traces.services(before).is_ok_and(|services| !services.is_empty());
        let first = self.sample.digests.iter().map(|digest| digest.start).min().filter(|_| !begun);
        let (start, end) = (self.window.start.max(first.unwrap_or(0)), self.window.end.min(now));
        end.saturating_sub(start) as f64 / 1e9
    }
}

/// The finding that the same question at two times has many more traces at one of them; `None` if it has not, or if the times overlap.
pub(super) fn finding(traces: &dyn TraceRead, a: &Side<'_>, b: &Side<'_>, now: u64) -> Option<Finding> {
    if a.window.start < b.window.end && b.window.start < a.window.end {
        return None;
    }
    let (seconds_a, seconds_b) = (a.seconds(traces, now), b.seconds(traces, now));
    let tested = rates((a.sample.matched, seconds_a), (b.sample.matched, seconds_b))?;
    let (rate_a, rate_b) = (a.sample.matched as f64 / seconds_a, b.sample.matched as f64 / seconds_b);
    if tested.p > SIGNIFICANCE || rate_a.max(rate_b) < rate_a.min(rate_b) * MIN_RATIO {
        return None;
    }
    let more = if rate_a > rate_b { a } else { b };
    Some(Finding {
        kind: FindingKind::Structure,
        what: format!("traffic: {} traces a second against {}", digits(rate_a), digits(rate_b)),
        operation: Operation { service: String::new(), operation: String::new() },
        detail: Detail::None,
        a: rate_a,
        b: rate_b,
        unit: Unit::PerSecond,
        significance: Some(Significance { p: tested.p, effect: tested.effect, test: tested.test }),
        score: tested.effect.abs() * FACTOR,
        also: Vec::new(),
        examples: more.sample.digests.iter().take(EXAMPLES).map(|digest| digest.trace).collect(),
    })
}

/// Puts it where it belongs among the others, of which so many are listed.
pub(super) fn add(finding: Finding, comparison: &mut Comparison, limit: usize) {
    let place = comparison.findings.partition_point(|other| other.score >= finding.score);
    comparison.findings.insert(place, finding);
    comparison.tested += 1;
    comparison.omitted += comparison.findings.len().saturating_sub(limit);
    comparison.findings.truncate(limit);
    // Why there is nothing else.
    comparison.warnings.extend(comparison.reason.take());
}

fn digits(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.2}") }
}

#[cfg(test)]
mod tests;
