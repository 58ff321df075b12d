//! A head into segments, one a day; and several segments of a day into one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parsers::record::MetricMeta;

use super::head::Head;
use super::indexed::{Indexed, SeriesReader};
use super::series::Whole;
use super::table::Table;
use crate::codec::Damaged;
use crate::disk;
use crate::read::{Signal, Window};
use crate::segment::{DAY, MergeError, Name, Writer};

/// A sender with a broken clock must not make a file a day: older days than these go with the oldest of them.
const MAX_DAYS: usize = 16;

fn damaged(head: Damaged) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, head)
}

/// The days that a head has samples of, the oldest of which takes those before it, too.
fn days(head: &Head) -> Result<Vec<u64>, Damaged> {
    let mut days = BTreeSet::new();
    for held in head.series.iter().filter(|held| !held.is_empty()) {
        let (first, last) = (held.oldest / DAY, held.newest / DAY);
        days.insert(first);
        days.insert(last);
        if last > first + 1 {
            let mut whole = Whole::default();
            held.read(&head.room, Window::ALL, &mut whole)?;
            days.extend(whole.samples.iter().map(|sample| sample.time / DAY));
            days.extend(whole.histograms.iter().map(|(time, _)| time / DAY));
        }
    }
    let days: Vec<u64> = days.into_iter().collect();
    Ok(days.get(days.len().saturating_sub(MAX_DAYS)..).unwrap_or_default().to_vec())
}

/// Writes a head into segments that cover its journals. They have their names when this returns, and survive a power failure.
pub fn seal(dir: &Path, head: &Head) -> io::Result<Vec<Name>> {
    let days = days(head).map_err(damaged)?;
    let ranks = head.index.symbols().ranks();
    let rank = |symbol: u32| ranks.get(symbol as usize).copied().unwrap_or(0);
    let key = |series: u32| head.index.pairs(series).iter().map(|(name, value)| (rank(*name), rank(*value)));
    let mut order: Vec<u32> = (0..head.series.len() as u32).collect();
    order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)));
    let families: Vec<MetricMeta> = head.families().cloned().collect();
    let (first, last) = head.journals;
    let mut names = Vec::new();
    for (number, day) in days.iter().enumerate() {
        let name = Name { signal: Signal::Metrics, day: *day, first, last };
        let start = if number == 0 { 0 } else { day * DAY };
        let end = days.get(number + 1).map_or(u64::MAX, |next| next * DAY);
        let window = Window { start, end };
        let mut writer = Writer::create(dir, &name, Name::SEGMENT)?;
        let mut table = Table::new(&mut writer);
        for series in &order {
            let Some(held) = head.series.get(*series as usize) else { continue };
            if held.is_empty() || !window.touches(held.oldest, held.newest) {
                continue;
            }
            let mut whole = Whole::default();
            held.read(&head.room, window, &mut whole).map_err(damaged)?;
            whole.samples.retain(|sample| window.contains(sample.time));
            whole.settle();
            let text = |symbol: u32| head.index.symbols().text(symbol);
            let labels = head.index.pairs(*series).iter().map(|(name, value)| (text(*name), text(*value)));
            table.series(labels, &whole)?;
        }
        table.finish(&families)?;
        writer.finish()?;
        names.push(name);
    }
    disk::sync_dir(dir)?;
    Ok(names)
}

/// A place in a segment, going through its series.
struct Cursor<'a> {
    indexed: &'a Indexed,
    page: usize,
    /// Series of the page that are not taken yet, the next one last.
    ahead: Vec<Ahead>,
    /// The block that was read last.
    block: Option<(usize, Vec<u8>)>,
}

type Ahead = (Vec<(String, String)>, Vec<super::indexed::Place>);

impl<'a> Cursor<'a> {
    fn new(indexed: &'a Indexed) -> Result<Self, Damaged> {
        let mut cursor = Self { indexed, page: 0, ahead: Vec::new(), block: None };
        cursor.settle()?;
        Ok(cursor)
    }

    fn settle(&mut self) -> Result<(), Damaged> {
        while self.ahead.is_empty()
            && let Some(page) = self.indexed.series_page(self.page)
        {
            let page = page?;
            let mut reader = SeriesReader::new(&page);
            while reader.next()? {
                let labels = reader.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
                self.ahead.push((labels.collect(), reader.places.clone()));
            }
            self.ahead.reverse();
            self.page += 1;
        }
        Ok(())
    }

    fn labels(&self) -> Option<&Vec<(String, String)>> {
        self.ahead.last().map(|(labels, _)| labels)
    }

    /// Adds the samples of the series that stands here, and goes to the next.
    fn take(&mut self, into: &mut Whole) -> Result<(), Damaged> {
        let Some((_, places)) = self.ahead.pop() else { return Ok(()) };
        for place in &places {
            if self.block.as_ref().is_none_or(|(number, _)| *number != place.block()) {
                self.block = Some((place.block(), self.indexed.segment.unpacked(place.block())?));
            }
            let Some((_, block)) = &self.block else { continue };
            place.read(block, into)?;
        }
        self.settle()
    }
}

/// Writes one segment with all that the given ones hold. They are of one day and in order of their journals, with none between
/// them left out; they stay.
pub fn merge(dir: &Path, segments: &[Arc<Indexed>]) -> Result<Name, MergeError> {
    let names = || segments.iter().map(|s| s.segment.name);
    let first = names().next().ok_or_else(|| io::Error::other("nothing to merge"))?;
    let name = Name { last: names().map(|n| n.last).fold(first.last, u64::max), ..first };
    let written = write(dir, &name, segments);
    if written.is_err() {
        // What remains of a failed merge only takes room; the next opening deletes it, too.
        let _ = disk::remove(&name.path(dir, "tmp"));
    }
    written.map(|()| name)
}

fn write(dir: &Path, name: &Name, segments: &[Arc<Indexed>]) -> Result<(), MergeError> {
    let broken = |at: usize| {
        let name = segments.get(at).map_or(*name, |s| s.segment.name);
        move |Damaged| MergeError::Damaged(name)
    };
    let mut families: BTreeMap<String, Vec<MetricMeta>> = BTreeMap::new();
    let mut cursors = Vec::new();
    for (at, indexed) in segments.iter().enumerate() {
        cursors.push(Cursor::new(indexed).map_err(broken(at))?);
        for said in indexed.families().map_err(broken(at))? {
            let known = families.entry(said.name.clone()).or_default();
            if !known.contains(&said) {
                known.push(said);
            }
        }
    }
    let mut writer = Writer::create(dir, name, Name::SEGMENT)?;
    let mut table = Table::new(&mut writer);
    while let Some(next) = cursors.iter().filter_map(Cursor::labels).min().cloned() {
        let mut whole = Whole::default();
        for (at, cursor) in cursors.iter_mut().enumerate() {
            if cursor.labels() == Some(&next) {
                cursor.take(&mut whole).map_err(broken(at))?;
            }
        }
        whole.settle();
        table.series(next.iter().map(|(name, value)| (name.as_str(), value.as_str())), &whole)?;
    }
    let families: Vec<MetricMeta> = families.into_values().flatten().collect();
    table.finish(&families)?;
    writer.finish()?;
    disk::sync_dir(dir)?;
    Ok(())
}
