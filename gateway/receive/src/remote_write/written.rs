//! What a write holds, whichever message it came in: series with samples, histograms and exemplars.

use std::collections::HashSet;
use std::sync::Arc;

use parsers::otlp::{Field, MAX_RECORDS, Reader, WalkError};
use parsers::record::{
    Batch, ByteRange, Labels, MetricBatch, MetricKind, MetricMeta, NativeHistogram, SampleRow,
};
use rustc_hash::FxHashSet;

use crate::exemplar_rows::push_exemplar;
use crate::intake::{Circumstances, Decoded, Rejected};
use crate::reasons::Reasons;

/// Bytes of a label's name or value: labels live in the index. Mimir bounds values by the same number.
const MAX_LABEL: usize = 2048;
/// Labels of one series or exemplar; Mimir takes 30 of a series.
pub(super) const MAX_LABELS: usize = 256;
/// Bytes of label names and values in one request. In 2.0 each is written once and named by a byte or two, so the body's limit
/// does not bound them.
const MAX_LABEL_BYTES: usize = 64 * 1024 * 1024;

/// Names and values that are shared among the series of a request; a sender puts those of a target together.
const MAX_TEXTS: usize = 4096;

/// A series over [`MAX_LABELS`].
pub(super) const TOO_MANY_LABELS: &str = "a series with more than 256 labels";
const NOT_UTF8: &str = "a series with a label that is not UTF-8";
/// Characters of a label that an answer shows.
const SHOWN: usize = 64;
const TOO_MANY: &str = "too many series, samples or labels in one request";
const BAD_TIME: &str = "a timestamp before 1970 or after 2554";

/// Label pairs of a series or an exemplar, as they came: what should be UTF-8.
pub(super) type Pairs<'a> = [Pair<'a>];
type Pair<'a> = (&'a [u8], &'a [u8]);

/// As text; the first pair that is none otherwise.
fn texts<'a>(labels: &Pairs<'a>) -> Result<Vec<(&'a str, &'a str)>, Pair<'a>> {
    let text = |&(name, value): &Pair<'a>| {
        let pair = std::str::from_utf8(name).and_then(|name| Ok((name, std::str::from_utf8(value)?)));
        pair.map_err(|_| (name, value))
    };
    labels.iter().map(text).collect()
}

/// A text for people, escaped where it is none.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().take(SHOWN).map(char::from).collect()
}

/// What becomes of a request.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub rejected: Reasons,
}

/// Rows of one request.
pub(super) struct Written {
    batch: MetricBatch,
    outcome: Outcome,
    /// Samples and histograms among what was rejected.
    rejected_samples: u64,
    label_bytes: usize,
    /// Families of which something is known already.
    families: HashSet<String>,
    /// Names and values of labels.
    texts: FxHashSet<Arc<str>>,
    arrival: u64,
}

/// What a series holds, still as messages.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub samples: Vec<&'a [u8]>,
    pub histograms: Vec<&'a [u8]>,
}

/// Milliseconds to nanoseconds.
fn nanos(millis: u64) -> Option<u64> {
    u64::try_from(millis as i64).ok()?.checked_mul(1_000_000)
}

impl Written {
    pub(super) fn new(at: &Circumstances) -> Self {
        Self {
            batch: MetricBatch::default(),
            outcome: Outcome::default(),
            rejected_samples: 0,
            label_bytes: 0,
            families: HashSet::new(),
            texts: FxHashSet::default(),
            arrival: at.arrival,
        }
    }

    /// Something that is left out, and how many samples with it.
    pub(super) fn reject(&mut self, reason: &'static str, samples: usize) {
        self.rejected_samples += samples as u64;
        self.outcome.rejected.add_many(reason, (samples as u64).max(1));
    }

    /// A series by its labels, with what it holds; `None` if it cannot be taken.
    pub(super) fn series(&mut self, labels: &Pairs<'_>, parts: &Parts<'_>) -> Option<u32> {
        let all = parts.samples.len() + parts.histograms.len();
        let labels = match texts(labels) {
            Ok(labels) => labels,
            Err(bad) => {
                let metric =
                    labels.iter().find(|(name, _)| *name == b"__name__").map(|(_, name)| shown(name));
                let (name, value) = (shown(bad.0), shown(bad.1));
                let first = || format!("{name}=\"{value}\" of {}", metric.unwrap_or_default());
                self.rejected_samples += all as u64;
                self.outcome.rejected.add_naming(NOT_UTF8, (all as u64).max(1), first);
                return None;
            }
        };
        let cost: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let mut names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let has_name = labels.iter().any(|(name, value)| *name == "__name__" && !value.is_empty());
        let fault = if !has_name {
            Some("a series without __name__")
        } else if names.windows(2).any(|pair| pair.first() == pair.last()) {
            Some("a series with a label twice")
        } else if names.first() == Some(&"") {
            Some("a series with a label without a name")
        } else if labels.iter().any(|(name, value)| name.len() > MAX_LABEL || value.len() > MAX_LABEL) {
            Some("a series with a label over 2048 bytes")
        } else if self.label_bytes + cost > MAX_LABEL_BYTES || self.batch.series.len() >= MAX_RECORDS {
            Some(TOO_MANY)
        } else {
            None
        };
        if let Some(fault) = fault {
            self.reject(fault, all);
            return None;
        }
        self.label_bytes += cost;
        let index = self.batch.series.len() as u32;
        let pairs: Vec<_> = labels.iter().map(|(name, value)| (self.text(name), self.text(value))).collect();
        self.batch.series.push(Arc::new(Labels::new(pairs)));
        for message in &parts.samples {
            self.each(message, |written, message| written.sample(message, index));
        }
        for message in &parts.histograms {
            self.each(message, |written, message| written.histogram(message, index));
        }
        Some(index)
    }

