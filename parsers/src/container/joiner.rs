//! One [`Joiner`] follows the file chain of one container: it unwraps each line and joins records that the runtime split.
//!
//! Fragments are kept for each output apart, so that an interleaved standard error never lands in a half-written line of
//! standard output, and they outlive a rotation of the file.

use crate::record::ProblemKind;

use super::clock::Clock;
use super::{ContainerLine, Stream, cri, docker_json};

/// Bytes that a record may have before it is cut: what Loki takes by default, and 16 of the runtime's fragments.
pub const DEFAULT_MAX_LINE: usize = 256 * 1024;

/// A joined buffer larger than this is given back after its record, so that one long line does not stay in memory.
const KEEP_BUFFER: usize = 64 * 1024;

/// Bounds of a [`Joiner`].
#[derive(Debug, Clone, Copy)]
pub struct JoinLimits {
    /// Bytes that a record may have; longer ones keep their head.
    pub max_line: usize,
}

impl Default for JoinLimits {
    fn default() -> Self {
        Self { max_line: DEFAULT_MAX_LINE }
    }
}

/// Where a record began, counted in files of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// How many files ago: 0 is the current, 1 the one before.
    pub files_back: u32,
    /// Offset of its first fragment in that file.
    pub offset: u64,
}

impl Carried {
    /// In the current file.
    pub fn here(offset: u64) -> Self {
        Self { files_back: 0, offset }
    }
}

/// A record of which the end is still to come.
#[derive(Debug, Default)]
struct Pending {
    /// Whether there is one.
    open: bool,
    /// What has come, up to the limit.
    text: Vec<u8>,
    /// Bytes over the limit.
    truncated: u64,
    /// Time of the first fragment.
    time: Option<u64>,
    /// First fragment in the current file.
    first: Option<u64>,
    /// Last fragment so far.
    last: u64,
    /// First fragment, if it lies in an earlier file.
    carried: Option<Carried>,
}

/// How the lines of the chain have been wrapped so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapping {
    /// Nothing wrapped seen yet: bare lines are in order.
    Bare,
    /// Lines are wrapped: one that is not is worth a note.
    Wrapped,
}

/// Unwraps and joins the lines of one container.
#[derive(Debug)]
pub struct Joiner {
    limits: JoinLimits,
    clock: Clock,
    wrapping: Wrapping,
    /// By [`Stream`]: standard output, standard error.
    pending: [Pending; 2],
    /// Unescaped text of a docker line.
    scratch: Vec<u8>,
}

impl Joiner {
    /// A joiner with nothing pending.
    pub fn new(limits: JoinLimits) -> Self {
        Self {
            limits,
            clock: Clock::default(),
            wrapping: Wrapping::Bare,
            pending: <[Pending; 2]>::default(),
            scratch: Vec::new(),
        }
    }

    /// Takes one line of the file, with or without its newline, and where it begins; emits a record if the line ends one.
    pub fn push(&mut self, raw_line: &[u8], offset: u64, emit: &mut dyn FnMut(ContainerLine<'_>)) {
        let raw = raw_line.strip_suffix(b"\n").unwrap_or(raw_line);
        if let Some(line) = cri::parse(raw) {
            self.wrapping = Wrapping::Wrapped;
            let time = self.clock.read(line.time);
            let fragment =
                Fragment { time, stream: line.stream, partial: line.partial, text: line.text, offset };
            join(&mut self.pending, self.limits, fragment, emit);
            return;
        }
        if let Some(line) = docker_json::parse(raw, &mut self.scratch) {
            self.wrapping = Wrapping::Wrapped;
            let time = self.clock.read(line.time);
            let fragment =
                Fragment { time, stream: line.stream, partial: line.partial, text: line.text, offset };
            join(&mut self.pending, self.limits, fragment, emit);
            if self.scratch.capacity() > KEEP_BUFFER {
                self.scratch = Vec::new();
            }
            return;
        }
        let (text, truncated) = cut(raw, self.limits.max_line);
        let problem = match self.wrapping {
            Wrapping::Wrapped => Some(ProblemKind::BadLine),
            Wrapping::Bare => truncation(truncated),
        };
        let began = Carried::here(offset);
        emit(ContainerLine { time: None, stream: Stream::Unknown, text, offset, began, truncated, problem });
    }

    /// Offset, in the current file, of the first fragment of the oldest half-joined record: where reading has to start
    /// again to get all of it. `None` if no fragment of this file is pending.
    pub fn pending_offset(&self) -> Option<u64> {
        self.pending.iter().filter(|p| p.open).filter_map(|p| p.first).min()
    }

    /// Where the oldest half-joined record began, if that was in an earlier file of the chain: that file's position may
    /// not move past it.
    pub fn carried(&self) -> Option<Carried> {
        let carried = self.pending.iter().filter(|p| p.open).filter_map(|p| p.carried);
        carried.max_by_key(|c| (c.files_back, std::cmp::Reverse(c.offset)))
    }

    /// Whether a record of this output is half joined.
    pub fn is_half_joined(&self, stream: Stream) -> bool {
        self.pending.get(stream as usize).is_some_and(|p| p.open)
    }

    /// Whether a record is half joined.
    pub fn is_pending(&self) -> bool {
        self.pending.iter().any(|p| p.open)
    }

    /// Bytes held in buffers.
    pub fn buffered(&self) -> usize {
        self.scratch.capacity() + self.pending.iter().map(|p| p.text.capacity()).sum::<usize>()
    }

    /// The file was rotated: what is pending goes on in the next one, whose offsets start again.
    pub fn carry_over(&mut self) {
        for pending in self.pending.iter_mut().filter(|p| p.open) {
            pending.carried = match (pending.carried, pending.first) {
                (Some(c), _) => Some(Carried { files_back: c.files_back.saturating_add(1), ..c }),
                (None, Some(offset)) => Some(Carried { files_back: 1, offset }),
                (None, None) => None,
            };
            pending.first = None;
        }
    }

    /// The container has ended: what is pending is emitted as it is.
    pub fn flush(&mut self, emit: &mut dyn FnMut(ContainerLine<'_>)) {
        for (pending, stream) in self.pending.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            pending.finish(stream, emit);
        }
    }
}

/// One piece of a record.
struct Fragment<'a> {
    time: Option<u64>,
    stream: Stream,
    partial: bool,
    text: &'a [u8],
    offset: u64,
}

