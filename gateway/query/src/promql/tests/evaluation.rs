//! What queries give, over a few samples written out.

use std::time::Duration;

use super::super::{Data, Limits};
use super::source::{Lines, show};
use crate::Capacity;

#[test]
fn a_range_query_gives_at_each_step_what_a_query_at_that_time_gives() {
    let source = Lines::new(
        r#"
        c_total{a="x"}: 0 10 20 5 15 _ _ 45 55 60
        c_total{a="y"}: 3 6 stale _ 9 12 15 stale _ 30
        g{a="x"}: 1 NaN -3 4 5 Inf 7 8 9 10
        "#,
    );
    for query in [
        "c_total",
        "rate(c_total[3m])",
        "sum by (a) (rate(c_total[3m])) / on (a) group_left () g",
        "c_total or g",
        "topk(1, c_total)",
        "max_over_time(c_total[4m:30s])",
        "c_total offset 2m",
        "c_total @ 300",
        "count_values(\"v\", c_total)",
        "absent(c_total{a=\"y\"})",
        "timestamp(c_total)",
        "scalar(g)",
        "predict_linear(g[5m] @ 240, 60)",
        "sum(c_total @ 120) + time()",
        "quantile_over_time(0.5, c_total[5m])",
    ] {
        let whole = source.range(query, (0, 12), &Limits::default()).unwrap();
        let Data::Matrix(series) = whole.data else { panic!("{query}") };
        for minute in 0..=12 {
            let at = |time: i64| time == minute * 60_000;
            let mut of_range: Vec<String> = series
                .iter()
                .flat_map(|s| s.points.iter().filter(|p| at(p.time)).map(|p| (s.labels.clone(), p.clone())))
                .flat_map(|element| show(&Data::Vector(vec![element])))
                .collect();
            let mut alone = match source.at(query, minute as f64).unwrap().data {
                Data::Scalar(point) => show(&Data::Vector(vec![(Default::default(), point)])),
                other => show(&other),
            };
            of_range.sort();
            alone.sort();
            assert_eq!(of_range, alone, "{query} at minute {minute}");
        }
    }
}

#[test]
fn a_series_ends_with_its_marker_or_after_the_lookback() {
    let source = Lines::new("a: 1 2 stale _ 5\nb: 1 2");
    let matrix = source.range("a", (0, 10), &Limits::default()).unwrap();
    assert_eq!(show(&matrix.data), [r#"{__name__="a"} 1@0 2@60 5@240 5@300 5@360 5@420 5@480"#]);
    // The sample of minute 1 is five minutes old at minute 6, which is too old.
    let matrix = source.range("b", (0, 10), &Limits::default()).unwrap();
    assert_eq!(show(&matrix.data), [r#"{__name__="b"} 1@0 2@60 2@120 2@180 2@240 2@300"#]);
}

#[test]
fn too_much_is_refused_in_prometheus_words() {
    let source = Lines::new("a: 1 2 3 4 5 6 7 8 9\nb: 1 2 3 4 5 6 7 8 9");
    let few = Limits { samples: 10, ..Limits::default() };
    let error = source.range(r#"{__name__=~"a|b"}"#, (0, 8), &few).unwrap_err();
    assert_eq!(
        error.to_string(),
        "query processing would load too many samples into memory in query execution"
    );
    assert_eq!(error.kind(), "execution");
    let error = source.range("sum_over_time(vector(1)[1w:1ms])", (0, 8), &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), "execution");
    for query in [r#"{__name__=~"a|b"}"#, r#"last_over_time({__name__=~"a|b"}[2m])"#, "a + b", "-a"] {
        let small = Limits { allowance: Capacity::new(8, 8 << 20).allowance(), ..Limits::default() };
        let error = source.range(query, (0, 8), &small).unwrap_err();
        assert!(
            error.to_string().starts_with("the answer would have more than 8 points"),
            "{query}: {error}"
        );
        assert_eq!(error.kind(), "execution");
        let small = Limits { allowance: Capacity::new(18, 8 << 20).allowance(), ..Limits::default() };
        assert!(source.range(&format!("sum({query})"), (0, 8), &small).is_ok(), "one series of nine points");
    }
    let taken = Capacity::new(100, 8 << 20);
    let other = taken.allowance();
    other.take(5 << 20).unwrap();
    let busy = Limits { allowance: taken.allowance(), ..Limits::default() };
    let error = source.range("a", (0, 8), &busy).unwrap_err();
    assert_eq!(error.kind(), "unavailable", "{error}");
    let now = Limits { timeout: Duration::ZERO, ..Limits::default() };
    let error = source.range("a", (0, 8), &now).unwrap_err();
    assert_eq!(error.to_string(), "query timed out in expression evaluation");
    assert_eq!(error.kind(), "timeout");
    let error = source.range("a", (0, 12_000), &Limits::default()).unwrap_err();
    assert!(error.to_string().starts_with("exceeded maximum resolution of 11,000 points"), "{error}");
    assert_eq!(error.kind(), "bad_data");
    let error = source.range("a[5m]", (0, 8), &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"invalid expression type "range vector" for range query, must be Scalar or instant Vector"#
    );
}

#[test]
fn what_a_query_took_is_given_back() {
    let source = Lines::new("a: 1 2 3 4 5 6 7 8 9");
    let one = source.range("a", (0, 8), &Limits::default()).unwrap().peak_samples;
    let many = vec!["sum_over_time(a[5m])"; 50].join(" + ");
    let peak = source.range(&many, (0, 8), &Limits::default()).unwrap().peak_samples;
    assert!(peak < 10 * one, "{peak} against {one}");
}

#[test]
fn labels_that_become_equal_are_an_error() {
    let source = Lines::new("a{x=\"1\"}: 1 1\nb{x=\"1\"}: 2 2");
    for query in [r#"abs({x="1"})"#, r#"-{x="1"}"#, r#"rate({x="1"}[5m])"#, r#"{x="1"} * 2"#] {
        let error = source.at(query, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "vector cannot contain metrics with the same labelset", "{query}");
    }
}

#[test]
fn ambiguous_matches_name_both_series() {
    let source = Lines::new("a{x=\"1\", y=\"1\"}: 1\na{x=\"1\", y=\"2\"}: 2\nb{x=\"1\"}: 3");
    let error = source.at("b + on (x) a", 0.0).unwrap_err().to_string();
    assert_eq!(
        error,
        r#"found duplicate series for the match group {x="1"} on the right hand-side of the operation: [{__name__="a", x="1", y="2"}, {__name__="a", x="1", y="1"}];many-to-many matching not allowed: matching labels must be unique on one side"#
    );
    let error = source.at("a + on (x) b", 0.0).unwrap_err().to_string();
    assert_eq!(
        error,
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    );
    let error = source.at("a * on (x) group_left (y) b", 0.0).unwrap_err().to_string();
    assert_eq!(error, "multiple matches for labels: grouping labels must ensure unique matches");
}
