//! What was read, what was found, what is behind and what was lost, in all and for each container.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parsers::container::ContainerLine;
use parsers::derived::RuleIndex;
use parsers::record::FileId;

use crate::line_metrics::LineMetrics;

/// Losses of one container that are kept with their places; older ones only count.
const LOSSES_KEPT: usize = 16;

/// Containers that are gone of which the losses are remembered by name.
const MAX_DEPARTED: usize = 1_000;

/// Why bytes were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// A record was longer than the limit and lost its end.
    LineTooLong,
    /// A file was cut, or written anew, before it was read to its end.
    Truncated,
    /// A file went, or was written anew, while nobody was reading.
    RotatedAway,
}

impl Lost {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::LineTooLong, Self::Truncated, Self::RotatedAway];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::Truncated => "truncated",
            Self::RotatedAway => "rotated_away",
        }
    }
}

/// Bytes that existed and will not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub reason: Lost,
    /// In which file.
    pub file: Option<FileId>,
    /// Offset in the file at which it begins.
    pub from: u64,
    /// Offset at which it ends; `None` where nobody saw how much there was.
    pub to: Option<u64>,
    /// How many bytes between the two are lost, as far as known: of a line that was cut, its head is not.
    pub bytes: u64,
    /// When it was noticed, in nanoseconds since the epoch.
    pub time: u64,
}

impl Loss {
    /// What a record lost that was longer than the limit. `end` is where its file goes on after it.
    pub(crate) fn of_line(record: &ContainerLine<'_>, file: FileId, end: u64, time: u64) -> Self {
        let from = if record.began.files_back == 0 { record.began.offset } else { 0 };
        let (reason, bytes) = (Lost::LineTooLong, record.truncated);
        Self { reason, file: Some(file), from, to: Some(end), bytes, time }
    }
}

/// One container's (or one plain file's) figures, over all its generations and since the start.
#[derive(Debug, Default)]
pub struct ContainerReport {
    /// Path of the file being written.
    pub path: Arc<str>,
    /// Namespace; empty outside the pods layout.
    pub namespace: Arc<str>,
    /// Pod; empty outside the pods layout.
    pub pod: Arc<str>,
    /// Container; outside the pods layout the file's stem.
    pub container: Arc<str>,
    /// Records emitted.
    pub lines: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Bytes acknowledged by the sink.
    pub acknowledged: AtomicU64,
    /// Bytes written but not yet acknowledged.
    pub behind: AtomicU64,
    /// Files open.
    pub open: AtomicU64,
    /// Records of which invalid UTF-8 was replaced.
    pub invalid_utf8: AtomicU64,
    /// When the last record was written that was read, in nanoseconds since the epoch; 0 where none was since nothing waited.
    pub(crate) newest: AtomicU64,
    /// Since when complete lines wait for their acknowledgement, in nanoseconds since the epoch; 0 if none do.
    pub(crate) waiting_since: AtomicU64,
    /// What its pod wishes that cannot be, for people.
    pub problems: Vec<String>,
    rules: Arc<[Arc<str>]>,
    /// Records in which a rule found a trace id, by [`RuleIndex`].
    linked: Box<[AtomicU64]>,
    /// The same under the rules of earlier configurations.
    linked_before: BTreeMap<Arc<str>, u64>,
    lost: [AtomicU64; 3],
    losses: [AtomicU64; 3],
    recent: Mutex<VecDeque<Loss>>,
}

impl ContainerReport {
    /// Of a container of which nothing was read, under these rules.
    pub(crate) fn new(path: &Arc<str>, names: [&str; 3], rules: Arc<[Arc<str>]>) -> Self {
        let [namespace, pod, container] = names.map(Arc::from);
        let linked = rules.iter().map(|_| AtomicU64::new(0)).collect();
        Self { path: Arc::clone(path), namespace, pod, container, rules, linked, ..Self::default() }
    }

    /// Goes on with the figures of the same container under an earlier configuration.
    pub(crate) fn going_on_from(self, before: &Self) -> Self {
        let copy = |from: &AtomicU64| AtomicU64::new(get(from));
        Self {
            lines: copy(&before.lines),
            bytes: copy(&before.bytes),
            acknowledged: copy(&before.acknowledged),
            behind: copy(&before.behind),
            open: copy(&before.open),
            invalid_utf8: copy(&before.invalid_utf8),
            newest: copy(&before.newest),
            waiting_since: copy(&before.waiting_since),
            linked_before: before.linked(),
            lost: before.lost.each_ref().map(copy),
            losses: before.losses.each_ref().map(copy),
            recent: Mutex::new(locked(&before.recent).clone()),
            ..self
        }
    }

    pub(crate) fn lose(&self, loss: Loss) {
        let index = loss.reason as usize;
        if let (Some(bytes), Some(times)) = (self.lost.get(index), self.losses.get(index)) {
            bytes.fetch_add(loss.bytes, Ordering::Relaxed);
            times.fetch_add(1, Ordering::Relaxed);
        }
        let mut recent = locked(&self.recent);
        if recent.len() == LOSSES_KEPT {
            recent.pop_front();
        }
        recent.push_back(loss);
    }

