//! How a store is opened, and the plain answers that it gives about itself: options, refusals, counters, statistics.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::samples::SampleOptions;
use crate::sampling::SamplingOptions;

/// One head is frozen and written while another fills; with both, the request bodies and the encoder, memory stays under a
/// quarter of a gigabyte.
pub const HEAD_BYTES: usize = 32 << 20;
/// A quiet store seals every now and then, so that a restart replays little.
pub const HEAD_AGE: Duration = Duration::from_mins(10);
/// What a power failure may cost; `kill -9` costs nothing.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Room for sealing what is in memory, and for others on the same disk.
pub const MIN_FREE_BYTES: u64 = 256 << 20;

/// When the journal goes to the disk itself. Every answer waits for the operating system to have the bytes in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// fsync in the background, this often.
    Interval(Duration),
    /// fsync before each answer.
    EveryBatch,
}

/// How long records of one signal stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Segments whose newest record is older are dropped.
    pub age: Option<Duration>,
    /// The oldest segments are dropped while the signal takes more bytes on disk.
    pub bytes: Option<u64>,
}

/// How long records stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Log records.
    pub logs: Keep,
    /// Spans.
    pub traces: Keep,
    /// Samples and exemplars.
    pub metrics: Keep,
    /// The oldest segments of any signal are dropped while all together take more bytes.
    pub max_bytes: Option<u64>,
}

/// Sealing a head takes a fraction of this, so a sender waits rather than sends its batch a second time.
pub const BUSY_WAIT: Duration = Duration::from_secs(2);

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// When the journal is synced.
    pub sync: SyncPolicy,
    /// The head is sealed when its buffers hold this many bytes.
    pub head_bytes: usize,
    /// The head is sealed when its oldest batch was appended this long ago.
    pub head_age: Duration,
    /// How long a batch waits for a head to be sealed before it is refused.
    pub busy_wait: Duration,
    /// Batches are refused while the file system has less free space.
    pub min_free_bytes: u64,
    /// How long records stay.
    pub retention: Retention,
    /// Which traces stay at all; `None` keeps every one.
    pub sampling: Option<SamplingOptions>,
    /// Which samples are taken.
    pub samples: SampleOptions,
}

impl StoreOptions {
    /// The defaults, in this directory; everything is kept.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync: SyncPolicy::Interval(SYNC_INTERVAL),
            head_bytes: HEAD_BYTES,
            head_age: HEAD_AGE,
            busy_wait: BUSY_WAIT,
            min_free_bytes: MIN_FREE_BYTES,
            retention: Retention::default(),
            sampling: None,
            samples: SampleOptions::default(),
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {}: another process has it open (lock file `lock`); stop it or give another directory", dir.display())]
    Locked {
        /// Which directory.
        dir: PathBuf,
    },
    /// Written by a newer program.
    #[error("{}: format version {found}, expected at most {known}; it was written by a newer Trefoil", file.display())]
    Version {
        /// Which file.
        file: PathBuf,
        /// Its version.
        found: u8,
        /// The newest that is read here.
        known: u8,
    },
    /// The file system.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

/// Why a batch was not taken. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Two heads wait to be sealed.
    #[error("the store is busy sealing")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full, or nearly.
    #[error("the disk is full: {detail}")]
    Full {
        /// What was found and what was expected.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The journal could not be written.
    #[error("the journal could not be written: {detail}")]
    Failed {
        /// What the file system said.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
}

/// When to try again where the disk is in the way: somebody has to make room first.
pub(crate) const RETRY_FULL: Duration = Duration::from_secs(10);

impl Refused {
    /// For a journal that could not be written.
    pub(crate) fn unwritten(error: &std::io::Error) -> Self {
        let (detail, retry_after) = (error.to_string(), RETRY_FULL);
        if crate::disk::is_full(error) {
            Self::Full { detail, retry_after }
        } else {
            Self::Failed { detail, retry_after }
        }
    }

    /// When to try again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Busy { retry_after }
            | Self::Full { retry_after, .. }
            | Self::Failed { retry_after, .. } => *retry_after,
        }
    }
}

