//! Visiting traces over the bytes in which they lie. Spans of a segment are in the order of their traces, so that one pass
//! over its blocks gives each trace whole; only one that lies in several segments is looked up.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use memchr::memmem::Finder;
use parsers::record::{Batch, Span, SpanKind, TraceId};
use rustc_hash::FxHashMap;

use super::partial;
use super::traces::gather;
use crate::read::{ScanReport, Signal, SpanBlock, SpanView, TraceSelect, TraceVisitor};
use crate::segment::{Segment, key};
use crate::store::Store;

/// A span of the trace being gathered: its block and row.
type Place = (Rc<SpanBlock>, u32);

/// Visits, and gives what was read.
pub(super) fn visit(store: &Store, select: &TraceSelect<'_>, visitor: &mut dyn TraceVisitor) -> ScanReport {
    let (batches, segments) = store.inner().snapshot();
    let segments: Vec<Arc<Segment>> =
        segments.into_iter().filter(|segment| segment.name.signal == Signal::Traces).collect();
    let finders = select.contains.iter().map(Finder::new).collect();
    let head = Head::new(batches);
    let mut visit = Visit {
        store,
        select,
        visitor,
        finders,
        report: ScanReport::default(),
        segments: &segments,
        head: &head,
        looked_up: HashSet::new(),
        known: FxHashMap::default(),
    };
    // Stopped early or not, it has ended.
    let _ = visit.all();
    visit.report
}

/// What is not sealed: rows of all batches in the order of segments.
struct Head {
    blocks: Vec<Rc<SpanBlock>>,
    /// Low 64 bits of the trace, all of them, start, block and row.
    rows: Vec<(u64, u128, u64, u32, u32)>,
}

impl Head {
    fn new(batches: Vec<Arc<Batch>>) -> Self {
        let mut rows = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            for (i, row) in batch.spans.rows.iter().enumerate() {
                rows.push((row.trace as u64, row.trace, row.start, number as u32, i as u32));
            }
        }
        rows.sort_unstable();
        Self { blocks: batches.into_iter().map(|batch| Rc::new(SpanBlock::new(batch))).collect(), rows }
    }

    fn holds(&self, low64: u64) -> bool {
        let at = self.rows.partition_point(|row| row.0 < low64);
        self.rows.get(at).is_some_and(|row| row.0 == low64)
    }
}

/// Whether two rows are of one trace, in either width of its id.
fn same_trace(a: u128, b: u128) -> bool {
    a == b || (a as u64 == b as u64 && (a >> 64 == 0 || b >> 64 == 0))
}

struct Visit<'a> {
    store: &'a Store,
    select: &'a TraceSelect<'a>,
    visitor: &'a mut dyn TraceVisitor,
    finders: Vec<Finder<'a>>,
    report: ScanReport,
    segments: &'a [Arc<Segment>],
    head: &'a Head,
    /// Low 64 bits of the traces that lie in several places and were visited.
    looked_up: HashSet<u64>,
    /// Spans of the trace in hand, kept for its memory.
    known: FxHashMap<(u64, SpanKind), usize>,
}

