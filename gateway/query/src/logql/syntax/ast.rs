//! The shape of a query. What can be compiled once (expressions, templates, patterns) is, and compares by its text.

use std::net::IpAddr;
use std::sync::Arc;

use parsers::stage::{CapturePattern, Template};
use regex::Regex;

/// A whole query or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum Node {
    Log(LogQuery),
    Range(Box<RangeAggregation>),
    Vector(Box<VectorAggregation>),
    Binary(Box<Binary>),
    LabelReplace(Box<LabelReplace>),
    Number(f64),
    /// `vector(1)`
    VectorOf(f64),
}

/// A selector with its stages.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct LogQuery {
    pub(in crate::logql) matchers: Vec<LabelMatcher>,
    pub(in crate::logql) stages: Vec<Stage>,
}

impl LogQuery {
    /// Names that stages give labels in place of others.
    pub(in crate::logql) fn renamed(&self) -> impl Iterator<Item = &String> {
        let formats = self.stages.iter().filter_map(|stage| match stage {
            Stage::LabelFormat(formats) => Some(formats),
            _ => None,
        });
        formats.flatten().filter(|(_, format)| matches!(format, LabelFormat::Rename(_))).map(|(name, _)| name)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct LabelMatcher {
    pub(in crate::logql) name: String,
    pub(in crate::logql) test: TextTest,
}

/// How a text is compared.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum TextTest {
    Equal(String),
    NotEqual(String),
    /// Anchored on both ends.
    Matches(Expression),
    NotMatches(Expression),
}

/// A regular expression with its spelling.
#[derive(Debug, Clone)]
pub(in crate::logql) struct Expression {
    pub(in crate::logql) text: String,
    pub(in crate::logql) regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum Stage {
    Line(LineFilter),
    Label(LabelFilter),
    /// All keys, or those that the expressions find.
    Json(Vec<(String, JsonPath)>),
    /// All keys, or those that are named: name and key in the line.
    Logfmt {
        strict: bool,
        keep_empty: bool,
        keys: Vec<(String, String)>,
    },
    Regexp(Expression),
    Pattern(Arc<CapturePattern>),
    Unpack,
    Decolorize,
    LineFormat(Arc<Template>),
    LabelFormat(Vec<(String, LabelFormat)>),
    Drop(Vec<Named>),
    Keep(Vec<Named>),
}

/// A label by name, or only where it meets a test.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct Named {
    pub(in crate::logql) name: String,
    pub(in crate::logql) test: Option<TextTest>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum LabelFormat {
    Rename(String),
    Template(Arc<Template>),
}

/// Lines that have any of the texts, or with `negate` none of them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct LineFilter {
    pub(in crate::logql) negate: bool,
    pub(in crate::logql) kind: LineFilterKind,
    pub(in crate::logql) any: Vec<Needle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum LineFilterKind {
    /// `|=`
    Text,
    /// `|~`
    Regex,
    /// `|>`
    Pattern,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum Needle {
    Text(String),
    Regex(Expression),
    Pattern(LinePattern),
    Ip(IpRange),
}

/// A pattern of a `|>` filter: fixed texts with `<_>` between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) struct LinePattern {
    pub(in crate::logql) text: String,
    /// `None` is `<_>`.
    pub(in crate::logql) parts: Vec<Option<String>>,
}

/// Addresses from the first to the last, with their spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) struct IpRange {
    pub(in crate::logql) text: String,
    pub(in crate::logql) first: IpAddr,
    pub(in crate::logql) last: IpAddr,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) enum LabelFilter {
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
    Text(LabelMatcher),
    Number { name: String, op: Comparison, value: Quantity },
    Ip { name: String, negate: bool, range: IpRange },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::logql) enum Quantity {
    Number(f64),
    /// Nanoseconds.
    Duration(f64),
    Bytes(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub(in crate::logql) fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
        }
    }

