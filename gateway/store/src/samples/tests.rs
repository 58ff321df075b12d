//! Samples give the same answers in memory, after a crash, sealed and merged; what is refused is counted and explained.

mod judged;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Batch, Labels, MetricBatch, MetricKind, MetricMeta, SampleRow};
use proptest::prelude::*;

use crate::read::{MatchOp, Matcher, SampleLimits, SampleRead, Window};
use crate::samples::{LeftOut, SampleOptions};
use crate::{Keep, Retention, Store, StoreOptions};

const ALL: SampleLimits = SampleLimits { series: usize::MAX, samples: u64::MAX };
const DAY: u64 = 86_400_000_000_000;
const STALE: u64 = 0x7ff0_0000_0000_0002;
const HOUR: u64 = 3_600_000_000_000;

fn options(dir: &Path) -> StoreOptions {
    StoreOptions { min_free_bytes: 0, ..StoreOptions::new(dir) }
}

fn labels(series: u8) -> Arc<Labels> {
    let (name, job) = (format!("m{}", series % 3), format!("j{}", series / 3));
    Arc::new(Labels::new([("__name__", name), ("job", job)]))
}

/// A batch of (series, time, value).
fn batch(rows: &[(u8, u64, f64)]) -> Arc<Batch> {
    let mut metrics = MetricBatch::default();
    for (series, time, value) in rows {
        let labels = labels(*series);
        let place = metrics.series.iter().position(|known| *known == labels).unwrap_or_else(|| {
            metrics.series.push(labels);
            metrics.series.len() - 1
        });
        let (time, value, series) = (*time, *value, place as u32);
        metrics.samples.push(SampleRow { time, value, series, ..SampleRow::default() });
    }
    Arc::new(Batch { metrics, ..Batch::default() })
}

type Found = BTreeMap<Labels, Vec<(u64, u64)>>;

fn found(store: &Store, matchers: &[Matcher], window: Window) -> Found {
    let series = store.select(matchers, window, ALL).unwrap();
    let bits =
        |s: &crate::read::SeriesSamples| s.samples.iter().map(|s| (s.time, s.value.to_bits())).collect();
    series.iter().map(|s| ((*s.labels).clone(), bits(s))).collect()
}

