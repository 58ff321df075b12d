//! Values of series at the times of a side's traces, by what the traces ran on.

use std::collections::{BTreeMap, BTreeSet};

use parsers::record::{Labels, Sample, Workload};
use rustc_hash::FxHashSet;
use store::read::Window;

use super::{Observed, is_counter};
use crate::analysis::digest::Digest;
use crate::analysis::vocabulary::{AttributeScope, Fact, Vocabulary};
use crate::{LabelMapping, WorkloadField};

/// Traces of a side at whose times series are looked at.
const MAX_TRACES: usize = 1_000;
/// Workloads of a side.
const MAX_WORKLOADS: usize = 64;
/// Before the first trace: where a rate begins.
const PAD_BEFORE: u64 = 120_000_000_000;
/// After the last trace: the next scrape.
const PAD_AFTER: u64 = 60_000_000_000;
/// A sample tells of a trace up to so far from it: two scrapes at the usual interval.
const NEAR: u64 = 60_000_000_000;
/// Fields that tell parts of one service apart, of which a series says one and a trace another.
const OWN: [WorkloadField; 3] = [WorkloadField::Pod, WorkloadField::Version, WorkloadField::Instance];

/// What the traces of a side ran on.
pub(super) struct Running<'a> {
    pub(super) workloads: Vec<Workload>,
    /// Numbers of workloads, by trace.
    by_trace: Vec<(&'a Digest, Vec<usize>)>,
    pub(super) window: Window,
}

/// A metric of a service; of a counter of several series, one part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) service: String,
    /// Labels that say neither whose nor where, as in a selector.
    pub(super) part: Option<String>,
}

/// Values of a metric on one side, and the labels that all its series have.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) values: Vec<f64>,
    /// Of which pod each of them is: label and value, where the series says so.
    pub(super) pods: Vec<Option<(String, String)>>,
    pub(super) labels: Labels,
}

/// All of one side.
#[derive(Default)]
pub(super) struct Side {
    pub(super) taken: BTreeMap<Key, Taken>,
    /// How often the parts of a counter were looked at, by its name and service.
    looked: BTreeMap<(String, String), usize>,
}

impl Side {
    /// Parts that only the other side has, which are none of what this side has.
    pub(super) fn add_missing(&mut self, other: &Self) {
        for (key, theirs) in other.taken.iter().filter(|(key, _)| key.part.is_some()) {
            let count = self.looked.get(&(key.name.clone(), key.service.clone())).copied().unwrap_or(0);
            let own = self
                .taken
                .entry(key.clone())
                .or_insert_with(|| Taken { labels: theirs.labels.clone(), ..Taken::default() });
            own.fill(count);
        }
        for (key, own) in self.taken.iter_mut().filter(|(key, _)| key.part.is_some()) {
            own.fill(self.looked.get(&(key.name.clone(), key.service.clone())).copied().unwrap_or(0));
        }
    }
}

impl Taken {
    /// A part that was not there when the others were looked at was none of them.
    fn fill(&mut self, count: usize) {
        let count = count.max(self.values.len());
        self.values.resize(count, 0.0);
        self.pods.resize(count, None);
    }

    fn add(&mut self, value: f64, labels: &Labels, mapping: &LabelMapping) {
        let described = || labels.filtered(|label| label != "__name__");
        if self.values.is_empty() {
            self.labels = described();
        } else if self.labels.iter().any(|(label, value)| labels.get(label) != Some(value)) {
            self.labels = self.labels.filtered(|label| self.labels.get(label) == labels.get(label));
        }
        self.values.push(value);
        let named = |label: &String| Some((label.clone(), labels.get(label)?.to_owned()));
        self.pods.push(mapping.names(WorkloadField::Pod).iter().find_map(named));
    }
}

/// Workloads as facts of the traces tell them; `None` without traces.
pub(super) fn running<'a>(digests: &'a [Digest], vocabulary: &Vocabulary) -> Option<Running<'a>> {
    let mut numbers: BTreeMap<Workload, usize> = BTreeMap::new();
    let mut by_trace = Vec::new();
    for digest in digests.iter().take(MAX_TRACES) {
        let mut own = Vec::new();
        for workload in workloads(digest, vocabulary) {
            let next = numbers.len();
            if numbers.contains_key(&workload) || next < MAX_WORKLOADS {
                own.push(*numbers.entry(workload).or_insert(next));
            }
        }
        by_trace.push((digest, own));
    }
    let first = digests.iter().map(|digest| digest.start).min()?;
    let last = digests.iter().map(|digest| digest.start).max()?;
    let mut workloads: Vec<(usize, Workload)> =
        numbers.into_iter().map(|(workload, number)| (number, workload)).collect();
    workloads.sort();
    Some(Running {
        workloads: workloads.into_iter().map(|(_, workload)| workload).collect(),
        by_trace,
        window: Window { start: first.saturating_sub(PAD_BEFORE), end: last.saturating_add(PAD_AFTER) },
    })
}

