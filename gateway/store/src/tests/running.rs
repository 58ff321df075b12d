//! Spans by the time at which they ran are the same wherever they lie.

use super::*;
use crate::read::{RunningSelect, SpanView};

/// Ids and starts of spans that ran.
fn ran(store: &Store, select: &RunningSelect) -> (Vec<(u64, u64)>, bool) {
    let mut found = Vec::new();
    let all = store.running(select, &mut |span: &SpanView<'_>| {
        found.push((span.span_id.bits(), span.start));
        ControlFlow::Continue(())
    });
    found.sort_unstable();
    (found, all.unwrap())
}

#[test]
fn spans_that_ran_are_found_in_head_segments_and_merged_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut all: Vec<Span> = Vec::new();
    for part in 0..12 {
        store.append(batch(part * 300, 300)).unwrap();
        if part < 11 {
            store.seal().unwrap();
        }
    }
    store
        .scan_traces(&SpanSelect { window: Window::ALL, service: None, name: None }, &mut |spans| {
            all.extend(spans);
            ControlFlow::Continue(())
        })
        .unwrap();
    let times: Vec<u64> = all.iter().map(|span| span.start).collect();
    let services: Vec<String> = all.iter().map(|span| span.resource.service().to_owned()).collect();
    let middle = times[times.len() / 2];
    for (window, services) in [
        (Window::ALL, services.clone()),
        (Window { start: middle, end: middle + 1 }, services.clone()),
        (Window { start: middle, end: middle + 2_000_000 }, services[..1].to_vec()),
        (Window { start: middle, end: middle + 2_000_000 }, vec!["nobody".to_owned()]),
    ] {
        let select = RunningSelect { window, services, longest: u64::MAX, bytes: u64::MAX };
        let mut expected: Vec<(u64, u64)> = all
            .iter()
            .filter(|span| select.wants(span.resource.service(), span.start, span.end))
            .map(|span| (span.span_id.bits(), span.start))
            .collect();
        expected.sort_unstable();
        assert_eq!(ran(&store, &select), (expected.clone(), true));
        store.merge();
        assert_eq!(ran(&store, &select), (expected, true));
    }
}

#[test]
fn more_bytes_than_allowed_are_not_read_and_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(batch(0, 300)).unwrap();
    store.seal().unwrap();
    let mut services = Vec::new();
    store
        .scan_traces(&SpanSelect { window: Window::ALL, service: None, name: None }, &mut |spans| {
            services.push(spans[0].resource.service().to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    let select = RunningSelect { window: Window::ALL, services, longest: u64::MAX, bytes: 10 };
    assert_eq!(ran(&store, &select), (Vec::new(), false));
}
