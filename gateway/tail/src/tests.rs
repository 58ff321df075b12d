//! The whole tailer against real files, driven step by step: random sequences of what happens to log files, and a model.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::write::GzEncoder;
use parsers::derived::Deriver;
use parsers::record::{Batch, FileId, Position};
use parsers::stage::relabel::{Relabel, RelabelAction, RelabelConfig};
use parsers::stage::{
    DropConfig, FirstLine, LogfmtConfig, MetricAction, MetricConfig, MetricShape, MultilineConfig, Pipeline,
    StageConfig,
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;

/// Nanoseconds between steps: more than `flush_after`.
const TICK: u64 = 1_000_000_000;

/// A folder of one container, a tailer over it, and what its sink has taken.
struct World {
    root: tempfile::TempDir,
    options: TailOptions,
    tailer: Tailer,
    counters: Arc<Counters>,
    now: u64,
    refusing: bool,
    positions: BTreeMap<FileId, Position>,
    taken: Vec<Arc<Batch>>,
}

impl World {
    fn new(max_line: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("ns_pod_uid/app")).unwrap();
        let mut options = TailOptions::new("agent");
        options.files = vec![format!("{}/*/*/*.log", root.path().display()).into()];
        options.max_line = max_line;
        options.batch_bytes = 4096;
        let counters = Arc::new(Counters::default());
        let tailer = Tailer::new(options.clone(), deriver(), Vec::new(), Arc::clone(&counters));
        let now = 1_700_000_000_000_000_000;
        Self {
            root,
            options,
            tailer,
            counters,
            now,
            refusing: false,
            positions: BTreeMap::new(),
            taken: vec![],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("ns_pod_uid/app").join(name)
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// One step; what comes is taken unless the sink refuses.
    fn step(&mut self) -> bool {
        self.now += TICK;
        match self.tailer.step(self.now) {
            Step::Deliver(batch) if !self.refusing => {
                for position in &batch.positions {
                    self.positions.insert(position.file, position.clone());
                }
                self.taken.push(batch);
                self.tailer.acknowledged(self.now);
                true
            }
            Step::Deliver(_) => {
                self.tailer.watch(self.now);
                false
            }
            Step::Again => true,
            Step::Idle(_) => false,
        }
    }

    fn settle(&mut self) {
        self.refusing = false;
        for _ in 0..8 {
            while self.step() {}
        }
    }

    fn restart(&mut self) {
        self.counters = Arc::new(Counters::default());
        let positions = self.positions.values().cloned().collect();
        self.tailer = Tailer::new(self.options.clone(), deriver(), positions, Arc::clone(&self.counters));
    }

    fn lines(&self) -> Vec<String> {
        let logs = self.taken.iter().map(|batch| &batch.logs);
        logs.flat_map(|l| l.rows.iter().map(|row| String::from_utf8(l.line(row).to_vec()).unwrap())).collect()
    }
}

fn deriver() -> Arc<Deriver> {
    Arc::new(Deriver::new(&[]).unwrap())
}

fn cri(stream: &str, flag: &str, text: &str) -> Vec<u8> {
    format!("2026-01-01T00:00:00.000000000Z {stream} {flag} {text}\n").into_bytes()
}

#[derive(Debug, Clone)]
enum Deed {
    /// A whole record.
    Whole,
    /// A record in this many fragments, of standard error or not; the last one only if said.
    Pieces(u8, bool, bool),
    /// Half of a line's bytes now, the rest with the next line.
    Half,
    /// Renamed, and a new file made.
    Rotate,
    /// Copied, and then cut.
    CopyTruncate,
    /// The reader takes this many steps.
    Step(u8),
    Refuse,
    Restart,
    /// The reader ends, all rotated files but the newest are compressed, and it starts again.
    CompressedWhileDown,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Whole),
        3 => (1..4u8, any::<bool>(), any::<bool>()).prop_map(|(n, e, l)| Deed::Pieces(n, e, l)),
        2 => Just(Deed::Half),
        2 => Just(Deed::Rotate),
        2 => Just(Deed::CopyTruncate),
        3 => (1..3u8).prop_map(Deed::Step),
        1 => Just(Deed::Refuse),
        1 => Just(Deed::Restart),
        1 => Just(Deed::CompressedWhileDown),
    ]
}

/// The writer: what it has begun, and what a reader must get, of each output in its order.
#[derive(Default)]
struct Model {
    count: usize,
    rotations: usize,
    /// Rotations since the reader has looked, and whether a file was copied and cut by one of them.
    unseen: (usize, bool),
    open: [String; 2],
    half: Vec<u8>,
    expected: [Vec<String>; 2],
}

impl Model {
    fn piece(&mut self, world: &World, err: bool, last: bool) {
        self.finish_half(world);
        self.count += 1;
        let text = format!("<{}>", self.count);
        world.append(
            "0.log",
            &cri(if err { "stderr" } else { "stdout" }, if last { "F" } else { "P" }, &text),
        );
        let at = usize::from(err);
        self.open[at].push_str(&text);
        if last {
            self.expected[at].push(std::mem::take(&mut self.open[at]));
        }
    }

