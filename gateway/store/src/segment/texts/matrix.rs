//! How columns lie in a file: turned on their side, row after row with a bit for each column, in pages with a checksum each. A
//! question reads the rows of its text, however many blocks there are.

use std::sync::Arc;

use super::{Column, Literal, ROWS, WORDS};
use crate::codec::{Damaged, Input, Output};

/// Bytes that are read and checked together.
pub const PAGE: usize = 1024;
/// Blocks of one stream share a column up to so many raw bytes, four of them as a rule: what their lines have in common is there
/// once, so that of four times as many lines not even twice as many bits are set. Columns are 3 % of a segment then.
const SHARED: u32 = 256 << 10;
/// The same of blocks of different streams, which have less in common.
const SHARED_BY_STREAMS: u32 = 96 << 10;

/// What is known of the lines of a block, and of others that share the column: so many raw bytes in all.
pub type Known = (Arc<Column>, u32);

/// Columns of a segment that is being written.
#[derive(Debug, Default)]
pub struct TextsFill {
    columns: Vec<Column>,
    /// Blocks of each column.
    blocks: Vec<u32>,
    /// Raw bytes of what the last column is of.
    raw: u32,
    /// What came last, and its stream.
    last: Option<(Arc<Column>, u32)>,
}

impl TextsFill {
    /// Takes the column of the next block, which is one of this stream. Where several blocks come with the same one, they go
    /// together again.
    pub fn push(&mut self, column: Arc<Column>, raw: u32, stream: u32) {
        let together = self.raw.saturating_add(raw);
        let (is_same, limit) = match &self.last {
            Some((last, of)) => {
                let limit = if *of == stream { SHARED } else { SHARED_BY_STREAMS };
                (Arc::ptr_eq(last, &column), limit)
            }
            None => (false, 0),
        };
        match (self.columns.last_mut(), self.blocks.last_mut()) {
            (Some(_), Some(blocks)) if is_same => *blocks += 1,
            (Some(last), Some(blocks)) if together <= limit => {
                last.add(&column);
                *blocks += 1;
                self.raw = together;
            }
            _ => {
                self.columns.push(Column::clone(&column));
                self.blocks.push(1);
                self.raw = raw;
            }
        }
        self.last = Some((column, stream));
    }

    /// Whether there is a block at all.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The rows, to be written page by page.
    pub fn rows(&self) -> Vec<u8> {
        turn(&self.columns)
    }

    /// What is known of rows at this place with these checksums of their pages.
    pub fn encode(&self, offset: u64, checksums: &[u32], out: &mut Output) {
        out.varint(offset);
        out.varint(checksums.len() as u64);
        checksums.iter().for_each(|sum| out.raw(&sum.to_le_bytes()));
        out.varint(self.blocks.len() as u64);
        self.blocks.iter().for_each(|count| out.varint(u64::from(*count)));
    }
}

/// Where the columns of a segment lie.
#[derive(Debug)]
pub struct Texts {
    offset: u64,
    checksums: Vec<u32>,
    /// The column of each block.
    column_of: Vec<u32>,
    columns: usize,
}

/// What is known of a text, block by block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Whether a line may hold it.
    pub blocks: Vec<bool>,
    /// Whether a line may that is of none of the trace ids in it.
    pub of_others: Vec<bool>,
}

/// Reads bytes at a place, with the checksum that they should have.
pub type ReadAt<'a> = dyn Fn(u64, usize, u32) -> Result<Vec<u8>, Damaged> + 'a;

impl Texts {
    /// Reads [`TextsFill::encode`] back, of a segment with so many blocks.
    pub fn decode(input: &mut Input<'_>, blocks: usize) -> Result<Self, Damaged> {
        let offset = input.varint()?;
        let mut checksums = Vec::new();
        for _ in 0..input.count()? {
            checksums.push(u32::from_le_bytes(input.raw(4)?.try_into().map_err(|_| Damaged)?));
        }
        let columns = input.count()?;
        let mut column_of = Vec::with_capacity(blocks);
        for column in 0..columns as u32 {
            let count = input.varint()? as usize;
            if count > blocks - column_of.len() {
                return Err(Damaged);
            }
            column_of.resize(column_of.len() + count, column);
        }
        let whole = column_of.len() == blocks && checksums.len() == (columns * ROWS / 8).div_ceil(PAGE);
        if whole { Ok(Self { offset, checksums, column_of, columns }) } else { Err(Damaged) }
    }

    /// Which blocks may hold a text; `indexed` gives those that hold a record of a trace, by the low half of its id.
    pub fn holding(
        &self,
        literal: &Literal,
        read: &ReadAt<'_>,
        indexed: impl Fn(u64) -> Result<Vec<usize>, Damaged>,
    ) -> Result<Holding, Damaged> {
        let certain = self.columns_with(&literal.certain, read)?;
        let blocks: Vec<bool> = self.column_of.iter().map(|column| has(&certain, *column)).collect();
        let mut holding = Holding { of_others: blocks.clone(), blocks };
        for id in &literal.ids {
            let with = self.columns_with(&id.rows, read)?;
            let of_trace = indexed(id.low64)?;
            let Holding { blocks, of_others } = &mut holding;
            let known = blocks.iter_mut().zip(of_others).zip(&self.column_of);
            for (block, ((holds, of_others), column)) in known.enumerate() {
                let spells = has(&with, *column);
                *holds &= spells || of_trace.contains(&block);
                *of_others &= spells;
            }
        }
        Ok(holding)
    }

