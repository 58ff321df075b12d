use serde_json::{Value, json};

use super::render;
use crate::terminal::{MIN_WIDTH, RenderOptions, columns, duration, escape, short, sparkline};

fn plain(answer: &Value, width: usize) -> String {
    render(answer, &RenderOptions { width, ..RenderOptions::default() })
}

fn checkout() -> Value {
    json!({
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spellings": [
            { "written": "4bf92f3577b34da6a3ce929d0e0e4736", "count": 2, "signals": ["spans"] },
            { "written": "11803532876627986230", "form": "decimal", "count": 1, "signals": ["logs"] },
        ],
        "window": { "start_unix_nano": "1700000000000000000", "end_unix_nano": "1700000000100000000" },
        "services": [
            { "name": "web", "version": "1.2.0", "namespace": "shop", "pods": ["web-0"], "spans": 1, "errors": 0, "logs": 1 },
            { "name": "cart", "version": null, "namespace": null, "pods": [], "spans": 1, "errors": 1, "logs": 2 },
        ],
        "spans": [
            {
                "span_id": "00f067aa0ba902b7", "parent_span_id": null, "depth": 0, "service": "web",
                "name": "POST /checkout", "kind": "server", "status": { "code": "unset", "message": "" },
                "start_unix_nano": "1700000000000000000", "duration_nano": "100000000",
                "self_time_nano": "50000000", "oddities": [], "events": [],
            },
            {
                "span_id": "b7ad6b7169203331", "parent_span_id": "00f067aa0ba902b7", "depth": 1, "service": "cart",
                "name": "Reserve", "kind": "server", "status": { "code": "error", "message": "out of stock" },
                "start_unix_nano": 1_700_000_000_025_000_000_u64, "duration_nano": 50_000_000,
                "self_time_nano": "50000000", "oddities": ["clock_skew"],
                "events": [{
                    "time_unix_nano": "1700000000070000000", "name": "exception",
                    "attributes": { "exception.message": "none left" },
                }],
            },
        ],
        "logs": [
            {
                "time_unix_nano": "1700000000001500000", "line": "checkout begins", "severity": "info",
                "span_id": "00f067aa0ba902b7", "join": { "rule": "trace_id", "confidence": 1.0 },
            },
            {
                "time_unix_nano": "1700000000070000000", "line": "none left of item 7", "severity": "error",
                "span_id": "b7ad6b7169203331", "join": { "rule": "low64", "confidence": 0.9 },
            },
            {
                "time_unix_nano": "1699999999999000000", "line": "connection accepted", "span_id": null,
                "metadata": { "detected_level": "debug" }, "join": { "rule": "trace_id", "confidence": 1.0 },
            },
        ],
        "exemplars": [{
            "metric": "http_seconds_bucket", "labels": { "service": "web" }, "value": 0.1,
            "time_unix_nano": "1700000000100000000", "span_id": "00f067aa0ba902b7", "source": "store",
        }],
        "metrics": [{
            "metric": "http_requests", "service": "web", "unit": "1/s",
            "values": [["1", 1], ["2", "2"], ["3", "NaN"], ["4", 8]],
            "join": { "rule": "labels", "confidence": 0.8 },
        }],
        "critical_path": [
            { "span_id": "00f067aa0ba902b7", "service": "web", "name": "POST /checkout" },
        ],
        "links": [{ "rel": "self", "path": "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736" }],
        "absent": [{ "signal": "metrics", "reason": "partial", "detail": "no series of cart" }],
        "warnings": ["the clock of cart is 3 ms late"],
    })
}

#[test]
fn an_answer_is_drawn_whole() {
    let expected = "\
Trace 4bf92f3577b34da6a3ce929d0e0e4736
  began     2023-11-14T22:13:20Z
  duration  100.0ms
  found     2 spans, 3 log lines, 1 exemplar
  also as   11803532876627986230 (1 time: logs)
  services  web 1.2.0 in shop: 1 span, 1 log; on web-0
            cart: 1 span, 1 error, 2 logs

Spans
   service  span                                                                   duration     self
 * web  POST /checkout                        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100.0ms   50.0ms
     | info     +1.5ms checkout begins
!    cart  Reserve                            ·········━━━━━━━━━━━━━━━━━━·········   50.0ms   50.0ms
       ~ clock_skew
       ! out of stock
       @ event   +70.0ms exception: none left
       | error   +70.0ms [low64 0.90] none left of item 7
! error   * on the critical path

Log lines of the trace that name none of its spans
  | debug    -1.0ms connection accepted

Exemplars
  http_seconds_bucket  web  0.1  +100.0ms  span 00f067aa0ba902b7  from store

Metrics
  http_requests  web  ▁▂ █  1..8 1/s  [labels 0.80]

Links
  self  /api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736

Absent
  metrics   partial: no series of cart

Warnings
  - the clock of cart is 3 ms late
";
    assert_eq!(plain(&checkout(), 100), expected);
}