    fn finish_half(&mut self, world: &World) {
        if !self.half.is_empty() {
            world.append("0.log", &std::mem::take(&mut self.half));
        }
    }

    /// Of several files between two looks, one of them a copy, it cannot always be told which comes first: nothing would be
    /// lost, but the order would not be the writer's.
    fn seen(&mut self, world: &mut World, copies: bool) {
        let (rotations, copied) = self.unseen;
        if copied || (copies && rotations > 0) {
            world.now += TICK;
            world.tailer.watch(world.now);
            self.unseen = (0, false);
        }
        self.unseen.0 += 1;
        self.unseen.1 |= copies;
    }

    fn act(&mut self, world: &mut World, deed: &Deed) {
        match deed {
            Deed::Whole => self.piece(world, false, true),
            Deed::Pieces(pieces, err, last) => {
                for n in 1..=*pieces {
                    self.piece(world, *err, n == *pieces && *last);
                }
            }
            Deed::Half => {
                self.finish_half(world);
                self.count += 1;
                let text = format!("<{}>", self.count);
                let line = cri("stdout", "F", &text);
                let (now, later) = line.split_at(line.len() / 2);
                world.append("0.log", now);
                self.half = later.to_vec();
                self.open[0].push_str(&text);
                self.expected[0].push(std::mem::take(&mut self.open[0]));
            }
            Deed::Rotate => {
                if world.path("0.log").exists() {
                    // The runtime ends its line before it lets go of the file, though the file has its new name by then.
                    self.seen(world, false);
                    self.rotations += 1;
                    let rotated = format!("0.log.{:08}", self.rotations);
                    std::fs::rename(world.path("0.log"), world.path(&rotated)).unwrap();
                    let rest = std::mem::take(&mut self.half);
                    world.append(&rotated, &rest);
                    File::create(world.path("0.log")).unwrap();
                }
            }
            Deed::CopyTruncate => {
                if world.path("0.log").exists() {
                    self.finish_half(world);
                    self.seen(world, true);
                    self.rotations += 1;
                    let copy = world.path(&format!("0.log.{:08}", self.rotations));
                    std::fs::copy(world.path("0.log"), copy).unwrap();
                    File::create(world.path("0.log")).unwrap();
                }
            }
            Deed::Step(times) => {
                for _ in 0..*times {
                    world.step();
                }
            }
            Deed::Refuse => world.refusing = !world.refusing,
            Deed::Restart => world.restart(),
            Deed::CompressedWhileDown => {
                for n in 1..self.rotations {
                    let plain = world.path(&format!("0.log.{n:08}"));
                    if let Ok(bytes) = std::fs::read(&plain) {
                        let packed = File::create(plain.with_extension(format!("{n:08}.gz"))).unwrap();
                        let mut packed = GzEncoder::new(packed, Compression::fast());
                        packed.write_all(&bytes).unwrap();
                        packed.finish().unwrap();
                        std::fs::remove_file(plain).unwrap();
                    }
                }
                world.restart();
            }
        }
    }
}

/// Runs deeds, and compares what came out, line by line and for each output, with what was written.
fn all_comes_once(deeds: &[Deed], stages: &[StageConfig]) -> Result<(), TestCaseError> {
    let mut world = World::new(1024);
    world.options.files[0].pipeline = Pipeline::new(stages).unwrap();
    world.restart();
    let mut model = Model::default();
    // A first line, so that a position exists before the first rotation: what was rotated before a reader ever ran is not its business.
    model.piece(&world, false, true);
    world.settle();
    for deed in deeds {
        model.act(&mut world, deed);
    }
    model.finish_half(&world);
    world.settle();
    for (stream, expected) in ["stdout", "stderr"].iter().zip(&model.expected) {
        let mut got = Vec::new();
        for batch in &world.taken {
            for row in &batch.logs.rows {
                if batch.logs.record(row).labels.get("stream") == Some(stream) {
                    let text = String::from_utf8(batch.logs.line(row).to_vec()).unwrap();
                    got.extend(text.split('\n').map(str::to_owned));
                }
            }
        }
        prop_assert_eq!(&got, expected, "{}", stream);
    }
    if model.open.iter().all(String::is_empty) && stages.is_empty() {
        prop_assert_eq!(world.counters.behind(), 0);
    }
    Ok(())
}

/// Every few lines begin a record.
fn joined() -> Vec<StageConfig> {
    let firstline = FirstLine::Expression("^<[0-9]*[05]>".to_owned());
    vec![StageConfig::Multiline(MultilineConfig { firstline, max_wait_time: None, max_lines: None })]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn nothing_is_lost_nothing_doubled_and_order_kept(deeds in prop::collection::vec(deed(), 1..60)) {
        all_comes_once(&deeds, &[])?;
    }

    #[test]
    fn the_same_holds_when_stages_hold_lines_back(deeds in prop::collection::vec(deed(), 1..60)) {
        all_comes_once(&deeds, &joined())?;
    }
}

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
fn files_that_begin_with_the_same_bytes_are_each_read() {
    let mut world = World::new(4096);
    let head = "the same in both ".repeat(100);
    for (name, line) in [("../other/0.log", "one"), ("0.log", "two")] {
        std::fs::create_dir_all(world.path(name).parent().unwrap()).unwrap();
        world.append(name, format!("{head}\n{line}\n").as_bytes());
    }
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["one", &head, &head, "two"]);
    world.append("0.log", b"three\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines().len(), 5);
}

