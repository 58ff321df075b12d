//! When the spans of a segment ran, by time: what tells which blocks to read for those of one service and moment, since blocks are
//! in the order of traces, whose ids say nothing of time.
//!
//! Rows of start, length, service and block, in the order of their starts, packed in groups; the section itself lists the
//! services and, of each group, its times and where it lies.

use std::io;
use std::sync::Arc;

use parsers::record::SpanBatch;
use rustc_hash::FxHashMap;

use super::{Extent, Section, Writer};
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

/// What the section says of a segment.
#[derive(Debug)]
pub struct SpanTimes {
    /// By number.
    services: Vec<Box<str>>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// Earliest start, newest start, and when the last one ended.
    times: (u64, u64, u64),
    extent: Extent,
}

/// A group, in the order of starts.
#[derive(Debug)]
pub struct SpanRows(Vec<Row>);

impl SpanTimes {
    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, Damaged> {
        let services = (0..input.count()?).map(|_| Ok(input.text()?.into())).collect::<Result<_, _>>()?;
        let group = |input: &mut Input<'_>| {
            let first = input.varint()?;
            let newest = first.checked_add(input.varint()?).ok_or(Damaged)?;
            Ok(Group { times: (first, newest, input.varint()?), extent: Extent::decode(input)? })
        };
        let groups = (0..input.count()?).map(|_| group(input)).collect::<Result<_, _>>()?;
        Ok(Self { services, groups })
    }

    /// Blocks that hold spans of a selection, in order. Lengths are rounded up: who reads the blocks looks again. `rows` reads a
    /// group, which begins at this time.
    pub fn ran(
        &self,
        select: &RunningSelect,
        rows: impl Fn(Extent, u64) -> Result<Arc<SpanRows>, Damaged>,
    ) -> Result<Vec<u32>, Damaged> {
        let wants = |name: &str| select.services.iter().any(|service| service == name);
        let wanted: Vec<bool> = self.services.iter().map(|name| wants(name)).collect();
        let earliest = select.window.start.saturating_sub(select.longest);
        let mut blocks = Vec::new();
        for Group { times: (first, newest, last), extent } in &self.groups {
            if !select.window.touches(*first, *last) || *newest < earliest {
                continue;
            }
            let rows = rows(*extent, *first)?;
            let rows = rows.0.get(rows.0.partition_point(|row| row.start < earliest)..).unwrap_or_default();
            for row in rows.iter().take_while(|row| row.start < select.window.end) {
                let of_service = wanted.get(row.service as usize) == Some(&true);
                if of_service && select.window.touches(row.start, end(row)) {
                    blocks.push(row.block);
                }
            }
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(blocks)
    }
}

impl SpanRows {
    /// Reads a group that begins at this time.
    pub fn decode(input: &mut Input<'_>, mut start: u64) -> Result<Self, Damaged> {
        let mut rows = Vec::with_capacity(GROUP.min(input.left()));
        while input.left() > 0 {
            start = start.checked_add(input.varint()?).ok_or(Damaged)?;
            let (long, service, block) = (input.varint32()?, input.varint32()?, input.varint32()?);
            rows.push(Row { start, long, service, block });
        }
        Ok(Self(rows))
    }

    /// Bytes in memory.
    pub fn size(&self) -> usize {
        self.0.capacity() * size_of::<Row>()
    }
}
