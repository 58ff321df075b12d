//! Every place that records pass through gives the same answers, and no crash, damage or merge loses or doubles them.

mod codecs;
mod crash;
mod damage;
mod dictionaries;
mod formats;
mod lending;
mod merging;
mod recent;
mod retention;
mod running;
mod samples;
mod sampling;
mod several;
mod statistics;
mod texts;
mod visiting;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parsers::otlp::{encode_resource, encode_span};
use parsers::record::*;

use super::*;
use crate::read::{
    Direction, ExemplarLimits, ExemplarRead, LogRead, LogSelect, Matcher, SpanSelect, StoredExemplars,
    TraceRead, TraceRecords, Window,
};

const DAY: u64 = 20_370 * 86_400_000_000_000;
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

/// Traces that the records of a batch belong to; the first of them is also met with the low 64 bits alone.
fn trace(i: u64) -> u128 {
    TRACE + u128::from(i % 7)
}

fn logs(from: u64, count: u64) -> LogBatch {
    let mut batch = LogBatch {
        streams: vec![Arc::new(Labels::new([("app", "shop")])), Arc::new(Labels::new([("app", "till")]))],
        files: vec![FileId::default()],
        rules: vec!["trace_id".into()],
        ..LogBatch::default()
    };
    for i in from..from + count {
        let line = format!("order {i} trace_id={:032x} span_id={:016x} done", trace(i), i + 1);
        let line = batch.push_text(line.as_bytes());
        let start = batch.meta.len() as u32;
        push_pair(&mut batch.meta, "order", &i.to_string());
        batch.rows.push(LogRow {
            time: DAY + i * 1000,
            observed: DAY,
            trace: trace(i),
            span: i + 1,
            offset: i * 100,
            stream: (i % 2) as u32,
            file: 1,
            rule: 1,
            line,
            meta: ByteRange { start, end: batch.meta.len() as u32 },
            spelling: Spelling::new(SpellingKind::Hex(32)),
            ..LogRow::default()
        });
    }
    batch
}

fn spans(from: u64, count: u64) -> SpanBatch {
    let mut batch = SpanBatch::default();
    let resource = Resource { attributes: vec![("service.name".into(), Value::Str("shop".into()))] };
    encode_resource(&resource, &mut batch.bytes);
    let payload = ByteRange { start: 0, end: batch.bytes.len() as u32 };
    batch.resources.push(ResourceRow { service: "shop".into(), payload });
    batch.scopes.push(ByteRange::default());
    for i in from..from + count {
        let span = Span {
            trace_id: id(trace(i)),
            span_id: SpanId::new(i + 1).unwrap(),
            parent_span_id: SpanId::new(i),
            trace_state: String::new(),
            flags: 0,
            name: format!("pay {}", i % 3),
            kind: SpanKind::Server,
            start: DAY + i * 1000,
            end: DAY + i * 1000 + 5,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: Arc::default(),
            scope: Arc::default(),
        };
        let start = batch.bytes.len() as u32;
        encode_span(&span, &mut batch.bytes);
        let payload = ByteRange { start, end: batch.bytes.len() as u32 };
        let at = memchr::memmem::find(payload.of(&batch.bytes), span.name.as_bytes()).unwrap() as u32;
        let name = ByteRange { start: start + at, end: start + at + span.name.len() as u32 };
        batch.rows.push(SpanRow {
            trace: trace(i),
            span: i + 1,
            parent: i,
            start: span.start,
            end: span.end,
            name,
            payload,
            kind: span.kind,
            spelling: Spelling::new(SpellingKind::Binary),
            ..SpanRow::default()
        });
    }
    batch
}

fn metrics(from: u64, count: u64) -> MetricBatch {
    let mut batch = MetricBatch {
        series: vec![Arc::new(Labels::new([("__name__", "orders_total"), ("app", "shop")]))],
        families: vec![MetricMeta {
            name: "orders".into(),
            kind: MetricKind::Counter,
            ..MetricMeta::default()
        }],
        ..MetricBatch::default()
    };
    for i in from..from + count {
        // Now and then one is a histogram.
        let start = batch.meta.len() as u32;
        if i % 5 == 0 {
            let positive = vec![(i as i32, 2.0), (i as i32 + 2, 5.0)];
            NativeHistogram { count: i as f64, positive, ..NativeHistogram::default() }
                .encode(&mut batch.meta);
        }
        batch.samples.push(SampleRow {
            time: DAY + i * 1000,
            value: i as f64,
            start: DAY - i % 2,
            series: 0,
            histogram: ByteRange { start, end: batch.meta.len() as u32 },
        });
    }
    for sample in &mut batch.samples {
        if sample.histogram.is_empty() {
            sample.histogram = ByteRange::default();
        }
    }
    for i in from..from + count {
        let start = batch.meta.len() as u32;
        push_pair(&mut batch.meta, "order", &i.to_string());
        batch.exemplars.push(ExemplarRow {
            trace: trace(i),
            span: i + 1,
            time: DAY + i * 1000,
            value: 0.5,
            labels: ByteRange { start, end: batch.meta.len() as u32 },
            spelling: Spelling::new(SpellingKind::Hex(32)),
            ..ExemplarRow::default()
        });
    }
    batch
}

