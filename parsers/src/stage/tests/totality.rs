//! Any bytes through anything that compiles: no panic, and what comes out is bounded.

use proptest::prelude::*;

use super::*;

fn expression() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(text(r"(?P<a>\w+)=(?P<b>.*)")),
        Just(text("(?P<a>.)?(b)*")),
        Just(text("(a|b|.)")),
        Just(text("^(.*)$")),
        "[(]?[?]?[a-z.*+()\\[\\]|]{0,8}",
    ]
}

fn go_template() -> impl Strategy<Value = String> {
    let argument = prop_oneof![
        Just(".Value"),
        Just(".Entry"),
        Just(".a"),
        Just(".none"),
        Just("\"x\""),
        Just("7"),
        Just("-3"),
        Just("1.5"),
        Just("true"),
    ];
    let function = prop_oneof![
        Just("ToLower"),
        Just("TrimLeft"),
        Just("substr"),
        Just("trunc"),
        Just("repeat"),
        Just("printf"),
        Just("Replace"),
        Just("div"),
        Just("mod"),
        Just("eq"),
        Just("lt"),
        Just("replace"),
        Just("quote"),
        Just("len"),
        Just("Hash"),
        Just("int"),
        Just("regexReplaceAll \"(.)\""),
        Just("print"),
        Just("title"),
        Just("min"),
    ];
    let call = (function, prop::collection::vec(argument.clone(), 0..4))
        .prop_map(|(function, arguments)| format!("{{{{ {function} {} }}}}", arguments.join(" ")));
    prop_oneof![
        call.clone(),
        (call.clone(), call).prop_map(|(a, b)| format!("{{{{ if .a }}}}{a}{{{{ else }}}}{b}{{{{ end }}}}")),
        argument.prop_map(|argument| format!("{{{{ {argument} | Replace .Entry \"\" .Entry }}}}")),
        "[{} .a|\"()-]{0,16}",
    ]
}

fn layout() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(
            prop_oneof![
                Just("2006"),
                Just("01"),
                Just("_2"),
                Just("Jan"),
                Just("January"),
                Just("15"),
                Just("3"),
                Just("PM"),
                Just("04"),
                Just("05"),
                Just(".000"),
                Just(".999"),
                Just("MST"),
                Just("-0700"),
                Just("Z07:00"),
                Just("-07:00:00"),
                Just(" "),
                Just("-"),
                Just("002"),
                Just("06"),
                Just("ä"),
            ],
            0..8
        )
        .prop_map(|parts| parts.concat()),
        Just(text("Unix")),
        Just(text("UnixNs")),
        Just(text("RFC3339")),
        any::<String>(),
    ]
}

