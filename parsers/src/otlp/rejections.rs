//! What was left out of a request, counted by reason.

use std::fmt;

/// Why a record, or a part of it, was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A span whose trace id is not 16 bytes, or is all zeros.
    TraceId,
    /// A span whose id is not 8 bytes, or is all zeros.
    SpanId,
    /// A metric without a name.
    MetricName,
    /// A data point without a value, or whose bounds and counts do not fit together.
    DataPoint,
    /// A record that cannot be read.
    Malformed,
    /// More records, labels or metadata in one request than are taken.
    TooMany,
    /// A log record kept without an id that was not one. Not a rejection.
    LogId,
    /// A log record kept without the metadata that is too much for one record. Not a rejection.
    LogMetadata,
    /// A data point with a label over the bound on one.
    Label,
    /// An exemplar left out of a data point that was kept. Not a rejection.
    Exemplar,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::TraceId,
        Self::SpanId,
        Self::MetricName,
        Self::DataPoint,
        Self::Malformed,
        Self::TooMany,
        Self::LogId,
        Self::LogMetadata,
        Self::Label,
        Self::Exemplar,
    ];

    /// Whether the record itself was left out.
    pub fn rejects(self) -> bool {
        !matches!(self, Self::LogId | Self::LogMetadata | Self::Exemplar)
    }

    /// For people, as a request's answer says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TraceId => "trace_id is not 16 bytes or is all zeros",
            Self::SpanId => "span_id is not 8 bytes or is all zeros",
            Self::MetricName => "metric without a name",
            Self::DataPoint => "data point without a value, or bounds and counts that do not fit",
            Self::Malformed => "record cannot be read",
            Self::TooMany => "too many records, labels or metadata in one request",
            Self::LogId => "log kept without its invalid trace_id or span_id",
            Self::LogMetadata => "log kept without the attributes that are too large",
            Self::Label => "data point with a label over 2048 bytes",
            Self::Exemplar => "exemplar left out, too many in one request",
        }
    }
}

/// How many records were left out, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejections([u64; Reason::ALL.len()]);

impl Rejections {
    /// Counts one.
    pub fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    /// Counts several.
    pub fn add_many(&mut self, reason: Reason, count: u64) {
        if let Some(counted) = self.0.get_mut(reason as usize) {
            *counted += count;
        }
    }

    /// Records left out.
    pub fn rejected(&self) -> u64 {
        self.iter().filter(|(reason, _)| reason.rejects()).map(|(_, count)| count).sum()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }

    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Adds what another part of the same request left out.
    pub fn merge(&mut self, other: &Self) {
        for (reason, count) in other.iter() {
            self.add_many(reason, count);
        }
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (reason, count)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{count}: {}", reason.as_str())?;
        }
        Ok(())
    }
}
