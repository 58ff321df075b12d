use std::sync::Arc;

use parsers::record::{
    Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, StatusCode, TraceId, Value,
};
use proptest::prelude::*;

use super::*;
use crate::critical;

fn span(id: u64, parent: u64, start: u64, end: u64, service: &str, kind: SpanKind) -> Span {
    let service = ("service.name".to_owned(), Value::Str(service.to_owned()));
    Span {
        trace_id: TraceId::new(7, Spelling::new(SpellingKind::Hex(32))).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: format!("op{id}"),
        kind,
        start,
        end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: vec![service] }),
        scope: Arc::new(Scope::default()),
    }
}

fn internal(id: u64, parent: u64, start: u64, end: u64) -> Span {
    span(id, parent, start, end, "a", SpanKind::Internal)
}

/// `id@depth start-end self` of each node.
fn drawn(spans: Vec<Span>) -> Vec<String> {
    let nodes = build(spans).nodes;
    let one = |n: &SpanNode| {
        let odd: String = n.oddities.iter().flat_map(|o| [" ", o.as_str()]).collect();
        format!("{}@{} {}-{} {}{odd}", n.span.span_id.bits(), n.depth, n.start, n.end, n.self_time)
    };
    nodes.iter().map(one).collect()
}

fn path(spans: Vec<Span>) -> Vec<(u64, u64, u64)> {
    let segments = critical::path(&build(spans).nodes);
    segments.iter().map(|s| (s.span_id.bits(), s.start, s.end)).collect()
}

#[test]
fn self_time_is_what_no_child_covers() {
    let spans = vec![internal(3, 1, 30, 60), internal(1, 0, 0, 100), internal(2, 1, 10, 40)];
    assert_eq!(drawn(spans), ["1@0 0-100 50", "2@1 10-40 30", "3@1 30-60 30"]);
}

#[test]
fn orphans_and_rings_become_marked_roots() {
    assert_eq!(drawn(vec![internal(1, 9, 0, 5)]), ["1@0 0-5 5 orphan"]);
    assert_eq!(drawn(vec![internal(1, 1, 0, 5)]), ["1@0 0-5 5 cycle_cut"]);
    let ring = vec![internal(1, 3, 0, 9), internal(2, 1, 1, 8), internal(3, 2, 2, 7), internal(4, 3, 3, 4)];
    assert_eq!(drawn(ring), ["1@0 0-9 2 cycle_cut", "2@1 1-8 2", "3@2 2-7 4", "4@3 3-4 1"]);
}

#[test]
fn halves_of_a_zipkin_call_stand_one_under_the_other() {
    let spans = vec![
        span(1, 0, 0, 100, "a", SpanKind::Client),
        span(1, 0, 10, 90, "b", SpanKind::Server),
        span(2, 1, 20, 30, "b", SpanKind::Internal),
    ];
    assert_eq!(drawn(spans), ["1@0 0-100 20 shared_id", "1@1 10-90 70 shared_id", "2@2 20-30 10"]);
}

#[test]
fn a_child_of_another_clock_moves_inside_with_all_below_it() {
    let spans = vec![
        internal(1, 0, 1000, 1100),
        span(2, 1, 500, 560, "b", SpanKind::Server),
        span(3, 2, 510, 520, "b", SpanKind::Internal),
    ];
    assert_eq!(
        drawn(spans),
        ["1@0 1000-1100 40", "2@1 1020-1080 50 skew_adjusted", "3@2 1030-1040 10 skew_adjusted"]
    );
}

#[test]
fn one_clock_and_later_consumers_are_left_alone() {
    let late = vec![internal(1, 0, 0, 100), internal(2, 1, 200, 210)];
    assert_eq!(drawn(late), ["1@0 0-100 100", "2@1 200-210 10"]);
    let queued = vec![internal(1, 0, 0, 100), span(2, 1, 200, 210, "b", SpanKind::Consumer)];
    assert_eq!(drawn(queued), ["1@0 0-100 100", "2@1 200-210 10"]);
}

