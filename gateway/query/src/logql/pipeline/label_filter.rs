//! Whether a row's labels are as a filter says.

use std::net::IpAddr;

use parsers::record::TraceId;

use crate::logql::syntax::{Comparison, LabelFilter, LabelMatcher, Quantity, TextTest, bytes, duration};

use super::line_filter::holds;
use super::row::Row;

/// What a filter of numbers says of a label that is none.
pub(super) const LABEL_FILTER_ERROR: &str = "LabelFilterErr";

impl TextTest {
    pub(super) fn passes(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => is_same(value, wanted),
            Self::NotEqual(wanted) => !is_same(value, wanted),
            Self::Matches(expression) => expression.regex.is_match(value),
            Self::NotMatches(expression) => !expression.regex.is_match(value),
        }
    }
}

/// Whether two texts are one. Of most lines one asks whether something is empty: for that, no bytes are looked at, which costs a
/// tenth of a scan where the processor must find out that there are none (a masked load from where nothing is).
fn is_same(value: &str, wanted: &str) -> bool {
    value.len() == wanted.len() && (wanted.is_empty() || value == wanted)
}

/// Rows with an error pass filters of numbers and addresses, so that the error is seen; only filters of texts, such as
/// `__error__=""`, take them out.
pub(super) fn passes(filter: &LabelFilter, row: &mut Row<'_>) -> bool {
    match filter {
        LabelFilter::And(left, right) => passes(left, row) && passes(right, row),
        LabelFilter::Or(left, right) => passes(left, row) || passes(right, row),
        LabelFilter::Text(matcher) => text(matcher, row),
        LabelFilter::Number { name, op, value } => number(name, *op, *value, row),
        LabelFilter::Ip { name, negate, range } => {
            if row.error().is_some() {
                return true;
            }
            let Some(value) = row.get(name) else { return false };
            match value.trim().parse::<IpAddr>() {
                Ok(address) => holds(range, address) != *negate,
                Err(_) => *negate,
            }
        }
    }
}

fn text(matcher: &LabelMatcher, row: &Row<'_>) -> bool {
    // One id has many spellings; each of them finds it.
    if matcher.name == "trace_id"
        && let TextTest::Equal(value) | TextTest::NotEqual(value) = &matcher.test
        && let (Some(id), Ok(asked)) = (row.trace(), TraceId::from_spelling(value.as_bytes()))
    {
        return id.matches(asked).is_some() == matches!(matcher.test, TextTest::Equal(_));
    }
    matcher.test.passes(row.get(&matcher.name).unwrap_or_default())
}

fn number(name: &str, op: Comparison, wanted: Quantity, row: &mut Row<'_>) -> bool {
    if row.error().is_some() {
        return true;
    }
    let Some(value) = row.get(name) else { return false };
    let (number, wanted, kind) = match wanted {
        Quantity::Number(wanted) => (value.parse().ok(), wanted, "a number"),
        Quantity::Duration(wanted) => (duration(value), wanted, "a duration"),
        Quantity::Bytes(wanted) => (bytes(value, true), wanted, "a size in bytes"),
    };
    match number {
        Some(number) => op.holds(number, wanted),
        None => {
            let details = format!("{name}={value:?} is not {kind}");
            row.room().fail(LABEL_FILTER_ERROR, details);
            true
        }
    }
}
