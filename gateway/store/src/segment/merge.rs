//! Several segments of one signal and day into one, less the records of dropped traces. Blocks are read one at a time, so memory
//! does not grow with the files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parsers::record::{Batch, Labels, LogRow};
use rustc_hash::FxHashSet;

use super::calls::{calls_of_all, write_calls};
use super::fill::{LOG_BLOCK_BYTES, LogFill, MetricFill, SpanFill, order};
use super::log_table::Place;
use super::services::Services;
use super::texts::{Column, Known};
use super::writer::Writer;
use super::{Block, Name, Section, Segment, key, statistics};
use crate::codec::{Damaged, Output};
use crate::disk;
use crate::read::{Signal, SpanStatistics};

/// Log blocks of at least this many raw bytes are copied as they are: unpacking and packing them again would gain nothing.
const WHOLE: u32 = LOG_BLOCK_BYTES as u32 / 2;

/// Why a merge ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// This one has a damaged block or index. It stays as it is, since a merge would drop what cannot be read.
    #[error("{} is damaged", .0.stem())]
    Damaged(Name),
    /// The file system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn damaged(segment: &Segment) -> impl Fn(Damaged) -> MergeError {
    let name = segment.name;
    move |Damaged| MergeError::Damaged(name)
}

/// Traces whose records a merge leaves out.
#[derive(Debug, Default)]
pub struct Dropped {
    ids: FxHashSet<u64>,
    keys: FxHashSet<u32>,
}

impl Dropped {
    /// By the low 64 bits of their ids.
    pub fn new(ids: impl Iterator<Item = u64>) -> Self {
        let ids: FxHashSet<u64> = ids.collect();
        Self { keys: ids.iter().map(|low64| key(*low64)).collect(), ids }
    }

    fn has(&self, trace: u128) -> bool {
        !self.ids.is_empty() && trace != 0 && self.ids.contains(&(trace as u64))
    }

    fn may_have(&self, keys: &[u32]) -> bool {
        !self.keys.is_empty() && keys.iter().any(|key| self.keys.contains(key))
    }

    /// Whether a segment may hold records of one of them.
    pub fn touches(&self, segment: &Segment) -> Result<bool, MergeError> {
        if self.keys.is_empty() {
            return Ok(false);
        }
        let index = segment.index().map_err(damaged(segment))?;
        Ok(index.iter().any(|(key, _)| self.keys.contains(key)))
    }
}

/// Records that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Log records.
    pub logs: u64,
    /// Spans.
    pub spans: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// Writes one segment with all that the given ones hold, less what is dropped. They are of one signal and day and in order of
/// their journals, with none between them left out; they stay, unless there is one alone, which is replaced. No segment is
/// written when nothing would be in it.
pub fn merge(
    dir: &Path,
    segments: &[Arc<Segment>],
    dropped: &Dropped,
) -> Result<(Option<Name>, Removed), MergeError> {
    let names = || segments.iter().map(|s| s.name);
    let first = names().next().ok_or_else(|| io::Error::other("nothing to merge"))?;
    let name = Name { last: names().map(|n| n.last).fold(first.last, u64::max), ..first };
    let written = write(dir, &name, segments, dropped);
    if !matches!(written, Ok((true, _))) {
        // What remains of a failed merge only takes room; the next opening deletes it, too.
        let _ = disk::remove(&name.path(dir, "tmp"));
    }
    let (any, removed) = written?;
    Ok((any.then_some(name), removed))
}

/// Whether there was something to write, and what was left out.
fn write(
    dir: &Path,
    name: &Name,
    segments: &[Arc<Segment>],
    dropped: &Dropped,
) -> Result<(bool, Removed), MergeError> {
    let mut writer = Writer::create(dir, name, Name::SEGMENT)?;
    let mut removed = Removed::default();
    match name.signal {
        Signal::Logs => removed.logs = logs(segments, dropped, &mut writer)?,
        Signal::Traces => removed.spans = spans(segments, dropped, &mut writer)?,
        Signal::Metrics => removed.exemplars = metrics(segments, dropped, &mut writer)?,
    }
    let any = !writer.is_empty();
    if any {
        writer.finish()?;
        disk::sync_dir(dir)?;
    }
    Ok((any, removed))
}

/// The keys of each block.
fn keys_by_block(segment: &Segment) -> Result<Vec<Vec<u32>>, MergeError> {
    let mut blocks = vec![Vec::new(); segment.footer.blocks.len()];
    for (key, block) in segment.index().map_err(damaged(segment))? {
        let keys = blocks.get_mut(block as usize).ok_or(MergeError::Damaged(segment.name))?;
        keys.push(key);
    }
    Ok(blocks)
}

