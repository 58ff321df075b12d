//! `template`.

use super::*;

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
        ("x {{ range .a }}{{ end }}", "`range` at column 3"),
        ("{{ $x := 1 }}", "`$` at column 4"),
        ("{{ nope .a }}", "function `nope` at column 4"),
        ("{{ .a.b }}", "a field at column 4"),
        ("{{ if .a }}", "`if` without `end`, at column 1"),
        ("{{ end }}", "`end` without `if` at column 1"),
        ("{{ .a", "without closing"),
        ("{{ \"a }}", "text that cannot be read, at column 4"),
        ("{{ ToUpper }}", "takes 1 arguments, came 0"),
        ("{{ (ToUpper .a }}", "bracket that does not close, at column 4"),
        ("{{ regexReplaceAll .a .b .c }}", "needs its expression as a text"),
        ("{{ regexReplaceAll \"(\" .b \"\" }}", "regular expression"),
        ("{{ .a .b }}", "cannot take arguments"),
        ("{{ }}", "empty action at column 1"),
        ("{{ ToUpper now }}", "`now` as an argument"),
    ] {
        let error = refused(template("x", body));
        assert!(error.contains(expected), "{body}: {error}");
    }
}