#[test]
fn a_request_wholly_after_its_call_that_fits_nowhere_inside_is_marked() {
    let call = || span(2, 1, 20, 80, "a", SpanKind::Client);
    let late = |length: u64| span(3, 2, 3_000, 3_000 + length, "b", SpanKind::Server);
    let marked = drawn(vec![internal(1, 0, 0, 100), call(), late(70)]);
    assert_eq!(marked[2], "3@2 3000-3070 70 after_call");
    let moved = drawn(vec![internal(1, 0, 0, 100), call(), late(50)]);
    assert_eq!(moved[2], "3@2 25-75 50 skew_adjusted");
}

#[test]
fn what_a_message_started_waits_in_a_queue_whatever_it_is() {
    for (sent, of_messages) in [(SpanKind::Producer, false), (SpanKind::Client, true)] {
        let mut send = span(2, 1, 10, 15, "a", sent);
        if of_messages {
            send.attributes.push(("messaging.system".to_owned(), Value::Str("kafka".to_owned())));
        }
        let job = span(3, 2, 30_000, 30_001, "b", SpanKind::Internal);
        let tree = build(vec![internal(1, 0, 0, 20), send, job]);
        assert_eq!((tree.nodes[2].start, tree.nodes[2].oddities.len()), (30_000, 0));
        assert!(tree.clocks.is_empty(), "{:?}", tree.clocks);
    }
}

/// A call that failed, without an answer or with one.
fn failed(id: u64, start: u64, end: u64, answer: &[(&str, i64)]) -> Span {
    let mut call = span(id, 1, start, end, "a", SpanKind::Client);
    call.status.code = StatusCode::Error;
    call.attributes.extend(answer.iter().map(|(key, code)| ((*key).to_owned(), Value::Int(*code))));
    call
}

#[test]
fn a_request_whose_caller_gave_up_is_late_and_no_clock_is_off() {
    let late = || span(3, 2, 300, 330, "b", SpanKind::Server);
    for answer in [&[][..], &[("rpc.grpc.status_code", 4)]] {
        let tree = build(vec![internal(1, 0, 0, 400), failed(2, 200, 250, answer), late()]);
        assert_eq!((tree.nodes[2].start, &*tree.nodes[2].oddities), (300, &[Oddity::AfterCall][..]));
        assert!(tree.clocks.is_empty(), "{:?}", tree.clocks);
    }
    // Who got an answer had not given up before it was made.
    for answer in [&[("http.response.status_code", 500)], &[("rpc.grpc.status_code", 13)]] {
        let tree = build(vec![internal(1, 0, 0, 400), failed(2, 200, 250, answer), late()]);
        assert_eq!((tree.nodes[2].start, tree.clocks.len()), (210, 1));
    }
}

#[test]
fn a_request_after_its_call_is_late_where_other_calls_tell_how_the_clocks_stand() {
    let spans = |off: u64, good: u64| {
        let mut spans = vec![internal(1, 0, 0, 1_000)];
        for n in 0..good {
            spans.push(span(10 + n, 1, n * 50, n * 50 + 40, "a", SpanKind::Client));
            spans.push(span(20 + n, 10 + n, off + n * 50 + 2, off + n * 50 + 38, "b", SpanKind::Server));
        }
        spans.push(span(2, 1, 200, 250, "a", SpanKind::Client));
        spans.push(span(3, 2, off + 300, off + 330, "b", SpanKind::Server));
        spans
    };
    for off in [0, 5_000] {
        let tree = build(spans(off, 3));
        let late = tree.nodes.iter().find(|node| node.span.span_id.bits() == 3).unwrap();
        assert!(late.is(Oddity::AfterCall) && late.start == 300, "{off}: {late:?}");
        let moved = tree.nodes.iter().filter(|node| node.start != node.span.start).count();
        assert_eq!(moved, if off == 0 { 0 } else { 4 });
        // One other call is no proof.
        let tree = build(spans(off, 1));
        assert!(tree.nodes.iter().all(|node| !node.is(Oddity::AfterCall)), "{off}");
    }
}

