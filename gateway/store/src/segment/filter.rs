//! A blocked bloom filter over the keys of trace ids: one cache line a question, about 12 bits an id.

use crate::codec::{Damaged, Input, Output};

/// Bits an id; with 6 probes in one line of 512 bits about one absent id in a hundred passes.
const BITS_PER_ID: usize = 12;
const PROBES: u32 = 6;
const WORDS: usize = 8;

/// Spreads numbers, whose bits need not be random, over 64 bits.
fn mix(number: u64) -> u64 {
    let mut h = number ^ (number >> 32);
    h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^= h >> 29;
    h = h.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h ^ (h >> 32)
}

/// What a trace id goes by in filter and index, from its low 64 bits: 64-bit ids and the long forms of the same trace share
/// it, and so do, rarely, ids that have nothing in common.
pub fn key(low64: u64) -> u32 {
    (mix(low64) >> 32) as u32
}

/// The filter.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<u64>);

impl Filter {
    /// With room for so many trace ids.
    pub fn with_capacity(keys: usize) -> Self {
        Self::with_bits(keys * BITS_PER_ID)
    }

    /// With at least so many bits.
    pub fn with_bits(bits: usize) -> Self {
        Self(vec![0; bits.div_ceil(64 * WORDS).max(1) * WORDS])
    }

    fn probes(&self, key: u32) -> impl Iterator<Item = (usize, u64)> + use<> {
        let lines = (self.0.len() / WORDS) as u64;
        let hash = mix(u64::from(key) | 1 << 40);
        let line = (((hash >> 32) * lines) >> 32) as usize * WORDS;
        let bits = hash.wrapping_mul(0x94d0_49bb_1331_11eb);
        (0..PROBES).map(move |i| {
            let bit = (bits >> (10 + 9 * i)) & 511;
            (line + (bit >> 6) as usize, 1 << (bit & 63))
        })
    }

    /// Adds a key.
    pub fn insert(&mut self, key: u32) {
        for (word, bit) in self.probes(key) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the key may be among those added. A filter that was never made says nothing: any key may be.
    pub fn may_hold(&self, key: u32) -> bool {
        self.0.is_empty()
            || self.probes(key).all(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.0.len() * 8
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Output) {
        out.varint(self.0.len() as u64);
        self.0.iter().for_each(|w| out.fixed64(*w));
    }

    /// Reads it.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let count = input.count()?;
        if count % WORDS != 0 {
            return Err(Damaged);
        }
        (0..count).map(|_| input.fixed64()).collect::<Result<_, _>>().map(Self)
    }
}
