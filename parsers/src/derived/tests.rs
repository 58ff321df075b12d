use proptest::prelude::*;

use super::*;
use crate::container::{Carried, ContainerLine, JoinLimits, Joiner, Stream};
use crate::record::{LogBatch, format_rfc3339};

const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const S: &str = "00f067aa0ba902b7";

fn deriver() -> Deriver {
    Deriver::new(&[]).unwrap()
}

fn derive(line: &str) -> Derived {
    let mut out = Derived::default();
    deriver().derive(line.as_bytes(), &mut out);
    out
}

/// Rule, trace id and span id in canonical hex, severity, service; `-` for what is not there.
fn summary(line: &str) -> String {
    let out = derive(line);
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {} {} {}",
        or(out.rule.and_then(|r| deriver().rule_name(r).map(|n| n.to_string()))),
        or(out.trace.map(|t| t.to_string())),
        or(out.span.map(|s| s.to_string())),
        out.severity.as_str(),
        or(out.service.map(|at| String::from_utf8_lossy(at.of(line.as_bytes())).into_owned())),
    )
}

/// `$T`, `$S` and `$L` (the low half of the trace id) stand for ids in lines and in what they give.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let fill =
        |text: &str| text.replace("$T", T).replace("$S", S).replace("$L", "0000000000000000a3ce929d0e0e4736");
    for (line, want) in cases {
        assert_eq!(summary(&fill(line)), fill(want), "{line}");
    }
}

#[test]
fn the_shapes_of_the_corpus_give_their_ids_level_and_service() {
    check(&[
        (
            "2025-10-09 08:53:20,123 INFO [pages.views] [views.py:33] [trace_id=$T span_id=$S resource.service.name=django-app] - hello",
            "otel_python $T $S info django-app",
        ),
        (
            r#"{"level":"error","ts":"2025-10-09T08:53:20.1Z","caller":"server/handler.go:33","msg":"x","trace_id":"$T","span_id":"$S","path":"/hello","duration_ms":1.5}"#,
            "json $T $S error -",
        ),
        (
            r#"ts=2025-10-09T08:53:20.1Z level=warn caller=handler.go:33 msg="a b" traceID=$T spanID=$S path=/hello duration=1.500ms"#,
            "logfmt $T $S warn -",
        ),
        (
            r#"{"authority":"cart.shop:8080","bytes_sent":1,"duration":3,"method":"GET","path":"/hello","protocol":"HTTP/1.1","response_code":200,"response_flags":"-","traceparent":"00-$T-$S-01","upstream_host":"10.244.1.2:8080"}"#,
            "envoy $T $S unknown -",
        ),
        (
            r#"10.244.1.2 - - [09/Oct/2025:08:53:20 +0000] "GET /x HTTP/1.1" 200 5 "-" "kube-probe/1.29" 0.001"#,
            "- - - unknown -",
        ),
        (
            r#"10.244.1.2 - - [09/Oct/2025:08:53:20 +0000] "GET /x HTTP/1.1" 503 5 "-" "kube-probe/1.29" 0.001"#,
            "- - - error -",
        ),
        (
            "2025-10-09 08:53:20.123 INFO [http-nio-8080-exec-3] c.s.cart.Handler : error in message",
            "- - - info -",
        ),
        ("java.lang.IllegalStateException: retry upstream", "- - - unknown -"),
        ("\tat c.s.cart.Handler.step1(Handler.java:33)", "- - - unknown -"),
    ]);
}

