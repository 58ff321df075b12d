//! A query as text again: what is written reads back as the same query.

use std::fmt::{self, Display, Formatter};

use super::ast::*;
use super::duration::written;
use super::{lexer, names};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pipeline)?;
        if let Some(metrics) = &self.metrics {
            write!(f, " | {metrics}")?;
        }
        if !self.hints.is_empty() {
            f.write_str(" with(")?;
            for (i, (name, value)) in self.hints.iter().enumerate() {
                write!(f, "{}{name}={value}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Writes these with something between.
fn list<T: Display>(f: &mut Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { between })?;
    }
    Ok(())
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        list(f, &self.0, " | ")
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spans(spans) => write!(f, "{spans}"),
            Self::Filter(filter) => write!(f, "{filter}"),
            Self::By(expr) => write!(f, "by({expr})"),
            Self::Coalesce => f.write_str("coalesce()"),
            Self::Select(fields) => {
                f.write_str("select(")?;
                list(f, fields, ", ")?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Spans {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Where(expr) => write!(f, "{{ {expr} }}"),
            Self::Join(op, left, right) => {
                write!(f, "{} {} {}", Nested(&**left), names::set_op(*op), Nested(&**right))
            }
            Self::Pipeline(pipeline) => write!(f, "({pipeline})"),
        }
    }
}

/// In brackets where it holds an operator.
struct Nested<'a, T>(&'a T);

impl Display for Nested<'_, Spans> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Spans::Join(..)) { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

impl Display for Nested<'_, Scalar> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let compound = matches!(self.0, Scalar::Arithmetic(..) | Scalar::Negative(_));
        if compound { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

impl Display for Nested<'_, Expr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let simple = matches!(self.0, Expr::Static(_) | Expr::Field(_));
        if simple { write!(f, "{}", self.0) } else { write!(f, "({})", self.0) }
    }
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Nested(&self.left), names::comparison(self.op), Nested(&self.right))
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Negative(value) => write!(f, "-{value}"),
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
            Self::Arithmetic(op, left, right) => {
                write!(f, "{} {} {}", Nested(&**left), names::arithmetic(*op), Nested(&**right))
            }
            Self::Pipeline(pipeline, aggregate) => write!(f, "({pipeline} | {aggregate})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(names::aggregate(self.function))?;
        match &self.of {
            Some(expr) => write!(f, "({expr})"),
            None => f.write_str("()"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Field(field) => write!(f, "{field}"),
            Self::Negative(inner) => write!(f, "-{}", Nested(&**inner)),
            Self::Not(inner) => write!(f, "!{}", Nested(&**inner)),
            Self::Binary(op, left, right) => {
                write!(f, "{} {} {}", Nested(&**left), names::operator(*op), Nested(&**right))
            }
        }
    }
}

impl Display for Static {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Int(number) => write!(f, "{number}"),
            // With a point or an exponent, so that it reads back as one.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Str(text) => write!(f, "{}", Quoted(text)),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Duration(nanos) => f.write_str(&written(*nanos)),
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::List(items) => {
                f.write_str("[")?;
                list(f, items, ", ")?;
                f.write_str("]")
            }
        }
    }
}

/// A text in quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (scope, parent, name) = match self {
            Self::Intrinsic(intrinsic) => return f.write_str(names::intrinsic(*intrinsic)),
            Self::Attribute { scope, parent, name } => (*scope, *parent, name),
        };
        if parent {
            f.write_str("parent")?;
            if scope != Scope::Any {
                f.write_str(".")?;
            }
        }
        write!(f, "{}.", names::scope(scope))?;
        if lexer::is_plain_name(name, parent && scope == Scope::Any) {
            f.write_str(name)
        } else {
            // Only these two are escaped in names.
            write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        if !self.by.is_empty() {
            f.write_str(" by(")?;
            list(f, &self.by, ", ")?;
            f.write_str(")")?;
        }
        self.then.iter().try_for_each(|stage| write!(f, "{stage}"))
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate()"),
            Self::CountOverTime => f.write_str("count_over_time()"),
            Self::OverTime(function, field) => write!(f, "{}({field})", names::over_time(*function)),
            Self::Quantile(field, quantiles) => {
                write!(f, "quantile_over_time({field}")?;
                quantiles.iter().try_for_each(|q| write!(f, ", {q:?}"))?;
                f.write_str(")")
            }
            Self::Histogram(field) => write!(f, "histogram_over_time({field})"),
            Self::Compare { selection, top, window } => {
                write!(f, "compare({{ {selection} }}, {top}")?;
                if let Some((start, end)) = window {
                    write!(f, ", {start}, {end}")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Display for SecondStage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopK(k) => write!(f, " | topk({k})"),
            Self::BottomK(k) => write!(f, " | bottomk({k})"),
            Self::Compare(op, bound) => write!(f, " {} {bound:?}", names::comparison(*op)),
        }
    }
}
