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

#[test]
fn traces_that_miss_spans_are_left_out_unless_most_do() {
    let mut memory = shop(2, 100, |_, _| {});
    let orphan = |(spans, _): &mut (Vec<parsers::record::Span>, _)| {
        spans.retain(|span| span.name != "GET /products");
    };
    memory.traces.iter_mut().take(20).for_each(orphan);
    let sample = chosen(&memory, 1_000);
    assert_eq!(sample.digests.len(), 80);
    assert!(sample.warnings[0].contains("left out"));
    memory.traces.iter_mut().for_each(orphan);
    assert_eq!(chosen(&memory, 1_000).digests.len(), 100);
}
