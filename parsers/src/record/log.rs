//! Log records: rows and buffers on the way in, owned on the way out.

use std::sync::Arc;

use super::{ByteRange, FileId, Labels, Pairs, SpanId, Spelling, TraceId};

/// Severity in the six classes of OTLP; the finer numbers are kept as metadata where a sender gave one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Severity {
    /// The line does not say.
    #[default]
    Unknown = 0,
    /// Finest.
    Trace = 1,
    /// For developers.
    Debug = 2,
    /// Normal operation.
    Info = 3,
    /// Worth a look.
    Warn = 4,
    /// Something failed.
    Error = 5,
    /// The program could not go on.
    Fatal = 6,
}

impl Severity {
    /// The value of `detected_level`, in Grafana's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// From its stored byte; an unknown one reads as [`Severity::Unknown`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Trace,
            2 => Self::Debug,
            3 => Self::Info,
            4 => Self::Warn,
            5 => Self::Error,
            6 => Self::Fatal,
            _ => Self::Unknown,
        }
    }

    /// OTLP's number of it, the first of its range; 0 for unknown.
    pub fn number(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }

    /// From OTLP's severity number, 1-24.
    pub fn from_number(number: i32) -> Self {
        match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=20 => Self::Error,
            21..=24 => Self::Fatal,
            _ => Self::Unknown,
        }
    }
}

/// Where in which file a line began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourcePosition {
    /// Which file.
    pub file: FileId,
    /// As [`LogRow::offset`].
    pub offset: u64,
}

/// One log record, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// When it happened.
    pub time: u64,
    /// When it was read or received.
    pub observed: u64,
    /// Stream labels. Never a trace id among them.
    pub labels: Arc<Labels>,
    /// Structured metadata other than `trace_id`, `span_id` and `detected_level`, which are fields of their own here.
    pub metadata: Vec<(String, String)>,
    /// The trace that it names.
    pub trace_id: Option<TraceId>,
    /// The span that it names.
    pub span_id: Option<SpanId>,
    /// `detected_level`.
    pub severity: Severity,
    /// The line as written, without its newline.
    pub line: Vec<u8>,
    /// Where it was read, if it came from a file.
    pub source: Option<SourcePosition>,
    /// The rule that found the id.
    pub rule: Option<Arc<str>>,
}

/// One record of a [`LogBatch`]: plain data, ranges point into the batch's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogRow {
    /// When it happened.
    pub time: u64,
    /// When it was read or received.
    pub observed: u64,
    /// Bits of the trace id; 0 is none.
    pub trace: u128,
    /// Bits of the span id; 0 is none.
    pub span: u64,
    /// Offset in its file of the first byte of the record's last fragment (for a whole line: of the line), so that rows of a
    /// file are emitted in growing order of it; meaningful when `file` is not 0.
    pub offset: u64,
    /// Index into [`LogBatch::streams`].
    pub stream: u32,
    /// Index into [`LogBatch::files`] plus one; 0 is none.
    pub file: u32,
    /// The line, in [`LogBatch::text`].
    pub line: ByteRange,
    /// Metadata pairs ([`Pairs`]), in [`LogBatch::meta`].
    pub meta: ByteRange,
    /// Index into [`LogBatch::rules`] plus one; 0 is none.
    pub rule: u16,
    /// How the trace id was written.
    pub spelling: Spelling,
    /// Severity.
    pub severity: Severity,
}

/// Many log records sharing buffers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogBatch {
    /// Label sets of the streams in this batch.
    pub streams: Vec<Arc<Labels>>,
    /// Names of the derived rules that rows refer to.
    pub rules: Vec<Arc<str>>,
    /// Files that rows were read from.
    pub files: Vec<FileId>,
    /// The records, in order of arrival.
    pub rows: Vec<LogRow>,
    /// Lines back to back.
    pub text: Vec<u8>,
    /// Metadata pairs back to back.
    pub meta: Vec<u8>,
}

impl LogBatch {
    /// Appends a line to `text` and says where it lies.
    pub fn push_text(&mut self, line: &[u8]) -> ByteRange {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(line);
        ByteRange { start, end: self.text.len() as u32 }
    }

    /// The line of a row.
    pub fn line(&self, row: &LogRow) -> &[u8] {
        row.line.of(&self.text)
    }

    /// The metadata of a row.
    pub fn metadata(&self, row: &LogRow) -> Pairs<'_> {
        Pairs::new(row.meta.of(&self.meta))
    }

    /// The owned record of a row.
    pub fn record(&self, row: &LogRow) -> LogRecord {
        LogRecord {
            time: row.time,
            observed: row.observed,
            labels: self.streams.get(row.stream as usize).cloned().unwrap_or_default(),
            metadata: self.metadata(row).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            trace_id: TraceId::new(row.trace, row.spelling),
            span_id: SpanId::new(row.span),
            severity: row.severity,
            line: self.line(row).to_vec(),
            source: (row.file as usize)
                .checked_sub(1)
                .and_then(|i| self.files.get(i))
                .map(|&file| SourcePosition { file, offset: row.offset }),
            rule: (row.rule as usize).checked_sub(1).and_then(|i| self.rules.get(i)).cloned(),
        }
    }

    /// Bytes held in the buffers: what bounds count.
    pub fn size(&self) -> usize {
        self.text.len() + self.meta.len() + self.rows.len() * size_of::<LogRow>()
    }
}
