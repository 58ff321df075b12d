//! Look-up by trace id, and visiting traces by time.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use parsers::record::{Batch, Span, TraceId};

use super::found::Found;
use super::running::running;
use super::visit::visit;
use super::{services, several, statistics};
use crate::calls::Calls;
use crate::expired;
use crate::read::{
    Detail, Fate, LogView, ReadError, RunningSelect, ScanReport, Signal, SpanSelect, SpanStatistics,
    SpanView, TraceRead, TraceRecords, TraceSelect, TraceVisitor, Window,
};
use crate::segment::Segment;
use crate::store::Store;

impl TraceRead for Store {
    fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
        if let Some(fate) = self.sampled_out(id) {
            return Ok(TraceRecords { fates: vec![fate], ..TraceRecords::default() });
        }
        let mut records = gather(self, id, limit, |_| true);
        let missing = [
            (Signal::Traces, records.spans.is_empty()),
            (Signal::Logs, records.logs.is_empty()),
            (Signal::Metrics, records.exemplars.is_empty()),
        ];
        let dropped = self.inner().view.read().unwrap_or_else(PoisonError::into_inner).expired.clone();
        for (signal, _) in missing.into_iter().filter(|(_, missing)| *missing) {
            records.fates.extend(expired::fate(&dropped, signal, id.low64()));
        }
        Ok(records)
    }

    fn calls(&self, window: Window) -> Result<Calls, ReadError> {
        let mut calls = self.inner().calls(window);
        for edge in &mut calls.edges {
            edge.examples.retain(|trace| self.sampled_out(*trace).is_none());
        }
        Ok(calls)
    }

    fn trace_spans(&self, id: TraceId, detail: Detail<'_>, limit: usize) -> Result<Vec<Span>, ReadError> {
        if self.sampled_out(id).is_some() {
            return Ok(Vec::new());
        }
        Ok(gather_detail(self, id, limit, detail, |signal| signal == Signal::Traces).spans)
    }

    fn lines_of(&self, ids: &[TraceId], visit: &mut dyn FnMut(usize, &LogView<'_>)) -> Result<(), ReadError> {
        several::lines(self, ids, visit);
        Ok(())
    }

    fn spans_of(
        &self,
        ids: &[TraceId],
        visit: &mut dyn FnMut(usize, &SpanView<'_>),
    ) -> Result<(), ReadError> {
        several::spans(self, ids, visit);
        Ok(())
    }

    fn sampled_out(&self, id: TraceId) -> Option<Fate> {
        self.inner().sampling.as_ref()?.fate(id.low64())
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let (batches, segments) = self.inner().snapshot();
        let wanted = |s: &&Arc<Segment>| {
            let of_service = |name: &String| s.footer.services.iter().any(|(service, _)| **service == **name);
            s.name.signal == Signal::Traces
                && select.window.touches(s.footer.first, s.footer.last)
                && select.service.as_ref().is_none_or(of_service)
        };
        let mut segments: Vec<_> = segments.iter().filter(wanted).collect();
        segments.sort_by_key(|s| Reverse(s.footer.last));
        let mut scan = Scan {
            store: self,
            select,
            report: ScanReport::default(),
            candidates: HashMap::new(),
            visited: HashSet::new(),
        };
        batches.iter().for_each(|batch| scan.note(batch));
        for segment in segments {
            // Nothing in this segment or those after it is newer than its end.
            if scan.visit_newer(segment.footer.last, visit).is_break() {
                return Ok(scan.report);
            }
            scan.note_segment(segment);
        }
        // The end is reached either way.
        let _ = scan.visit_newer(0, visit);
        Ok(scan.report)
    }

    fn visit_traces(
        &self,
        select: &TraceSelect<'_>,
        visitor: &mut dyn TraceVisitor,
    ) -> Result<ScanReport, ReadError> {
        Ok(visit(self, select, visitor))
    }

    fn running(
        &self,
        select: &RunningSelect,
        visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        Ok(running(self, select, visit))
    }

    fn services(&self, window: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(services::services(self, window))
    }

    fn statistics(&self, window: Window) -> Result<Option<Vec<Arc<SpanStatistics>>>, ReadError> {
        Ok(Some(statistics::statistics(self, window)))
    }
}

/// What heads and the segments of some signals hold of a trace.
pub(super) fn gather(
    store: &Store,
    id: TraceId,
    limit: usize,
    signals: impl Fn(Signal) -> bool,
) -> TraceRecords {
    gather_detail(store, id, limit, Detail::All, signals)
}

fn gather_detail(
    store: &Store,
    id: TraceId,
    limit: usize,
    detail: Detail<'_>,
    signals: impl Fn(Signal) -> bool,
) -> TraceRecords {
    let inner = store.inner();
    let mut found = Found::new(id, limit, detail);
    let (rows, segments) = {
        let view = inner.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = view.active.find(id.low64());
        view.frozen.iter().for_each(|h| rows.extend(h.find(id.low64())));
        (rows, view.segments.clone())
    };
    rows.iter().for_each(|(batch, kind, row)| found.take(batch, *kind, *row));
    for segment in segments.iter().rev().filter(|s| signals(s.name.signal)) {
        let Ok(blocks) = segment.find(id.low64()) else {
            found.records.damaged_blocks += 1;
            inner.counters.damaged_blocks.fetch_add(1, Relaxed);
            continue;
        };
        for number in blocks.unwrap_or_default() {
            match inner.block_of(segment, number, id.low64()) {
                Some(batch) => found.take_all(&batch),
                None => found.records.damaged_blocks += 1,
            }
        }
    }
    found.into_records()
}

/// Traces seen so far, visited as soon as no newer one can follow: what is held is about one segment's worth.
struct Scan<'a> {
    store: &'a Store,
    select: &'a SpanSelect,
    report: ScanReport,
    /// Newest wanted span of each trace that was not visited yet.
    candidates: HashMap<u128, (u64, TraceId)>,
    visited: HashSet<u128>,
}