fn logs(segments: &[Arc<Segment>], dropped: &Dropped, writer: &mut Writer) -> Result<u64, MergeError> {
    let mut removed = 0;
    let keys = segments.iter().map(|s| keys_by_block(s)).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<Vec<Known>> = segments.iter().map(|s| s.columns()).collect();
    let unknown = Arc::new(Column::unknown());
    let mut streams: BTreeMap<&Arc<Labels>, Vec<(usize, usize, &Block)>> = BTreeMap::new();
    for (number, segment) in segments.iter().enumerate() {
        for (at, block) in segment.footer.blocks.iter().enumerate() {
            let labels = segment.footer.streams.get(block.stream as usize);
            let labels = labels.ok_or(MergeError::Damaged(segment.name))?;
            streams.entry(labels).or_default().push((number, at, block));
        }
    }
    let stays_packed = |number: usize, at: usize, block: &Block| {
        let keys = keys.get(number).and_then(|k| k.get(at)).map_or(&[][..], Vec::as_slice);
        block.raw >= WHOLE && !dropped.may_have(keys)
    };
    let mut places = Vec::with_capacity(segments.len());
    for (number, segment) in segments.iter().enumerate() {
        places.push(take_table(segment, writer, |at, block| stays_packed(number, at, block))?);
    }
    for (labels, blocks) in streams {
        let stream = writer.stream(labels);
        let mut fill = LogFill::new(labels, stream);
        for (number, at, block) in blocks {
            let Some(segment) = segments.get(number) else { continue };
            let keys = keys.get(number).and_then(|k| k.get(at)).map_or(&[][..], Vec::as_slice);
            let place = places.get(number).and_then(|places| places.get(at)).copied().flatten();
            if stays_packed(number, at, block) {
                let packed = segment.packed(block).map_err(damaged(segment))?;
                writer.copy(block, &packed, stream, keys.iter().copied())?;
                writer.log_table().push(place);
                let known = columns.get(number).and_then(|columns| columns.get(at));
                let (column, raw) = known.map_or((&unknown, u32::MAX), |known| (&known.0, known.1));
                writer.column(Arc::clone(column), raw);
            } else {
                if let Some(place) = place {
                    writer.pack_with(place.dictionary)?;
                }
                let batch = segment.block(at).map_err(damaged(segment))?.logs;
                let stays = |row: &&LogRow| !dropped.has(row.trace);
                removed += batch.rows.iter().filter(|row| !stays(row)).count() as u64;
                batch.rows.iter().filter(stays).try_for_each(|row| fill.push(&batch, row, writer))?;
            }
        }
        fill.write(writer)?;
    }
    Ok(removed)
}

/// Takes dictionaries over, and those trace ids that blocks refer to which stay as they are. Where each block finds both then;
/// `None` if it is of an earlier version.
fn take_table(
    segment: &Segment,
    writer: &mut Writer,
    stays: impl Fn(usize, &Block) -> bool,
) -> Result<Vec<Option<Place>>, MergeError> {
    let blocks = &segment.footer.blocks;
    let Some(table) = segment.log_table().map_err(damaged(segment))? else {
        return Ok(vec![None; blocks.len()]);
    };
    let mut dictionaries = vec![0];
    for at in &table.dictionaries {
        let content = segment.read_part(*at).map_err(damaged(segment))?;
        dictionaries.push(writer.dictionary(content)?);
    }
    let places = (0..blocks.len()).map(|at| table.place(at)).collect::<Result<Vec<_>, _>>();
    let mut places = places.map_err(damaged(segment))?;
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|at| places.get(*at).map(|place| place.first));
    // The part that was taken last: where it was, and where it is.
    let (mut taken, mut now) = (0..0, 0);
    for at in order {
        let (Some(place), Some(block)) = (places.get_mut(at), blocks.get(at)) else { continue };
        let dictionary = dictionaries.get(place.dictionary as usize);
        place.dictionary = *dictionary.ok_or(MergeError::Damaged(segment.name))?;
        if !stays(at, block) || place.count == 0 {
            continue;
        }
        let end = place.first.checked_add(place.count).ok_or(MergeError::Damaged(segment.name))?;
        if place.first > taken.end || taken.is_empty() {
            (taken, now) = (place.first..place.first, writer.log_table().next());
        }
        if end > taken.end {
            let more = table.ids(segment, taken.end, end - taken.end).map_err(damaged(segment))?;
            writer.log_table().take(&more);
            taken.end = end;
        }
        place.first = now + (place.first - taken.start);
    }
    Ok(places.into_iter().map(Some).collect())
}

