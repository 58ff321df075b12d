//! How the elements of two vectors find each other: groups by the labels that must agree, found once for all steps.

use std::collections::HashMap;
use std::sync::Arc;

use parsers::record::Labels;

use super::value::{Column, Frame};
use super::{Evaluator, PromError};
use crate::promql::ast::{Binary, Card, Matching, Op, Span};
use crate::promql::labels::{NAME, only, show};

/// Numbers of the columns on both sides that have the same labels where they must.
#[derive(Debug, Default)]
struct Group {
    left: Vec<usize>,
    right: Vec<usize>,
}

fn key(labels: &Labels, matching: &Matching) -> Labels {
    if matching.on {
        only(labels, &matching.labels)
    } else {
        labels.filtered(|name| name != NAME && matching.labels.iter().all(|ignored| ignored != name))
    }
}

fn groups(left: &Frame, right: &Frame, matching: &Matching) -> Vec<(Labels, Group)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Group)> = Vec::new();
    for (is_left, frame) in [(true, left), (false, right)] {
        for (number, column) in frame.columns.iter().enumerate() {
            let key = key(&column.labels, matching);
            let place = *places.entry(key.clone()).or_insert(groups.len());
            if place == groups.len() {
                groups.push((key, Group::default()));
            }
            if let Some((_, group)) = groups.get_mut(place) {
                (if is_left { &mut group.left } else { &mut group.right }).push(number);
            }
        }
    }
    groups
}

fn there<'a>(frame: &'a Frame, numbers: &'a [usize], step: usize) -> impl Iterator<Item = &'a Column> {
    let columns = numbers.iter().filter_map(|number| frame.columns.get(*number));
    columns.filter(move |column| column.at(step).is_some())
}

impl Evaluator<'_> {
    pub(super) fn match_vectors(
        &self,
        binary: &Binary,
        left: Frame,
        right: Frame,
        span: Span,
    ) -> Result<Frame, PromError> {
        if binary.op.is_set() {
            return self.set(binary, left, right);
        }
        let matching = &binary.matching;
        let swapped = matching.card == Card::OneToMany;
        // The side that may have many elements in a group, and the other.
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let charge = self.shared.budget.charge((many.columns.len() * self.steps.count) as u64)?;
        // With nothing on one side, Prometheus does not look at the other.
        let filled = |frame: &Frame, step: usize| frame.columns.iter().any(|c| c.at(step).is_some());
        let asked: Vec<bool> =
            (0..self.steps.count).map(|step| filled(&many, step) && filled(&one, step)).collect();
        let mut columns = Vec::new();
        for (key, group) in groups(&many, &one, matching) {
            self.shared.budget.check_time()?;
            let found = Pairing { evaluator: self, binary, many: &many, one: &one, asked: &asked, swapped };
            let of_group = found.group(&key, &group, span)?;
            columns.extend(of_group.columns);
        }
        Frame { columns, charge: Some(charge) }.merged()
    }

    /// `and`, `or` and `unless`.
    fn set(&self, binary: &Binary, mut left: Frame, mut right: Frame) -> Result<Frame, PromError> {
        let count = self.steps.count;
        for (_, group) in groups(&left, &right, &binary.matching) {
            let filled = |frame: &Frame, numbers: &[usize]| -> Vec<bool> {
                (0..count).map(|step| there(frame, numbers, step).next().is_some()).collect()
            };
            // `or` takes from the right what the left has not; the others take from the left.
            let (frame, numbers, others) = if binary.op == Op::Or {
                let others = filled(&left, &group.left);
                (&mut right, &group.right, others)
            } else {
                let others = filled(&right, &group.right);
                (&mut left, &group.left, others)
            };
            let keeps = binary.op == Op::And;
            for number in numbers {
                let Some(column) = frame.columns.get_mut(*number) else { continue };
                for (point, other) in column.points.iter_mut().zip(&others) {
                    if *other != keeps {
                        *point = None;
                    }
                }
            }
        }
        if binary.op != Op::Or {
            return left.merged();
        }
        let charge =
            self.shared.budget.charge(((left.columns.len() + right.columns.len()) * count) as u64)?;
        let columns = left.columns.into_iter().chain(right.columns).collect();
        Frame { columns, charge: Some(charge) }.merged()
    }
}

