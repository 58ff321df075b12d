//! Samples: a journal, heads and segments of their own, all by series. A batch's samples come here, the rest of it goes to the
//! store's common journal and head; samples are told from repeats by their times, so that neither needs to wait for the other.

mod chunk;
mod earlier;
mod head;
mod index;
mod indexed;
mod limits;
mod opening;
mod plan;
mod postings;
mod record;
mod room;
mod seal;
mod select;
mod series;
mod symbols;
mod table;
#[cfg(test)]
mod tests;
mod work;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use parsers::record::{Batch, ByteRange, ExemplarRow, MetricBatch, SampleRow};

use crate::disk;
use crate::journal::{self, Journal};
use crate::options::{Counters, RETRY_FULL, Refused, Stats, SyncPolicy};
use crate::segment::Segment;
use crate::store::lock;

pub use limits::{LeftOut, MAX_SERIES, OUT_OF_ORDER, SampleOptions, SeriesStatistics};
pub(crate) use select::Gathered;
pub(crate) use series::Whole;
pub(crate) use work::{forget, run, segments_of};

use earlier::{Before, Newest, Sealed};
use head::Head;
use indexed::{Indexed, Pages};
use plan::Plan;
use record::Record;

/// Folder of the segments; their journals lie in one below it.
const FOLDER: &str = "samples";
/// Sealing a head of a million series takes some of these.
const RETRY: Duration = Duration::from_secs(1);
/// How old a look at the free space may be.
const FREE_SPACE_CHECK: Duration = Duration::from_millis(500);
/// How often it is said that there are too many series.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What was taken once is taken again.
const ALL: SampleOptions = SampleOptions { max_series: usize::MAX, reserved: 0, out_of_order: Duration::MAX };

/// All samples.
#[derive(Debug)]
pub(crate) struct Samples {
    dir: PathBuf,
    options: SampleOptions,
    sync: SyncPolicy,
    min_free_bytes: u64,
    busy_wait: Duration,
    counters: Arc<Counters>,
    writing: Mutex<Writing>,
    /// Goes with `writing`: a head was sealed.
    room: Condvar,
    view: RwLock<View>,
    /// Held while segments are made, dropped or replaced.
    maintenance: Mutex<()>,
    pages: Pages,
}

#[derive(Debug)]
struct Writing {
    journal: Journal,
    /// Journals of frozen heads that the disk may not have yet.
    unsynced: Vec<File>,
    free: Option<(Instant, u64)>,
    told: Option<Instant>,
}

/// What readers see.
#[derive(Debug)]
struct View {
    active: Head,
    frozen: Option<Arc<Head>>,
    /// In order of the journals that they cover.
    segments: Vec<Arc<Indexed>>,
    /// What was newest when the last head was sealed.
    sealed: Arc<Sealed>,
}

impl Samples {
    fn journals(&self) -> PathBuf {
        self.dir.join("journal")
    }

