//! The table of queries, each with its canonical form or its error; and what holds of all queries.
//!
//! In `queries.txt` a query stands at the beginning of a line, with `⏎` for a line break; behind it, indented, stands `=` and
//! its canonical form (alone where the query is in it already), or `!` and the error. `UPDATE=1` writes the table anew:
//! look at the difference.

use proptest::prelude::*;

use crate::logql::{format_query, parse};

const TABLE: &str = include_str!("queries.txt");
/// Where the table lies.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/logql/tests/queries.txt");

fn verdict(query: &str) -> String {
    match parse(query) {
        Ok(expr) if expr.to_string() == query => "  =".to_owned(),
        Ok(expr) => format!("  = {expr}"),
        Err(error) => format!("  ! {}", error.to_string().replace('\n', "⏎")),
    }
}

#[test]
fn every_query_of_the_table_is_read_or_refused_as_it_says() {
    let queries: Vec<&str> =
        TABLE.lines().filter(|line| !line.starts_with("  ") && !line.is_empty()).collect();
    let verdicts =
        queries.iter().map(|query| [*query, "\n", &verdict(&query.replace('⏎', "\n")), "\n"].concat());
    let anew: String = verdicts.collect();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PATH, &anew).unwrap();
        return;
    }
    for (was, is) in TABLE.lines().filter(|line| !line.is_empty()).zip(anew.lines()) {
        assert_eq!(was, is);
    }
    assert!(queries.len() >= 300, "{}", queries.len());
}

#[test]
fn canonical_and_laid_out_forms_are_the_same_query() {
    for query in TABLE.lines().filter(|line| !line.starts_with("  ")) {
        let Ok(expr) = parse(&query.replace('⏎', "\n")) else { continue };
        let canonical = expr.to_string();
        assert_eq!(parse(&canonical).unwrap(), expr, "{canonical}");
        assert_eq!(parse(&expr.pretty()).unwrap(), expr, "{}", expr.pretty());
    }
}

