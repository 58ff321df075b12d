//! A block of log records in the parts that a segment packs apart, so that few of its records can be read without the rest:
//! columns and metadata, span ids, and the lines in frames. An id that a line spells out is taken out of it ([`Cut`]); trace ids lie
//! in a table that all blocks of a segment share, so that each is there once; metadata that several records share is there once.

use std::sync::Arc;

use parsers::record::{ByteRange, Labels, LogBatch};
use rustc_hash::FxHashMap;

use super::cuts::Cut;
use super::logs::{
    Frame, LogBlock, decode_shared, decode_sources, encode_columns, encode_sources, pass_to_traces,
};
use super::{Damaged, Input, Output};

/// Ids of the shared table that a block refers to lie within so many of them, 32 KB; those farther off, of long traces, are in the
/// block.
const REACH: u32 = 2048;

/// A block, encoded.
#[derive(Debug, Default)]
pub struct LogParts {
    /// All but the following.
    pub columns: Output,
    /// Ids as they are: they cannot be packed.
    pub ids: Output,
    /// What is left of the lines, back to back.
    pub text: Vec<u8>,
    /// How the lines are to be packed.
    pub frames: Vec<Frame>,
    /// Where the trace ids lie that it refers to: the first number in the shared table, and how many.
    pub traces: (u32, u32),
}

/// Encodes a block of one stream, which has records. Frames are of about so many bytes; `number` is the place of a trace id in the shared table.
pub fn encode_log_block(
    batch: &LogBatch,
    frame_bytes: usize,
    mut number: impl FnMut(u128) -> u32,
) -> LogParts {
    let rows = &batch.rows;
    let mut parts = LogParts { text: Vec::with_capacity(batch.text.len()), ..LogParts::default() };
    let (columns, ids) = (&mut parts.columns, &mut parts.ids);
    columns.varint(rows.len() as u64);
    encode_sources(batch, columns);
    let mut metas = Vec::new();
    let mut numbers = FxHashMap::default();
    let mut number_of = |meta: ByteRange| {
        if meta.is_empty() {
            return 0;
        }
        *numbers.entry((meta.start, meta.end)).or_insert_with(|| {
            metas.push(meta);
            metas.len() as u64
        })
    };
    let of_rows: Vec<u64> = rows.iter().map(|r| number_of(r.meta)).collect();
    columns.varint(metas.len() as u64);
    metas.iter().for_each(|meta| columns.varint(meta.of(&batch.meta).len() as u64));
    encode_columns(rows, columns);
    of_rows.iter().for_each(|number| columns.varint(*number));
    let cuts: Vec<Cut> = rows.iter().map(|r| Cut::of(batch.line(r), r)).collect();
    cuts.iter().for_each(|cut| columns.varint(cut.trace));
    // Lines of one form have their ids at one distance.
    cuts.iter().for_each(|cut| columns.delta(cut.trace, cut.span));

    let mut known: FxHashMap<u128, u32> = FxHashMap::default();
    for row in rows.iter().filter(|row| row.trace != 0) {
        known.entry(row.trace).or_insert_with(|| number(row.trace));
    }
    let mut traces: Vec<(u32, u128)> = known.iter().map(|(trace, number)| (*number, *trace)).collect();
    traces.sort_unstable();
    let reach = traces.last().map_or(0, |(last, _)| last.saturating_sub(REACH - 1));
    let (own, shared) = traces.split_at(traces.partition_point(|(number, _)| *number < reach));
    let first = shared.first().map_or(0, |(number, _)| *number);
    parts.traces = (first, shared.last().map_or(0, |(last, _)| last - first + 1));
    columns.varint(own.len() as u64);
    own.iter().for_each(|(_, trace)| ids.fixed128(*trace));
    columns.varint(shared.len() as u64);
    let mut before = first;
    for (number, _) in shared {
        columns.varint(u64::from(number - before));
        before = *number;
    }
    for (place, (_, trace)) in traces.iter().enumerate() {
        known.insert(*trace, place as u32);
    }
    for row in rows {
        if let Some(place) = known.get(&row.trace) {
            columns.varint(u64::from(*place));
        }
        if row.span != 0 {
            ids.fixed64(row.span.swap_bytes());
        }
    }
    metas.iter().for_each(|meta| columns.raw(meta.of(&batch.meta)));

    let mut frame = Frame { records: 0, bytes: 0 };
    for (row, cut) in rows.iter().zip(&cuts) {
        let start = parts.text.len();
        cut.take_out(batch.line(row), &mut parts.text);
        frame = Frame { records: frame.records + 1, bytes: frame.bytes + parts.text.len() - start };
        if frame.bytes >= frame_bytes {
            parts.frames.push(std::mem::replace(&mut frame, Frame { records: 0, bytes: 0 }));
        }
    }
    if frame.records > 0 {
        parts.frames.push(frame);
    }
    parts
}

