//! Tables of queries with what they give.

use parsers::record::Severity;
use store::read::Direction;

use super::memory::{Memory, SECOND, lines, params, record, series, traced, values};
use crate::logql::{Data, Limits, evaluate_range, parse};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One line a second from two services; every third names the trace.
pub(super) fn seconds() -> Memory {
    let line = |n: u64| {
        let app = if n.is_multiple_of(2) { "cart" } else { "pay" };
        let mut record = record(
            n,
            &format!("app={app},env=prod"),
            &format!("level=info n={n} took={n}ms path=/a size={n}KB"),
        );
        record.metadata = vec![("thread".to_owned(), format!("t{}", n % 4))];
        if n.is_multiple_of(5) {
            record.severity = Severity::Error;
        }
        if n.is_multiple_of(3) { traced(record, ID) } else { record }
    };
    Memory((1..=30).map(line).collect())
}

/// Lines of many shapes.
fn shapes() -> Memory {
    let texts = [
        r#"{"level":"error","msg":"card declined","user":{"id":7,"name":"ann"},"items":[{"sku":"a-1"},{"sku":"b-2"}],"took":0.25,"ok":false,"none":null,"app":"inner"}"#,
        r#"level=warn msg="slow query" took=1.5s size=2KiB empty= flag path="/x=y" ip=10.1.2.3"#,
        r#"192.168.4.20 - ann [10/Oct] "GET /cart HTTP/1.1" 200 5120"#,
        "\u{1b}[31mred\u{1b}[0m alert from 2001:db8::17, retry",
        r#"{"_entry":"packed line","pod":"p-1","n":5}"#,
        "not json at all",
    ];
    Memory(texts.iter().zip(1..).map(|(text, n)| record(n, "app=shapes", text)).collect())
}

#[track_caller]
fn check_lines(memory: &Memory, table: &[(&str, &[&str])]) {
    for (query, expected) in table {
        assert_eq!(lines(memory, query).unwrap(), *expected, "{query}");
    }
}