#[test]
fn a_span_that_was_sent_again_when_it_had_grown_is_one() {
    let child = internal(2, 1, 5, 8);
    let spans = vec![internal(1, 0, 0, 10), internal(1, 0, 0, 30), child];
    let nodes = build(spans.clone()).nodes;
    assert_eq!(with_ids_of_others(&nodes), 0);
    assert_eq!(drawn(spans.clone()), ["1@0 0-30 27", "2@1 5-8 3", "1@0 0-10 10 earlier_state"]);
    assert_eq!(path(spans), [(1, 0, 5), (2, 5, 8), (1, 8, 30)]);
    // Of two that end at once the one that says more is the later.
    let mut more = internal(1, 0, 0, 10);
    more.attributes.push(("done".to_owned(), Value::Bool(true)));
    let nodes = build(vec![internal(1, 0, 0, 10), more]).nodes;
    let earlier = nodes.iter().find(|node| node.is(Oddity::EarlierState)).unwrap();
    assert!(earlier.span.attributes.is_empty());
}

#[test]
fn halves_of_a_call_have_one_id_and_others_have_that_of_another() {
    let of = |kinds: &[(SpanKind, &str)]| {
        let spans = kinds.iter().zip(0..).map(|((kind, service), n)| span(1, 0, n, 100 - n, service, *kind));
        with_ids_of_others(&build(spans.collect()).nodes)
    };
    let (client, server) = ((SpanKind::Client, "a"), (SpanKind::Server, "b"));
    assert_eq!([of(&[client, server]), of(&[client]), of(&[server, server])], [0, 0, 2]);
    assert_eq!(of(&[client, server, server]), 3);
}

#[test]
fn the_critical_path_goes_back_through_the_child_that_finished_last() {
    let spans =
        vec![internal(1, 0, 0, 100), internal(2, 1, 10, 40), internal(3, 1, 20, 90), internal(4, 3, 50, 80)];
    let path = path(spans);
    assert_eq!(path, [(1, 0, 20), (3, 20, 50), (4, 50, 80), (3, 80, 90), (1, 90, 100)]);
}

#[test]
fn ten_thousand_levels_are_as_good_as_one() {
    let deep: Vec<Span> = (1..=10_000).map(|i| internal(i, i - 1, i, 30_000 - i)).collect();
    let nodes = build(deep).nodes;
    assert_eq!(nodes.last().unwrap().depth, 9_999);
    assert_eq!(critical::path(&nodes).len(), 19_999);
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    let kind = (0u8..6).prop_map(SpanKind::from_code);
    let service = prop::sample::select(vec!["a", "b", "c"]);
    let time = prop_oneof![0u64..200, Just(u64::MAX), Just(u64::MAX - 3)];
    let one = (1u64..12, 0u64..14, time.clone(), time, service, kind)
        .prop_map(|(id, parent, start, end, service, kind)| span(id, parent, start, end, service, kind));
    prop::collection::vec(one, 0..40)
}

proptest! {
    #[test]
    fn any_spans_give_a_tree_of_all_of_them(spans in any_spans()) {
        let count = spans.len();
        let nodes = build(spans).nodes;
        prop_assert_eq!(nodes.len(), count);
        for (place, node) in nodes.iter().enumerate() {
            prop_assert!(node.end >= node.start);
            prop_assert!(node.self_time <= node.duration());
            match node.parent {
                Some(parent) => {
                    prop_assert!(parent < place);
                    prop_assert_eq!(nodes[parent].depth + 1, node.depth);
                }
                None => prop_assert_eq!(node.depth, 0),
            }
        }
    }

    #[test]
    fn the_critical_path_covers_the_longest_root_exactly_once(spans in any_spans()) {
        let nodes = build(spans).nodes;
        let segments = critical::path(&nodes);
        let longest = nodes.iter().filter(|n| n.parent.is_none()).map(SpanNode::duration).max().unwrap_or(0);
        prop_assert_eq!(segments.iter().map(|s| s.end - s.start).sum::<u64>(), longest);
        for pair in segments.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
    }
}

