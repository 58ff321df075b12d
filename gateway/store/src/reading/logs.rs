//! Scanning log records by stream and time: blocks and head batches are merged by a heap, and read when their turn comes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use memchr::memmem::Finder;
use parsers::record::{Batch, Labels, LogRecord, TraceId};

use crate::read::{
    Direction, LogRead, LogSelect, LogView, LogVisit, Matcher, ReadError, ScanReport, Signal, Tally, Window,
};
use crate::segment::Segment;
use crate::store::{Inner, Store};

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
        let mut scan = Scan::new(self.inner(), select);
        scan.in_order(&mut Stop, &mut |batch, row| {
            batch
                .logs
                .rows
                .get(row as usize)
                .map_or(ControlFlow::Continue(()), |r| visit(batch.logs.record(r)))
        });
        Ok(scan.report)
    }

    fn scan_views(
        &self,
        select: &LogSelect,
        ordered: bool,
        visit: &mut dyn LogVisit,
    ) -> Result<ScanReport, ReadError> {
        let mut scan = Scan::new(self.inner(), select);
        let unlabelled = Arc::default();
        let lend = |batch: &Batch, row: u32, visit: &mut dyn LogVisit| {
            let Some(row) = batch.logs.rows.get(row as usize) else { return ControlFlow::Continue(()) };
            let labels = batch.logs.streams.get(row.stream as usize).unwrap_or(&unlabelled);
            visit.record(&LogView::of(&batch.logs, row, labels))
        };
        if ordered {
            // Progress and records go to one visitor by turns.
            let visit = std::cell::RefCell::new(visit);
            let mut progress = |report: &ScanReport| visit.borrow_mut().progress(report);
            scan.in_order(&mut progress, &mut |batch, row| lend(batch, row, &mut **visit.borrow_mut()));
        } else {
            let _ = scan.as_they_lie(visit, &lend);
        }
        Ok(scan.report)
    }

    fn tally(
        &self,
        matchers: &[Matcher],
        window: Window,
        visit: &mut dyn FnMut(&Tally<'_>),
    ) -> Result<(), ReadError> {
        let (batches, segments) = self.inner().snapshot();
        let wanted = |labels: &Arc<Labels>| matchers.iter().all(|m| m.matches(labels));
        for batch in &batches {
            let logs = &batch.logs;
            let streams: Vec<bool> = logs.streams.iter().map(wanted).collect();
            for row in logs.rows.iter().filter(|row| window.contains(row.time)) {
                let stream = row.stream as usize;
                if let Some(labels) = logs.streams.get(stream).filter(|_| streams.get(stream) == Some(&true))
                {
                    let bytes = row.line.len() as u64;
                    visit(&Tally { labels, first: row.time, last: row.time, records: 1, bytes });
                }
            }
        }
        let touched = |s: &&Arc<Segment>| {
            s.name.signal == Signal::Logs && window.touches(s.footer.first, s.footer.last)
        };
        for segment in segments.iter().filter(touched) {
            let streams: Vec<bool> = segment.footer.streams.iter().map(wanted).collect();
            for block in segment.footer.blocks.iter().filter(|b| window.touches(b.first, b.last)) {
                let stream = block.stream as usize;
                let labels =
                    segment.footer.streams.get(stream).filter(|_| streams.get(stream) == Some(&true));
                let Some(labels) = labels else { continue };
                let (records, bytes) = (u64::from(block.records), u64::from(block.raw));
                let whole = Tally { labels, first: block.first, last: block.last, records, bytes };
                visit(&whole.within(window.start, window.end));
            }
        }
        Ok(())
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

/// Is told how far a scan has come.
trait Progress {
    fn told(&mut self, so_far: &ScanReport) -> ControlFlow<()>;
}

/// For a scan that is stopped by its records only.
struct Stop;

impl Progress for Stop {
    fn told(&mut self, _: &ScanReport) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(&ScanReport) -> ControlFlow<()>> Progress for F {
    fn told(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        self(so_far)
    }
}

/// One scan under way.
struct Scan<'a> {
    inner: &'a Inner,
    select: &'a LogSelect,
    needles: Vec<Finder<'a>>,
    /// With the time at which each part begins, in the scan's direction.
    parts: Vec<(u64, Part)>,
    report: ScanReport,
}

impl<'a> Scan<'a> {
    fn new(inner: &'a Inner, select: &'a LogSelect) -> Self {
        let (batches, segments) = inner.snapshot();
        let mut parts = Vec::new();
        let mut add = |part: Part, first: u64, last: u64| {
            if select.window.touches(first, last) {
                parts.push((if select.direction == Direction::Backward { last } else { first }, part));
            }
        };
        let touched = |s: &&Arc<Segment>| {
            s.name.signal == Signal::Logs && select.window.touches(s.footer.first, s.footer.last)
        };
        for segment in segments.iter().filter(touched) {
            let streams: Vec<bool> = segment.footer.streams.iter().map(|s| wanted(select, s)).collect();
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
        let needles = select.contains.iter().map(Finder::new).collect();
        Self { inner, select, needles, parts, report: ScanReport::default() }
    }

    /// The batch of a part that has not been read yet.
    fn open(&mut self, part: Part) -> Option<Arc<Batch>> {
        match part {
            Part::Head(batch) | Part::Rows(batch, _) => Some(batch),
            Part::Block(segment, block) => {
                let batch = self.inner.block(&segment, block).map(Arc::new);
                self.report.damaged_blocks += u64::from(batch.is_none());
                batch
            }
        }
    }

    fn in_order(
        &mut self,
        progress: &mut dyn Progress,
        visit: &mut dyn FnMut(&Batch, u32) -> ControlFlow<()>,
    ) {
        let backward = self.select.direction == Direction::Backward;
        let key = |time: u64| if backward { !time } else { time };
        let mut heap = BinaryHeap::new();
        let mut parts = Vec::new();
        for (number, (time, part)) in std::mem::take(&mut self.parts).into_iter().enumerate() {
            heap.push(Reverse((key(time), key(number as u64))));
            parts.push(Some(part));
        }
        while let Some(Reverse((_, number))) = heap.pop() {
            let index = key(number) as usize;
            let Some(part) = parts.get_mut(index).and_then(Option::take) else { continue };
            let (batch, rows) = match part {
                Part::Rows(batch, mut rows) => {
                    // Rows of this part go on as long as no other part has an earlier one.
                    let other = heap.peek().map_or((u64::MAX, u64::MAX), |Reverse(other)| *other);
                    while let Some(row) = rows.next() {
                        if visit(&batch, row).is_break() {
                            return;
                        }
                        let next = rows.as_slice().first().and_then(|r| batch.logs.rows.get(*r as usize));
                        if next.is_none_or(|next| (key(next.time), number) > other) {
                            break;
                        }
                    }
                    (batch, rows)
                }
                unread => {
                    let Some(batch) = self.open(unread) else { continue };
                    let rows = self.rows(&batch).into_iter();
                    if progress.told(&self.report).is_break() {
                        return;
                    }
                    (batch, rows)
                }
            };
            if let Some(next) = rows.as_slice().first().and_then(|r| batch.logs.rows.get(*r as usize)) {
                heap.push(Reverse((key(next.time), number)));
                if let Some(slot) = parts.get_mut(index) {
                    *slot = Some(Part::Rows(batch, rows));
                }
            }
        }
    }

    /// Part by part.
    fn as_they_lie(
        &mut self,
        visit: &mut dyn LogVisit,
        lend: &dyn Fn(&Batch, u32, &mut dyn LogVisit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_by_key(|(time, _)| *time);
        for (_, part) in parts {
            let Some(batch) = self.open(part) else { continue };
            for row in self.rows(&batch) {
                lend(&batch, row, visit)?;
            }
            visit.progress(&self.report)?;
        }
        ControlFlow::Continue(())
    }

    /// The wanted rows of a batch, in order.
    fn rows(&mut self, batch: &Batch) -> Vec<u32> {
        let (logs, select) = (&batch.logs, self.select);
        let streams: Vec<bool> = logs.streams.iter().map(|s| wanted(select, s)).collect();
        // Most blocks hold no rare word at all; one search tells.
        let may_hold = self.needles.iter().all(|needle| needle.find(&logs.text).is_some());
        let mut rows: Vec<u32> = Vec::new();
        for (number, row) in logs.rows.iter().enumerate() {
            if !streams.get(row.stream as usize).copied().unwrap_or(false)
                || !select.window.contains(row.time)
            {
                continue;
            }
            self.report.records += 1;
            self.report.bytes += row.line.len() as u64;
            let of_trace = select.trace.is_none_or(|id| {
                TraceId::new(row.trace, row.spelling).is_some_and(|t| t.matches(id).is_some())
            });
            let holds = || self.needles.iter().all(|needle| needle.find(logs.line(row)).is_some());
            if may_hold && of_trace && holds() {
                rows.push(number as u32);
            }
        }
        let time = |row: &u32| logs.rows.get(*row as usize).map_or(0, |r| r.time);
        if !rows.is_sorted_by_key(time) {
            rows.sort_by_key(time);
        }
        if select.direction == Direction::Backward {
            rows.reverse();
        }
        rows
    }
}

fn wanted(select: &LogSelect, labels: &Labels) -> bool {
    select.matchers.iter().all(|m| m.matches(labels))
}
