//! A trace stays whole or goes whole, whatever comes between, and what is said of it never changes.

use std::collections::{BTreeMap, BTreeSet};

use parsers::otlp::SpanEncoder;
use proptest::prelude::*;

use super::*;
use crate::read::Fate;
use crate::sampling::{self, KeepTraces, Rule, SamplingOptions, When};

/// Long enough that nothing is due by the real clock while a test runs.
const WAIT: Duration = Duration::from_hours(1);

/// Failed traces stay, and a third of the others.
pub(super) fn rules() -> SamplingOptions {
    let errors = Rule {
        name: "errors".into(),
        when: When { error: Some(true), ..When::default() },
        keep: KeepTraces::Share(1.0),
    };
    let rest = Rule { name: "rest".into(), when: When::default(), keep: KeepTraces::Share(0.34) };
    SamplingOptions { wait: WAIT, rules: vec![errors, rest] }
}

pub(super) fn open_sampling(dir: &Path, sampling: Option<SamplingOptions>) -> Store {
    let store = Store::open(StoreOptions { sampling, ..options(dir) }).unwrap();
    // What the background does when it comes to it.
    if let Some(sampling) = &store.inner().sampling {
        sampling::remember(store.inner(), sampling, || false);
    }
    store
}

/// As if the wait had passed without anything new.
pub(super) fn decide(store: &Store) {
    let later = crate::retention::now() + 2 * WAIT.as_nanos() as u64;
    sampling::decide(store.inner(), store.inner().sampling.as_ref().unwrap(), later).unwrap();
}

pub(super) fn sweep(store: &Store) {
    while sampling::sweep(store.inner(), store.inner().sampling.as_ref().unwrap()).unwrap() {}
}

/// One record to be appended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Record {
    Span { trace: u64, error: bool },
    Log { trace: u64 },
    Exemplar { trace: u64 },
}

impl Record {
    fn trace(self) -> u64 {
        match self {
            Self::Span { trace, .. } | Self::Log { trace } | Self::Exemplar { trace } => trace,
        }
    }
}

/// The bits of a trace's id: odd ones come in their short form now and then.
pub(super) fn bits(trace: u64, number: u64) -> u128 {
    let low = 0x1000 + u128::from(trace).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (1 << 63);
    if trace % 2 == 1 && number.is_multiple_of(3) { low } else { 7 << 64 | low }
}

/// A batch of these records, numbered from here on.
pub(super) fn batch_of(records: &[Record], from: u64) -> Arc<Batch> {
    let resource = Resource { attributes: vec![("service.name".into(), Value::Str("shop".into()))] };
    let resource = Arc::new(resource);
    let (mut spans, mut logs, mut metrics) = (SpanEncoder::default(), logs(0, 0), metrics(0, 0));
    for (record, number) in records.iter().zip(from..) {
        let trace = bits(record.trace(), number);
        let time = DAY + number * 1000;
        match record {
            Record::Span { error, .. } => spans
                .push(&Span {
                    trace_id: id(trace),
                    span_id: SpanId::new(number + 1).unwrap(),
                    parent_span_id: None,
                    trace_state: String::new(),
                    flags: 0,
                    name: "pay".into(),
                    kind: SpanKind::Server,
                    start: time,
                    end: time + 5,
                    attributes: Vec::new(),
                    events: Vec::new(),
                    links: Vec::new(),
                    status: Status {
                        code: if *error { StatusCode::Error } else { StatusCode::Ok },
                        message: String::new(),
                    },
                    resource: Arc::clone(&resource),
                    scope: Arc::default(),
                })
                .unwrap(),
            Record::Log { .. } => {
                let line = logs.push_text(format!("order {number}").as_bytes());
                logs.rows.push(LogRow { time, trace, line, offset: number, ..LogRow::default() });
            }
            Record::Exemplar { .. } => {
                let value = number as f64;
                metrics.exemplars.push(ExemplarRow { time, trace, value, ..ExemplarRow::default() });
            }
        }
    }
    Arc::new(Batch { logs, spans: spans.finish(), metrics, positions: Vec::new() })
}

/// What was appended and what was said so far.
#[derive(Debug, Default)]
struct Model {
    records: Vec<Record>,
    /// The rule that dropped each trace, once it was said.
    dropped: BTreeMap<u64, Arc<str>>,
    /// Traces that had failed when they were first decided.
    must_stay: BTreeSet<u64>,
}

