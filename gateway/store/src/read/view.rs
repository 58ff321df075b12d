//! A log record that is lent, not copied: what a scan over many lines looks at.

use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Labels, LogBatch, LogRecord, LogRow, Pairs, Severity, SpanId, TraceId};

use super::ScanReport;

/// What a scan hands its records to.
pub trait LogVisit {
    /// Takes a record.
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()>;

    /// Told now and then what was looked at so far, also where no record was wanted: the place to stop what takes too long.
    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()>;
}

/// One log record, lent for the time of a visit.
#[derive(Debug, Clone)]
pub struct LogView<'a> {
    /// When it happened.
    pub time: u64,
    /// Stream labels.
    pub labels: &'a Arc<Labels>,
    /// The line as written.
    pub line: &'a [u8],
    /// The trace that it names.
    pub trace_id: Option<TraceId>,
    /// The span that it names.
    pub span_id: Option<SpanId>,
    /// `detected_level`.
    pub severity: Severity,
    metadata: Metadata<'a>,
}

impl<'a> LogView<'a> {
    /// Of a row and its stream's labels.
    pub fn of(batch: &'a LogBatch, row: &LogRow, labels: &'a Arc<Labels>) -> Self {
        Self {
            time: row.time,
            labels,
            line: batch.line(row),
            trace_id: TraceId::new(row.trace, row.spelling),
            span_id: SpanId::new(row.span),
            severity: row.severity,
            metadata: Metadata::Packed(batch.metadata(row)),
        }
    }

    /// Structured metadata other than the ids and the level.
    pub fn metadata(&self) -> Metadata<'a> {
        self.metadata.clone()
    }
}

impl<'a> From<&'a LogRecord> for LogView<'a> {
    fn from(record: &'a LogRecord) -> Self {
        Self {
            time: record.time,
            labels: &record.labels,
            line: &record.line,
            trace_id: record.trace_id,
            span_id: record.span_id,
            severity: record.severity,
            metadata: Metadata::Owned(record.metadata.iter()),
        }
    }
}

/// Names and values of structured metadata.
#[derive(Debug, Clone)]
pub enum Metadata<'a> {
    /// Of a record.
    Owned(std::slice::Iter<'a, (String, String)>),
    /// Of a row.
    Packed(Pairs<'a>),
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Owned(pairs) => pairs.next().map(|(name, value)| (name.as_str(), value.as_str())),
            Self::Packed(pairs) => pairs.next(),
        }
    }
}

/// Records of one stream in a stretch of time, counted.
#[derive(Debug, Clone, Copy)]
pub struct Tally<'a> {
    /// The stream's labels.
    pub labels: &'a Arc<Labels>,
    /// Oldest record.
    pub first: u64,
    /// Newest record.
    pub last: u64,
    /// Records.
    pub records: u64,
    /// Bytes of their lines.
    pub bytes: u64,
}

impl Tally<'_> {
    /// The part of it from `start` up to, not including, `end`, if time passed evenly in it.
    pub fn within(&self, start: u64, end: u64) -> Self {
        let (first, last) = (self.first.max(start), self.last.min(end.saturating_sub(1)));
        if first > last || end == 0 {
            return Self { records: 0, bytes: 0, ..*self };
        }
        if (first, last) == (self.first, self.last) {
            return *self;
        }
        let share = (last - first + 1) as f64 / (self.last - self.first + 1) as f64;
        let part = |count: u64| (count as f64 * share).round() as u64;
        Self { labels: self.labels, first, last, records: part(self.records), bytes: part(self.bytes) }
    }
}
