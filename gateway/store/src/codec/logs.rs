//! Log records by column: times as deltas, ids in binary, lines back to back. Here are batches of the journal, written in little
//! time, and the blocks of earlier versions; what segments hold now is in `log_parts`.

use std::sync::Arc;

use parsers::record::{ByteRange, LogBatch, LogRow, Severity, Spelling};

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

fn encode_lists(batch: &LogBatch, out: &mut Output) {
    out.varint(batch.streams.len() as u64);
    batch.streams.iter().for_each(|s| out.labels(s));
    encode_sources(batch, out);
}

/// Rules and files.
pub(super) fn encode_sources(batch: &LogBatch, out: &mut Output) {
    out.varint(batch.rules.len() as u64);
    batch.rules.iter().for_each(|r| out.bytes(r.as_bytes()));
    out.varint(batch.files.len() as u64);
    batch.files.iter().for_each(|f| encode_file(*f, out));
}

/// What all forms have of each record.
pub(super) fn encode_columns(rows: &[LogRow], out: &mut Output) {
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
    if count == 0 {
        return Ok(LogBatch::default());
    }
    let (block, text) = LogBlock::first_form(count, input)?;
    let whole = block.whole();
    block.all(&[whole], &mut Whole(text))
}

/// Some records that follow each other in a block, whose lines are packed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub records: usize,
    /// Bytes of their lines, less the ids that were taken out.
    pub bytes: usize,
}

/// What is left of the lines of a block, frame by frame.
pub trait FrameTexts {
    /// That of a frame.
    fn text(&mut self, frame: usize) -> Result<&[u8], Damaged>;
}

/// The lines of a block that has one frame.
pub struct Whole<'a>(pub &'a [u8]);

impl FrameTexts for Whole<'_> {
    fn text(&mut self, _: usize) -> Result<&[u8], Damaged> {
        Ok(self.0)
    }
}

/// A block of log records, read as far as all but their lines.
#[derive(Debug)]
pub struct LogBlock<'a> {
    /// Its rows tell where lines will lie when all are put together.
    pub(super) batch: LogBatch,
    pub(super) cuts: Vec<Cut>,
    pub(super) meta: &'a [u8],
}

impl<'a> LogBlock<'a> {
    /// Reads a block of the first or the second version, and what is left of its lines, which are one frame.
    pub fn read(input: &mut Input<'a>) -> Result<(Self, &'a [u8]), Damaged> {
        match input.count()? {
            0 => Self::second_form(input),
            count => Self::first_form(count, input),
        }
    }

