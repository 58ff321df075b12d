//! Log records by column: times as deltas, ids in binary, lines back to back. A batch of the journal is written in little time; a
//! block of a segment keeps an id that its line spells out once ([`Cut`]), and metadata that several records share once.

use std::ops::Range;
use std::sync::Arc;

use parsers::record::{ByteRange, LogBatch, LogRow, Severity, Spelling};
use rustc_hash::FxHashMap;

use super::cuts::Cut;
use super::{Damaged, Input, Output, decode_file, encode_file};

/// Writes a batch of log records, with their lines as they are.
pub fn encode_logs(batch: &LogBatch, out: &mut Output) {
    let rows = &batch.rows;
    out.varint(rows.len() as u64);
    if rows.is_empty() {
        return;
    }
    encode_lists(batch, out);
    encode_columns(rows, out);
    rows.iter().for_each(|r| out.varint(r.meta.of(&batch.meta).len() as u64));
    for cut in rows.iter().map(Cut::none) {
        out.varint(cut.trace);
        out.varint(cut.span);
    }
    rows.iter().for_each(|r| encode_ids(r, out));
    rows.iter().for_each(|r| out.raw(batch.line(r)));
    rows.iter().for_each(|r| out.raw(r.meta.of(&batch.meta)));
}

/// Writes a block of a segment, which has records, and says where in the output the text of the lines lies.
pub fn encode_log_block(batch: &LogBatch, out: &mut Output) -> Range<usize> {
    let rows = &batch.rows;
    // Blocks of the first version begin with the number of their records, which is not 0.
    out.varint(0);
    out.varint(rows.len() as u64);
    encode_lists(batch, out);
    let mut metas = Vec::new();
    let mut numbers = FxHashMap::default();
    let mut number = |meta: ByteRange| {
        if meta.is_empty() {
            return 0;
        }
        *numbers.entry((meta.start, meta.end)).or_insert_with(|| {
            metas.push(meta);
            metas.len() as u64
        })
    };
    let of_rows: Vec<u64> = rows.iter().map(|r| number(r.meta)).collect();
    out.varint(metas.len() as u64);
    metas.iter().for_each(|meta| out.varint(meta.of(&batch.meta).len() as u64));
    encode_columns(rows, out);
    of_rows.iter().for_each(|number| out.varint(*number));
    let cuts: Vec<Cut> = rows.iter().map(|r| Cut::of(batch.line(r), r)).collect();
    cuts.iter().for_each(|cut| out.varint(cut.trace));
    // Lines of one form have their ids at one distance.
    cuts.iter().for_each(|cut| out.delta(cut.trace, cut.span));
    rows.iter().for_each(|r| encode_ids(r, out));
    let mut text = Vec::with_capacity(batch.text.len());
    rows.iter().zip(&cuts).for_each(|(r, cut)| cut.take_out(batch.line(r), &mut text));
    let start = out.as_bytes().len();
    out.raw(&text);
    let end = out.as_bytes().len();
    metas.iter().for_each(|meta| out.raw(meta.of(&batch.meta)));
    start..end
}

fn encode_lists(batch: &LogBatch, out: &mut Output) {
    out.varint(batch.streams.len() as u64);
    batch.streams.iter().for_each(|s| out.labels(s));
    out.varint(batch.rules.len() as u64);
    batch.rules.iter().for_each(|r| out.bytes(r.as_bytes()));
    out.varint(batch.files.len() as u64);
    batch.files.iter().for_each(|f| encode_file(*f, out));
}

/// What both forms have of each record.
fn encode_columns(rows: &[LogRow], out: &mut Output) {
    let mut last = 0;
    for r in rows {
        out.delta(last, r.time);
        last = r.time;
    }
    last = 0;
    for r in rows {
        out.delta(last, r.observed);
        last = r.observed;
    }
    rows.iter().for_each(|r| out.varint(u64::from(r.stream)));
    rows.iter().for_each(|r| out.varint(u64::from(r.file)));
    last = 0;
    for r in rows {
        out.delta(last, r.offset);
        last = r.offset.wrapping_add(r.line.len() as u64);
    }
    rows.iter().for_each(|r| out.varint(u64::from(r.rule)));
    rows.iter().for_each(|r| out.byte(r.severity as u8));
    rows.iter().for_each(|r| out.byte(r.spelling.code()));
    rows.iter().for_each(|r| out.varint(r.line.len() as u64));
}

fn encode_ids(r: &LogRow, out: &mut Output) {
    if r.trace != 0 {
        out.fixed128(r.trace);
    }
    if r.span != 0 {
        out.fixed64(r.span.swap_bytes());
    }
}

/// Reads [`encode_logs`] back. Ranges come out back to back, whatever they were.
pub fn decode_logs(input: &mut Input<'_>) -> Result<LogBatch, Damaged> {
    let count = input.count()?;
    if count == 0 { Ok(LogBatch::default()) } else { LogBlock::first_form(count, input)?.all() }
}

/// A block of log records, read as far as all but their lines.
#[derive(Debug)]
pub struct LogBlock<'a> {
    /// Its rows tell where lines will lie when all are put together.
    batch: LogBatch,
    cuts: Vec<Cut>,
    /// What is left of the lines.
    text: &'a [u8],
    meta: &'a [u8],
}

impl<'a> LogBlock<'a> {
    /// Reads [`encode_log_block`], or a block of the first version.
    pub fn read(input: &mut Input<'a>) -> Result<Self, Damaged> {
        match input.count()? {
            0 => Self::second_form(input),
            count => Self::first_form(count, input),
        }
    }

