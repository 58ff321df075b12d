//! A small generator of numbers, the same for the same seed. Not for secrets.

use std::ops::Range;

/// xorshift64*.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// Any seed will do; 0, at which the generator would stand still, is replaced.
    pub(super) fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// Never 0.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).max(1)
    }

    /// Within the range; its start if it is empty.
    pub(super) fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + (self.next() >> 16) % width
    }

    /// True so many times in a hundred.
    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.within(0..100) < chance
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let at = self.within(0..others.len() as u64 + 1) as usize;
        others.get(at).copied().unwrap_or(first)
    }
}
