//! What metric queries may give and hold: points of one answer, and bytes of all that are under way together.
//!
//! Limits on series and on steps alone do not bound an answer: it is as large as the two multiplied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Text of a point: where labels are long, so much of them counts as one.
const POINT_TEXT: usize = 48;
/// Bytes of a point on its way out: itself, and its text while the buffer that it is written to grows.
const POINT_BYTES: u64 = 24 + 2 * POINT_TEXT as u64;
/// Values are counted in so many at a time.
const PIECE: u64 = 4_096;

/// Why a query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// The answer is too large.
    #[error(
        "the answer would have more than {0} points (series × steps; long labels count, too): ask for fewer series, a larger \
         step or a shorter range (server.queries.max_points)"
    )]
    Points(usize),
    /// The query alone holds too much.
    #[error(
        "the query would hold more than {0} bytes: ask for fewer series, a larger step or a shorter range \
         (server.queries.max_memory)"
    )]
    Bytes(u64),
    /// Others hold too much.
    #[error(
        "the metric queries under way hold all of the {0} bytes that there are for them: try again in a second, or ask for fewer \
         series or a larger step (server.queries.max_memory)"
    )]
    Busy(u64),
}

/// What there is for all metric queries. A cheap clone; all clones share it.
#[derive(Debug, Clone)]
pub struct Capacity {
    points: usize,
    bytes: u64,
    held: Arc<AtomicU64>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self::new(Self::POINTS, Self::BYTES)
    }
}

impl Capacity {
    /// Points of one answer where nothing is configured: some 45 bytes of text each, so 50 MB at most. A dashboard's panel draws
    /// some thousands.
    pub const POINTS: usize = 1_000_000;
    /// Bytes where nothing is configured: three of the largest answers, or one of PromQL's largest selections.
    pub const BYTES: u64 = 512 << 20;

    /// So many points in each answer, and so many bytes for all queries together.
    pub fn new(points: usize, bytes: u64) -> Self {
        Self { points, bytes, held: Arc::default() }
    }

    /// What one query may have.
    pub fn allowance(&self) -> Allowance {
        Allowance(Arc::new(Part { capacity: self.clone(), held: AtomicU64::new(0) }))
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.bytes);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one query may have. Clones are of the same query; what it holds is given back with the last.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Part>);

#[derive(Debug)]
struct Part {
    capacity: Capacity,
    held: AtomicU64,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.capacity.give(*self.held.get_mut());
    }
}

impl Default for Allowance {
    /// Of its own capacity.
    fn default() -> Self {
        Capacity::default().allowance()
    }
}

impl Allowance {
    /// Points of an answer.
    pub fn points(&self) -> usize {
        self.0.capacity.points
    }

    /// Takes bytes until they are given back.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Exceeded> {
        let Part { capacity, held } = &*self.0;
        let limit = capacity.bytes;
        if held.load(Ordering::Relaxed).saturating_add(bytes) > limit {
            return Err(Exceeded::Bytes(limit));
        }
        if !capacity.take(bytes) {
            return Err(Exceeded::Busy(limit));
        }
        held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, bytes: u64) {
        self.0.held.fetch_sub(bytes, Ordering::Relaxed);
        self.0.capacity.give(bytes);
    }

    /// An error if an answer has more points than it may.
    pub fn check(&self, points: usize) -> Result<(), Exceeded> {
        if points > self.points() { Err(Exceeded::Points(self.points())) } else { Ok(()) }
    }

    /// Takes what an answer of so many points needs until it is written, its labels having so many bytes of text.
    pub(crate) fn answer(&self, points: usize, text: usize) -> Result<(), Exceeded> {
        let points = points.saturating_add(text / POINT_TEXT);
        self.check(points)?;
        self.take((points as u64).saturating_mul(POINT_BYTES))
    }

    /// Counts values of so many bytes that the query keeps.
    pub(crate) fn counter(&self, bytes: u64) -> Counter {
        Counter { allowance: self.clone(), bytes, left: 0 }
    }
}

/// Counts values that a query keeps to its end.
#[derive(Debug)]
pub(crate) struct Counter {
    allowance: Allowance,
    bytes: u64,
    /// Taken and not used.
    left: u64,
}

impl Counter {
    pub(crate) fn add(&mut self, values: u64) -> Result<(), Exceeded> {
        if let Some(left) = self.left.checked_sub(values) {
            self.left = left;
            return Ok(());
        }
        let piece = PIECE.max(values);
        self.allowance.take(piece.saturating_mul(self.bytes))?;
        self.left += piece - values;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
