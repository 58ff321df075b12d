//! What lines become: records, labels, stages, and lines that are no ordinary ones.

use super::*;

#[test]
fn stages_change_what_is_shipped_and_what_they_drop_is_counted() {
    let mut world = World::new(1024);
    let logfmt = LogfmtConfig { mapping: vec![("level".into(), None), ("user".into(), None)], source: None };
    let drop = DropConfig {
        source: vec!["level".into()],
        value: Some("debug".into()),
        drop_counter_reason: Some("debug".into()),
        ..DropConfig::default()
    };
    let counter = MetricConfig {
        name: "lines".into(),
        shape: MetricShape::Counter { action: MetricAction::Inc, match_all: true, count_entry_bytes: false },
        description: "Lines".into(),
        prefix: None,
        source: None,
        value: None,
        max_idle: None,
    };
    world.options.files[0].pipeline = Pipeline::new(&[
        StageConfig::Logfmt(logfmt),
        StageConfig::Drop(drop),
        StageConfig::Labels(vec![("level".into(), None)]),
        StageConfig::StructuredMetadata(vec![("user".into(), None)]),
        StageConfig::Metrics(vec![counter]),
    ])
    .unwrap();
    world.restart();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    world.append("0.log", &cri("stdout", "F", &format!("level=info user=u1 trace_id={id}")));
    world.append("0.log", &cri("stdout", "F", "level=debug user=u2"));
    world.append("0.log", &cri("stdout", "F", "level=warn"));
    world.settle();
    let records: Vec<_> =
        world.taken.iter().flat_map(|b| b.logs.rows.iter().map(|row| b.logs.record(row))).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].labels.get("level"), Some("info"));
    assert_eq!(records[1].labels.get("level"), Some("warn"));
    assert_eq!(records[0].labels.get("pod"), Some("pod"));
    assert!(records[0].metadata.contains(&("user".to_owned(), "u1".to_owned())));
    assert_eq!(records[0].trace_id.unwrap().to_string(), id);
    assert_eq!(world.counters.dropped_lines(), BTreeMap::from([("debug".to_owned(), 1)]));
    let mut text = String::new();
    world.counters.line_metrics.render(world.now, &mut text);
    assert!(text.contains("# TYPE promtail_custom_lines counter\n"), "{text}");
    let sample = text.lines().find(|line| line.contains("level=\"info\"")).unwrap();
    assert!(
        sample.contains("} 1 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1 1767225600.000"),
        "{sample}"
    );
}

#[test]
fn relabelling_names_streams_and_leaves_files_out() {
    let mut world = World::new(1024);
    let rule = |source: &str, action, regex: &str, target: &str| RelabelConfig {
        source_labels: vec![source.into()],
        regex: regex.into(),
        target_label: target.into(),
        action,
        ..RelabelConfig::default()
    };
    let rules = [
        rule("container", RelabelAction::Drop, "sidecar", ""),
        rule("__meta_kubernetes_pod_name", RelabelAction::Replace, "(.*)", "app"),
    ];
    world.options.files[0].relabel = Relabel::new(&rules).unwrap();
    world.restart();
    std::fs::create_dir_all(world.root.path().join("ns_pod_uid/sidecar")).unwrap();
    world.append("0.log", &cri("stdout", "F", "one"));
    world.append("../sidecar/0.log", &cri("stdout", "F", "not read"));
    world.settle();
    assert_eq!(world.lines(), ["one"]);
    let logs = &world.taken[0].logs;
    assert_eq!(logs.record(&logs.rows[0]).labels.get("app"), Some("pod"));
}

#[test]
fn labels_and_metadata_come_from_the_path() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stderr", "F", "level=error traceID=4bf92f3577b34da6a3ce929d0e0e4736 hi"));
    world.settle();
    let logs = &world.taken[0].logs;
    let record = logs.record(&logs.rows[0]);
    for (name, value) in [
        ("namespace", "ns"),
        ("pod", "pod"),
        ("container", "app"),
        ("stream", "stderr"),
        ("service_name", "app"),
    ] {
        assert_eq!(record.labels.get(name), Some(value));
    }
    assert!(record.metadata.contains(&("pod_uid".to_owned(), "uid".to_owned())));
    assert!(record.trace_id.is_some());
    assert_eq!(world.counters.linked().values().sum::<u64>(), 1);
    assert_eq!(world.counters.behind(), 0);
}

#[test]
fn a_line_of_ten_megabytes_keeps_its_head_and_what_is_cut_is_counted() {
    let mut world = World::new(1024);
    let long = "x".repeat(10 * 1024 * 1024);
    world.append("0.log", &cri("stdout", "F", &long));
    world.append("0.log", &cri("stdout", "F", "next"));
    world.settle();
    assert_eq!(world.lines(), ["x".repeat(1024), "next".to_owned()]);
    let report = &world.counters.containers()[0];
    assert_eq!(report.lost(Lost::LineTooLong), (long.len() - 1024) as u64);
}