/// What is counted from the opening on.
#[derive(Debug, Default)]
pub struct Counters {
    /// Batches taken.
    pub batches: AtomicU64,
    /// Log records taken.
    pub logs: AtomicU64,
    /// Spans taken.
    pub spans: AtomicU64,
    /// Samples taken.
    pub samples: AtomicU64,
    /// Samples refused since they are older than the newest of their series by more than may be.
    pub late_samples: AtomicU64,
    /// Samples refused since their series would have been new, and there are too many.
    pub unlisted_samples: AtomicU64,
    /// Samples refused since their series has another value at that time.
    pub conflicting_samples: AtomicU64,
    /// Samples passed over since they are here already.
    pub repeated_samples: AtomicU64,
    /// Exemplars taken.
    pub exemplars: AtomicU64,
    /// Log records dropped since their file's position says that they are here already.
    pub repeats: AtomicU64,
    /// Batches refused because sealing was behind.
    pub refused_busy: AtomicU64,
    /// Batches refused because the disk was full.
    pub refused_full: AtomicU64,
    /// Batches refused because the journal could not be written.
    pub refused_failed: AtomicU64,
    /// Manifests that could not be read.
    pub damaged_manifests: AtomicU64,
    /// Journal files with bytes that could not be read, those put aside at an earlier opening among them.
    pub damaged_journals: AtomicU64,
    /// Segments that could not be opened, now or earlier; they lie aside.
    pub damaged_segments: AtomicU64,
    /// Blocks that failed their checksum.
    pub damaged_blocks: AtomicU64,
    /// Heads sealed.
    pub seals: AtomicU64,
    /// Segments written by merging smaller ones.
    pub merges: AtomicU64,
    /// Times that segments were written again without dropped traces.
    pub sweeps: AtomicU64,
    /// Log records removed with their dropped traces.
    pub swept_logs: AtomicU64,
    /// Spans removed with their dropped traces.
    pub swept_spans: AtomicU64,
    /// Exemplars removed with their dropped traces.
    pub swept_exemplars: AtomicU64,
    /// Segments dropped by retention.
    pub expired_segments: AtomicU64,
    /// Sealing, merging or syncing failed and will be tried again.
    pub background_failures: AtomicU64,
}

/// One signal's share of [`Stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalStats {
    /// Bytes of its segments on disk.
    pub bytes: u64,
    /// Its segments.
    pub segments: u64,
    /// Its records, in memory and on disk.
    pub records: u64,
    /// Oldest record.
    pub oldest: Option<u64>,
    /// Newest record.
    pub newest: Option<u64>,
}

impl SignalStats {
    pub(crate) fn add(&mut self, records: u64, first: u64, last: u64) {
        if records > 0 {
            self.records += records;
            self.oldest = Some(self.oldest.map_or(first, |t| t.min(first)));
            self.newest = Some(self.newest.map_or(last, |t| t.max(last)));
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        if let (Some(oldest), Some(newest)) = (other.oldest, other.newest) {
            self.add(other.records, oldest, newest);
        }
    }
}

/// What is stored now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Log records.
    pub logs: SignalStats,
    /// Spans.
    pub traces: SignalStats,
    /// Samples and exemplars.
    pub metrics: SignalStats,
    /// Bytes of the journal files.
    pub journal_bytes: u64,
    /// Bytes held in memory by the heads.
    pub head_bytes: u64,
    /// Heads that wait to be sealed.
    pub waiting_heads: u64,
    /// Age of the oldest batch that is not in a segment yet.
    pub sealing_lag: Duration,
    /// Damaged journals, segments and blocks met since the opening.
    pub damaged: u64,
    /// Batches refused since the opening.
    pub refused: u64,
    /// The disk has less room than is kept free: what comes is refused.
    pub full: bool,
    /// Series that are written to.
    pub active_series: u64,
    /// How many there may be.
    pub max_series: u64,
}
