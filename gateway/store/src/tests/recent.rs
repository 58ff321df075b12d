//! Blocks that are kept in memory say what their segments do.

use super::sampling::{Record, batch_of, bits, decide, open_sampling, rules, sweep};
use super::*;
use crate::read::Signal;

#[test]
fn what_was_looked_up_before_a_sweep_is_whole_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sampling(dir.path(), Some(rules()));
    // Spans of some blocks, which a sweep packs anew.
    let records: Vec<_> =
        (0..6_000).map(|number| Record::Span { trace: number / 2, error: number % 14 == 0 }).collect();
    store.append(batch_of(&records, 0)).unwrap();
    store.seal().unwrap();
    let spans = |trace: u64| store.trace(id(bits(trace, 1)), 10).unwrap().spans.len();
    assert!((0..3_000).all(|trace| spans(trace) == 2));
    let blocks = || {
        let view = store.inner().view.read().unwrap();
        let traces = view.segments.iter().filter(|s| s.name.signal == Signal::Traces);
        traces.map(|s| (s.name, s.footer.blocks.len())).collect::<Vec<_>>()
    };
    let before = blocks();
    decide(&store);
    sweep(&store);
    let after = blocks();
    assert_eq!((before.len(), before[0].0), (after.len(), after[0].0));
    assert!(before[0].1 > after[0].1 && after[0].1 > 1, "{before:?} {after:?}");
    let kept = |trace: &u64| store.sampled_out(id(bits(*trace, 1))).is_none();
    let (kept, dropped): (Vec<u64>, Vec<u64>) = (0..3_000).partition(kept);
    assert!(kept.into_iter().all(|trace| spans(trace) == 2));
    assert!(!dropped.is_empty() && dropped.into_iter().all(|trace| spans(trace) == 0));
}
