//! Scanning log records by stream and time: blocks and head batches are merged by a heap, and read when their turn comes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Batch, Labels, LogRecord, TraceId};

use crate::read::{Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Signal, Window};
use crate::sampling::Mask;
use crate::segment::Segment;
use crate::store::Store;

/// A part of a log scan: not read yet, or its wanted rows in order.
enum Part {
    Head(Arc<Batch>),
    Block(Arc<Segment>, usize),
    Rows(Arc<Batch>, std::vec::IntoIter<u32>),
}

impl LogRead for Store {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let inner = self.inner();
        let mask = inner.mask();
        let (batches, segments) = inner.snapshot();
        let mut report = ScanReport::default();
        let backward = select.direction == Direction::Backward;
        let key = |time: u64| if backward { !time } else { time };
        let wanted = |labels: &Labels| select.matchers.iter().all(|m| m.matches(labels));
        let mut parts: Vec<Option<Part>> = Vec::new();
        let mut heap = BinaryHeap::new();
        let mut add = |part: Part, first: u64, last: u64| {
            if select.window.touches(first, last) {
                let number = parts.len() as u64;
                heap.push(Reverse((key(if backward { last } else { first }), key(number))));
                parts.push(Some(part));
            }
        };
        let touched = |s: &&Arc<Segment>| {
            s.name.signal == Signal::Logs && select.window.touches(s.footer.first, s.footer.last)
        };
        for segment in segments.iter().filter(touched) {
            let streams: Vec<bool> = segment.footer.streams.iter().map(|s| wanted(s)).collect();
            // An index that cannot be read skips nothing.
            let only = match select.trace.map(|id| segment.find(id.low64())) {
                Some(Ok(blocks)) => Some(blocks.unwrap_or_default()),
                Some(Err(_)) | None => None,
            };
            for (number, block) in segment.footer.blocks.iter().enumerate() {
                let of_trace = only.as_ref().is_none_or(|only| only.contains(&number));
                if of_trace && streams.get(block.stream as usize).copied().unwrap_or(true) {
                    add(Part::Block(Arc::clone(segment), number), block.first, block.last);
                }
            }
        }
        for batch in batches.into_iter().filter(|b| !b.logs.rows.is_empty()) {
            let times = || batch.logs.rows.iter().map(|r| r.time);
            let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
            add(Part::Head(batch), first, last);
        }
        while let Some(Reverse((_, number))) = heap.pop() {
            let index = key(number) as usize;
            let Some(part) = parts.get_mut(index).and_then(Option::take) else { continue };
            let (batch, mut rows) = match part {
                Part::Rows(batch, mut rows) => {
                    let row = rows.next().and_then(|r| batch.logs.rows.get(r as usize));
                    if row.is_some_and(|r| visit(batch.logs.record(r)).is_break()) {
                        return Ok(report);
                    }
                    (batch, rows)
                }
                Part::Head(batch) => {
                    let rows = select_rows(&batch, select, &wanted, mask.as_ref(), &mut report);
                    (batch, rows)
                }
                Part::Block(segment, block) => {
                    let Some(batch) = inner.block(&segment, block).map(Arc::new) else {
                        report.damaged_blocks += 1;
                        continue;
                    };
                    let mask = mask.as_ref().filter(|mask| mask.is_over(&segment));
                    let rows = select_rows(&batch, select, &wanted, mask, &mut report);
                    (batch, rows)
                }
            };
            if let Some(next) = rows.as_slice().first().and_then(|r| batch.logs.rows.get(*r as usize)) {
                heap.push(Reverse((key(next.time), number)));
                if let Some(slot) = parts.get_mut(index) {
                    *slot = Some(Part::Rows(batch, std::mem::take(&mut rows)));
                }
            }
        }
        Ok(report)
    }

    fn streams(&self, matchers: &[Matcher], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let (batches, segments) = self.inner().snapshot();
        let mut streams = BTreeSet::new();
        for batch in &batches {
            let used: HashSet<u32> =
                batch.logs.rows.iter().filter(|r| window.contains(r.time)).map(|r| r.stream).collect();
            streams.extend(used.iter().filter_map(|s| batch.logs.streams.get(*s as usize)).cloned());
        }
        for segment in segments.iter().filter(|s| window.touches(s.footer.first, s.footer.last)) {
            let blocks = segment.footer.blocks.iter().filter(|b| window.touches(b.first, b.last));
            streams.extend(blocks.filter_map(|b| segment.footer.streams.get(b.stream as usize)).cloned());
        }
        Ok(streams.into_iter().filter(|s| matchers.iter().all(|m| m.matches(s))).collect())
    }
}

fn select_rows(
    batch: &Batch,
    select: &LogSelect,
    wanted: &dyn Fn(&Labels) -> bool,
    mask: Option<&Mask<'_>>,
    report: &mut ScanReport,
) -> std::vec::IntoIter<u32> {
    let logs = &batch.logs;
    let streams: Vec<bool> = logs.streams.iter().map(|s| wanted(s)).collect();
    let mut rows: Vec<u32> = Vec::new();
    for (number, row) in logs.rows.iter().enumerate() {
        if !streams.get(row.stream as usize).copied().unwrap_or(false) || !select.window.contains(row.time) {
            continue;
        }
        if mask.is_some_and(|mask| mask.hides(row.trace)) {
            continue;
        }
        let line = logs.line(row);
        report.records += 1;
        report.bytes += line.len() as u64;
        let of_trace = select
            .trace
            .is_none_or(|id| TraceId::new(row.trace, row.spelling).is_some_and(|t| t.matches(id).is_some()));
        if of_trace && select.contains.iter().all(|c| memchr::memmem::find(line, c).is_some()) {
            rows.push(number as u32);
        }
    }
    let time = |row: &u32| logs.rows.get(*row as usize).map_or(0, |r| r.time);
    rows.sort_by_key(time);
    if select.direction == Direction::Backward {
        rows.reverse();
    }
    rows.into_iter()
}
