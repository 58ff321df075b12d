//! What the log blocks of a segment share: a table of trace ids, so that each is stored once however many records have it, and
//! dictionaries, samples of lines that frames are packed with, so that short frames are packed as well as long ones.
//!
//! A dictionary is of the records that were sealed together, and so are the ids that lie near each other. A merge copies blocks
//! as they are: it takes over the dictionaries and the parts of the table that they refer to, and notes where both are now.

use parsers::record::LogBatch;
use rustc_hash::FxHashMap;

use super::{Extent, Segment};
use crate::codec::{Cut, Damaged, Input, Output};

/// Bytes of an id in the table.
const ID: usize = 16;
/// Ids that are read and checked together: 4 KB.
pub const PAGE: usize = 256;
/// Bytes of a dictionary. Twice as many gain nothing more; it is unpacked by a thread that has not read with it lately.
const DICTIONARY: usize = 32 << 10;
/// Fewer bytes of lines are not worth one: it would be more than a hundredth of what they are packed into.
const WORTH: usize = 2 << 20;
/// Bytes of a line that a dictionary has at most.
const LINE: usize = 1 << 10;

/// What a block needs beside itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of its dictionary plus one; 0 is none.
    pub dictionary: u32,
    /// First id in the table that it refers to.
    pub first: u32,
    /// How many lie between that and the last one.
    pub count: u32,
}

/// The table of a segment that is being written.
#[derive(Debug, Default)]
pub struct LogTableFill {
    ids: Vec<u128>,
    numbers: FxHashMap<u128, u32>,
    places: Vec<Place>,
    any: bool,
}

impl LogTableFill {
    /// The number of an id.
    pub fn number(&mut self, trace: u128) -> u32 {
        let ids = &mut self.ids;
        *self.numbers.entry(trace).or_insert_with(|| {
            ids.push(trace);
            ids.len() as u32 - 1
        })
    }

    /// The number that the next id gets.
    pub fn next(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Takes over a part of another table.
    pub fn take(&mut self, ids: &[u8]) {
        self.ids.extend(ids.as_chunks::<ID>().0.iter().map(|id| u128::from_be_bytes(*id)));
    }

    /// Notes the place of the next block; `None` if it is of an earlier version.
    pub fn push(&mut self, place: Option<Place>) {
        self.any |= place.is_some();
        self.places.push(place.unwrap_or_default());
    }

    /// Whether no block needs any of it.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// The table, to be written page by page.
    pub fn pages(&self) -> impl Iterator<Item = Vec<u8>> {
        self.ids.chunks(PAGE).map(|page| page.iter().flat_map(|id| id.to_be_bytes()).collect())
    }

    /// Where all lies: the table with these checksums of its pages, and the dictionaries.
    pub fn encode(&self, offset: u64, checksums: &[u32], dictionaries: &[Extent], out: &mut Output) {
        out.varint(dictionaries.len() as u64);
        dictionaries.iter().for_each(|extent| extent.encode(out));
        out.varint(offset);
        out.varint(self.ids.len() as u64);
        checksums.iter().for_each(|sum| out.raw(&sum.to_le_bytes()));
        out.varint(self.places.len() as u64);
        let mut before = 0;
        for place in &self.places {
            out.varint(u64::from(place.dictionary));
            out.delta(before, u64::from(place.first));
            out.varint(u64::from(place.count));
            before = u64::from(place.first);
        }
    }
}

/// The table of an open segment.
#[derive(Debug)]
pub struct LogTable {
    /// Where dictionaries lie.
    pub dictionaries: Vec<Extent>,
    offset: u64,
    ids: usize,
    checksums: Vec<u32>,
    places: Vec<Place>,
}

impl LogTable {
    /// Reads [`LogTableFill::encode`] back, of a segment with so many blocks.
    pub fn decode(input: &mut Input<'_>, blocks: usize) -> Result<Self, Damaged> {
        let dictionaries =
            (0..input.count()?).map(|_| Extent::decode(input)).collect::<Result<Vec<_>, _>>()?;
        let (offset, ids) = (input.varint()?, input.varint32()? as usize);
        let checksums = input.raw(ids.div_ceil(PAGE) * 4)?;
        let checksums = checksums.as_chunks::<4>().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
        let mut places = Vec::with_capacity(blocks);
        let mut before = 0;
        for _ in 0..input.count()? {
            let dictionary = input.varint32()?;
            before = input.delta(before)?;
            let (first, count) = (u32::try_from(before).map_err(|_| Damaged)?, input.varint32()?);
            places.push(Place { dictionary, first, count });
        }
        if places.len() == blocks {
            Ok(Self { dictionaries, offset, ids, checksums, places })
        } else {
            Err(Damaged)
        }
    }

    /// What a block needs.
    pub fn place(&self, block: usize) -> Result<Place, Damaged> {
        self.places.get(block).copied().ok_or(Damaged)
    }

    /// Where the dictionary of a block lies, if it has one.
    pub fn dictionary(&self, block: usize) -> Result<Option<Extent>, Damaged> {
        let Some(number) = self.place(block)?.dictionary.checked_sub(1) else { return Ok(None) };
        self.dictionaries.get(number as usize).map(|at| Some(*at)).ok_or(Damaged)
    }

    /// The ids that a block refers to, as they lie in the table.
    pub fn ids_of(&self, segment: &Segment, block: usize) -> Result<Vec<u8>, Damaged> {
        let place = self.place(block)?;
        self.ids(segment, place.first, place.count)
    }

    /// So many ids from one on, as they lie in the table.
    pub fn ids(&self, segment: &Segment, first: u32, count: u32) -> Result<Vec<u8>, Damaged> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let (from, to) = (first as usize, first as usize + count as usize);
        if to > self.ids {
            return Err(Damaged);
        }
        let (first_page, end_page) = (from / PAGE, to.div_ceil(PAGE));
        let length = (end_page * PAGE).min(self.ids) - first_page * PAGE;
        let at = self.offset.checked_add((first_page * PAGE * ID) as u64).ok_or(Damaged)?;
        let mut bytes = segment.bytes_at(at, length * ID)?;
        let checksums = self.checksums.get(first_page..end_page).ok_or(Damaged)?;
        let is_whole = |(page, sum): (&[u8], &u32)| crc32fast::hash(page) == *sum;
        if !bytes.chunks(PAGE * ID).zip(checksums).all(is_whole) {
            return Err(Damaged);
        }
        bytes.truncate((to - first_page * PAGE) * ID);
        bytes.drain(..(from - first_page * PAGE) * ID);
        Ok(bytes)
    }
}

/// A dictionary for these records: some of their lines, from all over, less what is taken out of them; empty if it would not pay.
pub fn sample<'a>(
    records: impl Iterator<Item = (&'a LogBatch, &'a parsers::record::LogRow)> + Clone,
) -> Vec<u8> {
    let bytes: usize = records.clone().map(|(_, row)| row.line.len()).sum();
    let mut dictionary = Vec::new();
    if bytes < WORTH {
        return dictionary;
    }
    dictionary.reserve(DICTIONARY + LINE);
    let mut passed = 0;
    for (batch, row) in records {
        passed += row.line.len();
        // As many hundredths of the dictionary as of the lines.
        if passed * DICTIONARY < dictionary.len() * bytes || dictionary.len() >= DICTIONARY {
            continue;
        }
        let start = dictionary.len();
        let line = batch.line(row);
        Cut::of(line, row).take_out(line, &mut dictionary);
        dictionary.truncate(start + LINE);
    }
    dictionary
}
