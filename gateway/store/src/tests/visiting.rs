//! A visit over the senders' own bytes comes to the same traces as looking each of them up.

use std::collections::BTreeMap;

use super::*;
use crate::read::{ScanReport, SpanHint, SpanView, TraceSelect, TraceVisitor, ValueView};

#[derive(Default)]
struct Visited {
    traces: Vec<Vec<Span>>,
    /// Bounds told for what comes.
    newest: Vec<u64>,
    limit: Option<usize>,
}

impl TraceVisitor for Visited {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let newest = self.newest.last().copied().unwrap_or(u64::MAX);
        assert!(spans.iter().any(|span| span.start <= newest), "what comes is no newer than was told");
        let mut spans: Vec<Span> = spans.iter().map(|view| view.to_span().unwrap()).collect();
        spans.sort_by_key(|span| (span.start, span.span_id));
        self.traces.push(spans);
        if self.limit.is_some_and(|limit| self.traces.len() >= limit) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: ScanReport, newest: u64) -> ControlFlow<()> {
        self.newest.push(newest);
        ControlFlow::Continue(())
    }
}

fn select(window: Window, whole: bool, wanted: &dyn Fn(&SpanView<'_>) -> bool) -> TraceSelect<'_> {
    TraceSelect {
        window,
        reach: None,
        service: None,
        contains: Vec::new(),
        hint: SpanHint::Anything,
        wanted,
        whole,
    }
}

/// All traces, in order of their first span.
pub(super) fn visited(store: &Store) -> Vec<Vec<Span>> {
    let mut found = Visited::default();
    store.visit_traces(&select(Window::ALL, true, &|_| true), &mut found).unwrap();
    found.traces.sort_by_key(|spans| spans.first().map(|span| span.start));
    found.traces
}

fn split_store(dir: &Path) -> Store {
    let store = open(dir);
    for part in 0..4 {
        store.append(batch(part * 900, 900)).unwrap();
        if part < 3 {
            store.seal().unwrap();
        }
    }
    store
}

#[test]
fn traces_that_lie_in_head_and_segments_are_visited_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = split_store(dir.path());
    let traces = visited(&store);
    assert_eq!(traces.len(), 7);
    for (i, spans) in traces.iter().enumerate() {
        assert_eq!(*spans, look_up(&store, trace(i as u64)).spans);
    }
}

#[test]
fn what_is_wanted_is_found_whichever_blocks_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = split_store(dir.path());
    let wanted = |view: &SpanView<'_>| view.name() == "pay 1";
    let narrow = Window { start: DAY + 1_000_000, end: DAY + 1_100_000 };
    for (window, needle, expected) in [
        (Window::ALL, &b"pay 1"[..], 7),
        (Window::ALL, b"service.name", 7),
        (Window::ALL, b"pay 7", 0),
        (narrow, b"pay 1", 7),
        (Window { start: 0, end: DAY }, b"pay 1", 0),
        (Window { start: DAY + 1000, end: DAY + 1001 }, b"pay 1", 1),
    ] {
        let mut found = Visited::default();
        let mut select = select(window, true, &wanted);
        select.contains = vec![needle.to_vec()];
        // The head is not packed: nothing is passed over there, and all that is asked for is there anyway.
        if expected == 0 && window == Window::ALL {
            select.wanted = &|view| view.name() == "pay 7";
        }
        store.visit_traces(&select, &mut found).unwrap();
        assert_eq!(found.traces.len(), expected, "{window:?} {needle:?}");
        for spans in &found.traces {
            assert_eq!(*spans, store.trace(spans[0].trace_id, usize::MAX).unwrap().spans);
        }
    }
}

#[test]
fn in_parts_every_span_comes_once_and_a_visit_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = split_store(dir.path());
    let mut found = Visited::default();
    let report = store.visit_traces(&select(Window::ALL, false, &|_| true), &mut found).unwrap();
    let mut counts: BTreeMap<SpanId, u32> = BTreeMap::new();
    found.traces.iter().flatten().for_each(|span| *counts.entry(span.span_id).or_default() += 1);
    assert_eq!((counts.len(), report.records), (3600, 3600));
    assert!(counts.values().all(|count| *count == 1));
    let mut stopped = Visited { limit: Some(2), ..Visited::default() };
    store.visit_traces(&select(Window::ALL, false, &|_| true), &mut stopped).unwrap();
    assert_eq!(stopped.traces.len(), 2);
}

#[test]
fn spans_to_which_a_sender_gave_one_id_all_stay_and_those_sent_again_come_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let named = |name: &str, from: u64, status| {
        let mut rows = spans(0, 1);
        let span = Span { name: name.into(), start: DAY + from, end: DAY + from + 9, ..decode(&rows) };
        let span = Span { status: Status { code: status, message: String::new() }, ..span };
        let start = rows.bytes.len() as u32;
        encode_span(&span, &mut rows.bytes);
        let payload = ByteRange { start, end: rows.bytes.len() as u32 };
        let at = memchr::memmem::find(payload.of(&rows.bytes), name.as_bytes()).unwrap() as u32;
        let row = &mut rows.rows[0];
        (row.payload, row.start, row.end, row.status) = (payload, span.start, span.end, status);
        row.name = ByteRange { start: start + at, end: start + at + name.len() as u32 };
        Arc::new(Batch { spans: rows, ..Batch::default() })
    };
    let sent = [
        named("one", 0, StatusCode::Unset),
        named("two", 20, StatusCode::Error),
        named("two", 40, StatusCode::Error),
    ];
    let expected = ["one 0", "two 20", "two 40"];
    let told = |spans: &[Span]| {
        spans.iter().map(|span| format!("{} {}", span.name, span.start - DAY)).collect::<Vec<_>>()
    };
    for (round, again) in [0, 1, 2, 0].into_iter().enumerate() {
        for batch in sent.iter().chain([&sent[again]]) {
            store.append(Arc::clone(batch)).unwrap();
        }
        assert_eq!(told(&look_up(&store, trace(0)).spans), expected);
        let visits = visited(&store);
        assert_eq!((visits.len(), told(&visits[0])), (1, expected.map(str::to_owned).into()));
        let few = store.trace(id(trace(0)), 2).unwrap();
        assert_eq!((few.spans.len(), few.omitted), (2, 1));
        if round == 0 {
            let calls = store.calls(Window::ALL).unwrap();
            assert_eq!(calls.operations.iter().map(|operation| operation.calls).sum::<u64>(), 3);
        }
        store.seal().unwrap();
    }
}