#[test]
fn what_was_compressed_after_it_was_read_is_not_read_again() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", &cri("stdout", "F", "two"));
    world.settle();
    let mut packed = GzEncoder::new(File::create(world.path("0.log.1.gz")).unwrap(), Compression::fast());
    packed.write_all(&std::fs::read(world.path("0.log.1")).unwrap()).unwrap();
    packed.finish().unwrap();
    std::fs::remove_file(world.path("0.log.1")).unwrap();
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn a_pod_that_is_deleted_right_after_it_wrote_is_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    let pod = world.root.path().join("ns_short_uid");
    std::fs::create_dir_all(pod.join("job")).unwrap();
    world.append("../../ns_short_uid/job/0.log", &cri("stdout", "F", "all that it ever said"));
    // The sink takes nothing, and still the file is opened while it is there.
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    world.step();
    std::fs::remove_dir_all(pod).unwrap();
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["all that it ever said", "one", "two"]);
}

#[test]
fn a_link_is_followed_to_the_file_that_takes_its_targets_place() {
    let mut world = World::new(1024);
    let links = world.root.path().join("containers");
    std::fs::create_dir_all(&links).unwrap();
    std::os::unix::fs::symlink(world.path("0.log"), links.join("pod_ns_app-0123.log")).unwrap();
    world.options.files = vec![format!("{}/*.log", links.display()).into()];
    world.restart();
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    // Behind at the rotation of the target.
    world.append("0.log", &cri("stdout", "F", "two"));
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", &cri("stdout", "F", "three"));
    for _ in 0..3 {
        world.settle();
    }
    assert_eq!(world.lines(), ["one", "two", "three"]);
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
fn a_truncated_file_is_read_from_its_beginning_and_counted() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "first, and rather long"));
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", &cri("stdout", "F", "second"));
    world.settle();
    assert_eq!(world.lines(), ["first, and rather long", "second"]);
    assert_eq!(world.counters.truncations.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_that_is_truncated_and_grows_beyond_what_it_was_is_read_from_its_beginning() {
    let mut world = World::new(1024);
    world.append("0.log", b"first\n");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"second\nand a third that is longer than the first\n");
    world.settle();
    assert_eq!(world.lines(), ["first", "second", "and a third that is longer than the first"]);
    assert_eq!(world.counters.truncations.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_that_is_truncated_and_grows_to_just_what_it_was_is_read_from_its_beginning() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    let file = File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"two\n");
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn what_is_lost_with_a_truncation_is_counted_as_far_as_it_was_seen() {
    let mut world = World::new(1024);
    world.append("0.log", b"first\n");
    world.settle();
    world.append("0.log", b"seen, but not complete");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"second\n");
    world.settle();
    assert_eq!(world.lines(), ["first", "second"]);
    let lost = |world: &World| world.counters.containers()[0].lost(Lost::Truncated);
    assert_eq!(lost(&world), "seen, but not complete".len() as u64);
    // While nobody looks, it can have had anything.
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"third\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["first", "second", "third"]);
    let lost = |reason| world.counters.containers()[0].losses(reason);
    assert!(lost(Lost::Truncated) + lost(Lost::RotatedAway) > 0);
}

#[test]
fn a_file_that_is_copied_and_truncated_is_read_once_though_the_reader_is_behind_or_down() {
    let mut world = World::new(1024);
    let copy = |world: &World, n: u32| {
        std::fs::copy(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        File::create(world.path("0.log")).unwrap();
    };
    let mut expected = Vec::new();
    let mut line = |world: &World, flag: &str, text: &str| {
        world.append("0.log", &cri("stdout", flag, text));
        expected.push(text.to_owned());
    };
    line(&world, "F", "one");
    world.settle();
    // A copy is seen before the file is cut, and has nothing new.
    std::fs::copy(world.path("0.log"), world.path("0.log.0")).unwrap();
    world.settle();
    copy(&world, 1);
    world.settle();
    line(&world, "F", "two");
    world.settle();
    // Behind.
    line(&world, "F", "three");
    copy(&world, 2);
    line(&world, "F", "four, which is longer than what was there before it was cut");
    world.settle();
    // Down, and down again before all was read.
    line(&world, "F", "five");
    copy(&world, 3);
    line(&world, "F", "six");
    world.restart();
    world.refusing = true;
    world.step();
    world.restart();
    world.settle();
    line(&world, "F", "seven");
    world.settle();
    assert_eq!(world.lines(), expected);
    let report = &world.counters.containers()[0];
    assert_eq!((report.lost(Lost::Truncated), report.lost(Lost::RotatedAway)), (0, 0));
}

#[test]
fn a_record_goes_on_after_its_file_was_copied_and_truncated() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "P", "one, "));
    world.settle();
    std::fs::copy(world.path("0.log"), world.path("0.log.1")).unwrap();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", &cri("stdout", "F", "and the same one"));
    world.settle();
    assert_eq!(world.lines(), ["one, and the same one"]);
}

