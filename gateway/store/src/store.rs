//! The handle: appending, positions, statistics. Opening is in `opening`, reading in `reading`, background work in `seal`.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parsers::record::{Batch, Position};

use crate::codec::encode_batch;
use crate::disk;
use crate::head::Head;
use crate::journal::{self, Journal};
use crate::merge;
use crate::opening;
use crate::opening::io_error;
use crate::options::{Counters, OpenError, RETRY_FULL, Refused, Stats, StoreOptions, SyncPolicy};
use crate::positions::Positions;
use crate::read::Signal;
use crate::reading::{Listed, Recent, Sections, Sheets};
use crate::retention;
use crate::samples::{self, LeftOut, Samples};
use crate::sampling::{self, Sampling, SamplingStats};
use crate::seal;
use crate::segment::Segment;

/// Sealing 32 MiB takes about this long.
const RETRY_BUSY: Duration = Duration::from_secs(1);
/// How old a look at the free space may be.
const FREE_SPACE_CHECK: Duration = Duration::from_millis(500);
/// Frozen heads that may wait; more would take memory without bound.
pub(crate) const MAX_WAITING: usize = 2;
/// Appends that may wait at a time: each holds a thread of its caller's.
const MAX_BLOCKED: usize = 16;

/// The store; a cheap clone. The last one dropped ends the background threads.
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    wake: Sender<seal::Wake>,
    threads: Mutex<Option<Threads>>,
}

/// What works in the background until the store is closed.
#[derive(Debug)]
struct Threads {
    /// Merging and sampling end when these are dropped.
    go_on: Vec<Sender<()>>,
    running: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) writing: Mutex<Writing>,
    /// Goes with `writing`: a head was sealed.
    pub(crate) room: Condvar,
    pub(crate) blocked: AtomicUsize,
    pub(crate) view: RwLock<View>,
    /// Held while segments are made, dropped or replaced.
    pub(crate) maintenance: Mutex<()>,
    /// Held while segments are merged; taken before `maintenance`.
    pub(crate) merging: Mutex<()>,
    /// What was read of segments beside their records.
    pub(crate) sections: Sections,
    /// Blocks of spans that were read last.
    pub(crate) recent: Recent,
    /// Services of segments.
    pub(crate) listed: Listed,
    /// Samples.
    pub(crate) samples: Samples,
    /// If traces are dropped here, or were.
    pub(crate) sampling: Option<Sampling>,
    /// What spans say of calls.
    pub(crate) sheets: Sheets,
    pub(crate) _lock: File,
}

#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) journal: Journal,
    pub(crate) positions: Positions,
    /// Journals of frozen heads that the disk may not have yet.
    pub(crate) unsynced: Vec<File>,
    free: Option<(Instant, u64)>,
}

/// What readers see.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) active: Head,
    pub(crate) frozen: Vec<Arc<Head>>,
    /// In order of the journals that they cover.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// What retention dropped, in order of the journals: only the ids are left.
    pub(crate) expired: Vec<Arc<Segment>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writing {
    pub(crate) fn new(journal: Journal, positions: Positions) -> Self {
        Self { journal, positions, unsynced: Vec::new(), free: None }
    }
}

impl Inner {
    pub(crate) fn journals(&self) -> PathBuf {
        self.options.dir.join("journal")
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.options.dir.join("segments")
    }

    fn append(&self, batch: Arc<Batch>) -> Result<bool, Refused> {
        let mut decided = {
            let writing = lock(&self.writing);
            (writing.positions.without_repeats(&batch), writing.positions.generation())
        };
        loop {
            let fresh =
                decided.0.as_ref().map_or_else(|| Arc::clone(&batch), |(fresh, _)| Arc::new(fresh.clone()));
            if fresh.is_empty() {
                return Ok(false);
            }
            let record = journal::record(&encode_batch(&fresh));
            let sampling = self.sampling.as_ref().map(|sampling| (sampling, sampling.look_at(&fresh)));
            let mut writing = self.wait_for_room(lock(&self.writing))?;
            if writing.positions.generation() != decided.1 {
                let again = writing.positions.without_repeats(&batch);
                let same = again.as_ref().map(|a| a.1) == decided.0.as_ref().map(|d| d.1);
                decided = (again, writing.positions.generation());
                if !same {
                    continue;
                }
            }
            self.check_free_space(&mut writing)?;
            let sync = self.options.sync == SyncPolicy::EveryBatch;
            writing.journal.append(&record, sync).map_err(|error| Refused::unwritten(&error))?;
            writing.positions.apply(&fresh.positions);
            let c = &self.counters;
            c.batches.fetch_add(1, Relaxed);
            c.logs.fetch_add(fresh.logs.rows.len() as u64, Relaxed);
            c.spans.fetch_add(fresh.spans.rows.len() as u64, Relaxed);
            c.exemplars.fetch_add(fresh.metrics.exemplars.len() as u64, Relaxed);
            c.repeats.fetch_add(decided.0.as_ref().map_or(0, |d| d.1), Relaxed);
            if let Some((sampling, noted)) = sampling {
                let journal = writing.journal.number();
                sampling.note(&noted, (journal, journal), retention::now());
            }
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            view.active.push(fresh);
            return Ok(view.active.bytes >= self.options.head_bytes);
        }
    }

