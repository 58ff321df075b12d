//! Lent records and tallies are what a scan of owned records finds, in the head, in segments and in both.

use super::*;
use crate::read::{LogView, LogVisit, ScanReport};

/// Time, line, metadata and trace.
type Copy = (u64, Vec<u8>, Vec<(String, String)>, Option<TraceId>);

/// Owned copies of what is lent, up to a number.
#[derive(Default)]
struct Copies {
    records: Vec<Copy>,
    most: Option<usize>,
    told: Vec<u64>,
}

impl LogVisit for Copies {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        let metadata = view.metadata().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.records.push((view.time, view.line.to_vec(), metadata.collect(), view.trace_id));
        if self.most == Some(self.records.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        self.told.push(so_far.records);
        ControlFlow::Continue(())
    }
}

/// Half of the records sealed, half of them not.
fn half_sealed(dir: &Path) -> Store {
    let store = open(dir);
    store.append(batch(0, 400)).unwrap();
    store.seal().unwrap();
    store.append(batch(400, 400)).unwrap();
    store
}

fn select(direction: Direction, contains: &[&str]) -> LogSelect {
    LogSelect {
        matchers: vec![Matcher::equal("app", "shop")],
        window: Window { start: DAY + 100_000, end: DAY + 700_000 },
        direction,
        trace: None,
        contains: contains.iter().map(|text| text.as_bytes().to_vec()).collect(),
        mentions: None,
    }
}

#[test]
fn lent_records_are_those_of_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    let store = half_sealed(dir.path());
    for contains in [&[][..], &["order 5"], &["order 5", "done"], &["nowhere"]] {
        for direction in [Direction::Forward, Direction::Backward] {
            let select = select(direction, contains);
            let mut owned = Vec::new();
            let report = store.scan_logs(&select, &mut |r| {
                owned.push((r.time, r.line, r.metadata, r.trace_id));
                ControlFlow::Continue(())
            });
            let mut lent = Copies::default();
            let lent_report = store.scan_views(&select, true, &mut lent).unwrap();
            assert_eq!(lent.records, owned);
            assert_eq!(lent_report, report.unwrap());
            assert_eq!(lent.told.last(), Some(&lent_report.records), "progress is told to the end");
            let mut any = Copies::default();
            store.scan_views(&select, false, &mut any).unwrap();
            any.records.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            owned.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            assert_eq!(any.records, owned);
            let holding = |(_, line, ..): &&(u64, Vec<u8>, _, _)| {
                contains.iter().all(|text| String::from_utf8_lossy(line).contains(text))
            };
            assert_eq!(owned.iter().filter(holding).count(), owned.len());
        }
    }
}

#[test]
fn a_visit_that_has_enough_ends_the_scan() {
    let dir = tempfile::tempdir().unwrap();
    let store = half_sealed(dir.path());
    for ordered in [true, false] {
        let mut few = Copies { most: Some(3), ..Copies::default() };
        store.scan_views(&select(Direction::Backward, &[]), ordered, &mut few).unwrap();
        assert_eq!(few.records.len(), 3);
    }
}

#[test]
fn tallies_count_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = half_sealed(dir.path());
    let matchers = [Matcher::equal("app", "shop")];
    let count = |window: Window| {
        let (mut records, mut bytes) = (0, 0);
        store
            .tally(&matchers, window, &mut |tally| {
                assert_eq!(tally.labels.get("app"), Some("shop"));
                assert!(tally.first >= window.start && tally.last < window.end);
                records += tally.records;
                bytes += tally.bytes;
            })
            .unwrap();
        (records, bytes)
    };
    let (records, bytes) = count(Window::ALL);
    assert_eq!(records, 400, "every second of 800");
    assert!(bytes > 400 * 60, "{bytes}");
    assert_eq!(
        count(Window { start: DAY + 400_000, end: DAY + 500_000 }).0,
        50,
        "of the head, each by itself"
    );
    let cut = count(Window { start: DAY, end: DAY + 200_000 }).0;
    assert!((98..=102).contains(&cut), "half of a sealed stretch: {cut}");
    assert_eq!(count(Window { start: 0, end: DAY }), (0, 0));
}