impl Model {
    fn of(&self, trace: u64, wanted: fn(&Record) -> bool) -> Vec<u64> {
        let numbered = self.records.iter().zip(0u64..);
        numbered.filter(|(r, _)| r.trace() == trace && wanted(r)).map(|(_, number)| number).collect()
    }

    fn traces(&self) -> BTreeSet<u64> {
        self.records.iter().map(|r| r.trace()).collect()
    }

    /// Everything that can be asked agrees: a dropped trace is nowhere, any other is whole.
    fn check(&mut self, store: &Store) {
        let mut hidden = BTreeSet::new();
        for trace in self.traces() {
            for number in [0, 1] {
                let found = store.trace(id(bits(trace, number)), 10_000).unwrap();
                match (found.fates.as_slice(), self.dropped.get(&trace)) {
                    ([Fate::SampledOut { rule, decided }], known) => {
                        assert!(
                            found.spans.is_empty() && found.logs.is_empty() && found.exemplars.is_empty()
                        );
                        assert!(known.is_none_or(|known| known == rule), "{known:?} became {rule}");
                        assert!(*decided > 0 && !self.must_stay.contains(&trace), "{trace} was kept before");
                        self.dropped.insert(trace, Arc::clone(rule));
                        hidden.insert(trace);
                    }
                    ([], None) => {
                        let mut spans: Vec<_> = found.spans.iter().map(|s| s.span_id.bits() - 1).collect();
                        spans.sort_unstable();
                        assert_eq!(spans, self.of(trace, |r| matches!(r, Record::Span { .. })));
                        let logs: Vec<_> = found.logs.iter().map(|l| (l.time - DAY) / 1000).collect();
                        assert_eq!(logs, self.of(trace, |r| matches!(r, Record::Log { .. })));
                        let exemplars: Vec<_> = found.exemplars.iter().map(|e| e.value as u64).collect();
                        assert_eq!(exemplars, self.of(trace, |r| matches!(r, Record::Exemplar { .. })));
                    }
                    (fates, known) => panic!("of {trace} was said {known:?}, now {fates:?}"),
                }
            }
        }
        let shown: Vec<_> = scan(store, Direction::Forward).iter().map(|r| (r.time - DAY) / 1000).collect();
        let numbered = self.records.iter().zip(0u64..);
        let stays = numbered.filter(|(r, _)| matches!(r, Record::Log { .. }) && !hidden.contains(&r.trace()));
        assert_eq!(shown, stays.map(|(_, number)| number).collect::<Vec<_>>());
        let searched: BTreeSet<u64> = search(store).iter().flatten().map(|s| s.span_id.bits() - 1).collect();
        let numbered = self.records.iter().zip(0u64..);
        let stays =
            numbered.filter(|(r, _)| matches!(r, Record::Span { .. }) && !hidden.contains(&r.trace()));
        assert_eq!(searched, stays.map(|(_, number)| number).collect());
    }

    /// Everything was decided: which of the traces with spans stay is settled, those that failed before among them.
    fn note_decided(&mut self, store: &Store) {
        for record in &self.records {
            let Record::Span { trace, error } = *record else { continue };
            let dropped = store.sampled_out(id(bits(trace, 0))).is_some();
            assert!(!(dropped && error) || self.dropped.contains_key(&trace), "{trace} had failed");
            if !dropped {
                self.must_stay.insert(trace);
            }
        }
    }
}

/// Traces with a row in a segment's file.
fn on_disk(store: &Store) -> BTreeSet<u64> {
    let view = store.inner().view.read().unwrap();
    let mut traces = BTreeSet::new();
    for segment in &view.segments {
        for number in 0..segment.footer.blocks.len() {
            let batch = segment.block(number).unwrap();
            traces.extend(batch.spans.rows.iter().map(|r| r.trace as u64));
            traces.extend(batch.logs.rows.iter().map(|r| r.trace as u64));
            traces.extend(batch.metrics.exemplars.iter().map(|r| r.trace as u64));
        }
    }
    traces
}

fn low64(trace: u64) -> u64 {
    bits(trace, 1) as u64
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Record>),
    Seal,
    Decide,
    Sweep,
    Merge,
    Restart,
    /// The process dies: its files, as they are, are opened by another.
    Kill,
}

