use std::sync::Arc;

use super::super::{CompareQuestion, Selection};
use super::*;
use crate::analysis::planted::{MS, Memory, shop};
use crate::analysis::{AnalysisOptions, Analyst};

const SECOND: u64 = 1_000 * MS;
/// When the first request of a shop starts, ten a second from then on.
const BEGIN: u64 = 1_000 * SECOND;

fn compare(memory: &Memory, text: (&str, &str), windows: [(u64, u64); 2], now: u64) -> Comparison {
    let read = |text: &str| (text.to_owned(), Selection::read(text).unwrap());
    let [a_window, b_window] =
        windows.map(|(start, end)| Window { start: BEGIN + start * SECOND, end: BEGIN + end * SECOND });
    let asked = CompareQuestion {
        a: read(text.0),
        a_window,
        b: Some(read(text.1)),
        b_window,
        now: BEGIN + now * SECOND,
        limit: 10,
        pairs: 10,
    };
    Analyst::new(Arc::new(memory.clone()), AnalysisOptions::default()).compare(&asked).unwrap()
}

/// Ten requests a second in the first minute, `left` in ten of them from then on.
fn shrunk(left: u64) -> Memory {
    let mut memory = shop(1, 1_200, |request, _| request.statement = 5 * MS);
    let mut number = 0;
    memory.traces.retain(|(spans, _)| {
        number += 1;
        spans[0].start < BEGIN + 60 * SECOND || number % 10 < left
    });
    memory
}

const ALL: &str = "{ name = \"GET /cart\" }";

#[test]
fn most_of_the_traffic_that_is_gone_is_found() {
    let found = compare(&shrunk(1), (ALL, ALL), [(60, 120), (0, 60)], 500);
    let first = &found.findings[0];
    assert_eq!((first.kind, first.unit), (FindingKind::Structure, Unit::PerSecond));
    assert!((first.a - 1.0).abs() < 0.1 && (first.b - 10.0).abs() < 0.2, "{first:?}");
    assert!(first.what.contains("traffic") && first.score > 0.7, "{first:?}");
    assert_eq!(found.reason, None);
}

#[test]
fn traffic_that_is_gone_altogether_is_found_though_nothing_else_can_be() {
    let found = compare(&shrunk(0), (ALL, ALL), [(60, 120), (0, 60)], 500);
    assert_eq!((found.findings.len(), found.findings[0].a), (1, 0.0));
    assert!(found.warnings.iter().any(|warning| warning.contains("a has 0 traces")), "{:?}", found.warnings);
}

#[test]
fn as_much_traffic_in_other_windows_is_no_finding() {
    // The later window is longer, or not over yet; before the earlier one nothing was stored.
    let memory = shrunk(10);
    for (windows, now) in
        [([(60, 120), (0, 60)], 120), ([(30, 120), (0, 30)], 120), ([(60, 600), (0, 60)], 120)]
    {
        let found = compare(&memory, (ALL, ALL), windows, now);
        assert!(found.findings.is_empty(), "{:?}", found.findings);
    }
    let mut early = memory.clone();
    early.traces.truncate(900);
    let found = compare(&early, (ALL, ALL), [(60, 90), (0, 60)], 90);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    // The time before the first of all.
    let mut begins = memory;
    begins.traces.drain(..500);
    let found = compare(&begins, (ALL, ALL), [(60, 120), (0, 60)], 120);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

#[test]
fn two_questions_have_traffic_of_their_own() {
    let found = compare(&shrunk(1), (ALL, "{ name = \"GET /products\" }"), [(60, 120), (0, 60)], 500);
    assert!(found.findings.iter().all(|finding| finding.unit != Unit::PerSecond), "{:?}", found.findings);
}
