//! Whether a query that reads also means something: types of what is compared, in Tempo's words.

use super::ast::*;
use super::error::ParseError;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Known only when a span is looked at.
    Any,
    Nil,
    Number,
    Str,
    Bool,
    Status,
    Kind,
}

impl Type {
    fn of(value: &Static) -> Self {
        match value {
            Static::Nil => Self::Nil,
            Static::Int(_) | Static::Float(_) | Static::Duration(_) => Self::Number,
            Static::Str(_) => Self::Str,
            Static::Bool(_) => Self::Bool,
            Static::Status(_) => Self::Status,
            Static::Kind(_) => Self::Kind,
        }
    }

    fn of_field(field: &Field) -> Self {
        let Field::Intrinsic(intrinsic) = field else { return Self::Any };
        match intrinsic {
            Intrinsic::Duration
            | Intrinsic::TraceDuration
            | Intrinsic::EventTimeSinceStart
            | Intrinsic::ChildCount
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent => Self::Number,
            Intrinsic::Status => Self::Status,
            Intrinsic::Kind => Self::Kind,
            Intrinsic::Parent => Self::Any,
            _ => Self::Str,
        }
    }

    fn goes_with(self, other: Self) -> bool {
        let free = |t| matches!(t, Self::Any | Self::Nil);
        free(self) || free(other) || self == other
    }

    fn fits(self, op: Operator) -> bool {
        match op {
            Operator::And | Operator::Or => matches!(self, Self::Any | Self::Bool),
            Operator::Match | Operator::NotMatch => matches!(self, Self::Any | Self::Str),
            Operator::Arithmetic(_) => matches!(self, Self::Any | Self::Number),
            Operator::Compare(Comparison::Equal | Comparison::NotEqual) => true,
            Operator::Compare(_) => matches!(self, Self::Any | Self::Number | Self::Str),
        }
    }
}

fn wrong(what: &str, expr: impl std::fmt::Display) -> ParseError {
    ParseError::Meaning(format!("{what}: {expr}"))
}

/// A whole query.
pub(super) fn query(query: &Query) -> Result<(), ParseError> {
    pipeline(&query.pipeline)?;
    if let Some(Metrics { function: MetricsFunction::Compare { selection, .. }, .. }) = &query.metrics {
        filter(selection)?;
    }
    Ok(())
}

fn pipeline(pipeline: &Pipeline) -> Result<(), ParseError> {
    pipeline.0.iter().try_for_each(|stage| match stage {
        Stage::Spans(spans) => self::spans(spans),
        Stage::Filter(filter) => scalar_filter(filter),
        Stage::By(expr) => {
            type_of(expr)?;
            if has_field(expr) {
                Ok(())
            } else {
                Err(wrong("grouping field expressions must reference the span", format!("by({expr})")))
            }
        }
        Stage::Coalesce | Stage::Select(_) => Ok(()),
    })
}

fn spans(spans: &Spans) -> Result<(), ParseError> {
    match spans {
        Spans::Where(expr) => filter(expr),
        Spans::Join(_, left, right) => self::spans(left).and_then(|()| self::spans(right)),
        Spans::Pipeline(inner) => pipeline(inner),
    }
}

fn filter(expr: &Expr) -> Result<(), ParseError> {
    if matches!(type_of(expr)?, Type::Any | Type::Bool) {
        return Ok(());
    }
    Err(wrong("span filter field expressions must resolve to a boolean", format!("{{ {expr} }}")))
}

fn scalar_filter(filter: &ScalarFilter) -> Result<(), ParseError> {
    let (left, right) = (scalar(&filter.left)?, scalar(&filter.right)?);
    let constant = |scalar: &Scalar| matches!(scalar, Scalar::Static(_) | Scalar::Negative(_));
    if constant(&filter.left) && constant(&filter.right) {
        return Err(wrong("scalar filters must reference an aggregate", filter));
    }
    both(Operator::Compare(filter.op), left, right, filter)
}

fn scalar(scalar: &Scalar) -> Result<Type, ParseError> {
    match scalar {
        Scalar::Static(value) | Scalar::Negative(value) => Ok(Type::of(value)),
        Scalar::Aggregate(of) => aggregate(of),
        Scalar::Pipeline(inner, of) => pipeline(inner).and_then(|()| aggregate(of)),
        Scalar::Arithmetic(op, left, right) => {
            let (left, right) = (self::scalar(left)?, self::scalar(right)?);
            both(Operator::Arithmetic(*op), left, right, scalar)?;
            Ok(Type::Number)
        }
    }
}

fn aggregate(aggregate: &Aggregate) -> Result<Type, ParseError> {
    if let Some(expr) = &aggregate.of {
        if !matches!(type_of(expr)?, Type::Any | Type::Number) {
            return Err(wrong("aggregate field expressions must resolve to a number type", aggregate));
        }
        if !has_field(expr) {
            return Err(wrong("aggregate field expressions must reference the span", aggregate));
        }
    }
    Ok(Type::Number)
}

fn has_field(expr: &Expr) -> bool {
    match expr {
        Expr::Static(_) => false,
        Expr::Field(_) => true,
        Expr::Negative(inner) | Expr::Not(inner) => has_field(inner),
        Expr::Binary(_, left, right) => has_field(left) || has_field(right),
    }
}

fn both(op: Operator, left: Type, right: Type, whole: impl std::fmt::Display) -> Result<(), ParseError> {
    if !left.goes_with(right) {
        return Err(wrong("binary operations must operate on the same type", whole));
    }
    if left.fits(op) && right.fits(op) {
        return Ok(());
    }
    Err(wrong("illegal operation for the given types", whole))
}

fn type_of(expr: &Expr) -> Result<Type, ParseError> {
    let unary = |inner: &Expr, wanted: Type| match type_of(inner)? {
        Type::Any => Ok(wanted),
        found if found == wanted => Ok(wanted),
        _ => Err(wrong("illegal operation for the given type", expr)),
    };
    match expr {
        Expr::Static(value) => Ok(Type::of(value)),
        Expr::Field(field) => Ok(Type::of_field(field)),
        Expr::Negative(inner) => unary(inner, Type::Number),
        Expr::Not(inner) => unary(inner, Type::Bool),
        Expr::Binary(op, left, right) => {
            both(*op, type_of(left)?, type_of(right)?, expr)?;
            Ok(if matches!(op, Operator::Arithmetic(_)) { Type::Number } else { Type::Bool })
        }
    }
}
