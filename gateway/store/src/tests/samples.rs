//! Samples are read by series, wherever they lie.

use std::sync::Arc;

use parsers::record::{
    Batch, ByteRange, Labels, MetricBatch, MetricKind, MetricMeta, NativeHistogram, SampleRow,
};

use crate::read::{Matcher, ReadError, SampleLimits, SampleRead, Window};
use crate::{Store, StoreOptions};

const ALL: SampleLimits = SampleLimits { series: 100, samples: 1000 };

/// Samples of a series at these times, each with its time as value, less an offset.
fn samples(job: &str, times: &[u64], less: f64) -> Arc<Batch> {
    let labels = Labels::new([("__name__", "up"), ("job", job)]);
    let mut metrics = MetricBatch { series: vec![Arc::new(labels)], ..MetricBatch::default() };
    for time in times {
        metrics.samples.push(SampleRow { time: *time, value: *time as f64 - less, ..SampleRow::default() });
    }
    let meta = MetricMeta { name: "up".to_owned(), kind: MetricKind::Gauge, ..MetricMeta::default() };
    metrics.families.push(meta);
    Arc::new(Batch { metrics, ..Batch::default() })
}

fn filled() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    store.append(samples("a", &[10, 30], 0.0)).unwrap();
    store.append(samples("b", &[15], 0.0)).unwrap();
    store.seal().unwrap();
    // Late, and sent twice: what was there first stays.
    store.append(samples("a", &[20, 30, 40], 0.5)).unwrap();
    (folder, store)
}

fn values(store: &Store, job: &str, window: Window) -> Vec<(u64, f64)> {
    let found = store.select(&[Matcher::equal("job", job)], window, ALL).unwrap();
    found.iter().flat_map(|series| series.samples.iter().map(|s| (s.time, s.value))).collect()
}

#[test]
fn a_series_is_one_wherever_its_samples_lie() {
    let (_folder, store) = filled();
    assert_eq!(values(&store, "a", Window::ALL), [(10, 10.0), (20, 19.5), (30, 30.0), (40, 39.5)]);
    assert_eq!(values(&store, "a", Window { start: 20, end: 40 }), [(20, 19.5), (30, 30.0)]);
    assert_eq!(values(&store, "b", Window { start: 16, end: 40 }), []);
    let all = store.select(&[Matcher::equal("__name__", "up")], Window::ALL, ALL).unwrap();
    let jobs: Vec<_> = all.iter().map(|series| series.labels.get("job").unwrap()).collect();
    assert_eq!(jobs, ["a", "b"]);
}

#[test]
fn more_than_may_be_held_is_an_error() {
    let (_folder, store) = filled();
    for (limits, expected) in
        [(SampleLimits { series: 1, ..ALL }, "series"), (SampleLimits { samples: 3, ..ALL }, "samples")]
    {
        let error = store.select(&[], Window::ALL, limits).unwrap_err();
        assert!(matches!(error, ReadError::TooMany { what, .. } if what == expected), "{error}");
    }
}

#[test]
fn labels_are_those_of_series_in_the_window() {
    let (_folder, store) = filled();
    assert_eq!(store.label_names(&[], Window::ALL).unwrap(), ["__name__", "job"]);
    assert_eq!(store.label_values("job", &[], Window::ALL).unwrap(), ["a", "b"]);
    assert_eq!(store.label_values("job", &[], Window { start: 16, end: 100 }).unwrap(), ["a"]);
    let selectors = [vec![Matcher::equal("job", "b")], vec![Matcher::equal("job", "c")]];
    assert_eq!(store.label_values("job", &selectors, Window::ALL).unwrap(), ["b"]);
    assert_eq!(store.label_sets(&selectors, Window::ALL).unwrap().len(), 1);
}

#[test]
fn what_was_said_of_a_family_is_told_once() {
    let (_folder, store) = filled();
    let said = store.metadata().unwrap();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].name.as_str(), said[0].kind), ("up", MetricKind::Gauge));
}

#[test]
fn native_histograms_come_whole() {
    let (_folder, store) = filled();
    let histogram = NativeHistogram {
        count: 3.0,
        sum: 4.5,
        positive: vec![(1, 2.0), (4, 1.0)],
        ..NativeHistogram::default()
    };
    let mut metrics =
        MetricBatch { series: vec![Arc::new(Labels::new([("__name__", "h")]))], ..MetricBatch::default() };
    histogram.encode(&mut metrics.meta);
    let range = ByteRange { start: 0, end: metrics.meta.len() as u32 };
    metrics.samples.push(SampleRow { time: 5, value: 3.0, histogram: range, ..SampleRow::default() });
    store.append(Arc::new(Batch { metrics, ..Batch::default() })).unwrap();
    for _ in 0..2 {
        let found = store.select(&[Matcher::equal("__name__", "h")], Window::ALL, ALL).unwrap();
        assert_eq!(found[0].histograms, [(5, Arc::new(histogram.clone()))]);
        assert!(found[0].samples.is_empty());
        store.seal().unwrap();
    }
}
