//! A block of log records in parts, unpacked as far as is asked for; blocks of earlier versions are one part.

use std::io;
use std::ops::Range;

use memchr::memmem::Finder;
use parsers::record::{LogBatch, LogRow};

use super::dictionaries::unpack_with;
use super::reader::{unpack, unpack_to};
use super::{Extent, MAX_BLOCK, Segment};
use crate::codec::{Damaged, Frame, FrameTexts, Input, LogBlock, LogParts, Output, Whole};

/// What a block in parts begins with; blocks of earlier versions begin with their size, which is not near it.
const IN_PARTS: u32 = 0x8000_0003;

/// Writes a block: where its parts lie, then the parts. `pack` is told whether they are lines.
pub fn pack(
    parts: &LogParts,
    mut pack: impl FnMut(&[u8], bool) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut head = Output::default();
    head.raw(&IN_PARTS.to_le_bytes());
    let columns = pack(parts.columns.as_bytes(), false)?;
    head.varint(parts.columns.as_bytes().len() as u64);
    head.varint(columns.len() as u64);
    head.varint(parts.ids.as_bytes().len() as u64);
    head.varint(parts.frames.len() as u64);
    let mut body = columns;
    body.extend_from_slice(parts.ids.as_bytes());
    let mut text = parts.text.as_slice();
    for frame in &parts.frames {
        let (lines, rest) = text.split_at_checked(frame.bytes).unwrap_or((text, &[]));
        text = rest;
        let packed = pack(lines, true)?;
        head.varint(frame.records as u64);
        head.varint(frame.bytes as u64);
        head.varint(packed.len() as u64);
        body.extend_from_slice(&packed);
    }
    head.raw(&body);
    Ok(head.into_bytes())
}

/// A block of log records that was read and of which nothing was looked at yet.
pub struct LogReader<'a> {
    segment: &'a Segment,
    number: usize,
    frames: Vec<Frame>,
    layout: Layout,
}

enum Layout {
    /// Of an earlier version, unpacked.
    Whole(Vec<u8>),
    Parts {
        columns: (Range<usize>, usize),
        ids: Range<usize>,
        texts: Texts,
    },
}

/// Lines, frame by frame.
struct Texts {
    packed: Vec<u8>,
    dictionary: Option<Extent>,
    places: Vec<(Range<usize>, usize)>,
    unpacked: Vec<Option<Vec<u8>>>,
}

impl<'a> LogReader<'a> {
    /// Reads a block.
    pub fn open(segment: &'a Segment, number: usize) -> Result<Self, Damaged> {
        let packed = segment.packed(segment.footer.blocks.get(number).ok_or(Damaged)?)?;
        let mut input = Input::new(&packed);
        if input.raw(4)? != IN_PARTS.to_le_bytes() {
            let body = unpack(&packed)?;
            let frame = LogBlock::read(&mut Input::new(&body))?.0.whole();
            return Ok(Self { segment, number, frames: vec![frame], layout: Layout::Whole(body) });
        }
        let mut length = || Ok(input.varint32()? as usize);
        let (columns_raw, columns, ids) = (length()?, length()?, length()?);
        let mut lengths = Vec::new();
        let mut frames = Vec::new();
        for _ in 0..input.count()? {
            let mut length = || Ok(input.varint32()? as usize);
            frames.push(Frame { records: length()?, bytes: length()? });
            lengths.push(length()?);
        }
        if frames.iter().any(|frame| frame.bytes > MAX_BLOCK) || columns_raw > MAX_BLOCK {
            return Err(Damaged);
        }
        let mut at = packed.len() - input.left();
        let mut next = |length: usize| {
            let start = at;
            at = start.checked_add(length).filter(|end| *end <= packed.len()).ok_or(Damaged)?;
            Ok(start..at)
        };
        let (columns, ids) = ((next(columns)?, columns_raw), next(ids)?);
        let places = lengths.iter().zip(&frames).map(|(length, frame)| Ok((next(*length)?, frame.bytes)));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let unpacked = vec![None; frames.len()];
        let table = segment.log_table()?.ok_or(Damaged)?;
        let dictionary = table.dictionary(number)?;
        let texts = Texts { packed, dictionary, places, unpacked };
        Ok(Self { segment, number, frames, layout: Layout::Parts { columns, ids, texts } })
    }

    /// Records that lie together, and bytes of their lines.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Which frames have lines with all of these.
    pub fn holding(&mut self, needles: &[Finder<'_>]) -> Result<Vec<bool>, Damaged> {
        let holds = |text: &[u8]| needles.iter().all(|needle| needle.find(text).is_some());
        let (segment, count) = (self.segment, self.frames.len());
        match &mut self.layout {
            _ if needles.is_empty() => Ok(vec![true; count]),
            Layout::Whole(body) => Ok(vec![holds(LogBlock::read(&mut Input::new(body))?.1)]),
            Layout::Parts { texts, .. } => {
                let mut texts = OfSegment { segment, texts };
                (0..count).map(|frame| Ok(holds(texts.text(frame)?))).collect()
            }
        }
    }

    /// All records.
    pub fn all(self) -> Result<LogBatch, Damaged> {
        self.only(None, |_, _| true)
    }

    /// The records that are wanted; the number of their frame is told, too. Where all of them are of one trace, the low half of its
    /// id spares reading the others.
    pub fn only(self, of: Option<u64>, wanted: impl Fn(usize, &LogRow) -> bool) -> Result<LogBatch, Damaged> {
        let Self { segment, number, frames, layout } = self;
        match layout {
            Layout::Whole(body) => {
                let (block, text) = LogBlock::read(&mut Input::new(&body))?;
                block.only(&frames, &mut Whole(text), wanted)
            }
            Layout::Parts { columns: (columns, raw), ids, mut texts } => {
                let part = |range: Range<usize>| texts.packed.get(range).ok_or(Damaged);
                let columns = unpack_to(part(columns)?, raw)?;
                let stream = segment.footer.blocks.get(number).ok_or(Damaged)?.stream;
                let labels = segment.footer.streams.get(stream as usize).ok_or(Damaged)?;
                let traces = segment.log_table()?.ok_or(Damaged)?.ids_of(segment, number)?;
                let Some(block) = LogBlock::of_parts(&columns, part(ids)?, &traces, labels, of)? else {
                    return Ok(LogBatch::default());
                };
                block.only(&frames, &mut OfSegment { segment, texts: &mut texts }, wanted)
            }
        }
    }
}

struct OfSegment<'a> {
    segment: &'a Segment,
    texts: &'a mut Texts,
}

impl FrameTexts for OfSegment<'_> {
    fn text(&mut self, frame: usize) -> Result<&[u8], Damaged> {
        let Texts { packed, dictionary, places, unpacked } = self.texts;
        let slot = unpacked.get_mut(frame).ok_or(Damaged)?;
        if slot.is_none() {
            let (place, raw) = places.get(frame).ok_or(Damaged)?;
            let packed = packed.get(place.clone()).ok_or(Damaged)?;
            *slot = Some(match dictionary {
                None => unpack_to(packed, *raw)?,
                Some(dictionary) => unpack_with(self.segment, *dictionary, packed, *raw)?,
            });
        }
        slot.as_deref().ok_or(Damaged)
    }
}
