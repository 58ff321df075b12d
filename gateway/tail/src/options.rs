//! What to tail, and the bounds.

use std::sync::Arc;

use parsers::container::DEFAULT_MAX_LINE;

/// Where the kubelet keeps the logs of containers.
pub const DEFAULT_FILES: &str = "/var/log/pods/*/*/*.log";

/// Bytes in a batch: large enough that a journal record or a request is cheap a line, small enough that a few in memory do
/// not matter.
pub const DEFAULT_BATCH_BYTES: usize = 1024 * 1024;

/// Nanoseconds between deliveries of batches that are not full: below what a person notices.
const DEFAULT_FLUSH_AFTER: u64 = 200_000_000;

/// Nanoseconds between reconciliations with what is really there, for what no watch tells (a link's target rotated, a folder
/// that could not be watched for a moment).
const DEFAULT_RECONCILE: u64 = 10_000_000_000;

/// Nanoseconds between looks at folders where watches cannot be had.
const DEFAULT_POLL: u64 = 1_000_000_000;

/// Nanoseconds that a file without a name is read on: its writer may outlive it for a moment.
const DEFAULT_LINGER: u64 = 5_000_000_000;

/// What to tail, and the bounds.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// Globs of the files being written; rotated ones beside them are found by their names. `*` and `?` stay within a name,
    /// `**` crosses folders.
    pub files: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Who reads: stands in every position.
    pub agent: Arc<str>,
    /// Label `node`, if any.
    pub node: Option<Arc<str>>,
    /// Bytes that a record may have; longer ones keep their head.
    pub max_line: usize,
    /// Bytes of records in a batch.
    pub batch_bytes: usize,
    /// Nanoseconds between deliveries of batches that are not full.
    pub flush_after: u64,
    /// Nanoseconds between reconciliations of the folders while watches work.
    pub reconcile_every: u64,
    /// The same while they do not.
    pub poll_every: u64,
    /// Nanoseconds without growth after which a file without a name is left.
    pub linger: u64,
}

impl TailOptions {
    /// The defaults, for this agent.
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        Self {
            files: vec![DEFAULT_FILES.to_owned()],
            exclude: Vec::new(),
            agent: agent.into(),
            node: None,
            max_line: DEFAULT_MAX_LINE,
            batch_bytes: DEFAULT_BATCH_BYTES,
            flush_after: DEFAULT_FLUSH_AFTER,
            reconcile_every: DEFAULT_RECONCILE,
            poll_every: DEFAULT_POLL,
            linger: DEFAULT_LINGER,
        }
    }
}
