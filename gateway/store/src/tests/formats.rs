//! Data directories that released versions wrote are still read. `TREFOIL_WRITE_FIXTURES=1 cargo test -p store formats` writes
//! the directory of the newest version anew, for a change of the format that goes with a new version number.

use super::*;
use crate::merge;
use crate::read::{SampleLimits, SampleRead, SeriesSamples};

use crate::read::Signal;
use crate::segment::{self, Dropped, Name, Section, Segment};

/// The newest, and the only one that is ever written.
const NEWEST: &str = "v3";

fn write(to: &Path) {
    let retention = Retention { logs: Keep { bytes: Some(0), ..Keep::default() }, ..Retention::default() };
    let store = Store::open(StoreOptions { retention, ..options(to) }).unwrap();
    let mut old = logs(0, 4);
    old.rows.iter_mut().for_each(|r| r.trace = 7);
    store.append(Arc::new(Batch { logs: old, ..Batch::default() })).unwrap();
    store.seal().unwrap();
    crate::retention::enforce(store.inner(), DAY).unwrap();
    drop(store);
    // What follows stays, however long it takes.
    let store = open(to);
    store.append(batch(0, 20)).unwrap();
    store.seal().unwrap();
    store.append(batch(20, 20)).unwrap();
}

fn is_read(version: &str) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version);
    let dir = tempfile::tempdir().unwrap();
    let (now, then) = (dir.path().join("now"), dir.path().join("then"));
    write(&now);
    if version == NEWEST && std::env::var_os("TREFOIL_WRITE_FIXTURES").is_some() {
        let _ = std::fs::remove_dir_all(&fixture);
        copy(&now, &fixture);
    }
    copy(&fixture, &then);
    let (then, now) = (open(&then), open(&now));
    assert_eq!(expect(&then, 40), expect(&now, 40));
    let samples = |store: &Store| -> Vec<(Vec<(u64, u64)>, usize)> {
        let limits = SampleLimits { series: 10, samples: 100_000 };
        let found = store.select(&[], Window::ALL, limits).unwrap();
        found
            .iter()
            .map(|s| (s.samples.iter().map(|s| (s.time, s.value.to_bits())).collect(), s.histograms.len()))
            .collect()
    };
    assert_eq!(samples(&then), samples(&now));
    assert_eq!(then.metadata().unwrap(), now.metadata().unwrap());
    assert_eq!(look_up(&then, 7).fates.len(), 1);
}

#[test]
fn version_1_is_read() {
    is_read("v1");
}

#[test]
fn version_2_is_read() {
    is_read("v2");
}

#[test]
fn version_3_is_read() {
    is_read(NEWEST);
}

#[test]
fn samples_of_version_1_are_in_the_newest_form_when_their_segments_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let [path, crashed] = ["now", "crashed"].map(|name| dir.path().join(name));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1"), &path);
    let store = open(&path);
    let all = |store: &Store| {
        let limits = SampleLimits { series: 10, samples: 100_000 };
        let of = |found: Vec<SeriesSamples>| -> Vec<_> {
            found.into_iter().map(|s| (s.labels, s.samples, s.histograms)).collect()
        };
        (of(store.select(&[], Window::ALL, limits).unwrap()), store.metadata().unwrap(), expect(store, 40))
    };
    let old = |store: &Store| -> Vec<_> {
        let segments = store.inner().view.read().unwrap().segments.clone();
        segments.into_iter().filter(|segment| segment.may_have_samples()).collect()
    };
    let before = all(&store);
    let group = old(&store);
    assert_eq!((group.len(), before.0.is_empty()), (1, false));
    merge::move_samples(store.inner(), &group).unwrap();
    copy(&path, &crashed);
    merge::merge_group(store.inner(), &group).unwrap();
    assert!(old(&store).is_empty(), "nothing is in the old form");
    assert_eq!(all(&store), before);
    store.seal().unwrap();
    assert_eq!(all(&store), before);
    drop(store);
    assert_eq!(all(&open(&path)), before);
    // A crash between both steps leaves the samples in both places, where they count once, and the merge is done again.
    let store = open(&crashed);
    assert_eq!(all(&store), before);
    merge::merge_group(store.inner(), &old(&store)).unwrap();
    assert_eq!(all(&store), before);
    assert!(old(&store).is_empty());
}

#[test]
fn what_earlier_versions_wrote_is_carried_over_by_a_merge() {
    for version in ["v1", "v2"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version), dir.path());
        let store = open(dir.path());
        let before = scan(&store, Direction::Forward);
        let segments = store.inner().view.read().unwrap().segments.clone();
        let logs: Vec<_> = segments.into_iter().filter(|s| s.name.signal == Signal::Logs).collect();
        let (name, _) = segment::merge(&dir.path().join("segments"), &logs, &Dropped::default()).unwrap();
        let path = name.unwrap().path(&dir.path().join("segments"), Name::SEGMENT);
        assert!(Segment::open(&path, name.unwrap()).unwrap().unwrap().log_table().unwrap().is_some());
        drop((logs, store));
        assert_eq!(scan(&open(dir.path()), Direction::Forward), before);
    }
}

#[test]
fn the_newest_fixture_has_all_that_a_segment_may_hold() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(NEWEST), dir.path());
    let store = open(dir.path());
    let segments = store.inner().view.read().unwrap().segments.clone();
    for (signal, sections) in [
        (Signal::Logs, &[Section::Texts, Section::LogTable][..]),
        (Signal::Traces, &[Section::SpanStatistics, Section::SpanBlocks, Section::Calls, Section::SpanTimes]),
    ] {
        let segment = segments.iter().find(|segment| segment.name.signal == signal).unwrap();
        for section in sections {
            assert!(segment.part(*section, 0).is_some(), "{section:?}");
        }
    }
}
