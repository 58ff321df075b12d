//! Records of several traces at once are those that looking each of them up gives.

use super::*;

/// Times and lines of log records, and ids of spans, by the place of their trace.
type Found = (Vec<(usize, u64, Vec<u8>)>, Vec<(usize, u64)>);

fn at_once(store: &Store, ids: &[TraceId]) -> Found {
    let (mut lines, mut spans) = (Vec::new(), Vec::new());
    store.lines_of(ids, &mut |place, line| lines.push((place, line.time, line.line.to_vec()))).unwrap();
    store.spans_of(ids, &mut |place, span| spans.push((place, span.span_id.bits()))).unwrap();
    lines.sort_unstable();
    spans.sort_unstable();
    (lines, spans)
}

fn one_by_one(store: &Store, ids: &[TraceId]) -> Found {
    let (mut lines, mut spans) = (Vec::new(), Vec::new());
    for (place, id) in ids.iter().enumerate() {
        let records = store.trace(*id, usize::MAX).unwrap();
        lines.extend(records.logs.into_iter().map(|record| (place, record.time, record.line)));
        spans.extend(records.spans.iter().map(|span| (place, span.span_id.bits())));
    }
    lines.sort_unstable();
    spans.sort_unstable();
    (lines, spans)
}

#[test]
fn several_traces_are_read_as_each_alone_in_heads_segments_and_merged_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for part in 0..10 {
        store.append(batch(part * 300, 300)).unwrap();
        if part < 9 {
            store.seal().unwrap();
        }
    }
    let short = TraceId::new(u128::from(TRACE as u64), Spelling::new(SpellingKind::Hex(16))).unwrap();
    let nobody = TraceId::new(77, Spelling::new(SpellingKind::Hex(32))).unwrap();
    let ids = [id(trace(3)), nobody, id(trace(0)), short];
    let all = one_by_one(&store, &ids);
    assert!(all.0.len() > 1_000 && all.1.len() > 1_000, "{} lines, {} spans", all.0.len(), all.1.len());
    assert_eq!(at_once(&store, &ids), all);
    store.merge();
    assert_eq!(at_once(&store, &ids), all);
    assert_eq!(at_once(&store, &[]), Found::default());
}