#[test]
fn a_copy_of_a_file_that_always_begins_alike_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log", b"banner\none\n");
    world.settle();
    for n in 1..4 {
        world.append("0.log", format!("{n}\n").as_bytes());
        std::fs::copy(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        File::create(world.path("0.log")).unwrap();
        world.append("0.log", format!("banner\nagain {n}\n").as_bytes());
        world.restart();
        world.settle();
    }
    let expected = ["banner one 1", "banner again 1 2", "banner again 2 3", "banner again 3"];
    assert_eq!(world.lines().join(" ").replace(" banner", "\nbanner").lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_follows_a_truncation_is_another_file_even_if_it_begins_alike() {
    let mut world = World::new(1024);
    let write = |world: &World, lines: &[&str]| {
        File::create(world.path("0.log")).unwrap();
        for line in lines {
            world.append("0.log", format!("{line}\n").as_bytes());
        }
    };
    let place = |batch: &Batch, row: usize| (batch.logs.files[0], batch.logs.rows[row].offset);
    write(&world, &["banner", "one", "two"]);
    world.settle();
    write(&world, &["banner"]);
    world.settle();
    // The reader is down while the file is cut again, and grows beyond what it was.
    write(&world, &["banner", "three", "four", "five"]);
    // To any reader this is the file of before, grown: the banner stands where it stood.
    world.restart();
    world.settle();
    world.append("0.log", b"six\n");
    world.restart();
    world.settle();
    let expected = ["banner", "one", "two", "banner", "three", "four", "five", "six"];
    assert_eq!(world.lines(), expected);
    // A store tells records by file and offset: none may look like another.
    let mut places: Vec<_> = Vec::new();
    for batch in &world.taken {
        places.extend((0..batch.logs.rows.len()).map(|row| place(batch, row)));
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), expected.len());
}

#[test]
fn a_file_rotated_twice_while_behind_is_read_through_its_descriptor() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    world.append("0.log", &cri("stdout", "F", "three"));
    for n in 1..=2 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
    }
    std::fs::remove_file(world.path("0.log.1")).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three", "after 1", "after 2"]);
}

#[test]
fn what_is_written_rotated_and_compressed_while_nothing_is_taken_is_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.append("0.log", &cri("stdout", "F", "two"));
    world.refusing = true;
    world.step();
    for n in 1..=3 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        world.step();
        // As one that is full does it.
        if n > 1 {
            std::fs::remove_file(world.path(&format!("0.log.{}", n - 1))).unwrap();
        }
    }
    assert!(world.counters.behind() > 100);
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "after 1", "after 2", "after 3"]);
}

#[test]
fn what_was_compressed_before_a_reader_that_runs_had_seen_it_is_read() {
    for numbered in [false, true] {
        let mut world = World::new(1024);
        world.append("0.log", &cri("stdout", "F", "one"));
        world.settle();
        let compressed = |world: &World, n: u32, text: &str| {
            let name = if numbered { format!("0.log.{}.gz", 4 - n) } else { format!("0.log.2026010{n}.gz") };
            let packed = File::create(world.path(&name)).unwrap();
            let mut packed = GzEncoder::new(packed, Compression::fast());
            packed.write_all(&cri("stdout", "F", text)).unwrap();
            packed.finish().unwrap();
        };
        // Between two looks of a reader that got no time: the file it knows was rotated and compressed, and two after it.
        std::fs::remove_file(world.path("0.log")).unwrap();
        compressed(&world, 1, "one");
        compressed(&world, 2, "two");
        compressed(&world, 3, "three");
        world.append("0.log", &cri("stdout", "F", "four"));
        world.settle();
        world.append("0.log", &cri("stdout", "F", "five"));
        world.settle();
        assert_eq!(world.lines(), ["one", "two", "three", "four", "five"], "{numbered}");
        world.restart();
        world.settle();
        assert_eq!(world.lines().len(), 5);
    }
}

#[test]
fn a_folder_that_vanishes_ends_its_container_after_what_it_left_was_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.append("0.log", &cri("stdout", "P", "half of "));
    world.append("0.log", b"2026-01-01T00:00:00Z stderr F no newline");
    std::fs::remove_dir_all(world.root.path().join("ns_pod_uid")).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "no newline", "half of "]);
    assert!(world.counters.containers().is_empty());
}

#[test]
fn an_inode_used_again_is_another_file() {
    let mut world = World::new(1024);
    world.append("0.log", b"old line that is long enough\n");
    world.settle();
    // The same inode with other content is what a reused one looks like to a reader that was down.
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"new line that is longer than the old one was\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines().last().unwrap(), "new line that is longer than the old one was");
    assert_eq!(world.lines().len(), 2);
}