    /// The columns in which all of these rows are set.
    fn columns_with(&self, rows: &[usize], read: &ReadAt<'_>) -> Result<Vec<u64>, Damaged> {
        let mut with = vec![u64::MAX; self.columns.div_ceil(64)];
        for row in rows {
            let first = row * self.columns;
            let page = first / 8 / PAGE;
            let pages = page..=(first + self.columns - 1) / 8 / PAGE;
            let bytes = self.read(pages, read)?;
            let words = bits(&bytes, first - page * PAGE * 8, self.columns);
            with.iter_mut().zip(words).for_each(|(with, word)| *with &= word);
            if with.iter().all(|word| *word == 0) {
                break;
            }
        }
        Ok(with)
    }

    fn read(&self, pages: impl IntoIterator<Item = usize>, read: &ReadAt<'_>) -> Result<Vec<u8>, Damaged> {
        let all = self.columns * ROWS / 8;
        let mut bytes = Vec::new();
        for page in pages {
            let checksum = self.checksums.get(page).ok_or(Damaged)?;
            let from = page * PAGE;
            let length = all.saturating_sub(from).min(PAGE);
            let part = read(self.offset.checked_add(from as u64).ok_or(Damaged)?, length, *checksum)?;
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    /// The column of each block, of which these are the raw bytes.
    pub fn by_block(&self, raw: &[u32], read: &ReadAt<'_>) -> Result<Vec<Known>, Damaged> {
        let columns = turn_back(&self.read(0..self.checksums.len(), read)?, self.columns);
        let mut known: Vec<Known> = columns.into_iter().map(|column| (Arc::new(column), 0)).collect();
        for (column, raw) in self.column_of.iter().zip(raw) {
            let (_, sum) = known.get_mut(*column as usize).ok_or(Damaged)?;
            *sum = sum.saturating_add(*raw);
        }
        self.column_of.iter().map(|number| known.get(*number as usize).cloned().ok_or(Damaged)).collect()
    }
}

fn has(columns: &[u64], number: u32) -> bool {
    columns.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
}

/// 64 numbers of 64 bits, with rows and columns exchanged.
fn transpose(tile: &mut [u64; 64]) {
    let (mut width, mut mask) = (32, 0xffff_ffff_u64);
    while width > 0 {
        for pair in tile.chunks_exact_mut(2 * width) {
            let (upper, lower) = pair.split_at_mut(width);
            for (upper, lower) in upper.iter_mut().zip(lower) {
                let exchanged = (*upper >> width ^ *lower) & mask;
                *upper ^= exchanged << width;
                *lower ^= exchanged;
            }
        }
        width /= 2;
        mask ^= mask << width;
    }
}

/// Columns as rows, without gaps between them.
fn turn(columns: &[Column]) -> Vec<u8> {
    let mut out = Vec::with_capacity(columns.len() * ROWS / 8);
    let (mut pending, mut pending_bits) = (0u128, 0);
    for word in 0..WORDS {
        let tiles: Vec<[u64; 64]> = columns
            .chunks(64)
            .map(|columns| {
                let mut tile = [0; 64];
                tile.iter_mut().zip(columns).for_each(|(slot, column)| *slot = column.word(word));
                transpose(&mut tile);
                tile
            })
            .collect();
        for row in 0..64 {
            for (tile, columns) in tiles.iter().zip(columns.chunks(64)) {
                pending |= u128::from(tile.get(row).copied().unwrap_or_default()) << pending_bits;
                pending_bits += columns.len();
                if pending_bits >= 64 {
                    out.extend_from_slice(&(pending as u64).to_le_bytes());
                    pending >>= 64;
                    pending_bits -= 64;
                }
            }
        }
    }
    out.extend(pending.to_le_bytes().iter().take(pending_bits / 8));
    out
}

/// Reads [`turn`] back.
fn turn_back(bytes: &[u8], columns: usize) -> Vec<Column> {
    let mut turned = vec![Column(vec![0; WORDS]); columns];
    for word in 0..WORDS {
        let mut tiles = vec![[0u64; 64]; columns.div_ceil(64)];
        for row in 0..64 {
            let row_bits = bits(bytes, (word * 64 + row) * columns, columns);
            for (tile, bits) in tiles.iter_mut().zip(row_bits) {
                if let Some(slot) = tile.get_mut(row) {
                    *slot = bits;
                }
            }
        }
        for (tile, columns) in tiles.iter_mut().zip(turned.chunks_mut(64)) {
            transpose(tile);
            for (column, bits) in columns.iter_mut().zip(tile) {
                if let Some(slot) = column.0.get_mut(word) {
                    *slot = *bits;
                }
            }
        }
    }
    turned
}

/// So many bits from one on; those past the end are 0.
fn bits(bytes: &[u8], from: usize, count: usize) -> impl Iterator<Item = u64> {
    (0..count.div_ceil(64)).map(move |number| {
        let at = from + number * 64;
        let left = (count - number * 64).min(64);
        let mut word = [0u8; 16];
        let part = bytes.get(at / 8..).unwrap_or_default();
        word.iter_mut().zip(part).take(9).for_each(|(slot, byte)| *slot = *byte);
        (u128::from_le_bytes(word) >> (at % 8)) as u64 & (u64::MAX >> (64 - left))
    })
}
