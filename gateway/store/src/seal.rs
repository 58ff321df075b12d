//! Background work on a thread of its own: sealing heads into segments, syncing the journal, retention.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::disk;
use crate::head::Head;
use crate::journal::{self, Journal};
use crate::manifest::{self, Manifest};
use crate::options::SyncPolicy;
use crate::retention;
use crate::segment::{Name, Segment, seal};
use crate::store::{Inner, MAX_WAITING, lock};

/// How often heads' ages and retention are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Why the thread wakes before its time.
#[derive(Debug)]
pub enum Wake {
    /// The head is full.
    Work,
    /// The store is closed.
    Stop,
}

/// Runs until it is stopped.
pub fn run(inner: &Inner, woken: &Receiver<Wake>) {
    let tick = match inner.options.sync {
        SyncPolicy::Interval(interval) => interval.clamp(Duration::from_millis(10), TICK),
        SyncPolicy::EveryBatch => TICK,
    };
    loop {
        let stop = matches!(woken.recv_timeout(tick), Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected));
        if let Err(error) = work(inner, stop) {
            inner.counters.background_failures.fetch_add(1, Relaxed);
            tracing::warn!(%error, "background work of the store failed and will be tried again");
        }
        if stop {
            return;
        }
    }
}

fn work(inner: &Inner, stop: bool) -> io::Result<()> {
    sync(inner)?;
    if stop {
        return Ok(());
    }
    freeze(inner, |head| {
        let old = head.since.is_some_and(|since| since.elapsed() >= inner.options.head_age);
        old || head.bytes >= inner.options.head_bytes
    })?;
    seal_frozen(inner)?;
    retention::enforce(inner, retention::now())
}

fn sync(inner: &Inner) -> io::Result<()> {
    inner.samples.sync()?;
    let (old, current) = {
        let mut writing = lock(&inner.writing);
        (std::mem::take(&mut writing.unsynced), writing.journal.take_dirty())
    };
    let current = current.map_or(Ok(()), |file| file.and_then(|f| f.sync_data()));
    let current = current.inspect_err(|_| lock(&inner.writing).journal.mark_dirty());
    let earlier = old.iter().try_for_each(File::sync_data);
    if earlier.is_err() {
        lock(&inner.writing).unsynced.extend(old);
    }
    earlier.and(current)
}

/// Lets a new head and a new journal take over, if the head is due and not too many wait; the old head waits to be sealed.
pub fn freeze(inner: &Inner, due: impl Fn(&Head) -> bool) -> io::Result<()> {
    let mut writing = lock(&inner.writing);
    {
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        if view.active.batches.is_empty() || view.frozen.len() >= MAX_WAITING || !due(&view.active) {
            return Ok(());
        }
    }
    // Nobody else adds to the head meanwhile; readers need not wait for the disk.
    let number = writing.journal.number();
    let new = Journal::create(&inner.journals(), number + 1)?;
    let mut old = std::mem::replace(&mut writing.journal, new);
    writing.unsynced.extend(old.take_dirty().transpose()?);
    let mut view = inner.view.write().unwrap_or_else(PoisonError::into_inner);
    let mut head = std::mem::replace(&mut view.active, Head::new(number + 1));
    head.journals.1 = number;
    view.frozen.push(Arc::new(head));
    Ok(())
}

/// Writes the waiting heads into segments, oldest first; then their journals go.
pub fn seal_frozen(inner: &Inner) -> io::Result<()> {
    let _guard = lock(&inner.maintenance);
    loop {
        let oldest = inner.view.read().unwrap_or_else(PoisonError::into_inner).frozen.first().cloned();
        let Some(head) = oldest else { return Ok(()) };
        let dir = inner.segments();
        let mut opened = Vec::new();
        for name in seal(&dir, &head.batches, head.journals)? {
            match Segment::open(&name.path(&dir, Name::SEGMENT), name) {
                Ok(Some(segment)) => opened.push(Arc::new(segment)),
                Ok(None) => return Err(io::Error::other("a segment just written cannot be read")),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        // Positions may be ahead of the sealed journals: their rows are in journals that stay, and must be on the disk before
        // the positions are, since rows that a position covers are not taken again.
        let positions = lock(&inner.writing).positions.all();
        sync(inner)?;
        manifest::write(&inner.options.dir, &Manifest { sealed: head.journals.1, positions })?;
        {
            let mut view = inner.view.write().unwrap_or_else(PoisonError::into_inner);
            view.segments.extend(opened);
            view.frozen.remove(0);
        }
        inner.room.notify_all();
        for number in head.journals.0..=head.journals.1 {
            disk::remove(&journal::path(&inner.journals(), number))?;
        }
        inner.counters.seals.fetch_add(1, Relaxed);
    }
}