#[test]
fn long_queries_are_laid_out_and_short_ones_are_not() {
    assert_eq!(format_query(r#"  rate( {a="b"}[5m] )"#).unwrap(), r#"rate({a="b"}[5m])"#);
    let long = r#"topk(5, sum by (service_name, namespace) (rate({cluster="production", namespace=~"shop|billing"} |= "error" | json | status >= 500 and method="POST" | line_format "{{.msg}}" [5m] offset 1h))) > 10"#;
    let expected = r#"(
  topk(
    5,
    sum by (service_name, namespace) (
      rate(
        {cluster="production", namespace=~"shop|billing"}
          |= "error"
          | json
          | (status >= 500 and method="POST")
          | line_format "{{.msg}}" [5m] offset 1h
      )
    )
  )
>
  10
)"#;
    assert_eq!(format_query(long).unwrap(), expected);
}

#[test]
fn nesting_and_length_are_bounded() {
    let brackets = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(parse(&brackets).unwrap_err().to_string().contains("nested deeper than"));
    let filters = format!("{{a=\"b\"}} | {}x=\"1\"{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(parse(&filters).unwrap_err().to_string().contains("nested deeper than"));
    let ranges = format!("rate({}{{a=\"b\"}}[1m]{})", "(".repeat(10_000), ")".repeat(10_000));
    assert!(parse(&ranges).unwrap_err().to_string().contains("nested deeper than"));
    let chain = vec!["vector(1)"; 10_000].join(" + ");
    assert!(parse(&chain).unwrap_err().to_string().contains("more than 500 operators"));
    let powers = vec!["vector(1)"; 400].join(" ^ ");
    assert!(parse(&powers).unwrap_err().to_string().contains("nested deeper than"));
    let alternatives = vec!["x=\"1\""; 10_000].join(" or ");
    assert!(parse(&format!("{{a=\"b\"}} | {alternatives}")).is_err());
    assert!(parse(&" ".repeat(200_000)).unwrap_err().to_string().contains("more than 131072"));
    assert!(parse(r#"{a=~"(a{1000}){1000}"}"#).is_err(), "an expression too large to compile");
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z]{1,6}".prop_map(|text| format!("{text:?}")),
        "[a-z .\\\\\"\t\u{1}é]{0,6}".prop_map(|text| {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
            format!("\"{escaped}\"")
        }),
        "[a-z \\\\\"]{0,6}".prop_map(|text| format!("`{text}`")),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z][a-z_0-9]{0,5}".boxed(),
        Just("by".to_owned()).boxed(),
        Just("offset".to_owned()).boxed()
    ]
    .boxed()
}

fn label_filter() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (name(), prop_oneof![Just("="), Just("!=")], text()).prop_map(|(n, op, v)| format!("{n}{op}{v}")),
        (name(), prop_oneof![Just("=~"), Just("!~")], "[a-z.+]{1,4}")
            .prop_map(|(n, op, v)| format!("{n}{op}`a{v}`")),
        (
            name(),
            prop_oneof![Just(">"), Just(">="), Just("<"), Just("<="), Just("=="), Just("!=")],
            prop_oneof![
                Just("5"),
                Just("-1.25"),
                Just("1h30m"),
                Just("20ms"),
                Just("5KB"),
                Just("1.5GiB"),
                Just("1e9")
            ]
        )
            .prop_map(|(n, op, v)| format!("{n} {op} {v}")),
        name().prop_map(|n| format!("{n}=ip(\"10.0.0.0/8\")")),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop_oneof![Just(" and "), Just(", "), Just(" or ")], inner.clone())
                .prop_map(|(a, op, b)| format!("{a}{op}{b}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
    .boxed()
}

fn log_query() -> BoxedStrategy<String> {
    let stage = prop_oneof![
        (prop_oneof![Just("|="), Just("!=")], text(), text())
            .prop_map(|(op, a, b)| format!("{op} {a} or {b}")),
        Just("|> \"a <_> b\"".to_owned()),
        Just("| json".to_owned()),
        (name(), name()).prop_map(|(a, b)| format!("| json {a}=\"b.c[0]\", {b}")),
        (name(), text()).prop_map(|(a, b)| format!("| logfmt --strict {a}={b}")),
        Just("| regexp `(?P<x>.)`".to_owned()),
        Just("| pattern `<a> <_>`".to_owned()),
        Just("| unpack | decolorize".to_owned()),
        (name(), name()).prop_map(|(a, b)| format!("| label_format {a}={b}, x9=`{{{{.{b}}}}}`")),
        Just("| line_format `{{ .x | upper }}`".to_owned()),
        (name(), name(), text()).prop_map(|(a, b, c)| format!("| drop {a}, {b}={c}")),
        name().prop_map(|a| format!("| keep {a}, kept=~`x`")),
        label_filter().prop_map(|filter| format!("| {filter}")),
    ];
    (name(), text(), prop::collection::vec(stage, 0..4))
        .prop_map(|(n, v, stages)| format!("{{{n}={v}, z!=\"\"}} {}", stages.join(" ")))
        .boxed()
}

fn metric_query() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (log_query(), prop_oneof![Just("[5m]"), Just("[90s] offset 1h")])
            .prop_map(|(q, r)| format!("rate({q} {r})")),
        (log_query(), name())
            .prop_map(|(q, n)| format!("avg_over_time({q} | unwrap duration({n}) [1m]) by ({n})")),
        log_query().prop_map(|q| format!("quantile_over_time(0.9, {q} | unwrap x [1m])")),
        Just("vector(1.5)".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (prop_oneof![Just("sum"), Just("max"), Just("count")], inner.clone(), name())
                .prop_map(|(op, a, n)| format!("{op} by ({n}) ({a})")),
            (inner.clone(), name()).prop_map(|(a, n)| format!("topk(3, {a}) without ({n})")),
            (
                inner.clone(),
                prop_oneof![
                    Just("+"),
                    Just("/ on (x) group_left (y)"),
                    Just("> bool"),
                    Just("unless ignoring (x)"),
                    Just("^"),
                    Just("or")
                ],
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a}) * 2")),
            inner.prop_map(|a| format!("label_replace({a}, \"x\", \"$1\", \"y\", \"(.*)\")")),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", pieces in "[{}()|=!~\"`a-z0-9,.\\[\\] ]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&pieces);
    }

    #[test]
    fn any_words_of_the_language_are_read_or_refused(words in prop::collection::vec(prop_oneof![
        Just("{a=\"b\"}"), Just("rate("), Just("sum"), Just("by"), Just("("), Just(")"), Just("["), Just("5m"), Just("]"),
        Just("|"), Just("|="), Just("\"x\""), Just("json"), Just("unwrap"), Just("x"), Just("="), Just("!="), Just("5"),
        Just("or"), Just("and"), Just("on"), Just(","), Just("offset"), Just("topk"), Just("-"), Just("^"), Just("ip"),
        Just("label_format"), Just("group_left"), Just("bool"), Just("--strict"), Just("logfmt")
    ], 0..24)) {
        let _ = parse(&words.join(" "));
    }

    #[test]
    fn written_out_and_read_again_it_is_the_same(query in prop_oneof![log_query(), metric_query()]) {
        let expr = parse(&query).map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?;
        let canonical = expr.to_string();
        let again = parse(&canonical).map_err(|error| TestCaseError::fail(format!("{canonical}: {error}")))?;
        prop_assert_eq!(&again, &expr, "{}", canonical);
        prop_assert_eq!(again.to_string(), canonical);
        let pretty = expr.pretty();
        let again = parse(&pretty).map_err(|error| TestCaseError::fail(format!("{pretty}: {error}")))?;
        prop_assert_eq!(again, expr, "{}", pretty);
    }
}
