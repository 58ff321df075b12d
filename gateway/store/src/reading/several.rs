//! Records of several traces at once: a block that holds records of many of them is read once.

use std::sync::{Arc, PoisonError};

use parsers::record::{Batch, Spelling, TraceId};
use rustc_hash::FxHashMap;

use crate::head::Kind;
use crate::read::{LogView, Signal, SpanBlock, SpanView, TraceRead as _};
use crate::segment::Segment;
use crate::store::Store;

/// A row of what is not sealed.
type Row = (Arc<Batch>, usize);

/// The traces that are asked for.
struct Asked<'a> {
    ids: &'a [TraceId],
    /// Their places by low 64 bits; a trace may be asked for in both widths.
    places: FxHashMap<u64, Vec<usize>>,
}

impl<'a> Asked<'a> {
    /// Those that were not sampled out.
    fn new(store: &Store, ids: &'a [TraceId]) -> Self {
        let mut places: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
        for (place, id) in ids.iter().enumerate().filter(|(_, id)| store.sampled_out(**id).is_none()) {
            places.entry(id.low64()).or_default().push(place);
        }
        Self { ids, places }
    }

    /// Places of those that a record is of.
    fn of(&self, trace: u128, spelling: Spelling) -> impl Iterator<Item = usize> {
        // Few records are of any, and their low halves tell already.
        let places = self.places.get(&(trace as u64)).map(Vec::as_slice).unwrap_or_default();
        let id = if places.is_empty() { None } else { TraceId::new(trace, spelling) };
        let is_of = move |place: &usize| {
            id.zip(self.ids.get(*place)).is_some_and(|(id, asked)| id.matches(*asked).is_some())
        };
        places.iter().copied().filter(is_of)
    }

    fn may_be_of(&self, trace: u128) -> bool {
        self.places.contains_key(&(trace as u64))
    }

    /// Blocks of a segment that may hold records of any, in order; all if its index cannot be read.
    fn blocks(&self, segment: &Segment) -> Vec<usize> {
        let mut wanted = vec![false; segment.footer.blocks.len()];
        for low64 in self.places.keys() {
            match segment.find(*low64) {
                Ok(found) => found.unwrap_or_default().into_iter().for_each(|number| {
                    if let Some(wanted) = wanted.get_mut(number) {
                        *wanted = true;
                    }
                }),
                Err(_) => wanted.fill(true),
            }
        }
        wanted.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(number, _)| number).collect()
    }

    /// Rows of one kind that are not sealed, and the segments of its signal, as they are at one moment.
    fn places_in(&self, store: &Store, kind: Kind, signal: Signal) -> (Vec<Row>, Vec<Arc<Segment>>) {
        let view = store.inner().view.read().unwrap_or_else(PoisonError::into_inner);
        let heads = || view.frozen.iter().map(|head| &**head).chain([&view.active]);
        let found = self.places.keys().flat_map(|low64| heads().flat_map(|head| head.find(*low64)));
        let rows = found.filter(|(_, of, _)| *of == kind).map(|(batch, _, row)| (batch, row)).collect();
        let segments = view.segments.iter().filter(|segment| segment.name.signal == signal);
        (rows, segments.cloned().collect())
    }
}

/// Visits log records.
pub(super) fn lines(store: &Store, ids: &[TraceId], visit: &mut dyn FnMut(usize, &LogView<'_>)) {
    let asked = Asked::new(store, ids);
    let (heads, segments) = asked.places_in(store, Kind::Log, Signal::Logs);
    let unlabelled = Arc::default();
    let mut lend = |batch: &Batch, number: usize| {
        let logs = &batch.logs;
        let Some(row) = logs.rows.get(number) else { return };
        for place in asked.of(row.trace, row.spelling) {
            let labels = logs.streams.get(row.stream as usize).unwrap_or(&unlabelled);
            visit(place, &LogView::of(logs, row, labels));
        }
    };
    for (batch, row) in heads {
        lend(&batch, row);
    }
    for segment in segments {
        for number in asked.blocks(&segment) {
            let of_any = segment.logs(number, |block| block.only(None, |_, row| asked.may_be_of(row.trace)));
            let Some(batch) = store.inner().whole_block(&segment, number, of_any) else { continue };
            (0..batch.logs.rows.len()).for_each(|row| lend(&batch, row));
        }
    }
}

/// Visits spans.
pub(super) fn spans(store: &Store, ids: &[TraceId], visit: &mut dyn FnMut(usize, &SpanView<'_>)) {
    let asked = Asked::new(store, ids);
    let (heads, segments) = asked.places_in(store, Kind::Span, Signal::Traces);
    let mut lend = |block: &SpanBlock, number: usize| {
        let Some(row) = block.spans().rows.get(number) else { return };
        for place in asked.of(row.trace, row.spelling) {
            if let Some(view) = block.view(number) {
                visit(place, &view);
            }
        }
    };
    for (batch, row) in heads {
        lend(&SpanBlock::new(batch), row);
    }
    for segment in segments {
        for number in asked.blocks(&segment) {
            let Some(batch) = store.inner().block(&segment, number) else { continue };
            let block = SpanBlock::new(Arc::new(batch));
            (0..block.spans().rows.len()).for_each(|row| lend(&block, row));
        }
    }
}
