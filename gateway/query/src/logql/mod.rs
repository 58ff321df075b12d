//! LogQL, whole: selectors, filters, parsers, formats, and the metrics that are counted over lines.
//!
//! Here is what a query means over records; what its text looks like is in `syntax`, what happens to one line in
//! `pipeline`, what is counted in `metric`. What a query may read is bounded by [`Limits`], and an answer in lines stops
//! reading when it is full.

mod lines;
mod metric;
mod pipeline;
mod plan;
mod scan;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, Sample, Series};
use store::read::{Direction, LogRead, Matcher, ScanReport};

use crate::{Allowance, QueryError};
use metric::calculate;
use syntax::Node;

pub(crate) use pipeline::{clean, flatten};
pub use syntax::duration;

/// Characters of a query in a message.
const MAX_SHOWN: usize = 200;

/// A query that has been read. Written out, it is in its canonical form on one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    node: Node,
    matchers: Vec<Matchers>,
}

/// The matchers of one selector, compiled.
#[derive(Debug, Clone)]
struct Matchers(Vec<Matcher>);

impl PartialEq for Matchers {
    /// The tree holds the same.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Expr {
    /// The stream selector; of a query with several, the first one's.
    pub fn matchers(&self) -> &[Matcher] {
        self.matchers.first().map_or(&[], |matchers| &matchers.0)
    }

    /// The stream selectors of a query, in its order.
    pub fn selectors(&self) -> impl Iterator<Item = &[Matcher]> {
        self.matchers.iter().map(|matchers| matchers.0.as_slice())
    }

    /// Whether it asks for lines, and not for a metric.
    pub fn is_of_lines(&self) -> bool {
        matches!(self.node, Node::Log(_))
    }

    /// The query laid out on several lines where it is long, as Loki's `format_query` does.
    pub fn pretty(&self) -> String {
        syntax::pretty(&self.node)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

/// Reads a query.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    let node = syntax::parse(text)?;
    let matchers = plan::selectors(&node).into_iter().map(Matchers).collect();
    Ok(Expr { node, matchers })
}

/// The matchers of a query that lists and measures streams, where `{}` is all of them.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    if text.chars().filter(|c| !c.is_whitespace()).eq("{}".chars()) {
        return Ok(Vec::new());
    }
    Ok(parse(text)?.matchers().to_vec())
}

/// The matchers of a stream selector alone: stages behind it would be dropped in silence.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, QueryError> {
    match parse(text)?.node {
        Node::Log(query) if query.stages.is_empty() => Ok(plan::matchers(&query)),
        _ => Err(QueryError::Invalid(format!(
            "only label matchers are supported: expected a stream selector such as {{app=\"x\"}}, came {:?}",
            text.chars().take(MAX_SHOWN).collect::<String>()
        ))),
    }
}

/// The query laid out for people.
pub fn format_query(text: &str) -> Result<String, QueryError> {
    Ok(parse(text)?.pretty())
}

/// Bounds of one query.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Lines in an answer; Loki's own bound.
    pub entries: usize,
    /// Series in an answer, as Loki counts; its default is 500. Those on the way to it are bounded by what they hold.
    pub series: usize,
    /// Bytes of lines read.
    pub bytes: u64,
    /// Steps of a range query; Prometheus' bound.
    pub steps: u64,
    /// Values held at once on the way to an answer, 24 bytes each.
    pub values: usize,
    /// How long it may take; Loki's own bound.
    pub time: Duration,
    /// Points of an answer, and bytes together with other queries.
    pub allowance: Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 5_000,
            series: 5_000,
            bytes: 16 << 30,
            steps: 11_001,
            values: 5_000_000,
            time: Duration::from_mins(1),
            allowance: Allowance::default(),
        }
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
    /// Lines: from one of them to the next, whichever stream they are of, at least.
    pub interval: Duration,
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
    /// Values over time, in order of labels.
    Matrix(Vec<Series>),
    /// Values at one time, in order of labels unless the query sorts.
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Lines, or values at each step.
pub fn evaluate_range(
    expr: &Expr,
    logs: &dyn LogRead,
    params: &RangeParams,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    if let Node::Log(query) = &expr.node {
        return lines::find(query, logs, params, limits);
    }
    metric::range(&expr.node, logs, params, limits)
}

/// Values at one time.
pub fn evaluate_instant(
    expr: &Expr,
    logs: &dyn LogRead,
    time: u64,
    _limit: usize,
    _direction: Direction,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    if expr.is_of_lines() {
        let detail = "log queries are not supported as an instant query type, please change your query to a range query type";
        return Err(QueryError::Invalid(detail.to_owned()));
    }
    metric::instant(&expr.node, logs, time, limits)
}
