//! Which texts may occur in the lines of log blocks: a column says which groups of four bytes there are in a block, or in
//! several small ones together. A text whose groups are not all there is not there.
//!
//! Ids that the codec cut out of the lines are in no column; they have the trace index. What a text says in spite of that is
//! in `literal`; how columns lie in a file is in `matrix`.

mod literal;
mod matrix;
#[cfg(test)]
mod tests;

pub use literal::Literal;
pub use matrix::{Holding, Known, PAGE, Texts, TextsFill};

/// Rows of a column: 2 KiB for four blocks, of whose lines' groups about half of the bits are set. A word of seven letters, which
/// has four groups, looks like others that are everywhere in one block of sixteen.
pub const ROWS: usize = 1 << ROW_BITS;
const ROW_BITS: u32 = 14;
const WORDS: usize = ROWS / 64;
/// Bytes of a group. Shorter texts say nothing.
const GROUP: usize = 4;

/// The row of a group of bytes.
fn row(group: u32) -> usize {
    (group.wrapping_mul(0xc2b2_ae35) >> (32 - ROW_BITS)) as usize
}

/// The groups of some lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column(Vec<u64>);

impl Column {
    /// Of lines back to back; that groups are found across their borders does no harm.
    pub fn of(text: &[u8]) -> Self {
        // A byte a row is quicker set than a bit.
        let mut seen = [0u8; ROWS];
        let mut set = |group: u32| {
            if let Some(seen) = seen.get_mut(row(group)) {
                *seen = 1;
            }
        };
        let (quads, _) = text.as_chunks::<GROUP>();
        let mut before: Option<u32> = None;
        for quad in quads {
            let quad = u32::from_le_bytes(*quad);
            if let Some(before) = before {
                let both = u64::from(before) | u64::from(quad) << 32;
                set(both as u32);
                set((both >> 8) as u32);
                set((both >> 16) as u32);
                set((both >> 24) as u32);
            }
            before = Some(quad);
        }
        let rest = text.get((quads.len().max(1) - 1) * GROUP..).unwrap_or_default();
        rest.windows(GROUP).filter_map(group).for_each(set);
        // The multiplication brings the lowest bit of each byte into the highest byte.
        let eight = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let word = |bytes: &[u8; 64]| {
            let (eights, _) = bytes.as_chunks::<8>();
            eights.iter().rev().fold(0, |word, bytes| word << 8 | eight(bytes))
        };
        Self(seen.as_chunks::<64>().0.iter().map(word).collect())
    }

    /// Of lines that nothing is known of.
    pub fn unknown() -> Self {
        Self(vec![u64::MAX; WORDS])
    }

    /// Takes the groups of other lines in.
    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    fn word(&self, number: usize) -> u64 {
        self.0.get(number).copied().unwrap_or(u64::MAX)
    }
}

fn group(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<GROUP>().map(|bytes| u32::from_le_bytes(*bytes))
}
