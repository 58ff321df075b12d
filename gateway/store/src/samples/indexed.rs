//! Reading a segment of samples: which series meet matchers, their labels, and their chunks. Pages and blocks that were read stay
//! in memory up to a bound.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use moka::sync::Cache;
use parsers::record::MetricMeta;

use super::chunk::{self, Header};
use super::postings::{Numbers, Postings};
use super::series::Whole;
use super::table::{NATIVE, NUMBERS, PAGE};
use crate::codec::{Damaged, Input, decode_family};
use crate::options::Counters;
use crate::read::Window;
use crate::segment::{Extent, Name, Section, Segment};

/// Bytes of pages and blocks in memory: what is known of some hundred thousand series, and their newest hours.
const CACHED: u64 = 32 << 20;

/// Unpacked parts of segments, by where they lie.
#[derive(Debug, Clone)]
pub struct Pages(Cache<(Name, u64), Arc<Vec<u8>>>);

impl Default for Pages {
    fn default() -> Self {
        let weigher = |_: &(Name, u64), page: &Arc<Vec<u8>>| page.len() as u32 + 128;
        Self(Cache::builder().max_capacity(CACHED).weigher(weigher).build())
    }
}

/// An open segment of samples.
#[derive(Debug)]
pub struct Indexed {
    /// The file.
    pub segment: Arc<Segment>,
    count: u32,
    /// Name and value that each page of values begins with.
    keys: Vec<(Box<str>, Box<str>)>,
    values: Vec<Extent>,
    series: Vec<Extent>,
}

/// Is given the labels and the chunks of a series.
pub type VisitSeries<'a> = dyn FnMut(&[(&str, &str)], &[Place]) -> Result<(), Damaged> + 'a;

/// A chunk of a series.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    kind: u8,
    block: u32,
    from: u32,
    length: u32,
    /// Oldest sample.
    pub first: u64,
    /// Newest sample.
    pub last: u64,
}

impl Indexed {
    /// Reads what is held in memory of it; damage is counted, and the segment has no series then.
    pub fn open(segment: Arc<Segment>, counters: &Counters) -> Self {
        let read = Self::read(&segment);
        if read.is_err() {
            counters.damaged_blocks.fetch_add(1, Relaxed);
            tracing::error!(file = %segment.path.display(), "the index of a segment of samples is damaged: its samples are not found");
        }
        let (count, keys) = read.unwrap_or_default();
        let (values, series) = (segment.parts(Section::SampleValues), segment.parts(Section::SampleSeries));
        Self { segment, count, keys, values, series }
    }

    #[expect(clippy::type_complexity, reason = "a list of pairs")]
    fn read(segment: &Segment) -> Result<(u32, Vec<(Box<str>, Box<str>)>), Damaged> {
        let Some(body) = segment.section(Section::SampleKeys)? else { return Ok((0, Vec::new())) };
        let mut input = Input::new(&body);
        let count = input.varint32()?;
        let mut keys = Vec::new();
        while input.left() > 0 {
            keys.push((input.text()?.into(), input.text()?.into()));
        }
        Ok((count, keys))
    }

    fn page(&self, extent: Extent, pages: &Pages) -> Result<Arc<Vec<u8>>, Damaged> {
        let place = (self.segment.name, extent.offset);
        if let Some(page) = pages.0.get(&place) {
            return Ok(page);
        }
        let page = Arc::new(self.segment.read_part(extent)?);
        pages.0.insert(place, Arc::clone(&page));
        Ok(page)
    }

