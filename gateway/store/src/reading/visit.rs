//! Visiting traces over the bytes in which they lie. Spans of a segment are in the order of their traces, so that one pass
//! over its blocks gives each trace whole; only one that lies in several segments is looked up.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use memchr::memmem::Finder;
use parsers::record::{Batch, Span, SpanKind, SpanRow, TraceId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::ahead;
use super::partial::{self, Repeat, Repeats, Report};
use super::sections::Known;
use super::traces::gather;
use crate::read::{ScanReport, Signal, SpanBlock, SpanView, TraceRead as _, TraceSelect, TraceVisitor};
use crate::segment::{Asked, Block, Segment, key};
use crate::store::Store;

/// A span of the trace being gathered: its block and row.
type Place = (Rc<SpanBlock>, u32);

/// Visits, and gives what was read.
pub(super) fn visit(store: &Store, select: &TraceSelect<'_>, visitor: &mut dyn TraceVisitor) -> ScanReport {
    let (batches, segments) = store.inner().snapshot();
    let segments: Vec<Arc<Segment>> =
        segments.into_iter().filter(|segment| segment.name.signal == Signal::Traces).collect();
    let finders = select.contains.iter().map(Finder::new).collect();
    let mut visit = Visit {
        store,
        select,
        visitor,
        finders,
        report: ScanReport::default(),
        segments: &segments,
        head: Head::new(batches),
        asked: Asked::from(&select.hint),
        long: select.reach.map(|reach| Asked::Duration(reach.saturating_add(1), u64::MAX)),
        looked_up: HashSet::new(),
        known: FxHashMap::default(),
        repeats: Repeats::default(),
    };
    // Stopped early or not, it has ended.
    let _ = visit.all();
    visit.report
}

/// What is not sealed: rows of the traces that have a wanted span, in the order of segments.
struct Head {
    blocks: Vec<Rc<SpanBlock>>,
    /// Low 64 bits of the trace, all of them, start, block and row.
    rows: Vec<(u64, u128, u64, u32, u32)>,
    /// Low 64 bits of all traces, once somebody asked.
    ids: OnceCell<FxHashSet<u64>>,
}

impl Head {
    fn new(batches: Vec<Arc<Batch>>) -> Self {
        let blocks = batches.into_iter().filter(|batch| !batch.spans.rows.is_empty());
        Self {
            blocks: blocks.map(|batch| Rc::new(SpanBlock::new(batch))).collect(),
            rows: Vec::new(),
            ids: OnceCell::new(),
        }
    }

    /// Picks the rows of these traces.
    fn pick(&mut self, wanted: &FxHashSet<u64>) {
        for (number, block) in self.blocks.iter().enumerate() {
            for (i, row) in block.spans().rows.iter().enumerate() {
                if wanted.contains(&(row.trace as u64)) {
                    self.rows.push((row.trace as u64, row.trace, row.start, number as u32, i as u32));
                }
            }
        }
        self.rows.sort_unstable();
    }

    fn holds(&self, low64: u64) -> bool {
        let rows = || self.blocks.iter().flat_map(|block| &block.spans().rows);
        self.ids.get_or_init(|| rows().map(|row| row.trace as u64).collect()).contains(&low64)
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
    finders: Arc<[Finder<'a>]>,
    report: ScanReport,
    segments: &'a [Arc<Segment>],
    head: Head,
    asked: Asked,
    /// A span so long that its trace is visited wherever in it the wanted one lies.
    long: Option<Asked>,
    /// Low 64 bits of the traces that lie in several places and were visited.
    looked_up: HashSet<u64>,
    /// Spans of the trace in hand, kept for its memory.
    known: FxHashMap<(u64, SpanKind), usize>,
    repeats: Repeats,
}

impl Visit<'_> {
    fn all(&mut self) -> ControlFlow<()> {
        self.head()?;
        let widened = self.select.widened();
        let in_window = |segment: &&Arc<Segment>| {
            let (first, last) = (segment.footer.first, segment.footer.last);
            (widened.touches(first, last) && self.of_service(segment))
                || (self.long.is_some() && self.select.window.touches(first, last))
        };
        let mut segments: Vec<_> = self.segments.iter().filter(in_window).cloned().collect();
        segments.sort_by_key(|segment| Reverse(segment.footer.last));
        segments.iter().try_for_each(|segment| self.segment(segment))
    }

    fn head(&mut self) -> ControlFlow<()> {
        let mut wanted = FxHashSet::default();
        for number in 0..self.head.blocks.len() {
            self.visitor.progress(self.report, u64::MAX)?;
            let Some(block) = self.head.blocks.get(number).map(Rc::clone) else { break };
            for (i, row) in block.spans().rows.iter().enumerate() {
                self.count(row);
                if self.may_be_wanted(&block, i) {
                    wanted.insert(row.trace as u64);
                }
            }
        }
        self.head.pick(&wanted);
        let mut group: Vec<Place> = Vec::new();
        let rows = std::mem::take(&mut self.head.rows);
        for (count, row) in rows.iter().enumerate() {
            let Some(block) = self.head.blocks.get(row.3 as usize).map(Rc::clone) else { continue };
            if !continues(&group, row.1) {
                self.group(&mut group, None, false)?;
            }
            group.push((block, row.4));
            if count % PROGRESS_ROWS == 0 {
                self.visitor.progress(self.report, u64::MAX)?;
            }
        }
        self.group(&mut group, None, false)
    }

    fn count(&mut self, row: &SpanRow) {
        self.report.records += 1;
        self.report.bytes += row.payload.len() as u64;
    }

    /// Whether a row alone makes its trace one to be visited, or another report of its span may.
    fn may_be_wanted(&self, block: &SpanBlock, row: usize) -> bool {
        let view = block.view(row);
        view.is_some_and(|view| view.end <= view.start || self.select.takes(&view))
    }

    fn of_service(&self, segment: &Segment) -> bool {
        let Some(wanted) = &self.select.service else { return true };
        segment.footer.services.iter().any(|(service, _)| **service == **wanted)
    }

    /// The blocks that may hold a span that makes its trace one to be visited, and of each whether that must be a wanted one,
    /// so that its bytes may be looked through for it.
    fn blocks(&self, segment: &Segment) -> Vec<(usize, bool)> {
        let (widened, of_service) = (self.select.widened(), self.of_service(segment));
        let mut known = Known::of(self.store.inner(), segment);
        let mut may_hold = |(number, block): (usize, &Block)| {
            let long = self.long.as_ref().is_some_and(|long| {
                self.select.window.touches(block.first, block.last) && known.may_hold(number, long)
            });
            let wanted = of_service
                && widened.touches(block.first, block.last)
                && (long || known.may_hold(number, &self.asked));
            (long || wanted).then_some((number, !long))
        };
        segment.footer.blocks.iter().enumerate().filter_map(&mut may_hold).collect()
    }

    fn segment(&mut self, segment: &Arc<Segment>) -> ControlFlow<()> {
        let newest = segment.footer.last;
        self.visitor.progress(self.report, newest)?;
        let inner = self.store.inner();
        let numbers = self.blocks(segment);
        let finders = Arc::clone(&self.finders);
        let mut group: Vec<Place> = Vec::new();
        // The block that is expected, and whether one was passed over, so that the first trace of the next may have begun there.
        let (mut next, mut passed_over) = (0, false);
        ahead::read(inner, segment, &numbers, &finders, &mut |loaded| {
            self.visitor.progress(self.report, newest)?;
            if loaded.number != next {
                self.group(&mut group, Some(segment), true)?;
                passed_over = true;
            }
            next = loaded.number + 1;
            let Some(batch) = loaded.batch else {
                self.report.damaged_blocks += u64::from(loaded.damaged);
                if loaded.lacking > 0 {
                    let block = segment.footer.blocks.get(loaded.number);
                    self.report.records += block.map_or(0, |block| u64::from(block.records));
                    self.report.bytes += loaded.lacking;
                }
                self.group(&mut group, Some(segment), true)?;
                passed_over = true;
                return ControlFlow::Continue(());
            };
            let block = Rc::new(SpanBlock::new(Arc::new(batch)));
            let mut incomplete = passed_over;
            for (i, row) in block.spans().rows.iter().enumerate() {
                self.count(row);
                if !continues(&group, row.trace) {
                    let begun_before = !group.is_empty() && std::mem::take(&mut incomplete);
                    self.group(&mut group, Some(segment), begun_before)?;
                }
                group.push((Rc::clone(&block), i as u32));
            }
            // A trace that fills the block may go on in the next, and is no more complete there.
            passed_over = incomplete;
            if incomplete {
                self.group(&mut group, Some(segment), true)?;
            }
            ControlFlow::Continue(())
        })?;
        let cut = next != segment.footer.blocks.len();
        self.group(&mut group, Some(segment), cut)
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
        if !places.iter().any(|(block, row)| self.may_be_wanted(block, *row as usize)) {
            return ControlFlow::Continue(());
        }
        let select = self.select;
        let wanted = |view: &SpanView<'_>| select.takes(view);
        let mut views: Vec<SpanView<'_>> = Vec::with_capacity(places.len());
        self.known.clear();
        self.repeats.clear();
        for (block, row) in places {
            let Some(view) = block.view(*row as usize) else { continue };
            let at = views.len();
            let first = *self.known.entry((view.span_id.bits(), view.kind)).or_insert(at);
            match views.get_mut(first).filter(|known| known.service() == view.service()) {
                None => views.push(view),
                Some(known) => match self.repeats.tell(report(known), report(&view)) {
                    Repeat::Again => {}
                    Repeat::Another => views.push(view),
                    Repeat::Part => {
                        if let (Some(mut span), Some(other)) = (known.to_span(), view.to_span()) {
                            partial::complete(&mut span, other);
                            *known = SpanView::from(Cow::Owned(span));
                        }
                    }
                },
            }
        }
        let Some(first) = views.first() else { return ControlFlow::Continue(()) };
        if !views.iter().any(wanted) {
            return ControlFlow::Continue(());
        }
        let low64 = first.trace_id.low64();
        if self.store.sampled_out(first.trace_id).is_some() {
            return ControlFlow::Continue(());
        }
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

fn report(view: &SpanView<'_>) -> Report {
    let what = (view.span_id, view.kind, view.status);
    Report::new(what, (view.start, view.end), view.service(), view.name().as_bytes())
}

/// Rows of the head between two calls of progress.
const PROGRESS_ROWS: usize = 4096;

/// Whether a row belongs to the trace in hand.
fn continues(group: &[Place], trace: u128) -> bool {
    let first = group.first().and_then(|(block, row)| block.spans().rows.get(*row as usize));
    first.is_some_and(|first| same_trace(first.trace, trace))
}
