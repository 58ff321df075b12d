use std::sync::Arc;

use parsers::record::{Resource, SpanId, SpanKind, StatusCode, Value};

use super::*;
use crate::analysis::AnalysisOptions;
use crate::analysis::compare::FindingKind;
use crate::analysis::planted::{Dice, MS, Memory, shop};

#[test]
fn numbers_in_versions_count_by_size() {
    assert_eq!(newer("1.10.0", "1.9.3"), Ordering::Greater);
    assert_eq!(newer("v2", "v10"), Ordering::Less);
    assert_eq!(newer("2.0.0", "2.0.0"), Ordering::Equal);
}

/// Requests that call the catalog so many times each, of which one call in so many is of the newer version, which always fails and is
/// slower.
fn canary(requests: u64, calls: u64, one_in: u64) -> Memory {
    let mut memory = shop(7, requests, |_, _| {});
    let mut dice = Dice::new(5);
    for (spans, _) in &mut memory.traces {
        let (root, call) = (spans[0].clone(), spans[1].clone());
        let mut all = vec![root.clone()];
        for number in 0..calls {
            let newer = dice.below(one_in) == 0;
            let (version, took) = if newer { ("2.0.0", 40) } else { ("1.0.0", 9) };
            let mut span = call.clone();
            span.span_id = SpanId::new(call.span_id.bits() * 1_000 + number).unwrap();
            span.kind = SpanKind::Server;
            (span.start, span.end) = (root.start + number * MS, root.start + (number + took) * MS);
            span.attributes = vec![("build".to_owned(), Value::Str(format!("b-{version}")))];
            if newer {
                span.status.code = StatusCode::Error;
            }
            let text = |text: &str| Value::Str(text.to_owned());
            let attributes = vec![
                ("service.name".to_owned(), text("catalog")),
                ("service.version".to_owned(), text(version)),
            ];
            span.resource = Arc::new(Resource { attributes });
            all.push(span);
        }
        *spans = all;
    }
    memory
}

fn ask(memory: Memory, by: &str, versions: usize) -> Versions {
    let (service, by) = ("catalog".to_owned(), by.to_owned());
    let asked = VersionsQuestion { service, by, window: Window::ALL, versions, limit: 50 };
    Analyst::new(Arc::new(memory), AnalysisOptions::default()).versions(&asked).unwrap()
}

#[test]
fn a_version_that_no_trace_meets_alone_is_compared_and_its_numbers_are_those_of_its_calls() {
    let answer = ask(canary(400, 10, 20), "service.version", 100);
    let shares: Vec<(&str, u64, u64)> =
        answer.versions.iter().map(|one| (&*one.version, one.calls, one.failed)).collect();
    let [("2.0.0", new, new_failed), ("1.0.0", old, 0)] = shares.as_slice() else { panic!("{shares:?}") };
    assert_eq!((new + old, new), (4_000, new_failed));
    assert!((answer.versions[0].share - *new as f64 / 4_000.0).abs() < 1e-9);
    assert!((100..300).contains(new), "{new}");
    // Not those of the frontend, which never fails.
    assert_eq!((answer.versions[0].times.p50, answer.versions[1].times.p50), (40 * MS, 9 * MS));
    assert!(answer.warnings.iter().any(|w| w.contains("fewest calls")), "{:?}", answer.warnings);
    let compared = &answer.compared[0];
    assert_eq!(
        (&*compared.version, compared.newer, &answer.baseline),
        ("2.0.0", true, &Some("1.0.0".to_owned()))
    );
    let first = &compared.comparison.findings[0];
    assert_eq!(
        (first.kind, &*first.operation.service, first.a, first.b),
        (FindingKind::Errors, "catalog", 1.0, 0.0)
    );
}

#[test]
fn where_most_traces_meet_several_versions_calls_are_compared() {
    let answer = ask(canary(200, 10, 2), "service.version", 100);
    assert!(
        answer.warnings.iter().any(|w| w.contains("calls of catalog are compared")),
        "{:?}",
        answer.warnings
    );
    let comparison = &answer.compared[0].comparison;
    assert!(comparison.a.times.traces.min(comparison.b.times.traces) > 800, "{:?}", comparison.a);
    let kinds: Vec<FindingKind> = comparison.findings.iter().map(|finding| finding.kind).collect();
    assert!(kinds.contains(&FindingKind::Errors) && kinds.contains(&FindingKind::Latency), "{kinds:?}");
    assert_eq!(comparison.findings[0].a + comparison.findings[0].b, 1.0);
}

#[test]
fn an_attribute_is_named_as_traceql_does_too() {
    for by in ["build", "span.build", ".build"] {
        let versions: Vec<String> =
            ask(canary(50, 3, 5), by, 100).versions.into_iter().map(|one| one.version).collect();
        assert_eq!(versions, ["b-2.0.0", "b-1.0.0"], "{by}");
    }
    assert_eq!(ask(canary(50, 3, 5), "resource.service.version", 100).versions.len(), 2);
    assert!(ask(canary(50, 3, 5), "resource.build", 100).reason.unwrap().contains("resource.build"));
}

#[test]
fn so_many_versions_are_listed_as_are_asked_for() {
    let answer = ask(canary(50, 3, 5), "build", 1);
    assert_eq!((answer.versions.len(), answer.omitted, answer.compared.len()), (1, 1, 1));
}
