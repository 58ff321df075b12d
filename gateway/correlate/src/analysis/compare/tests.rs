use std::sync::Arc;

use proptest::prelude::*;
use store::read::Window;

use super::*;
use crate::analysis::planted::{MS, Memory, shop};
use crate::analysis::{AnalysisOptions, Analyst};

fn analyst(memory: Memory) -> Analyst {
    Analyst::new(Arc::new(memory), AnalysisOptions::default())
}

fn compare(memory: &Memory, a: &str, b: &str) -> Comparison {
    compare_with(memory, a, b, None)
}

pub(super) fn compare_with(memory: &Memory, a: &str, b: &str, metrics: Option<Metrics>) -> Comparison {
    compare_some(memory, a, Some(b), metrics)
}

fn compare_some(memory: &Memory, a: &str, b: Option<&str>, metrics: Option<Metrics>) -> Comparison {
    let read = |text: &str| (text.to_owned(), Selection::read(text).unwrap());
    let (a_window, b_window) = (Window::ALL, Window::ALL);
    let asked = CompareQuestion {
        a: read(a),
        a_window,
        b: b.map(read),
        b_window,
        now: u64::MAX,
        limit: 100,
        pairs: 100,
    };
    let analyst = match metrics {
        Some(metrics) => analyst(memory.clone()).with_metrics(metrics, crate::LabelMapping::default()),
        None => analyst(memory.clone()),
    };
    analyst.compare(&asked).unwrap()
}

/// Kind, operation, and value or pattern.
fn told(finding: &Finding) -> (&'static str, String, String) {
    let more = match &finding.detail {
        Detail::Attribute { key, value, .. } => format!("{key}={value}"),
        Detail::Pattern(pattern) => pattern.clone(),
        Detail::Caller(Some(caller)) => caller.operation.clone(),
        _ => String::new(),
    };
    (finding.kind.as_str(), finding.operation.operation.clone(), more)
}

#[test]
fn that_versions_run_in_pods_of_their_own_is_no_finding() {
    let memory = shop(7, 400, |request, _| {
        if request.number % 4 == 0 {
            request.version = "1.1.0";
        }
    });
    let asked = VersionsQuestion {
        service: "catalog".to_owned(),
        by: "service.version".to_owned(),
        window: Window::ALL,
        versions: 100,
        limit: 100,
    };
    let compared = &analyst(memory).versions(&asked).unwrap().compared[0];
    let pods: Vec<_> = compared
        .comparison
        .findings
        .iter()
        .filter(|finding| finding.operation.service == "catalog")
        .map(told)
        .collect();
    assert!(pods.is_empty(), "{pods:?}");
}

#[test]
fn slow_against_others_names_the_statement_then_its_lines_and_its_customer() {
    let memory = shop(1, 600, |request, dice| {
        if request.customer == "acme" && dice.below(10) > 0 {
            request.statement += (200 + dice.below(100)) * MS;
            request.lines.push("waiting for lock".to_owned());
        }
    });
    let slow = "{ name = \"GET /cart\" && duration > 100ms }";
    let found = compare(&memory, slow, "{ name = \"GET /cart\" && duration <= 100ms }");
    let all: Vec<_> = found.findings.iter().map(told).collect();
    assert_eq!(all[0], ("latency", "SELECT products".to_owned(), String::new()), "{all:?}");
    assert_eq!(all[1], ("pattern", "SELECT products".to_owned(), "waiting for lock".to_owned()), "{all:?}");
    assert_eq!(all[2], ("attribute", "GET /cart".to_owned(), "customer=acme".to_owned()), "{all:?}");
    // What calls the statement takes no longer by itself.
    assert!(!all.iter().any(|(kind, operation, _)| *kind == "latency" && operation != "SELECT products"));
    let first = &found.findings[0];
    assert!(first.a > 10.0 * first.b && first.significance.unwrap().p < 1e-9);
    assert_eq!(found.overall.unwrap().effect, 1.0);
}

/// Requests of which a fifth run a slow statement, for which half of them wait much longer than it takes.
fn crowded(seed: u64) -> Memory {
    shop(seed, 600, |request, dice| {
        if dice.below(5) == 0 {
            request.statement = (100 + dice.below(60)) * MS;
            request.waits = if dice.below(2) == 0 { (200 + dice.below(400)) * MS } else { 0 };
            request.version = "1.1.0";
        }
    })
}

