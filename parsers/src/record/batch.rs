//! What travels together from a collector to the store: records of all signals and the file positions that they cover.

use std::sync::Arc;

use super::{LogBatch, MetricBatch, SpanBatch};

/// A range of bytes in a buffer of the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteRange {
    /// First byte.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl ByteRange {
    /// The bytes; empty if the range does not fit the buffer.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Which file: its place on a disk, and what its first line hashes to, since inodes are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// xxh3 of the first complete line, or of its first 256 bytes.
    pub head: u64,
}

/// How far a file has been read. Every record whose [`super::LogRow::offset`] is below `offset` is in this batch or in an
/// earlier one; reading starts again at `resume`, which lies before `offset` only while a record is half joined or held by a
/// stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Who reads; two agents may read files of the same identity.
    pub agent: Arc<str>,
    /// Which file.
    pub file: FileId,
    /// Records below this are acknowledged with the batch; a record sent again is told by it.
    pub offset: u64,
    /// Where reading starts again: `offset`, or the first fragment of the oldest half-joined record.
    pub resume: u64,
    /// Records of standard error (second) and of any other output (first) that begin here or later are given to stages again,
    /// since a stage holds one; `offset` if none does.
    pub held: [u64; 2],
    /// xxh3 of the up to 32 bytes before `resume`: says on restart whether the offset is still true.
    pub marker: u64,
    /// Where the file was last seen, for people.
    pub path: Arc<str>,
    /// When this was noted; positions of files that are long gone are dropped by it.
    pub time: u64,
}

/// Records of any signal. The store takes it whole or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Log records.
    pub logs: LogBatch,
    /// Spans.
    pub spans: SpanBatch,
    /// Samples and exemplars.
    pub metrics: MetricBatch,
    /// Positions that this batch moves. Rows of a file whose offset is below the position that the store already has
    /// are repeats and are dropped.
    pub positions: Vec<Position>,
}

impl Batch {
    /// Bytes held in the buffers: what bounds count.
    pub fn size(&self) -> usize {
        self.logs.size() + self.spans.size() + self.metrics.size() + self.positions.len() * 256
    }

    /// Whether it holds no record, describes no metric and moves no position.
    pub fn is_empty(&self) -> bool {
        self.logs.rows.is_empty()
            && self.spans.rows.is_empty()
            && self.metrics.samples.is_empty()
            && self.metrics.exemplars.is_empty()
            && self.metrics.families.is_empty()
            && self.positions.is_empty()
    }
}

/// What kind of trouble a parser noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// A line that is not in the form that its file should have.
    BadLine,
    /// A line or value cut at its limit.
    Truncated,
    /// Bytes that are not UTF-8, replaced.
    InvalidUtf8,
    /// A timestamp that cannot be read.
    BadTime,
    /// An id-like value under an id's key that is not an id.
    BadId,
    /// A record that the protocol does not allow; it was rejected alone.
    Rejected,
}

/// Trouble that a parser noted and went on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// For people: where, what came, what was expected.
    pub detail: String,
}