    fn first_form(count: usize, input: &mut Input<'a>) -> Result<(Self, &'a [u8]), Damaged> {
        let mut batch = decode_lists(input)?;
        batch.rows = decode_columns(count, 0, input)?;
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

    fn second_form(input: &mut Input<'a>) -> Result<(Self, &'a [u8]), Damaged> {
        let count = input.count()?;
        let mut batch = decode_lists(input)?;
        let (cuts, end) = decode_shared(count, count, &mut batch, input)?;
        Self::end(batch, cuts, end, input)
    }

    /// Ids and what is left of the lines, and so many bytes of metadata.
    fn end(
        mut batch: LogBatch,
        cuts: Vec<Cut>,
        meta: u32,
        input: &mut Input<'a>,
    ) -> Result<(Self, &'a [u8]), Damaged> {
        for (r, cut) in batch.rows.iter_mut().zip(&cuts) {
            if cut.trace > 0 {
                r.trace = input.fixed128()?;
            }
            if cut.span > 0 {
                r.span = input.fixed64()?.swap_bytes();
            }
        }
        let block = Self { batch, cuts, meta: &[] };
        let text = input.raw(block.whole().bytes)?;
        Ok((Self { meta: input.raw(meta as usize)?, ..block }, text))
    }

    /// All records as one frame.
    pub fn whole(&self) -> Frame {
        let whole = self.batch.rows.last().map_or(0, |r| r.line.end as usize);
        let taken_out: usize = self.cuts.iter().map(|cut| cut.bytes()).sum();
        // Lines that are shorter than what was taken out of them are found to be damaged when they are put together.
        Frame { records: self.batch.rows.len(), bytes: whole.saturating_sub(taken_out) }
    }

    /// All records.
    pub fn all(self, frames: &[Frame], texts: &mut dyn FrameTexts) -> Result<LogBatch, Damaged> {
        self.only(frames, texts, |_, _| true)
    }

    /// The records that are wanted of those that were read, of which the number of the frame is told, too. Frames without one are
    /// not asked for.
    pub fn only(
        self,
        frames: &[Frame],
        texts: &mut dyn FrameTexts,
        wanted: impl Fn(usize, &LogRow) -> bool,
    ) -> Result<LogBatch, Damaged> {
        let Self { mut batch, cuts, meta } = self;
        let rows = std::mem::take(&mut batch.rows);
        let (mut rows, mut cuts) = (rows.as_slice(), cuts.as_slice());
        for (number, frame) in frames.iter().enumerate() {
            let (of_frame, others) = rows.split_at(frame.records.min(rows.len()));
            let (cuts_of_frame, other_cuts) = cuts.split_at(frame.records.min(cuts.len()));
            (rows, cuts) = (others, other_cuts);
            let Some(last) = of_frame.iter().rposition(|row| wanted(number, row)) else { continue };
            let mut text = Input::new(texts.text(number)?);
            for (row, cut) in of_frame.iter().zip(cuts_of_frame).take(last + 1) {
                if !wanted(number, row) {
                    text.raw(row.line.len().checked_sub(cut.bytes()).ok_or(Damaged)?)?;
                    continue;
                }
                let start = batch.text.len() as u32;
                cut.put_back(row, &mut text, &mut batch.text)?;
                batch.rows.push(LogRow { line: ByteRange { start, end: batch.text.len() as u32 }, ..*row });
            }
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
    decode_sources(&mut batch, input)?;
    Ok(batch)
}

/// Reads [`encode_sources`] back.
pub(super) fn decode_sources(batch: &mut LogBatch, input: &mut Input<'_>) -> Result<(), Damaged> {
    for _ in 0..input.count()? {
        batch.rules.push(Arc::from(input.text()?));
    }
    for _ in 0..input.count()? {
        batch.files.push(decode_file(input)?);
    }
    Ok(())
}

/// Rows whose metadata stand once for all that have the same; where each row's ids are, and how many bytes metadata take. Rows
/// behind the first so many are passed over.
pub(super) fn decode_shared(
    count: usize,
    wanted: usize,
    batch: &mut LogBatch,
    input: &mut Input<'_>,
) -> Result<(Vec<Cut>, u32), Damaged> {
    let mut end = 0u32;
    let mut metas = vec![ByteRange::default()];
    for _ in 0..input.count()? {
        metas.push(next(&mut end, input.varint32()?)?);
    }
    let others = count.checked_sub(wanted).ok_or(Damaged)?;
    batch.rows = decode_columns(wanted, others, input)?;
    for r in &mut batch.rows {
        r.meta = *metas.get(input.varint()? as usize).ok_or(Damaged)?;
    }
    input.skip_varints(others)?;
    let mut cuts = vec![Cut::default(); wanted];
    for cut in &mut cuts {
        cut.trace = input.varint()?;
    }
    input.skip_varints(others)?;
    for cut in &mut cuts {
        cut.span = input.delta(cut.trace)?;
    }
    input.skip_varints(others)?;
    Ok((cuts, end))
}

/// Rows with all that [`encode_columns`] writes; lines lie back to back. So many others behind them are passed over.
fn decode_columns(count: usize, others: usize, input: &mut Input<'_>) -> Result<Vec<LogRow>, Damaged> {
    let mut rows = vec![LogRow::default(); count];
    let mut last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.time = last;
    }
    input.skip_varints(others)?;
    last = 0;
    for r in &mut rows {
        last = input.delta(last)?;
        r.observed = last;
    }
    input.skip_varints(others)?;
    for r in &mut rows {
        r.stream = input.varint32()?;
    }
    input.skip_varints(others)?;
    for r in &mut rows {
        r.file = input.varint32()?;
    }
    input.skip_varints(others)?;
    let mut offsets = *input;
    input.skip_varints(count + others)?;
    for r in &mut rows {
        r.rule = input.varint()? as u16;
    }
    input.skip_varints(others)?;
    for r in &mut rows {
        r.severity = Severity::from_code(input.byte()?);
    }
    input.raw(others)?;
    for r in &mut rows {
        r.spelling = Spelling::from_code(input.byte()?);
    }
    input.raw(others)?;
    last = 0;
    let mut end = 0u32;
    for r in &mut rows {
        let length = input.varint32()?;
        r.line = next(&mut end, length)?;
        r.offset = offsets.delta(last)?;
        last = r.offset.wrapping_add(u64::from(length));
    }
    input.skip_varints(others)?;
    Ok(rows)
}

/// Passes over what [`decode_shared`] reads, and gives [`Cut::trace`] of each row.
pub(super) fn pass_to_traces(count: usize, input: &mut Input<'_>) -> Result<Vec<u64>, Damaged> {
    let metas = input.count()?;
    input.skip_varints(metas)?;
    // Times, streams, files, offsets, rules.
    input.skip_varints(count.checked_mul(6).ok_or(Damaged)?)?;
    // Severities and spellings.
    input.raw(count.checked_mul(2).ok_or(Damaged)?)?;
    // Lengths of lines, and metadata.
    input.skip_varints(count.checked_mul(2).ok_or(Damaged)?)?;
    let cuts = (0..count).map(|_| input.varint()).collect::<Result<_, _>>()?;
    input.skip_varints(count)?;
    Ok(cuts)
}