impl Scan<'_> {
    fn note(&mut self, batch: &Batch) {
        for r in &batch.spans.rows {
            self.report.records += 1;
            self.report.bytes += r.payload.len() as u64;
            let service = batch.spans.resources.get(r.resource as usize).map(|x| &*x.service);
            let wanted = self.select.window.contains(r.start)
                && self.select.service.as_deref().is_none_or(|s| service == Some(s))
                && self.select.name.as_ref().is_none_or(|n| r.name.of(&batch.spans.bytes) == n.as_bytes());
            if let (true, false, Some(id)) =
                (wanted, self.visited.contains(&r.trace), TraceId::new(r.trace, r.spelling))
            {
                let entry = self.candidates.entry(r.trace).or_insert((r.start, id));
                entry.0 = entry.0.max(r.start);
            }
        }
    }

    fn note_segment(&mut self, segment: &Segment) {
        for (number, block) in segment.footer.blocks.iter().enumerate() {
            if self.select.window.touches(block.first, block.last) {
                match self.store.inner().block(segment, number) {
                    Some(batch) => self.note(&batch),
                    None => self.report.damaged_blocks += 1,
                }
            }
        }
    }

    /// Visits, newest first, the traces whose newest span is at this time or later.
    fn visit_newer(
        &mut self,
        time: u64,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut due: Vec<_> = self.candidates.extract_if(|_, (newest, _)| *newest >= time).collect();
        due.sort_unstable_by_key(|(bits, (newest, _))| (Reverse(*newest), *bits));
        for (bits, (_, id)) in due {
            self.visited.insert(bits);
            if self.store.sampled_out(id).is_some() {
                continue;
            }
            let spans = gather(self.store, id, usize::MAX, |signal| signal == Signal::Traces).spans;
            if !spans.is_empty() && visit(spans).is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