#[test]
fn a_file_that_went_while_nobody_read_is_counted_as_lost() {
    let mut world = World::new(1024);
    world.append("0.log", b"old\n");
    world.settle();
    world.tailer = Tailer::new(world.options.clone(), deriver(), Vec::new(), Arc::default());
    std::fs::remove_file(world.path("0.log")).unwrap();
    world.append("0.log", b"new, of another first line\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["old", "new, of another first line"]);
    assert_eq!(world.counters.containers()[0].losses(Lost::RotatedAway), 1);
}

#[test]
fn positions_in_a_file_are_read_back_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let position = Position {
        agent: "a".into(),
        file: FileId { device: 1, inode: 2, head: u64::MAX },
        offset: 10,
        resume: 5,
        held: [8, 6],
        marker: 7,
        path: "/odd\\na\nme\t".into(),
        time: 9,
    };
    let mut file = position::PositionsFile::open(folder.path()).unwrap();
    file.note(std::slice::from_ref(&position));
    file.write().unwrap();
    assert_eq!(position::PositionsFile::open(folder.path()).unwrap().positions(), [position]);
    std::fs::write(folder.path().join("positions"), "trefoil positions 1\n1 2 3").unwrap();
    assert!(position::PositionsFile::open(folder.path()).is_err());
}

/// Refuses the first batch, and ends the run once it has all lines.
struct Reluctant {
    refused: std::sync::atomic::AtomicBool,
    lines: std::sync::atomic::AtomicUsize,
    shutdown: CancellationToken,
}

#[async_trait::async_trait]
impl Sink for Reluctant {
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        if !self.refused.swap(true, Ordering::Relaxed) {
            let retry_after = std::time::Duration::from_mins(1);
            return Err(Refusal { kind: RefusalKind::Full, detail: "no room".to_owned(), retry_after });
        }
        let rows = batch.logs.rows.len();
        if self.lines.fetch_add(rows, Ordering::Relaxed) + rows == 2 {
            self.shutdown.cancel();
        }
        Ok(())
    }
}

/// Takes no batch, ever.
struct Deaf;

#[async_trait::async_trait]
impl Sink for Deaf {
    async fn deliver(&self, _: Arc<Batch>) -> Result<(), Refusal> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_file_is_known_by_is_noted_before_its_first_line_is_sent() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.refusing = true;
    let folder = tempfile::tempdir().unwrap();
    let open = || position::PositionsFile::open(folder.path()).unwrap();
    let noting = position::Noting::new(Arc::new(Deaf), open());
    let Step::Deliver(batch) = world.tailer.step(world.now) else { panic!("there is a line") };
    tokio::select! {
        _ = noting.deliver(Arc::clone(&batch)) => panic!("it was not taken"),
        () = async { while open().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    // The agent was killed, and the file has been compressed since.
    world.positions = open().positions().into_iter().map(|position| (position.file, position)).collect();
    let bytes = std::fs::read(world.path("0.log")).unwrap();
    let mut packed = GzEncoder::new(File::create(world.path("0.log.1.gz")).unwrap(), Compression::fast());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap();
    File::create(world.path("0.log")).unwrap();
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["one"]);
    assert_eq!(world.taken[0].logs.files, batch.logs.files);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_offered_again_after_the_wait_that_was_asked_for() {
    let world = World::new(1024);
    world.append("0.log", &[cri("stdout", "F", "one"), cri("stdout", "F", "two")].concat());
    let shutdown = CancellationToken::new();
    let sink = Arc::new(Reluctant { refused: false.into(), lines: 0.into(), shutdown: shutdown.clone() });
    let folder = tempfile::tempdir().unwrap();
    let file = position::PositionsFile::open(folder.path()).unwrap();
    let noting = Arc::new(position::Noting::new(sink.clone(), file));
    let counters = Arc::new(Counters::default());
    let written = CancellationToken::new();
    let writing = tokio::spawn(Arc::clone(&noting).keep_writing(written.clone()));
    let (_plan, plans) = tokio::sync::watch::channel((world.options.clone(), deriver()));
    run(plans, noting, Vec::new(), Arc::clone(&counters), shutdown).await;
    written.cancel();
    writing.await.unwrap();
    let noted = position::PositionsFile::open(folder.path()).unwrap().positions();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].offset, std::fs::metadata(world.path("0.log")).unwrap().len());
    assert_eq!(sink.lines.load(Ordering::Relaxed), 2);
    assert_eq!(counters.refusals.load(Ordering::Relaxed), 1);
}

#[test]
fn what_another_reader_has_read_is_not_read_again() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "read before"));
    let offset = std::fs::metadata(world.path("0.log")).unwrap().len();
    world.append("0.log", &cri("stdout", "F", "new"));
    let folder = tempfile::tempdir().unwrap();
    let mut file = position::PositionsFile::open(folder.path()).unwrap();
    let path = world.path("0.log").display().to_string();
    file.note(&position::imported("agent", &[(path, offset), ("/gone".to_owned(), 5)], world.now));
    assert_eq!(file.positions().len(), 1);
    world.positions = file.positions().into_iter().map(|position| (position.file, position)).collect();
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["new"]);
}

