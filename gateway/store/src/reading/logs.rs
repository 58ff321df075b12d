//! Scanning log records by stream and time: blocks and head batches are merged by a heap, and read when their turn comes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use memchr::memmem::Finder;
use parsers::record::{Batch, Labels, LogBatch, LogRecord, TraceId};

use crate::codec::Damaged;
use crate::read::{
    Direction, LogRead, LogSelect, LogView, LogVisit, Matcher, ReadError, ScanReport, Signal, Tally, Window,
};
use crate::sampling::Mask;
use crate::segment::{Holding, Literal, LogReader, Segment};
use crate::store::{Inner, Store};

/// A part of a log scan: not read yet, or its wanted rows in order.
enum Part {
    Head(Arc<Batch>),
    /// The rows of one trace.
    HeadOf(Arc<Batch>, Vec<u32>),
    /// With traces, by the low halves of their ids, of all of which each wanted record is.
    Block(Arc<Segment>, usize, Vec<u64>),
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
        let mask = self.inner().mask();
        let (batches, segments) = self.inner().snapshot();
        let stays = |trace| mask.as_ref().is_none_or(|mask| !mask.hides(trace));
        let wanted = |labels: &Arc<Labels>| matchers.iter().all(|m| m.matches(labels));
        for batch in &batches {
            let logs = &batch.logs;
            let streams: Vec<bool> = logs.streams.iter().map(wanted).collect();
            for row in logs.rows.iter().filter(|row| window.contains(row.time) && stays(row.trace)) {
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
        let (batches, segments) = self.inner().snapshot_within(Signal::Logs, window);
        let mut streams = BTreeSet::new();
        for (batch, _, _) in &batches {
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

/// What blocks are passed over by, without being read.
struct Skips<'a> {
    select: &'a LogSelect,
    contains: Vec<Literal>,
    spellings: Vec<Literal>,
}

impl<'a> Skips<'a> {
    fn new(select: &'a LogSelect) -> Self {
        let literals = |texts: &[Vec<u8>]| texts.iter().map(|text| Literal::new(text)).collect();
        let spellings = select.mentions.as_ref().map(|m| literals(&m.texts)).unwrap_or_default();
        Self { select, contains: literals(&select.contains), spellings }
    }

    /// Which blocks of a segment are. What cannot be read skips nothing.
    fn of(&self, segment: &Segment) -> Skipped {
        let mut skipped = Skipped { blocks: vec![false; segment.footer.blocks.len()], traces: Vec::new() };
        if let Some(id) = self.select.trace {
            if let Some(blocks) = of_trace(segment, id) {
                skipped.keep_only(&blocks);
            }
            skipped.traces.push((id.low64(), Vec::new()));
        }
        for literal in &self.contains {
            let Some(Holding { blocks, of_others }) = segment.holding(literal) else { continue };
            skipped.keep_only(&blocks);
            if let [id] = literal.ids.as_slice() {
                skipped.traces.push((id.low64, of_others));
            }
        }
        if let Some(mention) = &self.select.mentions
            && let Some(mut kept) = of_trace(segment, mention.trace)
            && let Some(spelled) =
                self.spellings.iter().map(|s| segment.holding(s)).collect::<Option<Vec<_>>>()
        {
            let mut of_others = vec![false; kept.len()];
            for holding in spelled {
                kept.iter_mut().zip(holding.blocks).for_each(|(kept, holds)| *kept |= holds);
                of_others.iter_mut().zip(holding.of_others).for_each(|(any, holds)| *any |= holds);
            }
            skipped.keep_only(&kept);
            skipped.traces.push((mention.trace.low64(), of_others));
        }
        skipped
    }
}

/// What is known of the blocks of a segment.
struct Skipped {
    /// Whether each is passed over.
    blocks: Vec<bool>,
    /// Traces, and which blocks may have wanted records that are not of them.
    traces: Vec<(u64, Vec<bool>)>,
}

impl Skipped {
    fn keep_only(&mut self, kept: &[bool]) {
        self.blocks.iter_mut().zip(kept).for_each(|(skipped, kept)| *skipped |= !kept);
    }

    /// The traces of which all wanted records of a block are.
    fn traces_of(&self, block: usize) -> Vec<u64> {
        let of_trace = self.traces.iter().filter(|(_, others)| others.get(block) != Some(&true));
        of_trace.map(|(low64, _)| *low64).collect()
    }
}

/// Which blocks of a segment may hold records of a trace; `None` if its index cannot be read.
fn of_trace(segment: &Segment, id: TraceId) -> Option<Vec<bool>> {
    let mut blocks = vec![false; segment.footer.blocks.len()];
    for number in segment.find(id.low64()).ok()?.unwrap_or_default() {
        if let Some(block) = blocks.get_mut(number) {
            *block = true;
        }
    }
    Some(blocks)
}

/// One scan under way.
struct Scan<'a> {
    inner: &'a Inner,
    select: &'a LogSelect,
    needles: Vec<Finder<'a>>,
    /// Those of the needles that are in the text of a block, if they are in one of its lines.
    certain: Vec<Finder<'a>>,
    /// Trace ids in needles: their digits are in the text of a block, or its line is of that trace.
    ids: Vec<(Finder<'static>, u64)>,
    /// Of the trace that is mentioned.
    spellings: Vec<Finder<'a>>,
    /// With the time at which each part begins, in the scan's direction.
    parts: Vec<(u64, Part)>,
    /// What sampling dropped.
    mask: Option<Mask<'a>>,
    report: ScanReport,
}

impl<'a> Scan<'a> {
    fn new(inner: &'a Inner, select: &'a LogSelect) -> Self {
        let mask = inner.mask();
        let (batches, of_trace, segments) = match select.trace {
            Some(id) => {
                let (of_trace, segments) = inner.snapshot_of(id.low64());
                (Vec::new(), of_trace, segments)
            }
            None => {
                let (batches, segments) = inner.snapshot_within(Signal::Logs, select.window);
                (batches, Vec::new(), segments)
            }
        };
        let mut parts = Vec::new();
        let mut add = |part: Part, first: u64, last: u64| {
            if select.window.touches(first, last) {
                parts.push((if select.direction == Direction::Backward { last } else { first }, part));
            }
        };
        let skips = Skips::new(select);
        let touched = |s: &&Arc<Segment>| {
            s.name.signal == Signal::Logs && select.window.touches(s.footer.first, s.footer.last)
        };
        for segment in segments.iter().filter(touched) {
            let streams: Vec<bool> = segment.footer.streams.iter().map(|s| wanted(select, s)).collect();
            if !streams.contains(&true) {
                continue;
            }
            let skipped = skips.of(segment);
            for (number, block) in segment.footer.blocks.iter().enumerate() {
                let of_interest = skipped.blocks.get(number) == Some(&false);
                if of_interest && streams.get(block.stream as usize).copied().unwrap_or(true) {
                    let part = Part::Block(Arc::clone(segment), number, skipped.traces_of(number));
                    add(part, block.first, block.last);
                }
            }
        }
        for (batch, first, last) in batches {
            if batch.logs.streams.iter().any(|labels| wanted(select, labels)) {
                add(Part::Head(batch), first, last);
            }
        }
        for (batch, rows) in of_trace {
            let times = || rows.iter().filter_map(|row| batch.logs.rows.get(*row as usize)).map(|r| r.time);
            let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
            add(Part::HeadOf(batch, rows), first, last);
        }
        let needles = select.contains.iter().map(Finder::new).collect();
        let uncut = select.contains.iter().zip(&skips.contains).filter(|(_, literal)| !literal.may_be_cut);
        let certain = uncut.map(|(text, _)| Finder::new(text)).collect();
        let ids = skips.contains.iter().flat_map(|literal| &literal.ids);
        let ids = ids.map(|id| (Finder::new(&id.digits).into_owned(), id.low64)).collect();
        let spellings = select.mentions.iter().flat_map(|m| m.texts.iter().map(Finder::new)).collect();
        let report = ScanReport::default();
        Self { inner, select, needles, certain, ids, spellings, parts, mask, report }
    }

    /// The batch of a part that has not been read yet, and its wanted rows.
    fn open(&mut self, part: Part) -> Option<(Arc<Batch>, Vec<u32>)> {
        let (batch, masked) = match part {
            Part::Head(batch) | Part::Rows(batch, _) => (batch, true),
            Part::HeadOf(batch, rows) => {
                let rows = self.rows(&batch, rows.into_iter(), true);
                return Some((batch, rows));
            }
            Part::Block(segment, block, traces) => {
                let batch = segment.logs(block, |block| self.choose(block, &traces));
                let batch = self.inner.whole_block(&segment, block, batch).map(Arc::new);
                self.report.damaged_blocks += u64::from(batch.is_none());
                (batch?, self.mask.as_ref().is_some_and(|mask| mask.is_over(&segment)))
            }
        };
        let rows = self.rows(&batch, 0..batch.logs.rows.len() as u32, masked);
        Some((batch, rows))
    }

    /// Those records of a block that may be wanted, all of which are of these traces: to look at its text costs less than to put
    /// lines together, and lines that lie with no wanted one are not unpacked.
    fn choose(&mut self, mut block: LogReader<'_>, traces: &[u64]) -> Result<LogBatch, Damaged> {
        let holding = block.holding(&self.certain)?;
        for (frame, _) in block.frames().iter().zip(&holding).filter(|(_, holds)| !**holds) {
            self.report.records += frame.records as u64;
            self.report.bytes += frame.bytes as u64;
        }
        if !holding.contains(&true) {
            return Ok(LogBatch::default());
        }
        // Of the other ids, the digits may be in the text.
        let mut spelled = Vec::new();
        for (digits, low64) in self.ids.iter().filter(|(_, low64)| !traces.contains(low64)) {
            spelled.push((*low64, block.holding(std::slice::from_ref(digits))?));
        }
        let window = self.select.window;
        block.only(traces.first().copied(), |frame, row| {
            let low64 = row.trace as u64;
            let is_spelled =
                |(of, frames): &(u64, Vec<bool>)| *of == low64 || frames.get(frame) == Some(&true);
            holding.get(frame) == Some(&true)
                && window.contains(row.time)
                && traces.iter().all(|of| *of == low64)
                && spelled.iter().all(is_spelled)
        })
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
                    let Some((batch, rows)) = self.open(unread) else { continue };
                    let rows = rows.into_iter();
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
            let Some((batch, rows)) = self.open(part) else { continue };
            for row in rows {
                lend(&batch, row, visit)?;
            }
            visit.progress(&self.report)?;
        }
        ControlFlow::Continue(())
    }

    /// The wanted ones of these rows of a batch, in order. `masked` says that records of dropped traces may be among them.
    fn rows(&mut self, batch: &Batch, of: impl ExactSizeIterator<Item = u32>, masked: bool) -> Vec<u32> {
        let (logs, select) = (&batch.logs, self.select);
        let mask = self.mask.as_ref().filter(|_| masked);
        let streams: Vec<bool> = logs.streams.iter().map(|s| wanted(select, s)).collect();
        // Most blocks hold no rare word at all; one search tells.
        if self.needles.iter().any(|needle| needle.find(&logs.text).is_none()) {
            self.report.records += of.len() as u64;
            self.report.bytes += logs.text.len() as u64;
            return Vec::new();
        }
        let may_spell = self.spellings.iter().any(|spelling| spelling.find(&logs.text).is_some());
        let mut rows: Vec<u32> = Vec::new();
        for number in of {
            let Some(row) = logs.rows.get(number as usize) else { continue };
            if !streams.get(row.stream as usize).copied().unwrap_or(false)
                || !select.window.contains(row.time)
                || mask.is_some_and(|mask| mask.hides(row.trace))
            {
                continue;
            }
            self.report.records += 1;
            self.report.bytes += row.line.len() as u64;
            let is_of = |id: TraceId| {
                // Few rows are, and their low halves tell already.
                row.trace as u64 == id.low64()
                    && TraceId::new(row.trace, row.spelling).is_some_and(|t| t.matches(id).is_some())
            };
            let spells = || self.spellings.iter().any(|spelling| spelling.find(logs.line(row)).is_some());
            let of_trace = select.trace.is_none_or(is_of)
                && select.mentions.as_ref().is_none_or(|m| is_of(m.trace) || may_spell && spells());
            if of_trace && self.needles.iter().all(|needle| needle.find(logs.line(row)).is_some()) {
                rows.push(number);
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