    /// Visits the values of a page in order; `false` ends it.
    fn values_of(
        page: &[u8],
        visit: &mut dyn FnMut(&str, &str, &mut Input<'_>) -> Result<bool, Damaged>,
    ) -> Result<bool, Damaged> {
        let mut input = Input::new(page);
        let mut name = "";
        while input.left() > 0 {
            if input.byte()? == 1 {
                name = input.text()?;
            }
            let value = input.text()?;
            if !visit(name, value, &mut input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Visits the values of a label, in order.
    fn each_value(
        &self,
        name: &str,
        from: &str,
        pages: &Pages,
        visit: &mut dyn FnMut(&str, &mut Input<'_>) -> Result<bool, Damaged>,
    ) -> Result<(), Damaged> {
        let after = self.keys.partition_point(|(n, v)| (&**n, &**v) <= (name, from));
        for extent in self.values.iter().skip(after.saturating_sub(1)) {
            let page = self.page(*extent, pages)?;
            let go_on = Self::values_of(&page, &mut |found, value, input| {
                if found > name {
                    return Ok(false);
                }
                if found < name || value < from {
                    skip(input)?;
                    return Ok(true);
                }
                visit(value, input)
            })?;
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    /// Values of a label, sorted.
    pub fn label_values(&self, name: &str, pages: &Pages) -> Result<Vec<String>, Damaged> {
        let mut found = Vec::new();
        self.each_value(name, "", pages, &mut |value, input| {
            skip(input)?;
            found.push(value.to_owned());
            Ok(true)
        })?;
        Ok(found)
    }

    /// Names of labels, sorted.
    pub fn label_names(&self, pages: &Pages) -> Result<Vec<String>, Damaged> {
        let mut found: Vec<String> = Vec::new();
        for extent in &self.values {
            Self::values_of(&self.page(*extent, pages)?, &mut |name, _, input| {
                skip(input)?;
                if found.last().is_none_or(|last| last != name) {
                    found.push(name.to_owned());
                }
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Visits series by their numbers, which are sorted: labels and chunks.
    pub fn visit(&self, numbers: &[u32], pages: &Pages, visit: &mut VisitSeries<'_>) -> Result<(), Damaged> {
        for of_page in numbers.chunk_by(|a, b| a / PAGE == b / PAGE) {
            let Some(first) = of_page.first() else { continue };
            let extent = self.series.get((first / PAGE) as usize).ok_or(Damaged)?;
            let page = self.page(*extent, pages)?;
            let mut reader = SeriesReader::new(&page);
            let mut at = first / PAGE * PAGE;
            for number in of_page {
                while at <= *number {
                    if !reader.next()? {
                        return Err(Damaged);
                    }
                    at += 1;
                }
                visit(&reader.labels, &reader.places)?;
            }
        }
        Ok(())
    }

    /// The unpacked page of series of this number; `None` after the last.
    pub fn series_page(&self, page: usize) -> Option<Result<Vec<u8>, Damaged>> {
        self.series.get(page).map(|extent| self.segment.read_part(*extent))
    }

    /// Adds the samples of chunks that touch a window.
    pub fn read_chunks(
        &self,
        places: &[Place],
        window: Window,
        pages: &Pages,
        into: &mut Whole,
    ) -> Result<(), Damaged> {
        for place in places.iter().filter(|place| window.touches(place.first, place.last)) {
            let block = self.segment.footer.blocks.get(place.block as usize).ok_or(Damaged)?;
            let body = self.page(block.extent(), pages)?;
            place.read(&body, into)?;
        }
        Ok(())
    }

    /// What was said of families.
    pub fn families(&self) -> Result<Vec<MetricMeta>, Damaged> {
        let Some(body) = self.segment.section(Section::Families)? else { return Ok(Vec::new()) };
        let mut input = Input::new(&body);
        (0..input.count()?).map(|_| decode_family(&mut input)).collect()
    }

    /// To be asked which series meet matchers.
    pub fn postings<'a>(&'a self, pages: &'a Pages) -> IndexedPostings<'a> {
        IndexedPostings { indexed: self, pages }
    }
}

impl Place {
    /// The block that it lies in.
    pub fn block(&self) -> usize {
        self.block as usize
    }

    /// Adds its samples, which lie in this block.
    pub fn read(&self, block: &[u8], into: &mut Whole) -> Result<(), Damaged> {
        let (from, length) = (self.from as usize, self.length as usize);
        let bytes = block.get(from..from.saturating_add(length)).ok_or(Damaged)?;
        let mut input = Input::new(bytes);
        let header = Header::read(&mut input)?;
        match self.kind {
            NUMBERS => chunk::samples(header, &mut input, &mut into.samples),
            NATIVE => chunk::histograms(header, &mut input, |time, body| {
                into.histograms.push((time, body.into()));
            }),
            _ => Err(Damaged),
        }
    }
}

fn skip(input: &mut Input<'_>) -> Result<(), Damaged> {
    for _ in 0..input.count()? {
        input.varint()?;
        input.varint()?;
    }
    Ok(())
}

fn runs(input: &mut Input<'_>, count: u32) -> Result<Vec<u32>, Damaged> {
    let mut numbers = Vec::new();
    let mut end = 0u32;
    for _ in 0..input.count()? {
        let first = end.checked_add(input.varint32()?).ok_or(Damaged)?;
        end = first.checked_add(input.varint32()?).filter(|end| *end <= count).ok_or(Damaged)?;
        numbers.extend(first..end);
    }
    Ok(numbers)
}

/// Goes through a page of series.
pub struct SeriesReader<'a> {
    input: Input<'a>,
    /// Labels of the series that was read last.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Its chunks.
    pub places: Vec<Place>,
}

impl<'a> SeriesReader<'a> {
    /// Before the first.
    pub fn new(page: &'a [u8]) -> Self {
        Self { input: Input::new(page), labels: Vec::new(), places: Vec::new() }
    }

    /// To the next; false at the end.
    pub fn next(&mut self) -> Result<bool, Damaged> {
        let input = &mut self.input;
        if input.left() == 0 {
            return Ok(false);
        }
        let same = input.varint()? as usize;
        if same > self.labels.len() {
            return Err(Damaged);
        }
        self.labels.truncate(same);
        for _ in 0..input.count()? {
            self.labels.push((input.text()?, input.text()?));
        }
        self.places.clear();
        for _ in 0..input.count()? {
            let kind = input.byte()?;
            let (block, from, length) = (input.varint32()?, input.varint32()?, input.varint32()?);
            let first = input.varint()?;
            let last = first.checked_add(input.varint()?).ok_or(Damaged)?;
            self.places.push(Place { kind, block, from, length, first, last });
        }
        Ok(true)
    }
}

/// The index of a segment.
pub struct IndexedPostings<'a> {
    indexed: &'a Indexed,
    pages: &'a Pages,
}

impl Postings for IndexedPostings<'_> {
    fn count(&self) -> u32 {
        self.indexed.count
    }

    fn with(&self, name: &str, value: &str) -> Result<Numbers<'_>, Damaged> {
        let mut found = Vec::new();
        self.indexed.each_value(name, value, self.pages, &mut |at, input| {
            if at == value {
                found = runs(input, self.indexed.count)?;
            }
            Ok(false)
        })?;
        Ok(Cow::Owned(found))
    }

    fn each(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&[u32]),
    ) -> Result<(), Damaged> {
        self.indexed.each_value(name, "", self.pages, &mut |value, input| {
            if wanted(value) {
                visit(&runs(input, self.indexed.count)?);
            } else {
                skip(input)?;
            }
            Ok(true)
        })
    }
}