/// Copies a data directory as it is: what a crash at this moment would leave.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, u64, f64)>),
    Seal,
    Crash,
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    // Minutes round midnight, with some nanoseconds now and then; a value is told by its time, as repeats have it.
    let time = (0u64..300, 0u64..3)
        .prop_map(|(minute, odd)| 20_000 * DAY - 2 * HOUR + minute * 60_000_000_000 + odd);
    let row = (0u8..7, time).prop_map(|(series, time)| {
        let value = match time % 7 {
            0 => f64::from_bits(STALE),
            1 => f64::NEG_INFINITY,
            2 => -0.0,
            _ => (time / 1_000_000_000) as f64 * 0.25,
        };
        (series, time, value)
    });
    prop_oneof![
        6 => proptest::collection::vec(row, 0..60).prop_map(Step::Append),
        2 => Just(Step::Seal),
        1 => Just(Step::Crash),
        1 => Just(Step::Merge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_was_taken_is_there_once_wherever_it_lies(steps in proptest::collection::vec(step(), 1..14), from in 0u64..300, long in 0u64..300) {
        let folder = tempfile::tempdir().unwrap();
        let mut dir = folder.path().join("0");
        let open = |dir: &Path| {
            let samples = SampleOptions { out_of_order: Duration::from_hours(100), ..SampleOptions::default() };
            Store::open(StoreOptions { samples, ..options(dir) }).unwrap()
        };
        let mut store = open(&dir);
        let mut expected: BTreeMap<Labels, BTreeMap<u64, u64>> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(rows) => {
                    let left_out = store.append(batch(&rows)).unwrap();
                    prop_assert_eq!(left_out.refused(), 0);
                    for (series, time, value) in rows {
                        let of_series = expected.entry((*labels(series)).clone()).or_default();
                        of_series.entry(time).or_insert(value.to_bits());
                    }
                }
                Step::Seal => store.seal().unwrap(),
                Step::Merge => store.merge(),
                Step::Crash => {
                    let next = folder.path().join((number + 1).to_string());
                    copy(&dir, &next);
                    drop(store);
                    dir = next;
                    store = open(&dir);
                }
            }
        }
        let start = 20_000 * DAY - 2 * HOUR + from * 60_000_000_000;
        for window in [Window::ALL, Window { start, end: start + long * 60_000_000_000 }] {
            let regex = |name: &str, pattern: &str| {
                Matcher { name: name.into(), op: MatchOp::Regex(regex::Regex::new(pattern).unwrap()) }
            };
            let unequal = |name: &str, value: &str| Matcher { name: name.into(), op: MatchOp::NotEqual(value.into()) };
            for matchers in [
                vec![],
                vec![Matcher::equal("job", "j1")],
                vec![unequal("job", "j0"), regex("__name__", "^m[12]$")],
                vec![regex("job", "^(j0|)$"), unequal("no_such", "x")],
                vec![Matcher::equal("__name__", "m1"), Matcher::equal("no_such", "")],
            ] {
                let wanted = |labels: &&Labels| matchers.iter().all(|m| m.matches(labels));
                let naive: Found = expected.iter().filter(|(labels, _)| wanted(labels)).map(|(labels, samples)| {
                    (labels.clone(), samples.iter().filter(|(t, _)| window.contains(**t)).map(|(t, v)| (*t, *v)).collect::<Vec<_>>())
                }).filter(|(_, samples)| !samples.is_empty()).collect();
                let found = found(&store, &matchers, window);
                for (labels, expected) in &naive {
                    let got = found.get(labels).cloned().unwrap_or_default();
                    let missing: Vec<_> = expected.iter().filter(|s| !got.contains(s)).collect();
                    let surplus: Vec<_> = got.iter().filter(|s| !expected.contains(s)).collect();
                    prop_assert!(got == *expected, "{labels:?}: {missing:?} are missing, {surplus:?} should not be there of {}", got.len());
                }
                prop_assert_eq!(found.len(), naive.len());
            }
        }
    }
}

#[test]
fn late_samples_are_refused_and_repeats_are_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    let base = 20_000 * DAY;
    assert_eq!(store.append(batch(&[(0, base + 2 * HOUR, 1.0)])).unwrap(), LeftOut::default());
    let rows = [(0, base + HOUR - 1, 2.0), (0, base + HOUR, 3.0), (0, base + 2 * HOUR, 1.0), (1, base, 4.0)];
    let left_out = store.append(batch(&rows)).unwrap();
    assert_eq!((left_out.late, left_out.over_limit, left_out.repeats), (1, 0, 1));
    assert!(left_out.reason.contains("1 samples are older"), "{}", left_out.reason);
    let all = found(&store, &[Matcher::equal("__name__", "m0")], Window::ALL);
    let times: Vec<u64> = all.values().flatten().map(|(time, _)| time - base).collect();
    assert_eq!(times, [HOUR, 2 * HOUR]);
    assert_eq!(store.stats().metrics.records, 3);
}

