//! Deciding traces when they are due, on a thread of its own, and sweeping what is decided.

use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::log::Decision;
use super::rules::Verdict;
use super::sweep::{self, FAN_IN, sweep};
use super::table::Undecided;
use super::{Deciding, DroppedTrace, MAX_UNDECIDED, Sampling, Summary, Table};
use crate::retention::now;
use crate::segment::Segment;
use crate::store::{Inner, lock};

/// Traces decided without letting those wait that append.
const AT_ONCE: usize = 1 << 10;
/// How often it is looked for due traces, at most and at least.
const TICKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Sweeping waits for [`FAN_IN`] sealed heads, but not longer than so many waits.
const SWEEP_WAITS: u32 = 10;
/// Decided traces that are held until they are swept, at about fifty bytes each; over it sweeping waits for nothing.
const MAX_DECIDED: usize = 500_000;
/// Parts of a trace that come later than this are not looked for among what stayed.
const LATE: u64 = 30 * 60 * 1_000_000_000;

/// Runs until the other end is dropped.
pub(crate) fn run(inner: &Inner, sampling: &Sampling, stop: &Receiver<()>) {
    let stopped = || stop.try_recv() != Err(TryRecvError::Empty);
    remember(inner, sampling, stopped);
    let tick = (sampling.wait / 10).clamp(TICKS.0, TICKS.1);
    let mut swept = Instant::now();
    while stop.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
        let done = decide(inner, sampling, now()).and_then(|()| {
            let full = make_room(inner, sampling)?;
            let heads = sweep::ready(inner, sampling).map_or(0, |(_, heads)| heads);
            let long = swept.elapsed() >= sampling.wait * SWEEP_WAITS;
            if heads >= FAN_IN || full || (heads > 0 && long) {
                while sweep(inner, sampling)? && !stopped() {}
            }
            if heads == 0 || long {
                swept = Instant::now();
            }
            Ok(())
        });
        if let Err(error) = done {
            inner.counters.background_failures.fetch_add(1, Relaxed);
            tracing::warn!(%error, "sampling failed and will be tried again");
        }
    }
}

/// Notes what an earlier run left unswept in segments, as if it came now. Nothing is decided until then.
pub(crate) fn remember(inner: &Inner, sampling: &Sampling, stopped: impl Fn() -> bool) {
    let _deciding = lock(&sampling.deciding);
    if sampling.ready.load(Acquire) {
        return;
    }
    let segments = inner.view.read().unwrap_or_else(PoisonError::into_inner).segments.clone();
    let swept = sampling.swept();
    for segment in segments.iter().filter(|s| s.name.last > swept) {
        for number in 0..segment.footer.blocks.len() {
            if stopped() {
                return;
            }
            // A damaged block is counted by whoever reads it for an answer.
            if let Ok(batch) = segment.block(number) {
                let journals = (segment.name.first, segment.name.last);
                sampling.note(&sampling.look_at(&batch), journals, now());
            }
        }
    }
    sampling.ready.store(true, Release);
}

/// Decides what is due.
pub(crate) fn decide(inner: &Inner, sampling: &Sampling, now: u64) -> io::Result<()> {
    let mut deciding = lock(&sampling.deciding);
    let swept = swept(inner, sampling);
    loop {
        let mut table = lock(&sampling.table);
        let due = table.due(now, AT_ONCE);
        if due.is_empty() {
            return Ok(());
        }
        settle(sampling, &mut deciding, &mut table, &due, &swept, now)?;
    }
}

/// Decides traces before their time when there are too many. True if that many wait to be swept that sweeping must not wait.
fn make_room(inner: &Inner, sampling: &Sampling) -> io::Result<bool> {
    let (undecided, decided) = {
        let table = lock(&sampling.table);
        (table.undecided(), table.decided())
    };
    if undecided > MAX_UNDECIDED || decided > MAX_DECIDED {
        decide_early(inner, sampling, now())?;
    }
    Ok(decided > MAX_DECIDED)
}

/// Decides the oldest quarter of all traces, due or not.
pub(crate) fn decide_early(inner: &Inner, sampling: &Sampling, now: u64) -> io::Result<()> {
    let mut deciding = lock(&sampling.deciding);
    let swept = swept(inner, sampling);
    let mut left = lock(&sampling.table).undecided() / 4;
    while left > 0 {
        let mut table = lock(&sampling.table);
        let oldest = table.oldest(AT_ONCE.min(left));
        if oldest.is_empty() {
            break;
        }
        settle(sampling, &mut deciding, &mut table, &oldest, &swept, now)?;
        sampling.tally.early.fetch_add(oldest.len() as u64, Relaxed);
        left = left.saturating_sub(oldest.len());
    }
    Ok(())
}

/// Segments in which only such traces are that stayed.
fn swept(inner: &Inner, sampling: &Sampling) -> Vec<Arc<Segment>> {
    let swept = sampling.swept();
    let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
    view.segments.iter().filter(|s| s.name.last <= swept).cloned().collect()
}

fn settle(
    sampling: &Sampling,
    deciding: &mut Deciding,
    table: &mut Table,
    traces: &[(u64, Undecided)],
    swept: &[Arc<Segment>],
    now: u64,
) -> io::Result<()> {
    let when = now / 1_000_000_000;
    for (low64, _) in traces.iter().filter(|(_, trace)| !trace.summary.has_spans()) {
        table.release(*low64);
    }
    let traces = || traces.iter().filter(|(_, trace)| trace.summary.has_spans());
    let decided: Vec<(u64, Option<u16>)> = traces()
        .map(|(low64, trace)| {
            let verdict = judge(sampling, deciding, *low64, &trace.summary, swept, now);
            let rule = verdict.rule.filter(|_| !verdict.keep);
            (*low64, rule.and_then(|rule| sampling.tally.name(rule)).map(|name| sampling.names.number(name)))
        })
        .collect();
    let decisions: Vec<_> = decided
        .iter()
        .map(|(low64, rule)| Decision {
            low64: *low64,
            when,
            dropped_by: rule.map(|rule| sampling.names.name(rule)),
        })
        .collect();
    if !decisions.is_empty()
        && let Err(error) = deciding.log.append(&decisions)
    {
        traces().for_each(|(low64, _)| table.put_off(*low64, now));
        return Err(error);
    }
    let mut dropped = sampling.dropped.write().unwrap_or_else(PoisonError::into_inner);
    for (low64, rule) in decided {
        table.decide(low64, rule);
        if let Some(rule) = rule {
            dropped.insert(low64, DroppedTrace { rule, when: when as u32, buried: false });
        }
    }
    Ok(())
}

/// Judges one trace. One of which parts stayed before stays.
fn judge(
    sampling: &Sampling,
    deciding: &mut Deciding,
    low64: u64,
    trace: &Summary,
    swept: &[Arc<Segment>],
    now: u64,
) -> Verdict {
    let stays = Verdict { rule: None, keep: true };
    let verdict = deciding.judge.decide(low64, trace, now);
    let (first, last) = (trace.first_start.saturating_sub(LATE), trace.last_end.saturating_add(LATE));
    let near = || swept.iter().filter(|s| s.footer.first <= last && first <= s.footer.last);
    // An index that cannot be read may hold it.
    if !verdict.keep && near().any(|segment| !matches!(segment.find(low64), Ok(None))) {
        sampling.tally.rejoined.fetch_add(1, Relaxed);
        return stays;
    }
    sampling.tally.count(verdict);
    verdict
}
