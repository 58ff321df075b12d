//! The order of findings: what is sure and large enough, by what it says of a cause.

use rustc_hash::FxHashSet;

use super::answer::{Detail, Finding, FindingKind, Significance};
use super::repeats::folded;
use super::sets::Candidate;
use crate::analysis::options::{MIN_EFFECT, SIGNIFICANCE};
use crate::analysis::stats::corrected;
use crate::analysis::vocabulary::AttributeScope;

/// Of all that was tested, what is sure and large enough, what matters most first; what tells the same again is told with it.
pub(crate) fn ranked(candidates: Vec<Candidate>) -> Vec<Finding> {
    let worth = corrected_by_family(&candidates);
    let mut findings: Vec<Finding> = candidates
        .into_iter()
        .zip(worth)
        .filter(|(candidate, p)| *p <= SIGNIFICANCE && candidate.tested.effect.abs() >= MIN_EFFECT)
        .map(|(Candidate { finding, tested, .. }, p)| {
            // Errors are tested among the traces that reach where they begin, and told of all.
            let effect = match finding.kind {
                FindingKind::Errors => finding.a - finding.b,
                _ => tested.effect,
            };
            let significance = Some(Significance { p, effect, test: tested.test });
            Finding { significance, ..finding }
        })
        .collect();
    let p = |finding: &Finding| finding.significance.map_or(1.0, |significance| significance.p);
    findings.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score).then(p(one).total_cmp(&p(other)));
        by_score
            .then(one.kind.cmp(&other.kind))
            .then_with(|| one.operation.cmp(&other.operation))
            .then_with(|| key_of(one).cmp(key_of(other)))
            // Of values that took each other's place, what the first side has: it is the one that is asked about.
            .then_with(|| (other.a - other.b).total_cmp(&(one.a - one.b)))
            .then_with(|| text_of(one).cmp(&text_of(other)))
    });
    let mut told = FxHashSet::default();
    findings.retain(|finding| match &finding.detail {
        Detail::Attribute { key, value, .. } => told.insert((key.clone(), value.clone())),
        Detail::Pattern(pattern) => told.insert((finding.operation.service.clone(), pattern.clone())),
        _ => true,
    });
    folded(findings)
}

/// Corrected for how much was tested of the same family. Where things run and what they use nearly always differs, and the more true
/// differences there are, the more wrong ones the correction lets pass beside them: they are none of what the traces do.
fn corrected_by_family(candidates: &[Candidate]) -> Vec<f64> {
    let of_places = |candidate: &Candidate| {
        let scope = match &candidate.finding.detail {
            Detail::Attribute { scope, .. } => Some(*scope),
            _ => None,
        };
        candidate.finding.kind == FindingKind::Metric || scope == Some(AttributeScope::Resource)
    };
    let mut worth = vec![1.0; candidates.len()];
    for family in [false, true] {
        let members: Vec<usize> = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| of_places(candidate) == family)
            .map(|(place, _)| place)
            .collect();
        let p = |place: &usize| candidates.get(*place).map_or(1.0, |candidate| candidate.tested.p);
        let own = corrected(&members.iter().map(p).collect::<Vec<_>>());
        for (place, p) in members.into_iter().zip(own) {
            if let Some(slot) = worth.get_mut(place) {
                *slot = p;
            }
        }
    }
    worth
}

fn key_of(finding: &Finding) -> &str {
    match &finding.detail {
        Detail::Attribute { key, .. } => key,
        _ => "",
    }
}

/// Tells findings of one kind and operation apart, the same whichever side is first.
fn text_of(finding: &Finding) -> (String, String) {
    match &finding.detail {
        Detail::Attribute { key, value, .. } => (key.clone(), value.clone()),
        Detail::Pattern(pattern) => (pattern.clone(), String::new()),
        Detail::Caller(Some(caller)) => (caller.service.clone(), caller.operation.clone()),
        Detail::Metric { name, .. } => (name.clone(), String::new()),
        Detail::None | Detail::Times { .. } | Detail::Caller(None) => Default::default(),
    }
}