/// A copy of the file being written, and that cut to nothing, as logrotate does with `copytruncate`.
fn copy_truncate(world: &World, copy: &str) {
    std::fs::copy(world.path("0.log"), world.path(copy)).unwrap();
    File::create(world.path("0.log")).unwrap();
}

#[test]
fn what_was_not_read_of_a_file_that_is_copied_and_cut_is_read_in_its_copy() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.append("0.log", b"two\n");
    copy_truncate(&world, "0.log.1");
    // Longer than before, so that its length does not tell.
    world.append("0.log", b"three, which is a long line\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three, which is a long line"]);
    // The same with nobody reading meanwhile.
    world.append("0.log", b"four\n");
    copy_truncate(&world, "0.log.2");
    world.append("0.log", b"five, which is a much longer line than those before it\n");
    world.restart();
    world.settle();
    let five = "five, which is a much longer line than those before it";
    assert_eq!(world.lines()[3..], ["four", five]);
    assert_eq!(world.counters.containers()[0].losses(Lost::Truncated), 0);
}

#[test]
fn what_a_cut_file_loses_is_counted_with_its_place() {
    let mut world = World::new(1024);
    world.append("0.log", b"read\n");
    world.settle();
    world.refusing = true;
    world.append("0.log", b"read, too\n");
    world.step();
    world.append("0.log", b"never read\n");
    // It is seen while the batch before it waits.
    world.step();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"new\n");
    world.settle();
    assert_eq!(world.lines(), ["read", "read, too", "new"]);
    let losses = world.counters.containers()[0].recent_losses();
    assert_eq!(losses.len(), 1);
    let Loss { reason, from, to, bytes, .. } = losses[0];
    assert_eq!((reason, from, to, bytes), (Lost::Truncated, 15, Some(26), 11));
}

#[test]
fn a_file_written_anew_is_told_from_one_that_grew() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\ntwo\n");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"other lines that are longer than those before\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "other lines that are longer than those before"]);
    let losses = world.counters.containers()[0].recent_losses();
    assert_eq!((losses[0].reason, losses[0].from, losses[0].to), (Lost::Truncated, 8, None));
}

#[test]
fn generations_that_come_and_go_while_a_batch_waits_are_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    for n in 1..=4 {
        let rotated = format!("0.log.{n}");
        std::fs::rename(world.path("0.log"), world.path(&rotated)).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        world.step();
        // The oldest is dropped, as a kubelet does, and nobody has read it yet.
        std::fs::remove_file(world.path(&rotated)).unwrap();
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "after 1", "after 2", "after 3", "after 4"]);
}

fn compress(world: &World, name: &str) {
    let bytes = std::fs::read(world.path(name)).unwrap();
    let mut packed =
        GzEncoder::new(File::create(world.path(&format!("{name}.gz"))).unwrap(), Compression::fast());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap();
    std::fs::remove_file(world.path(name)).unwrap();
}

#[test]
fn a_generation_that_was_compressed_before_it_was_seen_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log.0", b"before any reader\n");
    compress(&world, "0.log.0");
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    for n in 1..=2 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
    }
    // Between two looks: the second file had the live name, was rotated and compressed.
    compress(&world, "0.log.1");
    compress(&world, "0.log.2");
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["after 1", "after 2", "one"]);
    // What was read is not read again when it is compressed, renamed, or found by a later run.
    std::fs::rename(world.path("0.log.2.gz"), world.path("0.log.3.gz")).unwrap();
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.lines().len(), 3);
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
fn a_linked_file_is_followed_through_rotations_of_what_it_leads_to() {
    let mut world = World::new(1024);
    let links = world.root.path().join("containers");
    std::fs::create_dir(&links).unwrap();
    world.append("0.log", &cri("stdout", "F", "one"));
    std::os::unix::fs::symlink(world.path("0.log"), links.join("app.log")).unwrap();
    world.options.files = vec![format!("{}/*.log", links.display()).into()];
    world.options.reconcile_every = u64::MAX;
    world.restart();
    world.settle();
    for n in 1..=3 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        if n == 2 {
            // A rotation while nobody reads.
            world.restart();
        }
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "after 1", "after 2", "after 3"]);
}

