//! What to tail, and the bounds.

use std::sync::Arc;

use crate::pods::Pods;
use parsers::container::DEFAULT_MAX_LINE;
use parsers::stage::Pipeline;
use parsers::stage::relabel::Relabel;
use rustix::process::{Resource, Rlimit};

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

/// Files open at once, where nobody says how many: half of what a process may open on most machines.
const DEFAULT_MAX_FILES: usize = 512;

/// Files that the rest of a program may need open.
const OTHER_FILES: u64 = 256;

/// How many files this process may read at once, once it has asked for as many as it may have.
pub fn files_allowed() -> usize {
    let limits = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    // Where that is not allowed, the limit stays what it was.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    let allowed = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed.saturating_sub(OTHER_FILES).max(allowed / 2)).unwrap_or(usize::MAX)
}

/// Files that are read alike.
#[derive(Debug, Clone)]
pub struct Source {
    /// Glob of the files being written; rotated ones beside them are found by their names. `*` and `?` stay within a name,
    /// `**` crosses folders.
    pub glob: String,
    /// What is done to each line; no stage costs nothing.
    pub pipeline: Pipeline,
    /// What is done to the labels of a file before its first line, and whether it is read at all.
    pub relabel: Relabel,
}

impl From<String> for Source {
    fn from(glob: String) -> Self {
        Self { glob, pipeline: Pipeline::default(), relabel: Relabel::default() }
    }
}

/// What to tail, and the bounds.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// Files to read. One that several globs cover is read as the first of them says.
    pub files: Vec<Source>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Who reads: stands in every position.
    pub agent: Arc<str>,
    /// Label `node`, if any.
    pub node: Option<Arc<str>>,
    /// Who knows more of containers than their paths say, if anybody.
    pub pods: Option<Arc<dyn Pods>>,
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
    /// Files open at once; others wait until some are closed. A quarter is kept for the new files of containers that are
    /// being read.
    pub max_files: usize,
}

impl TailOptions {
    /// The defaults, for this agent.
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        Self {
            files: vec![DEFAULT_FILES.to_owned().into()],
            exclude: Vec::new(),
            agent: agent.into(),
            node: None,
            pods: None,
            max_line: DEFAULT_MAX_LINE,
            batch_bytes: DEFAULT_BATCH_BYTES,
            flush_after: DEFAULT_FLUSH_AFTER,
            reconcile_every: DEFAULT_RECONCILE,
            poll_every: DEFAULT_POLL,
            linger: DEFAULT_LINGER,
            max_files: DEFAULT_MAX_FILES,
        }
    }
}