/// What one trace ran on: by operation the pods, each with the version and the instance where there is one.
fn workloads(digest: &Digest, vocabulary: &Vocabulary) -> BTreeSet<Workload> {
    let mut told: BTreeMap<u32, [Vec<&str>; OWN.len()]> = BTreeMap::new();
    for fact in digest.facts.iter().filter_map(|fact| vocabulary.facts().get(*fact as usize)) {
        let Fact::Attribute { operation, key, value } = fact else { continue };
        let (scope, name) = vocabulary.key_name(*key);
        let field = OWN.iter().position(|field| field.attribute() == name);
        if let (AttributeScope::Resource, Some(field)) = (scope, field)
            && let Some(values) = told.entry(*operation).or_default().get_mut(field)
        {
            values.push(vocabulary.text(*value));
        }
    }
    let mut all = BTreeSet::new();
    for cell in &digest.cells {
        let service = Some(vocabulary.named(cell.operation).service);
        let [pods, versions, instances] = told.remove(&cell.operation).unwrap_or_default();
        // Of several it is not known which goes with which.
        let only = |list: &[&str]| if let [one] = list { Some((*one).to_owned()) } else { None };
        let (version, instance) = (only(&versions), only(&instances));
        let one = Workload { service, version, instance, ..Workload::default() };
        if pods.is_empty() {
            all.insert(one);
        } else {
            all.extend(pods.iter().map(|pod| Workload { pod: Some((*pod).to_owned()), ..one.clone() }));
        }
    }
    // What does not say where it ran is no more than what does.
    let services: BTreeSet<_> =
        all.iter().filter(|one| one.pod.is_some()).map(|one| one.service.clone()).collect();
    all.retain(|one| one.pod.is_some() || !services.contains(&one.service));
    all
}

/// Pods, versions and instances that traces of either side name. A label may say another one only in these words: some series have
/// addresses there.
pub(super) fn places<'a>(sides: &'a [Running<'_>]) -> FxHashSet<&'a str> {
    let workloads = sides.iter().flat_map(|running| &running.workloads);
    workloads.flat_map(|one| OWN.iter().filter_map(|field| field.of(one))).collect()
}

/// The series of each workload of a side.
pub(super) struct Described<'a> {
    running: &'a Running<'a>,
    observed: &'a [Observed],
    mapping: &'a LabelMapping,
    /// What tells each series from others of its metric and workload.
    parts: Vec<String>,
    /// Numbers of series by the workload and their name.
    series: Vec<BTreeMap<&'a str, Vec<usize>>>,
}