#[test]
fn a_file_that_two_globs_reach_under_two_names_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    std::os::unix::fs::symlink(world.path("0.log"), world.root.path().join("link.log")).unwrap();
    let link = format!("{}/*.log", world.root.path().display());
    world.options.files.push(link.into());
    world.restart();
    world.settle();
    world.append("0.log", b"two\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn no_more_files_are_open_than_may_be_and_the_others_have_their_turn() {
    let mut world = World::new(1024);
    world.options.max_files = 2;
    world.restart();
    for n in 0..4 {
        world.append(&format!("{n}.log"), format!("line of {n}\n").as_bytes());
    }
    world.settle();
    assert_eq!(world.lines(), ["line of 0", "line of 1"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 2);
    std::fs::remove_file(world.path("0.log")).unwrap();
    std::fs::remove_file(world.path("1.log")).unwrap();
    for _ in 0..4 {
        world.settle();
    }
    assert_eq!(world.lines()[2..], ["line of 2", "line of 3"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 0);
}

#[test]
fn another_plan_loses_nothing_and_doubles_nothing() {
    let mut world = World::new(1024);
    let other = world.root.path().join("other_pod_uid/app");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("0.log"), b"not asked for\n").unwrap();
    let glob = |world: &World, pod: &str| format!("{}/{pod}*/*/*.log", world.root.path().display());
    world.options.files = vec![glob(&world, "ns").into()];
    world.restart();
    world.append("0.log", &[cri("stdout", "F", "one"), cri("stdout", "P", "half ")].concat());
    world.settle();
    // Read, but not delivered when the plan changes.
    world.append("0.log", &cri("stderr", "F", "two"));
    world.refusing = true;
    world.step();
    let drop =
        DropConfig { value: Some("dropped".into()), source: vec!["level".into()], ..DropConfig::default() };
    let stages = [
        StageConfig::Logfmt(LogfmtConfig { mapping: vec![("level".into(), None)], source: None }),
        StageConfig::Drop(drop),
    ];
    let mut plan = world.options.clone();
    plan.files = vec![glob(&world, "other").into(), glob(&world, "ns").into()];
    plan.files[1].pipeline = Pipeline::new(&stages).unwrap();
    world.tailer.reconfigure(plan.clone(), deriver());
    world.append("0.log", &cri("stdout", "F", "and half"));
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "not asked for", "half and half"]);
    // What is no longer asked for is left, and gone on with when it is asked for again.
    let all = plan.files.clone();
    plan.files.pop();
    world.tailer.reconfigure(plan.clone(), deriver());
    world.append("0.log", &cri("stdout", "F", "meanwhile"));
    world.settle();
    assert_eq!(world.counters.containers().len(), 1);
    assert_eq!(world.lines().len(), 4);
    plan.files = all;
    world.tailer.reconfigure(plan, deriver());
    world.settle();
    assert_eq!(world.lines()[4..], ["meanwhile"]);
}

#[test]
fn a_clock_that_is_set_back_puts_nothing_off() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.now -= 3600 * TICK;
    world.append("0.log", b"two\n");
    world.step();
    world.step();
    assert_eq!(world.lines(), ["one", "two"]);
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
fn a_container_that_went_right_after_its_rotation_is_left() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log.1", &cri("stdout", "P", "half"));
    world.append("0.log.1", b"2026-01-01T00:00:00Z stderr F no newline");
    // Its successor never gets a line.
    File::create(world.path("0.log")).unwrap();
    world.settle();
    std::fs::remove_dir_all(world.root.path().join("ns_pod_uid")).unwrap();
    world.settle();
    world.settle();
    assert_eq!(world.lines(), ["one", "no newline", "half"]);
    assert!(world.counters.containers().is_empty());
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

#[test]
fn a_file_that_was_not_read_yet_waits_since_it_was_seen() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.refusing = true;
    world.append("0.log", b"two\n");
    world.step();
    world.append("1.log", b"of another file\n");
    world.step();
    world.step();
    let new = world.counters.containers().into_iter().find(|file| file.path.ends_with("1.log")).unwrap();
    assert_eq!(new.behind.load(Ordering::Relaxed), 16);
    assert!(new.lag(world.now) <= 3 * TICK, "{}", new.lag(world.now));
}

#[test]
fn a_file_that_was_quiet_for_long_is_not_late_by_that() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.append("1.log", b"one\n");
    world.settle();
    world.now += 3600 * TICK;
    world.refusing = true;
    world.append("0.log", b"two\n");
    world.step();
    world.append("1.log", b"two\n");
    world.step();
    let quiet = world.counters.containers().into_iter().find(|file| file.path.ends_with("1.log")).unwrap();
    assert_eq!(quiet.behind.load(Ordering::Relaxed), 4);
    assert!(quiet.lag(world.now) <= 3 * TICK, "{}", quiet.lag(world.now));
}

#[test]
fn a_file_that_always_has_more_is_late_by_what_waits_alone() {
    let mut world = World::new(1024);
    let much = b"a line that is read in its turn\n".repeat(18_000);
    world.append("0.log", &much);
    for _ in 0..20 {
        world.append("0.log", &much);
        world.step();
        let report = &world.counters.containers()[0];
        assert!(report.behind.load(Ordering::Relaxed) > 0);
        assert!(report.lag(world.now) <= 3 * TICK, "{}", report.lag(world.now));
    }
}

#[test]
fn a_quiet_file_that_is_asked_for_again_has_lost_nothing() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", b"two\n");
    world.settle();
    std::fs::remove_file(world.path("0.log.1")).unwrap();
    world.restart();
    world.settle();
    let all = world.options.clone();
    world.tailer.reconfigure(TailOptions { files: Vec::new(), ..all.clone() }, deriver());
    world.settle();
    assert!(world.counters.containers().is_empty());
    world.tailer.reconfigure(all, deriver());
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
    assert_eq!(world.counters.containers()[0].losses(Lost::RotatedAway), 0);
}

