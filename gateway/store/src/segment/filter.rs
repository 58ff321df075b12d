//! A blocked bloom filter over the low 64 bits of trace ids: one cache line a question, about 12 bits an id.

use crate::codec::{Damaged, Input, Output};

/// Bits an id; with 6 probes in one line of 512 bits about one absent id in a hundred passes.
const BITS_PER_ID: usize = 12;
const PROBES: u32 = 6;
const WORDS: usize = 8;

/// Spreads ids, whose bits need not be random, over 64 bits.
pub fn mix(low64: u64) -> u64 {
    let mut h = low64 ^ (low64 >> 32);
    h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^= h >> 29;
    h = h.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h ^ (h >> 32)
}

/// The filter.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<u64>);

impl Filter {
    /// With room for so many ids.
    pub fn with_capacity(ids: usize) -> Self {
        Self(vec![0; (ids * BITS_PER_ID).div_ceil(64 * WORDS).max(1) * WORDS])
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let lines = (self.0.len() / WORDS) as u64;
        let line = (((hash >> 32) * lines) >> 32) as usize * WORDS;
        let bits = hash.wrapping_mul(0x94d0_49bb_1331_11eb);
        (0..PROBES).map(move |i| {
            let bit = (bits >> (10 + 9 * i)) & 511;
            (line + (bit >> 6) as usize, 1 << (bit & 63))
        })
    }

    /// Adds an id, by its [`mix`].
    pub fn insert(&mut self, hash: u64) {
        for (word, bit) in self.probes(hash) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the id may be among those added.
    pub fn may_hold(&self, hash: u64) -> bool {
        !self.0.is_empty()
            && self.probes(hash).all(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Output) {
        out.varint(self.0.len() as u64);
        self.0.iter().for_each(|w| out.fixed64(*w));
    }

    /// Reads it.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let count = input.count()?;
        (0..count).map(|_| input.fixed64()).collect::<Result<_, _>>().map(Self)
    }
}