fn record() -> impl Strategy<Value = Record> {
    let trace = 0..12u64;
    (trace, 0..6u8).prop_map(|(trace, kind)| match kind {
        0..=2 => Record::Span { trace, error: kind == 0 && trace % 4 == 0 },
        3 | 4 => Record::Log { trace },
        _ => Record::Exemplar { trace },
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(record(), 1..12).prop_map(Step::Append),
        3 => Just(Step::Seal),
        3 => Just(Step::Decide),
        2 => Just(Step::Sweep),
        1 => Just(Step::Merge),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_trace_is_whole_or_gone_after_any_steps(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut at = dir.path().join("0");
        let mut store = open_sampling(&at, Some(rules()));
        let mut model = Model::default();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Append(records) => {
                    store.append(batch_of(records, model.records.len() as u64)).unwrap();
                    model.records.extend(records);
                }
                Step::Seal => store.seal().unwrap(),
                Step::Decide => {
                    model.check(&store);
                    decide(&store);
                    model.note_decided(&store);
                }
                Step::Sweep => sweep(&store),
                Step::Merge => store.merge(),
                Step::Restart => {
                    drop(store);
                    store = open_sampling(&at, Some(rules()));
                }
                Step::Kill => {
                    let next = dir.path().join((number + 1).to_string());
                    copy(&at, &next);
                    drop(store);
                    std::fs::remove_dir_all(&at).unwrap();
                    at = next;
                    store = open_sampling(&at, Some(rules()));
                }
            }
            model.check(&store);
        }
        decide(&store);
        model.note_decided(&store);
        model.check(&store);
        store.seal().unwrap();
        sweep(&store);
        model.check(&store);
        prop_assert_eq!(store.sampling().unwrap().undecided, 0);
        let left = on_disk(&store);
        for trace in model.traces() {
            prop_assert_eq!(left.contains(&low64(trace)), !model.dropped.contains_key(&trace));
        }
        // What was dropped stays so when nobody samples any more.
        drop(store);
        model.check(&open_sampling(&at, None));
    }
}

/// Some traces of which some are dropped, decided, in two sealed heads.
fn decided(dir: &Path) -> (Store, Model) {
    let store = open_sampling(dir, Some(rules()));
    let mut model = Model::default();
    for half in 0..2u64 {
        let records: Vec<_> = (0..40)
            .flat_map(|trace| {
                [Record::Span { trace, error: half == 1 && trace % 9 == 0 }, Record::Log { trace }]
            })
            .chain((0..40).map(|trace| Record::Exemplar { trace }))
            .collect();
        store.append(batch_of(&records, half * 120)).unwrap();
        model.records.extend(records);
        store.seal().unwrap();
    }
    decide(&store);
    model.note_decided(&store);
    model.check(&store);
    assert!((10..40).contains(&model.dropped.len()));
    (store, model)
}

#[test]
fn a_crash_at_any_step_of_sweeping_leaves_every_trace_whole_or_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (now, before) = (dir.path().join("now"), dir.path().join("before"));
    let (store, mut model) = decided(&now);
    copy(&now, &before);
    sweep(&store);
    drop(store);
    // Files that are new or other than before, in the order in which sweeping makes them; then those that it deletes.
    let names = |dir: &Path| -> Vec<String> {
        files(dir).iter().map(|f| f.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let mut steps: Vec<(&str, String)> = Vec::new();
    let tombstones = names(&now.join("sampled")).into_iter().filter(|n| n.contains(".tfd"));
    steps.extend(tombstones.map(|name| ("sampled", name)));
    assert_eq!(steps.len(), 1);
    let swept = names(&now.join("segments"));
    for signal in ["logs", "metrics", "traces"] {
        let of_signal = |name: &&String| name.starts_with(signal);
        let gone = names(&before.join("segments")).into_iter().filter(|n| !swept.contains(n));
        steps.extend(swept.iter().filter(of_signal).map(|name| ("segments", name.clone())));
        steps.extend(gone.filter(|n| of_signal(&n)).map(|name| ("segments", name)));
    }
    for name in ["frontier", "frontier-copy", "decisions"] {
        steps.push(("sampled", name.to_owned()));
    }
    for done in 0..=steps.len() {
        let crashed = dir.path().join("crashed");
        copy(&before, &crashed);
        for (folder, name) in &steps[..done] {
            let (from, to) = (now.join(folder).join(name), crashed.join(folder).join(name));
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            } else {
                std::fs::remove_file(to).unwrap();
            }
        }
        let store = open_sampling(&crashed, Some(rules()));
        model.check(&store);
        decide(&store);
        model.check(&store);
        sweep(&store);
        model.check(&store);
        assert!(model.dropped.keys().all(|trace| !on_disk(&store).contains(&low64(*trace))), "after {done}");
        drop(store);
        std::fs::remove_dir_all(&crashed).unwrap();
    }
}