#[test]
fn new_series_over_the_limit_are_refused_and_the_label_that_explodes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let samples = SampleOptions { max_series: 10, ..SampleOptions::default() };
    let store = Store::open(StoreOptions { samples, ..options(folder.path()) }).unwrap();
    let of = |number: u64, time: u64| {
        let labels = Labels::new([
            ("__name__", "m".to_owned()),
            ("user", number.to_string()),
            ("app", (number % 2).to_string()),
        ]);
        let samples = vec![SampleRow { time, value: 1.0, ..SampleRow::default() }];
        let metrics = MetricBatch { series: vec![Arc::new(labels)], samples, ..MetricBatch::default() };
        Arc::new(Batch { metrics, ..Batch::default() })
    };
    for number in 0..10 {
        assert_eq!(store.append(of(number, DAY)).unwrap().refused(), 0);
    }
    let left_out = store.append(of(10, DAY)).unwrap();
    assert_eq!((left_out.over_limit, left_out.late), (1, 0));
    assert!(left_out.reason.contains("user (10), app (2), __name__ (1)"), "{}", left_out.reason);
    // A series that is known is still taken.
    assert_eq!(store.append(of(3, DAY + 1)).unwrap().refused(), 0);
    let statistics = store.series_statistics();
    assert_eq!((statistics.series, statistics.max_series, statistics.label_pairs), (10, 10, 13));
    assert_eq!(statistics.values_by_label[0], ("user".to_owned(), 10));
    assert_eq!(statistics.series_by_metric, [("m".to_owned(), 10)]);
    assert_eq!(statistics.series_by_pair[..2], [("__name__=m".to_owned(), 10), ("app=0".to_owned(), 5)]);
    assert_eq!(store.values_by_label(1), [("user".to_owned(), 10)]);
}

#[test]
fn what_is_made_here_has_room_of_its_own_when_senders_have_taken_all() {
    let folder = tempfile::tempdir().unwrap();
    let samples = SampleOptions { max_series: 10, reserved: 2, ..SampleOptions::default() };
    let open = || Store::open(StoreOptions { samples, ..options(folder.path()) }).unwrap();
    let store = open();
    let of = |name: &str, number: u64, made: bool| {
        let labels = Labels::new([("__name__", name.to_owned()), ("user", number.to_string())]);
        let samples = vec![SampleRow { time: DAY, value: 1.0, ..SampleRow::default() }];
        let metrics = MetricBatch { series: vec![Arc::new(labels)], samples, made, ..MetricBatch::default() };
        Arc::new(Batch { metrics, ..Batch::default() })
    };
    let taken = |store: &Store, name: &str, numbers: std::ops::Range<u64>, made: bool| {
        numbers.filter(|number| store.append(of(name, *number, made)).unwrap().refused() == 0).count()
    };
    assert_eq!(taken(&store, "m", 0..15, false), 10);
    assert_eq!(taken(&store, "traces_spanmetrics_calls_total", 0..5, true), 2, "it is bounded as well");
    assert_eq!(
        store.append(of("m", 99, false)).unwrap().reason.split(',').next(),
        Some("1 samples of new series: there are 10 series already")
    );
    drop(store);
    // Senders have neither more nor less room after a restart.
    let store = open();
    assert_eq!((store.stats().active_series, taken(&store, "n", 0..3, false)), (10, 0));
}

#[test]
fn a_crash_at_any_step_of_sealing_loses_and_doubles_no_samples() {
    let folder = tempfile::tempdir().unwrap();
    let [now, before, after] = ["now", "before", "after"].map(|name| folder.path().join(name));
    let rows: Vec<(u8, u64, f64)> =
        (0..200).map(|n| ((n % 7) as u8, 20_000 * DAY - HOUR + n * 60_000_000_000, n as f64)).collect();
    let store = Store::open(options(&now)).unwrap();
    for part in rows.chunks(50) {
        store.append(batch(part)).unwrap();
    }
    let expected = found(&store, &[], Window::ALL);
    copy(&now, &before);
    store.seal().unwrap();
    copy(&now, &after);
    drop(store);
    let files = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("samples")).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        files
    };
    let new = files(&after);
    assert_eq!(new.len(), 2, "one a day");
    for written in 0..=new.len() {
        let crashed = folder.path().join(format!("crashed{written}"));
        copy(&before, &crashed);
        for file in &new[..written] {
            std::fs::copy(file, crashed.join("samples").join(file.file_name().unwrap())).unwrap();
        }
        std::fs::write(crashed.join("samples/metrics-20000-00000009-00000009.tmp"), b"tfsegmt").unwrap();
        for _ in 0..2 {
            let store = Store::open(options(&crashed)).unwrap();
            assert_eq!(found(&store, &[], Window::ALL), expected, "{written} written");
            store.seal().unwrap();
            assert_eq!(found(&store, &[], Window::ALL), expected, "{written} written, and sealed");
        }
    }
    // A journal that is still there does not double what its segments have.
    let journal = std::fs::read_dir(before.join("samples/journal")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(after.join("samples/journal").join(journal.file_name().unwrap())).ok();
    let store = Store::open(options(&after)).unwrap();
    assert_eq!(found(&store, &[], Window::ALL), expected);
}