fn place(found: &Comparison, kind: &str, operation: &str) -> usize {
    let all: Vec<_> = found.findings.iter().map(told).collect();
    let place = all.iter().position(|(k, o, _)| *k == kind && o == operation);
    place.unwrap_or_else(|| panic!("no {kind} of {operation}: {all:?}"))
}

#[test]
fn who_waits_longer_since_those_whom_it_calls_are_slow_is_behind_them() {
    for seed in 1..6 {
        let memory = crowded(seed);
        let (slow, others) =
            ("{ name = \"GET /cart\" && duration > 250ms }", "{ name = \"GET /cart\" && duration <= 250ms }");
        for (a, b) in [(slow, others), (others, slow)] {
            let found = compare(&memory, a, b);
            assert_eq!(place(&found, "latency", "SELECT products"), 0);
            assert!(place(&found, "latency", "GET /cart") > 0);
            let waiting = &found.findings[place(&found, "latency", "GET /cart")];
            assert!((waiting.a - waiting.b).abs() > 200.0 * MS as f64, "by size it would be first");
        }
    }
}

#[test]
fn a_caller_that_is_slow_by_itself_is_behind_nobody() {
    for seed in 1..6 {
        let memory = shop(seed, 600, |request, dice| {
            // Neither has to do with the other.
            request.waits = if dice.below(5) == 0 { 300 * MS } else { 0 };
            request.statement += if dice.below(4) == 0 { 60 * MS } else { 0 };
        });
        let (slow, others) =
            ("{ name = \"GET /cart\" && duration > 80ms }", "{ name = \"GET /cart\" && duration <= 80ms }");
        let found = compare(
            &memory,
            "{ name = \"GET /cart\" && duration > 250ms }",
            "{ name = \"GET /cart\" && duration <= 250ms }",
        );
        assert_eq!(place(&found, "latency", "GET /cart"), 0);
        let found = compare(&memory, slow, others);
        // Of both causes each counts for itself.
        let finding = &found.findings[place(&found, "latency", "GET /cart")];
        let effect = finding.significance.unwrap().effect;
        assert!((finding.score / effect - 0.98).abs() < 1e-9, "{finding:?}");
    }
}

#[test]
fn who_gives_up_what_takes_too_long_is_behind_what_takes_long() {
    for seed in 1..6 {
        let memory = shop(seed, 400, |request, dice| {
            request.statement += if dice.below(4) == 0 { (100 + dice.below(80)) * MS } else { 0 };
            request.gives_up = request.statement > 140 * MS;
            if request.gives_up {
                request.lines.push("no longer wanted".to_owned());
            }
        });
        let failed = "{ name = \"GET /cart\" && status = error }";
        let found = compare(&memory, failed, "{ name = \"GET /cart\" && status != error }");
        assert_eq!(place(&found, "latency", "SELECT products"), 0, "{:?}", found.findings.first());
        assert_eq!(found.findings[place(&found, "errors", "GET /cart")].a, 1.0);
    }
    // What fails for another reason, at once, is no matter of time.
    let memory = shop(9, 400, |request, dice| {
        request.gives_up = dice.below(4) == 0;
        request.statement += if request.gives_up { MS } else { 0 };
    });
    let found = compare(
        &memory,
        "{ name = \"GET /cart\" && status = error }",
        "{ name = \"GET /cart\" && status != error }",
    );
    assert_eq!(place(&found, "errors", "GET /cart"), 0);
}

#[test]
fn errors_are_named_where_they_begin() {
    let memory = shop(2, 400, |request, dice| request.statement_fails = dice.below(4) == 0);
    let found = compare(
        &memory,
        "{ trace:rootName = \"GET /cart\" && status = error }",
        "{ trace:rootName = \"GET /cart\" && name = \"GET /cart\" && status != error }",
    );
    let all: Vec<_> = found.findings.iter().map(told).collect();
    assert_eq!(all, [("errors", "SELECT products".to_owned(), String::new())]);
    assert_eq!((found.findings[0].a, found.findings[0].b), (1.0, 0.0));
}

