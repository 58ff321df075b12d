//! What a query says, as plain data. Reading it is `parser`'s, writing it is `display`'s.

use parsers::record::{SpanKind, StatusCode};

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which span sets.
    pub pipeline: Pipeline,
    /// What is counted over them, for a query of metrics.
    pub metrics: Option<Metrics>,
    /// `with(name=value)`.
    pub hints: Vec<(String, Static)>,
}

/// Stages, each working on the span sets of the one before; the first gets one set of all spans of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline(pub Vec<Stage>);

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Keeps spans.
    Spans(Spans),
    /// Keeps sets.
    Filter(ScalarFilter),
    /// A set for each value.
    By(Expr),
    /// One set of all.
    Coalesce,
    /// Fields to show beside each span.
    Select(Vec<Field>),
}

/// A set of spans.
#[derive(Debug, Clone, PartialEq)]
pub enum Spans {
    /// `{ ... }`
    Where(Expr),
    /// Two sets and what joins them.
    Join(SetOp, Box<Spans>, Box<Spans>),
    /// `( ... | ... )`
    Pipeline(Pipeline),
}

/// What joins two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOp {
    /// Both have spans.
    And,
    /// One of them has.
    Or,
    /// Where the spans of the two stand to each other in the tree.
    Tree(Relation, Side),
}

/// How a span of the right set stands to one of the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `>`
    Child,
    /// `<`
    Parent,
    /// `>>`
    Descendant,
    /// `<<`
    Ancestor,
    /// `~`
    Sibling,
}

/// Which spans a structural operator gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Those of the right that stand so.
    Right,
    /// Those of the right that do not: `!>`.
    Not,
    /// Those of both that stand so: `&>`.
    Both,
}

/// `count() > 2`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarFilter {
    /// Left of it.
    pub left: Scalar,
    /// The comparison.
    pub op: Comparison,
    /// Right of it.
    pub right: Scalar,
}

/// A number of a span set.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Itself.
    Static(Static),
    /// `-5`.
    Negative(Static),
    /// `avg(duration)`.
    Aggregate(Aggregate),
    /// `count() + 1`.
    Arithmetic(Arithmetic, Box<Scalar>, Box<Scalar>),
    /// `({ ... } | count())`.
    Pipeline(Pipeline, Aggregate),
}

/// A function over the spans of a set; only `count` has nothing that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// Of what.
    pub of: Option<Expr>,
}

/// Functions over the spans of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    /// How many.
    Count,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
}

/// An expression over a span.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A literal.
    Static(Static),
    /// What a span says.
    Field(Field),
    /// `-x`
    Negative(Box<Expr>),
    /// `!x`
    Not(Box<Expr>),
    /// Two and what joins them.
    Binary(Operator, Box<Expr>, Box<Expr>),
}

/// Operators in expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `=` and its like.
    Compare(Comparison),
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
    /// `+` and its like.
    Arithmetic(Arithmetic),
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Static {
    /// `nil`: there is none.
    Nil,
    /// `5`
    Int(i64),
    /// `.5`
    Float(f64),
    /// `"a"`
    Str(String),
    /// `true`
    Bool(bool),
    /// `100ms`, in nanoseconds.
    Duration(i64),
    /// `error`
    Status(StatusCode),
    /// `server`
    Kind(SpanKind),
    /// A list, which queries cannot write.
    List(Vec<Static>),
}

/// What a span says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// What its sender added.
    Attribute {
        /// Where it is looked for.
        scope: Scope,
        /// Of the parent span.
        parent: bool,
        /// Its name.
        name: String,
    },
    /// What every span has.
    Intrinsic(Intrinsic),
}

/// Where an attribute is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In the span, then in its resource.
    Any,
    /// In the span.
    Span,
    /// In the resource.
    Resource,
    /// In any of the span's events.
    Event,
    /// In any of its links.
    Link,
    /// In the library that made it.
    Instrumentation,
}

/// What every span has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intrinsic {
    /// How long it took.
    Duration,
    /// The operation.
    Name,
    /// How it went.
    Status,
    /// What was said of that.
    StatusMessage,
    /// What it does in its trace.
    Kind,
    /// Its parent: nil for a root.
    Parent,
    /// How many children it has.
    ChildCount,
    /// From the first start to the last end of the trace.
    TraceDuration,
    /// Operation of the root span.
    RootName,
    /// Service of the root span.
    RootService,
    /// Where it begins in the walk over the tree.
    NestedSetLeft,
    /// Where it ends there.
    NestedSetRight,
    /// Where its parent begins there; -1 for a root.
    NestedSetParent,
    /// The trace.
    TraceId,
    /// The span.
    SpanId,
    /// The parent's id.
    ParentId,
    /// Names of its events.
    EventName,
    /// How long after the start they happened.
    EventTimeSinceStart,
    /// Traces that it links to.
    LinkTraceId,
    /// Spans that it links to.
    LinkSpanId,
    /// Name of the library that made it.
    InstrumentationName,
    /// Version of that.
    InstrumentationVersion,
}

/// What is counted over the spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The first function.
    pub function: MetricsFunction,
    /// A series for each combination of values.
    pub by: Vec<Field>,
    /// What is done with the series.
    pub then: Vec<SecondStage>,
}

/// Functions from spans to series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsFunction {
    /// Spans a second.
    Rate,
    /// Spans.
    CountOverTime,
    /// `min_over_time(x)` and its like.
    OverTime(OverTime, Field),
    /// `quantile_over_time(x, .5, .9)`.
    Quantile(Field, Vec<f64>),
    /// `histogram_over_time(x)`.
    Histogram(Field),
    /// `compare({...}, 10)`: how those spans differ from the others.
    Compare {
        /// Which spans are compared with the rest.
        selection: Expr,
        /// Values of each attribute that are told.
        top: usize,
        /// When the selected spans start, in nanoseconds.
        window: Option<(u64, u64)>,
    },
}

/// Functions of values in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverTime {
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
}

/// What is done with series.
#[derive(Debug, Clone, PartialEq)]
pub enum SecondStage {
    /// The greatest at each time.
    TopK(usize),
    /// The least at each time.
    BottomK(usize),
    /// Samples that compare so.
    Compare(Comparison, f64),
}
