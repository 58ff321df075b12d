//! Which labels stand beside which, and what of an answer is bounded.

use std::time::Duration;

use store::read::Direction;

use super::evaluation::seconds;
use super::memory::{Memory, SECOND, first, lines, params, record, traced, values};
use crate::logql::{Data, Limits, RangeParams, evaluate_range, parse};

/// What grows without end is told on the line, which stays as it was.
#[test]
fn texts_that_grow_too_long_are_an_error_and_not_cut() {
    let one = Memory(vec![record(1, "app=a", "x")]);
    let doubled = " | line_format `{{__line__}}{{__line__}}`".repeat(40);
    let labels = " | label_format x=`{{.x}}{{.x}}`".repeat(40);
    let details = "the text would be longer than 1048576 bytes";
    for (stages, length) in [
        ("| line_format `{{$x := \"a\"}}{{range 30}}{{$x = print $x $x}}{{end}}{{$x}}`", 1),
        (doubled.as_str(), 1 << 20),
        (&format!("| label_format x=`a` {labels} | keep nothing"), 1),
    ] {
        let line = lines(&one, &format!(r#"{{app="a"}} {stages}"#)).unwrap().pop().unwrap();
        let (line, parsed) = line.split_once(" {").unwrap();
        assert_eq!(line.len(), length, "{stages}");
        assert!(parsed.starts_with("__error__=TemplateFormatErr ") && parsed.contains(details), "{stages}");
    }
}

/// https://grafana.com/docs/loki/latest/reference/loki-http-api/#step-versus-interval
#[test]
fn lines_of_an_answer_are_an_interval_apart() {
    let memory = Memory((1..=30).map(|n| record(n, "app=a,env=prod", "x")).collect());
    for (interval, direction, limit, expected) in [
        (7_000, Direction::Forward, 100, vec![1, 8, 15, 22, 29]),
        (7_000, Direction::Backward, 100, vec![30, 23, 16, 9, 2]),
        (9_500, Direction::Forward, 2, vec![1, 11]),
        (1_000, Direction::Forward, 3, vec![1, 2, 3]),
    ] {
        let interval = Duration::from_millis(interval);
        let params = RangeParams { interval, limit, direction, ..params(0, 100, 1) };
        let query = parse(r#"{env="prod"}"#).unwrap();
        let outcome = evaluate_range(&query, &memory, &params, &Limits::default()).unwrap();
        let Data::Streams(streams) = outcome.data else { panic!("lines") };
        let mut times: Vec<u64> = streams.iter().flat_map(|s| &s.entries).map(|e| e.time / SECOND).collect();
        times.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(times, expected, "{interval:?} {direction:?}");
    }
}

/// https://grafana.com/docs/loki/latest/query/log_queries/#parser-expression: "duplicated" labels get the suffix `_extracted`.
#[test]
fn what_a_line_came_with_stays_beside_what_is_parsed() {
    let own = "cccccccccccccccccccccccccccccccc";
    let of = |line: &str| {
        let mut record = traced(record(1, "app=a", line), own);
        record.metadata = vec![("user".to_owned(), "meta".to_owned())];
        Memory(vec![record])
    };
    let json = r#"{"trace_id":"fromline","user":"parsed","k":"v","detected_level":"warn"}"#;
    let logfmt = "trace_id=fromline user=parsed k=v detected_level=warn";
    let all = "detected_level_extracted=warn k=v trace_id_extracted=fromline user_extracted=parsed";
    let own_id = format!("detected_level=info trace_id={own}");
    let kept = format!("{own_id} user=meta");
    for (line, stages, structured, parsed) in [
        (json, "json", &kept, all),
        (logfmt, "logfmt", &kept, all),
        (json, "unpack", &kept, all),
        (json, "json user, k", &kept, "k=v user_extracted=parsed"),
        (logfmt, "logfmt user, k", &kept, "k=v user_extracted=parsed"),
        (logfmt, "regexp `user=(?P<user>\\w+)`", &kept, "user_extracted=parsed"),
        (logfmt, "pattern `<_> user=<user> <_>`", &kept, "user_extracted=parsed"),
        (logfmt, "logfmt none, user_id=\"nope\", user=\"nope\"", &kept, "none= user_id="),
        // What was taken away is given no more.
        (json, "drop user | json user", &own_id, "user=parsed"),
        (json, "label_format user=`x` | json user", &own_id, "user=parsed"),
        // A label keeps its kind under another name.
        (json, "label_format who=user", &format!("{own_id} who=meta"), ""),
        (json, "label_format who=user | json who=\"k\"", &format!("{own_id} who=meta"), "who_extracted=v"),
        (json, "label_format id=trace_id", &format!("detected_level=info id={own} user=meta"), ""),
    ] {
        let query = format!(r#"{{app="a"}} | {stages}"#);
        let (labels, entry) = first(&of(line), &query);
        assert_eq!(labels, "app=a", "{query}");
        assert_eq!((entry.0.as_str(), entry.1.as_str()), (structured.as_str(), parsed), "{query}");
    }
    let (labels, entry) = first(&of(json), r#"{app="a"} | label_format service=app"#);
    assert_eq!((labels.as_str(), entry.1.as_str()), ("service=a", ""));
    let query = r#"count_over_time({app="a"} | label_format who=user [10s])"#;
    assert_eq!(values(&of(json), query, 5).unwrap(), ["{app=a who=meta} 1"], "the query names it");
    let query = r#"sum by (user, user_extracted) (count_over_time({app="a"} | json [10s]))"#;
    assert_eq!(values(&of(json), query, 5).unwrap(), ["{user=meta user_extracted=parsed} 1"]);
    let query = format!(r#"count_over_time({{app="a"}} | json | trace_id="{own}" | keep app [10s])"#);
    assert_eq!(values(&of(json), &query, 5).unwrap(), ["{app=a} 1"]);
}

/// A key that comes twice must not end the search for others.
#[test]
fn keys_that_come_twice_hide_no_others() {
    let memory = Memory(vec![record(1, "app=a", r#"{"a-b":1,"a b":2,"level":"warn"}"#)]);
    let query = r#"sum by (a_b, level) (count_over_time({app="a"} | json [10s]))"#;
    assert_eq!(values(&memory, query, 5).unwrap(), ["{a_b=2 level=warn} 1"]);
}

/// https://grafana.com/docs/loki/latest/configure/#limits_config, `max_query_series`: of the answer.
#[test]
fn only_the_series_of_an_answer_are_limited_in_number() {
    let memory =
        Memory((0..40).map(|n| record(1 + n / 10, "app=ids", &format!("filler {n} h{n} x"))).collect());
    let limits = Limits { series: 3, ..Limits::default() };
    let counted = r#"count_over_time({app="ids"} | pattern "filler <n> <h> <_>" [10s])"#;
    for (query, series) in [
        (format!("count(sum by (h) ({counted}))"), 1),
        (format!("topk(3, sum by (h) ({counted}))"), 3),
        (format!("approx_topk(2, sum by (h) ({counted}))"), 2),
        (format!("max({counted})"), 1),
        (format!("sum by (n) ({counted}) > 1000"), 0),
        (format!("sum by (n) ({counted}) unless sum by (n) ({counted})"), 0),
        (
            "count(quantile_over_time(0.5, {app=\"ids\"} | pattern `filler <n> <h> <_>` | unwrap n [10s]))"
                .to_owned(),
            1,
        ),
    ] {
        let expression = parse(&query).unwrap();
        let outcome = evaluate_range(&expression, &memory, &params(0, 20, 10), &limits).unwrap();
        let Data::Matrix(found) = outcome.data else { panic!("{query}") };
        assert_eq!(found.len(), series, "{query}");
    }
    let error = evaluate_range(&parse(counted).unwrap(), &memory, &params(0, 20, 10), &limits).unwrap_err();
    assert!(error.to_string().contains("maximum of series (3)"), "{error}");
}

#[test]
fn what_asks_for_too_much_is_refused_in_loki_s_words() {
    let memory = seconds();
    let limits = Limits { series: 3, bytes: 500, values: 10, steps: 100, ..Limits::default() };
    let ask = |query: &str, limits: Limits| {
        evaluate_range(&parse(query).unwrap(), &memory, &params(0, 50, 1), &limits).unwrap_err().to_string()
    };
    let wide = Limits { bytes: u64::MAX, values: 1_000, ..limits.clone() };
    let few = crate::Capacity::new(20, 1 << 20).allowance();
    let none = crate::Capacity::new(1_000, 1 << 10).allowance();
    for (query, limits, expected) in [
        (r#"{env="prod"}"#, limits, "the query would read too many bytes (query: "),
        (
            r#"count_over_time({env="prod"} | logfmt [10s])"#,
            wide.clone(),
            "maximum of series (3) reached for a single query",
        ),
        (
            r#"count by (n) (count_over_time({env="prod"} | logfmt [10s]))"#,
            Limits { allowance: crate::Capacity::new(1_000, 4 << 10).allowance(), ..wide.clone() },
            "would hold more than 4096 bytes",
        ),
        (
            r#"sum(count_over_time({env="prod"}[10s]))"#,
            Limits { values: 5, ..wide.clone() },
            "more than 5 values",
        ),
        (
            r#"sum(count_over_time({env="prod"}[10s]))"#,
            Limits { allowance: few, ..wide.clone() },
            "more than 20 points",
        ),
        (
            r#"sum(count_over_time({env="prod"}[10s]))"#,
            Limits { allowance: none, ..wide.clone() },
            "would hold more than 1024 bytes",
        ),
        (
            r#"sum(count_over_time({env="prod"}[10s]))"#,
            Limits { steps: 10, ..wide.clone() },
            "exceeded maximum resolution of 10 points",
        ),
        (r#"{env="prod"}"#, Limits { time: Duration::ZERO, ..wide }, "timed out"),
    ] {
        let error = ask(query, limits);
        assert!(error.contains(expected), "{query}: {error}");
    }
}
