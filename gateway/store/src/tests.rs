//! Every place that records pass through gives the same answers, and no crash loses or doubles them.

use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{
    Batch, ByteRange, FileId, Labels, LogBatch, LogRecord, LogRow, Position, ResourceRow, SpanBatch,
    SpanKind, SpanRow, Spelling, SpellingKind, TraceId,
};

use super::*;
use crate::read::{Direction, LogRead, LogSelect, TraceRead, TraceRecords, Window};

const DAY: u64 = 1_760_000_000_000_000_000;
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

fn logs(from: u64, count: u64) -> LogBatch {
    let mut batch = LogBatch {
        streams: vec![Arc::new(Labels::new([("app", "shop")]))],
        files: vec![FileId::default()],
        ..LogBatch::default()
    };
    for i in from..from + count {
        let trace = TRACE + u128::from(i % 7);
        let line = format!("order {i} trace_id={trace:032x} span_id={:016x} done", i + 1);
        let line = batch.push_text(line.as_bytes());
        batch.rows.push(LogRow {
            time: DAY + i * 1000,
            observed: DAY,
            trace,
            span: i + 1,
            offset: i * 100,
            file: 1,
            line,
            spelling: Spelling::new(SpellingKind::Hex(32)),
            ..LogRow::default()
        });
    }
    batch
}

fn spans() -> SpanBatch {
    let mut bytes = vec![0x0a, 16];
    bytes.extend(TRACE.to_be_bytes());
    bytes.extend([0x12, 8]);
    bytes.extend(9u64.to_be_bytes());
    bytes.extend([0x2a, 3]);
    bytes.extend(b"pay");
    bytes.extend([0x30, 2, 0x39]);
    bytes.extend(DAY.to_le_bytes());
    bytes.push(0x41);
    bytes.extend((DAY + 5).to_le_bytes());
    let row = SpanRow {
        trace: TRACE,
        span: 9,
        start: DAY,
        end: DAY + 5,
        name: ByteRange { start: 30, end: 33 },
        payload: ByteRange { start: 0, end: bytes.len() as u32 },
        kind: SpanKind::Server,
        spelling: Spelling::new(SpellingKind::Binary),
        ..SpanRow::default()
    };
    let resources = vec![ResourceRow { service: "shop".into(), payload: ByteRange::default() }];
    SpanBatch { resources, scopes: vec![ByteRange::default()], rows: vec![row], bytes }
}

fn position(offset: u64) -> Position {
    let file = FileId::default();
    Position { agent: "a".into(), file, offset, resume: offset, marker: 0, path: "/x".into(), time: DAY }
}

fn id(bits: u128) -> TraceId {
    TraceId::new(bits, Spelling::default()).unwrap()
}

type Answers = (Vec<LogRecord>, Vec<LogRecord>, TraceRecords, Vec<(String, Vec<String>)>);

fn answers(store: &Store) -> Answers {
    let scan = |direction| {
        let mut out = Vec::new();
        let select =
            LogSelect { matchers: vec![], window: Window::ALL, direction, trace: None, contains: vec![] };
        store
            .scan_logs(&select, &mut |r| {
                out.push(r);
                ControlFlow::Continue(())
            })
            .unwrap();
        out
    };
    let trace = store.trace(id(u128::from(TRACE as u64)), 100_000).unwrap();
    (scan(Direction::Forward), scan(Direction::Backward), trace, store.services(Window::ALL).unwrap())
}

fn same(a: &Answers, b: &Answers) {
    assert_eq!((&a.0, &a.1, &a.3), (&b.0, &b.1, &b.3));
    assert_eq!((&a.2.logs, &a.2.spans), (&b.2.logs, &b.2.spans));
}

fn options(dir: &std::path::Path) -> StoreOptions {
    StoreOptions { min_free_bytes: 0, ..StoreOptions::new(dir) }
}

#[test]
fn head_journal_and_segments_give_equal_answers_and_repeats_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path())).unwrap();
    let batch =
        Batch { logs: logs(0, 2000), spans: spans(), positions: vec![position(200_000)], ..Batch::default() };
    store.append(Arc::new(batch)).unwrap();
    let head = answers(&store);
    assert_eq!((head.0.len(), head.2.logs.len(), head.2.spans.len()), (2000, 286, 1));
    drop(store);
    let store = Store::open(options(dir.path())).unwrap();
    same(&head, &answers(&store));
    store.seal().unwrap();
    same(&head, &answers(&store));
    assert_eq!(store.stats().logs.segments, 1);
    drop(store);
    let store = Store::open(options(dir.path())).unwrap();
    same(&head, &answers(&store));
    let again = Batch { logs: logs(1990, 20), positions: vec![position(201_000)], ..Batch::default() };
    store.append(Arc::new(again)).unwrap();
    assert_eq!(answers(&store).0.len(), 2010);
    assert_eq!(store.positions("a"), vec![position(201_000)]);
}

#[test]
fn a_full_disk_refuses_and_a_second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreOptions { min_free_bytes: u64::MAX, ..StoreOptions::new(dir.path()) }).unwrap();
    let refused = store.append(Arc::new(Batch { logs: logs(0, 1), ..Batch::default() }));
    assert!(matches!(refused, Err(Refused::Full { .. })));
    assert!(matches!(Store::open(options(dir.path())), Err(OpenError::Locked { .. })));
}

#[test]
fn a_journal_cut_anywhere_keeps_whole_batches_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path())).unwrap();
    for i in 0..3 {
        store.append(Arc::new(Batch { logs: logs(i * 2, 2), ..Batch::default() })).unwrap();
    }
    drop(store);
    let file = journal::path(&dir.path().join("journal"), 1);
    let whole = std::fs::read(&file).unwrap();
    for cut in 0..=whole.len() {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let mut records = 0;
        journal::replay(&file, |b| records += b.logs.rows.len()).unwrap();
        assert!(records % 2 == 0 && (cut < whole.len() || records == 6));
    }
}
