//! `template`.

use super::*;
use crate::stage::template::Extracted;

fn filled(body: &str) -> Option<String> {
    let line =
        r#"{"app":"loki","level":"WARN","n":"5","empty":"","time_local":"9:05:07 AM","spaced":"  x y "}"#;
    let entry =
        one(&[json(&["app", "level", "n", "empty", "time_local", "spaced"]), template("app", body)], line);
    entry.extracted.get("app").map(str::to_owned)
}

#[test]
fn templates_give_what_go_gives() {
    for (body, expected) in [
        ("hello world!", "hello world!"),
        ("{{ .Value }}_some_suffix", "loki_some_suffix"),
        ("{{ ToUpper .Value }}", "LOKI"),
        ("{{ .Value | ToUpper }}", "LOKI"),
        ("{{ .level }} for app {{ ToUpper .app }}", "WARN for app LOKI"),
        (r#"{{ Replace .Value "lo" "blo" 1 }}"#, "bloki"),
        (r"{{ .missing }}", "<no value>"),
        (
            r#"{{ if eq .level "WARN" }}{{ Replace .level "WARN" "OK" -1 }}{{ else }}{{ .Value }}{{ end }}"#,
            "OK",
        ),
        (r#"{{ if eq .level "INFO" "WARN" }}a{{ end }}"#, "a"),
        (r"{{ if .missing }}a{{ else if .n }}b{{ else }}c{{ end }}", "b"),
        (r#"{{ if and (eq .n "5") (ne .level "X") }}y{{ end }}"#, "y"),
        (r#"{{ if or .empty (hasPrefix "lo" .app) }}y{{ end }}"#, "y"),
        (r"{{ if not .empty }}none{{ end }}", "none"),
        (r#"a {{- "b" -}} c"#, "abc"),
        (r"{{/* note */}}x{{- /* two */ -}} y", "xy"),
        ("{{ `raw\"` }}", "raw\""),
        (r#"{{ "tab\tA" }}"#, "tab\tA"),
        (r#"{{ Trim .spaced " " }}|{{ TrimSpace .spaced }}|{{ TrimLeft .spaced " x" }}"#, "x y|x y|y "),
        (r#"{{ TrimPrefix .Value "lo" }}{{ TrimSuffix .Value "ki" }}"#, "kilo"),
        (r#"{{ regexReplaceAll "(o)k" .Value "${1}-" }}"#, "lo-i"),
        (r#"{{ regexReplaceAllLiteral "ok" .Value "$1" }}"#, "l$1i"),
        (r"{{ .time_local | substr 0 2 }}", "9:"),
        (r"1{{ add (.n | substr 0 1) 2 }}", "17"),
        (r#"{{ default "x" .empty }}{{ default "x" .app }}"#, "xloki"),
        (r#"{{ printf "%-6s|%03d|%.2f|%q%%" .app 7 1.5 .n }}"#, "loki  |007|1.50|\"5\"%"),
        (r"{{ int .n | mul 3 }}{{ div 7 2 }}{{ mod 7 2 }}{{ sub 1 2 }}", "1531-1"),
        (
            r#"{{ lower .level | title }}{{ contains "ok" .app }}{{ trunc 2 .app }}{{ trunc -2 .app }}"#,
            "Warntrueloki",
        ),
        (r#"{{ coalesce .missing .empty .level }}{{ ternary "a" "b" true }}{{ len .app }}"#, "WARNa4"),
        (r#"{{ if lt 2 10 }}{{ if ge .n "4" }}y{{ end }}{{ end }}"#, "y"),
    ] {
        assert_eq!(filled(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn values_have_parts_and_variables_hold_them() {
    for (body, expected) in [
        (r"{{ $x := .level }}{{ $x = lower $x }}{{ $x }}{{ $.app }}", "warnloki"),
        (
            r#"{{ range $i, $q := fromJson "[{\"n\":1},{\"n\":2.5}]" }}{{ $i }}={{ $q.n }};{{ .n }} {{ end }}"#,
            "0=1;1 1=2.5;2.5 ",
        ),
        (r#"{{ range fromJson "[]" }}x{{ else }}none{{ end }}"#, "none"),
        (
            r#"{{ range fromJson "[1,2,3,4]" }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ if gt . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}"#,
            "13",
        ),
        (r"{{ with .level }}<{{ . }}>{{ end }}{{ with .missing }}x{{ else }}y{{ end }}", "<WARN>y"),
        (r#"{{ (fromJson "{\"a\":{\"b\":\"c\"}}").a.b }}"#, "c"),
        (r#"{{ index (fromJson "{\"a\":[5,6]}") "a" 1 }}{{ len (fromJson "[1,2]") }}"#, "62"),
        (r#"{{ fromJson "{\"b\":[1,true],\"a\":null}" }}"#, "map[a:<no value> b:[1 true]]"),
        (r"{{ if $n := .n }}{{ $n }}{{ end }}{{ range 3 }}{{ . }}{{ end }}", "5012"),
        (r#"{{ slice "abcdef" 1 3 }}{{ count "l|o" .app }}"#, "bc2"),
    ] {
        assert_eq!(filled(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn functions_that_logql_documents_give_what_it_says() {
    for (body, expected) in [
        (
            r"{{ alignLeft 6 .app }}|{{ alignRight 6 .app }}|{{ alignRight 2 .app }}|{{ alignLeft 2 .app }}",
            "loki  |  loki|ki|lo",
        ),
        (r#"{{ indent 2 "a\nb" }}{{ nindent 1 "c" }}"#, "  a\n  b\n c"),
        (r#"{{ b64enc .app }} {{ b64dec "bG9raQ==" }}"#, "bG9raQ== loki"),
        (r#"{{ urlencode "a b&c=ü" }} {{ urldecode "a+b%26" }}"#, "a+b%26c%3D%C3%BC a b&"),
        (
            r"{{ addf 1.5 2 }} {{ subf 5 0.5 1 }} {{ mulf 2 2.5 }} {{ divf 1 4 }} {{ maxf 1 2.5 }} {{ minf 1 2.5 }}",
            "3.5 3.5 5 0.25 2.5 1",
        ),
        (r"{{ ceil 1.2 }}{{ floor 1.8 }} {{ round 123.555555 3 }} {{ round -2.5 0 }}", "21 123.556 -3"),
        (
            r#"{{ bytes "2KiB" }} {{ bytes "1.5kB" }} {{ duration "1m30s" }} {{ duration_seconds "500ms" }}"#,
            "2048 1500 90 0.5",
        ),
        (r#"{{ toDate "2006-01-02" "2021-11-02" | unixEpoch }}"#, "1635811200"),
        (
            r#"{{ toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2021-11-02 12:00" | date "15:04 -0700 MST" }}"#,
            "12:00 +0100 CET",
        ),
        (r#"{{ unixToTime "1679577215" | date "Mon Jan 2 03:04:05PM 2006" }}"#, "Thu Mar 23 01:13:35PM 2023"),
        (
            r#"{{ unixToTime "1679577215123" | unixEpochMillis }} {{ unixToTime "1679577215" | unixEpochNanos }}"#,
            "1679577215123 1679577215000000000",
        ),
        (r#"{{ unixToTime "1679577215123" }}"#, "2023-03-23 13:13:35.123 +0000 UTC"),
        (r#"{{ html "<a>" }}{{ urlquery "a b" }}"#, "&lt;a&gt;a+b"),
        (r"{{ __line__ | trunc 7 }}", "{\"app\":"),
        (r"{{ 1e30 | float64 }} {{ divf 1 3 }}", "1e+30 0.3333333333333333"),
    ] {
        assert_eq!(filled(body).as_deref(), Some(expected), "{body}");
    }
}

/// https://pkg.go.dev/fmt
#[test]
fn printf_is_go_s() {
    for (arguments, expected) in [
        (r#""%+d|%d" 5 -7"#, "+5|-7"),
        (r#""%d" "a""#, "%!d(string=a)"),
        (r#""%d" 1 2"#, "1%!(EXTRA int=2)"),
        (r#""%d %s""#, "%!d(MISSING) %!s(MISSING)"),
        (r#""%z" 1"#, "%!z(int=1)"),
        (r#""100%""#, "100%!(NOVERB)"),
        (
            r#""%e|%.2E|%g|%G|%.3g|%g" 1500.0 1500.0 1e21 1e-7 1234.5678 0.5"#,
            "1.500000e+03|1.50E+03|1e+21|1E-07|1.23e+03|0.5",
        ),
        (
            r#""%#g|%08.3f|%+.1f|% f|%-8.2f|" 1.5 -3.14159 2.0 1.0 2.5"#,
            "1.50000|-003.142|+2.0| 1.000000|2.50    |",
        ),
        (r#""%x|%X|%b" 1.5 1.5 1.0"#, "0x1.8p+00|0X1.8P+00|4503599627370496p-52"),
        (r#""%c|%q|%U|%#U" 65 65 9731 9731"#, "A|'A'|U+2603|U+2603 '☃'"),
        (r#""%o|%#o|%O|%b|%#b|%#x|%X|%#X" 8 8 8 5 5 255 255 255"#, "10|010|0o10|101|0b101|0xff|FF|0XFF"),
        (r#""%T %T %T %T" 1 1.5 "a" true"#, "int float64 string bool"),
        (r#""%#v %#v %v %+v" "a" 1 "b" 2"#, "\"a\" 1 b 2"),
        (
            r#""%#v" (fromJson "{\"a\":[1,\"b\",null]}")"#,
            "map[string]interface {}{\"a\":[]interface {}{1, \"b\", interface {}(nil)}}",
        ),
        (r#""%v %s" (fromJson "[1,2]") (fromJson "[\"a\",\"b\"]")"#, "[1 2] [a b]"),
        (r#""%[2]d %[1]d" 1 2"#, "2 1"),
        (r#""%[3]*.[2]*[1]f|" 12.0 2 6"#, " 12.00|"),
        (r#""%[5]d %[x]d" 1"#, "%!d(BADINDEX) %!d(BADINDEX)"),
        (r#""%*d|%-*d|%*d" 4 1 4 2 "a" 3"#, "   1|2   |%!(BADWIDTH)3"),
        (r#""%.2s|%5.1s|%-5s|%05d|%.3d|%+05d" "abc" "xyz" "l" 42 7 3"#, "ab|    x|l    |00042|007|+0003"),
        (
            r#""%q|%#q|%+q|%x|% x|%#x|%X" "a\"\n" "b" "é" "hi" "hi" "hi" "hi""#,
            r#""a\"\n"|`b`|"\u00e9"|6869|68 69|0x6869|6869"#,
        ),
        (r#""%t|%5t|%d" true false true"#, "true|false|%!d(bool=true)"),
        (r#""%s|%v|%d" nil nil nil"#, "%!s(<nil>)|<nil>|%!d(<nil>)"),
        (r#""%f|%+f|%05d" (divf 1 0) (divf 1 0) 0"#, "+Inf|+Inf|00000"),
        (r#""%d%%" 5"#, "5%"),
    ] {
        assert_eq!(
            filled(&format!("{{{{ printf {arguments} }}}}")).as_deref(),
            Some(expected),
            "{arguments}"
        );
    }
    // Neither of them fails, and no width takes more memory than a value may.
    assert_eq!(filled(r#"{{ printf "%99999999d" 1 }}"#).as_deref(), Some("loki"), "left as it was");
    assert_eq!(filled(r#"{{ printf "%900000d%900000d" 1 2 }}"#).as_deref(), Some("loki"), "left as it was");
    assert_eq!(filled(r#"{{ printf "%.9000f" 1.5 }}"#).as_deref(), Some("loki"), "left as it was");
}

#[test]
fn functions_give_what_go_s_and_sprig_s_give() {
    for (body, expected) in [
        (
            r#"{{ print 1 2 }}|{{ print "a" 1 2 "b" 3 }}|{{ print 1 true "x" }}|{{ println 1 "a" }}"#,
            "1 2|a1 2b3|1 truex|1 a\n",
        ),
        (r#"{{ title "a-b c_d e.f 1st it's" }}"#, "A-B C_d E.F 1st It'S"),
        (
            r"{{ round 123.88571428571 5 .2 }} {{ round 123.555555 3 }} {{ round 1.24 1 0.5 }} {{ round -1.2 0 }}",
            "123.88572 123.556 1.2 -2",
        ),
        (r"{{ .5 }}{{ addf .25 .25 }}", "0.50.5"),
        (r#"{{ toDate "2006-01-02" "nonsense" }}"#, "0001-01-01 00:00:00 +0000 UTC"),
        (
            r#"{{ toDateInZone "2006-01-02" "Nowhere/City" "2021-11-02" | date "2006-01-02 MST" }}"#,
            "2021-11-02 UTC",
        ),
        (r#"{{ toDateInZone "2006-01-02" "Europe/Berlin" "x" | unixEpoch }}"#, "-62135596800"),
        (
            r#"{{ regexReplaceAll (print "o" "k") .app "-" }} {{ count .app "lokiloki" }} {{ regexMatch .n "a5" }}"#,
            "l-i 2 true",
        ),
        (r#"{{ $e := "[a-k]" }}{{ range 40 }}{{ $e = print $e "?" }}{{ end }}{{ count $e "" }}"#, "1"),
    ] {
        assert_eq!(filled(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn what_fails_says_in_which_function_and_where_and_why() {
    let empty = Entry::default().extracted;
    let scope = Extracted { value: None, entry: Some("line"), time: None, others: &empty };
    for (body, expected) in [
        ("{{ add 1 (div 1 0) }}", "the function \"div\" at column 11: integer divide by zero"),
        ("a {{ 5 | ToUpper }}", "the function \"ToUpper\" at column 10: expected a text, came int \"5\""),
        ("{{ index (fromJson \"[1]\") 3 }}", "the function \"index\" at column 4: index out of range: 3"),
        (
            "{{ regexReplaceAll (print \"(\") \"x\" \"\" }}",
            "the function \"regexReplaceAll\" at column 4: the regular expression `(` cannot be read",
        ),
        ("{{ lt 1 \"a\" }}", "incompatible types for comparison: int \"1\" and string \"a\""),
        (
            "{{ (fromJson \"[1]\").a }}",
            "the action at column 1: can't evaluate field a in []interface {} \"[1]\"",
        ),
        ("{{ unixToTime \"x\" }}", "the function \"unixToTime\" at column 4: unable to parse time \"x\""),
        (
            "{{ $x := \"a\" }}{{ range 30 }}{{ $x = print $x $x }}{{ end }}{{ $x }}",
            "the function \"print\" at column 38: the text would be longer than 1048576 bytes",
        ),
        ("{{ range 40 }}{{ repeat 30000 \"x\" }}{{ end }}", "longer than 1048576 bytes"),
        ("{{ __timestamp__ }}", "the action at column 1: there is no time"),
    ] {
        let error = Template::new(body).unwrap().render(&scope).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

#[test]
fn lists_in_lists_cannot_take_for_ever() {
    let list = format!("[{}]", vec!["1"; 400].join(","));
    let body = format!(
        "{{{{ $l := fromJson `{list}` }}}}{{{{ range $l }}}}{{{{ range $l }}}}{{{{ range $l }}}}x{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}"
    );
    assert_eq!(filled(&body).as_deref(), Some("loki"), "left as it was");
}

#[test]
fn the_line_is_entry() {
    let entry =
        one(&[template("message", "app: {{ .Entry }}"), StageConfig::Output(text("message"))], "hello");
    assert_eq!(entry.line, "app: hello");
}

#[test]
fn hashes_are_those_of_the_documentation_s_functions() {
    assert_eq!(
        filled(r#"{{ Sha2Hash "salt" "x" }}"#).unwrap(),
        filled(r#"{{ sha256sum "saltx" }}"#).unwrap(),
    );
    // SHA3-256 of the empty text, FIPS 202.
    assert_eq!(
        filled(r#"{{ Hash "" "" }}"#).unwrap(),
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    );
    assert_eq!(
        filled(r#"{{ sha256sum "" }}"#).unwrap(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn an_empty_result_takes_the_value_away_and_a_failed_one_leaves_it() {
    assert_eq!(filled(r#"{{ if eq .app "x" }}y{{ end }}"#), None);
    assert_eq!(filled("{{ ToUpper .missing }}").as_deref(), Some("loki"));
    assert_eq!(filled("{{ div 1 0 }}").as_deref(), Some("loki"));
}

#[test]
fn the_documentation_s_long_template_reads_a_twelve_hour_clock() {
    let body = r#"{{ if eq (.time_local | substr 0 2) "12" }}{{ if eq .hour "AM" }}00{{ else }}12{{ end }}{{ .time_local | substr 2 10}}Z{{ else }}{{ if and (le (.time_local | substr 0 1) "9") (eq (.time_local | substr 1 2) ":") }}0{{ .time_local | substr 0 7 }}Z{{ end }}{{ end }}"#;
    assert_eq!(filled(body).as_deref(), Some("09:05:07Z"));
}

#[test]
fn what_is_not_supported_names_its_column() {
    for (body, expected) in [
        ("x {{ define .a }}{{ end }}", "`define` at column 3"),
        ("{{ $.x := 1 }}", "at column 4 what is no variable"),
        ("{{ break }}", "`break` without `range` at column 1"),
        ("{{ range .a }}", "`range` without `end`, at column 1"),
        ("{{ with .a }}{{ else if .b }}{{ end }}", "something else than `with` at column"),
        ("{{ nope .a }}", "function `nope` at column 4"),
        ("{{ .a ..b }}", "a field at column 7"),
        ("{{ if .a }}", "`if` without `end`, at column 1"),
        ("{{ end }}", "`end` without `if` at column 1"),
        ("{{ .a", "without closing"),
        ("{{ \"a }}", "text that cannot be read, at column 4"),
        ("{{ ToUpper }}", "takes 1 arguments, came 0"),
        ("{{ (ToUpper .a }}", "bracket that does not close, at column 4"),
        ("{{ regexReplaceAll \"(\" .b \"\" }}", "regular expression"),
        ("{{ .a .b }}", "cannot take arguments"),
        ("{{ }}", "empty action at column 1"),
        ("{{ ToUpper trim }}", "`trim` as an argument"),
    ] {
        let error = refused(template("x", body));
        assert!(error.contains(expected), "{body}: {error}");
    }
}
