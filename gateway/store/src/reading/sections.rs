//! What segments hold beside their records, read when it is asked for and kept in memory up to a bound.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;

use crate::codec::{Damaged, Input};
use crate::read::{RunningSelect, SpanStatistics};
use crate::segment::statistics::{Collector, decode};
use crate::segment::{Extent, Name, SUMMARIES, Section, Segment, SpanRows, Summary};
use crate::store::{Inner, lock};

/// Bytes that are kept: what is known of the blocks of some ten million spans, or when one million of them ran.
const MAX_BYTES: usize = 24 << 20;
/// Blocks that are read for the statistics of a segment that was written without: about 20,000 spans.
const SAMPLED_BLOCKS: usize = 64;

/// A part of a segment, by what cannot be the same of two that differ: one that was swept has the name that it had.
pub(super) type Place = (Name, u64, u32);

#[derive(Debug, Clone)]
enum Part {
    Summaries(Arc<Vec<Summary>>),
    Statistics(Arc<SpanStatistics>),
    Times(Arc<SpanRows>),
}

#[derive(Debug)]
struct Kept {
    part: Part,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct Room {
    kept: FxHashMap<Place, Kept>,
    bytes: usize,
    clock: u64,
}

/// Parts of sections in memory; those that were not used for longest go first.
#[derive(Debug, Default)]
pub(crate) struct Sections(Mutex<Room>);

impl Sections {
    fn get(&self, place: Place) -> Option<Part> {
        let mut room = lock(&self.0);
        room.clock += 1;
        let clock = room.clock;
        let kept = room.kept.get_mut(&place)?;
        kept.used = clock;
        Some(kept.part.clone())
    }

    fn keep(&self, place: Place, part: Part, bytes: usize) {
        let mut room = lock(&self.0);
        room.clock += 1;
        let used = room.clock;
        room.bytes += bytes;
        if let Some(before) = room.kept.insert(place, Kept { part, bytes, used }) {
            room.bytes -= before.bytes;
        }
        while room.bytes > MAX_BYTES {
            let oldest = room.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(place, _)| *place);
            let Some(gone) = oldest.and_then(|place| room.kept.remove(&place)) else { break };
            room.bytes -= gone.bytes;
        }
    }
}

impl Inner {
    /// What is known of the blocks from `group *` [`SUMMARIES`] on; `None` if that is nothing, so that they must be read.
    pub(super) fn summaries(&self, segment: &Segment, group: usize) -> Option<Arc<Vec<Summary>>> {
        let extent = segment.part(Section::SpanBlocks, group)?;
        let place = (segment.name, extent.offset, extent.checksum);
        if let Some(Part::Summaries(kept)) = self.sections.get(place) {
            return Some(kept);
        }
        let read = segment.read_part(extent).and_then(|body| Summary::decode_all(&mut Input::new(&body)));
        let read = Arc::new(self.whole(segment, read)?);
        let bytes = read.iter().map(Summary::size).sum();
        self.sections.keep(place, Part::Summaries(Arc::clone(&read)), bytes);
        Some(read)
    }

    /// Statistics of a segment of spans; of a sample of them, if it was written without.
    pub(super) fn statistics(&self, segment: &Segment) -> Arc<SpanStatistics> {
        let extent = segment.part(Section::SpanStatistics, 0);
        let Extent { offset, checksum, .. } = extent.unwrap_or_default();
        let place = (segment.name, offset, checksum);
        if let Some(Part::Statistics(kept)) = self.sections.get(place) {
            return kept;
        }
        let decoded = extent.map(|extent| {
            let body = segment.read_part(extent)?;
            Ok((decode(&mut Input::new(&body))?, body.len()))
        });
        let known = decoded.and_then(|decoded| self.whole(segment, decoded));
        let (statistics, bytes) = known.unwrap_or_else(|| {
            let (mut collector, mut bytes) = (Collector::default(), 0);
            for number in 0..segment.footer.blocks.len().min(SAMPLED_BLOCKS) {
                if let Some(batch) = self.block(segment, number) {
                    collector.count_all(&batch.spans);
                    bytes = batch.spans.bytes.len();
                }
            }
            (collector.statistics(), bytes)
        });
        let statistics = Arc::new(statistics);
        // A tree of short texts takes some times their bytes.
        self.sections.keep(place, Part::Statistics(Arc::clone(&statistics)), bytes * 4);
        statistics
    }

    /// Blocks that hold spans of a selection, in order; `None` if the segment does not tell.
    pub(super) fn ran(&self, segment: &Segment, select: &RunningSelect) -> Result<Option<Vec<u32>>, Damaged> {
        let Some(times) = segment.span_times()? else { return Ok(None) };
        let rows = |extent: Extent, first| {
            let place = (segment.name, extent.offset, extent.checksum);
            if let Some(Part::Times(kept)) = self.sections.get(place) {
                return Ok(kept);
            }
            let body = segment.read_part(extent)?;
            let rows = Arc::new(SpanRows::decode(&mut Input::new(&body), first)?);
            self.sections.keep(place, Part::Times(Arc::clone(&rows)), rows.size());
            Ok(rows)
        };
        times.ran(select, rows).map(Some)
    }

    fn whole<T>(&self, segment: &Segment, read: Result<T, Damaged>) -> Option<T> {
        if read.is_err() {
            self.counters.damaged_blocks.fetch_add(1, Relaxed);
            tracing::error!(file = %segment.path.display(), "what is known of its blocks is damaged; they are read instead");
        }
        read.ok()
    }
}

/// What is known of the blocks of one segment, in order.
pub(super) struct Known<'a> {
    inner: &'a Inner,
    segment: &'a Segment,
    group: Option<(usize, Option<Arc<Vec<Summary>>>)>,
}

impl<'a> Known<'a> {
    pub(super) fn of(inner: &'a Inner, segment: &'a Segment) -> Self {
        Self { inner, segment, group: None }
    }

    /// Whether a block may hold what is asked for.
    pub(super) fn may_hold(&mut self, number: usize, asked: &crate::segment::Asked) -> bool {
        if *asked == crate::segment::Asked::Anything {
            return true;
        }
        let group = number / SUMMARIES;
        if self.group.as_ref().is_none_or(|(at, _)| *at != group) {
            self.group = Some((group, self.inner.summaries(self.segment, group)));
        }
        let summaries = self.group.as_ref().and_then(|(_, summaries)| summaries.as_ref());
        let summary = summaries.and_then(|summaries| summaries.get(number % SUMMARIES));
        summary.is_none_or(|summary| summary.may_hold(asked))
    }
}
