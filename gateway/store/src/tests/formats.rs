//! Data directories that released versions wrote are still read. `TREFOIL_WRITE_FIXTURES=1 cargo test -p store formats` writes
//! the directory of the newest version anew, for a change of the format that goes with a new version number.

use super::*;
use crate::read::{SampleLimits, SampleRead};

use crate::read::Signal;
use crate::segment::Section;

/// The newest, and the only one that is ever written.
const NEWEST: &str = "v2";

fn write(to: &Path) {
    let retention = Retention { logs: Keep { bytes: Some(0), ..Keep::default() }, ..Retention::default() };
    let store = Store::open(StoreOptions { retention, ..options(to) }).unwrap();
    let mut old = logs(0, 4);
    old.rows.iter_mut().for_each(|r| r.trace = 7);
    store.append(Arc::new(Batch { logs: old, ..Batch::default() })).unwrap();
    store.seal().unwrap();
    crate::retention::enforce(store.inner(), DAY).unwrap();
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
    is_read(NEWEST);
}

#[test]
fn the_newest_fixture_has_all_that_a_segment_may_hold() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(NEWEST), dir.path());
    let store = open(dir.path());
    let segments = store.inner().view.read().unwrap().segments.clone();
    for (signal, sections) in [
        (Signal::Logs, &[Section::Texts][..]),
        (Signal::Traces, &[Section::SpanStatistics, Section::SpanBlocks, Section::Calls, Section::SpanTimes]),
    ] {
        let segment = segments.iter().find(|segment| segment.name.signal == signal).unwrap();
        for section in sections {
            assert!(segment.part(*section, 0).is_some(), "{section:?}");
        }
    }
}
