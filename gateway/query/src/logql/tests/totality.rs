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