/// A third of the requests that fail do so in the statement, others in the reviews, which not all ask for.
fn failing_twice(seed: u64) -> Memory {
    let mut memory = shop(seed, 600, |request, dice| {
        request.statement_fails = dice.below(6) == 0;
        // Whose statement fails asks for nothing more.
        request.reviews = (!request.statement_fails && dice.below(3) == 0).then_some(4 * MS);
    });
    for (number, (spans, _)) in memory.traces.iter_mut().enumerate() {
        let fails = |span: &parsers::record::Span| span.status.code == parsers::record::StatusCode::Error;
        let broken = number % 4 == 0 && spans.iter().any(|span| span.name == "GET /stars");
        for span in spans.iter_mut().filter(|span| ["GET /stars", "GET /cart"].contains(&&*span.name)) {
            if broken {
                span.status.code = parsers::record::StatusCode::Error;
                span.end += 200 * MS;
            }
            let status = if fails(span) { "500" } else { "200" };
            span.attributes.push(("status".to_owned(), parsers::record::Value::Str(status.to_owned())));
        }
    }
    memory
}

#[test]
fn of_two_causes_of_errors_both_come_before_what_they_make_and_shares_are_of_all_traces() {
    for seed in 1..6 {
        let memory = failing_twice(seed);
        let found = compare_some(&memory, "{ status = error }", None, None);
        let all: Vec<_> = found.findings.iter().map(told).collect();
        let errors = |operation: &str| ("errors", operation.to_owned(), String::new());
        assert_eq!(all[..2], [errors("SELECT products"), errors("GET /stars")], "{all:?}");
        let stars = &found.findings[1];
        assert!(stars.a < 0.5 && stars.b == 0.0, "{stars:?}");
        assert_eq!(stars.significance.unwrap().effect, stars.a - stars.b);
        assert!(
            stars.what.contains("of all traces against 0 % (in 100 % of those that reach it"),
            "{}",
            stars.what
        );
        // That some are answered with 500 and others with 200 is one fact.
        let status: Vec<&Finding> =
            found.findings.iter().filter(|one| told(one).2.starts_with("status=")).collect();
        assert_eq!(status.len(), 1, "{status:?}");
        assert!(status[0].what.contains("\"500\"") && status[0].also[0].contains("\"200\""), "{status:?}");
    }
}

#[test]
fn what_a_few_traces_wait_for_is_behind_what_half_of_them_fail_of() {
    let memory = shop(3, 600, |request, dice| {
        // Half of those that fail do so in the statement, the others in the frontend.
        let fails = request.number % 2 == 0;
        request.statement_fails = fails && dice.below(2) == 0;
        request.gives_up = fails;
        // Few ask for reviews, and those that fail wait for them.
        let took = if fails { 20_000 } else { 4 };
        request.reviews = (request.number % 40 < 2).then_some(took * MS);
    });
    let found = compare_some(&memory, "{ status = error }", None, None);
    assert!(place(&found, "errors", "SELECT products") < place(&found, "latency", "GET /stars"));
    let stars = &found.findings[place(&found, "latency", "GET /stars")];
    assert!(stars.score < 0.1, "{stars:?}");
}

#[test]
fn a_call_that_one_side_does_not_make_is_structure() {
    let memory = shop(3, 400, |request, _| request.reviews = (request.customer != "hooli").then_some(4 * MS));
    let found = compare(&memory, "{ .customer = \"hooli\" }", "{ .customer != \"hooli\" }");
    let all: Vec<_> = found.findings.iter().map(told).collect();
    assert_eq!(all[0], ("structure", "GET /stars".to_owned(), "GET /cart".to_owned()), "{all:?}");
    assert_eq!((found.findings[0].a, found.findings[0].b), (0.0, 1.0));
    // By what they were chosen they differ, of course.
    assert!(!all.iter().any(|(.., more)| more.starts_with("customer=")), "{all:?}");
    assert!(found.warnings.iter().any(|warning| warning.contains("customer")), "{:?}", found.warnings);
}

#[test]
fn errors_against_others_are_asked_for_with_nothing_or_anything_as_the_other_side() {
    let memory = shop(2, 200, |request, dice| request.statement_fails = dice.below(4) == 0);
    let failing = compare(&memory, "{ status = error }", "{ .customer != nil && status != error }");
    let told_of = |found: &Comparison| found.findings.iter().map(told).collect::<Vec<_>>();
    let first = ("errors", "SELECT products".to_owned(), String::new());
    assert_eq!(told_of(&failing)[0], first);
    let alone = compare_some(&memory, "{ status = error }", None, None);
    assert_eq!(told_of(&alone), told_of(&failing));
    assert_eq!((alone.b.selection.as_str(), alone.a.matched + alone.b.matched), ("all other traces", 200));
    for others in ["{ }", "{ status != error }"] {
        let found = compare(&memory, "{ status = error }", others);
        assert_eq!(told_of(&found), told_of(&failing), "{others}");
        assert_eq!((found.a.times, found.b.times), (alone.a.times, alone.b.times));
        assert!(found.warnings.iter().any(|w| w.contains("count for a alone")), "{:?}", found.warnings);
        let turned = compare(&memory, others, "{ status = error }");
        assert!(turned.warnings.iter().any(|w| w.contains("count for b alone")), "{:?}", turned.warnings);
    }
    assert!(Selection::read("{ } | rate()").unwrap_err().to_string().contains("a selection of traces"));
}

