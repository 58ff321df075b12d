//! What is read and how it is shown, what is refused, and that any text is one of the two.

use proptest::prelude::*;

use super::super::functions;
use super::super::{parse, show_number};

const CASES: &str = include_str!("cases.txt");

#[test]
fn queries_are_read_and_shown_as_the_table_says() {
    let mut count = 0;
    for line in CASES.lines().filter(|line| !line.starts_with("# ") && !line.trim().is_empty()) {
        count += 1;
        if let Some((query, error)) = line.split_once("!! ") {
            let query = query.trim_end();
            assert_eq!(parse(query).unwrap_err().to_string(), error, "{query}");
            continue;
        }
        let (query, shown) = line.split_once(" => ").unwrap_or((line, line.trim()));
        let expr = parse(query.trim()).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(expr.to_string(), shown, "{query}");
        let again = parse(shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(again.to_string(), shown, "{query}");
    }
    assert!(count > 100, "{count}");
}

#[test]
fn an_error_in_a_later_line_names_it() {
    let error = parse("sum(\n  rate(up)\n)").unwrap_err().to_string();
    assert!(error.starts_with("2:8: parse error: expected type range vector"), "{error}");
}

#[test]
fn nesting_and_chains_have_a_bound() {
    for deep in [
        "(".repeat(5000) + "up" + &")".repeat(5000),
        "abs(".repeat(5000) + "up" + &")".repeat(5000),
        "-".repeat(5000) + "up",
        "up".to_owned() + &" + up".repeat(5000),
        "2".to_owned() + &" ^ 2".repeat(5000),
        "up".to_owned() + &"[5m:]".repeat(5000),
        "sum by (a) (".repeat(5000),
    ] {
        let error = parse(&deep).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
    // What is within the bounds fits the stack of a thread.
    let source = super::source::Lines::new("up: 1 2 3 4 5");
    for long in [
        vec!["up"; 190].join(" OR "),
        vec!["up"; 190].join(" + "),
        "abs(".repeat(60) + "up" + &")".repeat(60),
        "sum by (a) (-(".repeat(30) + "up" + &"))".repeat(30),
    ] {
        assert_eq!(source.show(&long, 4.0).len(), 1, "{long}");
    }
}

#[test]
fn every_function_is_called_with_what_it_takes() {
    use super::super::ast::ValueType;
    for name in functions::names() {
        let function = functions::find(name).unwrap();
        let argument = |kind: &ValueType| match kind {
            ValueType::Scalar => "0.5",
            ValueType::Vector => "up",
            ValueType::Matrix => "up[5m]",
            ValueType::String => r#""a""#,
        };
        let arguments: Vec<&str> = function.arguments.iter().map(argument).collect();
        let query = format!("{name}({})", arguments.join(", "));
        assert_eq!(parse(&query).unwrap().to_string(), query);
        let source = super::source::Lines::new("up: 1 2 3 4 5");
        source.at(&query, 4.0).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn numbers_are_shown_without_exponents() {
    for (number, shown) in
        [(1e21, "1000000000000000000000"), (1e-7, "0.0000001"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN")]
    {
        assert_eq!(show_number(number), shown);
    }
}

/// Expressions of a few levels.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("up".to_owned()),
        Just(r#"up{a="b",c!~"d|e"}"#.to_owned()),
        Just(r#"{"x.y"="z"} offset 5m"#.to_owned()),
        Just("up @ 12.5".to_owned()),
        (-1e6f64..1e6).prop_map(|number| format!("vector({number})")),
        (1u32..100_000).prop_map(|seconds| format!("rate(up[{seconds}s])")),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "> bool",
            "and",
            "or",
            "unless",
            "+ on (a)",
            "* ignoring (b) group_left (c)",
            "< on (a) group_right ()",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("-{e}")),
            inner.clone().prop_map(|e| format!("sum by (a, b) ({e})")),
            inner.clone().prop_map(|e| format!("topk(3, {e})")),
            inner.clone().prop_map(|e| format!("max_over_time(({e})[5m:30s])")),
            inner.prop_map(|e| format!("clamp({e}, -1, 1)")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", pieces in "[{}()\\[\\]|=!~\"'`a-z0-9,.:@^*/+ \\\\-]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&pieces);
    }

    #[test]
    fn words_in_any_order_are_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "sum", "by", "(", ")", "up", "{", "}", "a", "=", "\"b\"", "[", "]", "5m", ":", "offset", "@", "start()", "1",
        "+", "-", "on", "group_left", "bool", ">", "and", "rate", ",", "NaN", "\"", "without", "topk",
    ]), 0..20)) {
        let text = words.join(" ");
        if let Ok(expr) = parse(&text) {
            let shown = expr.to_string();
            prop_assert_eq!(parse(&shown).map(|again| again.to_string()).map_err(|e| e.to_string()), Ok(shown.clone()));
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same(text in expression()) {
        if let Ok(expr) = parse(&text) {
            let shown = expr.to_string();
            prop_assert_eq!(parse(&shown).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_can_be_read_can_be_evaluated_or_says_why_not(text in expression()) {
        let source = super::source::Lines::new("up{a=\"b\"}: 1 2 NaN _ 5 stale 7 Inf 9\nup{a=\"c\"}: 4 3 2 1 0 1 2 3 4");
        let limits = super::super::Limits::default();
        let _ = source.at(&text, 4.5);
        let _ = source.range(&text, (0, 8), &limits);
    }
}

#[test]
fn what_the_expressions_of_one_query_are_compiled_to_is_bounded() {
    let many = |pattern: &str, times: usize| {
        parse(&format!("{{{}}}", vec![format!("a=~\"{pattern}\""); times].join(",")))
    };
    assert!(many("x+", 100).is_ok());
    for (pattern, times, told) in [
        (r"\\p{L}{60}", 30, "size limit"),
        (r"\\p{L}{600}", 1, "size limit"),
        ("x+", 200, "more than 128 regular expressions"),
    ] {
        let error = many(pattern, times).unwrap_err().to_string();
        assert!(error.contains(told) && error.len() < 300, "{pattern}: {error}");
    }
}
