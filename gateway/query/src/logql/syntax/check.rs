//! What the grammar lets through but has no meaning.

use super::ast::*;

/// A selector must name at least one label so that an absent one does not match: else it is all there is.
pub(super) fn selector(matchers: &[LabelMatcher]) -> Result<(), String> {
    let narrows = |matcher: &LabelMatcher| match &matcher.test {
        TextTest::Equal(value) => !value.is_empty(),
        TextTest::NotEqual(value) => value.is_empty(),
        TextTest::Matches(expression) => !expression.regex.is_match(""),
        TextTest::NotMatches(expression) => expression.regex.is_match(""),
    };
    if matchers.iter().any(narrows) {
        return Ok(());
    }
    Err("queries require at least one regexp or equality matcher that does not have an empty-compatible value. For \
         instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will"
        .to_owned())
}

/// Which aggregations go with `unwrap`, a grouping and a parameter.
pub(super) fn range(range: &RangeAggregation) -> Result<(), String> {
    let name = range.op.spelling();
    let (with, without) = match range.op {
        RangeOp::Count | RangeOp::Bytes | RangeOp::BytesRate => (false, true),
        RangeOp::Rate | RangeOp::Absent => (true, true),
        _ => (true, false),
    };
    if range.unwrap.is_some() && !with {
        return Err(format!("invalid aggregation {name} with unwrap"));
    }
    if range.unwrap.is_none() && !without {
        return Err(format!("invalid aggregation {name} without unwrap"));
    }
    let groups = matches!(
        range.op,
        RangeOp::Avg
            | RangeOp::Max
            | RangeOp::Min
            | RangeOp::StdDev
            | RangeOp::StdVar
            | RangeOp::Quantile
            | RangeOp::First
            | RangeOp::Last
    );
    if range.grouping.is_some() && !groups {
        return Err(format!("grouping not allowed for {name} aggregation"));
    }
    match (range.op == RangeOp::Quantile, range.parameter.is_some()) {
        (true, false) => Err(format!("parameter required for operation {name}")),
        (false, true) => Err(format!("parameter not supported for operation {name}")),
        _ => Ok(()),
    }
}

/// Which aggregations take a parameter and a grouping.
pub(super) fn vector(vector: &VectorAggregation) -> Result<(), String> {
    let name = vector.op.spelling();
    match (vector.op.ranks(), vector.parameter) {
        (true, None) => return Err(format!("parameter required for operation {name}")),
        (true, Some(0)) => return Err(format!("invalid parameter (must be greater than 0) {name}(0")),
        (false, Some(parameter)) => {
            return Err(format!("unsupported parameter for operation {name}({parameter},"));
        }
        _ => {}
    }
    let ungrouped = matches!(vector.op, VectorOp::Sort | VectorOp::SortDesc | VectorOp::ApproxTopK);
    if ungrouped && vector.grouping.is_some() {
        return Err(format!("grouping not allowed for {name} aggregation"));
    }
    Ok(())
}

/// What may stand on the sides of an operator.
pub(super) fn binary(binary: &Binary) -> Result<(), String> {
    let op = binary.op.spelling();
    for (node, side) in [(&binary.left, "left"), (&binary.right, "right")] {
        match node {
            Node::Log(_) => {
                return Err(format!(
                    "unexpected type for {side} leg of binary operation ({op}): lines, expecting a metric query or a number"
                ));
            }
            Node::Number(value) if binary.op.is_of_sets() => {
                return Err(format!(
                    "unexpected literal for {side} leg of logical/set binary operation ({op}): {value}"
                ));
            }
            _ => {}
        }
    }
    if binary.op.is_of_sets() && binary.matching.as_ref().is_some_and(|matching| matching.group.is_some()) {
        return Err(format!("no grouping allowed for {op} operation"));
    }
    if binary.returns_bool && !matches!(binary.op, BinaryOp::Compare(_)) {
        return Err(format!("bool modifier can only be used on comparison operators, not on {op}"));
    }
    let Some(Matching { on: true, names, group: Some(group) }) = &binary.matching else { return Ok(()) };
    match group.include.iter().find(|label| names.contains(label)) {
        Some(label) => Err(format!("label {label:?} must not occur in ON and GROUP clause at once")),
        None => Ok(()),
    }
}
