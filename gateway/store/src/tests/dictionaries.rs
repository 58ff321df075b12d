//! Lines that are packed with a dictionary, in frames of which one can be read without the others.

use super::*;
use crate::merge::FAN_IN;
use crate::segment::{LogReader, Section, Segment};

/// Records of each segment: enough lines that a dictionary is worth its room.
const RECORDS: u64 = 8_000;

/// Lines of one segment; each trace has eight records that lie far from each other.
fn lines(segment: u64) -> LogBatch {
    let mut batch = logs(segment * RECORDS, RECORDS);
    for (number, row) in batch.rows.iter_mut().enumerate() {
        // No two have their low halves in common.
        row.trace = TRACE ^ u128::from(segment) << 32 ^ (number as u128 % (u128::from(RECORDS) / 8));
        let mut line = format!("trace_id={:032x} ", row.trace).into_bytes();
        line.extend((0..20).flat_map(|word| format!("word{}=ok{} ", word * number % 97, word).into_bytes()));
        line.extend(format!("number {number} of {segment}").into_bytes());
        row.line = ByteRange { start: batch.text.len() as u32, end: (batch.text.len() + line.len()) as u32 };
        batch.text.extend(line);
    }
    batch
}

fn fill(store: &Store, segments: u64) -> Vec<LogRecord> {
    let mut all = Vec::new();
    for segment in 0..segments {
        let logs = lines(segment);
        all.extend(logs.rows.iter().map(|row| logs.record(row)));
        store.append(Arc::new(Batch { logs, ..Batch::default() })).unwrap();
        store.seal().unwrap();
    }
    all
}

fn segments(store: &Store) -> Vec<Arc<Segment>> {
    store.inner().view.read().unwrap().segments.clone()
}

fn holding(store: &Store, text: &str) -> Vec<LogRecord> {
    let select = LogSelect {
        matchers: vec![],
        window: Window::ALL,
        direction: Direction::Forward,
        trace: None,
        contains: vec![text.as_bytes().to_vec()],
        mentions: None,
    };
    let mut found = Vec::new();
    store
        .scan_logs(&select, &mut |record| {
            found.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn records_are_read_whole_by_trace_and_by_text_and_a_merge_changes_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = fill(&store, FAN_IN as u64);
    for segment in segments(&store) {
        assert_eq!(segment.log_table().unwrap().unwrap().dictionaries.len(), 1);
        let blocks = 0..segment.footer.blocks.len();
        let frames = blocks.map(|block| LogReader::open(&segment, block).unwrap().frames().len());
        assert!(frames.max() > Some(2));
    }
    for merged in [false, true] {
        if merged {
            store.merge();
            assert_eq!(store.stats().logs.segments, 1);
        }
        assert!(scan(&store, Direction::Forward) == all, "merged: {merged}");
        for record in all.iter().step_by(9_001) {
            let id = record.trace_id.unwrap();
            let of_trace: Vec<LogRecord> = all.iter().filter(|r| r.trace_id == Some(id)).cloned().collect();
            assert_eq!(of_trace.len(), 8);
            assert_eq!(look_up(&store, id.bits()).logs, of_trace);
            assert_eq!(holding(&store, &id.to_string()), of_trace);
        }
        assert_eq!(holding(&store, "number 77 of 3"), [all[3 * RECORDS as usize + 77].clone()]);
        assert_eq!(holding(&store, "qqq"), []);
    }
}

#[test]
fn a_damaged_dictionary_or_table_loses_what_needs_it_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = fill(&store, 2);
    let first = segments(&store).swap_remove(0);
    let dictionary = first.log_table().unwrap().unwrap().dictionaries[0].offset;
    // The table's pages are the last thing before its section.
    let table = first.part(Section::LogTable, 0).unwrap().offset - 1;
    drop(store);
    let intact = std::fs::read(&first.path).unwrap();
    for (at, lost) in [(dictionary, RECORDS as usize), (table, 1)] {
        let mut bytes = intact.clone();
        bytes[at as usize] ^= 1;
        std::fs::write(&first.path, bytes).unwrap();
        let store = open(dir.path());
        let left = scan(&store, Direction::Forward);
        assert!(left.len() >= RECORDS as usize && left.len() + lost <= all.len(), "{}", left.len());
        assert!(left.ends_with(&all[RECORDS as usize..]));
        assert!(store.stats().damaged > 0);
    }
}