#[test]
fn where_all_traces_are_chosen_there_are_no_others() {
    let memory = shop(4, 60, |_, _| {});
    for all in ["{ }", "{ name = \"GET /cart\" }"] {
        let found = compare_some(&memory, all, None, None);
        assert_eq!((found.a.matched, found.b.matched, found.b.times.traces), (60, 0, 0), "{all}");
        assert!(found.findings.is_empty() && found.reason.unwrap().contains("no others"), "{all}");
        assert!(!found.warnings.iter().any(|warning| warning.contains("both sides")), "{:?}", found.warnings);
    }
}

#[test]
fn too_few_traces_are_a_reason() {
    let memory = shop(4, 6, |_, _| {});
    let found = compare(&memory, "{ .customer = \"nobody\" }", "{ name = \"GET /cart\" }");
    assert!(found.findings.is_empty());
    assert!(found.reason.unwrap().contains("a has 0 traces"));
}

#[test]
fn a_slow_version_is_named_with_its_traffic() {
    let memory = shop(5, 500, |request, dice| {
        if dice.below(5) == 0 {
            request.version = "1.10.0";
            request.statement += 30 * MS;
        } else {
            request.version = "1.9.0";
        }
    });
    let (service, by) = ("catalog".to_owned(), "service.version".to_owned());
    let asked = VersionsQuestion { service, by, window: Window::ALL, versions: 100, limit: 20 };
    let found = analyst(memory).versions(&asked).unwrap();
    assert_eq!(found.baseline.as_deref(), Some("1.9.0"));
    let names: Vec<&str> = found.versions.iter().map(|version| &*version.version).collect();
    assert_eq!(names, ["1.10.0", "1.9.0"]);
    let share: f64 = found.versions.iter().map(|version| version.share).sum();
    assert!((share - 1.0).abs() < 1e-9 && found.versions[0].share < 0.3);
    let canary = &found.compared[0];
    assert!(canary.newer);
    assert_eq!(told(&canary.comparison.findings[0]).0, "latency");
    assert_eq!(canary.comparison.findings[0].operation.operation, "SELECT products");
    assert!(canary.comparison.findings.iter().all(|finding| !told(finding).2.starts_with("service.version")));
}

#[test]
fn two_traces_are_laid_side_by_side() {
    let memory = shop(6, 2, |request, _| {
        request.statement = if request.number == 1 { 5 * MS } else { 300 * MS };
        request.statement_fails = request.number == 2;
        request.reviews = (request.number == 1).then_some(4 * MS);
        request.lines = vec!["read rows".to_owned(); request.number as usize];
    });
    let id = |at: usize| memory.traces[at].0[0].trace_id.to_string();
    let found = compare(&memory, &id(0), &id(1));
    let all: Vec<_> = found.findings.iter().map(told).collect();
    assert!(all[..2].contains(&("latency", "SELECT products".to_owned(), String::new())), "{all:?}");
    assert!(all[..2].contains(&("errors", "SELECT products".to_owned(), String::new())), "{all:?}");
    assert!(all.contains(&("structure", "GET /stars".to_owned(), String::new())), "{all:?}");
    assert!(all.contains(&("pattern", "SELECT products".to_owned(), "read rows".to_owned())), "{all:?}");
    let drawn: Vec<(u32, &str, bool, bool)> = found
        .spans
        .iter()
        .map(|pair| (pair.depth, &*pair.operation.operation, pair.a.is_some(), pair.b.is_some()))
        .collect();
    let expected = [
        (0, "GET /cart", true, true),
        (1, "GET /products", true, true),
        (2, "SELECT products", true, true),
        (1, "GET /stars", true, false),
    ];
    assert_eq!(drawn, expected);
    let same = compare(&memory, &id(0), &id(0));
    assert!(same.findings.is_empty() && same.reason.is_some());
}

