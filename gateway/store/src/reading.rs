//! The reading traits over heads and segments.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use parsers::otlp::{decode_resource, decode_scope, decode_span};
use parsers::record::{Batch, Exemplar, Labels, LogRecord, Pairs, Span, SpanId, SpanKind, TraceId};

use crate::head::Kind;
use crate::read::{
    Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Signal, SpanSelect, TraceRead,
    TraceRecords, Window,
};
use crate::segment::Segment;
use crate::store::{Inner, Store};

/// Records of one trace as they are found.
struct Found {
    id: TraceId,
    limit: usize,
    seen: HashSet<(u128, SpanId, SpanKind, String)>,
    records: TraceRecords,
}

impl Found {
    fn is_ours(&self, bits: u128, spelling: parsers::record::Spelling) -> bool {
        TraceId::new(bits, spelling).is_some_and(|id| id.matches(self.id).is_some())
    }

    fn take(&mut self, batch: &Batch, kind: Kind, row: usize) {
        match kind {
            Kind::Log => {
                let Some(r) = batch.logs.rows.get(row).filter(|r| self.is_ours(r.trace, r.spelling)) else {
                    return;
                };
                if self.records.logs.len() < self.limit {
                    self.records.logs.push(batch.logs.record(r));
                } else {
                    self.records.omitted += 1;
                }
            }
            Kind::Span => self.take_span(batch, row),
            Kind::Exemplar => {
                let m = &batch.metrics;
                let Some(e) = m.exemplars.get(row).filter(|e| self.is_ours(e.trace, e.spelling)) else {
                    return;
                };
                if self.records.exemplars.len() >= self.limit {
                    self.records.omitted += 1;
                    return;
                }
                let labels = Pairs::new(e.labels.of(&m.meta));
                self.records.exemplars.push(Exemplar {
                    series: m.series.get(e.series as usize).cloned().unwrap_or_default(),
                    labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                    value: e.value,
                    time: e.time,
                    trace_id: TraceId::new(e.trace, e.spelling),
                    span_id: SpanId::new(e.span),
                    origin: e.origin,
                });
            }
        }
    }

    fn take_span(&mut self, batch: &Batch, row: usize) {
        let s = &batch.spans;
        let Some(r) = s.rows.get(row).filter(|r| self.is_ours(r.trace, r.spelling)) else { return };
        let resource = s.resources.get(r.resource as usize);
        let service = resource.map(|x| x.service.to_string()).unwrap_or_default();
        let Some(id) = SpanId::new(r.span) else { return };
        if !self.seen.insert((r.trace, id, r.kind, service)) {
            return;
        }
        if self.records.spans.len() >= self.limit {
            self.records.omitted += 1;
            return;
        }
        let resource = resource.map(|x| decode_resource(x.payload.of(&s.bytes))).unwrap_or_default();
        let scope = s.scopes.get(r.scope as usize).map(|x| decode_scope(x.of(&s.bytes))).unwrap_or_default();
        let span = decode_span(r.payload.of(&s.bytes), r.spelling, Arc::new(resource), Arc::new(scope));
        self.records.spans.extend(span);
    }

    fn take_all(&mut self, batch: &Batch) {
        (0..batch.logs.rows.len()).for_each(|i| self.take(batch, Kind::Log, i));
        (0..batch.spans.rows.len()).for_each(|i| self.take(batch, Kind::Span, i));
        (0..batch.metrics.exemplars.len()).for_each(|i| self.take(batch, Kind::Exemplar, i));
    }
}

impl Inner {
    fn snapshot(&self) -> (Vec<Arc<Batch>>, Vec<Arc<Segment>>) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let frozen = view.frozen.iter().flat_map(|h| h.batches.iter().cloned());
        (frozen.chain(view.active.batches.iter().cloned()).collect(), view.segments.clone())
    }

    fn block(&self, segment: &Segment, number: usize) -> Option<Batch> {
        let block = segment.block(number);
        if block.is_err() {
            self.counters.damaged_blocks.fetch_add(1, Relaxed);
            tracing::error!(file = %segment.path.display(), block = number, "a damaged block is passed over");
        }
        block.ok()
    }
}

