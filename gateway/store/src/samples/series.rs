//! What a head holds of one series: the newest samples as they are, older ones in chunks, late ones and histograms apart.

use parsers::record::{NativeHistogram, Sample};

use super::chunk::{self, Header};
use super::room::{At, OPEN, Room};
use crate::codec::{Damaged, Input, Output};
use crate::read::Window;

/// What stands for a place of open samples that was not taken.
const NO_PLACE: u32 = u32::MAX;
/// The newest sample of earlier heads was not asked for.
pub const UNASKED: u64 = u64::MAX;
/// Chunks that are looked through for a sample of one time: hours of a usual interval. What is older is told from a repeat when it
/// is read.
const LOOKED_THROUGH: usize = 64;
/// Histograms that are.
const HISTOGRAMS_LOOKED_THROUGH: usize = 256;

/// Samples of one series that are not in a segment.
#[derive(Debug)]
pub struct Held {
    /// Oldest sample; more than `newest` if there is none.
    pub oldest: u64,
    /// Newest sample.
    pub newest: u64,
    /// The newest sample that was there before this head; 0 if there was none, or if it does not matter since `newest` is newer.
    pub earlier: u64,
    /// The chunk that was closed last; each leads to the one before.
    closed: At,
    more: Option<Box<More>>,
    closed_bytes: u32,
    place: u32,
    open: u8,
    /// Whether the head's newest journal says what its labels are.
    pub logged: bool,
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

/// The value of a sample.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A histogram in its sender's bytes.
    Histogram(&'a [u8]),
}

impl Value<'_> {
    /// Whether both are the same, to the bit.
    pub fn is(self, other: Value<'_>) -> bool {
        match (self, other) {
            (Self::Number(a), Value::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Value::Histogram(b)) => a == b || same(a, b).unwrap_or(false),
            _ => false,
        }
    }
}

/// Whether two histograms say the same in other bytes.
fn same(a: &[u8], b: &[u8]) -> Option<bool> {
    let read = |bytes| NativeHistogram::decode(bytes).ok().flatten();
    Some(read(a)? == read(b)?)
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

    /// The value of this time that stands first.
    pub fn at(&self, time: u64) -> Option<Value<'_>> {
        let number = self.samples.iter().find(|sample| sample.time == time);
        let number = number.map(|sample| Value::Number(sample.value));
        let histogram = || self.histograms.iter().find(|(at, _)| *at == time);
        number.or_else(|| histogram().map(|(_, body)| Value::Histogram(body)))
    }
}

impl Default for Held {
    fn default() -> Self {
        Self {
            oldest: u64::MAX,
            newest: 0,
            earlier: UNASKED,
            closed: 0,
            more: None,
            closed_bytes: 0,
            place: NO_PLACE,
            open: 0,
            logged: false,
        }
    }
}

impl Held {
    /// Whether it has no sample.
    pub fn is_empty(&self) -> bool {
        self.oldest > self.newest
    }

    /// The newest sample, here or earlier, as far as it was asked for.
    pub fn newest_of_all(&self) -> u64 {
        if self.earlier == UNASKED { self.newest } else { self.newest.max(self.earlier) }
    }

    fn open<'a>(&self, room: &'a Room) -> &'a [Sample] {
        room.open(self.place).get(..usize::from(self.open)).unwrap_or_default()
    }

    /// Gives what it has of this time to a judge, and what that says; `None` if nothing is found.
    pub fn at<T>(&self, time: u64, room: &Room, judge: impl FnOnce(Value<'_>) -> T) -> Option<T> {
        let newest = self.open(room).iter().rev().take_while(|sample| sample.time >= time);
        let late = self.more.iter().flat_map(|more| more.late.iter());
        if let Some(found) = newest.chain(late).find(|sample| sample.time == time) {
            return Some(judge(Value::Number(found.value)));
        }
        let histograms = self.more.iter().flat_map(|more| more.histograms.iter().rev());
        let found = histograms.take(HISTOGRAMS_LOOKED_THROUGH).find(|(at, _)| *at == time);
        if let Some((_, body)) = found {
            return Some(judge(Value::Histogram(body)));
        }
        let mut samples = Vec::new();
        for mut chunk in self.chunks(room).take(LOOKED_THROUGH) {
            let header = Header::read(&mut chunk).ok()?;
            if (header.first..=header.last).contains(&time) {
                chunk::samples(header, &mut chunk, &mut samples).ok()?;
                if let Some(found) = samples.drain(..).find(|sample| sample.time == time) {
                    return Some(judge(Value::Number(found.value)));
                }
            }
        }
        None
    }

    /// Chunks, the newest first.
    fn chunks<'a>(&self, room: &'a Room) -> impl Iterator<Item = Input<'a>> {
        let mut at = self.closed;
        std::iter::from_fn(move || {
            let (before, chunk) = room.chunk(at)?;
            at = before;
            Some(chunk)
        })
    }

    /// Notes a time that a sample is about to have.
    pub fn expect(&mut self, time: u64) {
        self.oldest = self.oldest.min(time);
        self.newest = self.newest.max(time);
    }

    /// Takes a number; gives the bytes that it took.
    pub fn push(&mut self, sample: Sample, room: &mut Room) -> usize {
        let before = self.bytes();
        self.expect(sample.time);
        if self.open(room).last().is_none_or(|last| last.time < sample.time) {
            if usize::from(self.open) >= OPEN {
                let open: [Sample; OPEN] = std::array::from_fn(|at| {
                    self.open(room).get(at).copied().unwrap_or(Sample { time: 0, value: 0.0 })
                });
                self.close(&open, room);
                self.open = 0;
            }
            if self.place == NO_PLACE {
                self.place = room.place();
            }
            if let Some(place) = room.open_mut(self.place).get_mut(usize::from(self.open)) {
                *place = sample;
                self.open += 1;
            }
        } else {
            let late = &mut self.more.get_or_insert_default().late;
            late.push(sample);
            if late.len() >= OPEN {
                let mut late = std::mem::take(late);
                late.sort_by_key(|sample| sample.time);
                late.dedup_by_key(|sample| sample.time);
                self.close(&late, room);
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

    fn close(&mut self, samples: &[Sample], room: &mut Room) {
        let mut chunk = Output::default();
        chunk::encode(samples, &mut chunk);
        self.closed = room.keep(self.closed, chunk.as_bytes());
        self.closed_bytes = self.closed_bytes.saturating_add(chunk.as_bytes().len() as u32);
    }

    /// What its samples take in memory, histograms aside.
    pub fn bytes(&self) -> usize {
        let late = self
            .more
            .as_ref()
            .map_or(0, |more| size_of::<More>() + more.late.capacity() * size_of::<Sample>());
        let open = if self.place == NO_PLACE { 0 } else { OPEN * size_of::<Sample>() };
        open + self.closed_bytes as usize + late
    }

    /// Adds what it has in a window, in no order; what came first stands first among those of one time.
    pub fn read(&self, room: &Room, window: Window, into: &mut Whole) -> Result<(), Damaged> {
        let mut chunks: Vec<Input<'_>> = self.chunks(room).collect();
        chunks.reverse();
        for mut chunk in chunks {
            let header = Header::read(&mut chunk)?;
            if window.touches(header.first, header.last) {
                chunk::samples(header, &mut chunk, &mut into.samples)?;
            }
        }
        into.samples.extend_from_slice(self.open(room));
        if let Some(more) = &self.more {
            into.samples.extend_from_slice(&more.late);
            let inside = more.histograms.iter().filter(|(time, _)| window.contains(*time));
            into.histograms.extend(inside.cloned());
        }
        Ok(())
    }
}