#[test]
fn every_key_that_names_a_trace_is_known_in_every_case() {
    for key in [
        "trace_id",
        "traceID",
        "traceId",
        "trace.id",
        "TraceId",
        "TRACE_ID",
        "traceid",
        "trace-id",
        "otelTraceID",
        "otel_trace_id",
        "x-b3-traceid",
        "X-B3-TraceId",
        "context.trace_id",
        "mdc.traceId",
        "tid",
        "@tr",
        "trace",
    ] {
        for line in [
            format!("a b {key}={T} c"),
            format!("a b {key}=\"{T}\" c"),
            format!("{key}: {T}"),
            format!("a b {key}={T}"),
            format!("[{key}={T}] x"),
            format!("(x, {key}={T}, y)"),
            format!("{{\"msg\":\"x\",\"{key}\":\"{T}\"}}"),
            format!("{{ \"msg\" : \"x\", \"{key}\" : \"{T}\" }}"),
            format!("{{\"context\":{{\"{key}\":\"{T}\"}}}}"),
            format!("{{\"log\":\"{{\\\"{key}\\\":\\\"{T}\\\"}}\"}}"),
            format!("\u{1b}[36m{key}\u{1b}[0m={T} x"),
            format!("\u{1b}[1;36m{key}=\u{1b}[0m{T} x"),
            format!("\u{1b}[36m{key}=\u{1b}[0m\"{T}\"\u{1b}[0m"),
            format!("GET /x?{key}={T}&y=1"),
        ] {
            let got = derive(&line);
            assert_eq!(got.trace.map(|t| t.to_string()).as_deref(), Some(T), "{line}");
            assert_eq!(got.problem, None, "{line}");
        }
    }
}

#[test]
fn every_key_that_names_a_span_is_known_and_a_parents_is_not_one() {
    for key in [
        "span_id",
        "spanID",
        "spanId",
        "span.id",
        "otelSpanID",
        "x-b3-spanid",
        "X-B3-SpanId",
        "@sp",
        "transaction.id",
    ] {
        for line in [format!("trace_id={T} {key}={S}"), format!("{{\"{key}\":\"{S}\",\"trace_id\":\"{T}\"}}")]
        {
            assert_eq!(derive(&line).span.map(|s| s.to_string()).as_deref(), Some(S), "{line}");
        }
    }
    for key in
        ["parent_span_id", "parentSpanId", "parent.span_id", "parent.id", "x-b3-parentspanid", "link.span_id"]
    {
        for line in [format!("trace_id={T} {key}={S}"), format!("{{\"{key}\":\"{S}\",\"trace_id\":\"{T}\"}}")]
        {
            assert_eq!(derive(&line).span, None, "{line}");
        }
    }
}