fn position(offset: u64) -> Position {
    let file = FileId::default();
    Position {
        agent: "a".into(),
        file,
        offset,
        resume: offset,
        held: [offset; 2],
        marker: 0,
        path: "/x".into(),
        time: DAY,
    }
}

/// A batch of all signals, whose records are numbered.
fn batch(from: u64, count: u64) -> Arc<Batch> {
    Arc::new(Batch {
        logs: logs(from, count),
        spans: spans(from, count),
        metrics: metrics(from, count),
        positions: vec![position((from + count) * 100)],
    })
}

fn id(bits: u128) -> TraceId {
    TraceId::new(bits, Spelling::default()).unwrap()
}

type Trace = (Vec<Span>, Vec<LogRecord>, Vec<Exemplar>);

/// All that can be read of a store.
#[derive(Debug, Clone, PartialEq)]
struct Answers {
    forward: Vec<LogRecord>,
    backward: Vec<LogRecord>,
    traces: Vec<Trace>,
    searched: Vec<Vec<Span>>,
    services: Vec<(String, Vec<String>)>,
    streams: Vec<Arc<Labels>>,
    positions: Vec<Position>,
    exemplars: Vec<Exemplar>,
}

fn scan(store: &Store, direction: Direction) -> Vec<LogRecord> {
    let mut out = Vec::new();
    let select = LogSelect {
        matchers: vec![],
        window: Window::ALL,
        direction,
        trace: None,
        contains: vec![],
        mentions: None,
    };
    store
        .scan_logs(&select, &mut |r| {
            out.push(r);
            ControlFlow::Continue(())
        })
        .unwrap();
    out
}

fn search(store: &Store) -> Vec<Vec<Span>> {
    let mut traces = Vec::new();
    let select = SpanSelect { window: Window::ALL, service: Some("shop".into()), name: None };
    store
        .scan_traces(&select, &mut |spans| {
            traces.push(spans);
            ControlFlow::Continue(())
        })
        .unwrap();
    traces
}

fn look_up(store: &Store, bits: u128) -> TraceRecords {
    store.trace(id(bits), 1_000_000).unwrap()
}

fn exemplars(store: &Store, selector: Matcher, window: Window, limit: usize) -> Vec<Exemplar> {
    exemplars_within(store, selector, window, limit, Duration::MAX).exemplars
}

fn exemplars_within(
    store: &Store,
    selector: Matcher,
    window: Window,
    count: usize,
    time: Duration,
) -> StoredExemplars {
    store.stored_exemplars(&[vec![selector]], window, ExemplarLimits { count, time }).unwrap()
}

fn answers(store: &Store) -> Answers {
    let traces = (0..7).map(|i| {
        let records = look_up(store, trace(i));
        (records.spans, records.logs, records.exemplars)
    });
    Answers {
        forward: scan(store, Direction::Forward),
        backward: scan(store, Direction::Backward),
        traces: traces.collect(),
        searched: search(store),
        services: store.services(Window::ALL).unwrap(),
        streams: store.streams(&[], Window::ALL).unwrap(),
        positions: store.positions("a"),
        exemplars: exemplars(store, Matcher::equal("app", "shop"), Window::ALL, 1_000_000),
    }
}

/// Answers of a store that holds these records, each once.
fn expect(store: &Store, records: u64) -> Answers {
    let answers = answers(store);
    assert_eq!(answers.forward.len() as u64, records);
    let numbers: Vec<u64> = answers.forward.iter().map(|r| r.source.unwrap().offset / 100).collect();
    assert_eq!(numbers, (0..records).collect::<Vec<_>>());
    assert_eq!(answers.backward.iter().rev().collect::<Vec<_>>(), answers.forward.iter().collect::<Vec<_>>());
    let each = |count: fn(&Trace) -> usize| answers.traces.iter().map(count).sum::<usize>() as u64;
    assert_eq!([each(|t| t.0.len()), each(|t| t.1.len()), each(|t| t.2.len())], [records; 3]);
    assert_eq!(answers.exemplars.len() as u64, records);
    assert_eq!(answers.searched.iter().map(Vec::len).sum::<usize>() as u64, records);
    let mut searched = answers.searched.clone();
    searched.sort_by_key(|spans| spans.first().map(|span| span.start));
    assert_eq!(visiting::visited(store), searched);
    answers
}

fn options(dir: &Path) -> StoreOptions {
    StoreOptions { min_free_bytes: 0, ..StoreOptions::new(dir) }
}

