//! `compare()`: how often each value of each attribute occurs in the selected spans, and in the others.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use store::read::ValueView;

use super::super::ast::{Field, Intrinsic, Scope, Static};
use super::super::expression::{At, Node, field_value};
use super::super::value::Val;
use super::{Counting, Intervals, Series};
use crate::allowance::Counter;
use crate::{Allowance, QueryError};

/// Values of an attribute that are counted: one of them has more when each span has its own.
const MAX_VALUES: usize = 1_000;
/// Attributes that are counted.
const MAX_ATTRIBUTES: usize = 1_000;

/// Intrinsics that are compared as attributes are.
const COMPARED: [Intrinsic; 6] = [
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::RootName,
    Intrinsic::RootService,
];

/// Bytes of a count of an interval, in a list that has grown.
const COUNT: u64 = 16;
/// Counts that a value takes as much as, its text not counted.
const VALUE: u64 = 12;

/// Counts of spans in those intervals that have some, in order: most values have few.
#[derive(Default)]
struct Counts(Vec<(u32, u32)>);

impl Counts {
    /// Whether the interval is new.
    fn add(&mut self, interval: usize) -> bool {
        let interval = interval as u32;
        let found = self.0.binary_search_by_key(&interval, |(interval, _)| *interval);
        match found {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|(_, count)| *count += 1),
            Err(place) => self.0.insert(place, (interval, 1)),
        }
        found.is_err()
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// At each interval.
    fn samples(&self, intervals: Intervals) -> Vec<(u64, f64)> {
        let mut samples: Vec<(u64, f64)> = (0..intervals.count).map(|i| (intervals.time(i), 0.0)).collect();
        for (interval, count) in &self.0 {
            if let Some((_, value)) = samples.get_mut(*interval as usize) {
                *value = f64::from(*count);
            }
        }
        samples
    }
}

/// What is known of one attribute in one of the two groups.
#[derive(Default)]
struct Values {
    /// By the value's text and type.
    counts: FxHashMap<(String, u8), (Static, Counts)>,
    total: Counts,
    too_many: bool,
}

pub(super) struct Comparing<'a> {
    selection: Node,
    window: Option<(u64, u64)>,
    top: usize,
    intervals: Intervals,
    /// Of the others, and of the selected.
    groups: [BTreeMap<String, Values>; 2],
    allowance: &'a Allowance,
    kept: Counter,
}

impl<'a> Comparing<'a> {
    pub(super) fn new(
        selection: Node,
        window: Option<(u64, u64)>,
        top: usize,
        intervals: Intervals,
        allowance: &'a Allowance,
    ) -> Self {
        let kept = allowance.counter(COUNT);
        Self { selection, window, top, intervals, groups: Default::default(), allowance, kept }
    }

    fn count(
        &mut self,
        selected: bool,
        interval: usize,
        name: String,
        value: &Val<'_>,
    ) -> Result<(), QueryError> {
        let Some(group) = self.groups.get_mut(usize::from(selected)) else { return Ok(()) };
        if group.len() >= MAX_ATTRIBUTES && !group.contains_key(&name) {
            return Ok(());
        }
        let values = group.entry(name).or_default();
        let mut new = u64::from(values.total.add(interval));
        let value = value.to_static();
        let key = (value.to_string(), kind(&value));
        if values.counts.len() >= MAX_VALUES && !values.counts.contains_key(&key) {
            values.too_many = true;
            return Ok(self.kept.add(new)?);
        }
        let text = key.0.len() as u64;
        let (_, counts) = values.counts.entry(key).or_insert_with(|| {
            new += VALUE + 2 * text / COUNT;
            (value, Counts::default())
        });
        new += u64::from(counts.add(interval));
        Ok(self.kept.add(new)?)
    }

    /// Each attribute's most frequent values, then its totals.
    pub(super) fn series(self, most: usize) -> Result<Vec<Series>, QueryError> {
        let mut all = Vec::new();
        let (intervals, allowance) = (self.intervals, self.allowance);
        let names = [("baseline", "baseline_total"), ("selection", "selection_total")];
        for (group, (of_value, of_all)) in self.groups.into_iter().zip(names) {
            for (name, values) in group {
                let mut counts: Vec<(Static, Counts)> = values.counts.into_values().collect();
                counts.sort_by_cached_key(|(value, counts)| {
                    (std::cmp::Reverse(counts.sum()), value.to_string())
                });
                counts.truncate(self.top);
                let meta = |kind: &str| ("__meta_type".to_owned(), Static::Str(kind.to_owned()));
                let mut push = |labels, counts: Option<&Counts>| -> Result<(), QueryError> {
                    if all.len() < most {
                        allowance.check((all.len() + 1).saturating_mul(intervals.count))?;
                        let samples = counts.map(|counts| counts.samples(intervals)).unwrap_or_default();
                        all.push(Series { labels, samples, exemplars: Vec::new() });
                    }
                    Ok(())
                };
                if values.too_many {
                    let told = Static::Str("__too_many_values__".to_owned());
                    let error = ("__meta_error".to_owned(), told);
                    push(vec![meta(of_value), error, (name.clone(), Static::Nil)], None)?;
                }
                for (value, counts) in &counts {
                    push(vec![meta(of_value), (name.clone(), value.clone())], Some(counts))?;
                }
                push(vec![meta(of_all), (name.clone(), Static::Nil)], Some(&values.total))?;
            }
        }
        Ok(all)
    }
}

/// Tells `"5"` from `5`.
fn kind(value: &Static) -> u8 {
    match value {
        Static::Str(_) => 1,
        Static::Int(_) => 2,
        Static::Float(_) => 3,
        Static::Bool(_) => 4,
        Static::List(_) => 5,
        _ => 0,
    }
}

impl Counting for Comparing<'_> {
    fn observe(&mut self, at: At<'_>, intervals: Intervals) -> Result<(), QueryError> {
        let Some(interval) = intervals.of(at.span.start) else { return Ok(()) };
        let inside = self.window.is_none_or(|(start, end)| (start..end).contains(&at.span.start));
        let selected = inside && self.selection.holds(at);
        for intrinsic in COMPARED {
            let field = Field::Intrinsic(intrinsic);
            let value = field_value(&field, at);
            if !matches!(&value, Val::Nil) && !matches!(&value, Val::Str(text) if text.is_empty()) {
                self.count(selected, interval, field.to_string(), &value)?;
            }
        }
        let mut attributes: Vec<(String, Static)> = Vec::new();
        let named =
            |scope, name: &str| Field::Attribute { scope, parent: false, name: name.to_owned() }.to_string();
        at.span.attributes(&mut |name, value| {
            attributes.push((named(Scope::Span, name), Val::from(value).to_static()));
        });
        for (name, value) in &at.span.resource().attributes {
            attributes.push((named(Scope::Resource, name), Val::from(ValueView::from(value)).to_static()));
        }
        for (name, value) in attributes {
            if value != Static::Nil {
                self.count(selected, interval, name, &Val::from(&value))?;
            }
        }
        Ok(())
    }
}