impl Visit<'_> {
    fn all(&mut self) -> ControlFlow<()> {
        self.head()?;
        let of_service = |segment: &Segment| {
            let Some(wanted) = &self.select.service else { return true };
            segment.footer.services.iter().any(|(service, _)| **service == **wanted)
        };
        let in_window = |segment: &&Arc<Segment>| {
            self.select.window.touches(segment.footer.first, segment.footer.last) && of_service(segment)
        };
        let mut segments: Vec<_> = self.segments.iter().filter(in_window).cloned().collect();
        segments.sort_by_key(|segment| Reverse(segment.footer.last));
        segments.iter().try_for_each(|segment| self.segment(segment))
    }

    fn head(&mut self) -> ControlFlow<()> {
        let mut group: Vec<Place> = Vec::new();
        let head = self.head;
        for (count, row) in head.rows.iter().enumerate() {
            let Some(block) = head.blocks.get(row.3 as usize) else { continue };
            self.count(block, row.4);
            if !continues(&group, row.1) {
                self.group(&mut group, None, false)?;
            }
            group.push((Rc::clone(block), row.4));
            if count % PROGRESS_ROWS == 0 {
                self.visitor.progress(self.report, u64::MAX)?;
            }
        }
        self.group(&mut group, None, false)
    }

    fn count(&mut self, block: &SpanBlock, row: u32) {
        self.report.records += 1;
        self.report.bytes += block.spans().rows.get(row as usize).map_or(0, |row| row.payload.len() as u64);
    }

    fn segment(&mut self, segment: &Arc<Segment>) -> ControlFlow<()> {
        let newest = segment.footer.last;
        let mut group: Vec<Place> = Vec::new();
        // Whether the block before was passed over, so that the first trace of this one may have begun there.
        let mut passed_over = false;
        for (number, block) in segment.footer.blocks.iter().enumerate() {
            self.visitor.progress(self.report, newest)?;
            let touches = self.select.window.touches(block.first, block.last);
            let Some(loaded) = touches.then(|| self.load(segment, number)).flatten() else {
                self.group(&mut group, Some(segment), true)?;
                passed_over = true;
                continue;
            };
            let loaded = Rc::new(SpanBlock::new(Arc::new(loaded)));
            let mut incomplete = passed_over;
            for (i, row) in loaded.spans().rows.iter().enumerate() {
                self.count(&loaded, i as u32);
                if !continues(&group, row.trace) {
                    let begun_before = !group.is_empty() && std::mem::take(&mut incomplete);
                    self.group(&mut group, Some(segment), begun_before)?;
                }
                group.push((Rc::clone(&loaded), i as u32));
            }
            // A trace that fills the block may go on in the next, and is no more complete there.
            passed_over = incomplete;
            if incomplete {
                self.group(&mut group, Some(segment), true)?;
            }
        }
        self.group(&mut group, Some(segment), false)
    }

    /// A block, unless it lacks what a wanted span must hold.
    fn load(&mut self, segment: &Segment, number: usize) -> Option<Batch> {
        let inner = self.store.inner();
        let Ok(body) = segment.unpacked(number) else {
            inner.tell_damaged(segment, number);
            self.report.damaged_blocks += 1;
            return None;
        };
        if self.finders.iter().any(|finder| finder.find(&body).is_none()) {
            let block = segment.footer.blocks.get(number);
            self.report.records += block.map_or(0, |block| u64::from(block.records));
            self.report.bytes += body.len() as u64;
            return None;
        }
        let batch = segment.decode(&body);
        if batch.is_err() {
            inner.tell_damaged(segment, number);
            self.report.damaged_blocks += 1;
        }
        batch.ok()
    }

    /// Visits the spans of a trace that lie together in one place, and leaves the list empty. `incomplete` says that some may
    /// lie beside them in a block that was passed over.
    fn group(
        &mut self,
        places: &mut Vec<Place>,
        segment: Option<&Arc<Segment>>,
        incomplete: bool,
    ) -> ControlFlow<()> {
        if places.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = self.visit_group(places, segment, incomplete);
        places.clear();
        flow
    }

    fn visit_group(
        &mut self,
        places: &[Place],
        segment: Option<&Arc<Segment>>,
        incomplete: bool,
    ) -> ControlFlow<()> {
        let select = self.select;
        let wanted = |view: &SpanView<'_>| select.window.contains(view.start) && (select.wanted)(view);
        let mut views: Vec<SpanView<'_>> = Vec::with_capacity(places.len());
        self.known.clear();
        for (block, row) in places {
            let Some(view) = block.view(*row as usize) else { continue };
            let at = views.len();
            let first = *self.known.entry((view.span_id.bits(), view.kind)).or_insert(at);
            match views.get_mut(first).filter(|known| known.service() == view.service()) {
                None => views.push(view),
                Some(known) if partial::is_partial_view(known, &view) => {
                    if let (Some(mut span), Some(other)) = (known.to_span(), view.to_span()) {
                        partial::complete(&mut span, other);
                        *known = SpanView::from(Cow::Owned(span));
                    }
                }
                Some(_) => {}
            }
        }
        let Some(first) = views.first() else { return ControlFlow::Continue(()) };
        if !views.iter().any(wanted) {
            return ControlFlow::Continue(());
        }
        let low64 = first.trace_id.low64();
        if !select.whole || !(incomplete || self.lies_elsewhere(low64, segment)) {
            return self.visitor.trace(&views);
        }
        if !self.looked_up.insert(low64) {
            return ControlFlow::Continue(());
        }
        let id: TraceId = first.trace_id;
        let spans: Vec<Span> = gather(self.store, id, usize::MAX, |signal| signal == Signal::Traces).spans;
        let views: Vec<SpanView<'_>> = spans.iter().map(SpanView::from).collect();
        if views.iter().any(wanted) { self.visitor.trace(&views) } else { ControlFlow::Continue(()) }
    }

    /// Whether other places than this hold spans of the trace; an index that cannot be read may.
    fn lies_elsewhere(&self, low64: u64, here: Option<&Arc<Segment>>) -> bool {
        if here.is_some() && self.head.holds(low64) {
            return true;
        }
        let key = key(low64);
        let others = self.segments.iter().filter(|other| here.is_none_or(|here| !Arc::ptr_eq(here, other)));
        others
            .filter(|other| other.footer.filter.may_hold(key))
            .any(|other| other.find(low64).map_or(true, |blocks| blocks.is_some_and(|b| !b.is_empty())))
    }
}

/// Rows of the head between two calls of progress.
const PROGRESS_ROWS: usize = 4096;

/// Whether a row belongs to the trace in hand.
fn continues(group: &[Place], trace: u128) -> bool {
    let first = group.first().and_then(|(block, row)| block.spans().rows.get(*row as usize));
    first.is_some_and(|first| same_trace(first.trace, trace))
}
