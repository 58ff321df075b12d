//! Any line gives an answer or an error, never more.

use proptest::prelude::*;

use super::memory::{Memory, params, record};
use crate::logql::{Limits, evaluate_range, parse};

const QUERIES: [&str; 14] = [
    r#"{a="b"} | json"#,
    r#"{a="b"} | json x="a[0].b", y="c[\"d\"]", z"#,
    r#"{a="b"} | logfmt --strict --keep-empty"#,
    r#"{a="b"} | logfmt | x > 5 or y < 1s, z >= 3KB"#,
    r#"{a="b"} | unpack | decolorize"#,
    r#"{a="b"} | pattern `<x> <y>"<_>` | x=ip("10.0.0.0/8")"#,
    r#"{a="b"} | regexp `(?P<x>\w+)\W+(?P<y>.*)` | label_format z=x, w="{{.y}}" | keep w, x=~".+""#,
    r#"{a="b"} |> "<_>a<_>" or "<_> b""#,
    r#"{a="b"} |= ip("::/0") or ip("0.0.0.0/0")"#,
    r#"{a="b"} | json | line_format "{{ range $k, $v := . }}{{ $v | trunc 3 | upper }}{{ end }}{{ fromJson __line__ }}""#,
    r#"{a="b"} | line_format "{{ alignLeft 5 __line__ }}{{ __line__ | urldecode }}{{ b64dec __line__ }}""#,
    r#"sum by (level) (count_over_time({a="b"} | json | logfmt | __error__="" [7s]))"#,
    r#"quantile_over_time(0.5, {a="b"} | logfmt | unwrap duration(x) | __error__="" [7s]) by (y)"#,
    r#"rate_counter({a="b"} | json | unwrap bytes(x) | __error__="" [7s])"#,
];

fn line() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(
        prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just("\""),
            Just("\\"),
            Just("\\u00"),
            Just("\\ud83d"),
            Just(":"),
            Just(","),
            Just("x"),
            Just("y=1.5s"),
            Just("x=5 "),
            Just("="),
            Just(" "),
            Just("null"),
            Just("1e9"),
            Just("-"),
            Just("é"),
            Just("10.0.0.1"),
            Just("::1"),
            Just("\u{1b}[31m"),
            Just("{\"x\":\"5KB\",\"a\":[{\"b\":1}]}"),
            Just("%4"),
        ],
        0..24,
    );
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "\\PC{0,60}".prop_map(String::into_bytes),
        pieces.prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn any_lines_are_answered(lines in prop::collection::vec(line(), 0..12)) {
        let records = lines.into_iter().zip(1..).map(|(line, second)| {
            let mut record = record(second, "a=b", "");
            record.line = line;
            record
        });
        let memory = Memory(records.collect());
        for query in QUERIES {
            let _ = evaluate_range(&parse(query).unwrap(), &memory, &params(0, 20, 3), &Limits::default());
        }
    }
}

#[test]
fn deep_json_is_an_error_and_long_lists_are_passed_over() {
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let wide = format!("{{\"a\":{}1{},\"b\":2}}", "[".repeat(100_000), "]".repeat(100_000));
    let memory = Memory(vec![record(1, "a=b", &deep), record(2, "a=b", &wide)]);
    let found = super::memory::lines(&memory, r#"{a="b"} | json | line_format "{{.b}}""#).unwrap();
    assert_eq!(
        found,
        [" {__error__=JSONParserErr __error_details__=objects of the JSON are nested too deep}", "2 {b=2}"]
    );
}

#[test]
fn what_the_expressions_of_one_query_are_compiled_to_is_bounded() {
    let large = "|~ `\\p{L}{60}` ";
    assert!(parse(&format!("{{a=\"b\"}} {}", large.repeat(10))).is_ok());
    for (times, told) in [(60, "size limit"), (200, "size limit")] {
        let error = parse(&format!("{{a=\"b\"}} {}", large.repeat(times))).unwrap_err().to_string();
        assert!(error.contains(told), "{times}: {error:.300}");
    }
    let error = parse(&format!("{{a=\"b\"}} {}", "|~ `x+` ".repeat(200))).unwrap_err().to_string();
    assert!(error.contains("more than 128 regular expressions"), "{error:.300}");
    let long = format!("{{a=~\"{}[\"}}", "x".repeat(50_000));
    assert!(
        parse(&long).unwrap_err().to_string().len() < 300,
        "an error names the expression, not all of it"
    );
}

#[test]
fn an_expression_is_one_by_itself_before_it_is_anchored() {
    for query in ["{a=~`x)|(y`}", "{a=\"b\"} | c=~`x)|(y`", "{a=\"b\"} | c!~`x)(?:y`"] {
        let error = parse(query).unwrap_err().to_string();
        assert!(error.contains("unopened group"), "{query}: {error}");
    }
    assert!(parse("{a=~`(x|y)`}").is_ok());
}

#[test]
fn long_rows_of_signs_are_read_once() {
    // Each of these was a second's work for every ten thousand signs where it was read anew from each.
    for sign in ["-", "--a", "#", "(", "1", "a", "|", "\\"] {
        let _ = parse(&sign.repeat((128 << 10) / sign.len()));
    }
}