    pub(crate) fn link(&self, rule: RuleIndex) {
        if let Some(counter) = self.linked.get(rule as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes known to be lost for this reason.
    pub fn lost(&self, reason: Lost) -> u64 {
        self.lost.get(reason as usize).map_or(0, get)
    }

    /// How many times something was lost for this reason, also where nobody knows how much.
    pub fn losses(&self, reason: Lost) -> u64 {
        self.losses.get(reason as usize).map_or(0, get)
    }

    /// The last losses with their places, oldest first.
    pub fn recent_losses(&self) -> Vec<Loss> {
        locked(&self.recent).iter().copied().collect()
    }

    /// Records in which each rule found a trace id; rules that found none are left out.
    pub fn linked(&self) -> BTreeMap<Arc<str>, u64> {
        let mut linked = self.linked_before.clone();
        for (name, counter) in self.rules.iter().zip(&self.linked) {
            add(&mut linked, name, get(counter));
        }
        linked
    }

    /// Nanoseconds between the writing of a line and now for the oldest line that waits, as far as known: a line's own time
    /// says when it was written. 0 if none waits.
    pub fn lag(&self, now: u64) -> u64 {
        match get(&self.waiting_since) {
            0 => 0,
            since => now.saturating_sub(match get(&self.newest) {
                0 => since,
                written => written.min(since),
            }),
        }
    }
}

/// Figures of the whole tailer, and the way to those of each container.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records emitted.
    pub lines: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Files found to be shorter than before, or written anew.
    pub truncations: AtomicU64,
    /// Noted positions that did not hold any more; the file was read from its beginning.
    pub position_mismatches: AtomicU64,
    /// Times that the kernel dropped events and all folders were looked through instead.
    pub event_overflows: AtomicU64,
    /// Folders that could not be watched; 1 or more means that folders are polled.
    pub unwatched_folders: AtomicU64,
    /// Files that could not be opened or read; tried again.
    pub read_errors: AtomicU64,
    /// Files that wait to be opened until others are closed.
    pub waiting_files: AtomicU64,
    /// Lines of containers of which nothing was known but the path, where more should have been.
    pub unknown_pod_lines: AtomicU64,
    /// Batches that the sink refused; offered again.
    pub refusals: AtomicU64,
    /// What `metrics` stages have counted.
    pub line_metrics: LineMetrics,
    /// Lines that stages dropped on purpose, by the stages' reasons.
    dropped: Mutex<BTreeMap<String, u64>>,
    containers: Mutex<BTreeMap<Arc<str>, Arc<ContainerReport>>>,
    /// Records in which a rule found an id, of containers that are gone.
    departed_linked: Mutex<BTreeMap<Arc<str>, u64>>,
    /// What containers had lost that are gone.
    departed_losses: Mutex<Losses>,
}

/// Times that containers lost something, and bytes as far as known: by namespace, pod and container, and by the reason.
pub type Losses = BTreeMap<([Arc<str>; 3], Lost), (u64, u64)>;

impl Counters {
    /// The containers being tailed, by path.
    pub fn containers(&self) -> Vec<Arc<ContainerReport>> {
        locked(&self.containers).values().cloned().collect()
    }

    /// Bytes written but not yet acknowledged, of all containers.
    pub fn behind(&self) -> u64 {
        self.containers().iter().map(|container| get(&container.behind)).sum()
    }

    /// The greatest [`ContainerReport::lag`].
    pub fn lag(&self, now: u64) -> u64 {
        self.containers().iter().map(|container| container.lag(now)).max().unwrap_or_default()
    }

    /// What each container has lost for each reason, in all of the files that it wrote one after the other.
    pub fn losses(&self) -> Losses {
        let mut sums = locked(&self.departed_losses).clone();
        self.containers().iter().for_each(|file| add_losses(&mut sums, file, usize::MAX));
        sums
    }

    /// Records in which each rule found a trace id since the start; rules that found none are left out.
    pub fn linked(&self) -> BTreeMap<Arc<str>, u64> {
        let mut sum = locked(&self.departed_linked).clone();
        for container in self.containers() {
            container.linked().iter().for_each(|(rule, count)| add(&mut sum, rule, *count));
        }
        sum
    }

    /// Lines that stages dropped on purpose, by the stages' reasons.
    pub fn dropped_lines(&self) -> BTreeMap<String, u64> {
        locked(&self.dropped).clone()
    }

    pub(crate) fn dropped(&self, reason: &str) {
        let mut dropped = locked(&self.dropped);
        match dropped.get_mut(reason) {
            Some(count) => *count += 1,
            // Reasons are words of the configuration, so there are few.
            None => drop(dropped.insert(reason.to_owned(), 1)),
        }
    }

    /// A container is read from now on, or goes on under another report.
    pub(crate) fn arrived(&self, report: Arc<ContainerReport>) {
        locked(&self.containers).insert(Arc::clone(&report.path), report);
    }

    pub(crate) fn departed(&self, path: &str) {
        let gone = locked(&self.containers).remove(path);
        if let Some(gone) = gone {
            add_losses(&mut locked(&self.departed_losses), &gone, MAX_DEPARTED);
            let mut sum = locked(&self.departed_linked);
            gone.linked().iter().for_each(|(rule, count)| add(&mut sum, rule, *count));
        }
    }
}

/// Adds what a file has lost. Of more than `most` containers the others are summed up without their names.
fn add_losses(sums: &mut Losses, file: &ContainerReport, most: usize) {
    let name = [&file.namespace, &file.pod, &file.container].map(Arc::clone);
    for reason in Lost::ALL.into_iter().filter(|reason| file.losses(*reason) > 0) {
        let mut key = (name.clone(), reason);
        if sums.len() >= most && !sums.contains_key(&key) {
            key.0 = Default::default();
        }
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + file.losses(reason), sum.1 + file.lost(reason));
    }
}

fn add(sum: &mut BTreeMap<Arc<str>, u64>, rule: &Arc<str>, count: u64) {
    if count > 0 {
        *sum.entry(Arc::clone(rule)).or_default() += count;
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