#[test]
fn the_formats_of_tracers_and_clouds_are_read() {
    check(&[
        (
            r#"{"dd.trace_id":"11803532876627986230","dd.span_id":"67667974448284343","dd.service":"cart","level":"info"}"#,
            "datadog $L $S info cart",
        ),
        (
            r#"{"dd":{"env":"prod","service":"cart","trace_id":"11803532876627986230","span_id":"67667974448284343"},"level":30}"#,
            "datadog $L $S info -",
        ),
        (
            r#"{"dd":{"trace_id":11803532876627986230,"span_id":67667974448284343}}"#,
            "datadog $L $S unknown -",
        ),
        (
            "INFO [dd.service=cart dd.env=prod dd.version=1 dd.trace_id=$T dd.span_id=67667974448284343] - x",
            "datadog $T $S info cart",
        ),
        (
            r#"{"trace":{"id":"$T"},"span":{"id":"$S"},"log.level":"WARN","service.name":"cart","message":"x"}"#,
            "json $T $S warn cart",
        ),
        (
            r#"{"@timestamp":"2025","log":{"level":"error"},"trace":{"id":"$T"},"transaction":{"id":"1111111111111111"}}"#,
            "json $T - error -",
        ),
        (r#"{"trace.id":"$T","transaction.id":"$S"}"#, "json $T $S unknown -"),
        (
            r#"{"severity":"ERROR","logging.googleapis.com/trace":"projects/p-1/traces/$T","logging.googleapis.com/spanId":"$S"}"#,
            "google $T $S error -",
        ),
        ("X-Cloud-Trace-Context: $T/67667974448284343;o=1", "google $T $S unknown -"),
        (r#"{"xray_trace_id":"1-4bf92f35-77b34da6a3ce929d0e0e4736"}"#, "xray $T - unknown -"),
        (
            r#""X-Amzn-Trace-Id: Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1" x"#,
            "xray $T $S unknown -",
        ),
        ("traceId=1-4bf92f35-77b34da6a3ce929d0e0e4736 x", "logfmt $T - unknown -"),
        ("uber-trace-id: a3ce929d0e0e4736:f067aa0ba902b7:0:1", "uber_trace_id $L $S unknown -"),
        ("uber-trace-id=a3ce929d0e0e4736%3Af067aa0ba902b7%3A0%3A1 x", "uber_trace_id $L $S unknown -"),
        ("b3: $T-$S-1", "b3 $T $S unknown -"),
        (r#"{"b3":"a3ce929d0e0e4736-00f067aa0ba902b7-0"}"#, "b3 $L $S unknown -"),
        ("traceparent=00-$T-$S-01", "traceparent $T $S unknown -"),
        (r#"{"trace_id":"00-$T-$S-01"}"#, "json $T $S unknown -"),
        ("trace_id=4bf92f35-77b3-4da6-a3ce-929d0e0e4736 x", "logfmt $T - unknown -"),
        (r#"{"@t":"2025","@mt":"x","@l":"Warning","@tr":"$T","@sp":"$S"}"#, "json $T $S warn -"),
        (r#"{:trace_id=>"$T", "span_id"=>"$S"}"#, "logfmt $T $S unknown -"),
        ("Trace ID: $T, Span ID: $S", "key_value $T $S unknown -"),
        (r#"{"status":502,"trace_id":"$T"}"#, "json $T - error -"),
        (r#"{"status":502,"trace_id":"$T","level":"info"}"#, "json $T - info -"),
        ("traceId $T did it", "key_value $T - unknown -"),
        (
            "<165>1 2025-10-09T08:53:20Z host app 1 ID47 [opentelemetry trace_id=\"$T\" span_id=\"$S\"] x",
            "logfmt $T $S info -",
        ),
        ("E0102 15:04:05.000000       1 f.go:12] \"msg\" traceID=\"$T\"", "logfmt $T - error -"),
    ]);
}

#[test]
fn ids_told_by_their_place_are_found() {
    check(&[
        ("2025-10-09 08:53:20.123  INFO [cart,$T,$S] 1 --- [main] c.s.App : x", "spring $T $S info cart"),
        (
            "2025-10-09 08:53:20.123  INFO [cart,a3ce929d0e0e4736,$S,true] 1 --- [main] c.s.App : x",
            "spring $L $S info cart",
        ),
        ("2025-10-09T08:53:20.123Z  WARN 1 --- [cart] [main] [$T-$S] c.s.App : x", "spring $T $S warn -"),
        ("INFO [a3ce929d0e0e4736,00f067aa0ba902b7] x", "spring $L $S info -"),
        ("INFO [cart,,] 1 --- x", "- - - info -"),
        ("GET / 00-$T-$S-01 200", "traceparent $T $S unknown -"),
        ("[Root=1-4bf92f35-77b34da6a3ce929d0e0e4736] done", "xray $T - unknown -"),
        (
            "Self=1-5759e988-bd862e3fe1be46a994272793;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736",
            "xray $T - unknown -",
        ),
        (
            "x Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1 y",
            "xray $T $S unknown -",
        ),
        (
            "http 2025-10-09T08:53:20.186641Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \
             \"GET http://a.example:80/ HTTP/1.1\" \"curl/7.46.0\" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:\
             targetgroup/t/73e2d6bc24d8a067 \"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736\" \"-\" \"-\" 0 \"forward\"",
            "xray $T - unknown -",
        ),
        (
            r#"[2025-10-09T08:53:20.123Z] "GET / HTTP/1.1" 503 UF - "-" 0 91 3 - "10.0.0.1" "curl/8.0" "4bf92f35-77b3-4da6-a3ce-929d0e0e4736" "cart:8080" "-" "00-$T-$S-01""#,
            "envoy $T $S error -",
        ),
    ]);
}

#[test]
fn what_only_looks_like_an_id_is_none() {
    check(&[
        ("[trace_id=0 span_id=0 resource.service.name=cart trace_sampled=False] - x", "- - - unknown cart"),
        ("trace_id=00000000000000000000000000000000 span_id=0000000000000000", "- - - unknown -"),
        (
            "at 1-4bf92f35-77b34da6a3ce929d0e0e4736 of Root=1-4bf92f35-77b34da6a3ce929d0e0e47365",
            "- - - unknown -",
        ),
        (
            "myRoot=1-4bf92f35-77b34da6a3ce929d0e0e4736 Root=2-4bf92f35-77b34da6a3ce929d0e0e4736",
            "- - - unknown -",
        ),
        ("Root=1-00000000-000000000000000000000000 Root=/srv", "- - - unknown -"),
        (r#"{"trace_id":"","span_id":null,"traceparent":"-"}"#, "- - - unknown -"),
        (r#"{"trace_id":null,"traceId":"None"}"#, "- - - unknown -"),
        ("deployed commit da39a3ee5e6b4b0d3255bfef95601890afd80709", "- - - unknown -"),
        ("image@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "- - - unknown -"),
        ("request_id=4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "- - - unknown -"),
        (
            r#"{"x-request-id":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736","id":"$T","md5":"$T"}"#,
            "- - - unknown -",
        ),
        ("bare $T in a text", "- - - unknown -"),
        ("tid=4711 trace=true trace: enabled", "- - - unknown -"),
        ("backtrace_id=$T nottrace_id=$T", "- - - unknown -"),
    ]);
}

#[test]
fn a_value_that_is_no_id_is_noted_and_an_absent_one_is_not() {
    for (line, problem) in [
        ("trace_id=not-an-id x", true),
        ("trace_id=da39a3ee5e6b4b0d3255bfef95601890afd80709", true),
        (r#"{"span_id":"4bf92f3577b34da6a"}"#, true),
        ("dd.trace_id=99999999999999999999999", true),
        ("trace_id=0", false),
        (r#"{"trace_id":{"a":1}}"#, false),
        ("trace_id=", false),
        ("traceparent: -", false),
    ] {
        assert_eq!(derive(line).problem.is_some(), problem, "{line}");
    }
}

#[test]
fn of_several_ids_the_one_under_the_clearest_key_counts() {
    let other = "11111111111111111111111111111111";
    check(&[
        (&format!("traceparent=00-{other}-$S-01 trace_id=$T"), "logfmt $T - unknown -"),
        ("traceparent=00-$T-$S-01 trace_id=$T", "logfmt $T $S unknown -"),
        (&format!("00-{other}-$S-01 trace_id=$T span_id=$S"), "logfmt $T $S unknown -"),
        (&format!("tid={other} dd.trace_id=$T"), "datadog $T - unknown -"),
        (&format!("trace_id=$T trace_id={other}"), "logfmt $T - unknown -"),
        ("trace_id=0 traceId=$T", "logfmt $T - unknown -"),
    ]);
}

#[test]
fn sampling_is_told_where_the_line_says() {
    for (line, sampled) in [
        (format!("[trace_id={T} span_id={S} resource.service.name=x trace_sampled=False] - m"), Some(false)),
        (format!("[trace_id={T} span_id={S} resource.service.name=x trace_sampled=True] - m"), Some(true)),
        (format!("traceparent=00-{T}-{S}-00"), Some(false)),
        (format!("trace_id={T}"), None),
    ] {
        assert_eq!(derive(&line).sampled, sampled, "{line}");
    }
}

#[test]
fn an_id_at_the_end_of_a_cut_line_is_left_out() {
    let (mut batch, mut derived) = (LogBatch::default(), Derived::default());
    for (text, truncated, found) in [
        ("trace_id=4bf92f3577b3", 100, false),
        ("trace_id=4bf92f3577b3", 0, true),
        ("trace_id=4bf92f3577b3 x", 100, true),
    ] {
        deriver().derive(text.as_bytes(), &mut derived);
        let (time, stream) = (Some(1), Stream::Stdout);
        let line = ContainerLine {
            time,
            stream,
            text: text.as_bytes(),
            offset: 0,
            began: Carried::here(0),
            truncated,
            problem: None,
        };
        let row =
            deriver().append(&mut batch, &line, &derived, LineSource { stream: 0, file: 0, observed: 1 });
        assert_eq!((row.trace != 0, row.rule != 0), (found, found), "{text} {truncated}");
    }
}

#[test]
fn hostile_lines_take_time_in_proportion_to_their_length() {
    // Each of these has many keys; a search of the rest of the line for each of them would never end.
    for piece in [
        "\"dd\":{",
        "b3:",
        "traceparent=00-",
        "id:",
        "trace_id=",
        "----id:",
        "0123456789abcdef ",
        "[a,",
        "\" 5",
    ] {
        let line = format!("{{{}", piece.repeat(300_000 / piece.len()));
        derive(&line);
    }
}

#[test]
fn severity_is_found_where_loggers_put_it() {
    for (line, want) in [
        (r#"{"level":"info"}"#, "info"),
        (r#"{"level":50,"msg":"x"}"#, "error"),
        (r#"{"lvl":"DEBUG"}"#, "debug"),
        (r#"{"severity_text":"WARN"}"#, "warn"),
        (r#"{"msg":"ERROR in text"}"#, "unknown"),
        ("lvl=eror msg=x", "error"),
        ("12:00:01 INFO upstream said status=502", "info"),
        ("upstream said status=502", "error"),
        ("status=404", "unknown"),
        ("reached level: 3", "unknown"),
        ("level=\u{1b}[31merror\u{1b}[0m", "error"),
        ("I0102 15:04:05.000000       1 f.go:12] x", "info"),
        ("Image pulled ERROR", "error"),
        ("<11>Oct  9 08:53:20 host app: x", "error"),
        ("ERROR:root:failed", "error"),
        ("WARNING:django.request:Not Found: /x", "warn"),
        ("fail: Microsoft.AspNetCore[0]", "error"),
        ("2025/10/09 08:53:20 [error] 7#7: *1 open() failed", "error"),
        ("2025-10-09 08:53:20 UTC [12] FATAL:  role does not exist", "fatal"),
        ("[2025-10-09T08:53:20Z WARN  app::x] y", "warn"),
        ("\u{1b}[32m INFO\u{1b}[0m app: x", "info"),
        ("\u{1b}[32mINFO\u{1b}[0m app: x", "info"),
        ("an error came up", "unknown"),
        ("the Information desk", "unknown"),
        (r#"GET "/ERROR" done"#, "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(derive(line).severity.as_str(), want, "{line}");
    }
}

fn spec(name: &str, regex: &str) -> RuleSpec {
    RuleSpec { name: name.to_owned(), regex: regex.to_owned() }
}

#[test]
fn configured_rules_go_first_and_their_other_groups_become_metadata() {
    let rules = [
        spec("short", r"req<(?P<trace_id>\w+)/(?P<span_id>\w+)> (?P<level>\w+) (?P<customer>\S+)"),
        spec("svc", r"svc=(?<service>\w+)"),
    ];
    let deriver = Deriver::new(&rules).unwrap();
    let mut out = Derived::default();
    let line = format!("req<abc123/ff> warn ACME svc=cart trace_id={T}");
    deriver.derive(line.as_bytes(), &mut out);
    assert_eq!(out.trace.map(TraceId::bits), Some(0x00ab_c123));
    assert_eq!(out.span.map(SpanId::bits), Some(0xff));
    assert_eq!(out.severity, Severity::Warn);
    assert_eq!(out.service.unwrap().of(line.as_bytes()), b"cart");
    assert_eq!(out.rule.and_then(|r| deriver.rule_name(r)).map(|n| &**n), Some("user:short"));
    assert_eq!((&*out.extra[0].0, out.extra[0].1.of(line.as_bytes())), ("customer", &b"ACME"[..]));
    deriver.derive(b"nothing", &mut out);
    assert_eq!((out.trace, out.extra.len()), (None, 0));
}

#[test]
fn a_scratch_may_go_from_one_deriver_to_another() {
    let mut out = Derived::default();
    for regex in [r"a(?P<trace_id>\w)(?P<x>\w)(?P<y>\w)", r"(?P<trace_id>b)"] {
        Deriver::new(&[spec("r", regex)]).unwrap().derive(b"abcd", &mut out);
        assert_eq!(out.trace.map(TraceId::bits), Some(0xb), "{regex}");
    }
}

#[test]
fn a_configured_rule_with_a_value_that_is_no_id_leaves_the_built_in_ones_to_it() {
    let deriver = Deriver::new(&[spec("r", r"user=(?P<trace_id>\w+)")]).unwrap();
    let mut out = Derived::default();
    deriver.derive(format!("user=zoe trace_id={T}").as_bytes(), &mut out);
    assert_eq!(out.trace.map(|t| t.to_string()).as_deref(), Some(T));
    assert_eq!(out.problem, Some(ProblemKind::BadId));
}

#[test]
fn all_mistakes_of_rules_are_reported_at_once_and_say_what_to_do() {
    let errors = Deriver::new(&[
        spec("syntax", r"(?P<trace_id>\w+"),
        spec("groups", r"tid=(\w+)"),
        spec("ended", r"tid=$(?P<trace_id>\w+)"),
        spec("begun", r"tid=^(?P<trace_id>\w+)"),
        spec("empty", r"tid=(?P<trace_id>[^\s\S])"),
        spec("newline", r"tid=(?P<trace_id>\w+)\n"),
        spec("", r"(?P<trace_id>\w+)"),
        spec("groups", r"(?P<trace_id>\w+)"),
    ])
    .unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>(), "{texts:#?}");
    for (text, part) in texts.iter().zip([
        "rule `syntax`: the regular expression cannot be read",
        "rule `groups`: it names no group, so it would find nothing: write for instance (?P<trace_id>\\w+)",
        "rule `ended`: it can never match a line: it wants text behind the end",
        "rule `begun`: it can never match a line: it wants text before the beginning",
        "rule `empty`: it can never match a line: it holds an empty class",
        "rule `newline`: it can never match a line: it wants a newline",
        "rule ``: it has no name",
        "rule `groups`: another rule has the same name",
    ]) {
        assert!(text.contains(part), "{text} / {part}");
    }
}

#[test]
fn ordinary_rules_are_accepted() {
    for regex in [
        r"^(?P<trace_id>\w+)$",
        r"(?m)a$|^(?P<trace_id>b)",
        r"(?:^|\s)tid=(?P<trace_id>\w+)(?:\s|$)",
        r"(?:\n)?(?P<x>a)",
        r"[\s\n](?P<x>a)",
        r"(?:^a|b^)(?P<x>a)?",
    ] {
        assert!(Deriver::new(&[spec("r", regex)]).is_ok(), "{regex}");
    }
}

#[test]
fn explaining_shows_what_each_rule_finds_and_which_counts() {
    let other = "11111111111111111111111111111111";
    let deriver = Deriver::new(&[spec("tenant", r"tenant=(?P<tenant>\w+)")]).unwrap();
    let line =
        format!("ERROR tenant=acme traceparent=00-{other}-{S}-01 trace_id={T} span_id=zzz dd.service=cart");
    let got: Vec<String> = deriver
        .explain(line.as_bytes())
        .iter()
        .map(|f| format!("{} {} {} {:?}", f.rule, f.field, f.value, f.verdict))
        .collect();
    assert_eq!(
        got,
        [
            "user:tenant tenant acme Used".to_owned(),
            format!("traceparent trace_id {other} Shadowed"),
            format!("traceparent span_id {S} Shadowed"),
            "traceparent sampled true Shadowed".to_owned(),
            format!("logfmt trace_id {T} Used"),
            "logfmt span_id zzz Refused(Malformed)".to_owned(),
            "logfmt service cart Used".to_owned(),
            "level_word level error Used".to_owned(),
        ]
    );
}

#[test]
fn a_line_becomes_a_row_with_its_metadata() {
    let deriver = Deriver::new(&[spec("tenant", r"tenant=(?P<tenant>\w+)")]).unwrap();
    let text = format!("ERROR tenant=acme traceparent=00-{T}-{S}-00 dd.service=cart");
    let (mut batch, mut derived) = (LogBatch::default(), Derived::default());
    deriver.derive(text.as_bytes(), &mut derived);
    let line = ContainerLine {
        time: Some(1_760_000_000_000_000_001),
        stream: Stream::Stdout,
        text: text.as_bytes(),
        offset: 77,
        began: Carried::here(77),
        truncated: 3,
        problem: None,
    };
    let source = LineSource { stream: 0, file: 0, observed: 5 };
    deriver.append(&mut batch, &line, &derived, source);
    deriver.append(&mut batch, &ContainerLine { time: None, ..line }, &derived, source);
    let record = batch.record(&batch.rows[0]);
    assert_eq!(format_rfc3339(record.time), "2025-10-09T08:53:20.000000001Z");
    assert_eq!(
        (record.line, record.severity, record.observed),
        (text.clone().into_bytes(), Severity::Error, 5)
    );
    assert_eq!(record.trace_id.map(|t| t.to_string()).as_deref(), Some(T));
    assert_eq!(record.rule.as_deref(), Some("traceparent"));
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        record.metadata,
        [
            pair("service_name", "cart"),
            pair("tenant", "acme"),
            pair("trace_sampled", "false"),
            pair("truncated_bytes", "3")
        ]
    );
    assert_eq!((batch.rules.len(), batch.rows[1].time, batch.rows[1].offset), (1, 5, 77));
}

/// Pieces that lines are made of, among them half-written and hostile ones.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"trace_id",
        b"dd.trace_id",
        b"\"dd\":{",
        b"traceparent",
        b"b3",
        b"uber-trace-id",
        b"x-amzn-trace-id",
        b"\"trace\":{\"id\"",
        b"span_id",
        b"level",
        b"@tr",
        b"tid",
        b"resource.service.name",
        b"=",
        b":",
        b"\"",
        b"\\\"",
        b" ",
        b"[",
        b"]",
        b",",
        b"-",
        b"{",
        b"}",
        b"\x1b[36m",
        b"\x1b[",
        b"\x1b",
        b"m",
        b".",
        b"4bf92f3577b34da6a3ce929d0e0e4736",
        b"00f067aa0ba902b7",
        b"00-",
        b"-01",
        b"1-4bf92f35-",
        b"ERROR",
        b"<11>",
        b"I0102 15:",
        b" HTTP/1.1\" 503 ",
        b"\xff\xfe",
        b"\0",
        b"\xc3\xa9",
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::collection::vec(proptest::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_give_a_result_with_ranges_inside_the_line(line in pieces()) {
        let deriver = Deriver::new(&[spec("r", r"(?P<level>[A-Z]+).(?P<x>\S*)")]).unwrap();
        let mut out = Derived::default();
        deriver.derive(&line, &mut out);
        for at in out.service.iter().chain(out.extra.iter().map(|(_, at)| at)) {
            prop_assert!(at.start <= at.end && at.end as usize <= line.len());
        }
        prop_assert_eq!(out.rule.is_some(), out.trace.is_some());
        for finding in deriver.explain(&line) {
            prop_assert!(finding.value.len() <= line.len() * 3 + 40);
        }
    }

    #[test]
    fn an_id_is_found_wherever_its_field_stands(
        bits in 1u128.., before in "[a-z ]{0,40}", after in "[a-z ]{0,40}", key in "(trace_id|traceId|TraceID|trace\\.id)",
    ) {
        let id = format!("{bits:032x}");
        for line in [
            format!("{before} {key}={id} {after}"),
            format!("{{\"m\":\"{before}\",\"{key}\":\"{id}\",\"n\":\"{after}\"}}"),
            format!("{before} \"{key}\": \"{id}\" {after}"),
        ] {
            prop_assert_eq!(derive(&line).trace.map(TraceId::bits), Some(bits), "{}", line);
        }
    }

    #[test]
    fn the_root_of_an_x_ray_header_is_found_wherever_it_stands(
        bits in 1u128.., before in "[a-z0-9 \\[\"]{0,40}[ \\[\"]", after in "([ \\];,\"][a-z0-9 ]{0,40})?",
    ) {
        let id = format!("{bits:032x}");
        let line = format!("{before}Root=1-{}-{}{after}", &id[..8], &id[8..]);
        prop_assert_eq!(derive(&line).trace.map(TraceId::bits), Some(bits), "{}", line);
    }

    #[test]
    fn hex_without_a_key_is_never_an_id(words in proptest::collection::vec("[0-9a-f]{1,64}", 0..6)) {
        prop_assert_eq!(derive(&words.join(" ")).trace, None);
    }

    #[test]
    fn joining_and_deriving_any_bytes_is_total(lines in proptest::collection::vec(pieces(), 0..8)) {
        let (deriver, mut out) = (deriver(), Derived::default());
        let (mut batch, mut joiner) = (LogBatch::default(), Joiner::new(JoinLimits { max_line: 100 }));
        for (at, line) in lines.iter().enumerate() {
            joiner.push(line, at as u64, &mut |line| {
                deriver.derive(line.text, &mut out);
                deriver.append(&mut batch, &line, &out, LineSource { stream: 0, file: 0, observed: 1 });
            });
        }
        prop_assert_eq!(batch.rows.len(), lines.len());
        prop_assert!(batch.rows.iter().all(|row| row.line.len() <= 100));
    }
}