    fn has_room(&self) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.frozen.len() < MAX_WAITING || view.active.bytes < self.options.head_bytes
    }

    /// Waits until a head is sealed, when that is what keeps the active one from being frozen.
    fn wait_for_room<'a>(
        &'a self,
        writing: MutexGuard<'a, Writing>,
    ) -> Result<MutexGuard<'a, Writing>, Refused> {
        if self.has_room() {
            return Ok(writing);
        }
        let blocked = self.blocked.fetch_add(1, Relaxed);
        let wait = if blocked < MAX_BLOCKED { self.options.busy_wait } else { Duration::ZERO };
        let (writing, _) = self
            .room
            .wait_timeout_while(writing, wait, |_| !self.has_room())
            .unwrap_or_else(PoisonError::into_inner);
        self.blocked.fetch_sub(1, Relaxed);
        if self.has_room() { Ok(writing) } else { Err(Refused::Busy { retry_after: RETRY_BUSY }) }
    }

    /// Says once when the disk becomes full, and once when there is room again.
    fn tell_free_space(&self, before: Option<u64>, free: u64) {
        let expected = self.options.min_free_bytes;
        let (was_full, is_full) = (before.is_some_and(|before| before < expected), free < expected);
        let dir = self.options.dir.display();
        if is_full && !was_full {
            tracing::error!(%dir, free, expected, "the disk is full: records are refused until there is room; reading goes on");
        } else if was_full && !is_full {
            tracing::info!(%dir, free, "there is room again: records are taken");
        }
    }

    fn check_free_space(&self, writing: &mut Writing) -> Result<(), Refused> {
        let now = Instant::now();
        let free = match writing.free {
            Some((at, free)) if now.duration_since(at) < FREE_SPACE_CHECK => free,
            before => {
                let free = disk::free(&self.options.dir).unwrap_or(u64::MAX);
                self.tell_free_space(before.map(|(_, free)| free), free);
                writing.free = Some((now, free));
                free
            }
        };
        if free < self.options.min_free_bytes {
            let detail = format!("{free} bytes free, expected at least {}", self.options.min_free_bytes);
            return Err(Refused::Full { detail, retry_after: RETRY_FULL });
        }
        Ok(())
    }
}