/// Both sides of an operator.
struct Pairing<'a, 'b> {
    evaluator: &'a Evaluator<'b>,
    binary: &'a Binary,
    many: &'a Frame,
    one: &'a Frame,
    /// Steps at which both sides have something.
    asked: &'a [bool],
    swapped: bool,
}

impl Pairing<'_, '_> {
    fn group(&self, key: &Labels, group: &Group, span: Span) -> Result<Frame, PromError> {
        let one_to_one = self.binary.matching.card == Card::OneToOne;
        // For each step the one element of the one side.
        let mut partners: Vec<Option<&Column>> = Vec::with_capacity(self.asked.len());
        for (step, asked) in self.asked.iter().enumerate() {
            let mut candidates = there(self.one, &group.right, step);
            let partner = candidates.next();
            if let (true, Some(first), Some(second)) = (asked, partner, candidates.next()) {
                let side = if self.swapped { "left" } else { "right" };
                let (key, first, second) = (show(key), show(&first.labels), show(&second.labels));
                return Err(PromError::Execution(format!(
                    "found duplicate series for the match group {key} on the {side} hand-side of the \
                     operation: [{second}, {first}];many-to-many matching not allowed: matching labels must \
                     be unique on one side"
                )));
            }
            partners.push(partner);
        }
        let mut columns: Vec<Column> = Vec::new();
        let mut taken = vec![false; self.asked.len()];
        for number in &group.left {
            let Some(column) = self.many.columns.get(*number) else { continue };
            // Series of the one side may follow one another in time; each gives labels of its own.
            let mut by_labels: HashMap<Arc<Labels>, usize> = HashMap::new();
            let mut last: Option<(*const Column, usize)> = None;
            for (step, partner) in partners.iter().enumerate() {
                let (Some(value), Some(partner)) = (column.at(step), *partner) else { continue };
                let Some(other) = partner.at(step) else { continue };
                let (left, right) = if self.swapped { (other, value) } else { (value, other) };
                let Some(result) = self.evaluator.element(self.binary, left, right, left, span) else {
                    continue;
                };
                if let Some(taken) = taken.get_mut(step).filter(|_| one_to_one) {
                    if *taken {
                        return Err(PromError::execution(
                            "multiple matches for labels: many-to-one matching must be explicit \
                             (group_left/group_right)",
                        ));
                    }
                    *taken = true;
                }
                let place = match last {
                    Some((known, place)) if std::ptr::eq(known, partner) => place,
                    _ => {
                        let labels = Arc::new(self.labels(&column.labels, &partner.labels));
                        let place = *by_labels.entry(Arc::clone(&labels)).or_insert(columns.len());
                        if place == columns.len() {
                            columns.push(Column { labels, points: vec![None; self.asked.len()] });
                        }
                        place
                    }
                };
                last = Some((partner, place));
                if let Some(point) = columns.get_mut(place).and_then(|c| c.points.get_mut(step)) {
                    *point = Some(result);
                }
            }
        }
        Frame { columns, charge: None }
            .merged_or("multiple matches for labels: grouping labels must ensure unique matches")
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let drops_name = !self.binary.op.is_comparison() || self.binary.return_bool;
        let kept = many.filtered(|name| {
            let matched = matching.labels.iter().any(|label| label == name);
            let fits = matching.card != Card::OneToOne || matched == matching.on;
            fits && !(drops_name && name == NAME)
        });
        let included =
            |labels: Labels, name: &String| labels.with(name.as_str(), one.get(name).unwrap_or_default());
        matching.include.iter().fold(kept, included)
    }
}