/// A place in a segment, going through the rows of its blocks.
struct Cursor<'a> {
    segment: &'a Segment,
    next: usize,
    /// Counts the blocks that all cursors have read: a batch's number.
    number: u32,
    batch: Batch,
    row: usize,
    rows: fn(&Batch) -> usize,
}

impl<'a> Cursor<'a> {
    /// At the first row, or `None` if there is none.
    fn new(
        segment: &'a Segment,
        count: &mut u32,
        rows: fn(&Batch) -> usize,
    ) -> Result<Option<Self>, MergeError> {
        let mut cursor = Self { segment, next: 0, number: 0, batch: Batch::default(), row: 0, rows };
        Ok(cursor.settle(count)?.then_some(cursor))
    }

    /// To the next row; false at the end.
    fn advance(&mut self, count: &mut u32) -> Result<bool, MergeError> {
        self.row += 1;
        self.settle(count)
    }

    fn settle(&mut self, count: &mut u32) -> Result<bool, MergeError> {
        while self.row >= (self.rows)(&self.batch) {
            if self.next >= self.segment.footer.blocks.len() {
                return Ok(false);
            }
            self.batch = self.segment.block(self.next).map_err(damaged(self.segment))?;
            (self.row, self.next, self.number) = (0, self.next + 1, *count);
            *count += 1;
        }
        Ok(true)
    }
}

/// Visits the rows of all segments in one order, those of equal keys in the order of the segments.
fn in_order(
    segments: &[Arc<Segment>],
    rows: fn(&Batch) -> usize,
    before: impl Fn(&Cursor<'_>, &Cursor<'_>) -> bool,
    mut visit: impl FnMut(&Cursor<'_>) -> io::Result<()>,
) -> Result<(), MergeError> {
    let mut count = 0;
    let mut cursors = Vec::new();
    for segment in segments {
        cursors.extend(Cursor::new(segment, &mut count, rows)?);
    }
    while let Some(first) = (0..cursors.len()).reduce(|best, i| match (cursors.get(i), cursors.get(best)) {
        (Some(a), Some(b)) if before(a, b) => i,
        _ => best,
    }) {
        let Some(cursor) = cursors.get_mut(first) else { break };
        visit(cursor)?;
        if !cursor.advance(&mut count)? {
            cursors.remove(first);
        }
    }
    Ok(())
}

fn spans(segments: &[Arc<Segment>], dropped: &Dropped, writer: &mut Writer) -> Result<u64, MergeError> {
    let key = |c: &Cursor<'_>| c.batch.spans.rows.get(c.row).map(order);
    // Each as long as all are known and none of their spans is left out.
    let known: Option<Vec<SpanStatistics>> = if dropped.ids.is_empty() {
        segments.iter().map(|s| s.statistics().map_err(damaged(s))).collect::<Result<_, _>>()?
    } else {
        None
    };
    let mut fill = SpanFill::new(known.is_none());
    let mut services = Services::default();
    let mut removed = 0;
    in_order(
        segments,
        |b| b.spans.rows.len(),
        |a, b| key(a) < key(b),
        |c| match c.batch.spans.rows.get(c.row) {
            Some(row) if dropped.has(row.trace) => {
                removed += 1;
                Ok(())
            }
            Some(row) => {
                if !dropped.ids.is_empty() {
                    services.add(&c.batch.spans, row);
                }
                fill.push(c.number, &c.batch.spans, row, writer)
            }
            None => Ok(()),
        },
    )?;
    let counted = fill.finish(writer)?;
    let parts = known.into_iter().flatten().chain(counted);
    writer.statistics(&statistics::merge(parts))?;
    if dropped.ids.is_empty() {
        segments.iter().for_each(|s| services.add_all(&s.footer.services));
    }
    writer.services(services.into_list());
    if !writer.is_empty() {
        write_calls(&calls_of_all(segments), writer)?;
    }
    Ok(removed)
}

/// Exemplars. Samples that earlier versions wrote are left out: they have been moved elsewhere.
fn metrics(segments: &[Arc<Segment>], dropped: &Dropped, writer: &mut Writer) -> Result<u64, MergeError> {
    let mut removed = 0;
    let mut fill = MetricFill::default();
    for segment in segments {
        for number in 0..segment.footer.blocks.len() {
            let batch = segment.block(number).map_err(damaged(segment))?.metrics;
            for exemplar in &batch.exemplars {
                if dropped.has(exemplar.trace) {
                    removed += 1;
                    continue;
                }
                let labels = batch.series.get(exemplar.series as usize).cloned().unwrap_or_default();
                fill.exemplar(&labels, exemplar, &batch.meta, writer)?;
            }
        }
    }
    fill.write(writer)?;
    if !writer.is_empty() {
        writer.section(Section::NoSamples, &Output::default())?;
    }
    Ok(removed)
}
