//! Labels, metadata, `output`, `tenant`, `match`, `drop`, `sampling`, `limit`, `truncate`, `decolorize`, `metrics`.

use super::*;

#[test]
fn labels_metadata_and_output_take_extracted_values() {
    let entry = one(
        &[
            json(&["level", "msg", "app", "user"]),
            StageConfig::Labels(vec![
                (text("level"), None),
                (text("service"), some("app")),
                (text("none"), None),
            ]),
            StageConfig::StructuredMetadata(vec![(text("user"), None)]),
            StageConfig::StaticLabels(vec![(text("env"), text("prod"))]),
            StageConfig::Output(text("msg")),
        ],
        r#"{"level":"warn","msg":"hello","app":"shop","user":"u1"}"#,
    );
    assert_eq!(pairs(&entry.labels), ["level=warn", "service=shop", "env=prod"]);
    assert_eq!(pairs(&entry.metadata), ["user=u1"]);
    assert_eq!(entry.line, "hello");
    assert_eq!(one(&[StageConfig::Output(text("none"))], "stays").line, "stays");
}

#[test]
fn labels_are_dropped_or_kept_by_name() {
    let set = StageConfig::StaticLabels(vec![(text("a"), text("1")), (text("b"), text("2"))]);
    let drop = StageConfig::LabelDrop(vec![text("a")]);
    assert_eq!(pairs(&one(&[set.clone(), drop], "x").labels), ["b=2"]);
    let allow = StageConfig::LabelAllow(vec![text("a"), text("c")]);
    assert_eq!(pairs(&one(&[set, allow], "x").labels), ["a=1"]);
}

#[test]
fn an_id_is_never_made_a_label() {
    let error = refused(StageConfig::Labels(vec![(text("trace_id"), None)]));
    assert!(error.contains("makes a stream of each trace"), "{error}");
}

#[test]
fn the_tenant_comes_from_a_label_a_value_or_the_configuration() {
    let tenant = |config| {
        one(
            &[json(&["c"]), StageConfig::Labels(vec![(text("c"), None)]), StageConfig::Tenant(config)],
            r#"{"c":"t1"}"#,
        )
        .tenant
    };
    assert_eq!(tenant(TenantConfig::Label(text("c"))), some("t1"));
    assert_eq!(tenant(TenantConfig::Source(text("c"))), some("t1"));
    assert_eq!(tenant(TenantConfig::Value(text("t2"))), some("t2"));
    assert_eq!(tenant(TenantConfig::Source(text("none"))), None);
}

fn when(selector: &str, action: MatchAction) -> StageConfig {
    StageConfig::Match(MatchConfig { selector: text(selector), action, drop_counter_reason: some("noisy") })
}