    fn first_form(count: usize, input: &mut Input<'a>) -> Result<Self, Damaged> {
        let mut batch = decode_lists(input)?;
        batch.rows = decode_columns(count, input)?;
        let mut end = 0u32;
        for r in &mut batch.rows {
            r.meta = next(&mut end, input.varint32()?)?;
        }
        let mut cuts = vec![Cut::default(); count];
        for cut in &mut cuts {
            *cut = Cut { trace: input.varint()?, span: input.varint()? };
        }
        Self::end(batch, cuts, end, input)
    }

    fn second_form(input: &mut Input<'a>) -> Result<Self, Damaged> {
        let count = input.count()?;
        let mut batch = decode_lists(input)?;
        let mut end = 0u32;
        let mut metas = vec![ByteRange::default()];
        for _ in 0..input.count()? {
            metas.push(next(&mut end, input.varint32()?)?);
        }
        batch.rows = decode_columns(count, input)?;
        for r in &mut batch.rows {
            r.meta = *metas.get(input.varint()? as usize).ok_or(Damaged)?;
        }
        let mut cuts = vec![Cut::default(); count];
        for cut in &mut cuts {
            cut.trace = input.varint()?;
        }
        for cut in &mut cuts {
            cut.span = input.delta(cut.trace)?;
        }
        Self::end(batch, cuts, end, input)
    }

    /// Ids and what is left of the lines, and so many bytes of metadata.
    fn end(mut batch: LogBatch, cuts: Vec<Cut>, meta: u32, input: &mut Input<'a>) -> Result<Self, Damaged> {
        for (r, cut) in batch.rows.iter_mut().zip(&cuts) {
            if cut.trace > 0 {
                r.trace = input.fixed128()?;
            }
            if cut.span > 0 {
                r.span = input.fixed64()?.swap_bytes();
            }
        }
        let whole = batch.rows.last().map_or(0, |r| r.line.end as usize);
        let taken_out: usize = cuts.iter().map(|cut| cut.bytes()).sum();
        let text = input.raw(whole.checked_sub(taken_out).ok_or(Damaged)?)?;
        Ok(Self { batch, cuts, text, meta: input.raw(meta as usize)? })
    }

    /// How many records there are.
    pub fn records(&self) -> usize {
        self.batch.rows.len()
    }

    /// The lines back to back, without the ids that were taken out.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// All records.
    pub fn all(self) -> Result<LogBatch, Damaged> {
        let Self { mut batch, cuts, text, meta } = self;
        let mut text = Input::new(text);
        batch.text.reserve_exact(batch.rows.last().map_or(0, |r| r.line.end as usize));
        for (r, cut) in batch.rows.iter().zip(&cuts) {
            cut.put_back(r, &mut text, &mut batch.text)?;
        }
        batch.meta = meta.to_vec();
        Ok(batch)
    }

    /// The records that are wanted.
    pub fn only(self, wanted: impl Fn(&LogRow) -> bool) -> Result<LogBatch, Damaged> {
        let Self { mut batch, cuts, text, meta } = self;
        let mut text = Input::new(text);
        for (mut r, cut) in std::mem::take(&mut batch.rows).into_iter().zip(&cuts) {
            if !wanted(&r) {
                text.raw(r.line.len().checked_sub(cut.bytes()).ok_or(Damaged)?)?;
                continue;
            }
            let start = batch.text.len() as u32;
            cut.put_back(&r, &mut text, &mut batch.text)?;
            r.line = ByteRange { start, end: batch.text.len() as u32 };
            batch.rows.push(r);
        }
        batch.meta = meta.to_vec();
        Ok(batch)
    }
}

fn next(end: &mut u32, length: u32) -> Result<ByteRange, Damaged> {
    let start = *end;
    *end = start.checked_add(length).ok_or(Damaged)?;
    Ok(ByteRange { start, end: *end })
}

fn decode_lists(input: &mut Input<'_>) -> Result<LogBatch, Damaged> {
    let mut batch = LogBatch::default();
    for _ in 0..input.count()? {
        batch.streams.push(Arc::new(input.labels()?));
    }
    for _ in 0..input.count()? {
        batch.rules.push(Arc::from(input.text()?));
    }
    for _ in 0..input.count()? {
        batch.files.push(decode_file(input)?);
    }
    Ok(batch)
}

/// Rows with all that [`encode_columns`] writes; lines lie back to back.
fn decode_columns(count: usize, input: &mut Input<'_>) -> Result<Vec<LogRow>, Damaged> {
    let mut rows = vec![LogRow::default(); count];
    let mut last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.time = last;
    }
    last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.observed = last;
    }
    for r in &mut rows {
        r.stream = input.varint32()?;
    }
    for r in &mut rows {
        r.file = input.varint32()?;
    }
    let mut offsets = *input;
    for _ in 0..count {
        input.varint()?;
    }
    for r in &mut rows {
        r.rule = input.varint()? as u16;
    }
    for r in &mut rows {
        r.severity = Severity::from_code(input.byte()?);
    }
    for r in &mut rows {
        r.spelling = Spelling::from_code(input.byte()?);
    }
    last = 0;
    let mut end = 0u32;
    for r in &mut rows {
        let length = input.varint32()?;
        r.line = next(&mut end, length)?;
        r.offset = offsets.delta(last)?;
        last = r.offset.wrapping_add(u64::from(length));
    }
    Ok(rows)
}
