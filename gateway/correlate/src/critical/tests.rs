use std::sync::Arc;

use parsers::record::{
    Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, TraceId, Value,
};
use proptest::prelude::*;

use super::*;
use crate::tree;

fn span(id: u64, parent: u64, start: u64, end: u64) -> Span {
    let service = ("service.name".to_owned(), Value::Str("a".to_owned()));
    Span {
        trace_id: TraceId::new(7, Spelling::new(SpellingKind::Hex(32))).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: format!("op{id}"),
        kind: SpanKind::Internal,
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

fn drawn(spans: Vec<Span>) -> Vec<(u64, u64, u64)> {
    path(&tree::build(spans).nodes).iter().map(|s| (s.span_id.bits(), s.start, s.end)).collect()
}

#[test]
fn children_that_overlap_share_the_time_and_leave_none_to_their_parent() {
    let spans = vec![span(1, 0, 0, 12), span(2, 1, 0, 7), span(3, 1, 5, 10)];
    assert_eq!(drawn(spans), [(2, 0, 5), (3, 5, 10), (1, 10, 12)]);
    // Measured a little too long: what came before is not lost for it.
    let spans = vec![span(1, 0, 0, 100), span(2, 1, 0, 51), span(3, 1, 50, 100)];
    assert_eq!(drawn(spans), [(2, 0, 50), (3, 50, 100)]);
}

#[test]
fn of_children_at_once_the_slowest_is_what_was_waited_for() {
    let spans = vec![span(1, 0, 0, 100), span(2, 1, 10, 40), span(3, 1, 10, 90), span(4, 1, 10, 60)];
    assert_eq!(drawn(spans), [(1, 0, 10), (3, 10, 90), (1, 90, 100)]);
}

#[test]
fn nobody_waits_for_a_child_that_runs_on() {
    let spans = vec![span(1, 0, 0, 100), span(2, 1, 90, 500), span(3, 1, 20, 60)];
    assert_eq!(drawn(spans), [(1, 0, 20), (3, 20, 60), (1, 60, 100)]);
    // One that ends a little after its parent was waited for.
    let spans = vec![span(1, 0, 0, 100), span(2, 1, 10, 103)];
    assert_eq!(drawn(spans), [(1, 0, 10), (2, 10, 100)]);
}

#[test]
fn of_children_that_start_one_after_the_other_and_run_at_once_the_last_is_waited_for() {
    let mut spans = vec![span(1, 0, 0, 200)];
    spans.extend((0..20).map(|n| span(10 + n, 1, n, n + 100)));
    assert_eq!(drawn(spans), [(1, 0, 19), (29, 19, 119), (1, 119, 200)]);
}

#[test]
fn what_runs_on_after_the_path_is_told() {
    let told = |spans: Vec<Span>| runs_on(&tree::build(spans).nodes);
    let spans = vec![span(1, 0, 0, 30_000_000), span(2, 1, 2_000_000_000, 5_000_000_000)];
    let said = told(spans).unwrap();
    assert!(said.contains("after 0.030 s") && said.contains("ended 4.970 s later"), "{said}");
    assert_eq!(told(vec![span(1, 0, 0, 100), span(2, 1, 10, 103)]), None);
    assert_eq!(told(Vec::new()), None);
}

proptest! {
    #[test]
    fn segments_cover_the_root_exactly_once(
        times in prop::collection::vec((0u64..200, 0u64..200, 0usize..8), 1..24),
        below in 0usize..24,
    ) {
        let spans: Vec<Span> = times
            .iter()
            .enumerate()
            .map(|(i, (start, length, parent))| {
                // Each has an earlier one above it, wherever its times lie.
                let parent = if i == 0 { 0 } else { (parent % i) as u64 + 1 };
                span(i as u64 + 1, parent, *start, start + length)
            })
            .collect();
        let nodes = tree::build(spans).nodes;
        let from = below % nodes.len();
        let covered = super::below(&nodes, from);
        let node = &nodes[from];
        prop_assert_eq!(covered.iter().map(|s| s.end - s.start).sum::<u64>(), node.duration());
        let mut at = node.start;
        for stretch in covered {
            prop_assert_eq!(stretch.start, at);
            at = stretch.end;
            prop_assert!(stretch.node >= from);
            let own = &nodes[stretch.node];
            prop_assert!(own.start <= stretch.start && stretch.end <= own.end);
        }
    }
}
