//! What an expression is made of, with the bytes of the query that each part takes.

use store::read::Matcher;

use super::functions::Function;

/// A part of a query.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

/// Bytes of the query, `start..end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

/// Types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl ValueType {
    /// As Prometheus' messages name it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix { selector: Selector, range: i64 },
    Subquery(Box<Subquery>),
    Unary(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call { function: &'static Function, arguments: Vec<Node> },
    Paren(Box<Node>),
}

/// Which instant is meant, instead of the step's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Milliseconds.
    Time(i64),
    /// The query's first step.
    Start,
    /// The query's last step.
    End,
}

/// Where in time a selector or a subquery looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Milliseconds into the past.
    pub offset: i64,
    pub at: Option<At>,
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    /// The name before the braces, if it stands there.
    pub name: Option<String>,
    /// All of them, the name's among them.
    pub matchers: Vec<LabelMatcher>,
    pub moved: Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchKind {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchKind {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LabelMatcher {
    pub kind: MatchKind,
    pub name: String,
    pub value: String,
    pub compiled: Matcher,
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub inner: Node,
    pub range: i64,
    /// Milliseconds; `None` is the default step.
    pub step: Option<i64>,
    pub moved: Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eql,
    Neq,
    Lte,
    Lss,
    Gte,
    Gtr,
    And,
    Or,
    Unless,
}

impl Op {
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eql | Self::Neq | Self::Lte | Self::Lss | Self::Gte | Self::Gtr)
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eql => "==",
            Self::Neq => "!=",
            Self::Lte => "<=",
            Self::Lss => "<",
            Self::Gte => ">=",
            Self::Gtr => ">",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Card {
    #[default]
    OneToOne,
    ManyToOne,
    OneToMany,
    ManyToMany,
}

/// How elements of two vectors find each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    pub card: Card,
    pub on: bool,
    /// Whether `on` or `ignoring` was written.
    pub given: bool,
    pub labels: Vec<String>,
    pub include: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub op: Op,
    pub left: Node,
    pub right: Node,
    /// The operator itself, for messages.
    pub op_span: Span,
    pub return_bool: bool,
    pub matching: Matching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    pub const ALL: [(&'static str, Self); 14] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("min", Self::Min),
        ("max", Self::Max),
        ("group", Self::Group),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("topk", Self::Topk),
        ("bottomk", Self::Bottomk),
        ("quantile", Self::Quantile),
        ("count_values", Self::CountValues),
        ("limitk", Self::Limitk),
        ("limit_ratio", Self::LimitRatio),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    pub fn takes_parameter(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::Quantile | Self::CountValues | Self::Limitk | Self::LimitRatio
        )
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub op: AggregateOp,
    pub inner: Node,
    pub parameter: Option<Node>,
    pub grouping: Vec<String>,
    pub without: bool,
}

impl Node {
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            NodeKind::Number(_) => ValueType::Scalar,
            NodeKind::Text(_) => ValueType::String,
            NodeKind::Vector(_) | NodeKind::Aggregate(_) => ValueType::Vector,
            NodeKind::Matrix { .. } | NodeKind::Subquery(_) => ValueType::Matrix,
            NodeKind::Unary(inner) | NodeKind::Paren(inner) => inner.value_type(),
            NodeKind::Binary(binary) => match (binary.left.value_type(), binary.right.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            NodeKind::Call { function, .. } => function.returns,
        }
    }

    /// Without the parentheses round it.
    pub fn bare(&self) -> &Self {
        let mut node = self;
        while let NodeKind::Paren(inner) = &node.kind {
            node = inner;
        }
        node
    }

    /// The nodes directly below it.
    fn children(&self) -> Vec<&Self> {
        match &self.kind {
            NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Vector(_) | NodeKind::Matrix { .. } => {
                Vec::new()
            }
            NodeKind::Subquery(subquery) => vec![&subquery.inner],
            NodeKind::Unary(inner) | NodeKind::Paren(inner) => vec![inner],
            NodeKind::Binary(binary) => vec![&binary.left, &binary.right],
            NodeKind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.inner]).collect(),
            NodeKind::Call { arguments, .. } => arguments.iter().collect(),
        }
    }

    /// How many nodes lie above one another at most.
    pub fn depth(&self) -> usize {
        self.children().into_iter().map(Self::depth).max().unwrap_or(0) + 1
    }

    /// Visits this node and all below it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }
}
