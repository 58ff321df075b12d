//! LogQL: selectors, filters, parsers, formats, and the metrics that are counted over lines.
//!
//! Supported is what Grafana sends by itself and what its builder makes most: see the parser. Anything else is an error
//! that names the construct and its column.

mod evaluate;
mod parser;
mod pipeline;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, Sample, Series};
use store::read::{Direction, Matcher, ScanReport};

pub use evaluate::{evaluate_instant, evaluate_range};
pub use parser::parse;

use pipeline::Pipeline;

/// A query that has been read.
#[derive(Debug)]
pub struct Expr(Node);

impl Expr {
    /// The stream selector; of a query with several, the first one's.
    pub fn matchers(&self) -> &[Matcher] {
        self.0.matchers().unwrap_or_default()
    }
}

/// What is done over a range of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RangeOp {
    Count,
    Rate,
    Bytes,
    BytesRate,
}

/// What is done over series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregation {
    Sum,
    Min,
    Max,
    Avg,
    Count,
    Top,
    Bottom,
}

/// `by (a, b)` or `without (a, b)`.
#[derive(Debug, Clone, Default)]
struct Grouping {
    without: bool,
    names: Vec<String>,
}

#[derive(Debug)]
enum Node {
    Lines(Pipeline),
    Range { op: RangeOp, pipeline: Pipeline, range: u64, offset: u64 },
    Aggregate { op: Aggregation, grouping: Grouping, keep: usize, inner: Box<Node> },
    Binary { op: char, left: Box<Node>, right: Box<Node> },
    Number(f64),
    Vector(f64),
}

impl Node {
    fn matchers(&self) -> Option<&[Matcher]> {
        match self {
            Self::Lines(pipeline) | Self::Range { pipeline, .. } => Some(&pipeline.matchers),
            Self::Aggregate { inner, .. } => inner.matchers(),
            Self::Binary { left, right, .. } => left.matchers().or_else(|| right.matchers()),
            Self::Number(_) | Self::Vector(_) => None,
        }
    }
}

/// Bounds of one query.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Lines in an answer; Loki's own bound.
    pub entries: usize,
    /// Series in an answer or on the way to it; Loki's default is 500.
    pub series: usize,
    /// Bytes of lines read.
    pub bytes: u64,
    /// Steps of a range query; Prometheus' bound.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 5_000, series: 5_000, bytes: 16 << 30, steps: 11_000 }
    }
}

/// Times and sizes of a range query.
#[derive(Debug, Clone, Copy)]
pub struct RangeParams {
    /// First instant, ns.
    pub start: u64,
    /// Lines: the first instant after. Metrics: the last step at the latest.
    pub end: u64,
    /// Between two values of a metric.
    pub step: Duration,
    /// Lines at most.
    pub limit: usize,
    /// Which lines first.
    pub direction: Direction,
}

/// What a query gives.
#[derive(Debug)]
pub struct Outcome {
    /// The answer.
    pub data: Data,
    /// What was read for it.
    pub report: ScanReport,
}

/// The shapes of answers.
#[derive(Debug)]
pub enum Data {
    /// Lines by stream.
    Streams(Vec<Stream>),
    /// Values over time.
    Matrix(Vec<Series>),
    /// Values at one time.
    Vector(Vec<(Arc<Labels>, Sample)>),
    /// One number.
    Scalar(Sample),
}

/// Lines of one stream.
#[derive(Debug)]
pub struct Stream {
    /// Stream labels.
    pub labels: Arc<Labels>,
    /// Lines in the order that was asked for.
    pub entries: Vec<Entry>,
}

/// One line.
#[derive(Debug)]
pub struct Entry {
    /// When, ns.
    pub time: u64,
    /// The line, as the query formats it.
    pub line: Vec<u8>,
    /// Structured metadata, ids and level among it.
    pub structured: Vec<(String, String)>,
    /// Labels that the query's parsers found.
    pub parsed: Vec<(String, String)>,
}