#[test]
fn a_file_that_went_is_left_though_the_clock_was_set_back() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::remove_file(world.path("0.log")).unwrap();
    world.step();
    world.now -= 3600 * TICK;
    world.settle();
    assert!(world.counters.containers().is_empty());
}

#[test]
fn files_that_are_rotated_go_on_though_no_more_may_be_open() {
    let mut world = World::new(1024);
    world.options.max_files = 4;
    world.restart();
    for n in 0..4 {
        world.append(&format!("{n}.log"), format!("line of {n}\n").as_bytes());
    }
    world.settle();
    for n in 0..4 {
        let live = world.path(&format!("{n}.log"));
        std::fs::rename(&live, live.with_extension("log.1")).unwrap();
        world.append(&format!("{n}.log"), format!("after {n}\n").as_bytes());
    }
    for _ in 0..4 {
        world.settle();
    }
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["after 0", "after 1", "after 2", "line of 0", "line of 1", "line of 2"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_of_two_names_is_read_once_after_it_was_rotated_to_any_name() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    let links = world.root.path().join("a_links");
    std::fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(world.path("0.log"), links.join("link.log")).unwrap();
    world.options.files.push(format!("{}/*.log", links.display()).into());
    world.restart();
    world.settle();
    for n in 0..3 {
        world.append("0.log", format!("two {n}\n").as_bytes());
        world.settle();
        std::fs::rename(world.path("0.log"), world.path(&format!("moved-{n}"))).unwrap();
        world.append("0.log", format!("three {n}\n").as_bytes());
        world.settle();
    }
    let mut lines = world.lines();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), world.lines().len(), "{:?}", world.lines());
    assert_eq!(lines.len(), 7);
}

#[test]
fn many_rotated_files_may_be_compressed_at_once() {
    let mut world = World::new(1024);
    for n in 0..100 {
        world.append(&format!("0.log.{n}"), format!("line {n} of long ago\n").as_bytes());
    }
    world.append("0.log", b"one\n");
    world.settle();
    for n in 0..100 {
        compress(&world, &format!("0.log.{n}"));
    }
    world.settle();
    assert_eq!(world.lines(), ["one"]);
}

#[test]
fn generations_that_are_missed_one_after_the_other_under_one_name_are_each_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    for n in 1..=3 {
        // Made, rotated and compressed between two looks, and the one before it dropped.
        world.append("missed", &cri("stdout", "F", &format!("missed {n}")));
        std::fs::rename(world.path("missed"), world.path("0.log.1")).unwrap();
        let _ = std::fs::remove_file(world.path("0.log.1.gz"));
        compress(&world, "0.log.1");
        world.step();
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "missed 1", "missed 2", "missed 3"]);
}

/// Descriptors of this process on files below a folder that have no name any more.
fn held_without_a_name(world: &World) -> usize {
    let root = world.root.path().to_str().unwrap().to_owned();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    open.filter(|path| {
        path.to_str().is_some_and(|path| path.starts_with(&root) && path.ends_with("(deleted)"))
    })
    .count()
}

#[test]
fn a_copy_that_somebody_made_and_removed_is_let_go() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::copy(world.path("0.log"), world.path("0.log.bak")).unwrap();
    world.settle();
    std::fs::remove_file(world.path("0.log.bak")).unwrap();
    world.settle();
    assert_eq!(held_without_a_name(&world), 0);
    world.append("0.log", b"two\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn a_copy_that_is_compressed_at_once_is_read_though_it_has_no_name() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.append("0.log", b"two\n");
    std::fs::copy(world.path("0.log"), world.path("0.log.1")).unwrap();
    // Seen before the file is cut, and nothing was read since.
    world.tailer.watch(world.now);
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"three, which is longer\n");
    compress(&world, "0.log.1");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three, which is longer"]);
    assert_eq!(held_without_a_name(&world), 0);
}

#[test]
fn a_file_that_is_removed_is_let_go_though_rotated_ones_are_there() {
    let mut world = World::new(1024);
    world.options.files = vec![format!("{}/*/*/0.log*", world.root.path().display()).into()];
    world.restart();
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", b"two\nno newline");
    world.settle();
    std::fs::remove_file(world.path("0.log")).unwrap();
    world.settle();
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "no newline"]);
    assert_eq!(held_without_a_name(&world), 0);
    world.append("0.log", b"three\n");
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.2")).unwrap();
    world.append("0.log", b"four\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "no newline", "three", "four"]);
}

#[test]
fn what_the_files_of_one_container_lost_is_one_figure() {
    let mut world = World::new(1024);
    for name in ["0.log", "1.log"] {
        world.append(name, &[b'x'; 2000]);
        world.append(name, b"\n");
    }
    world.settle();
    let files = world.counters.containers();
    assert_eq!(files.iter().map(|file| file.losses(Lost::LineTooLong)).sum::<u64>(), 2);
    assert!(files.iter().all(|file| &*file.pod == "pod"));
    let losses: Vec<_> = world.counters.losses().into_iter().collect();
    assert_eq!(losses, [((["ns", "pod", "app"].map(Arc::from), Lost::LineTooLong), (2, 2 * (2000 - 1024)))]);
}