    pub(in crate::logql) fn spelling(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// A path into a JSON object, with its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) struct JsonPath {
    pub(in crate::logql) text: String,
    pub(in crate::logql) steps: Vec<JsonStep>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) enum JsonStep {
    Key(String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct RangeAggregation {
    pub(in crate::logql) op: RangeOp,
    /// Of `quantile_over_time`.
    pub(in crate::logql) parameter: Option<f64>,
    pub(in crate::logql) lines: LogQuery,
    pub(in crate::logql) unwrap: Option<Unwrap>,
    /// Nanoseconds, more than zero.
    pub(in crate::logql) range: u64,
    /// Nanoseconds; positive ones look further back.
    pub(in crate::logql) offset: i64,
    pub(in crate::logql) grouping: Option<Grouping>,
}

/// The label that is the sample.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct Unwrap {
    pub(in crate::logql) name: String,
    pub(in crate::logql) conversion: Conversion,
    pub(in crate::logql) filters: Vec<LabelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum Conversion {
    None,
    /// To seconds; both spellings mean the same.
    Duration,
    DurationSeconds,
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum RangeOp {
    Count,
    Rate,
    RateCounter,
    Bytes,
    BytesRate,
    Absent,
    Sum,
    Avg,
    Max,
    Min,
    First,
    Last,
    StdVar,
    StdDev,
    Quantile,
}

impl RangeOp {
    pub(in crate::logql) const ALL: [(&'static str, Self); 15] = [
        ("count_over_time", Self::Count),
        ("rate", Self::Rate),
        ("rate_counter", Self::RateCounter),
        ("bytes_over_time", Self::Bytes),
        ("bytes_rate", Self::BytesRate),
        ("absent_over_time", Self::Absent),
        ("sum_over_time", Self::Sum),
        ("avg_over_time", Self::Avg),
        ("max_over_time", Self::Max),
        ("min_over_time", Self::Min),
        ("first_over_time", Self::First),
        ("last_over_time", Self::Last),
        ("stdvar_over_time", Self::StdVar),
        ("stddev_over_time", Self::StdDev),
        ("quantile_over_time", Self::Quantile),
    ];

    pub(in crate::logql) fn spelling(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct VectorAggregation {
    pub(in crate::logql) op: VectorOp,
    /// Of `topk` and its like.
    pub(in crate::logql) parameter: Option<u64>,
    pub(in crate::logql) grouping: Option<Grouping>,
    pub(in crate::logql) inner: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum VectorOp {
    Sum,
    Avg,
    Min,
    Max,
    StdDev,
    StdVar,
    Count,
    TopK,
    BottomK,
    ApproxTopK,
    Sort,
    SortDesc,
}

impl VectorOp {
    pub(in crate::logql) const ALL: [(&'static str, Self); 12] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("stddev", Self::StdDev),
        ("stdvar", Self::StdVar),
        ("count", Self::Count),
        ("topk", Self::TopK),
        ("bottomk", Self::BottomK),
        ("approx_topk", Self::ApproxTopK),
        ("sort", Self::Sort),
        ("sort_desc", Self::SortDesc),
    ];

    pub(in crate::logql) fn spelling(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    pub(in crate::logql) fn ranks(self) -> bool {
        matches!(self, Self::TopK | Self::BottomK | Self::ApproxTopK)
    }
}

/// `by (a, b)` or `without (a, b)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::logql) struct Grouping {
    pub(in crate::logql) without: bool,
    pub(in crate::logql) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct Binary {
    pub(in crate::logql) op: BinaryOp,
    /// Comparisons give 0 and 1 instead of leaving values out.
    pub(in crate::logql) returns_bool: bool,
    pub(in crate::logql) matching: Option<Matching>,
    pub(in crate::logql) left: Node,
    pub(in crate::logql) right: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logql) enum BinaryOp {
    Or,
    And,
    Unless,
    Compare(Comparison),
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

impl BinaryOp {
    pub(in crate::logql) fn spelling(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Unless => "unless",
            Self::Compare(comparison) => comparison.spelling(),
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }

    pub(in crate::logql) fn is_of_sets(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

/// Which labels join the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) struct Matching {
    /// `on`, else `ignoring`.
    pub(in crate::logql) on: bool,
    pub(in crate::logql) names: Vec<String>,
    pub(in crate::logql) group: Option<Group>,
}

/// The side of which several may match one of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logql) struct Group {
    pub(in crate::logql) left: bool,
    /// Labels that are taken over from the other side.
    pub(in crate::logql) include: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::logql) struct LabelReplace {
    pub(in crate::logql) inner: Node,
    pub(in crate::logql) to: String,
    pub(in crate::logql) replacement: String,
    pub(in crate::logql) from: String,
    /// Anchored on both ends.
    pub(in crate::logql) expression: Expression,
}