    fn read<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.view.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the samples of a batch, and what it says of families. On return they are with the operating system (or on the disk,
    /// as the policy says), and found by every read. Those that are not kept are counted, for the sender to be told.
    fn append(&self, batch: &MetricBatch, options: &SampleOptions) -> Result<LeftOut, Refused> {
        let mut writing = lock(&self.writing);
        let crowded = |samples: &Self| samples.read(|view| view.frozen.is_some() && view.active.is_full());
        if crowded(self) {
            let waited = self.room.wait_timeout_while(writing, self.busy_wait, |_| crowded(self));
            writing = waited.unwrap_or_else(PoisonError::into_inner).0;
            if crowded(self) {
                return Err(Refused::Busy { retry_after: RETRY });
            }
        }
        self.check_free_space(&mut writing)?;
        let left_out = self.take(&mut writing, batch, options)?;
        if self.read(|view| view.active.is_full()) {
            // What keeps the head from being frozen is met by the background thread, too.
            if let Err(error) = self.freeze(&mut writing) {
                tracing::warn!(%error, "a new journal of samples could not be started");
            }
        }
        Ok(left_out)
    }

    fn take(
        &self,
        writing: &mut Writing,
        batch: &MetricBatch,
        options: &SampleOptions,
    ) -> Result<LeftOut, Refused> {
        let (record, mut left_out) = self.plan(batch, options);
        if !record.is_empty() {
            let packed = journal::record(&record.encode());
            let sync = self.sync == SyncPolicy::EveryBatch;
            writing.journal.append(&packed, sync).map_err(|error| Refused::unwritten(&error))?;
            self.counters.samples.fetch_add(record.rows.len() as u64, Relaxed);
            self.change(|view| view.active.apply(record));
        }
        self.counters.late_samples.fetch_add(left_out.late, Relaxed);
        self.counters.unlisted_samples.fetch_add(left_out.over_limit, Relaxed);
        self.counters.repeated_samples.fetch_add(left_out.repeats, Relaxed);
        self.counters.conflicting_samples.fetch_add(left_out.conflicts, Relaxed);
        if left_out.refused() > 0 {
            self.read(|view| left_out.explain(&view.active, options));
            if left_out.over_limit > 0 && writing.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                writing.told = Some(Instant::now());
                tracing::warn!(reason = left_out.reason, "new series are refused");
            }
        }
        Ok(left_out)
    }

    /// What of a batch is new, as it is journalled, and what of it is not taken.
    fn plan(&self, batch: &MetricBatch, options: &SampleOptions) -> (Record, LeftOut) {
        let mut plan = Plan::new(batch, options);
        self.change(|view| {
            let View { active, frozen, sealed, .. } = view;
            plan.first(active, Before { frozen: frozen.as_deref(), sealed });
        });
        if !plan.deferred.is_empty() {
            // Only one plans at a time, but what was before is read while others read.
            let (frozen, segments) = self.read(|view| (view.frozen.clone(), view.segments.clone()));
            let find = |(number, row): (u32, &SampleRow)| {
                let labels = batch.series.get(row.series as usize)?;
                let newest = Newest::find(labels, row.time, frozen.as_deref(), &segments, &self.pages);
                Some((number, newest))
            };
            let found = plan.to_look_up().filter_map(find).collect();
            self.change(|view| plan.then(&mut view.active, &found));
        }
        (plan.record, plan.left_out)
    }

    /// Takes the samples out of a batch, and gives the rest of it.
    pub(crate) fn part_from(&self, batch: Arc<Batch>) -> Result<(LeftOut, Arc<Batch>), Refused> {
        if !has_part(&batch.metrics) {
            return Ok((LeftOut::default(), batch));
        }
        let left_out = self.append(&batch.metrics, &self.options)?;
        let rest = without_samples(Arc::unwrap_or_clone(batch));
        if rest.is_empty() {
            self.counters.batches.fetch_add(1, Relaxed);
        }
        Ok((left_out, Arc::new(rest)))
    }

    /// Takes the samples out of a batch that an earlier version journalled whole.
    pub(crate) fn take_over(&self, batch: Batch) -> Result<Batch, Refused> {
        if !has_part(&batch.metrics) {
            return Ok(batch);
        }
        self.take(&mut lock(&self.writing), &batch.metrics, &ALL)?;
        Ok(without_samples(batch))
    }

    /// Takes the samples of a block that an earlier version wrote.
    pub(crate) fn move_in(&self, metrics: &MetricBatch) -> Result<(), Refused> {
        if has_part(metrics) { self.append(metrics, &ALL).map(|_| ()) } else { Ok(()) }
    }

    fn check_free_space(&self, writing: &mut Writing) -> Result<(), Refused> {
        let now = Instant::now();
        let free = match writing.free {
            Some((at, free)) if now.duration_since(at) < FREE_SPACE_CHECK => free,
            _ => {
                let free = disk::free(&self.dir).unwrap_or(u64::MAX);
                writing.free = Some((now, free));
                free
            }
        };
        if free < self.min_free_bytes {
            let detail = format!("{free} bytes free, expected at least {}", self.min_free_bytes);
            return Err(Refused::Full { detail, retry_after: RETRY_FULL });
        }
        Ok(())
    }

