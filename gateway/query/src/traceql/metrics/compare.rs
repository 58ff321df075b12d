//! `compare()`: how often each value of each attribute occurs in the selected spans, and in the others.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use store::read::ValueView;

use super::super::ast::{Field, Intrinsic, Scope, Static};
use super::super::expression::{At, Node, field_value};
use super::super::value::Val;
use super::{Counting, Intervals, Series};

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

/// Counts of spans in each interval.
type Counts = Vec<f64>;

/// What is known of one attribute in one of the two groups.
#[derive(Default)]
struct Values {
    /// By the value's text and type.
    counts: FxHashMap<(String, u8), (Static, Counts)>,
    total: Counts,
    too_many: bool,
}

pub(super) struct Comparing {
    selection: Node,
    window: Option<(u64, u64)>,
    top: usize,
    intervals: Intervals,
    /// Of the others, and of the selected.
    groups: [BTreeMap<String, Values>; 2],
}

impl Comparing {
    pub(super) fn new(selection: Node, window: Option<(u64, u64)>, top: usize, intervals: Intervals) -> Self {
        Self { selection, window, top, intervals, groups: Default::default() }
    }

    fn count(&mut self, selected: bool, interval: usize, name: String, value: &Val<'_>) {
        let intervals = self.intervals.count;
        let Some(group) = self.groups.get_mut(usize::from(selected)) else { return };
        if group.len() >= MAX_ATTRIBUTES && !group.contains_key(&name) {
            return;
        }
        let values = group.entry(name).or_default();
        values.total.resize(intervals, 0.0);
        add(&mut values.total, interval);
        let value = value.to_static();
        let key = (value.to_string(), kind(&value));
        if values.counts.len() >= MAX_VALUES && !values.counts.contains_key(&key) {
            values.too_many = true;
            return;
        }
        let (_, counts) = values.counts.entry(key).or_insert_with(|| (value, vec![0.0; intervals]));
        add(counts, interval);
    }

    /// Each attribute's most frequent values, then its totals.
    pub(super) fn series(self, most: usize) -> Vec<Series> {
        let mut all = Vec::new();
        let names = [("baseline", "baseline_total"), ("selection", "selection_total")];
        for (group, (of_value, of_all)) in self.groups.into_iter().zip(names) {
            for (name, values) in group {
                let mut counts: Vec<(Static, Counts)> = values.counts.into_values().collect();
                counts.sort_by_cached_key(|(value, counts)| {
                    (std::cmp::Reverse(counts.iter().sum::<f64>() as u64), value.to_string())
                });
                counts.truncate(self.top);
                let meta = |kind: &str| ("__meta_type".to_owned(), Static::Str(kind.to_owned()));
                let mut push = |labels, counts: &Counts| {
                    if all.len() < most {
                        let time = |(interval, count): (usize, &f64)| (self.intervals.time(interval), *count);
                        let samples = counts.iter().enumerate().map(time).collect();
                        all.push(Series { labels, samples, exemplars: Vec::new() });
                    }
                };
                if values.too_many {
                    let told = Static::Str("__too_many_values__".to_owned());
                    let error = ("__meta_error".to_owned(), told);
                    push(vec![meta(of_value), error, (name.clone(), Static::Nil)], &Vec::new());
                }
                for (value, counts) in &counts {
                    push(vec![meta(of_value), (name.clone(), value.clone())], counts);
                }
                push(vec![meta(of_all), (name.clone(), Static::Nil)], &values.total);
            }
        }
        all
    }
}

fn add(counts: &mut Counts, interval: usize) {
    if let Some(count) = counts.get_mut(interval) {
        *count += 1.0;
    }
}

/// Tells `"5"` from `5`.
fn kind(value: &Static) -> u8 {
    match value {
        Static::Str(_) => 1,
        Static::Int(_) => 2,
        Static::Float(_) => 3,
        Static::Bool(_) => 4,
        _ => 0,
    }
}

impl Counting for Comparing {
    fn observe(&mut self, at: At<'_>, intervals: Intervals) {
        let Some(interval) = intervals.of(at.span.start) else { return };
        let inside = self.window.is_none_or(|(start, end)| (start..end).contains(&at.span.start));
        let selected = inside && self.selection.holds(at);
        for intrinsic in COMPARED {
            let field = Field::Intrinsic(intrinsic);
            let value = field_value(&field, at);
            if !matches!(&value, Val::Nil) && !matches!(&value, Val::Str(text) if text.is_empty()) {
                self.count(selected, interval, field.to_string(), &value);
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
                self.count(selected, interval, name, &Val::from(&value));
            }
        }
    }
}
