//! The words of the language, each once: what they mean and how they are written.

use parsers::record::{SpanKind, StatusCode};

use super::ast::{
    AggregateFunction, Arithmetic, Comparison, Intrinsic, Operator, OverTime, Relation, Scope, SetOp, Side,
    Static,
};

/// Every intrinsic with its spellings; the first is the one that is written.
pub(super) const INTRINSICS: [(Intrinsic, &[&str]); 22] = [
    (Intrinsic::Duration, &["duration", "span:duration"]),
    (Intrinsic::Name, &["name", "span:name"]),
    (Intrinsic::Status, &["status", "span:status"]),
    (Intrinsic::StatusMessage, &["statusMessage", "span:statusMessage"]),
    (Intrinsic::Kind, &["kind", "span:kind"]),
    (Intrinsic::Parent, &["parent"]),
    (Intrinsic::ChildCount, &["span:childCount", "childCount"]),
    (Intrinsic::TraceDuration, &["traceDuration", "trace:duration"]),
    (Intrinsic::RootName, &["rootName", "trace:rootName"]),
    (Intrinsic::RootService, &["rootServiceName", "trace:rootService"]),
    (Intrinsic::NestedSetLeft, &["nestedSetLeft", "span:nestedSetLeft"]),
    (Intrinsic::NestedSetRight, &["nestedSetRight", "span:nestedSetRight"]),
    (Intrinsic::NestedSetParent, &["nestedSetParent", "span:nestedSetParent"]),
    (Intrinsic::TraceId, &["trace:id"]),
    (Intrinsic::SpanId, &["span:id"]),
    (Intrinsic::ParentId, &["span:parentID"]),
    (Intrinsic::EventName, &["event:name"]),
    (Intrinsic::EventTimeSinceStart, &["event:timeSinceStart"]),
    (Intrinsic::LinkTraceId, &["link:traceID"]),
    (Intrinsic::LinkSpanId, &["link:spanID"]),
    (Intrinsic::InstrumentationName, &["instrumentation:name"]),
    (Intrinsic::InstrumentationVersion, &["instrumentation:version"]),
];

/// Scopes of attributes, as they stand before the dot.
pub(super) const SCOPES: [(Scope, &str); 5] = [
    (Scope::Span, "span"),
    (Scope::Resource, "resource"),
    (Scope::Event, "event"),
    (Scope::Link, "link"),
    (Scope::Instrumentation, "instrumentation"),
];

/// Words that are literals.
pub(super) const WORDS: [(&str, Static); 12] = [
    ("nil", Static::Nil),
    ("true", Static::Bool(true)),
    ("false", Static::Bool(false)),
    ("ok", Static::Status(StatusCode::Ok)),
    ("error", Static::Status(StatusCode::Error)),
    ("unset", Static::Status(StatusCode::Unset)),
    ("unspecified", Static::Kind(SpanKind::Unspecified)),
    ("internal", Static::Kind(SpanKind::Internal)),
    ("server", Static::Kind(SpanKind::Server)),
    ("client", Static::Kind(SpanKind::Client)),
    ("producer", Static::Kind(SpanKind::Producer)),
    ("consumer", Static::Kind(SpanKind::Consumer)),
];

/// Operators between span sets.
pub(super) const SET_OPS: [(&str, SetOp); 17] = [
    ("&&", SetOp::And),
    ("||", SetOp::Or),
    (">", SetOp::Tree(Relation::Child, Side::Right)),
    ("<", SetOp::Tree(Relation::Parent, Side::Right)),
    (">>", SetOp::Tree(Relation::Descendant, Side::Right)),
    ("<<", SetOp::Tree(Relation::Ancestor, Side::Right)),
    ("~", SetOp::Tree(Relation::Sibling, Side::Right)),
    ("!>", SetOp::Tree(Relation::Child, Side::Not)),
    ("!<", SetOp::Tree(Relation::Parent, Side::Not)),
    ("!>>", SetOp::Tree(Relation::Descendant, Side::Not)),
    ("!<<", SetOp::Tree(Relation::Ancestor, Side::Not)),
    ("!~", SetOp::Tree(Relation::Sibling, Side::Not)),
    ("&>", SetOp::Tree(Relation::Child, Side::Both)),
    ("&<", SetOp::Tree(Relation::Parent, Side::Both)),
    ("&>>", SetOp::Tree(Relation::Descendant, Side::Both)),
    ("&<<", SetOp::Tree(Relation::Ancestor, Side::Both)),
    ("&~", SetOp::Tree(Relation::Sibling, Side::Both)),
];

