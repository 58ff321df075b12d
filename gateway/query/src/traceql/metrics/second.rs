//! What is done with series: the greatest and the least at each time, and comparisons.

use std::collections::BTreeMap;

use super::super::ast::SecondStage;
use super::super::value::meets;
use super::Series;
use super::series::sort_key;

/// Applies stages in order. Series without samples go.
pub(super) fn apply(stages: &[SecondStage], all: &mut Vec<Series>) {
    for stage in stages {
        match stage {
            SecondStage::Compare(op, bound) => {
                for series in &mut *all {
                    series
                        .samples
                        .retain(|(_, value)| value.partial_cmp(bound).is_some_and(|order| meets(*op, order)));
                }
            }
            SecondStage::TopK(k) => keep(all, *k, true),
            SecondStage::BottomK(k) => keep(all, *k, false),
        }
        all.retain(|series| !series.samples.is_empty());
    }
}

/// Of each time, the samples with the `k` greatest or least values; of equal ones, those whose labels come first.
fn keep(all: &mut [Series], k: usize, greatest: bool) {
    let keys: Vec<String> = all.iter().map(|series| sort_key(&series.labels)).collect();
    let mut by_time: BTreeMap<u64, Vec<(f64, usize)>> = BTreeMap::new();
    for (i, series) in all.iter().enumerate() {
        for (time, value) in &series.samples {
            by_time.entry(*time).or_default().push((*value, i));
        }
    }
    for samples in by_time.values_mut() {
        samples.sort_by(|a, b| {
            let order = if greatest { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) };
            order.then_with(|| keys.get(a.1).cmp(&keys.get(b.1)))
        });
        samples.truncate(k);
    }
    for (i, series) in all.iter_mut().enumerate() {
        series.samples.retain(|(time, _)| {
            by_time.get(time).is_some_and(|samples| samples.iter().any(|(_, series)| *series == i))
        });
    }
}
