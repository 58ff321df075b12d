use serde_json::{Value, json};

use super::{Question, render};
use crate::terminal::{RenderOptions, columns};

const EVERY: [Question; 9] = [
    Question::Correlate,
    Question::Services,
    Question::Operations,
    Question::ServiceGraph,
    Question::Variance,
    Question::Compare,
    Question::Versions,
    Question::Patterns,
    Question::Exemplars,
];

fn plain(question: Question, answer: &Value, most: usize) -> String {
    render(question, answer, most, &RenderOptions { width: 100, ..RenderOptions::default() })
}

fn services() -> Value {
    let service = |name: &str, errors: u64, p95: &str| {
        json!({
            "name": name, "calls": 1000, "errors": errors, "rate": 0.5, "error_rate": errors as f64 / 2000.0,
            "latency": { "p50_nano": "1500000", "p95_nano": p95, "p99_nano": "3000000000" }, "operations": 2,
        })
    };
    json!({
        "window": { "start_unix_nano": "1700000000000000000", "end_unix_nano": "1700003600000000000", "seconds": 3600.0 },
        "services": [service("busy", 0, "20000000"), service("failing", 12, "10000000"), service("slow", 0, "90000000000")],
        "omitted": 0, "absent": [], "warnings": ["counted in part"],
    })
}

#[test]
fn what_fails_stands_first_then_what_is_slow() {
    let text = plain(Question::Services, &services(), 20);
    let order: Vec<usize> = ["failing", "slow", "busy"].map(|name| text.find(name).unwrap()).to_vec();
    assert!(order.is_sorted(), "{text}");
    assert!(text.starts_with("Services, 2023-11-14 22:13:20Z to 23:13:20Z (1h00m)\n"), "{text}");
    for told in ["12 (1.2%)", "30.0/min", "1m30s", "10.0ms", "counted in part"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn what_is_not_shown_is_counted() {
    let text = plain(Question::Services, &services(), 1);
    assert!(text.contains("failing") && !text.contains("busy"), "{text}");
    assert!(text.contains("... 2 more services; --limit shows more"), "{text}");
}

#[test]
fn nothing_comes_with_its_reason_and_the_next_thing_to_try() {
    for question in EVERY {
        let absent = json!([{ "signal": "logs", "reason": "no_match", "detail": "no line was met", "hint": "ask wider" }]);
        let text = plain(question, &json!({ "absent": absent, "reason": "one side is empty" }), 20);
        assert!(text.contains("no line was met -> ask wider"), "{question:?}: {text}");
        assert!(text.contains("one side is empty"), "{question:?}: {text}");
    }
}

#[test]
fn only_an_answer_with_something_in_it_counts_as_found() {
    assert!(Question::Services.found(&services()));
    assert!(EVERY.iter().filter(|q| **q != Question::Compare).all(|question| !question.found(&json!({}))));
    let sides = |a: u64, b: u64| json!({ "a": { "traces": a }, "b": { "traces": b }, "findings": [] });
    assert!(Question::Compare.found(&sides(7, 9)) && !Question::Compare.found(&sides(0, 9)));
}

#[test]
fn findings_come_in_order_with_how_sure_they_are_and_a_trace_to_open() {
    let answer = json!({
        "a": { "selection": "{ status = error }", "matched": 40, "traces": 40, "failed": 40, "times": { "p95_nano": "5000000" } },
        "b": { "selection": "{ }", "matched": 9000, "traces": 900, "failed": 0, "times": {} },
        "overall": { "significance": 0.00001, "effect": 0.5, "test": "mann_whitney" },
        "findings": [{
            "kind": "errors", "what": "errors begin in POST of payment in 66 % of all traces against 0 %", "service": "payment",
            "also": ["span.status is \"500\" in 66 % of traces against 0 %"],
            "operation": "POST", "significance": 1e-9, "effect": 0.66, "example_trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736"],
        }],
        "tested": 100, "omitted": 3,
    });
    let text = plain(Question::Compare, &answer, 20);
    for told in [
        "900 of 9000",
        "longer in 75%",
        " 1. errors",
        "as span.status is",
        "p < 0.0001, effect +0.66",
        "3 more findings",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(text.contains("trefoil trace 4bf92f3577b34da6a3ce929d0e0e4736"), "{text}");
}

#[test]
fn shapes_that_are_odd_are_shown_as_far_as_they_go_and_never_wider_than_the_terminal() {
    let odd = [json!(null), json!("x"), json!(-7), json!([[]]), json!({ "x": "\u{1b}[2J漢字" })];
    let keys = [
        "services",
        "operations",
        "edges",
        "nodes",
        "contributors",
        "findings",
        "spans",
        "versions",
        "compared",
        "patterns",
        "exceptions",
        "exemplars",
        "traces",
        "logs",
        "metrics",
        "links",
        "workloads",
        "warnings",
        "absent",
        "window",
    ];
    for question in EVERY {
        for value in &odd {
            let answer: Value = keys.iter().map(|key| ((*key).to_owned(), json!([value, value]))).collect();
            for width in [0, 40, 77, 300] {
                let text =
                    render(question, &answer, 20, &RenderOptions { width, ..RenderOptions::default() });
                assert!(text.lines().all(|line| columns(line) <= width.max(40)), "{question:?}: {text}");
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{question:?}: {text}");
            }
        }
    }
}
