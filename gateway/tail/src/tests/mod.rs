//! The whole tailer against real files, driven step by step.

mod figures;
mod lines;
mod model;
mod names;
mod pods;
mod rotation;
mod runs;
mod truncation;

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

/// Every few lines begin a record.
fn joined() -> Vec<StageConfig> {
    let firstline = FirstLine::Expression("^<[0-9]*[05]>".to_owned());
    vec![StageConfig::Multiline(MultilineConfig { firstline, max_wait_time: None, max_lines: None })]
}

/// A copy of the file being written, and that cut to nothing, as logrotate does with `copytruncate`.
fn copy_truncate(world: &World, copy: &str) {
    std::fs::copy(world.path("0.log"), world.path(copy)).unwrap();
    File::create(world.path("0.log")).unwrap();
}

fn compress(world: &World, name: &str) {
    let bytes = std::fs::read(world.path(name)).unwrap();
    let mut packed =
        GzEncoder::new(File::create(world.path(&format!("{name}.gz"))).unwrap(), Compression::fast());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap();
    std::fs::remove_file(world.path(name)).unwrap();
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