/// A segment of one span of a trace.
fn seal_span(store: &Store, number: u64, parent: u64, name: &str, times: (u64, u64)) {
    let mut rows = spans(0, 1);
    let mut span = decode(&rows);
    (span.span_id, span.parent_span_id) = (SpanId::new(number).unwrap(), SpanId::new(parent));
    (span.name, span.start, span.end) = (name.to_owned(), times.0, times.1);
    let start = rows.bytes.len() as u32;
    encode_span(&span, &mut rows.bytes);
    let payload = ByteRange { start, end: rows.bytes.len() as u32 };
    let at = memchr::memmem::find(payload.of(&rows.bytes), name.as_bytes()).unwrap() as u32;
    let row = &mut rows.rows[0];
    (row.span, row.parent, row.start, row.end, row.payload) = (number, parent, times.0, times.1, payload);
    row.name = ByteRange { start: start + at, end: start + at + name.len() as u32 };
    store.append(Arc::new(Batch { spans: rows, ..Batch::default() })).unwrap();
    store.seal().unwrap();
}

#[test]
fn calls_say_since_when_spans_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let begins = || store.calls(Window { start: DAY + 90, end: DAY + 100 }).unwrap().begins;
    assert_eq!(begins(), None);
    store.append(Arc::new(Batch { spans: spans(0, 1), ..Batch::default() })).unwrap();
    let unsealed = begins().unwrap();
    assert_eq!(unsealed, spans(0, 1).rows[0].start);
    seal_span(&store, 1, 0, "early", (unsealed - 5, unsealed));
    assert_eq!(begins(), Some(unsealed - 5));
}

#[test]
fn a_trace_that_runs_through_a_window_is_met_wherever_in_it_the_wanted_span_lies() {
    const MINUTE: u64 = 60_000_000_000;
    let at = |minute: u64| DAY + minute * MINUTE;
    let wanted = |view: &SpanView<'_>| view.name() == "kid";
    for (other, window, expected) in [
        // One that runs for as long as it likes.
        ((at(0), at(300)), (at(200), at(201)), 2),
        ((at(0), at(300)), (at(301), at(302)), 0),
        // A short one within reach, after the wanted span and before it.
        ((at(9), at(10)), (at(9), at(10)), 2),
        ((at(30), at(31)), (at(30), at(31)), 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        seal_span(&store, 1, 0, "other", other);
        seal_span(&store, 2, 1, "kid", (at(1), at(2)));
        let mut select = select(Window { start: window.0, end: window.1 }, true, &wanted);
        select.reach = Some(10 * MINUTE);
        select.contains = vec![b"kid".to_vec()];
        select.hint = SpanHint::Name("kid".to_owned());
        let mut found = Visited::default();
        store.visit_traces(&select, &mut found).unwrap();
        assert_eq!(found.traces.iter().map(Vec::len).sum::<usize>(), expected, "{other:?} {window:?}");
    }
}

#[test]
fn views_tell_what_the_spans_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut rows = spans(0, 1);
    let mut span = decode(&rows);
    span.attributes = vec![("a".into(), Value::Int(-1)), ("b".into(), Value::Str("x".into()))];
    span.status = Status { code: StatusCode::Error, message: "broken".into() };
    span.events = vec![Event { time: 1, name: "e".into(), attributes: Vec::new() }];
    let start = rows.bytes.len() as u32;
    encode_span(&span, &mut rows.bytes);
    let row = &mut rows.rows[0];
    row.payload = ByteRange { start, end: rows.bytes.len() as u32 };
    row.status = StatusCode::Error;
    store.append(Arc::new(Batch { spans: rows, ..Batch::default() })).unwrap();
    for sealed in [false, true] {
        if sealed {
            store.seal().unwrap();
        }
        let looked = |view: &SpanView<'_>| {
            assert_eq!((view.service(), &*view.name(), view.duration()), ("shop", "pay 0", 5));
            assert_eq!((view.status, &*view.status_message()), (StatusCode::Error, "broken"));
            assert_eq!(view.attribute("a"), Some(ValueView::Int(-1)));
            assert_eq!(view.attribute("b"), Some(ValueView::Str("x".into())));
            assert_eq!(view.attribute("c"), None);
            let mut keys = Vec::new();
            view.attributes(&mut |key, _| keys.push(key.to_owned()));
            assert_eq!(keys, ["a", "b"]);
            assert_eq!(view.whole().map(|span| span.events.clone()), Some(span.events.clone()));
            true
        };
        let mut found = Visited::default();
        store.visit_traces(&select(Window::ALL, true, &looked), &mut found).unwrap();
        assert_eq!(found.traces.len(), 1);
    }
}

fn decode(batch: &SpanBatch) -> Span {
    let row = &batch.rows[0];
    let payload = row.payload.of(&batch.bytes);
    parsers::otlp::decode_span(payload, row.spelling, Arc::default(), Arc::default()).unwrap()
}
