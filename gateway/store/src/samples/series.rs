//! What a head holds of one series: the newest samples as they are, older ones in chunks, late ones and histograms apart.

use parsers::record::Sample;

use super::chunk::{self, Header};
use crate::codec::{Damaged, Input, Output};
use crate::read::Window;

/// Samples that are held as they are before they become a chunk: a quarter of a kilobyte for each of a million series.
const OPEN: usize = 16;

/// Samples of one series that are not in a segment.
#[derive(Debug)]
pub struct Held {
    /// Oldest sample; more than `newest` if there is none.
    pub oldest: u64,
    /// Newest sample.
    pub newest: u64,
    /// Whether the head's newest journal says what its labels are.
    pub logged: bool,
    open: Vec<Sample>,
    /// Chunks. None grows, so that a million series leave no holes in memory that the allocator would have to look through.
    closed: Vec<Box<[u8]>>,
    closed_bytes: usize,
    more: Option<Box<More>>,
}

/// What few series have.
#[derive(Debug, Default)]
struct More {
    /// Samples older than one that came before.
    late: Vec<Sample>,
    /// Times and bodies, as they came.
    histograms: Vec<(u64, Box<[u8]>)>,
}

/// All of a series: samples and histograms in order of time, each time once.
#[derive(Debug, Default)]
pub struct Whole {
    /// Numbers.
    pub samples: Vec<Sample>,
    /// Histograms in their senders' bytes.
    pub histograms: Vec<(u64, Box<[u8]>)>,
}

impl Whole {
    /// Brings it into order. Of two of one time the one that stands first stays.
    pub fn settle(&mut self) {
        if !self.samples.is_sorted_by(|a, b| a.time < b.time) {
            self.samples.sort_by_key(|sample| sample.time);
            self.samples.dedup_by_key(|sample| sample.time);
        }
        if !self.histograms.is_sorted_by(|a, b| a.0 < b.0) {
            self.histograms.sort_by_key(|(time, _)| *time);
            self.histograms.dedup_by_key(|(time, _)| *time);
        }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self {
            oldest: u64::MAX,
            newest: 0,
            logged: false,
            open: Vec::new(),
            closed: Vec::new(),
            closed_bytes: 0,
            more: None,
        }
    }
}

impl Held {
    /// Whether it has no sample.
    pub fn is_empty(&self) -> bool {
        self.oldest > self.newest
    }

    /// Whether what has this time is among the newest: a repeat.
    pub fn repeats(&self, time: u64, histogram: bool) -> bool {
        if histogram {
            let newest = self.more.as_ref().and_then(|more| more.histograms.last());
            return newest.is_some_and(|(newest, _)| *newest == time);
        }
        self.open.iter().rev().take_while(|sample| sample.time >= time).any(|sample| sample.time == time)
    }

    /// Notes a time that a sample is about to have.
    pub fn expect(&mut self, time: u64) {
        self.oldest = self.oldest.min(time);
        self.newest = self.newest.max(time);
    }

    /// Takes a number; gives the bytes that it took.
    pub fn push(&mut self, sample: Sample) -> usize {
        let before = self.bytes();
        self.expect(sample.time);
        if self.open.last().is_none_or(|last| last.time < sample.time) {
            if self.open.len() >= OPEN {
                self.close();
            }
            if self.open.capacity() == 0 {
                self.open.reserve_exact(4);
            }
            self.open.push(sample);
        } else {
            let late = &mut self.more.get_or_insert_default().late;
            late.push(sample);
            if late.len() >= OPEN {
                let mut late = std::mem::take(late);
                late.sort_by_key(|sample| sample.time);
                late.dedup_by_key(|sample| sample.time);
                self.close_these(&late);
            }
        }
        self.bytes().saturating_sub(before)
    }

    /// Takes a histogram; gives the bytes that it took.
    pub fn push_histogram(&mut self, time: u64, body: &[u8]) -> usize {
        self.expect(time);
        self.more.get_or_insert_default().histograms.push((time, body.into()));
        body.len() + 40
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.close_these(&open);
        self.open = open;
        self.open.clear();
    }

    fn close_these(&mut self, samples: &[Sample]) {
        let mut chunk = Output::default();
        chunk::encode(samples, &mut chunk);
        self.closed_bytes += chunk.as_bytes().len() + size_of::<Box<[u8]>>();
        self.closed.push(chunk.as_bytes().into());
    }

    /// What its samples take in memory, histograms aside.
    pub fn bytes(&self) -> usize {
        let late = self
            .more
            .as_ref()
            .map_or(0, |more| size_of::<More>() + more.late.capacity() * size_of::<Sample>());
        self.open.capacity() * size_of::<Sample>() + self.closed_bytes + late
    }

    /// Adds what it has in a window, in no order; what came first stands first among those of one time.
    pub fn read(&self, window: Window, into: &mut Whole) -> Result<(), Damaged> {
        for chunk in &self.closed {
            let mut chunk = Input::new(chunk);
            let header = Header::read(&mut chunk)?;
            if window.touches(header.first, header.last) {
                chunk::samples(header, &mut chunk, &mut into.samples)?;
            }
        }
        into.samples.extend_from_slice(&self.open);
        if let Some(more) = &self.more {
            into.samples.extend_from_slice(&more.late);
            let inside = more.histograms.iter().filter(|(time, _)| window.contains(*time));
            into.histograms.extend(inside.cloned());
        }
        Ok(())
    }
}
