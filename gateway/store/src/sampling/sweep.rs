//! Writing segments again without what is dropped, oldest first, several of a day into one.
//!
//! The steps, and what a crash after each leaves: tombstones are on the disk (rows and tombstones: rows are hidden); segments are
//! replaced one by one, as merging does it (the same, fewer rows); the frontier moves (nothing to hide); the log of decisions is
//! cut (nothing left over).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use super::Sampling;
use super::frontier::{self, Frontier};
use super::log::Decision;
use super::sheet::Tombstone;
use crate::merge::{MAX_BYTES, move_samples, replace};
use crate::segment::{Dropped, MergeError, Name, Removed, Segment, merge};
use crate::store::{Inner, lock};

/// Sealed heads that are swept together: then merging has them done, too.
pub(super) use crate::merge::FAN_IN;

/// Up to which journal sweeping could go on, and how many sealed heads that is.
pub(super) fn ready(inner: &Inner, sampling: &Sampling) -> Option<(u64, usize)> {
    let (sealed, segments) = {
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        let unsealed = view.frozen.first().map_or(view.active.journals.0, |head| head.journals.0);
        (unsealed.saturating_sub(1), view.segments.clone())
    };
    let swept = sampling.swept();
    let pinned = lock(&sampling.table).pinned().unwrap_or(u64::MAX);
    let mut upto = sealed.min(pinned.saturating_sub(1));
    let mut unswept: Vec<Name> = segments.iter().map(|s| s.name).filter(|name| name.last > swept).collect();
    // A head that was replayed covers several journals: its segments are swept whole or not at all.
    unswept.sort_by_key(|name| std::cmp::Reverse(name.last));
    for name in &unswept {
        if name.first <= upto && upto < name.last {
            upto = name.first - 1;
        }
    }
    let mut heads: Vec<u64> = unswept.iter().map(|name| name.last).filter(|last| *last <= upto).collect();
    heads.sort_unstable();
    heads.dedup();
    let upto = heads.get(FAN_IN - 1).copied().unwrap_or(upto);
    (upto > swept).then_some((upto, heads.len()))
}

/// Sweeps some heads, if there are any in which every trace is decided.
pub(crate) fn sweep(inner: &Inner, sampling: &Sampling) -> io::Result<bool> {
    let _merging = lock(&inner.merging);
    let Some((upto, heads)) = ready(inner, sampling) else { return Ok(false) };
    let dropped = bury(sampling)?;
    let before = sampling.frontier();
    let mut hidden = before.hidden.clone();
    if heads > 0 {
        let segments = inner.view.read().unwrap_or_else(PoisonError::into_inner).segments.clone();
        let mut days: BTreeMap<_, Vec<Arc<Segment>>> = BTreeMap::new();
        for segment in segments.iter().filter(|s| s.name.last > before.swept && s.name.last <= upto) {
            days.entry((segment.name.signal, segment.name.day)).or_default().push(Arc::clone(segment));
        }
        for mut day in days.into_values() {
            day.sort_by_key(|s| s.name.first);
            sweep_day(inner, &day, &dropped, &mut hidden)?;
        }
    }
    let frontier = Frontier { swept: upto, hidden };
    frontier::write(&sampling.dir, &frontier)?;
    *sampling.frontier.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(frontier);
    forget(sampling, upto)?;
    inner.counters.sweeps.fetch_add(u64::from(heads > 0), Relaxed);
    let age = oldest_kept(inner);
    sampling.sheets.tidy(age / 1_000_000_000, &sampling.names)?;
    Ok(heads > 0)
}

/// Before this instant no record is kept, as far as retention says.
fn oldest_kept(inner: &Inner) -> u64 {
    let retention = inner.options.retention;
    let ages = [retention.logs.age, retention.traces.age, retention.metrics.age];
    let longest =
        ages.into_iter().try_fold(std::time::Duration::ZERO, |longest, age| Some(longest.max(age?)));
    longest.map_or(0, |age| crate::retention::now().saturating_sub(age.as_nanos() as u64))
}

