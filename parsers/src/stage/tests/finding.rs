//! `regex`, `json`, `logfmt`, `pattern`, `replace`.

use super::*;

#[test]
fn regex_extracts_named_groups_and_leaves_the_line() {
    let entry = one(&[regex(r"^(?P<ip>\S+) (?P<user>\S+)(?: (?P<none>x))?$")], "10.0.0.1 frank");
    assert_eq!(pairs(&entry.extracted), ["ip=10.0.0.1", "user=frank", "none="]);
    assert_eq!(entry.line, "10.0.0.1 frank");
}

#[test]
fn regex_reads_a_source_and_skips_what_is_not_there() {
    let stage = |source: &str| {
        StageConfig::Regex(RegexConfig {
            expression: text(r"(?P<year>\d+)"),
            source: some(source),
            labels_from_groups: true,
        })
    };
    let entry = one(&[json(&["time"]), stage("time")], r#"{"time":"in 2012"}"#);
    assert_eq!(pairs(&entry.labels), ["year=2012"]);
    assert!(one(&[stage("time")], "2012").extracted.is_empty());
}

#[test]
fn json_paths_reach_nested_quoted_and_indexed_values() {
    let line = r#"{"log":"a\nb","n":1.5,"i":12,"t":true,"nil":null,"a":{"b":[{"c":"x"},2]},"grpc.stream":"s","o":{"k":1}}"#;
    let names =
        ["log", "n", "i", "t", "nil", "c=a.b[0].c", "last=a.b[-1]", "g=\"grpc.stream\"", "o", "none=a.z[3]"];
    let entry = one(&[json(&names)], line);
    assert_eq!(
        pairs(&entry.extracted),
        ["log=a\nb", "n=1.5", "i=12", "t=true", "c=x", "last=2", "g=s", "o={\"k\":1}"]
    );
}

#[test]
fn json_paths_that_are_not_supported_name_the_column() {
    for (path, column) in
        [("a[*].b", 3), ("a || b", 2), ("length(a)", 7), ("a.", 3), ("a[0", 2), ("\"a", 1), ("a[?x]", 3)]
    {
        let error = refused(json(&[&format!("x={path}")]));
        assert!(error.contains(&format!("at column {column};")), "{path}: {error}");
    }
}

#[test]
fn json_from_a_source_and_malformed_lines_dropped_on_request() {
    let inner = StageConfig::Json(JsonConfig {
        expressions: vec![(text("user"), None)],
        source: some("extra"),
        drop_malformed: false,
    });
    let entry = one(&[json(&["extra"]), inner], r#"{"extra":"{\"user\":\"marco\"}"}"#);
    assert_eq!(entry.extracted.get("user"), Some("marco"));
    let strict = StageConfig::Json(JsonConfig {
        expressions: vec![(text("a"), None)],
        drop_malformed: true,
        ..JsonConfig::default()
    });
    let taken = run(&[strict], &["{\"a\":1}", "{\"a\":", "[1]", "plain"]);
    assert_eq!(taken.lines(), ["{\"a\":1}"]);
    assert_eq!(taken.dropped.len(), 3);
    assert_eq!(taken.dropped[0].0, "malformed_json");
}

#[test]
fn logfmt_reads_quotes_bare_keys_and_other_names() {
    let stage = StageConfig::Logfmt(LogfmtConfig {
        mapping: vec![
            (text("level"), None),
            (text("message"), some("msg")),
            (text("flag"), None),
            (text("no"), None),
        ],
        source: None,
    });
    let entry = one(&[stage], r#"level=info flag msg="it \"works\"\n" other=x"#);
    assert_eq!(pairs(&entry.extracted), ["level=info", "flag=", "message=it \"works\"\n"]);
}

#[test]
fn pattern_takes_what_stands_between_fixed_texts() {
    let stage = |pattern: &str| {
        StageConfig::Pattern(PatternConfig {
            pattern: text(pattern),
            source: None,
            labels_from_groups: false,
        })
    };
    let entry = one(
        &[stage("<ip> - <_> [<at>] \"<method> <path> <_>\" <status> <rest>")],
        r#"11.1.1.1 - frank [25/Jan/2000] "GET /1986.js HTTP/1.1" 200 932 "-""#,
    );
    assert_eq!(
        pairs(&entry.extracted),
        ["ip=11.1.1.1", "at=25/Jan/2000", "method=GET", "path=/1986.js", "status=200", "rest=932 \"-\""]
    );
    assert!(refused(stage("<a><b>")).contains("some text must stand between"));
    assert!(refused(stage("<_> x")).contains("names nothing"));
    assert!(refused(stage("<a> <a>")).contains("occurs twice"));
}

fn replace(expression: &str, replacement: &str) -> StageConfig {
    StageConfig::Replace(ReplaceConfig {
        expression: text(expression),
        source: None,
        replace: text(replacement),
    })
}

#[test]
fn replace_changes_the_groups_and_only_them() {
    assert_eq!(one(&[replace(r"password (\S+)", "****")], "with password xyz!").line, "with password ****");
    assert_eq!(
        one(&[replace(r"11.11.11.11 - (\S+\s)", "")], "11.11.11.11 - frank [25]").line,
        "11.11.11.11 - [25]"
    );
    assert_eq!(one(&[replace(r"(\d+)", "<{{ .Value }}>")], "a 1 b 22").line, "a <1> b <22>");
    assert_eq!(one(&[replace(r"(x)", "y")], "nothing here").line, "nothing here");
}

#[test]
fn replace_fills_a_template_for_each_group_and_extracts_named_ones() {
    let stage = replace(
        r"^(?P<user>\S+) (\d{3})$",
        r#"{{ if eq .Value "200" }}{{ Replace .Value "200" "HttpStatusOk" -1 }}{{ else }}{{ .Value | ToUpper }}{{ end }}"#,
    );
    let entry = one(&[stage], "frank 200");
    assert_eq!(entry.line, "FRANK HttpStatusOk");
    assert_eq!(pairs(&entry.extracted), ["user=FRANK"]);
}

#[test]
fn replace_of_a_source_changes_the_source() {
    let stage = StageConfig::Replace(ReplaceConfig {
        expression: text(r"POST (\S+)"),
        source: some("msg"),
        replace: text("/push"),
    });
    let entry = one(&[json(&["msg"]), stage], r#"{"msg":"POST /api HTTP"}"#);
    assert_eq!(entry.extracted.get("msg"), Some("POST /push HTTP"));
    assert_eq!(entry.line, r#"{"msg":"POST /api HTTP"}"#);
}

#[test]
fn logfmt_undoes_unicode_escapes() {
    let stage = StageConfig::Logfmt(LogfmtConfig { mapping: vec![(text("m"), None)], source: None });
    for (line, expected) in
        [(r#"m="caf\u00e9""#, "café"), (r#"m="\ud83d\ude00.""#, "😀."), (r#"m="\ud83d \u00x""#, "ud83d u00x")]
    {
        assert_eq!(one(std::slice::from_ref(&stage), line).extracted.get("m"), Some(expected));
    }
}

#[test]
fn a_pattern_gives_all_that_is_left_where_the_next_text_is_missing() {
    let stage = StageConfig::Pattern(PatternConfig {
        pattern: text("<method> <path> <status>"),
        source: None,
        labels_from_groups: false,
    });
    assert_eq!(pairs(&one(&[stage], "GET /healthz").extracted), ["method=GET", "path=/healthz"]);
}

#[test]
fn replace_extracts_names_from_the_first_match() {
    let entry = one(&[replace(r"user=(?P<user>\w+)", "{{ .Value | ToUpper }}")], "user=ann user=bob");
    assert_eq!(entry.line, "user=ANN user=BOB");
    assert_eq!(entry.extracted.get("user"), Some("ANN"));
}

#[test]
fn replace_stops_where_the_line_would_be_cut() {
    let mut entry = Entry::new(NOW, "a".repeat(64).as_bytes());
    entry.extracted.set("long", "x".repeat(MAX_VALUE / 2));
    let mut taken = Taken::default();
    pipeline(&[replace("(?P<n>a)", "{{ .long }}")]).run(entry, NOW, &mut taken);
    assert_eq!(taken.entries[0].line.len(), MAX_VALUE);
    assert!(taken.entries[0].truncated < MAX_VALUE as u64, "{}", taken.entries[0].truncated);
}
