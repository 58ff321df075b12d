//! Dropping whole segments by age and bytes. What is left of them is in `expired`.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk;
use crate::expired;
use crate::read::Signal;
use crate::samples;
use crate::segment::Segment;
use crate::store::{Inner, lock};

/// Nanoseconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// Drops what is too old or too much.
pub fn enforce(inner: &Inner, now: u64) -> io::Result<()> {
    let _guard = lock(&inner.maintenance);
    let retention = inner.options.retention;
    let mut kept = inner.view.read().unwrap_or_else(PoisonError::into_inner).segments.clone();
    kept.extend(samples::segments_of(&inner.samples));
    kept.sort_by_key(|s| s.footer.last);
    let mut dropped = Vec::new();
    for (signal, keep) in [
        (Signal::Logs, retention.logs),
        (Signal::Traces, retention.traces),
        (Signal::Metrics, retention.metrics),
    ] {
        let cutoff = keep.age.map_or(0, |age| now.saturating_sub(age.as_nanos() as u64));
        let mut bytes: u64 = kept.iter().filter(|s| s.name.signal == signal).map(|s| s.bytes).sum();
        kept.retain(|s| {
            let go = s.name.signal == signal
                && (s.footer.last < cutoff || keep.bytes.is_some_and(|max| bytes > max));
            if go {
                bytes -= s.bytes;
                dropped.push(Arc::clone(s));
            }
            !go
        });
    }
    let mut bytes: u64 = kept.iter().map(|s| s.bytes).sum();
    kept.retain(|s| {
        let go = retention.max_bytes.is_some_and(|max| bytes > max);
        if go {
            bytes -= s.bytes;
            dropped.push(Arc::clone(s));
        }
        !go
    });
    dropped.iter().try_for_each(|segment| drop_segment(inner, segment))
}

fn drop_segment(inner: &Inner, segment: &Arc<Segment>) -> io::Result<()> {
    if samples::forget(&inner.samples, segment)? {
        inner.counters.expired_segments.fetch_add(1, Relaxed);
        return Ok(());
    }
    let dir = inner.options.dir.join(expired::FOLDER);
    // A disk that is too full for the ids must still get the segment's room back.
    let kept = expired::keep(&dir, segment).unwrap_or_else(|error| {
        tracing::warn!(%error, segment = segment.name.stem(), "the ids of a dropped segment could not be kept");
        None
    });
    disk::remove(&segment.path)?;
    let forgotten: Vec<PathBuf> = {
        let mut view = inner.view.write().unwrap_or_else(PoisonError::into_inner);
        view.segments.retain(|s| s.name != segment.name);
        view.expired.extend(kept);
        view.expired.sort_by_key(|s| (s.name.first, s.name.last, s.name.signal, s.name.day));
        let surplus = expired::surplus(&view.expired);
        let paths = surplus.iter().map(|s| s.path.clone()).collect();
        let forget = surplus.len();
        view.expired.drain(..forget);
        paths
    };
    inner.counters.expired_segments.fetch_add(1, Relaxed);
    forgotten.iter().try_for_each(|path| disk::remove(path))
}
