//! From one run, and from one configuration, to the next; the loop round the tailer.

use super::*;

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
