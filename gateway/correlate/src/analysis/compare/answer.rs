//! What a comparison answers. Times in nanoseconds.

use parsers::record::{Labels, SpanId, StatusCode, TraceId};
use std::sync::Arc;
use store::read::Window;

use crate::Absence;
use crate::analysis::answer::{Example, Times};
use crate::analysis::stats::Test;
use crate::analysis::vocabulary::{AttributeScope, Operation};

/// What is different between two traces or two sets of traces.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Times of the whole traces compared; `None` of two single traces.
    pub overall: Option<Significance>,
    /// What is different, what matters most first.
    pub findings: Vec<Finding>,
    /// How many differences were tested.
    pub tested: usize,
    /// Findings that the limit left out.
    pub omitted: usize,
    /// Of two single traces: their spans side by side, parents before their children.
    pub spans: Vec<SpanPair>,
    /// Pairs that the limit left out.
    pub spans_omitted: usize,
    /// What a reader should know before trusting the rest.
    pub warnings: Vec<String>,
    /// Why there are no findings.
    pub reason: Option<String>,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    /// TraceQL, an id, or a value of the attribute that sets are told apart by.
    pub selection: String,
    /// In which spans start.
    pub window: Window,
    /// How many traces there are, more or less where they are too many to be read.
    pub matched: u64,
    /// Times of the traces that were looked at.
    pub times: Times,
    /// Traces whose root failed.
    pub failed: usize,
    /// Traces whose lines were read.
    pub line_traces: usize,
    /// Some of the traces.
    pub examples: Vec<Example>,
    /// What became of a trace that was named by its id and is not there.
    pub absent: Option<Absence>,
}

/// How sure a difference is, and how large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Significance {
    /// Probability that chance does as much; of findings, corrected for how much was tested.
    pub p: f64,
    /// -1 to 1: how much likelier the larger value is one of `a` (Cliff's delta); of shares, their difference.
    pub effect: f64,
    /// How it was tested.
    pub test: Test,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// An operation fails more often by itself.
    Errors,
    /// An operation takes more time by itself.
    Latency,
    /// A call occurs more often, or more often in a trace; or there are more traces.
    Structure,
    /// A pattern of log lines.
    Pattern,
    /// A value of an attribute.
    Attribute,
    /// A series of the workloads.
    Metric,
}

impl FindingKind {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Structure => "structure",
            Self::Pattern => "pattern",
            Self::Attribute => "attribute",
            Self::Metric => "metric",
        }
    }
}

/// What the two values of a finding are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// 0 to 1 of the traces that have the operation.
    Share,
    /// Spans of the operation in a trace that has it.
    Spans,
    /// Lines in a trace.
    Lines,
    /// Traces a second, of those that are stored.
    PerSecond,
    /// Of the metric, a second for a counter.
    Metric,
}

impl Unit {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Share => "share",
            Self::Spans => "spans",
            Self::Lines => "lines",
            Self::PerSecond => "per_second",
            Self::Metric => "metric",
        }
    }
}

/// Something that is different.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// In words.
    pub what: String,
    /// The operation that it is about; its name is empty where it is about a service.
    pub operation: Operation,
    /// More of what it is about.
    pub detail: Detail,
    /// Value of the first side.
    pub a: f64,
    /// Value of the second side.
    pub b: f64,
    /// What the values are.
    pub unit: Unit,
    /// How sure; `None` of two single traces.
    pub significance: Option<Significance>,
    /// 0 to 1, by which findings are ranked.
    pub score: f64,
    /// In words, what tells the same: values that took each other's place, attributes with the same shares, metrics that count the same.
    pub also: Vec<String>,
    /// Traces of the side that has more of it.
    pub examples: Vec<TraceId>,
}

/// More of what a finding is about.
#[derive(Debug, Clone)]
pub enum Detail {
    /// Nothing more.
    None,
    /// Times of the operation's longest span in each trace.
    Times {
        /// Of the first side.
        a: Times,
        /// Of the second side.
        b: Times,
    },
    /// A value of an attribute.
    Attribute {
        /// Whose.
        scope: AttributeScope,
        /// Name.
        key: String,
        /// Value as text; of two single traces, that of the first.
        value: String,
        /// Of two single traces, the value of the second.
        other: Option<String>,
    },
    /// As LogQL's `|>` reads it.
    Pattern(String),
    /// Who calls the operation; `None` is nobody.
    Caller(Option<Operation>),
    /// A series.
    Metric {
        /// Its name.
        name: String,
        /// Labels that all of its series have.
        labels: Arc<Labels>,
    },
}

/// Spans at one place of two traces.
#[derive(Debug, Clone)]
pub struct SpanPair {
    /// Service and name.
    pub operation: Operation,
    /// 0 for roots.
    pub depth: u32,
    /// Which of several siblings of the same operation, from 0.
    pub ordinal: u32,
    /// That of the first trace.
    pub a: Option<SpanSide>,
    /// That of the second.
    pub b: Option<SpanSide>,
}

/// A span of one of two traces.
#[derive(Debug, Clone, Copy)]
pub struct SpanSide {
    /// Which.
    pub span_id: SpanId,
    /// From the start of its trace, ns.
    pub offset: u64,
    /// ns.
    pub duration: u64,
    /// Duration less its children's times, ns.
    pub self_time: u64,
    /// Outcome.
    pub status: StatusCode,
}