    /// A name or a value of a label, shared with the series that had it before: most of a request's are repeated, and to allocate
    /// each anew would take longer than all else.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= MAX_TEXTS {
            self.texts.clear();
        }
        let text = Arc::<str>::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    fn each(
        &mut self,
        message: &[u8],
        take: impl FnOnce(&mut Self, &[u8]) -> Result<Result<(), &'static str>, WalkError>,
    ) {
        if self.batch.samples.len() >= MAX_RECORDS || self.batch.meta.len() >= MAX_LABEL_BYTES {
            return self.reject(TOO_MANY, 1);
        }
        match take(self, message) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.reject(reason, 1),
            Err(_) => self.reject("a sample that cannot be read", 1),
        }
    }

    /// `Sample`, which is the same in both versions but for the start.
    fn sample(&mut self, message: &[u8], series: u32) -> Result<Result<(), &'static str>, WalkError> {
        let (mut value, mut time, mut start) = (0.0, 0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            match (number, field) {
                (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
                (2, Field::Varint(millis)) => time = millis,
                (3, Field::Varint(millis)) => start = millis,
                _ => {}
            }
        }
        let Some(time) = nanos(time) else { return Ok(Err(BAD_TIME)) };
        let start = nanos(start).unwrap_or(0);
        self.batch.samples.push(SampleRow { time, value, start, series, histogram: ByteRange::default() });
        self.outcome.samples += 1;
        Ok(Ok(()))
    }

    /// `Histogram`, which is kept in its own bytes.
    fn histogram(&mut self, message: &[u8], series: u32) -> Result<Result<(), &'static str>, WalkError> {
        let Some(read) = NativeHistogram::decode(message)? else {
            return Ok(Err("a histogram whose spans and counts do not fit together"));
        };
        let (mut time, mut start) = (0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            match (number, field) {
                (15, Field::Varint(millis)) => time = millis,
                (17, Field::Varint(millis)) => start = millis,
                _ => {}
            }
        }
        let Some(time) = nanos(time) else { return Ok(Err(BAD_TIME)) };
        let begin = self.batch.meta.len() as u32;
        self.batch.meta.extend_from_slice(message);
        self.batch.samples.push(SampleRow {
            time,
            value: read.count,
            start: nanos(start).unwrap_or(0),
            series,
            histogram: ByteRange { start: begin, end: self.batch.meta.len() as u32 },
        });
        self.outcome.histograms += 1;
        Ok(Ok(()))
    }

    /// An exemplar of a series. One that cannot be kept is left out silently: senders cannot do better, and samples must not
    /// suffer for it.
    pub(super) fn exemplar(&mut self, series: u32, labels: &Pairs<'_>, value: f64, millis: u64) {
        if self.batch.exemplars.len() >= MAX_RECORDS || self.batch.meta.len() >= MAX_LABEL_BYTES {
            return;
        }
        let Ok(labels) = texts(labels) else { return };
        let time = nanos(millis).filter(|time| *time > 0).unwrap_or(self.arrival);
        push_exemplar(&mut self.batch, series, labels, value, time);
        self.outcome.exemplars += 1;
    }

    /// What the sender says of a family. Said again and again in 2.0, kept once.
    pub(super) fn family(&mut self, name: &str, code: u64, help: &str, unit: &str) {
        let kind = match code {
            1 => MetricKind::Counter,
            // Information and states of a set are gauges of ones and zeros.
            2 | 6 | 7 => MetricKind::Gauge,
            3 | 4 => MetricKind::Histogram,
            5 => MetricKind::Summary,
            _ => MetricKind::Unknown,
        };
        let nothing = kind == MetricKind::Unknown && help.is_empty() && unit.is_empty();
        let cost = name.len() + help.len() + unit.len() + 128;
        if nothing
            || name.len() > MAX_LABEL
            || self.label_bytes + cost > MAX_LABEL_BYTES
            || !self.families.insert(name.to_owned())
        {
            return;
        }
        self.label_bytes += cost;
        let (name, unit, help) = (name.to_owned(), unit.to_owned(), help.to_owned());
        self.batch.families.push(MetricMeta { name, kind, unit, help });
    }

    /// The batch, and what was left out of it.
    pub(super) fn finish(self) -> Decoded<Outcome> {
        let rejected = Rejected { samples: self.rejected_samples, ..Rejected::default() };
        let batch = Batch { metrics: self.batch, ..Batch::default() };
        Decoded { batch, rejected, told: self.outcome }
    }
}
