//! Findings that tell what another tells already: a value beside the one that took its place, another attribute with the same shares, a
//! second metric that counts the same.

use super::answer::{Detail, Finding, FindingKind, Unit};

/// How far apart shares of metrics may be that count the same, as they are told in tenths of a percent.
const SAME_SHARE: f64 = 0.001;
/// How far apart rates may be that count the same, as a part of them: they are read at times of their own.
const SAME_RATE: f64 = 0.01;
/// Shares of traces that are equal but for rounding.
const EQUAL: f64 = 1e-9;
/// What is named beside a finding at most.
const MAX_ALSO: usize = 8;

/// Puts each finding that repeats an earlier one into that.
pub(super) fn folded(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.iter_mut().find(|earlier| repeats(&finding, earlier)) {
            Some(earlier) if earlier.also.len() < MAX_ALSO => earlier.also.push(finding.what),
            Some(_) => {}
            None => kept.push(finding),
        }
    }
    kept
}

fn repeats(one: &Finding, earlier: &Finding) -> bool {
    if (one.kind, one.unit) != (earlier.kind, earlier.unit) || one.operation != earlier.operation {
        return false;
    }
    let near = |a: f64, b: f64, most: f64| (a - b).abs() <= most;
    let same = |most: f64| near(one.a, earlier.a, most) && near(one.b, earlier.b, most);
    let rest = |most: f64| near(one.a + earlier.a, 1.0, most) && near(one.b + earlier.b, 1.0, most);
    match (&one.detail, &earlier.detail, one.unit) {
        (Detail::Attribute { scope, key, .. }, Detail::Attribute { scope: of, key: other, .. }, _) => {
            scope == of && if key == other { rest(EQUAL) } else { same(EQUAL) }
        }
        (Detail::Metric { .. }, Detail::Metric { .. }, Unit::Share) => rest(SAME_SHARE) || same(SAME_SHARE),
        (Detail::Metric { name, .. }, Detail::Metric { name: other, .. }, Unit::Metric) => {
            let most = SAME_RATE * earlier.a.abs().max(earlier.b.abs());
            let counts = |name: &str| name.ends_with("_total") || name.ends_with("_count");
            one.kind == FindingKind::Metric && counts(name) && counts(other) && same(most)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