fn stage() -> impl Strategy<Value = StageConfig> {
    let leaf = prop_oneof![
        Just(StageConfig::Cri),
        Just(StageConfig::Docker),
        Just(StageConfig::Decolorize),
        Just(StageConfig::Redact(RedactConfig::ALL)),
        Just(json(&["a", "b=x.y[0]", "a=\"k\""])),
        Just(StageConfig::Logfmt(LogfmtConfig {
            mapping: vec![(text("a"), None), (text("b"), some("k"))],
            source: None
        })),
        Just(StageConfig::Labels(vec![(text("stream"), some("a"))])),
        Just(StageConfig::Output(text("a"))),
        Just(StageConfig::Multiline(MultilineConfig {
            firstline: FirstLine::StackTraces,
            max_wait_time: Some(1),
            max_lines: None
        })),
        expression().prop_map(|e| regex(&e)),
        (expression(), go_template()).prop_map(|(expression, replace)| {
            StageConfig::Replace(ReplaceConfig { expression, source: None, replace })
        }),
        expression().prop_map(|e| StageConfig::Multiline(MultilineConfig {
            firstline: FirstLine::Expression(e),
            max_wait_time: Some(1),
            max_lines: Some(3)
        })),
        go_template().prop_map(|body| template("a", &body)),
        "[<>a-c_ \\[\\]-]{0,12}".prop_map(|pattern| StageConfig::Pattern(PatternConfig {
            pattern,
            source: None,
            labels_from_groups: true
        })),
        (layout(), any::<bool>()).prop_map(|(format, location)| StageConfig::Timestamp(TimestampConfig {
            source: text("a"),
            format,
            location: location.then(|| text("Europe/Berlin")),
            ..TimestampConfig::default()
        })),
        (1u64..40, ".{0,3}").prop_map(|(limit, suffix)| StageConfig::Truncate(TruncateConfig {
            rules: vec![TruncateRule { target: TruncateTarget::Line, limit, suffix }]
        })),
        Just(StageConfig::Limit(LimitConfig { rate: 0.1, burst: 2, ..LimitConfig::default() })),
        Just(StageConfig::Drop(DropConfig {
            longer_than: Some(1 << 18),
            older_than: Some(u64::MAX),
            ..DropConfig::default()
        })),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        ("[{}a-c=\"|~! ]{0,16}", prop::collection::vec(inner, 1..3)).prop_map(|(selector, stages)| {
            let selector = if selector.len() % 2 == 0 { text("{}") } else { selector };
            StageConfig::Match(MatchConfig {
                selector,
                action: MatchAction::Keep(stages),
                drop_counter_reason: None,
            })
        })
    })
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "[ -~äÄ\u{1b}\n\t]{0,60}".prop_map(String::into_bytes),
        "\\{\"a\":(1|\"x\"|null|[0-9.e]{1,6}),\"x\":\\{\"y\":\\[1\\]\\}\\}".prop_map(String::into_bytes),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T00:00:00Z std(out|err) [FP] .{0,10}".prop_map(String::into_bytes),
        "a=[0-9A-Za-z:. +-]{0,30} k=\"?.{0,5}".prop_map(String::into_bytes),
        "(\tat x|Caused by: y|Traceback \\(most recent call last\\):|panic: z|goroutine 1 \\[)"
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn pipelines_are_total(
        stages in prop::collection::vec(stage(), 0..5),
        lines in prop::collection::vec((line(), any::<u64>()), 0..8),
    ) {
        let Ok(mut pipeline) = Pipeline::new(&stages) else { return Ok(()) };
        let mut taken = Taken::default();
        for (at, (line, now)) in lines.iter().enumerate() {
            pipeline.run(Entry { offset: at as u64, ..Entry::new(now / 2, line) }, *now, &mut taken);
            if at == 3 {
                pipeline.carry_over();
                pipeline.idle(*now, at as u64, &mut taken);
            }
        }
        pipeline.flush(0, lines.len() as u64, &mut taken);
        prop_assert_eq!(held_here(&pipeline), None);
        prop_assert!(held(&pipeline).is_none());
        for entry in &taken.entries {
            prop_assert!(entry.line.len() <= 2 * MAX_VALUE);
        }
    }

    #[test]
    fn pairs_with_values_are_those_among_all_pairs(line in "[a=\" \\\\\tn\u{1}é]{0,30}") {
        let mut pairs = LogfmtPairs::new(&line);
        let found: Vec<LogfmtPair<'_>> = std::iter::from_fn(|| pairs.next_with_value()).collect();
        let among_all: Vec<_> = LogfmtPairs::new(&line).filter(|pair| pair.value.is_some()).collect();
        prop_assert_eq!(found, among_all);
    }

    #[test]
    fn records_leave_in_growing_order_of_offset(lines in prop::collection::vec((line(), 0u64..9, any::<bool>()), 0..30)) {
        let stages = [StageConfig::Multiline(MultilineConfig {
            firstline: FirstLine::StackTraces,
            max_wait_time: Some(5),
            max_lines: Some(4),
        })];
        let mut pipeline = pipeline(&stages);
        let mut taken = Taken::default();
        let mut time = 0;
        for (at, (line, step, stderr)) in lines.iter().enumerate() {
            time += step;
            let mut entry = Entry { offset: at as u64, ..Entry::new(time, line) };
            entry.labels.set("stream", if *stderr { "stderr" } else { "stdout" });
            pipeline.run(entry, time, &mut taken);
            prop_assert!(held_here(&pipeline).is_none_or(|held| held <= at as u64));
        }
        pipeline.flush(time, lines.len() as u64, &mut taken);
        prop_assert!(taken.entries.is_sorted_by_key(|entry| entry.offset));
        let given: usize = lines.len();
        let joined: usize = taken.entries.len();
        prop_assert!(joined <= given);
    }

    #[test]
    fn reading_a_configuration_is_total(a in any::<String>(), b in any::<String>()) {
        let _ = Pipeline::new(&[template("x", &a), regex(&b), json(&[&a]), StageConfig::Match(MatchConfig {
            selector: b.clone(), action: MatchAction::Drop, drop_counter_reason: None,
        })]);
        let _ = go_duration(&a);
    }

    #[test]
    fn relabelling_is_total(regex in expression(), target in ".{0,6}", replacement in ".{0,6}", value in any::<String>()) {
        let rule = relabel::RelabelConfig {
            source_labels: vec![text("a")],
            regex,
            target_label: target,
            replacement,
            ..relabel::RelabelConfig::default()
        };
        if let Ok(rules) = relabel::Relabel::new(&[rule]) {
            let mut labels: Fields = [("a", value)].into_iter().collect();
            rules.apply(&mut labels);
        }
    }
}