/// A trace over hosts whose clocks are off by these amounts; true times lie inside their parents, but for some requests that are late.
fn skewed() -> impl Strategy<Value = Vec<Span>> {
    let late = prop_oneof![4 => Just(0u64), 1 => 1u64..3_000];
    let one = (0usize..64, 0u64..1000, 1u64..1000, 0usize..4, any::<bool>(), any::<bool>(), late);
    (prop::collection::vec(one, 1..24), prop::collection::vec(-5_000i64..5_000, 4)).prop_map(|(list, off)| {
        let mut real: Vec<(u64, u64, usize)> = Vec::new();
        let mut spans = Vec::new();
        for (n, (parent, start, long, host, calls, fails, late)) in list.into_iter().enumerate() {
            let parent = parent % n.max(1);
            let (from, to, _) = real.get(parent).copied().unwrap_or((100_000, 101_000, 0));
            let start = from + start * (to - from) / 2000;
            let end = (start + long * (to - start) / 1000).max(start);
            let late = if calls { 0 } else { late };
            let (start, end) = (start + late, end + late);
            real.push((start, end, host));
            let shift = |time: u64| time.saturating_add_signed(off[host]);
            let service = ["a", "b", "c", "d"][host];
            let parent = if n == 0 { 0 } else { parent as u64 + 1 };
            let kind = if calls { SpanKind::Client } else { SpanKind::Server };
            let mut one = span(n as u64 + 1, parent, shift(start), shift(end), service, kind);
            if fails {
                one.status.code = StatusCode::Error;
            }
            spans.push(one);
        }
        spans
    })
}

proptest! {
    #[test]
    fn bringing_clocks_together_never_lets_a_child_leave_its_parent(spans in skewed()) {
        let nodes = build(spans).nodes;
        for node in &nodes {
            let Some(parent) = node.parent.map(|parent| &nodes[parent]) else { continue };
            let (was, of) = (&node.span, &parent.span);
            let was_inside = of.start <= was.start && was.end <= of.end;
            let inside = parent.start <= node.start && node.end <= parent.end;
            let fits = node.duration() <= parent.duration();
            prop_assert!(inside || !was_inside, "{} left {}", was.span_id, of.span_id);
            // Who calls may give up before the request ends, or begins.
            let failed = of.kind == SpanKind::Client && of.status.code == StatusCode::Error;
            let late = node.is(Oddity::AfterCall) || (failed && was.kind == SpanKind::Server);
            if node.service() != parent.service() && fits && !late {
                prop_assert!(inside, "{} lies outside {}", was.span_id, of.span_id);
            }
            prop_assert_eq!(node.duration(), was.duration());
        }
    }
}

#[test]
fn one_offset_brings_all_spans_of_a_host_back() {
    // Host b is 1,000 fast; the second call alone would admit 995 to 1,010.
    let spans = vec![
        internal(1, 0, 0, 100),
        span(2, 1, 1010, 1090, "b", SpanKind::Server),
        internal(3, 0, 200, 215),
        span(4, 3, 1205, 1210, "b", SpanKind::Server),
    ];
    let tree = build(spans);
    let clock = &tree.clocks[0];
    assert_eq!((clock.host.as_str(), clock.by, clock.calls, clock.spans), ("b", -1000, 2, 2));
    let starts: Vec<u64> = tree.nodes.iter().map(|n| n.start).collect();
    assert_eq!(starts, [0, 10, 200, 205]);
}
