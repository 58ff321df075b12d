//! What the language has gained since the version that the whole-system test compares with: by its documentation.

use parsers::record::NativeHistogram;

use super::source::Lines;

#[test]
fn ranges_and_the_lookback_begin_after_their_first_instant() {
    let source = Lines::new("a: 1 2 3 4 5 6 7");
    assert_eq!(source.show("count_over_time(a[2m])", 6.0), ["{} 2"]);
    assert_eq!(source.show("count_over_time(a[1m])", 6.0), ["{} 1"]);
    assert_eq!(source.show("count_over_time(a[2m:1m])", 6.0), ["{} 2"]);
    assert_eq!(source.show("a", 11.0), Vec::<String>::new());
    assert_eq!(source.show("a", 10.99), [r#"{__name__="a"} 7"#]);
}

#[test]
fn names_may_be_any_text_in_quotes() {
    let source = Lines::new(r#"{"http.requests", "http.status"="200"}: 1 2"#);
    let all = [r#"{__name__="http.requests", http.status="200"} 2"#];
    assert_eq!(source.show(r#"{"http.requests"}"#, 1.0), all);
    assert_eq!(source.show(r#"{"http.status"=~"2.."}"#, 1.0), all);
    assert_eq!(
        source.show(r#"sum by ("http.status") ({"http.requests"})"#, 1.0),
        [r#"{http.status="200"} 2"#]
    );
}

#[test]
fn durations_and_numbers_stand_for_one_another() {
    let source = Lines::new("a: 1 2 3 4 5");
    assert_eq!(source.show("1h", 0.0), ["3600"]);
    assert_eq!(source.show("sum_over_time(a[120])", 4.0), ["{} 9"]);
    assert_eq!(source.show("a offset 60", 4.0), [r#"{__name__="a"} 4"#]);
    assert_eq!(source.show("predict_linear(a[4m], 1m)", 4.0), ["{} 6"]);
}

#[test]
fn a_dot_matches_newlines() {
    let source = Lines::new("a{t=\"x\\ny\"}: 1");
    assert_eq!(source.show(r#"sum(a{t=~"x.y"})"#, 0.0), ["{} 1"]);
}

#[test]
fn every_operator_that_computes_takes_the_name_away() {
    let source = Lines::new("a: 1");
    for operator in ["+", "-", "*", "/", "%", "^", "atan2", "> bool"] {
        assert!(source.show(&format!("a {operator} 1"), 0.0)[0].starts_with("{} "), "{operator}");
    }
}

#[test]
fn the_deviation_of_what_is_no_number_is_none() {
    let source = Lines::new("a: Inf\nb: NaN\nc: 1");
    for (metric, value) in [("a", "NaN"), ("b", "NaN"), ("c", "0")] {
        assert_eq!(source.show(&format!("stddev({metric})"), 0.0), [format!("{{}} {value}")]);
    }
}

#[test]
fn fractions_of_classic_histograms_are_told() {
    let source = Lines::new(
        r#"
        h_bucket{le="1"}: 10
        h_bucket{le="2"}: 20
        h_bucket{le="+Inf"}: 40
        "#,
    );
    assert_eq!(source.show("histogram_fraction(0, 1, h_bucket)", 0.0), ["{} 0.25"]);
    assert_eq!(source.show("histogram_fraction(0.5, 1.5, h_bucket)", 0.0), ["{} 0.25"]);
    assert_eq!(source.show("histogram_fraction(-Inf, +Inf, h_bucket)", 0.0), ["{} 1"]);
    assert_eq!(source.show("histogram_fraction(2, 1, h_bucket)", 0.0), ["{} 0"]);
    assert_eq!(source.show("histogram_fraction(NaN, 1, h_bucket)", 0.0), ["{} NaN"]);
}

#[test]
fn notes_say_what_may_be_wrong_and_where() {
    let source =
        Lines::new("a: 1 2 3\nb_bucket{le=\"x\"}: 1\nc_bucket{le=\"1\"}: 9\nc_bucket{le=\"+Inf\"}: 5")
            .with("h", vec![histogram(1.0), histogram(2.0)]);
    for (query, warnings, infos) in [
        ("a", vec![], vec![]),
        (
            "rate(a[5m])",
            vec![],
            vec![
                r#"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "a" (1:6)"#,
            ],
        ),
        (
            "quantile(1.5, a)",
            vec!["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"],
            vec![],
        ),
        (
            "histogram_quantile(0.5, b_bucket)",
            vec![
                r#"PromQL warning: bucket label "le" is missing or has a malformed value of "x" for metric name "b_bucket" (1:25)"#,
            ],
            vec![],
        ),
        (
            "histogram_quantile(0.5, c_bucket)",
            vec![],
            vec![
                "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) (1:25)",
            ],
        ),
        ("max(h)", vec![], vec!["PromQL info: ignored histogram in max aggregation (1:1)"]),
        (
            "h > 1",
            vec![],
            vec![
                r#"PromQL info: incompatible sample types encountered for binary operator ">": histogram > float (1:1)"#,
            ],
        ),
        (
            r#"sum({__name__=~"a|h"})"#,
            vec!["PromQL warning: encountered a mix of histograms and floats for aggregation (1:1)"],
            vec![],
        ),
        (
            "delta(h[5m])",
            vec![r#"PromQL warning: this native histogram metric is not a gauge: "h" (1:7)"#],
            vec![],
        ),
    ] {
        let outcome = source.at(query, 1.0).unwrap();
        assert_eq!((outcome.warnings, outcome.infos), (strings(&warnings), strings(&infos)), "{query}");
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Two observations in (1, 2], one in (2, 4], one at zero, all so many times.
fn histogram(times: f64) -> NativeHistogram {
    NativeHistogram {
        schema: 0,
        count: 4.0 * times,
        sum: 6.0 * times,
        zero_threshold: 0.001,
        zero_count: times,
        positive: vec![(1, 2.0 * times), (2, times)],
        ..NativeHistogram::default()
    }
}

#[test]
fn native_histograms_are_added_scaled_and_asked() {
    let source = Lines::new("a: 2 2 2")
        .with("h", vec![histogram(1.0), histogram(2.0), histogram(3.0)])
        .with("r", vec![histogram(5.0), histogram(1.0), histogram(2.0)]);
    for (query, expected) in [
        ("h", r#"{__name__="h"} count=12 sum=18"#),
        ("sum(h)", "{} count=12 sum=18"),
        (r#"sum({__name__=~"h|r"})"#, "{} count=20 sum=30"),
        (r#"avg({__name__=~"h|r"})"#, "{} count=10 sum=15"),
        ("count(h)", "{} 1"),
        ("h * 2", "{} count=24 sum=36"),
        ("2 * h", "{} count=24 sum=36"),
        ("h / 2", "{} count=6 sum=9"),
        ("-h", "{} count=-12 sum=-18"),
        ("h + on () r", "{} count=20 sum=30"),
        ("h - on () r", "{} count=4 sum=6"),
        ("h == h", r#"{__name__="h"} count=12 sum=18"#),
        ("h == bool on () r", "{} 0"),
        ("h != bool on () r", "{} 1"),
        ("sum_over_time(h[3m])", "{} count=24 sum=36"),
        ("avg_over_time(h[3m])", "{} count=8 sum=12"),
        ("last_over_time(h[3m])", r#"{__name__="h"} count=12 sum=18"#),
        ("count_over_time(h[3m])", "{} 3"),
        ("resets(r[3m])", "{} 1"),
        ("changes(r[3m])", "{} 2"),
        ("idelta(h[3m])", "{} count=4 sum=6"),
        ("histogram_count(h)", "{} 12"),
        ("histogram_sum(h)", "{} 18"),
        ("histogram_avg(h)", "{} 1.5"),
        ("histogram_fraction(2, 4, h)", "{} 0.25"),
        ("histogram_fraction(1, 4, h)", "{} 0.75"),
        ("histogram_fraction(-Inf, +Inf, h)", "{} 1"),
        // Half way through a bucket is its geometric middle.
        ("histogram_quantile(0.5, h)", "{} 1.414213562"),
        ("histogram_quantile(0.75, h)", "{} 2"),
        ("histogram_quantile(1, h)", "{} 4"),
        ("histogram_quantile(2, h)", "{} +Inf"),
        ("histogram_quantile(NaN, h)", "{} NaN"),
        ("abs(a)", "{} 2"),
    ] {
        assert_eq!(source.show(query, 2.0), [expected], "{query}");
    }
    // Numbers are asked for what only histograms have, and the other way round.
    for query in ["histogram_count(a)", "abs(h)", "histogram_quantile(0.5, a)", "h * h", "h > 1", "max(h)"] {
        assert_eq!(source.show(query, 2.0), Vec::<String>::new(), "{query}");
    }
}

#[test]
fn rates_of_native_histograms_know_resets() {
    let source = Lines::new("")
        .with("h", vec![histogram(1.0), histogram(2.0), histogram(3.0)])
        .with("r", vec![histogram(5.0), histogram(1.0), histogram(2.0)]);
    // Samples lie at minutes 0, 1 and 2, so that three minutes are covered but for the first.
    assert_eq!(source.show("increase(h[3m])", 2.0), ["{} count=12 sum=18"]);
    assert_eq!(source.show("rate(h[3m]) * 60", 2.0), ["{} count=4 sum=6"]);
    assert_eq!(source.show("histogram_count(increase(r[2m]))", 2.0), ["{} 8"]);
}

#[test]
fn finer_buckets_become_coarser_to_be_added() {
    let fine = NativeHistogram {
        schema: 1,
        count: 6.0,
        sum: 9.0,
        positive: vec![(1, 1.0), (2, 2.0), (3, 3.0)],
        ..NativeHistogram::default()
    };
    let coarse =
        NativeHistogram { schema: 0, count: 1.0, sum: 1.5, positive: vec![(1, 1.0)], ..fine.clone() };
    let source = Lines::new("").with("f", vec![fine]).with("c", vec![coarse]);
    assert_eq!(source.show("f + on () c", 0.0), ["{} count=7 sum=10.5"]);
    // Of the fine ones the first two lie in (1, 2], the third in (2, 4].
    assert_eq!(source.show("histogram_fraction(2, 4, f + on () c) * 7", 0.0), ["{} 3"]);
}