#[test]
fn filters_find_as_many_lines_as_they_say() {
    for (query, expected) in [
        (r#"{env=~".+"}"#, 30),
        (r#"{env="prod"} | thread="t1" detected_level="error""#, 2),
        (r#"{app="cart"}"#, 15),
        (r#"{app=~"c.*|p"}"#, 15),
        (r#"{app=~".+", app!="cart"}"#, 15),
        (r#"{app="cart"} |= "n=2 ""#, 1),
        (r#"{env="prod"} |= "n=2 " or "n=3 ""#, 2),
        (r#"{env="prod"} != "n=2 " or "n=3 ""#, 28),
        (r#"{env="prod"} |~ `n=\d ` != `n=7`"#, 8),
        (r#"{env="prod"} |~ "(?i)LEVEL=INFO""#, 30),
        (r#"{env="prod"} |> "<_> n=<_>5 took<_>""#, 2),
        (r#"{env="prod"} !> "<_> n=<_>5 took<_>""#, 28),
        (r#"{env="prod"} |> "n=<_>""#, 0),
        (r#"{env="prod"} |= """#, 30),
        (&format!(r#"{{env="prod"}} | trace_id="{ID}""#), 10),
        (&format!(r#"{{env="prod"}} | trace_id="{}""#, ID.to_uppercase()), 10),
        (&format!(r#"{{env="prod"}} | trace_id!="{ID}""#), 20),
        (r#"{env="prod"} | trace_id=~"4bf9.*""#, 10),
        (r#"{env="prod"} | trace_id="""#, 20),
        (r#"{env="prod"} | detected_level="error""#, 6),
        (r#"{env="prod"} | thread="t1" or thread="t2""#, 16),
        (r#"{env="prod"} | thread="t1" and detected_level="error""#, 2),
        (r#"{env="prod"} | thread="t1", detected_level="error""#, 2),
        (r#"{env="prod"} | thread="t0" or thread="t1" and detected_level="error""#, 9),
        (r#"{env="prod"} | (thread="t0" or thread="t1") and detected_level="error""#, 3),
        (r#"{env="prod"} | logfmt | n > 20"#, 10),
        (r#"{env="prod"} | logfmt | n >= 20 and n != 25"#, 10),
        (r#"{env="prod"} | logfmt | took >= 0.03s"#, 1),
        (r#"{env="prod"} | logfmt | took < 3ms or took == 9ms"#, 3),
        (r#"{env="prod"} | logfmt | size > 28KB"#, 2),
        (r#"{env="prod"} | logfmt | size <= 1.953125KiB"#, 2),
        (r#"{env="prod"} | logfmt | absent > 5"#, 0),
        (r#"{env="prod"} | logfmt | path > 5"#, 30),
        (r#"{env="prod"} | logfmt | path > 5 | __error__="""#, 0),
        (r#"{env="prod"} | logfmt | path > 5 | __error__="LabelFilterErr""#, 30),
        (r#"{env="prod"} | logfmt | drop n | n = """#, 30),
        (r#"{env="prod"} | logfmt | drop n="7" | n = """#, 1),
        (r#"{env="prod"} | logfmt | keep n | path="" | n="3""#, 1),
        (r#"{env="prod"} | drop app | app="""#, 30),
        (
            &format!(
                r#"{{env="prod"}} | label_format hit=`{{{{ contains "n=4 " __line__ }}}}` | hit="true" OR trace_id="{ID}""#
            ),
            11,
        ),
    ] {
        assert_eq!(lines(&seconds(), query).unwrap().len(), expected, "{query}");
    }
}

#[test]
fn parsers_find_what_lines_hold() {
    check_lines(
        &shapes(),
        &[
            (
                r#"{app="shapes"} |= "declined" | json | line_format "{{.msg}}""#,
                &[
                    "card declined {app_extracted=inner level=error msg=card declined ok=false took=0.25 user_id=7 user_name=ann}",
                ],
            ),
            (
                r#"{app="shapes"} |= "declined" | json id="user.id", sku="items[1].sku", user, all="items", gone="a.b" | line_format "x""#,
                &[r#"x {all=[{"sku":"a-1"},{"sku":"b-2"}] gone= id=7 sku=b-2 user={"id":7,"name":"ann"}}"#],
            ),
            (
                r#"{app="shapes"} |= "declined" | json n="[\"user\"][\"name\"]" | line_format "x""#,
                &["x {n=ann}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt | line_format "x""#,
                &["x {ip=10.1.2.3 level=warn msg=slow query path=/x=y size=2KiB took=1.5s}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt --keep-empty | flag="" | line_format "x" | keep level"#,
                &["x {level=warn}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt --keep-empty | line_format "x" | keep empty, flag"#,
                &["x {empty= flag=}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt --keep-empty | line_format "x" | keep empty, flag | drop flag"#,
                &["x {empty=}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt x="empty", none="none", app | line_format "x""#,
                &["x {none= x=}"],
            ),
            (
                r#"{app="shapes"} |= "declined" | json nope="zz", none, app="zz" | line_format "x""#,
                &["x {none= nope=}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | regexp `(?P<no>zzz)?level=(?P<level>\w+)` | label_format gone="" | line_format "x""#,
                &["x {gone= level=warn no=}"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt lvl="level", took | line_format "x""#,
                &["x {lvl=warn took=1.5s}"],
            ),
            (
                r#"{app="shapes"} |= "GET" | pattern `<ip> - <user> [<_>] "<method> <path> <_>" <status> <size>` | line_format "x""#,
                &["x {ip=192.168.4.20 method=GET path=/cart size=5120 status=200 user=ann}"],
            ),
            (
                r#"{app="shapes"} |= "GET" | regexp `"(?P<method>\w+) (?P<path>\S+)` | line_format "x""#,
                &["x {method=GET path=/cart}"],
            ),
            (r#"{app="shapes"} |= "packed" | unpack"#, &["packed line {pod=p-1}"]),
            (r#"{app="shapes"} |= "alert" | decolorize"#, &["red alert from 2001:db8::17, retry"]),
            (
                r#"{app="shapes"} |= "not json" | json | line_format "x""#,
                &["x {__error__=JSONParserErr __error_details__=the line is not a JSON object}"],
            ),
            (
                r#"{app="shapes"} |= "not json" | json | drop __error__, __error_details__"#,
                &["not json at all"],
            ),
            (
                r#"{app="shapes"} | json | __error__="" | line_format "{{.level}}{{.pod}}" | drop msg, user_id, user_name, took, ok, app_extracted, _entry, n, pod, level"#,
                &["error", "p-1"],
            ),
            (
                r#"{app="shapes"} |= "slow" | logfmt --strict | line_format "x" | keep level"#,
                &["x {level=warn}"],
            ),
        ],
    );
}

#[test]
fn addresses_are_found_in_lines_and_labels() {
    for (query, expected) in [
        (r#"{app="shapes"} |= ip("192.168.0.0/16")"#, 1),
        (r#"{app="shapes"} |= ip("192.168.4.20")"#, 1),
        (r#"{app="shapes"} |= ip("192.168.4.1-192.168.4.19")"#, 0),
        (r#"{app="shapes"} |= ip("10.0.0.0/8")"#, 1),
        (r#"{app="shapes"} |= ip("2001:db8::/32")"#, 1),
        (r#"{app="shapes"} != ip("0.0.0.0/0")"#, 4),
        (r#"{app="shapes"} |= ip("10.0.0.0/8") or "packed""#, 2),
        (r#"{app="shapes"} | logfmt | ip=ip("10.1.0.0/16")"#, 1),
        (r#"{app="shapes"} | logfmt | ip!=ip("10.1.0.0/16")"#, 0),
        (r#"{app="shapes"} | logfmt | ip=ip("10.1.2.4-10.1.2.9")"#, 0),
    ] {
        assert_eq!(lines(&shapes(), query).unwrap().len(), expected, "{query}");
    }
}

#[test]
fn formats_make_lines_and_labels_anew() {
    let one = Memory(vec![record(1, "app=a,env=prod", "method=GET took=1500ms n=3")]);
    check_lines(
        &one,
        &[
            (
                r#"{app="a"} | logfmt | line_format "{{.method | lower}} {{.app}} {{.nothing}}.""#,
                &["get a . {method=GET n=3 took=1500ms}"],
            ),
            (r#"{app="a"} | logfmt n | label_format m=n | line_format "{{.m}}{{.n}}""#, &["3 {m=3}"]),
            (
                r#"{app="a"} | logfmt n | label_format n="{{.n}}0", m="{{.n}}" | line_format "x""#,
                &["x {m=3 n=30}"],
            ),
            (r#"{app="a"} | label_format b=app, c="{{.env}}-x""#, &["method=GET took=1500ms n=3 {c=prod-x}"]),
            (
                r#"{app="a"} | logfmt took | label_format took="{{ duration .took | mulf 2 }}" | line_format "x""#,
                &["x {took=3}"],
            ),
            (r#"{app="a"} | logfmt n | line_format "{{ .n | int | add 4 }}" "#, &["7 {n=3}"]),
            (
                r#"{app="a"} | line_format "{{ regexReplaceAll `n=(\\d)` __line__ `<$1>` }}""#,
                &["method=GET took=1500ms <3>"],
            ),
            (
                r#"{app="a"} | line_format "{{ __timestamp__ | unixEpoch }} {{ __timestamp__ | date `15:04:05` }}""#,
                &["1 00:00:01"],
            ),
            (
                r#"{app="a"} | line_format "{{ if contains `GET` __line__ }}read{{ else }}write{{ end }}""#,
                &["read"],
            ),
            (
                r#"{app="a"} | line_format "{{ div 1 0 }}""#,
                &[
                    "method=GET took=1500ms n=3 {__error__=TemplateFormatErr __error_details__=the template cannot be filled in from this line: the function \"div\" at column 4: integer divide by zero}",
                ],
            ),
            (
                r#"{app="a"} | logfmt | line_format "{{ range $k, $v := . }}{{ $k }} {{ end }}" | keep app"#,
                &["app detected_level env method n took "],
            ),
        ],
    );
}

#[test]
fn an_answer_in_lines_is_full_at_its_limit_and_from_its_end() {
    let memory = seconds();
    for (direction, expected) in [(Direction::Forward, [1, 2, 3]), (Direction::Backward, [30, 29, 28])] {
        let params = crate::logql::RangeParams { limit: 3, direction, ..params(0, 100, 1) };
        let outcome =
            evaluate_range(&parse(r#"{env="prod"}"#).unwrap(), &memory, &params, &Limits::default()).unwrap();
        let Data::Streams(streams) = outcome.data else { panic!("lines") };
        let mut times: Vec<u64> = streams.iter().flat_map(|s| &s.entries).map(|e| e.time / SECOND).collect();
        times.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(times, expected);
        assert_eq!(outcome.report.records, 3, "no more than that was read");
    }
}

#[test]
fn an_id_is_found_in_all_lines_that_hold_it_whosever_they_are() {
    let other = "ffffffffffffffffffffffffffffffff";
    let memory = Memory(vec![
        traced(record(1, "app=a", &format!("trace_id={ID} x")), ID),
        record(2, "app=a", &format!("saw {other}")),
        traced(record(3, "app=a", r#"{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#), ID),
        traced(record(4, "app=a", &format!("after trace_id={ID}")), other),
        record(5, "app=a", &format!(r#"{{"trace_id":"{other}"}}"#)),
    ]);
    for (query, expected) in [
        (format!(r#"{{app="a"}} |= "{ID}""#), 3),
        (format!(r#"{{app="a"}} |= "{other}""#), 2),
        (format!(r#"{{app="a"}} | logfmt | trace_id="{ID}""#), 2),
        (format!(r#"{{app="a"}} | logfmt | trace_id_extracted="{ID}""#), 2),
        (format!(r#"{{app="a"}} | json | trace_id="{ID}" | __error__="""#), 1),
        (format!(r#"{{app="a"}} | json | trace_id="{other}" | __error__="""#), 1),
        (format!(r#"{{app="a"}} | trace_id="{other}""#), 1),
    ] {
        assert_eq!(lines(&memory, &query).unwrap().len(), expected, "{query}");
    }
}

#[test]
fn range_aggregations_give_what_their_names_say() {
    let memory = seconds();
    for (query, expected) in [
        (r#"count_over_time({app="cart"}[10s])"#, vec!["{app=cart env=prod} 5"]),
        (r#"rate({app="cart"} | keep app [10s])"#, vec!["{app=cart} 0.5"]),
        (r#"bytes_over_time({app="cart"} | line_format "12345" | keep app [10s])"#, vec!["{app=cart} 25"]),
        (r#"bytes_rate({app="cart"} | line_format "12345" | keep app [10s])"#, vec!["{app=cart} 2.5"]),
        (r#"sum_over_time({app="cart"} | logfmt | unwrap n [10s])"#, vec![]),
        (r#"sum by (app) (sum_over_time({app="cart"} | logfmt | unwrap n [10s]))"#, vec!["{app=cart} 130"]),
        (
            r#"avg_over_time({env="prod"} | logfmt | unwrap n [10s]) by (app)"#,
            vec!["{app=cart} 26", "{app=pay} 25"],
        ),
        (r#"max_over_time({env="prod"} | logfmt | unwrap duration(took) [10s]) by ()"#, vec!["{} 0.03"]),
        (r#"min_over_time({env="prod"} | logfmt | unwrap bytes(size) [10s]) by ()"#, vec!["{} 21000"]),
        (
            r#"first_over_time({env="prod"} | logfmt | unwrap n [10s]) by (app)"#,
            vec!["{app=cart} 22", "{app=pay} 21"],
        ),
        (
            r#"last_over_time({env="prod"} | logfmt | unwrap n [10s]) by (app)"#,
            vec!["{app=cart} 30", "{app=pay} 29"],
        ),
        (
            r#"stdvar_over_time({env="prod"} | logfmt | unwrap n [10s]) by (app)"#,
            vec!["{app=cart} 8", "{app=pay} 8"],
        ),
        (r#"stddev_over_time({env="prod"} | logfmt | unwrap n [3s]) by ()"#, vec!["{} 0.816496581"]),
        (r#"quantile_over_time(0.5, {env="prod"} | logfmt | unwrap n [10s]) by ()"#, vec!["{} 25.5"]),
        (r#"quantile_over_time(2, {env="prod"} | logfmt | unwrap n [10s]) by ()"#, vec!["{} inf"]),
        (r#"sum(rate({env="prod"} | logfmt | unwrap n [10s]))"#, vec!["{} 25.5"]),
        (r#"sum(rate_counter({app="cart"} | keep app | logfmt n | unwrap n [10s]))"#, vec!["{} 1"]),
        (r#"absent_over_time({app="gone", env=~"x"}[10s])"#, vec!["{app=gone} 1"]),
        (r#"absent_over_time({app="cart"}[10s])"#, vec![]),
        (r#"sum(count_over_time({env="prod"}[10s] offset 10s))"#, vec!["{} 10"]),
        (r#"sum(count_over_time({env="prod"}[10s] offset -10s))"#, vec![]),
        (r#"sum(count_over_time({env="prod"} | logfmt | unwrap_me="" [5s]))"#, vec!["{} 5"]),
        (
            r#"sum by (thread) (count_over_time({env="prod"}[4s]))"#,
            vec!["{thread=t0} 1", "{thread=t1} 1", "{thread=t2} 1", "{thread=t3} 1"],
        ),
        (
            r#"sum by (detected_level) (count_over_time({env="prod"} | drop __error__[30s]))"#,
            vec!["{detected_level=error} 6", "{detected_level=info} 24"],
        ),
        (r#"sum by (level, gone) (count_over_time({env="prod"} | logfmt [30s]))"#, vec!["{level=info} 30"]),
        (
            r#"sum without (nothing) (count_over_time({env="prod"}[30s]))"#,
            vec!["{app=cart env=prod} 15", "{app=pay env=prod} 15"],
        ),
        (
            r#"sum by (trace_id) (count_over_time({env="prod"}[30s]))"#,
            vec!["{} 20", "{trace_id=4bf92f3577b34da6a3ce929d0e0e4736} 10"],
        ),
        (r#"count(count_over_time({env="prod"}[30s]))"#, vec!["{} 2"]),
        (
            r#"max by (thread) (count_over_time({env="prod"}[30s]))"#,
            vec!["{thread=t0} 7", "{thread=t1} 8", "{thread=t2} 8", "{thread=t3} 7"],
        ),
        (
            r#"sum by (thread) (rate({app="pay"}[30s])) / on (thread) sum by (thread) (rate({env="prod"}[30s]))"#,
            vec!["{thread=t1} 1", "{thread=t3} 1"],
        ),
        (
            r#"topk by (detected_level) (1, count_over_time({app="cart"}[30s]))"#,
            vec!["{app=cart detected_level=info env=prod} 12", "{app=cart detected_level=error env=prod} 3"],
        ),
    ] {
        let expected: Vec<String> = if query.starts_with("sum_over_time") {
            // Each line has labels of its own.
            assert_eq!(values(&memory, query, 30).unwrap().len(), 5, "{query}");
            continue;
        } else {
            expected.into_iter().map(str::to_owned).collect()
        };
        assert_eq!(values(&memory, query, 30).unwrap(), expected, "{query}");
    }
}

#[test]
fn vectors_are_aggregated_ranked_and_calculated_with() {
    let memory = seconds();
    let n = r#"max_over_time({env="prod"} | logfmt | n > 26 | unwrap n [10s]) by (n)"#;
    let by_app = r#"sum by (app) (count_over_time({env="prod"}[5s]))"#;
    for (query, expected) in [
        ("vector(1)+vector(1)".to_owned(), vec!["{} 2"]),
        ("1 + 2 * 3".to_owned(), vec!["7"]),
        ("10 % 4".to_owned(), vec!["2"]),
        ("2 ^ 3 ^ 2".to_owned(), vec!["512"]),
        ("1 / 0".to_owned(), vec!["inf"]),
        ("3 > 2".to_owned(), vec!["1"]),
        (format!("topk(2, {n})"), vec!["{n=30} 30", "{n=29} 29"]),
        (format!("bottomk(1, {n})"), vec!["{n=27} 27"]),
        (format!("approx_topk(1, {n})"), vec!["{n=30} 30"]),
        (format!("sort({n})"), vec!["{n=27} 27", "{n=28} 28", "{n=29} 29", "{n=30} 30"]),
        (format!("sort_desc({n})"), vec!["{n=30} 30", "{n=29} 29", "{n=28} 28", "{n=27} 27"]),
        (format!("sum({n})"), vec!["{} 114"]),
        (format!("avg({n})"), vec!["{} 28.5"]),
        (format!("min({n})"), vec!["{} 27"]),
        (format!("max({n}) without (n)"), vec!["{} 30"]),
        (format!("count({n})"), vec!["{} 4"]),
        (format!("stdvar({n})"), vec!["{} 1.25"]),
        (format!("stddev({n})"), vec!["{} 1.118033989"]),
        (format!("{n} > 28"), vec!["{n=29} 29", "{n=30} 30"]),
        (format!("28 < {n}"), vec!["{n=29} 29", "{n=30} 30"]),
        (format!("{n} >= bool 29"), vec!["{n=27} 0", "{n=28} 0", "{n=29} 1", "{n=30} 1"]),
        (format!("{n} > 29 or {n} < 28"), vec!["{n=27} 27", "{n=30} 30"]),
        (format!("{n} unless {n} > 27"), vec!["{n=27} 27"]),
        (format!("{n} and {n} > 29"), vec!["{n=30} 30"]),
        (format!("{n} / on () group_left sum({n}) > 0.26"), vec!["{n=30} 0.263157895"]),
        (by_app.to_owned(), vec!["{app=cart} 3", "{app=pay} 2"]),
        (format!("{by_app} * {by_app}"), vec!["{app=cart} 9", "{app=pay} 4"]),
        (
            format!("{by_app} / ignoring (app) group_left () sum({by_app})"),
            vec!["{app=cart} 0.6", "{app=pay} 0.4"],
        ),
        (format!("sum({by_app}) * on () group_right () {by_app}"), vec!["{app=cart} 15", "{app=pay} 10"]),
        (
            format!("{by_app} - on (app) sum by (app, env) (count_over_time({{env=\"prod\"}}[10s]))"),
            vec!["{app=cart} -2", "{app=pay} -3"],
        ),
        (
            format!(
                "{by_app} * on (app) group_left (env) sum by (app, env) (count_over_time({{env=\"prod\"}}[10s]))"
            ),
            vec!["{app=cart env=prod} 15", "{app=pay env=prod} 10"],
        ),
        (format!("{by_app} == 3 or on () vector(7)"), vec!["{app=cart} 3"]),
        (format!("{by_app} == 9 or vector(7)"), vec!["{} 7"]),
        (
            format!(r#"label_replace({by_app}, "first", "$1", "app", "(.).*")"#),
            vec!["{app=cart first=c} 3", "{app=pay first=p} 2"],
        ),
        (
            format!(r#"label_replace({by_app}, "first", "x", "app", "c")"#),
            vec!["{app=cart} 3", "{app=pay} 2"],
        ),
    ] {
        assert_eq!(values(&memory, &query, 30).unwrap(), expected, "{query}");
    }
}

#[test]
fn values_over_time_are_those_of_their_windows() {
    let memory = seconds();
    for (query, expected) in [
        (r#"sum(count_over_time({env="prod"}[10s]))"#, vec!["{} 1@1 10@11 10@21 9@31"]),
        (r#"sum(count_over_time({env="prod"}[5s]))"#, vec!["{} 1@1 5@11 5@21 4@31"]),
        (r#"sum(count_over_time({env="prod"}[15s]))"#, vec!["{} 1@1 11@11 15@21 14@31 4@41"]),
        (r#"sum(count_over_time({env="prod"} |= "n=3 " [30s]))"#, vec!["{} 1@11 1@21 1@31"]),
        (r#"absent_over_time({app="cart"}[2s])"#, vec!["{app=cart} 1@1 1@41 1@51"]),
        ("vector(3)", vec!["{} 3@1 3@11 3@21 3@31 3@41 3@51"]),
        ("1 + 1", vec!["{} 2@1 2@11 2@21 2@31 2@41 2@51"]),
        (r#"sum(count_over_time({env="prod"}[10s])) > 9"#, vec!["{} 10@11 10@21"]),
    ] {
        assert_eq!(series(&memory, query, &params(1, 51, 10)).unwrap(), expected, "{query}");
    }
}

#[test]
fn a_counter_s_resets_are_growth() {
    let counts = [5, 10, 15, 2, 7];
    let memory = Memory(
        counts.iter().zip(0u64..).map(|(n, at)| record(10 * at + 10, "app=a", &format!("n={n}"))).collect(),
    );
    // 5 + 5 + 2 + 5 in 40 s of samples, drawn out to 50 s.
    let query = r#"rate_counter({app="a"} | logfmt | keep app, n | unwrap n [50s])"#;
    assert_eq!(values(&memory, query, 50).unwrap(), ["{app=a} 0.425"]);
}

#[test]
fn what_cannot_be_answered_says_why() {
    for (query, expected) in [
        (r#"{app="shapes"}"#, "log queries are not supported as an instant query type"),
        (
            r#"count_over_time({app="shapes"} | json [10s])"#,
            "pipeline error: 'JSONParserErr' for series: '{app=\"shapes\"}'",
        ),
        (
            r#"sum(sum_over_time({app="shapes"} | logfmt | unwrap msg [10s]))"#,
            "pipeline error: 'SampleExtractionErr'",
        ),
        (
            r#"sum by (app) (count_over_time({app="shapes"}[10s])) / on () count_over_time({app="shapes"} |= "o" | logfmt | keep msg [10s])"#,
            "found duplicate series for the match group {} on the right hand-side",
        ),
        (
            r#"count_over_time({app="shapes"} | logfmt | keep msg [10s]) / on () sum(count_over_time({app="shapes"}[10s]))"#,
            "multiple matches for labels",
        ),
        (
            r#"label_replace(count_over_time({app="shapes"} | logfmt | keep msg [10s]), "msg", "x", "msg", ".*")"#,
            "the same labelset",
        ),
    ] {
        let error = values(&shapes(), query, 6).unwrap_err().to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
    // With the errors dropped it can.
    let query = r#"sum(count_over_time({app="shapes"} | json | __error__="" [10s]))"#;
    assert_eq!(values(&shapes(), query, 6).unwrap(), ["{} 2"]);
}
