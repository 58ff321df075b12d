//! Whole segments go by age and bytes, and what went is remembered.

use super::*;
use crate::read::{Fate, Signal};
use crate::retention::enforce;
use std::time::Duration;

const HOUR: u64 = 3_600_000_000_000;

/// One day a segment, each of ten records.
fn days(dir: &Path, retention: Retention, count: u64) -> Store {
    let store = Store::open(StoreOptions { retention, ..options(dir) }).unwrap();
    for day in 0..count {
        let mut batch = Batch::clone(&batch(day * 10, 10));
        let later = day * 24 * HOUR;
        batch.logs.rows.iter_mut().for_each(|r| r.time += later);
        batch.metrics.exemplars.iter_mut().for_each(|e| e.time += later);
        batch.metrics.samples.iter_mut().for_each(|s| s.time += later);
        batch.spans = SpanBatch::default();
        // Each day has a trace of its own.
        batch.logs.rows.iter_mut().for_each(|r| r.trace = TRACE + 100 + u128::from(day));
        store.append(Arc::new(batch)).unwrap();
        store.seal().unwrap();
    }
    store
}

fn keep(age: Option<u64>, bytes: Option<u64>) -> Keep {
    Keep { age: age.map(|days| Duration::from_hours(24 * days)), bytes }
}

fn days_with(store: &Store, signal: Signal) -> Vec<u64> {
    let view = store.inner().view.read().unwrap();
    view.segments.iter().filter(|s| s.name.signal == signal).map(|s| s.name.day - DAY / (24 * HOUR)).collect()
}

#[test]
fn each_signal_goes_by_its_own_age() {
    let dir = tempfile::tempdir().unwrap();
    let retention =
        Retention { logs: keep(Some(2), None), metrics: keep(Some(4), None), ..Retention::default() };
    let store = days(dir.path(), retention, 6);
    enforce(store.inner(), DAY + 6 * 24 * HOUR).unwrap();
    assert_eq!(days_with(&store, Signal::Logs), [4, 5]);
    assert_eq!(days_with(&store, Signal::Metrics), [2, 3, 4, 5]);
    drop(store);
    let store = Store::open(options(dir.path())).unwrap();
    assert_eq!(scan(&store, Direction::Forward).len(), 20);
    assert_eq!(store.positions("a"), vec![position(6000)]);
}

#[test]
fn the_oldest_go_when_a_signal_or_all_take_too_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = days(dir.path(), Retention::default(), 4);
    let stats = store.stats();
    let (logs, all) = (stats.logs.bytes, stats.logs.bytes + stats.metrics.bytes);
    drop(store);
    let retention = Retention { logs: keep(None, Some(logs - 1)), ..Retention::default() };
    let store = Store::open(StoreOptions { retention, ..options(dir.path()) }).unwrap();
    enforce(store.inner(), DAY).unwrap();
    assert_eq!(
        (days_with(&store, Signal::Logs), days_with(&store, Signal::Metrics).len()),
        (vec![1, 2, 3], 4)
    );
    drop(store);
    let retention = Retention { max_bytes: Some(all / 2), ..Retention::default() };
    let store = Store::open(StoreOptions { retention, ..options(dir.path()) }).unwrap();
    enforce(store.inner(), DAY).unwrap();
    let stats = store.stats();
    assert!(stats.logs.bytes + stats.metrics.bytes <= all / 2);
    assert!(days_with(&store, Signal::Logs).ends_with(&[3]));
}

#[test]
fn a_dropped_trace_is_told_from_one_that_was_never_seen_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { logs: keep(Some(1), None), ..Retention::default() };
    let store = days(dir.path(), retention, 3);
    enforce(store.inner(), DAY + 3 * 24 * HOUR).unwrap();
    let check = |store: &Store| {
        for day in 0..2u64 {
            let newest = DAY + day * 24 * HOUR + (day * 10 + 9) * 1000;
            let fate = Fate::Expired { signal: Signal::Logs, newest };
            assert_eq!(look_up(store, TRACE + 100 + u128::from(day)).fates, std::slice::from_ref(&fate));
            // The low half is all that a 64-bit library would have logged.
            assert_eq!(look_up(store, u128::from((TRACE + 100 + u128::from(day)) as u64)).fates, [fate]);
        }
        let kept = look_up(store, TRACE + 102);
        assert_eq!((kept.logs.len(), kept.fates), (10, vec![]));
        assert_eq!(look_up(store, TRACE + 103).fates, []);
    };
    check(&store);
    drop(store);
    check(&Store::open(options(dir.path())).unwrap());
}

#[test]
fn a_crash_between_remembering_and_dropping_says_nothing_false() {
    let dir = tempfile::tempdir().unwrap();
    let store = days(dir.path(), Retention::default(), 2);
    let segment = Arc::clone(&store.inner().view.read().unwrap().segments[0]);
    expired::keep(&dir.path().join(expired::FOLDER), &segment).unwrap().unwrap();
    drop(store);
    let store = Store::open(options(dir.path())).unwrap();
    assert_eq!(look_up(&store, TRACE + 100).logs.len(), 10);
    assert_eq!(look_up(&store, TRACE + 100).fates, []);
    assert_eq!(files(&dir.path().join(expired::FOLDER)), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_is_remembered_of_dropped_segments_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = days(dir.path(), Retention::default(), 1);
    let one = Arc::clone(&store.inner().view.read().unwrap().segments[0]);
    let many = vec![one; expired::MAX_FILES + 3];
    assert_eq!(expired::surplus(&many).len(), 3);
    assert_eq!(expired::surplus(&many[..expired::MAX_FILES]).len(), 0);
}