/// Counters of which a workload has several series, as one for each status.
pub(super) fn parted<'a>(sides: &'a [Described<'a>]) -> FxHashSet<&'a str> {
    let mut parted = FxHashSet::default();
    for side in sides {
        for (name, list) in side.series.iter().flatten().filter(|(name, _)| is_counter(name)) {
            let parts = list.iter().filter_map(|at| side.parts.get(*at));
            if parts.collect::<BTreeSet<&String>>().len() > 1 {
                parted.insert(*name);
            }
        }
    }
    parted
}

impl<'a> Described<'a> {
    /// `known` are the [`places`] of both sides.
    pub(super) fn new(
        running: &'a Running<'a>,
        observed: &'a [Observed],
        mapping: &'a LabelMapping,
        known: &FxHashSet<&str>,
    ) -> Self {
        let describes = |workload: &Workload, series: &Observed| {
            let of = |field: &WorkloadField| {
                mapping.names(*field).iter().filter_map(|label| series.labels.get(label))
            };
            let own: Vec<&str> = OWN.iter().filter_map(|field| field.of(workload)).collect();
            let other = |value: &str| known.contains(value) && !own.contains(&value);
            mapping.compare(workload, &series.labels).identifies
                && !OWN.iter().any(|field| of(field).any(other))
        };
        let by_name = |workload: &Workload| {
            let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (at, series) in observed.iter().enumerate().filter(|(_, series)| describes(workload, series))
            {
                by_name.entry(&series.name).or_default().push(at);
            }
            by_name
        };
        let parts = observed.iter().map(|series| part(series, mapping)).collect();
        Self { running, observed, mapping, parts, series: running.workloads.iter().map(by_name).collect() }
    }

    /// Values at the times of the traces, by metric and service.
    pub(super) fn taken(&self, parted: &FxHashSet<&str>) -> Side {
        let mut seen: FxHashSet<(usize, usize)> = FxHashSet::default();
        let mut side = Side::default();
        for (digest, workloads) in &self.running.by_trace {
            for number in workloads {
                let service = self.running.workloads.get(*number).and_then(|one| one.service.clone());
                let service = service.unwrap_or_default();
                for (name, list) in self.series.get(*number).into_iter().flatten() {
                    let of_name = list.iter().filter_map(|at| Some((*at, self.observed.get(*at)?)));
                    if parted.contains(name) {
                        side.parts(self, list, digest, (name, &service), &mut seen);
                        continue;
                    }
                    for (at, series) in of_name {
                        let Some((place, sample)) = nearest(&series.samples, digest.start) else { continue };
                        if seen.insert((at, place)) {
                            let key = Key { name: (*name).to_owned(), service: service.clone(), part: None };
                            let taken = side.taken.entry(key).or_default();
                            taken.add(sample.value, &series.labels, self.mapping);
                        }
                    }
                }
            }
        }
        side
    }
}

impl Side {
    /// What part each series of a counter has of all that it counted when a trace had ended.
    fn parts(
        &mut self,
        described: &Described<'_>,
        list: &[usize],
        digest: &Digest,
        (name, service): (&str, &str),
        seen: &mut FxHashSet<(usize, usize)>,
    ) {
        let end = digest.start.saturating_add(digest.duration);
        let at_end: Vec<(usize, usize, Sample)> = list
            .iter()
            .filter_map(|at| {
                following(&described.observed.get(*at)?.samples, end).map(|(place, one)| (*at, place, one))
            })
            .collect();
        let all: f64 = at_end.iter().map(|(.., sample)| sample.value).sum();
        let fresh = at_end.first().is_some_and(|(at, place, _)| seen.insert((*at, *place)));
        if !fresh || all <= 0.0 {
            return;
        }
        let group = (name.to_owned(), service.to_owned());
        let looked = self.looked.entry(group).or_default();
        let before = *looked;
        *looked += 1;
        let mut parts: BTreeMap<&str, (f64, &Labels)> = BTreeMap::new();
        for (at, _, sample) in &at_end {
            if let (Some(series), Some(part)) = (described.observed.get(*at), described.parts.get(*at)) {
                parts.entry(part).or_insert((0.0, &series.labels)).0 += sample.value;
            }
        }
        for (part, (value, labels)) in parts {
            let key = Key { name: name.to_owned(), service: service.to_owned(), part: Some(part.to_owned()) };
            let taken = self.taken.entry(key).or_default();
            taken.add(value / all, labels, described.mapping);
            // None of what was counted before it was there.
            taken.fill(before + 1);
        }
    }
}

/// What tells a series from others of its metric and workload, as in a selector.
fn part(series: &Observed, mapping: &LabelMapping) -> String {
    let whose = |label: &str| mapping.rows.iter().any(|(_, names)| names.iter().any(|name| name == label));
    let pairs = series
        .labels
        .iter()
        .filter(|(label, _)| *label != "__name__" && !label.starts_with("__") && !whose(label));
    let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// The sample nearest to a time.
pub(super) fn nearest(samples: &[Sample], time: u64) -> Option<(usize, Sample)> {
    let after = samples.partition_point(|sample| sample.time < time);
    let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
    let near = near.filter_map(|at| samples.get(at).map(|sample| (at, *sample)));
    let found = near.min_by_key(|(_, sample)| sample.time.abs_diff(time))?;
    (found.1.time.abs_diff(time) <= NEAR).then_some(found)
}

/// The first sample from a time on: a rate that ends there has what happened until then.
fn following(samples: &[Sample], time: u64) -> Option<(usize, Sample)> {
    let after = samples.partition_point(|sample| sample.time < time);
    let found = samples.get(after).map(|sample| (after, *sample))?;
    (found.1.time.abs_diff(time) <= NEAR).then_some(found)
}