/// Comparisons.
pub(super) const COMPARISONS: [(&str, Comparison); 6] = [
    ("=", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    ("<=", Comparison::LessEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterEqual),
];

/// Arithmetic, with how tightly it binds.
pub(super) const ARITHMETIC: [(&str, Arithmetic, u8); 6] = [
    ("+", Arithmetic::Add, 3),
    ("-", Arithmetic::Sub, 3),
    ("*", Arithmetic::Mul, 5),
    ("/", Arithmetic::Div, 5),
    ("%", Arithmetic::Mod, 5),
    ("^", Arithmetic::Pow, 6),
];

/// How tightly `!` binds: `+` does less, `*` more.
pub(super) const NOT_BINDS: u8 = 4;

/// Functions over the spans of a set.
pub(super) const AGGREGATES: [(&str, AggregateFunction); 5] = [
    ("count", AggregateFunction::Count),
    ("min", AggregateFunction::Min),
    ("max", AggregateFunction::Max),
    ("avg", AggregateFunction::Avg),
    ("sum", AggregateFunction::Sum),
];

/// Functions of values in an interval.
pub(super) const OVER_TIME: [(&str, OverTime); 4] = [
    ("min_over_time", OverTime::Min),
    ("max_over_time", OverTime::Max),
    ("avg_over_time", OverTime::Avg),
    ("sum_over_time", OverTime::Sum),
];

/// How an operator of expressions is written, and how tightly it binds.
pub(super) fn operator(op: Operator) -> &'static str {
    match op {
        Operator::And => "&&",
        Operator::Or => "||",
        Operator::Match => "=~",
        Operator::NotMatch => "!~",
        Operator::Compare(op) => comparison(op),
        Operator::Arithmetic(op) => arithmetic(op),
    }
}

/// The operator of expressions that is written so, and how tightly it binds. `&&` and `||` bind alike, as in Tempo.
pub(super) fn operator_of(symbol: &str) -> Option<(Operator, u8)> {
    let known = match symbol {
        "&&" => (Operator::And, 1),
        "||" => (Operator::Or, 1),
        "=~" => (Operator::Match, 2),
        "!~" => (Operator::NotMatch, 2),
        _ => {
            let compared = COMPARISONS.iter().find(|(text, _)| *text == symbol);
            if let Some((_, op)) = compared {
                return Some((Operator::Compare(*op), 2));
            }
            let (_, op, binds) = ARITHMETIC.iter().find(|(text, ..)| *text == symbol)?;
            (Operator::Arithmetic(*op), *binds)
        }
    };
    Some(known)
}

pub(super) fn comparison(op: Comparison) -> &'static str {
    COMPARISONS.iter().find(|(_, known)| *known == op).map_or("", |(text, _)| text)
}

pub(super) fn arithmetic(op: Arithmetic) -> &'static str {
    ARITHMETIC.iter().find(|(_, known, _)| *known == op).map_or("", |(text, ..)| text)
}

pub(super) fn set_op(op: SetOp) -> &'static str {
    SET_OPS.iter().find(|(_, known)| *known == op).map_or("", |(text, _)| text)
}

pub(super) fn aggregate(function: AggregateFunction) -> &'static str {
    AGGREGATES.iter().find(|(_, known)| *known == function).map_or("", |(text, _)| text)
}

pub(super) fn over_time(function: OverTime) -> &'static str {
    OVER_TIME.iter().find(|(_, known)| *known == function).map_or("", |(text, _)| text)
}

pub(super) fn intrinsic(intrinsic: Intrinsic) -> &'static str {
    let spellings = INTRINSICS.iter().find(|(known, _)| *known == intrinsic).map(|(_, spellings)| *spellings);
    spellings.and_then(|spellings| spellings.first()).copied().unwrap_or_default()
}

/// The intrinsic of a spelling.
pub(super) fn intrinsic_of(word: &str) -> Option<Intrinsic> {
    INTRINSICS.iter().find(|(_, spellings)| spellings.contains(&word)).map(|(intrinsic, _)| *intrinsic)
}

/// What stands before the colon or the dot.
pub(super) fn scope_of(word: &str) -> Option<Scope> {
    SCOPES.iter().find(|(_, name)| *name == word).map(|(scope, _)| *scope)
}

pub(super) fn scope(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(known, _)| *known == scope).map_or("", |(_, name)| name)
}
