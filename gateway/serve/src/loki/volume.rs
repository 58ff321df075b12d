//! How much there is: by stream, by label, over time. Counted from what the store knows of its blocks, so that a landing page
//! costs no reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use parsers::record::{Labels, Sample, Series};
use query::logql::Data;
use query::{Allowance, QueryError};
use store::read::{LogRead, Matcher, ReadError, Tally, Window};

use super::request::VolumeRequest;
use super::response::Size;

/// How much a selector finds.
pub(super) fn size(logs: &dyn LogRead, matchers: &[Matcher], window: Window) -> Result<Size, ReadError> {
    let streams = logs.streams(matchers, window)?.len() as u64;
    let mut size = Size { streams, ..Size::default() };
    logs.tally(matchers, window, &mut |tally| {
        size.entries += tally.records;
        size.bytes += tally.bytes;
    })?;
    Ok(size)
}

/// Bytes by label set, the largest first: at one time, or at the end of each step.
pub(super) fn volumes(
    logs: &dyn LogRead,
    matchers: &[Matcher],
    asked: &VolumeRequest,
    allowance: &Allowance,
) -> Result<Data, QueryError> {
    let named = || matchers.iter().map(|matcher| matcher.name.clone()).collect();
    let targets: Vec<String> = asked.targets.clone().unwrap_or_else(named);
    let Window { start, end } = asked.window;
    let step = asked.step.unwrap_or(u64::MAX);
    let mut volumes: BTreeMap<Arc<Labels>, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut keys: BTreeMap<Arc<Labels>, Vec<Arc<Labels>>> = BTreeMap::new();
    let mut points = 0;
    logs.tally(matchers, asked.window, &mut |tally| {
        if allowance.check(points).is_err() {
            return;
        }
        let labels = keys
            .entry(Arc::clone(tally.labels))
            .or_insert_with(|| grouped(tally.labels, &targets, asked.by_label));
        for labels in labels {
            let by_step = volumes.entry(Arc::clone(labels)).or_default();
            spread(tally, start, step, &mut |number, bytes| {
                *by_step.entry(number).or_insert_with(|| {
                    points += 1;
                    0
                }) += bytes;
            });
        }
    })?;
    allowance.check(points)?;
    let mut largest: Vec<(u64, Arc<Labels>, BTreeMap<u64, u64>)> =
        volumes.into_iter().map(|(labels, steps)| (steps.values().sum(), labels, steps)).collect();
    largest.sort_by_key(|volume| std::cmp::Reverse(volume.0));
    largest.truncate(asked.limit);
    let sample = |time: u64, bytes: u64| Sample { time, value: bytes as f64 };
    Ok(if asked.step.is_some() {
        let series = largest.into_iter().map(|(_, labels, steps)| {
            let samples = steps.into_iter().map(|(number, bytes)| {
                sample(start.saturating_add(step.saturating_mul(number.saturating_add(1))).min(end), bytes)
            });
            Series { labels, samples: samples.collect() }
        });
        Data::Matrix(series.collect())
    } else {
        Data::Vector(largest.into_iter().map(|(bytes, labels, _)| (labels, sample(end, bytes))).collect())
    })
}

/// The label sets under which a stream is counted.
fn grouped(labels: &Labels, targets: &[String], by_label: bool) -> Vec<Arc<Labels>> {
    let wanted = |name: &str| targets.is_empty() || targets.iter().any(|target| target == name);
    let kept = labels.iter().filter(|(name, _)| wanted(name));
    if by_label {
        // A label has a value here, so it is named by itself; Loki's answer leaves the value out.
        return kept.map(|(name, _)| Arc::new(Labels::new([(name, name)]))).collect();
    }
    vec![Arc::new(Labels::new(kept))]
}

/// Gives each step's part of a stretch.
fn spread(tally: &Tally<'_>, start: u64, step: u64, take: &mut dyn FnMut(u64, u64)) {
    let number = |time: u64| time.saturating_sub(start) / step;
    let (first, last) = (number(tally.first), number(tally.last));
    if first == last {
        return take(first, tally.bytes);
    }
    for number in first..=last {
        let begins = start.saturating_add(step.saturating_mul(number));
        take(number, tally.within(begins, begins.saturating_add(step)).bytes);
    }
}