impl<'a> LogBlock<'a> {
    /// Reads the columns and ids of [`LogParts`]. `traces` are those that it refers to, as they lie in the shared table, 16 bytes
    /// each. Where records of one trace alone are wanted, which the low half of its id tells, those behind its last one are left
    /// out; `None` if there is none.
    pub fn of_parts(
        columns: &'a [u8],
        ids: &[u8],
        traces: &[u8],
        labels: &Arc<Labels>,
        of: Option<u64>,
    ) -> Result<Option<Self>, Damaged> {
        let (mut input, mut ids) = (Input::new(columns), Input::new(ids));
        let count = input.count()?;
        let mut batch = LogBatch { streams: vec![Arc::clone(labels)], ..LogBatch::default() };
        decode_sources(&mut batch, &mut input)?;
        let (wanted, with_trace_behind) = match of {
            None => (count, 0),
            Some(low64) => match as_far_as(low64, count, input, ids, traces)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let (cuts, end) = decode_shared(count, wanted, &mut batch, &mut input)?;
        let known = decode_traces(&mut input, &mut ids, traces)?;
        for (r, cut) in batch.rows.iter_mut().zip(&cuts) {
            if cut.trace > 0 {
                r.trace = *known.get(input.varint()? as usize).ok_or(Damaged)?;
            }
            if cut.span > 0 {
                r.span = ids.fixed64()?.swap_bytes();
            }
        }
        input.skip_varints(with_trace_behind)?;
        Ok(Some(Self { batch, cuts, meta: input.raw(end as usize)? }))
    }
}

/// The trace ids of a block, which its records name by their places.
fn decode_traces(input: &mut Input<'_>, ids: &mut Input<'_>, traces: &[u8]) -> Result<Vec<u128>, Damaged> {
    let mut known = Vec::new();
    for _ in 0..input.count()? {
        known.push(ids.fixed128()?);
    }
    let (shared, _) = traces.as_chunks::<16>();
    let mut at = 0usize;
    for _ in 0..input.count()? {
        at = at.checked_add(input.varint()? as usize).ok_or(Damaged)?;
        known.push(u128::from_be_bytes(*shared.get(at).ok_or(Damaged)?));
    }
    Ok(known)
}

/// How many records there are up to the last one of a trace, and how many of those behind have a trace at all; `None` if no record
/// is of that trace.
fn as_far_as(
    low64: u64,
    count: usize,
    mut input: Input<'_>,
    mut ids: Input<'_>,
    traces: &[u8],
) -> Result<Option<(usize, usize)>, Damaged> {
    let cuts = pass_to_traces(count, &mut input)?;
    let known = decode_traces(&mut input, &mut ids, traces)?;
    let of_trace: Vec<bool> = known.iter().map(|trace| *trace as u64 == low64).collect();
    if !of_trace.contains(&true) {
        return Ok(None);
    }
    let mut found = None;
    let mut behind = 0;
    for (row, _) in cuts.iter().enumerate().filter(|(_, cut)| **cut > 0) {
        behind += 1;
        if *of_trace.get(input.varint()? as usize).ok_or(Damaged)? {
            (found, behind) = (Some(row + 1), 0);
        }
    }
    Ok(found.map(|rows| (rows, behind)))
}