impl TraceRead for Store {
    fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
        let inner = self.inner();
        let mut found = Found { id, limit, seen: HashSet::new(), records: TraceRecords::default() };
        let (rows, segments) = {
            let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
            let mut rows = view.active.find(id.low64());
            view.frozen.iter().for_each(|h| rows.extend(h.find(id.low64())));
            (rows, view.segments.clone())
        };
        rows.iter().for_each(|(batch, kind, row)| found.take(batch, *kind, *row));
        for segment in segments.iter().rev() {
            let Ok(blocks) = segment.find(id.low64()) else {
                found.records.damaged_blocks += 1;
                inner.counters.damaged_blocks.fetch_add(1, Relaxed);
                continue;
            };
            for number in blocks {
                match inner.block(segment, number) {
                    Some(batch) => found.take_all(&batch),
                    None => found.records.damaged_blocks += 1,
                }
            }
        }
        let mut records = found.records;
        records.spans.sort_by_key(|s| (s.start, s.span_id));
        records.logs.sort_by_key(|l| l.time);
        records.exemplars.sort_by_key(|e| e.time);
        Ok(records)
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let inner = self.inner();
        let (batches, segments) = inner.snapshot();
        let mut report = ScanReport::default();
        let mut newest: HashMap<u128, (u64, TraceId)> = HashMap::new();
        let mut note = |batch: &Batch, report: &mut ScanReport| {
            for r in &batch.spans.rows {
                report.records += 1;
                report.bytes += r.payload.len() as u64;
                let service = batch.spans.resources.get(r.resource as usize).map(|x| &*x.service);
                let wanted = select.window.contains(r.start)
                    && select.service.as_deref().is_none_or(|s| service == Some(s))
                    && select.name.as_ref().is_none_or(|n| r.name.of(&batch.spans.bytes) == n.as_bytes());
                if let (true, Some(id)) = (wanted, TraceId::new(r.trace, r.spelling)) {
                    let entry = newest.entry(r.trace).or_insert((r.start, id));
                    entry.0 = entry.0.max(r.start);
                }
            }
        };
        batches.iter().for_each(|b| note(b, &mut report));
        for segment in segments.iter().filter(|s| s.name.signal == Signal::Traces) {
            let services = &segment.footer.services;
            if select.service.as_ref().is_some_and(|s| !services.iter().any(|(name, _)| **name == **s)) {
                continue;
            }
            for (number, block) in segment.footer.blocks.iter().enumerate() {
                if select.window.touches(block.first, block.last) {
                    match inner.block(segment, number) {
                        Some(batch) => note(&batch, &mut report),
                        None => report.damaged_blocks += 1,
                    }
                }
            }
        }
        let mut order: Vec<_> = newest.into_values().collect();
        order.sort_by_key(|(time, id)| (Reverse(*time), id.bits()));
        for (_, id) in order {
            let spans = self.trace(id, usize::MAX)?.spans;
            if !spans.is_empty() && visit(spans).is_break() {
                break;
            }
        }
        Ok(report)
    }

    fn services(&self, window: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let (batches, segments) = self.inner().snapshot();
        let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for batch in &batches {
            for r in batch.spans.rows.iter().filter(|r| window.contains(r.start)) {
                if let Some(resource) = batch.spans.resources.get(r.resource as usize) {
                    let name = String::from_utf8_lossy(r.name.of(&batch.spans.bytes)).into_owned();
                    services.entry(resource.service.to_string()).or_default().insert(name);
                }
            }
        }
        for segment in segments.iter().filter(|s| window.touches(s.first, s.last)) {
            for (service, operations) in &segment.footer.services {
                let known = services.entry(service.to_string()).or_default();
                known.extend(operations.iter().map(|o| o.to_string()));
            }
        }
        Ok(services.into_iter().map(|(s, o)| (s, o.into_iter().collect())).collect())
    }
}

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
        for segment in segments.iter().filter(|s| s.name.signal == Signal::Logs) {
            let streams: Vec<bool> = segment.footer.streams.iter().map(|s| wanted(s)).collect();
            let only = match select.trace {
                Some(id) => segment.find(id.low64()).ok(),
                None => None,
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
                    let rows = select_rows(&batch, select, &wanted, &mut report);
                    (batch, rows)
                }
                Part::Block(segment, block) => {
                    let Some(batch) = inner.block(&segment, block).map(Arc::new) else {
                        report.damaged_blocks += 1;
                        continue;
                    };
                    let rows = select_rows(&batch, select, &wanted, &mut report);
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
        for segment in segments.iter().filter(|s| window.touches(s.first, s.last)) {
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
    report: &mut ScanReport,
) -> std::vec::IntoIter<u32> {
    let logs = &batch.logs;
    let streams: Vec<bool> = logs.streams.iter().map(|s| wanted(s)).collect();
    let mut rows: Vec<u32> = Vec::new();
    for (number, row) in logs.rows.iter().enumerate() {
        if !streams.get(row.stream as usize).copied().unwrap_or(false) || !select.window.contains(row.time) {
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
