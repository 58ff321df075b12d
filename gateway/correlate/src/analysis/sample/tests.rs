use super::*;
use crate::analysis::planted::{Memory, shop};

fn chosen(memory: &Memory, traces: usize) -> Sample {
    let query = traceql::parse("{ name = \"GET /cart\" }").unwrap();
    let limits = Limits::default();
    let (window, below, by, spans) = (Window::ALL, false, None, 100);
    let wanted = Wanted { query: &query, window, below, by, traces, spans, limits };
    collect(memory, &wanted, &mut Vocabulary::default()).unwrap()
}

#[test]
fn of_too_many_the_same_are_chosen_in_whichever_order_they_come() {
    let memory = shop(1, 2_000, |_, _| {});
    let mut turned = memory.clone();
    turned.traces.reverse();
    let (one, other) = (chosen(&memory, 300), chosen(&turned, 300));
    let ids = |sample: &Sample| sample.digests.iter().map(|digest| digest.trace).collect::<Vec<_>>();
    assert_eq!(ids(&one), ids(&other));
    assert_eq!(ids(&one).len(), 300);
    assert!((1_500..2_700).contains(&one.matched), "{}", one.matched);
    assert!(one.warnings[0].contains("300"));
    let all = chosen(&memory, 2_000);
    assert_eq!((all.matched, all.warnings.len()), (2_000, 0));
}

fn parts_are_lost(memory: &mut Memory, traces: usize, name: &str) {
    for (spans, _) in memory.traces.iter_mut().take(traces) {
        spans.retain(|span| span.name != name);
    }
}

#[test]
fn traces_that_miss_spans_count_as_long_as_their_roots_say() {
    let mut memory = shop(2, 100, |_, _| {});
    parts_are_lost(&mut memory, 20, "GET /products");
    let sample = chosen(&memory, 1_000);
    assert_eq!(sample.digests.len(), 100);
    assert_eq!(sample.digests.iter().filter(|digest| digest.gaps).count(), 20);
    assert!(sample.warnings[0].contains("20 of 100 traces"), "{:?}", sample.warnings);
    // Nobody knows who called what is below the gap.
    assert!(
        sample.digests.iter().all(|digest| digest.edges.iter().filter(|edge| edge.0.is_none()).count() == 1)
    );
}

#[test]
fn traces_without_a_root_are_left_out_unless_most_are_so() {
    let whole = |memory: &Memory| {
        let query = traceql::parse("{ name = \"SELECT products\" }").unwrap();
        let limits = Limits::default();
        let (window, below, by, traces, spans) = (Window::ALL, false, None, 1_000, 100);
        let wanted = Wanted { query: &query, window, below, by, traces, spans, limits };
        collect(memory, &wanted, &mut Vocabulary::default()).unwrap()
    };
    let mut memory = shop(2, 100, |_, _| {});
    parts_are_lost(&mut memory, 20, "GET /cart");
    let sample = whole(&memory);
    assert_eq!(sample.digests.len(), 80);
    assert!(sample.warnings[0].contains("left out"), "{:?}", sample.warnings);
    parts_are_lost(&mut memory, 100, "GET /cart");
    assert_eq!(whole(&memory).digests.len(), 100);
}
