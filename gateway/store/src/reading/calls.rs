//! Calls in a window: the sheets of the segments that it touches, and of what is not sealed, put together.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use moka::sync::Cache;
use parsers::record::Batch;
use rustc_hash::FxHashMap;

use super::ahead;
use crate::calls::{Calls, Gather, MINUTE, Sheet};
use crate::head::Head;
use crate::read::{Signal, Window};
use crate::segment::{self, Name, Segment, order};
use crate::store::{Inner, lock};

/// The minutes that a window touches, and the window that they fill.
pub(crate) fn minutes(window: Window) -> (std::ops::RangeInclusive<u32>, Window) {
    let minute = |time: u64| u32::try_from(time / MINUTE).unwrap_or(u32::MAX);
    let (first, last) = (minute(window.start), minute(window.end.saturating_sub(1).max(window.start)));
    let end = u64::from(last).saturating_add(1).saturating_mul(MINUTE);
    (first..=last, Window { start: u64::from(first) * MINUTE, end })
}

/// The sheet of batches in any order.
pub(crate) fn of_batches<'a>(batches: impl Iterator<Item = &'a Batch>) -> Sheet {
    part(&batches.collect::<Vec<_>>(), |_| true)
}

/// The sheet of those traces of batches whose id has low bits that are wanted.
fn part(batches: &[&Batch], wanted: impl Fn(u64) -> bool) -> Sheet {
    let mut rows = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let of_part = batch.spans.rows.iter().enumerate().filter(|(_, row)| wanted(row.trace as u64));
        rows.extend(of_part.map(|(at, row)| (order(row), number as u32, at as u32)));
    }
    rows.sort_unstable();
    let mut gather = Gather::default();
    for (_, number, at) in rows {
        let Some(batch) = batches.get(number as usize) else { continue };
        let Some(row) = batch.spans.rows.get(at as usize) else { continue };
        gather.add(number, &batch.spans, row);
    }
    gather.finish()
}

/// Spans of a head from which on another thread is worth its start: they take some milliseconds.
const PART_SPANS: usize = 10_000;
/// Odd, with bits everywhere.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is made of each number below `parts`, of each on a thread of its own: somebody waits for it.
fn on_threads<T: Send>(parts: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let make = &make;
    std::thread::scope(|scope| {
        let begin = |at: usize| {
            Builder::new().name("store-read".into()).spawn_scoped(scope, move || make(at)).map_err(|_| at)
        };
        let beside: Vec<_> = (1..parts).map(begin).collect();
        let mut made = vec![make(0)];
        made.extend(beside.into_iter().map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Without a thread its part is made here.
            Err(at) => make(at),
        }));
        made
    })
}

/// How many threads are worth their start for so many pieces of work.
fn threads_for(pieces: usize) -> usize {
    pieces.clamp(1, ahead::threads())
}

/// Sheets of batches in any order, each of some of the traces.
pub(crate) fn in_parts(batches: &[Arc<Batch>], parts: usize) -> Vec<Arc<Sheet>> {
    let batches: Vec<&Batch> = batches.iter().map(|batch| &**batch).collect();
    // Most ids are random; those that are counted up are spread by this.
    let of = |id: u64| (id.wrapping_mul(SPREAD) >> 32) as usize % parts;
    on_threads(parts, |at| Arc::new(part(&batches, |id| of(id) == at)))
}

/// Bytes of sheets that are held. An hour of a million spans is about two megabytes.
const HELD_BYTES: u64 = 64 << 20;

/// The number of the batches of a head, and their sheets.
type OfHead = (usize, Vec<Arc<Sheet>>);

/// Sheets that were made: of segments, which do not change, and of heads as long as nothing was added.
#[derive(Debug)]
pub(crate) struct Sheets {
    sealed: Cache<Name, Arc<Sheet>>,
    /// By the first journal of a head.
    heads: Mutex<FxHashMap<u64, OfHead>>,
}

impl Default for Sheets {
    fn default() -> Self {
        let weigh = |_: &Name, sheet: &Arc<Sheet>| u32::try_from(sheet.size()).unwrap_or(u32::MAX);
        let sealed = Cache::builder().max_capacity(HELD_BYTES).weigher(weigh).build();
        Self { sealed, heads: Mutex::default() }
    }
}

impl Sheets {
    /// Sheets of heads, each with its first journal and batches; those of other heads are forgotten.
    fn of_heads(&self, heads: &[(u64, Vec<Arc<Batch>>)]) -> Vec<Arc<Sheet>> {
        let mut known = lock(&self.heads);
        known.retain(|journal, _| heads.iter().any(|(head, _)| head == journal));
        let sheets = |(journal, batches): &(u64, Vec<Arc<Batch>>)| {
            if let Some((count, sheets)) = known.get(journal)
                && *count == batches.len()
            {
                return sheets.clone();
            }
            let spans: usize = batches.iter().map(|batch| batch.spans.rows.len()).sum();
            let sheets = in_parts(batches, threads_for(spans / PART_SPANS));
            known.insert(*journal, (batches.len(), sheets.clone()));
            sheets
        };
        heads.iter().flat_map(sheets).collect()
    }
}

impl Inner {
    fn sheet(&self, segment: &Segment) -> (Arc<Sheet>, u64) {
        if let Some(sheet) = self.sheets.sealed.get(&segment.name) {
            return (sheet, 0);
        }
        let (sheet, damaged) = segment::calls(segment);
        let sheet = Arc::new(sheet);
        if damaged == 0 {
            self.sheets.sealed.insert(segment.name, Arc::clone(&sheet));
        }
        (sheet, damaged)
    }

    /// What the spans that started in a window say of calls.
    pub(super) fn calls(&self, window: Window) -> Calls {
        let (minutes, window) = minutes(window);
        // The other half of a call may have started a little before or after.
        let near =
            Window { start: window.start.saturating_sub(MINUTE), end: window.end.saturating_add(MINUTE) };
        let (heads, segments, begins) = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            let heads = || view.frozen.iter().map(|head| &**head).chain([&view.active]);
            let of_traces = view.segments.iter().filter(|s| s.name.signal == Signal::Traces);
            let oldest = heads().filter_map(Head::oldest_span).chain(of_traces.map(|s| s.footer.first)).min();
            let heads: Vec<_> = heads().map(|head| (head.journals.0, head.batches.clone())).collect();
            (heads, view.segments.clone(), oldest)
        };
        let mut sheets = self.sheets.of_heads(&heads);
        let mut damaged_blocks = 0;
        let touched = |segment: &&Arc<Segment>| {
            segment.name.signal == Signal::Traces && near.touches(segment.footer.first, segment.footer.last)
        };
        let (known, unread): (Vec<&Arc<Segment>>, Vec<_>) =
            segments.iter().filter(touched).partition(|s| self.sheets.sealed.contains_key(&s.name));
        let threads = threads_for(unread.len());
        let some = |at: usize| -> Vec<_> {
            unread.iter().skip(at).step_by(threads).map(|segment| self.sheet(segment)).collect()
        };
        let read = on_threads(threads, some).into_iter().flatten();
        for (sheet, damaged) in known.into_iter().map(|segment| self.sheet(segment)).chain(read) {
            sheets.push(sheet);
            damaged_blocks += damaged;
        }
        let mut all = Sheet::within(minutes);
        let now = crate::retention::now();
        all.merge_all(&sheets, now);
        Calls { damaged_blocks, begins, ..all.into_calls(window, now) }
    }
}
