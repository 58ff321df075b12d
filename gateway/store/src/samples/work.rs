//! Background work on a thread of its own: heads of samples become segments, small segments larger ones.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::Samples;
use super::indexed::Indexed;
use super::seal;
use crate::disk;
use crate::journal;
use crate::merge::choose;
use crate::options::OpenError;
use crate::segment::{MergeError, Name, Segment};
use crate::store::lock;

/// How often it is looked for work.
const TICK: Duration = Duration::from_secs(1);

/// Runs until the other end is dropped.
pub(crate) fn run(samples: &Samples, stop: &Receiver<()>) {
    let mut passed_over = FxHashSet::default();
    while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let stopped = || stop.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty);
        if let Err(error) = samples.seal_due(false) {
            samples.counters.background_failures.fetch_add(1, Relaxed);
            tracing::warn!(%error, "sealing samples failed and will be tried again");
        }
        while samples.merge_once(&mut passed_over) && !stopped() {}
    }
}

/// The segments of samples, for retention.
pub(crate) fn segments_of(samples: &Samples) -> Vec<Arc<Segment>> {
    samples.read(|view| view.segments.iter().map(|indexed| Arc::clone(&indexed.segment)).collect())
}

/// Drops a segment of samples, if it is one.
pub(crate) fn forget(samples: &Samples, dropped: &Segment) -> io::Result<bool> {
    let _guard = lock(&samples.maintenance);
    let is_it = |indexed: &Indexed| indexed.segment.path == dropped.path;
    let there = samples.change(|view| {
        let before = view.segments.len();
        view.segments.retain(|indexed| !is_it(indexed));
        before > view.segments.len()
    });
    if there {
        disk::remove(&dropped.path)?;
    }
    Ok(there)
}

fn opened(samples: &Samples, name: Name) -> io::Result<Arc<Indexed>> {
    match Segment::open(&name.path(&samples.dir, Name::SEGMENT), name) {
        Ok(Some(segment)) => Ok(Arc::new(Indexed::open(Arc::new(segment), &samples.counters))),
        Ok(None) => Err(io::Error::other("a segment just written cannot be read")),
        Err(error @ OpenError::Io { .. }) => Err(io::Error::other(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}

impl Samples {
    /// Seals what waits, and the active head if it is old, or in any case.
    pub(crate) fn seal_due(&self, now: bool) -> io::Result<()> {
        self.seal_frozen()?;
        {
            let mut writing = lock(&self.writing);
            if now || self.read(|view| view.active.is_old() || view.active.is_full()) {
                self.freeze(&mut writing)?;
            }
        }
        self.seal_frozen()
    }

    fn seal_frozen(&self) -> io::Result<()> {
        let _guard = lock(&self.maintenance);
        let Some(head) = self.read(|view| view.frozen.clone()) else { return Ok(()) };
        let names = seal::seal(&self.dir, &head)?;
        let segments = names.into_iter().map(|name| opened(self, name)).collect::<io::Result<Vec<_>>>()?;
        let sealed = Arc::new(self.read(|view| Arc::clone(&view.sealed)).then(&head));
        self.change(|view| {
            view.segments.extend(segments);
            view.frozen = None;
            view.sealed = sealed;
        });
        self.room.notify_all();
        for number in head.journals.0..=head.journals.1 {
            disk::remove(&journal::path(&self.journals(), number))?;
        }
        self.counters.seals.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Merges one group of segments, if there is one. Those that cannot be read are passed over from then on.
    pub(crate) fn merge_once(&self, passed_over: &mut FxHashSet<Name>) -> bool {
        let all = segments_of(self);
        let Some(group) = choose(&all, |segment| passed_over.contains(&segment.name)) else { return false };
        let is_part = |indexed: &Arc<Indexed>| group.iter().any(|part| part.path == indexed.segment.path);
        let parts: Vec<Arc<Indexed>> =
            self.read(|view| view.segments.iter().filter(|s| is_part(s)).cloned().collect());
        if parts.len() != group.len() {
            return false;
        }
        let merged = seal::merge(&self.dir, &parts).and_then(|name| Ok(opened(self, name)?));
        match merged {
            Ok(merged) => match self.put(&parts, merged) {
                Ok(()) => return true,
                Err(error) => self.failed(&error),
            },
            Err(MergeError::Damaged(name)) => {
                tracing::error!(segment = name.stem(), "the segment has damaged parts and is not merged");
                passed_over.insert(name);
                return true;
            }
            Err(MergeError::Io(error)) => self.failed(&error),
        }
        false
    }

    fn failed(&self, error: &io::Error) {
        self.counters.background_failures.fetch_add(1, Relaxed);
        tracing::warn!(%error, "merging segments of samples failed and will be tried again");
    }

    /// Lets a merged segment take the place of its parts. Retention may have dropped one meanwhile: then it is thrown away.
    fn put(&self, parts: &[Arc<Indexed>], merged: Arc<Indexed>) -> io::Result<()> {
        let _guard = lock(&self.maintenance);
        let is_part = |s: &Arc<Indexed>| parts.iter().any(|part| Arc::ptr_eq(part, s));
        let unwanted = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            if view.segments.iter().filter(|s| is_part(s)).count() == parts.len() {
                let at = view.segments.iter().position(is_part).unwrap_or(0);
                view.segments.retain(|s| !is_part(s));
                view.segments.insert(at, merged);
                None
            } else {
                Some(merged.segment.path.clone())
            }
        };
        if let Some(path) = unwanted {
            return disk::remove(&path);
        }
        self.counters.merges.fetch_add(1, Relaxed);
        parts.iter().try_for_each(|part| disk::remove(&part.segment.path))
    }
}
