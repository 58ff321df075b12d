//! Whether what has been read also means something: types of what is compared, in Tempo's words. Each part is looked at when it is
//! read, so that an error can say where it stands.

use super::ast::*;

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
            Static::List(_) => Self::Any,
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

    /// Of an expression whose parts have been looked at.
    fn of_expr(expr: &Expr) -> Self {
        match expr {
            Expr::Static(value) => Self::of(value),
            Expr::Field(field) => Self::of_field(field),
            Expr::Negative(_) | Expr::Binary(Operator::Arithmetic(_), ..) => Self::Number,
            Expr::Not(_) | Expr::Binary(..) => Self::Bool,
        }
    }

    fn of_scalar(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Static(value) | Scalar::Negative(value) => Self::of(value),
            Scalar::Aggregate(_) | Scalar::Pipeline(..) | Scalar::Arithmetic(..) => Self::Number,
        }
    }

    fn goes_with(self, other: Self) -> bool {
        let free = |t| matches!(t, Self::Any | Self::Nil);
        free(self) || free(other) || self == other
    }

    /// As errors name it.
    fn told(self) -> &'static str {
        match self {
            Self::Any => "an attribute",
            Self::Nil => "nil",
            Self::Number => "a number or a duration",
            Self::Str => "a text in quotes",
            Self::Bool => "a boolean",
            Self::Status => "a status such as `error`",
            Self::Kind => "a kind such as `server`",
        }
    }
}

/// Whether an operator takes operands of a type, and what it takes.
fn takes(op: Operator, operand: Type) -> Result<(), &'static str> {
    let (fits, expected) = match op {
        Operator::And | Operator::Or => (matches!(operand, Type::Any | Type::Bool), "booleans"),
        Operator::Match | Operator::NotMatch => (matches!(operand, Type::Any | Type::Str), "texts"),
        Operator::Arithmetic(_) => (matches!(operand, Type::Any | Type::Number), "numbers"),
        Operator::Compare(Comparison::Equal | Comparison::NotEqual) => (true, ""),
        Operator::Compare(_) => {
            (matches!(operand, Type::Any | Type::Number | Type::Str), "numbers or texts beside this operator")
        }
    };
    if fits { Ok(()) } else { Err(expected) }
}

/// What is wrong, where, what would be right and what is there.
fn wrong(what: &str, whole: impl std::fmt::Display, expected: &str, came: &str) -> String {
    format!("{what}: {whole}: expecting {expected}, got {came}")
}

fn both(op: Operator, left: Type, right: Type, whole: impl std::fmt::Display) -> Result<(), String> {
    if !left.goes_with(right) {
        return Err(wrong(
            "binary operations must operate on the same type",
            whole,
            left.told(),
            right.told(),
        ));
    }
    for operand in [left, right] {
        if let Err(expected) = takes(op, operand) {
            return Err(wrong("illegal operation for the given types", whole, expected, operand.told()));
        }
    }
    Ok(())
}

/// `-x`, `!x` or `x op y`.
pub(super) fn operation(expr: &Expr) -> Result<(), String> {
    let unary = |inner: &Expr, wanted: Type| match Type::of_expr(inner) {
        found if found == Type::Any || found == wanted => Ok(()),
        found => Err(wrong("illegal operation for the given type", expr, wanted.told(), found.told())),
    };
    match expr {
        Expr::Static(_) | Expr::Field(_) => Ok(()),
        Expr::Negative(inner) => unary(inner, Type::Number),
        Expr::Not(inner) => unary(inner, Type::Bool),
        Expr::Binary(op, left, right) => both(*op, Type::of_expr(left), Type::of_expr(right), expr),
    }
}

/// What stands in `{ }`.
pub(super) fn filter(expr: &Expr) -> Result<(), String> {
    match Type::of_expr(expr) {
        Type::Any | Type::Bool => Ok(()),
        found => {
            let what = "span filter field expressions must resolve to a boolean";
            Err(wrong(what, format!("{{ {expr} }}"), "a comparison or a boolean", found.told()))
        }
    }
}

/// What `by` groups by.
pub(super) fn grouping(expr: &Expr) -> Result<(), String> {
    if has_field(expr) {
        return Ok(());
    }
    let what = "grouping field expressions must reference the span";
    Err(wrong(what, format!("by({expr})"), "an attribute or an intrinsic", "a constant"))
}

/// `count() > 2`
pub(super) fn scalar_filter(filter: &ScalarFilter) -> Result<(), String> {
    let constant = |scalar: &Scalar| matches!(scalar, Scalar::Static(_) | Scalar::Negative(_));
    if constant(&filter.left) && constant(&filter.right) {
        let what = "scalar filters must reference an aggregate";
        return Err(wrong(what, filter, "an aggregate such as `count()`", "two constants"));
    }
    let (left, right) = (Type::of_scalar(&filter.left), Type::of_scalar(&filter.right));
    both(Operator::Compare(filter.op), left, right, filter)
}

/// `count() + 1`
pub(super) fn scalar(scalar: &Scalar) -> Result<(), String> {
    let Scalar::Arithmetic(op, left, right) = scalar else { return Ok(()) };
    both(Operator::Arithmetic(*op), Type::of_scalar(left), Type::of_scalar(right), scalar)
}

/// `avg(duration)`
pub(super) fn aggregate(aggregate: &Aggregate) -> Result<(), String> {
    let Some(expr) = &aggregate.of else { return Ok(()) };
    let found = Type::of_expr(expr);
    if !matches!(found, Type::Any | Type::Number) {
        let what = "aggregate field expressions must resolve to a number type";
        return Err(wrong(what, aggregate, Type::Number.told(), found.told()));
    }
    if !has_field(expr) {
        let what = "aggregate field expressions must reference the span";
        return Err(wrong(what, aggregate, "an attribute or an intrinsic", "a constant"));
    }
    Ok(())
}

fn has_field(expr: &Expr) -> bool {
    match expr {
        Expr::Static(_) => false,
        Expr::Field(_) => true,
        Expr::Negative(inner) | Expr::Not(inner) => has_field(inner),
        Expr::Binary(_, left, right) => has_field(left) || has_field(right),
    }
}
