//! What is known of the texts in blocks only saves reading: scans find the same lines with it, without it and where it is damaged.

use super::*;
use crate::codec::Input;
use crate::merge::FAN_IN;
use crate::read::{Mention, ScanReport, Signal};
use crate::segment::Section;

/// An id that some lines speak of, which are not of its trace.
const OTHER: &str = "0123456789abcdeffedcba9876543210";

/// Lines of several blocks in each of some segments; of each segment one line has a word that no other has, one speaks of
/// another trace, and one is of it.
fn store(dir: &Path) -> Store {
    let store = open(dir);
    for segment in 0..FAN_IN as u64 {
        let mut logs = logs(segment * 600, 600);
        for (number, row) in logs.rows.iter_mut().enumerate() {
            let mut line = row.line.of(&logs.text).to_vec();
            line.extend((0..40).flat_map(|word| format!(" item{word}=ok").into_bytes()));
            match number {
                20 => line.extend(format!(" zeppelin{segment}").into_bytes()),
                30 => line.extend(format!(" after {OTHER}.").into_bytes()),
                40 => {
                    row.trace = u128::from_str_radix(OTHER, 16).unwrap();
                    line.extend(format!(" of {OTHER}").into_bytes());
                }
                50 => row.trace = u128::from_str_radix(OTHER, 16).unwrap(),
                _ => {}
            }
            row.line =
                ByteRange { start: logs.text.len() as u32, end: (logs.text.len() + line.len()) as u32 };
            logs.text.extend(line);
        }
        store.append(Arc::new(Batch { logs, ..Batch::default() })).unwrap();
        store.seal().unwrap();
    }
    store
}

fn find(store: &Store, contains: &[&str], mentions: Option<&str>) -> (Vec<LogRecord>, ScanReport) {
    let select = LogSelect {
        matchers: Vec::new(),
        window: Window::ALL,
        direction: Direction::Forward,
        trace: None,
        contains: contains.iter().map(|text| text.as_bytes().to_vec()).collect(),
        mentions: mentions.map(|id| Mention {
            trace: TraceId::from_hex(id.as_bytes()).unwrap(),
            texts: vec![id.as_bytes().to_vec()],
        }),
    };
    let mut found = Vec::new();
    let report = store.scan_logs(&select, &mut |record| {
        found.push(record);
        ControlFlow::Continue(())
    });
    (found, report.unwrap())
}

const ALL: u64 = 600 * FAN_IN as u64;

/// The questions, with what they find and whether blocks are passed over for them.
fn check(store: &Store, passed_over: bool) {
    for (contains, mentions, expected, few) in [
        (vec!["zeppelin3"], None, 1, true),
        (vec!["zeppelin"], None, FAN_IN, true),
        (vec!["zeppelin", " item7="], None, FAN_IN, true),
        (vec!["zeppelin", "zeppelin4"], None, 1, true),
        (vec!["submarine"], None, 0, true),
        (vec![OTHER], None, 2 * FAN_IN, true),
        (vec![&OTHER[2..29]], None, 2 * FAN_IN, false),
        (vec![], Some(OTHER), 3 * FAN_IN, true),
        (vec![], Some("00000000000000000000000000000abc"), 0, true),
        (vec!["ok"], None, ALL as usize, false),
    ] {
        let (found, report) = find(store, &contains, mentions);
        assert_eq!(found.len(), expected, "{contains:?} {mentions:?}");
        if few {
            assert_eq!(report.records < ALL, passed_over, "{contains:?} {mentions:?}: {report:?}");
        }
    }
}

#[test]
fn a_rare_word_and_an_id_are_looked_for_only_where_they_may_be() {
    let dir = tempfile::tempdir().unwrap();
    check(&store(dir.path()), true);
    check(&open(dir.path()), true);
}

#[test]
fn a_merge_keeps_what_is_known_of_texts() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    store.merge();
    assert_eq!(store.stats().logs.segments, 1);
    check(&store, true);
}

#[test]
fn damage_to_it_costs_only_reading() {
    let dir = tempfile::tempdir().unwrap();
    let segments: Vec<_> = {
        let store = store(dir.path());
        let view = store.inner().view.read().unwrap();
        view.segments.iter().filter(|s| s.name.signal == Signal::Logs).cloned().collect()
    };
    for segment in segments {
        let head = segment.section(Section::Texts).unwrap().unwrap();
        let offset = Input::new(&head).varint().unwrap() as usize;
        let mut bytes = std::fs::read(&segment.path).unwrap();
        // The first page of its rows, and some more.
        bytes[offset..offset + 2048].fill(0);
        std::fs::write(&segment.path, bytes).unwrap();
    }
    let store = open(dir.path());
    assert_eq!(find(&store, &["zeppelin3"], None).0.len(), 1);
    assert_eq!(find(&store, &[OTHER], None).0.len(), 2 * FAN_IN);
    store.merge();
    assert_eq!(find(&store, &["zeppelin3"], None).0.len(), 1);
    assert_eq!(find(&store, &[OTHER], None).0.len(), 2 * FAN_IN);
}
