//! TraceQL: span sets by conditions on spans, over whole traces.
//!
//! Supported is what Grafana's search form and links send: conditions, `&&`, `||`, `select(...)` and `count()`. Anything else
//! is an error that names the construct and its column.

mod evaluate;
mod parser;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use parsers::record::{SpanId, TraceId, Value};
use store::read::ScanReport;

pub use evaluate::{search, tag_values, tags};
pub use parser::{from_tags, parse};

/// A query that has been read.
#[derive(Debug)]
pub struct Query {
    spans: Spans,
    select: Vec<Field>,
    at_least: Option<(&'static str, f64)>,
}

/// Sets of spans.
#[derive(Debug)]
enum Spans {
    /// `{ ... }`; none is any span.
    Where(Option<Condition>),
    /// Both sets have spans: the union of them.
    Both(Box<Spans>, Box<Spans>),
    /// One of them has.
    Either(Box<Spans>, Box<Spans>),
}

#[derive(Debug)]
enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Always(bool),
    Compare { field: Field, op: &'static str, value: Wanted },
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Resource(String),
    Span(String),
    Any(String),
    Name,
    Kind,
    Status,
    StatusMessage,
    Duration,
    RootName,
    RootService,
    TraceDuration,
    TraceId,
    SpanId,
    ParentId,
}

#[derive(Debug)]
enum Wanted {
    Text(String),
    Number(f64),
    Truth(bool),
    Nil,
    Matches(regex::Regex),
}

/// Times in ns and sizes of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchParams {
    /// Some span starts at or after this.
    pub start: u64,
    /// Some span starts before this.
    pub end: u64,
    /// Traces at most.
    pub limit: usize,
    /// Spans shown of each trace.
    pub spans_per_set: usize,
}

/// What a search gives.
#[derive(Debug)]
pub struct Found {
    /// Traces, newest first.
    pub hits: Vec<TraceHit>,
    /// What was read for it.
    pub report: ScanReport,
}

/// A trace that has spans as asked for.
#[derive(Debug)]
pub struct TraceHit {
    /// The trace.
    pub trace_id: TraceId,
    /// Service of the root span, or of the first if the root is not stored.
    pub root_service: String,
    /// Name of that span.
    pub root_name: String,
    /// First start, ns.
    pub start: u64,
    /// From the first start to the last end, ns.
    pub duration: u64,
    /// The first of the matching spans.
    pub spans: Vec<SpanHit>,
    /// How many match.
    pub matched: u64,
    /// Spans of each service.
    pub services: BTreeMap<String, ServiceStats>,
}

/// Spans of one service in a trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceStats {
    /// All.
    pub spans: u64,
    /// With an error status.
    pub errors: u64,
}

/// A span that matches.
#[derive(Debug)]
pub struct SpanHit {
    /// Which.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its start, ns.
    pub start: u64,
    /// How long it took, ns.
    pub duration: u64,
    /// What `select` names, and what the conditions compared.
    pub attributes: Vec<(String, Value)>,
}