fn join(
    pending: &mut [Pending; 2],
    limits: JoinLimits,
    fragment: Fragment<'_>,
    emit: &mut dyn FnMut(ContainerLine<'_>),
) {
    let Fragment { time, stream, partial, text, offset } = fragment;
    let [stdout, stderr] = pending;
    let slot = if stream == Stream::Stderr { stderr } else { stdout };
    if !slot.open && !partial {
        let (text, truncated) = cut(text, limits.max_line);
        let problem = if time.is_none() { Some(ProblemKind::BadTime) } else { truncation(truncated) };
        let began = Carried::here(offset);
        emit(ContainerLine { time, stream, text, offset, began, truncated, problem });
        return;
    }
    if !slot.open {
        *slot = Pending { open: true, time, text: std::mem::take(&mut slot.text), ..Pending::default() };
    }
    slot.first.get_or_insert(offset);
    slot.last = offset;
    slot.append(text, limits.max_line);
    if !partial {
        slot.finish(stream, emit);
    }
}

impl Pending {
    fn append(&mut self, text: &[u8], max_line: usize) {
        // Once cut, nothing more is taken: a later fragment would otherwise fill the gap that a cut character left.
        let room = if self.truncated > 0 { 0 } else { max_line.saturating_sub(self.text.len()) };
        if text.len() <= room {
            self.text.extend_from_slice(text);
            return;
        }
        self.text.extend_from_slice(text.get(..room).unwrap_or_default());
        let kept = boundary(&self.text, text.get(room).copied());
        self.truncated += (text.len() - room + self.text.len() - kept) as u64;
        self.text.truncate(kept);
    }

    fn finish(&mut self, stream: Stream, emit: &mut dyn FnMut(ContainerLine<'_>)) {
        if !self.open {
            return;
        }
        let problem =
            if self.time.is_none() { Some(ProblemKind::BadTime) } else { truncation(self.truncated) };
        emit(ContainerLine {
            time: self.time,
            stream,
            text: &self.text,
            offset: self.last,
            began: self.carried.unwrap_or(Carried::here(self.first.unwrap_or(self.last))),
            truncated: self.truncated,
            problem,
        });
        self.open = false;
        self.text.clear();
        if self.text.capacity() > KEEP_BUFFER {
            self.text = Vec::new();
        }
    }
}

fn truncation(bytes: u64) -> Option<ProblemKind> {
    (bytes > 0).then_some(ProblemKind::Truncated)
}

/// The head of a text that fits the limit, and how many bytes were cut.
fn cut(text: &[u8], max_line: usize) -> (&[u8], u64) {
    match text.split_at_checked(max_line) {
        Some((head, tail)) if !tail.is_empty() => {
            let kept = boundary(head, tail.first().copied());
            (head.get(..kept).unwrap_or(head), (text.len() - kept) as u64)
        }
        _ => (text, 0),
    }
}

/// The length of `head` without a character that `next` would have continued.
fn boundary(head: &[u8], next: Option<u8>) -> usize {
    if !next.is_some_and(is_continuation) {
        return head.len();
    }
    // A character has at most three continuation bytes after its first; what has more is not UTF-8 anyway.
    let tail = head.iter().rev().take(3).take_while(|&&b| is_continuation(b)).count();
    match head.len().checked_sub(tail + 1) {
        Some(lead) if head.get(lead).is_some_and(|&b| b >= 0xc0) => lead,
        _ => head.len(),
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
