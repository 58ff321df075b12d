//! Containers whose lines are numbered, in files that are rotated as a kubelet does it: renamed, and later compressed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;

/// One container's log.
#[derive(Debug)]
pub struct Container {
    /// Its name, and its folder's.
    pub name: String,
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// Lines written so far; they are numbered from 1.
    pub lines: u64,
    /// Time of the last line.
    time: u64,
    generations: u64,
    /// The rotated file that is not compressed yet, as a kubelet leaves the newest.
    rotated: Option<PathBuf>,
}

impl Container {
    fn create(pods: &Path, number: usize, time: u64) -> anyhow::Result<Self> {
        let name = format!("c{number:04}");
        let folder =
            pods.join(format!("torture_pod-{number:04}_00000000-0000-4000-8000-{number:012}")).join(&name);
        std::fs::create_dir_all(&folder)?;
        let file = File::options().create_new(true).append(true).open(folder.join("0.log"))?;
        Ok(Self { name, folder, file, bytes: 0, lines: 0, time, generations: 0, rotated: None })
    }

    /// Writes so many lines. Every tenth is split in two, as a runtime splits long ones.
    pub fn write(&mut self, lines: u64) -> anyhow::Result<()> {
        let mut text = String::new();
        for _ in 0..lines {
            self.lines += 1;
            self.time += 1000;
            let time = jiff::Timestamp::from_nanosecond(i128::from(self.time))?;
            let (n, name) = (self.lines, &self.name);
            if n % 10 == 0 {
                text += &format!(
                    "{time:.9} stdout P n={n} container={name} \n{time:.9} stdout F the other half\n"
                );
            } else {
                text += &format!("{time:.9} stdout F n={n} container={name} trace_id={n:032x}\n");
            }
        }
        self.file.write_all(text.as_bytes())?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Rotates once the file is this large; the generation before is compressed, and its original deleted.
    pub fn rotate_at(&mut self, bytes: u64) -> anyhow::Result<bool> {
        if self.bytes < bytes {
            return Ok(false);
        }
        if let Some(old) = self.rotated.take() {
            let compressed = PathBuf::from(format!("{}.gz", old.display()));
            let temporary = PathBuf::from(format!("{}.tmp", old.display()));
            let mut encoder = GzEncoder::new(File::create(&temporary)?, Compression::fast());
            std::io::copy(&mut File::open(&old)?, &mut encoder)?;
            encoder.finish()?;
            std::fs::rename(&temporary, &compressed)?;
            std::fs::remove_file(&old)?;
        }
        self.generations += 1;
        let current = self.folder.join("0.log");
        let to = self.folder.join(format!("0.log.20260101-{:06}", self.generations));
        std::fs::rename(&current, &to)?;
        self.rotated = Some(to);
        self.file = File::options().create_new(true).append(true).open(&current)?;
        self.bytes = 0;
        Ok(true)
    }
}

/// All containers of a node.
#[derive(Debug)]
pub struct Containers(pub Vec<Container>);

impl Containers {
    /// So many, with no lines yet; the first lines have times from `time` on.
    pub fn create(pods: &Path, count: usize, time: u64) -> anyhow::Result<Self> {
        let all: anyhow::Result<Vec<_>> = (0..count).map(|n| Container::create(pods, n, time)).collect();
        all.map(Self).with_context(|| pods.display().to_string())
    }

    /// Lines written so far.
    pub fn lines(&self) -> u64 {
        self.0.iter().map(|c| c.lines).sum()
    }
}
