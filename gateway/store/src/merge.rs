//! Background merging: small segments of a signal and day become larger ones, so that a look-up asks few files. Runs on a
//! thread of its own, since sealing must not wait for it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::disk;
use crate::segment::{self, Dropped, MergeError, Name, Segment};
use crate::store::{Inner, lock};

/// Segments that become one; each record is written again once for every factor of this that its day grows by.
pub const FAN_IN: usize = 8;
/// Sizes below this count as equal: bytes of the smallest level.
pub const SMALL: u64 = 1 << 20;
/// No merge is started that would give a larger file: its index is held in memory while it is written.
pub const MAX_BYTES: u64 = 256 << 20;
/// How often it is looked for work.
const TICK: Duration = Duration::from_secs(5);
/// How far merging lets answers and sealing go first where processors are scarce: a tenth of a processor is left to it.
const NICENESS: i32 = 10;

/// Runs until the other end is dropped.
pub fn run(inner: &Inner, stop: &Receiver<()>) {
    // Linux: of this thread alone. Where that is forbidden, merging takes its share.
    let _ = rustix::process::nice(NICENESS);
    let mut passed_over = FxHashSet::default();
    while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let stopped = || stop.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty);
        while merge_once(inner, &mut passed_over) && !stopped() {}
    }
}

/// Merges one group, if there is one. Segments that cannot be read are passed over from then on.
pub fn merge_once(inner: &Inner, passed_over: &mut FxHashSet<Name>) -> bool {
    let _guard = lock(&inner.merging);
    let segments = inner.view.read().unwrap_or_else(PoisonError::into_inner).segments.clone();
    let unswept = |s: &Segment| inner.sampling.as_ref().is_some_and(|sampling| sampling.is_unswept(s));
    let Some(group) = choose(&segments, |s| passed_over.contains(&s.name) || unswept(s)) else {
        return false;
    };
    match merge_group(inner, &group) {
        Ok(()) => return true,
        Err(MergeError::Damaged(name)) => {
            tracing::error!(segment = name.stem(), "the segment has damaged parts and is not merged");
            passed_over.insert(name);
            return true;
        }
        Err(MergeError::Io(error)) => failed(inner, &error),
    }
    false
}

/// Lets one segment take the place of a group of one signal and day.
pub fn merge_group(inner: &Inner, group: &[Arc<Segment>]) -> Result<(), MergeError> {
    move_samples(inner, group)?;
    let (name, _) = segment::merge(&inner.segments(), group, &Dropped::default())?;
    Ok(replace(inner, group, name)?)
}

/// Moves samples that earlier versions wrote into blocks of metrics to where samples are kept by series, since a merge leaves them
/// out. They are on the disk there when this returns; where a crash leaves some in both places, they count once.
pub fn move_samples(inner: &Inner, group: &[Arc<Segment>]) -> Result<(), MergeError> {
    let mut any = false;
    for segment in group.iter().filter(|segment| segment.may_have_samples()) {
        for number in 0..segment.footer.blocks.len() {
            let block = segment.block(number).map_err(|_| MergeError::Damaged(segment.name))?;
            inner.samples.move_in(&block.metrics).map_err(io::Error::other)?;
            any = true;
        }
    }
    if any {
        inner.samples.sync()?;
    }
    Ok(())
}

fn failed(inner: &Inner, error: &io::Error) {
    inner.counters.background_failures.fetch_add(1, Relaxed);
    tracing::warn!(%error, "merging segments failed and will be tried again");
}

fn level(bytes: u64) -> u32 {
    (bytes / SMALL).checked_ilog(FAN_IN as u64).map_or(0, |level| level + 1)
}

/// The first group worth merging: neighbours of one signal and day, [`FAN_IN`] of them of one level, none larger.
pub fn choose(
    segments: &[Arc<Segment>],
    passed_over: impl Fn(&Segment) -> bool,
) -> Option<Vec<Arc<Segment>>> {
    let mut sorted: Vec<&Arc<Segment>> = segments.iter().collect();
    sorted.sort_by_key(|s| (s.name.signal, s.name.day, s.name.first));
    let days = sorted.chunk_by(|a, b| (a.name.signal, a.name.day) == (b.name.signal, b.name.day));
    for day in days {
        for wanted in 0..=level(MAX_BYTES) {
            for run in day.split(|s| passed_over(s) || level(s.bytes) > wanted) {
                let of_level = run.iter().enumerate().filter(|(_, s)| level(s.bytes) == wanted);
                let at: Vec<usize> = of_level.map(|(i, _)| i).take(FAN_IN).collect();
                if let ([first, .., last], true) = (at.as_slice(), at.len() == FAN_IN) {
                    let group = run.get(*first..=*last).unwrap_or_default();
                    if group.iter().map(|s| s.bytes).sum::<u64>() <= MAX_BYTES {
                        return Some(group.iter().map(|s| Arc::clone(s)).collect());
                    }
                }
            }
        }
    }
    None
}

/// Lets the merged segment take the place of its parts, or nothing, if nothing was left to write. Retention may have dropped one
/// of them meanwhile: then the result is thrown away, and the next look finds what is left.
pub fn replace(inner: &Inner, parts: &[Arc<Segment>], name: Option<Name>) -> io::Result<()> {
    let _guard = lock(&inner.maintenance);
    let path = name.map(|name| name.path(&inner.segments(), Name::SEGMENT));
    let merged = match name.zip(path.as_ref()) {
        Some((name, path)) => match Segment::open(path, name) {
            Ok(Some(merged)) => Some(merged),
            // One segment alone was replaced by it: there is nothing else.
            _ if parts.len() == 1 => return Err(io::Error::other("a segment just written cannot be read")),
            _ => return disk::remove(path),
        },
        None => None,
    };
    let gone: Vec<PathBuf> = {
        let mut view = inner.view.write().unwrap_or_else(PoisonError::into_inner);
        let is_part = |s: &Arc<Segment>| parts.iter().any(|p| p.name == s.name);
        if view.segments.iter().filter(|s| is_part(s)).count() != parts.len() {
            drop(view);
            return path.map_or(Ok(()), |path| disk::remove(&path));
        }
        let at = view.segments.iter().position(is_part).unwrap_or(0);
        view.segments.retain(|s| !is_part(s));
        if let Some(merged) = merged {
            view.segments.insert(at, Arc::new(merged));
        }
        // One segment alone is replaced under its own name.
        parts.iter().map(|p| p.path.clone()).filter(|part| path.as_ref() != Some(part)).collect()
    };
    if parts.len() > 1 {
        inner.counters.merges.fetch_add(1, Relaxed);
    }
    gone.iter().try_for_each(|path| disk::remove(path))
}