impl Store {
    /// Opens a data directory, or makes one: reads the segments' footers and replays the journal.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let inner = Arc::new(opening::open(options)?);
        let (wake, woken) = channel();
        let (merge_on, stop) = channel();
        let (sample_on, stop_sampling) = channel();
        let (samples_on, stop_samples) = channel();
        let threads = Threads { go_on: vec![merge_on, sample_on, samples_on], running: Vec::new() };
        let handle = Handle { inner, wake, threads: Mutex::new(Some(threads)) };
        let (sealing, merging) = (Arc::clone(&handle.inner), Arc::clone(&handle.inner));
        if handle.inner.sampling.is_some() {
            let inner = Arc::clone(&handle.inner);
            handle.start("store-sample", move || {
                if let Some(sampling) = &inner.sampling {
                    sampling::run(&inner, sampling, &stop_sampling);
                }
            })?;
        }
        let of_samples = Arc::clone(&handle.inner);
        handle.start("store-samples", move || samples::run(&of_samples.samples, &stop_samples))?;
        handle.start("store-seal", move || seal::run(&sealing, &woken))?;
        handle.start("store-merge", move || merge::run(&merging, &stop))?;
        Ok(Self(Arc::new(handle)))
    }

    /// Takes a batch whole or not at all. On return it is with the operating system (or on the disk, as the policy says), and
    /// found by every read. Rows that a file's position says are here already are dropped.
    /// What of its samples is not kept comes back.
    pub fn append(&self, batch: Arc<Batch>) -> Result<LeftOut, Refused> {
        let c = &self.0.inner.counters;
        let inner = &self.0.inner;
        let appended = inner.samples.part_from(batch).and_then(|(left_out, batch)| {
            let full = if batch.is_empty() { Ok(false) } else { inner.append(batch) };
            full.map(|full| (left_out, full))
        });
        let answer = appended.inspect_err(|refused| {
            let counter = match refused {
                Refused::Busy { .. } => &c.refused_busy,
                Refused::Full { .. } => &c.refused_full,
                Refused::Failed { .. } => &c.refused_failed,
            };
            counter.fetch_add(1, Relaxed);
        });
        if answer.as_ref().map_or(true, |(_, full)| *full) {
            // The batch is taken in any case; what keeps the head from being frozen is met by the background thread, too.
            if let Err(error) = seal::freeze(inner, |head| head.bytes >= inner.options.head_bytes) {
                tracing::warn!(%error, "a new journal could not be started");
            }
            // The thread lives as long as the handle; a failed send means that the store is closed.
            let _ = self.0.wake.send(seal::Wake::Work);
        }
        answer.map(|(left_out, _)| left_out)
    }

    /// How many values each label of the series that are written to has: so many labels, those with most values first.
    pub fn values_by_label(&self, most: usize) -> Vec<(String, u64)> {
        self.0.inner.samples.values_by_label(most)
    }

    /// How far an agent has been acknowledged in each file.
    pub fn positions(&self, agent: &str) -> Vec<Position> {
        lock(&self.0.inner.writing).positions.of(agent)
    }

    /// What is counted.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.inner.counters)
    }

    /// What sampling decided, if traces are sampled here, or were.
    pub fn sampling(&self) -> Option<SamplingStats> {
        self.0.inner.sampling.as_ref().map(Sampling::stats)
    }

    /// What is stored now.
    pub fn stats(&self) -> Stats {
        let inner = &self.0.inner;
        let mut stats = Stats::default();
        if let Ok(numbers) = journal::list(&inner.journals()) {
            stats.journal_bytes =
                numbers.iter().map(|n| disk::size(&journal::path(&inner.journals(), *n))).sum();
        }
        inner.samples.count(&mut stats);
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        stats.waiting_heads += view.frozen.len() as u64;
        view.active.count(&mut stats);
        view.frozen.iter().for_each(|h| h.count(&mut stats));
        for s in &view.segments {
            let signal = match s.name.signal {
                Signal::Logs => &mut stats.logs,
                Signal::Traces => &mut stats.traces,
                Signal::Metrics => &mut stats.metrics,
            };
            signal.bytes += s.bytes;
            signal.segments += 1;
            signal.add(s.records, s.footer.first, s.footer.last);
        }
        let sum = |list: &[&AtomicU64]| list.iter().map(|c| c.load(Relaxed)).sum();
        let c = &inner.counters;
        stats.damaged =
            sum(&[&c.damaged_manifests, &c.damaged_journals, &c.damaged_segments, &c.damaged_blocks]);
        stats.full = disk::free(&inner.options.dir).is_ok_and(|free| free < inner.options.min_free_bytes);
        stats.refused = sum(&[&c.refused_busy, &c.refused_full, &c.refused_failed]);
        stats
    }

    /// Seals all that is in memory now, instead of waiting for bytes or minutes.
    pub fn seal(&self) -> io::Result<()> {
        self.0.inner.samples.seal_due(true)?;
        seal::seal_frozen(&self.0.inner)?;
        seal::freeze(&self.0.inner, |_| true)?;
        seal::seal_frozen(&self.0.inner)
    }

    /// Merges small segments now, instead of waiting for the background to come to it.
    #[cfg(test)]
    pub(crate) fn merge(&self) {
        let mut passed_over = Default::default();
        while merge::merge_once(&self.0.inner, &mut passed_over) {}
        while self.0.inner.samples.merge_once(&mut passed_over) {}
    }

    /// Ends the background threads and syncs the journal. What is in memory is in the journal, too, and comes back.
    pub fn close(&self) {
        self.0.stop();
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0.inner
    }
}

impl Handle {
    fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(io_error("start a thread for", &self.inner.options.dir))?;
        if let Some(threads) = &mut *lock(&self.threads) {
            threads.running.push(thread);
        }
        Ok(())
    }

    fn stop(&self) {
        let Some(Threads { go_on, running }) = lock(&self.threads).take() else { return };
        drop(go_on);
        // A thread that ended already has nothing to be told.
        let _ = self.wake.send(seal::Wake::Stop);
        for thread in running {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
