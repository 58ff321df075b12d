//! The check of types: what may stand where.

use super::{Parsed, fault};
use crate::promql::ast::{AggregateOp, Node, NodeKind, Span, ValueType};
use crate::promql::functions::Optional;

fn expect(node: &Node, expected: ValueType, context: &str) -> Parsed<()> {
    check(node)?;
    let got = node.value_type();
    if got == expected {
        return Ok(());
    }
    fault(node.span, format!("expected type {} in {context}, got {}", expected.describe(), got.describe()))
}

/// Whether a sign may stand before it.
pub(super) fn signed(inner: &Node, span: Span) -> Parsed<()> {
    match inner.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => fault(
            span,
            format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                other.describe()
            ),
        ),
    }
}

/// Checks a node and all below it.
pub(super) fn check(node: &Node) -> Parsed<()> {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Vector(_) | NodeKind::Matrix { .. } => Ok(()),
        NodeKind::Paren(inner) => check(inner),
        NodeKind::Unary(inner) => {
            check(inner)?;
            signed(inner, node.span)
        }
        NodeKind::Subquery(subquery) => check(&subquery.inner),
        NodeKind::Aggregate(aggregate) => {
            expect(&aggregate.inner, ValueType::Vector, "aggregation expression")?;
            let Some(parameter) = &aggregate.parameter else { return Ok(()) };
            let expected =
                if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
            expect(parameter, expected, "aggregation parameter")
        }
        NodeKind::Binary(binary) => {
            check(&binary.left)?;
            check(&binary.right)?;
            let (left, right) = (binary.left.value_type(), binary.right.value_type());
            for (side, found) in [(&binary.left, left), (&binary.right, right)] {
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    return fault(
                        side.span,
                        "binary expression must contain only scalar and instant vector types",
                    );
                }
            }
            let scalars = (left == ValueType::Scalar, right == ValueType::Scalar);
            if binary.op.is_comparison() && !binary.return_bool && scalars == (true, true) {
                return fault(binary.op_span, "comparisons between scalars must use BOOL modifier");
            }
            if scalars != (false, false) {
                if binary.matching.given && !binary.matching.labels.is_empty() {
                    return fault(node.span, "vector matching only allowed between instant vectors");
                }
                if binary.op.is_set() {
                    let op = binary.op.symbol();
                    return fault(
                        node.span,
                        format!("set operator {op:?} not allowed in binary scalar expression"),
                    );
                }
            }
            Ok(())
        }
        NodeKind::Call { function, arguments } => {
            let (given, listed) = (arguments.len(), function.arguments.len());
            let context = format!("call to function {:?}", function.name);
            let wrong = match function.optional {
                Optional::None if given != listed => Some(("", listed)),
                Optional::Last if given + 1 < listed => Some(("at least ", listed - 1)),
                Optional::Many if given + 1 < listed => Some(("at least ", listed - 1)),
                Optional::Last if given > listed => Some(("at most ", listed)),
                _ => None,
            };
            if let Some((bound, expected)) = wrong {
                return fault(
                    node.span,
                    format!("expected {bound}{expected} argument(s) in {context}, got {given}"),
                )
                .map_err(|mut fault| {
                    // Prometheus names the function once.
                    fault.detail = fault.detail.replace("call to function", "call to");
                    fault
                });
            }
            for (at, argument) in arguments.iter().enumerate() {
                let Some(expected) = function.arguments.get(at).or(function.arguments.last()) else {
                    continue;
                };
                expect(argument, *expected, &context)?;
            }
            Ok(())
        }
    }
}