#[test]
fn a_damaged_record_costs_its_own_samples_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    for n in 0..10 {
        // Each names a series of its own.
        store.append(batch(&[(n, DAY + u64::from(n), 1.0)])).unwrap();
    }
    store.close();
    drop(store);
    let journal = std::fs::read_dir(folder.path().join("samples/journal")).unwrap().next().unwrap().unwrap();
    let mut bytes = std::fs::read(journal.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(journal.path(), bytes).unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    assert_eq!(found(&store, &[], Window::ALL).len(), 9);
    assert_eq!(store.stats().damaged, 1);
}

#[test]
fn retention_drops_old_samples_and_families_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let age = Some(Duration::from_hours(48));
    let retention = Retention { metrics: Keep { age, bytes: None }, ..Retention::default() };
    let store = Store::open(StoreOptions { retention, ..options(folder.path()) }).unwrap();
    let said = MetricMeta {
        name: "m0".into(),
        kind: MetricKind::Counter,
        help: "h".into(),
        ..MetricMeta::default()
    };
    for day in [100, 200] {
        let mut batch = Arc::unwrap_or_clone(batch(&[(0, day * DAY, 1.0)]));
        batch.metrics.families = vec![said.clone(), said.clone()];
        store.append(Arc::new(batch)).unwrap();
        store.seal().unwrap();
        assert_eq!(store.metadata().unwrap(), std::slice::from_ref(&said));
    }
    assert_eq!((store.stats().metrics.segments, store.stats().metrics.records), (2, 2));
    crate::retention::enforce(store.inner(), 201 * DAY).unwrap();
    let all = found(&store, &[], Window::ALL);
    assert_eq!(all.values().flatten().map(|(time, _)| time / DAY).collect::<Vec<_>>(), [200]);
    assert_eq!(store.stats().metrics.segments, 1);
}

#[test]
fn a_segment_gives_the_names_and_values_of_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    // More than one page of series and of values.
    let mut metrics = MetricBatch::default();
    for n in 0..3000u32 {
        let pairs =
            [("__name__", format!("m{}", n % 5)), ("id", format!("a rather long value {n:04} of a label"))];
        metrics.series.push(Arc::new(Labels::new(pairs)));
        metrics.samples.push(SampleRow { time: DAY + u64::from(n), series: n, ..SampleRow::default() });
    }
    store.append(Arc::new(Batch { metrics, ..Batch::default() })).unwrap();
    let head = |store: &Store| {
        let named = vec![vec![Matcher::equal("__name__", "m3")]];
        let some = Window { start: DAY + 10, end: DAY + 20 };
        (
            store.label_names(&[], Window::ALL).unwrap(),
            store.label_values("id", &[], Window::ALL).unwrap(),
            store.label_values("id", &named, Window::ALL).unwrap(),
            store.label_values("id", &[], some).unwrap(),
            store.label_sets(&named, some).unwrap(),
            found(store, &named[0], Window::ALL),
            found(store, &[Matcher::equal("id", "a rather long value 2999 of a label")], Window::ALL),
        )
    };
    let before = head(&store);
    assert_eq!((before.1.len(), before.2.len(), before.3.len(), before.4.len()), (3000, 600, 10, 2));
    store.seal().unwrap();
    assert_eq!(head(&store), before);
}