#[test]
fn of_two_traces_a_statement_that_runs_sixty_times_is_one_finding_with_both_counts() {
    let mut memory = shop(7, 2, |request, _| request.statement = 5 * MS);
    let spans = &mut memory.traces[0].0;
    let statement = spans.iter().find(|span| span.name == "SELECT products").unwrap().clone();
    for more in 1..60 {
        let span_id = parsers::record::SpanId::new(1000 + more).unwrap();
        let (start, end) = (statement.start + more * 1000, statement.end + more * 1000);
        spans.push(parsers::record::Span { span_id, start, end, ..statement.clone() });
    }
    let id = |at: usize| memory.traces[at].0[0].trace_id.to_string();
    for (a, b, what, counts) in [
        (0, 1, "SELECT products of catalog runs 60 times against 1", (60.0, 1.0)),
        (1, 0, "SELECT products of catalog runs once against 60 times", (1.0, 60.0)),
    ] {
        let found = compare(&memory, &id(a), &id(b));
        let structure: Vec<&Finding> =
            found.findings.iter().filter(|finding| finding.kind == FindingKind::Structure).collect();
        let [one] = structure.as_slice() else { panic!("{structure:?}") };
        assert_eq!((&*one.what, (one.a, one.b)), (what, counts));
        assert_eq!(one.examples[0].to_string(), id(0));
    }
}

#[test]
fn of_two_traces_who_waits_or_gives_up_is_behind_whom_it_waits_for() {
    let memory = shop(7, 2, |request, _| {
        let slow = request.number == 2;
        request.statement = if slow { 200 * MS } else { 5 * MS };
        request.waits = if slow { 300 * MS } else { 0 };
        request.reviews = None;
    });
    let id = |memory: &Memory, at: usize| memory.traces[at].0[0].trace_id.to_string();
    let found = compare(&memory, &id(&memory, 0), &id(&memory, 1));
    assert_eq!(place(&found, "latency", "SELECT products"), 0);
    assert_eq!(place(&found, "latency", "GET /cart"), 1);
    let memory = shop(7, 2, |request, _| {
        request.gives_up = request.number == 1;
        request.statement = if request.gives_up { 200 * MS } else { 5 * MS };
    });
    let found = compare(&memory, &id(&memory, 0), &id(&memory, 1));
    assert_eq!(place(&found, "latency", "SELECT products"), 0);
    assert_eq!(place(&found, "errors", "GET /cart"), 1);
}

fn random(seed: u64, requests: u64) -> Memory {
    shop(seed, requests, |request, dice| {
        request.statement += dice.below(80) * MS;
        request.reviews = (dice.below(3) > 0).then_some(4 * MS);
        request.statement_fails = dice.below(5) == 0;
        request.lines.push(["retrying", "cache miss", "done"][dice.below(3) as usize].to_owned());
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_set_compared_with_itself_finds_nothing(seed in any::<u64>(), requests in 5u64..120) {
        let found = compare(&random(seed, requests), "{ name = \"GET /cart\" }", "{ .customer != nil }");
        prop_assert!(found.findings.is_empty(), "{:?}", found.findings.first());
        prop_assert!(found.reason.is_some());
        prop_assert_eq!(found.a.times, found.b.times);
    }

    #[test]
    fn swapping_the_sides_mirrors_the_findings(seed in any::<u64>()) {
        let memory = random(seed, 150);
        let (a, b) = ("{ name = \"GET /cart\" && duration > 60ms }", "{ name = \"GET /cart\" && duration <= 60ms }");
        let (one, other) = (compare(&memory, a, b), compare(&memory, b, a));
        prop_assert!(!one.findings.is_empty());
        prop_assert_eq!(one.findings.len(), other.findings.len());
        // Of equals, each side's own come first.
        let sorted = |found: &Comparison| {
            let mut findings = found.findings.clone();
            findings.sort_by_key(told);
            findings
        };
        for (one, other) in sorted(&one).iter().zip(&sorted(&other)) {
            prop_assert_eq!(told(one), told(other));
            prop_assert_eq!((one.a, one.b), (other.b, other.a));
            let (one, other) = (one.significance.unwrap(), other.significance.unwrap());
            prop_assert!((one.effect + other.effect).abs() < 1e-9);
            prop_assert!((one.p - other.p).abs() < 1e-9);
        }
    }
}