#[test]
fn a_single_line_has_no_duration_and_one_that_names_no_span_says_who_placed_it() {
    let log = |span: Value| {
        json!({ "line": "paid", "severity": "info", "span_id": span, "span_inferred": !span.is_null(),
            "time_unix_nano": "1700000000000000000", "join": { "rule": "trace_id", "confidence": 1.0 } })
    };
    let window = json!({ "start_unix_nano": "1700000000000000000", "end_unix_nano": "1700000000000000001" });
    let text = plain(&json!({ "trace_id": "7", "window": window, "logs": [log(Value::Null)] }), 100);
    assert!(!text.contains("duration"), "{text}");
    let span = json!({ "span_id": "a1", "name": "pay", "service": "web", "start_unix_nano": "1700000000000000000",
        "duration_nano": "5" });
    let text = plain(&json!({ "trace_id": "7", "spans": [span], "logs": [log(json!("a1"))] }), 100);
    assert!(text.contains("[under the span that ran] paid"), "{text}");
}

#[test]
fn lines_without_an_id_are_told_from_others_and_parts_say_how_to_go_on() {
    let mut answer = checkout();
    answer["logs"][1]["join"] = json!({ "rule": "workload_time", "confidence": 0.971, "agreed": ["thread"] });
    answer["logs"][1]["adjusted_time_unix_nano"] = json!("1700000000060000000");
    (answer["total_spans"], answer["next"]) = (json!(9000), json!("spans-2"));
    answer["absent"][0]["hint"] = json!("map its labels");
    let text = plain(&answer, 100);
    for line in [
        "  found     2 of 9000 spans, 3 log lines (1 without an id), 1 exemplar",
        "       ? error   +60.0ms [workload_time 0.97 by thread] none left of item 7",
        "! error   * on the critical path   ? has no id, but probably belongs here",
        "  metrics   partial: no series of cart -> map its labels",
        "  trefoil trace 4bf92f3577b34da6a3ce929d0e0e4736 --cursor spans-2",
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
    let url = Some("http://gateway:3100".to_owned());
    let text = render(&answer, &RenderOptions { width: 100, url, ..RenderOptions::default() });
    let next = "  trefoil trace 4bf92f3577b34da6a3ce929d0e0e4736 --cursor spans-2 --url http://gateway:3100";
    assert!(text.lines().any(|written| written == next), "{text}");
}

#[test]
fn a_narrow_terminal_gets_no_bars_and_cut_lines() {
    let text = plain(&checkout(), 44);
    let spans: Vec<&str> = text.lines().skip_while(|line| *line != "Spans").take(4).collect();
    assert_eq!(
        spans,
        [
            "Spans",
            "   service  span                    duration",
            " * web  POST /checkout               100.0ms",
            "     | info     +1.5ms checkout begins",
        ]
    );
}

#[test]
fn an_answer_with_nothing_in_it_tells_why() {
    let answer = json!({
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spellings": [], "window": null, "services": [], "spans": [], "logs": [], "exemplars": [], "metrics": [],
        "critical_path": [], "links": [],
        "absent": [
            { "signal": "traces", "reason": "not_found", "detail": "no span with this id since 2026-11-14, when the store begins" },
            { "signal": "logs", "reason": "not_found", "detail": "" },
            { "signal": "metrics", "reason": "not_configured", "detail": "set upstream.prometheus.url" },
        ],
        "warnings": [],
    });
    let expected = "\
Trace 4bf92f3577b34da6a3ce929d0e0e4736
Nothing was found for this id in any signal.

Absent
  traces    not_found: no span with this id since
            2026-11-14, when the store begins
  logs      not_found
  metrics   not_configured: set
            upstream.prometheus.url
";
    assert_eq!(plain(&answer, 52), expected);
}

#[test]
fn missing_keys_and_wrong_kinds_are_left_out() {
    let nothing = "Trace (no id)\nNothing was found for this id in any signal.\n";
    for answer in [json!(null), json!({}), json!([1]), json!({ "spans": 7, "logs": "x", "window": [] })] {
        assert_eq!(plain(&answer, 80), nothing);
    }
    let hollow = json!({ "spans": [{}, 3], "logs": [{}], "exemplars": [null], "metrics": [{}], "links": [0],
        "absent": [{}], "warnings": [1], "services": [{}], "spellings": [{}], "critical_path": [{}] });
    for width in [0, MIN_WIDTH, 80, 200] {
        assert!(plain(&hollow, width).contains("(no service)  (no name)"));
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut answer = checkout();
    answer["spans"][1]["depth"] = json!(u64::MAX);
    answer["spans"][1]["start_unix_nano"] = json!(i128::MAX.to_string());
    answer["spans"][0]["name"] = json!("注文".repeat(40));
    answer["logs"][0]["line"] = json!("長い行 ".repeat(60));
    answer["absent"][0]["detail"] = json!("x".repeat(300));
    answer["absent"][0]["signal"] = json!("y".repeat(300));
    answer["warnings"] = json!(["word ".repeat(90)]);
    for width in MIN_WIDTH..180 {
        for line in plain(&answer, width).lines() {
            assert!(columns(line) <= width, "{} columns of {width}: {line}", columns(line));
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let colored = render(&checkout(), &RenderOptions { width: 100, color: true, url: None });
    assert!(colored.contains("\x1b[31m! out of stock\x1b[0m"));
    let mut bare = String::new();
    for (at, part) in colored.split("\x1b[").enumerate() {
        bare.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(bare, plain(&checkout(), 100));
}

#[test]
fn what_services_write_cannot_steer_the_terminal() {
    let mut answer = checkout();
    let evil = "\x1b]0;owned\x07\r\n\t\u{9b}2J\u{202e}";
    for place in ["name", "service", "span_id"] {
        answer["spans"][1][place] = json!(evil);
    }
    answer["logs"][2]["line"] = json!(evil);
    answer["trace_id"] = json!(evil);
    answer["spellings"][1]["written"] = json!(evil);
    answer["metrics"][0]["metric"] = json!(evil);
    answer["exemplars"][0]["source"] = json!(evil);
    answer["absent"][0]["signal"] = json!(evil);
    answer["warnings"][0] = json!(evil);
    answer["links"][0]["rel"] = json!(evil);
    let text = plain(&answer, 120);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!text.contains('\u{202e}'));
    assert_eq!(escape(evil), "\\x1b]0;owned\\x07\\r\\n\\t\\x9b2J\\u{202e}");
}

#[test]
fn spans_with_one_id_get_their_lines_once() {
    let mut answer = checkout();
    answer["spans"][1]["span_id"] = json!("00f067aa0ba902b7");
    assert_eq!(plain(&answer, 100).matches("checkout begins").count(), 1);
}

#[test]
fn metric_values_may_be_objects() {
    let answer = json!({ "metrics": [{ "metric": "m", "values": [
        { "time_unix_nano": "1", "value": 0 }, { "time_unix_nano": "2", "value": 7 },
    ] }] });
    assert!(plain(&answer, 80).ends_with("Metrics\n  m  ▁█  0..7\n"));
}

#[test]
fn durations_stand_in_the_unit_that_fits() {
    let written =
        [0, 999, 1_000, 999_999, 1_500_000, 59_990_000_000, 125_000_000_000, 11_100_000_000_000, -1_500]
            .map(duration);
    assert_eq!(written, ["0ns", "999ns", "1.0µs", "999.9µs", "1.5ms", "59.9s", "2m05s", "3h05m", "-1.5µs"]);
    assert_eq!(duration(i128::MIN).chars().next(), Some('-'));
}

#[test]
fn sparklines_are_short_and_bear_any_value() {
    assert_eq!(sparkline(&[]), "");
    assert_eq!(sparkline(&[f64::NAN]), "");
    assert_eq!(sparkline(&[5.0, 5.0]), "▁▁");
    assert_eq!(sparkline(&[0.0, f64::NAN, 3.5, 7.0]), "▁ ▅█");
    assert_eq!(sparkline(&[f64::MIN, 0.0, f64::MAX]), "▁▅█");
    let many: Vec<f64> = (0..41).map(f64::from).collect();
    assert_eq!(sparkline(&many).chars().count(), 14);
}

#[test]
fn values_keep_four_digits() {
    let written = [0.0, 1.0, 0.1, 123.456, 12345.6, 1.234e-5, -2.5e12, f64::INFINITY].map(short);
    assert_eq!(written, ["0", "1", "0.1", "123.5", "12346", "1.23e-5", "-2.50e12", "inf"]);
}