#[test]
fn what_comes_late_shares_the_fate_of_its_trace_even_after_years_of_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut model) = decided(dir.path());
    sweep(&store);
    // More tombstones than files are kept for, so that they are merged.
    for round in 0..12u64 {
        let records: Vec<_> =
            (0..10).map(|i| Record::Span { trace: 1000 + round * 10 + i, error: false }).collect();
        store.append(batch_of(&records, model.records.len() as u64)).unwrap();
        model.records.extend(records);
        decide(&store);
        model.note_decided(&store);
        store.seal().unwrap();
        sweep(&store);
    }
    model.check(&store);
    let tombstones = files(&dir.path().join("sampled")).iter().filter(|f| f.extension().is_some()).count();
    assert!(tombstones <= 8, "{tombstones} files");
    let late: Vec<_> = (0..40)
        .flat_map(|trace| {
            [Record::Span { trace, error: false }, Record::Log { trace }, Record::Exemplar { trace }]
        })
        .collect();
    store.append(batch_of(&late, model.records.len() as u64)).unwrap();
    model.records.extend(late);
    let dropped = model.dropped.len();
    model.check(&store);
    decide(&store);
    model.check(&store);
    store.seal().unwrap();
    sweep(&store);
    model.check(&store);
    // Those that had stayed did so again, whatever their late spans alone would have met.
    assert_eq!(model.dropped.len(), dropped);
    assert!(store.sampling().unwrap().rejoined > 0);
    assert!(model.dropped.keys().all(|trace| !on_disk(&store).contains(&low64(*trace))));
}

#[test]
fn a_segment_that_cannot_be_swept_shows_nothing_of_dropped_traces() {
    let dir = tempfile::tempdir().unwrap();
    let (store, model) = decided(dir.path());
    drop(store);
    let file = files(&dir.path().join("segments"))
        .into_iter()
        .find(|f| f.to_str().unwrap().contains("logs"))
        .unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let store = open_sampling(dir.path(), Some(rules()));
    decide(&store);
    sweep(&store);
    drop(store);
    std::fs::write(&file, whole).unwrap();
    let store = open_sampling(dir.path(), Some(rules()));
    let traces: BTreeSet<u64> =
        scan(&store, Direction::Forward).iter().map(|r| r.trace_id.unwrap().low64()).collect();
    assert!(!traces.is_empty() && model.dropped.keys().all(|trace| !traces.contains(&low64(*trace))));
    assert!(model.dropped.keys().any(|trace| on_disk(&store).contains(&low64(*trace))));
}

#[test]
fn without_sampling_nothing_of_it_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(batch(0, 10)).unwrap();
    store.seal().unwrap();
    assert!(!dir.path().join("sampled").exists() && store.sampling().is_none());
}

#[test]
fn what_was_stored_before_sampling_began_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let spans: Vec<_> = (0..40).map(|trace| Record::Span { trace, error: false }).collect();
    store.append(batch_of(&spans, 0)).unwrap();
    store.seal().unwrap();
    drop(store);
    let store = open_sampling(dir.path(), Some(rules()));
    let mut model = Model { records: spans.clone(), ..Model::default() };
    store.append(batch_of(&spans, 40)).unwrap();
    model.records.extend(spans);
    decide(&store);
    model.check(&store);
    assert!(model.dropped.is_empty());
}

#[test]
fn traces_that_are_decided_early_are_counted_and_share_their_fate_with_what_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sampling(dir.path(), Some(rules()));
    let records: Vec<_> = (0..40).map(|trace| Record::Span { trace, error: false }).collect();
    let mut model = Model::default();
    for from in [0, 40] {
        store.append(batch_of(&records, from)).unwrap();
        model.records.extend(&records);
        let sampling = store.inner().sampling.as_ref().unwrap();
        sampling::decide_early(store.inner(), sampling, crate::retention::now()).unwrap();
        model.check(&store);
    }
    let stats = store.sampling().unwrap();
    // A quarter of those that were left, each time.
    assert_eq!((stats.early, stats.undecided, stats.unswept), (17, 23, 17));
    decide(&store);
    model.check(&store);
    assert_eq!(store.sampling().unwrap().early, 17);
}