#[test]
fn a_hole_of_a_terabyte_is_passed_over() {
    let mut world = World::new(1024);
    world.append("0.log", b"before\n");
    world.settle();
    let file = OpenOptions::new().append(true).open(world.path("0.log")).unwrap();
    file.set_len(1 << 40).unwrap();
    world.settle();
    world.append("0.log", b"after\n");
    world.settle();
    assert_eq!(world.lines(), ["before", "after"]);
    assert_eq!(world.counters.behind(), 0);
}

#[test]
fn fragments_of_both_outputs_that_interleave_are_not_mixed() {
    let mut world = World::new(1024);
    for (stream, flag, text) in [
        ("stdout", "P", "one "),
        ("stderr", "P", "three "),
        ("stdout", "P", "and "),
        ("stderr", "F", "four"),
        ("stdout", "F", "two"),
    ] {
        world.append("0.log", &cri(stream, flag, text));
        world.settle();
    }
    assert_eq!(world.lines(), ["three four", "one and two"]);
}

#[test]
fn a_record_that_never_ends_keeps_its_head_and_stops_nothing() {
    let mut world = World::new(1024);
    let piece = "x\r".repeat(2000);
    for _ in 0..200 {
        world.append("0.log", &cri("stdout", "P", &piece));
    }
    world.append("0.log", &cri("stderr", "F", "meanwhile"));
    world.settle();
    assert_eq!(world.lines(), ["meanwhile"]);
    world.append("0.log", &cri("stdout", "F", "end"));
    world.append("0.log", &cri("stdout", "F", "next"));
    world.settle();
    let head = &piece[..1024];
    assert_eq!(world.lines(), ["meanwhile", head, "next"]);
    let lost = (200 * piece.len() + "end".len() - head.len()) as u64;
    assert_eq!(world.counters.containers()[0].lost(Lost::LineTooLong), lost);
}

#[test]
fn nul_bytes_survive_and_invalid_utf8_is_replaced_and_counted() {
    let mut world = World::new(1024);
    world
        .append("0.log", b"2026-01-01T00:00:00Z stdout F a\0b\n2026-01-01T00:00:00Z stdout F c\xffd\n\0\0\n");
    world.settle();
    assert_eq!(world.lines(), ["a\0b", "c\u{fffd}d", "\0\0"]);
    assert_eq!(world.counters.containers()[0].invalid_utf8.load(Ordering::Relaxed), 1);
}

#[test]
fn a_hole_before_a_line_costs_nothing_and_hides_nothing() {
    let mut world = World::new(1024);
    let file = File::create(world.path("0.log")).unwrap();
    // A writer that goes on at its old offset after the file was cut: 500 GB of nothing.
    file.set_len(500_000_000_000).unwrap();
    world.append("0.log", b"after the hole\n");
    world.settle();
    assert_eq!(world.lines(), ["after the hole"]);
    assert_eq!(world.counters.containers()[0].behind.load(Ordering::Relaxed), 0);
    // Zeros at the end may be data to come.
    file.set_len(500_000_000_000 + 15 + 10).unwrap();
    world.settle();
    world.append("0.log", b"more\n");
    world.settle();
    assert_eq!(world.lines(), ["after the hole", "more"]);
}

#[test]
fn half_a_record_that_stages_get_is_not_lost_after_a_restart() {
    for stages in [joined(), vec![StageConfig::Decolorize]] {
        let mut world = World::new(1024);
        world.options.files[0].pipeline = Pipeline::new(&stages).unwrap();
        world.restart();
        world.append("0.log", &cri("stdout", "F", "<1>"));
        world.append("0.log", &cri("stdout", "P", "<5> never ends"));
        world.settle();
        world.restart();
        world.settle();
        std::fs::remove_file(world.path("0.log")).unwrap();
        world.settle();
        assert_eq!(world.lines(), ["<1>", "<5> never ends"]);
    }
}

#[test]
fn what_follows_a_hole_is_not_read_again_by_the_next_run() {
    let mut world = World::new(1024);
    world.append("0.log", &b"lines before the file was cut\n".repeat(20));
    world.settle();
    let read = world.lines().len();
    let length = std::fs::metadata(world.path("0.log")).unwrap().len();
    File::create(world.path("0.log")).unwrap();
    world.settle();
    // Its writer goes on where it was.
    OpenOptions::new().write(true).open(world.path("0.log")).unwrap().set_len(length).unwrap();
    world.append("0.log", b"after\n");
    world.settle();
    assert_eq!(world.lines()[read..], ["after"]);
    world.restart();
    world.settle();
    assert_eq!(world.lines()[read..], ["after"]);
    assert_eq!(world.counters.containers()[0].losses(Lost::RotatedAway), 0);
}
