//! When the spans of a segment ran, by time: what tells which blocks to read for those of one service and moment, since blocks are
//! in the order of traces, whose ids say nothing of time.
//!
//! Rows of start, length, service and block, in the order of their starts, packed in groups; the section itself lists the
//! services and, of each group, its times and where it lies.

use std::io;
use std::sync::Arc;

use parsers::record::SpanBatch;
use rustc_hash::FxHashMap;

use super::{Extent, Section, Segment, Writer};
use crate::codec::{Damaged, Input, Output};
use crate::read::RunningSelect;

/// Rows of a group: about 30 KB, unpacked in less than a tenth of a millisecond.
const GROUP: usize = 4096;

/// A span.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: u64,
    /// Up to half an hour exactly; longer ones count as without end.
    long: u32,
    service: u32,
    block: u32,
}

/// Nanoseconds that a length is counted in.
const UNIT: u64 = 500;

/// What is gathered while blocks of spans are written.
#[derive(Debug, Default)]
pub(super) struct Times {
    rows: Vec<Row>,
    services: FxHashMap<Arc<str>, u32>,
}

impl Times {
    /// Takes the spans of a block.
    pub(super) fn add(&mut self, block: u32, spans: &SpanBatch) {
        let mut services = Vec::with_capacity(spans.resources.len());
        for resource in &spans.resources {
            let next = self.services.len() as u32;
            services.push(*self.services.entry(Arc::clone(&resource.service)).or_insert(next));
        }
        for row in &spans.rows {
            let Some(service) = services.get(row.resource as usize) else { continue };
            let long = row.end.saturating_sub(row.start).div_ceil(UNIT);
            let long = u32::try_from(long).unwrap_or(u32::MAX);
            self.rows.push(Row { start: row.start, long, service: *service, block });
        }
    }

    /// Writes the groups and the section; nothing if there are no spans.
    pub(super) fn write(mut self, writer: &mut Writer) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.rows.sort_unstable_by_key(|row| row.start);
        let mut names: Vec<(Arc<str>, u32)> = self.services.into_iter().collect();
        names.sort_unstable_by_key(|(_, number)| *number);
        let mut section = Output::default();
        section.varint(names.len() as u64);
        names.iter().for_each(|(name, _)| section.bytes(name.as_bytes()));
        section.varint(self.rows.chunks(GROUP).len() as u64);
        for group in self.rows.chunks(GROUP) {
            let mut out = Output::default();
            let first = group.first().map_or(0, |row| row.start);
            let (mut at, mut last) = (first, 0);
            for row in group {
                out.varint(row.start - at);
                out.varint(u64::from(row.long));
                out.varint(u64::from(row.service));
                out.varint(u64::from(row.block));
                at = row.start;
                last = last.max(end(row));
            }
            section.varint(first);
            section.varint(at - first);
            section.varint(last);
            writer.packed(&out)?.encode(&mut section);
        }
        writer.section(Section::SpanTimes, &section)
    }
}

fn end(row: &Row) -> u64 {
    if row.long == u32::MAX { u64::MAX } else { row.start.saturating_add(u64::from(row.long) * UNIT) }
}

/// Blocks that hold spans of a selection, in order; `None` if the segment does not tell. Lengths are rounded
/// up: who reads the blocks looks again.
pub fn ran(segment: &Segment, select: &RunningSelect) -> Result<Option<Vec<u32>>, Damaged> {
    let Some(section) = segment.section(Section::SpanTimes)? else { return Ok(None) };
    let mut input = Input::new(&section);
    let mut wanted = Vec::new();
    for number in 0..input.count()? as u64 {
        let name = input.text()?;
        if select.services.iter().any(|service| service == name) {
            wanted.push(number);
        }
    }
    let earliest = select.window.start.saturating_sub(select.longest);
    let mut blocks = Vec::new();
    for _ in 0..input.count()? {
        let first = input.varint()?;
        let newest = first.checked_add(input.varint()?).ok_or(Damaged)?;
        let (last, extent) = (input.varint()?, Extent::decode(&mut input)?);
        if !select.window.touches(first, last) || newest < earliest {
            continue;
        }
        let group = segment.read_part(extent)?;
        let (mut rows, mut start) = (Input::new(&group), first);
        while rows.left() > 0 {
            start = start.checked_add(rows.varint()?).ok_or(Damaged)?;
            let (long, service, block) = (rows.varint32()?, rows.varint()?, rows.varint32()?);
            let row = Row { start, long, service: service as u32, block };
            if start >= earliest && select.window.touches(start, end(&row)) && wanted.contains(&service) {
                blocks.push(block);
            }
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    Ok(Some(blocks))
}