#[test]
fn match_selects_by_labels_and_line_filters() {
    let label = StageConfig::StaticLabels(vec![(text("app"), text("loki"))]);
    let cases = [
        (r#"{app="loki"}"#, true),
        (r#"{app="loki",}"#, true),
        (r#"{app!="loki"}"#, false),
        (r#"{app=~"lo.*"}"#, true),
        (r#"{app=~"lo"}"#, false),
        (r#"{app!~"x|y", none=""}"#, true),
        (r#"{} |= "noisy""#, true),
        (r#"{app="loki"} |= "noisy" != "quiet""#, true),
        (r#"{app="loki"} != "noisy""#, false),
        (r#"{app="loki"} |~ "no[i]sy" !~ `\d`"#, true),
        (r#"{app="loki"} |= "x" or "error""#, true),
    ];
    for (selector, expected) in cases {
        let taken = run(&[label.clone(), when(selector, MatchAction::Drop)], &["foo noisy error"]);
        assert_eq!(taken.dropped.len() == 1, expected, "{selector}");
    }
}

#[test]
fn match_runs_its_stages_for_selected_lines_and_all_go_on() {
    let stages = [
        json(&["app", "msg"]),
        StageConfig::Labels(vec![(text("app"), None)]),
        when(r#"{app="a"}"#, MatchAction::Keep(vec![StageConfig::Output(text("msg"))])),
        StageConfig::StaticLabels(vec![(text("after"), text("yes"))]),
    ];
    let taken = run(&stages, &[r#"{"app":"a","msg":"short"}"#, r#"{"app":"b","msg":"short"}"#]);
    assert_eq!(taken.lines(), ["short", r#"{"app":"b","msg":"short"}"#]);
    assert!(taken.entries.iter().all(|entry| entry.labels.get("after") == Some("yes")));
}

#[test]
fn selectors_that_are_not_supported_say_where() {
    for (selector, at) in [(r#"{a="b"} | level="x""#, 9), ("a", 1), (r#"{a"b"}"#, 3), (r#"{a="b"} |= x"#, 12)]
    {
        let error = refused(when(selector, MatchAction::Drop));
        assert!(error.contains(&format!("column {at},")), "{error}");
    }
}

#[test]
fn drop_needs_all_that_it_says_to_hold() {
    let drops = |config: DropConfig, lines: &[&str]| {
        run(&[json(&["level", "msg"]), StageConfig::Drop(config)], lines).dropped.len()
    };
    let lines = [r#"{"level":"error","msg":"x"}"#, r#"{"msg":"debug and long"}"#, "plain debug"];
    let d = DropConfig::default;
    assert_eq!(drops(DropConfig { source: vec![text("level")], ..d() }, &lines), 1);
    assert_eq!(drops(DropConfig { source: vec![text("level"), text("msg")], ..d() }, &lines), 1, "all names");
    let without_level = DropConfig { source: vec![text("level")], expression: some("^$"), ..d() };
    assert_eq!(drops(without_level, &lines), 2, "what is not there is empty");
    assert_eq!(drops(DropConfig { expression: some(".*debug.*"), ..d() }, &lines), 2);
    assert_eq!(drops(DropConfig { expression: some("debug"), longer_than: Some(15), ..d() }, &lines), 1);
    assert_eq!(drops(DropConfig { source: vec![text("level")], value: some("error"), ..d() }, &lines), 1);
    assert_eq!(drops(DropConfig { source: vec![text("level")], value: some("warn"), ..d() }, &lines), 0);
    let joined = DropConfig {
        source: vec![text("level"), text("msg")],
        separator: some("#"),
        expression: some("^error#x$"),
        ..d()
    };
    assert_eq!(drops(joined, &lines), 1);
    assert_eq!(drops(DropConfig { longer_than: Some(11), ..d() }, &lines), 2, "longer, not as long");
}

#[test]
fn drop_older_than_goes_by_the_entrys_time() {
    let stage = StageConfig::Drop(DropConfig {
        older_than: Some(24 * 3600 * SECOND),
        drop_counter_reason: some("line_too_old"),
        ..DropConfig::default()
    });
    let mut taken = Taken::default();
    let mut pipeline = pipeline(&[stage]);
    for hours in [25, 23] {
        pipeline.run(Entry::new(NOW - hours * 3600 * SECOND, b"x"), NOW, &mut taken);
    }
    assert_eq!(taken.entries.len(), 1);
    assert_eq!(taken.dropped[0].0, "line_too_old");
}

#[test]
fn sampling_keeps_about_its_share() {
    let lines = vec!["x"; 10_000];
    for rate in [0.0, 0.25, 1.0] {
        let kept = run(&[StageConfig::Sampling(rate)], &lines).entries.len() as f64 / 10_000.0;
        assert!((kept - rate).abs() < 0.02, "{rate}: {kept}");
    }
}

fn limit(drop: bool, by: Option<&str>) -> StageConfig {
    StageConfig::Limit(LimitConfig {
        rate: 2.0,
        burst: 3,
        by_label_name: by.map(text),
        max_distinct_labels: Some(2),
        drop,
    })
}

#[test]
fn limit_drops_what_is_over_the_burst_and_fills_with_time() {
    let mut pipeline = pipeline(&[limit(true, None)]);
    let mut taken = Taken::default();
    for _ in 0..5 {
        pipeline.run(Entry::new(NOW, b"x"), NOW, &mut taken);
    }
    assert_eq!((taken.entries.len(), taken.dropped.len()), (3, 2));
    assert_eq!(taken.dropped[0].0, "ratelimit_drop_stage");
    pipeline.fork().run(Entry::new(NOW, b"x"), NOW, &mut taken);
    assert_eq!(taken.dropped.len(), 3, "all containers of a pipeline share its limit");
    pipeline.run(Entry::new(NOW, b"x"), NOW + SECOND, &mut taken);
    assert_eq!(taken.entries.len(), 4);
}

#[test]
fn limit_without_drop_slows_the_reader_and_loses_nothing() {
    let mut pipeline = pipeline(&[limit(false, None)]);
    let mut taken = Taken::default();
    for _ in 0..5 {
        pipeline.run(Entry::new(NOW, b"x"), NOW, &mut taken);
    }
    assert_eq!(taken.entries.len(), 5);
    assert_eq!(taken.waits, [SECOND / 2, SECOND]);
}

#[test]
fn limit_without_drop_holds_however_many_lines_the_reader_takes_at_once() {
    let mut pipeline = pipeline(&[limit(false, None)]);
    let mut taken = Taken::default();
    let mut now = NOW;
    for _ in 0..10 {
        for _ in 0..1_000 {
            pipeline.run(Entry::new(now, b"x"), now, &mut taken);
        }
        now += taken.waits.last().copied().unwrap_or_default();
    }
    let rate = taken.entries.len() as f64 / ((now - NOW) as f64 / SECOND as f64);
    assert!(rate < 2.1, "{rate} lines a second, and 2 are allowed");
}

#[test]
fn limit_by_label_counts_each_value_apart() {
    let stages = [json(&["ns"]), StageConfig::Labels(vec![(text("ns"), None)]), limit(true, Some("ns"))];
    let mut pipeline = pipeline(&stages);
    let mut taken = Taken::default();
    for line in [r#"{"ns":"a"}"#, r#"{"ns":"b"}"#, "none"] {
        for _ in 0..4 {
            pipeline.run(Entry::new(NOW, line.as_bytes()), NOW, &mut taken);
        }
    }
    assert_eq!((taken.entries.len(), taken.dropped.len()), (10, 2));
}

#[test]
fn truncate_keeps_whole_characters_and_counts_what_went() {
    let rule = |target, limit, suffix: &str| TruncateRule { target, limit, suffix: text(suffix) };
    let config = TruncateConfig {
        rules: vec![
            rule(TruncateTarget::Line, 6, "..."),
            rule(TruncateTarget::Label(None), 2, ""),
            rule(TruncateTarget::Extracted(some("a")), 1, ""),
        ],
    };
    let labels = StageConfig::StaticLabels(vec![(text("x"), text("ÄÖ")), (text("y"), text("ok"))]);
    let entry = one(&[json(&["a", "b"]), labels, StageConfig::Truncate(config)], r#"{"a":"12","b":"12"}"#);
    assert_eq!(entry.line, "{\"a...");
    assert_eq!(entry.truncated, 16);
    assert_eq!(pairs(&entry.labels), ["x=Ä", "y=ok"]);
    assert_eq!(pairs(&entry.extracted), ["a=1", "b=12"]);
}

#[test]
fn decolorize_takes_colours_out() {
    for (line, plain) in [
        ("[x] \u{1b}[0;32mhttp\u{1b}[0m: GET", "[x] http: GET"),
        ("no colour", "no colour"),
        ("\u{1b}[", "\u{1b}["),
        ("\u{1b}x \u{1b}[1;", "\u{1b}x \u{1b}[1;"),
        ("a\u{1b}[2Kb", "ab"),
    ] {
        assert_eq!(one(&[StageConfig::Decolorize], line).line, plain);
    }
}

fn metric(name: &str, shape: MetricShape) -> MetricConfig {
    MetricConfig {
        name: text(name),
        shape,
        description: text("d"),
        prefix: None,
        source: None,
        value: None,
        max_idle: None,
    }
}

#[test]
fn metrics_are_told_counts_bytes_numbers_and_durations() {
    let counter =
        |match_all, bytes, action| MetricShape::Counter { action, match_all, count_entry_bytes: bytes };
    let stages = [
        json(&["took", "n", "status"]),
        StageConfig::Metrics(vec![
            metric("lines_total", counter(true, false, MetricAction::Inc)),
            MetricConfig {
                prefix: some("my_"),
                ..metric("bytes_total", counter(true, true, MetricAction::Add))
            },
            MetricConfig {
                source: some("status"),
                value: some("fail"),
                ..metric("failed_total", counter(false, false, MetricAction::Inc))
            },
            metric("took", MetricShape::Histogram(vec![0.1, 1.0])),
            metric("n", MetricShape::Gauge(MetricAction::Set)),
        ]),
    ];
    let taken = run(&stages, &[r#"{"took":"250ms","n":-3,"status":"ok"}"#, r#"{"took":2,"status":"fail"}"#]);
    let told: Vec<String> = taken.metrics.iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(
        told,
        [
            "promtail_custom_lines 1",
            "my_bytes 37",
            "promtail_custom_took 0.25",
            "promtail_custom_n -3",
            "promtail_custom_lines 1",
            "my_bytes 26",
            "promtail_custom_failed 1",
            "promtail_custom_took 2",
        ]
    );
}

#[test]
fn steps_show_what_each_stage_did_only_to_who_asks() {
    let mut taken = Taken { steps: Some(Vec::new()), ..Taken::default() };
    let mut pipeline = pipeline(&[
        json(&["msg"]),
        when(r#"{} |= "m""#, MatchAction::Keep(vec![StageConfig::Output(text("msg"))])),
        StageConfig::Drop(DropConfig { expression: some("^x$"), ..DropConfig::default() }),
    ]);
    pipeline.run(Entry::new(NOW, br#"{"msg":"x"}"#), NOW, &mut taken);
    assert_eq!(taken.steps.unwrap(), [r#"0.0 json {"msg":"x"}"#, "1.0 output x", "0.2 drop -"]);
}

#[test]
fn sampling_chooses_among_containers_that_write_little() {
    let whole = pipeline(&[StageConfig::Sampling(0.5)]);
    let mut taken = Taken::default();
    for _ in 0..1_000 {
        whole.fork().run(Entry::new(NOW, b"the only line"), NOW, &mut taken);
    }
    assert!((400..600).contains(&taken.entries.len()), "{}", taken.entries.len());
}

#[test]
fn what_became_metadata_is_no_label_any_more() {
    let entry = one(
        &[
            json(&["pod"]),
            StageConfig::Labels(vec![(text("pod"), None)]),
            StageConfig::StructuredMetadata(vec![(text("pod"), None)]),
        ],
        r#"{"pod":"p-1"}"#,
    );
    assert_eq!((pairs(&entry.labels), pairs(&entry.metadata)), (vec![], vec![text("pod=p-1")]));
}

#[test]
fn labels_that_a_line_comes_with_are_extracted_values() {
    let mut entry = Entry::new(NOW, b"x");
    entry.labels.set("filename", "/var/log/app.log");
    let stages = [
        StageConfig::Regex(RegexConfig {
            expression: text(r"/(?P<app>[^/]+)\.log$"),
            source: some("filename"),
            labels_from_groups: true,
        }),
        when(r#"{app="app"}"#, MatchAction::Keep(vec![template("shout", "{{ ToUpper .app }}")])),
    ];
    let mut taken = Taken::default();
    pipeline(&stages).run(entry, NOW, &mut taken);
    assert_eq!(taken.entries[0].labels.get("app"), Some("app"));
    assert_eq!(taken.entries[0].extracted.get("shout"), Some("APP"));
}

#[test]
fn only_counters_lose_their_total_and_an_empty_prefix_is_none() {
    let gauge = MetricShape::Gauge(MetricAction::Set);
    let stages = [
        json(&["n"]),
        StageConfig::Metrics(vec![MetricConfig {
            source: some("n"),
            prefix: some(""),
            ..metric("n_total", gauge)
        }]),
    ];
    assert_eq!(run(&stages, &[r#"{"n":1}"#]).metrics, [(text("promtail_custom_n_total"), 1.0)]);
}
