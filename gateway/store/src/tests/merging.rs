//! Merging changes which files there are, and nothing that can be read of them.

use std::collections::BTreeSet;

use super::*;
use crate::merge::FAN_IN;
use crate::read::{SampleLimits, SampleRead, SeriesSamples};

/// As many segments of each signal as one merge takes, of neighbouring records.
fn segments(dir: &Path) -> Store {
    let store = open(dir);
    for i in 0..FAN_IN as u64 {
        store.append(batch(i * 20, 20)).unwrap();
        store.seal().unwrap();
    }
    store
}

type Measured = (u64, u64, Option<f64>);

/// Numbers by their times, then the counts of histograms by theirs.
fn samples(store: &Store) -> Vec<Measured> {
    let limits = SampleLimits { series: 10, samples: 1_000_000 };
    let found = store.select(&[], Window::ALL, limits).unwrap();
    let of_series = |s: &SeriesSamples| {
        let numbers = s.samples.iter().map(|s| (s.time, s.value.to_bits(), None));
        let histograms = s.histograms.iter().map(|(time, h)| (*time, 0, Some(h.count)));
        numbers.chain(histograms).collect::<Vec<_>>()
    };
    found.iter().flat_map(of_series).collect()
}

#[test]
fn merged_segments_answer_as_their_parts_did_and_are_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let store = segments(dir.path());
    let before = expect(&store, 160);
    let all_samples = samples(&store);
    assert_eq!((all_samples.len(), files(&dir.path().join("samples")).len()), (160, FAN_IN + 1));
    assert_eq!(files(&dir.path().join("segments")).len(), 3 * FAN_IN);
    store.merge();
    assert_eq!(expect(&store, 160), before);
    assert_eq!((samples(&store), files(&dir.path().join("samples")).len()), (all_samples, 2));
    assert_eq!(files(&dir.path().join("segments")).len(), 3);
    let stats = store.stats();
    assert_eq!((stats.logs.segments, stats.logs.records, stats.traces.records), (1, 160, 160));
    drop(store);
    assert_eq!(expect(&open(dir.path()), 160), before);
}

#[test]
fn large_log_blocks_are_carried_over_and_still_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..FAN_IN as u64 {
        store.append(Arc::new(Batch { logs: logs(i * 2000, 2000), ..Batch::default() })).unwrap();
        store.seal().unwrap();
    }
    let (before, of_trace) = (scan(&store, Direction::Forward), look_up(&store, TRACE).logs);
    store.merge();
    assert_eq!(store.stats().logs.segments, 1);
    assert_eq!(scan(&store, Direction::Forward), before);
    assert_eq!(look_up(&store, TRACE).logs, of_trace);
    assert_eq!(before.len(), 2000 * FAN_IN);
}

#[test]
fn a_crash_at_any_step_of_merging_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (before, crashed) = (dir.path().join("before"), dir.path().join("crashed"));
    let store = segments(&dir.path().join("now"));
    let expected = expect(&store, 160);
    copy(&dir.path().join("now"), &before);
    store.merge();
    let merged = files(&dir.path().join("now/segments"));
    let parts = files(&before.join("segments"));
    // The merged files appear one by one, each before its parts go.
    for file in &merged {
        let name = file.file_name().unwrap().to_str().unwrap();
        let signal = name.split('-').next().unwrap();
        let of_signal: Vec<_> =
            parts.iter().filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(signal)).collect();
        for gone in 0..=of_signal.len() {
            copy(&before, &crashed);
            std::fs::copy(file, crashed.join("segments").join(name)).unwrap();
            for part in of_signal.iter().take(gone) {
                std::fs::remove_file(crashed.join("segments").join(part.file_name().unwrap())).unwrap();
            }
            assert_eq!(expect(&open(&crashed), 160), expected);
            std::fs::remove_dir_all(&crashed).unwrap();
        }
        // A merged file that turns out damaged gives way to its parts, which are still there.
        copy(&before, &crashed);
        std::fs::write(crashed.join("segments").join(name), b"tfsegmt\x01 and nothing after").unwrap();
        let store = open(&crashed);
        assert_eq!(expect(&store, 160), expected);
        assert_eq!(store.stats().damaged, 1);
        drop(store);
        std::fs::remove_dir_all(&crashed).unwrap();
    }
}

#[test]
fn a_segment_with_a_damaged_block_is_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    drop(segments(dir.path()));
    let file = dir.path().join("segments/logs-20370-00000003-00000003.tfs");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let store = open(dir.path());
    let before = scan(&store, Direction::Forward);
    store.merge();
    assert_eq!(scan(&store, Direction::Forward), before);
    assert_eq!(store.stats().logs.segments, FAN_IN as u64);
    assert_eq!(store.stats().traces.segments, 1);
}

#[test]
fn days_are_never_merged_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..FAN_IN as u64 {
        let mut logs = logs(i * 10, 10);
        logs.rows.iter_mut().for_each(|r| r.time += (r.offset / 100 % 2) * 86_400_000_000_000);
        store.append(Arc::new(Batch { logs, ..Batch::default() })).unwrap();
        store.seal().unwrap();
    }
    store.merge();
    let view = store.inner().view.read().unwrap();
    let days: BTreeSet<u64> = view.segments.iter().map(|s| s.name.day).collect();
    assert_eq!((view.segments.len(), days.len()), (2, 2));
}