fn open(dir: &Path) -> Store {
    Store::open(options(dir)).unwrap()
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

/// The files of a folder, by name.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn head_journal_and_segments_give_equal_answers_and_repeats_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(batch(0, 2000)).unwrap();
    let head = expect(&store, 2000);
    let short = look_up(&store, u128::from(TRACE as u64));
    assert_eq!((short.logs.len(), short.spans.len(), short.exemplars.len()), (286, 286, 286));
    drop(store);
    let store = open(dir.path());
    assert_eq!(head, expect(&store, 2000));
    store.seal().unwrap();
    assert_eq!(head, expect(&store, 2000));
    assert_eq!(look_up(&store, u128::from(TRACE as u64)).spans, short.spans);
    let stats = store.stats();
    assert_eq!((stats.logs.segments, stats.logs.records, stats.traces.records), (1, 2000, 2000));
    assert_eq!((stats.logs.oldest, stats.logs.newest), (Some(DAY), Some(DAY + 1_999_000)));
    drop(store);
    let store = open(dir.path());
    assert_eq!(head, expect(&store, 2000));
    let again = Batch { logs: logs(1990, 20), positions: vec![position(201_000)], ..Batch::default() };
    store.append(Arc::new(again)).unwrap();
    assert_eq!(scan(&store, Direction::Forward).len(), 2010);
    assert_eq!(store.positions("a"), vec![position(201_000)]);
    let stats = store.stats();
    assert_eq!((stats.logs.records, stats.metrics.records), (2010, 4000));
}

#[test]
fn a_full_disk_refuses_and_a_second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreOptions { min_free_bytes: u64::MAX, ..StoreOptions::new(dir.path()) }).unwrap();
    assert!(matches!(store.append(batch(0, 1)), Err(Refused::Full { .. })));
    assert!(store.stats().full);
    assert!(matches!(Store::open(options(dir.path())), Err(OpenError::Locked { .. })));
}

#[test]
fn heads_stay_bounded_while_sealing_is_held_up_and_batches_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let head_bytes = 64 << 10;
    let store =
        Store::open(StoreOptions { head_bytes, busy_wait: Duration::ZERO, ..options(dir.path()) }).unwrap();
    let mut taken = 0;
    {
        let _sealing = store.inner().maintenance.lock().unwrap();
        let refused = loop {
            match store.append(batch(taken * 10, 10)) {
                Ok(_) => taken += 1,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, Refused::Busy { .. }));
        let stats = store.stats();
        assert_eq!(stats.waiting_heads, 2);
        assert!(stats.head_bytes < 4 * head_bytes as u64, "{stats:?}");
    }
    store.seal().unwrap();
    store.append(batch(taken * 10, 10)).unwrap();
    expect(&store, taken * 10 + 10);
}

#[test]
fn what_many_threads_append_while_heads_are_sealed_and_merged_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions { head_bytes: 64 << 10, ..options(dir.path()) }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..100 {
                    let batch = Batch { spans: spans((thread * 100 + i) * 10, 10), ..Batch::default() };
                    let batch = Arc::new(batch);
                    while store.append(Arc::clone(&batch)).is_err() {
                        store.seal().unwrap();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                store.seal().unwrap();
                store.merge();
                search(&store);
            }
        });
    });
    let count = || {
        let mut ids: Vec<_> = search(&store).into_iter().flatten().map(|s| s.span_id).collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| id.bits()).collect::<Vec<_>>()
    };
    assert_eq!(count(), (1..=4000).collect::<Vec<_>>());
    store.seal().unwrap();
    store.merge();
    assert_eq!(count(), (1..=4000).collect::<Vec<_>>());
}

#[test]
fn exemplars_are_told_of_the_series_and_times_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // More samples than one block holds, before the exemplars.
    store.append(batch(0, 20_000)).unwrap();
    for sealed in [false, true] {
        if sealed {
            store.seal().unwrap();
        }
        let named = || Matcher::equal("__name__", "orders_total");
        let window = Window { start: DAY + 5_000, end: DAY + 8_000 };
        let times = |found: Vec<Exemplar>| found.iter().map(|e| (e.time - DAY) / 1000).collect::<Vec<_>>();
        assert_eq!(times(exemplars(&store, named(), window, 100)), [5, 6, 7]);
        assert_eq!(times(exemplars(&store, named(), Window::ALL, 2)), [19_998, 19_999]);
        assert!(exemplars(&store, Matcher::equal("app", "till"), Window::ALL, 100).is_empty());
        let all = exemplars_within(&store, named(), Window::ALL, 20_000, Duration::MAX);
        assert_eq!((all.exemplars.len(), all.over_count, all.over_time), (20_000, false, false));
        assert!(exemplars_within(&store, named(), Window::ALL, 2, Duration::MAX).over_count);
        let no_time = exemplars_within(&store, named(), Window::ALL, 20_000, Duration::ZERO);
        assert_eq!((no_time.exemplars.is_empty(), no_time.over_time), (sealed, sealed));
    }
}