/// Puts the tombstones of all dropped traces on the disk, and gives those traces.
fn bury(sampling: &Sampling) -> io::Result<Dropped> {
    let (dropped, stones) = {
        let dropped = sampling.dropped.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = dropped.iter().filter(|(_, trace)| !trace.buried);
        let stones: Vec<Tombstone> = fresh
            .map(|(low64, trace)| Tombstone { low64: *low64, rule: trace.rule, when: u64::from(trace.when) })
            .collect();
        (Dropped::new(dropped.keys().copied()), stones)
    };
    let buried: Vec<u64> = stones.iter().map(|stone| stone.low64).collect();
    sampling.sheets.add(stones, &sampling.names)?;
    let mut dropped_now = sampling.dropped.write().unwrap_or_else(PoisonError::into_inner);
    for low64 in buried {
        if let Some(trace) = dropped_now.get_mut(&low64) {
            trace.buried = true;
        }
    }
    Ok(dropped)
}

/// Sweeps the segments of a signal and day. One that cannot be read stays as it is, and is hidden from now on.
fn sweep_day(
    inner: &Inner,
    day: &[Arc<Segment>],
    dropped: &Dropped,
    hidden: &mut Vec<Name>,
) -> io::Result<()> {
    let mut left = day;
    while let Some(first) = left.first() {
        if hidden.contains(&first.name) {
            left = left.get(1..).unwrap_or_default();
            continue;
        }
        let mut bytes = 0;
        let together = left.iter().take_while(|s| {
            bytes += s.bytes;
            (s.name == first.name || bytes <= MAX_BYTES) && !hidden.contains(&s.name)
        });
        let (group, rest) = left.split_at(together.count());
        match sweep_group(inner, group, dropped) {
            Ok(()) => left = rest,
            Err(MergeError::Damaged(name)) => {
                tracing::error!(
                    segment = name.stem(),
                    "the segment has damaged parts: what it holds of dropped traces is hidden, but stays"
                );
                hidden.push(name);
            }
            Err(MergeError::Io(error)) => return Err(error),
        }
    }
    Ok(())
}

fn sweep_group(inner: &Inner, group: &[Arc<Segment>], dropped: &Dropped) -> Result<(), MergeError> {
    let mut touched = false;
    for segment in group {
        touched |= dropped.touches(segment)?;
    }
    if !touched {
        return Ok(());
    }
    move_samples(inner, group)?;
    let (name, Removed { logs, spans, exemplars }) = merge(&inner.segments(), group, dropped)?;
    replace(inner, group, name)?;
    let c = &inner.counters;
    let counted = [(&c.swept_logs, logs), (&c.swept_spans, spans), (&c.swept_exemplars, exemplars)];
    for (counter, count) in counted {
        counter.fetch_add(count, Relaxed);
    }
    Ok(())
}

/// Forgets what is swept; the log goes on with the rest.
fn forget(sampling: &Sampling, upto: u64) -> io::Result<()> {
    let mut deciding = lock(&sampling.deciding);
    let left: Vec<(u64, Option<u16>)> = {
        let mut table = lock(&sampling.table);
        let mut dropped = sampling.dropped.write().unwrap_or_else(PoisonError::into_inner);
        table.forget(upto, |low64| {
            dropped.remove(&low64);
        });
        table.all_decided().collect()
    };
    let dropped = sampling.dropped.read().unwrap_or_else(PoisonError::into_inner);
    let when = |low64: u64| dropped.get(&low64).map_or(0, |trace| u64::from(trace.when));
    let decisions: Vec<_> = left
        .into_iter()
        .map(|(low64, rule)| Decision {
            low64,
            when: when(low64),
            dropped_by: rule.map(|rule| sampling.names.name(rule)),
        })
        .collect();
    drop(dropped);
    deciding.log.rewrite(&decisions)
}