    /// Lets a new head and a new journal take over, unless one waits to be sealed already.
    fn freeze(&self, writing: &mut Writing) -> io::Result<()> {
        if self.read(|view| view.active.is_empty() || view.frozen.is_some()) {
            return Ok(());
        }
        let number = writing.journal.number();
        let new = Journal::create(&self.journals(), number + 1)?;
        let mut old = std::mem::replace(&mut writing.journal, new);
        writing.unsynced.extend(old.take_dirty().transpose()?);
        self.change(|view| {
            let mut head = std::mem::replace(&mut view.active, Head::new(number + 1));
            head.journals.1 = number;
            view.frozen = Some(Arc::new(head));
        });
        Ok(())
    }

    /// Hands what is journalled to the disk itself.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (old, current) = {
            let mut writing = lock(&self.writing);
            (std::mem::take(&mut writing.unsynced), writing.journal.take_dirty())
        };
        let current = current.map_or(Ok(()), |file| file.and_then(|f| f.sync_data()));
        let current = current.inspect_err(|_| lock(&self.writing).journal.mark_dirty());
        let earlier = old.iter().try_for_each(File::sync_data);
        if earlier.is_err() {
            lock(&self.writing).unsynced.extend(old);
        }
        earlier.and(current)
    }

    /// Adds what is stored.
    pub(crate) fn count(&self, stats: &mut Stats) {
        if let Ok(numbers) = journal::list(&self.journals()) {
            let sizes = numbers.iter().map(|n| disk::size(&journal::path(&self.journals(), *n)));
            stats.journal_bytes += sizes.sum::<u64>();
        }
        self.read(|view| {
            for head in view.frozen.iter().map(|head| &**head).chain([&view.active]) {
                stats.metrics.merge(head.held());
                stats.head_bytes += head.bytes() as u64;
            }
            stats.active_series = view.active.sent_series(&self.options) as u64;
            stats.max_series = self.options.max_series as u64;
            stats.waiting_heads += u64::from(view.frozen.is_some());
            for indexed in &view.segments {
                let s: &Segment = &indexed.segment;
                stats.metrics.bytes += s.bytes;
                stats.metrics.segments += 1;
                stats.metrics.add(s.records, s.footer.first, s.footer.last);
            }
        });
    }

    /// How many values each label of the series that are written to has, those with most first.
    pub(crate) fn values_by_label(&self, most: usize) -> Vec<(String, u64)> {
        let names = self.read(|view| view.active.index.values_by_name());
        names.into_iter().take(most).map(|(name, values)| (name.to_string(), values as u64)).collect()
    }

    /// What the series that are written to are made of.
    pub(crate) fn statistics(&self) -> SeriesStatistics {
        self.read(|view| SeriesStatistics::of(&view.active, &self.options))
    }
}

/// Whether something of a batch belongs here.
fn has_part(metrics: &MetricBatch) -> bool {
    !metrics.samples.is_empty() || !metrics.families.is_empty()
}

/// What is left of a batch: of its metrics the exemplars, with their series.
fn without_samples(mut batch: Batch) -> Batch {
    let from = std::mem::take(&mut batch.metrics);
    let rest = &mut batch.metrics;
    let mut places = vec![u32::MAX; from.series.len()];
    for exemplar in &from.exemplars {
        let (Some(place), Some(labels)) =
            (places.get_mut(exemplar.series as usize), from.series.get(exemplar.series as usize))
        else {
            continue;
        };
        if *place == u32::MAX {
            *place = rest.series.len() as u32;
            rest.series.push(Arc::clone(labels));
        }
        let start = rest.meta.len() as u32;
        rest.meta.extend_from_slice(exemplar.labels.of(&from.meta));
        let labels = ByteRange { start, end: rest.meta.len() as u32 };
        rest.exemplars.push(ExemplarRow { series: *place, labels, ..*exemplar });
    }
    batch
}

fn folders(dir: &Path) -> (PathBuf, PathBuf) {
    let segments = dir.join(FOLDER);
    let journals = segments.join("journal");
    (segments, journals)
}
