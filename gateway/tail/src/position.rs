//! How far what was read is safe, kept in a file where the store does not keep it: an agent that ships to another machine.
//!
//! The file is replaced whole: written beside, synced, renamed, and its folder synced.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::{Batch, FileId, Position};
use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::identity;
use crate::sink::{Refusal, Sink};

/// First line of the file: what it is, and the version of its form.
const HEADER: &str = "trefoil positions 1";

/// Name of the file in its folder.
const NAME: &str = "positions";

/// Positions kept for one path: the kubelet keeps five files of a container, and a loop of restarts is not endless.
const KEPT_PER_PATH: usize = 16;

/// How much of the past a killed agent may send again. A Trefoil drops it; another server has it twice.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Nanoseconds after which the positions of paths that are gone are dropped: longer than any node is down for maintenance.
const KEPT_WITHOUT_PATH: u64 = 7 * 24 * 3600 * 1_000_000_000;

/// How far another reader was in these files, by path and offset. Files that are gone, or shorter than that, are left out: they
/// are read from their beginning.
pub fn imported(agent: &str, read: &[(String, u64)], now: u64) -> Vec<Position> {
    let position = |(path, offset): &(String, u64)| {
        let file = File::open(path).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        let head = identity::head_of_file(&file).ok()??;
        let marker = identity::marker(&file, *offset).ok().filter(|_| *offset <= stat.st_size as u64)?;
        Some(Position {
            agent: agent.into(),
            file: FileId { device: stat.st_dev, inode: stat.st_ino, head },
            offset: *offset,
            resume: *offset,
            held: [*offset; 2],
            marker,
            path: path.as_str().into(),
            time: now,
        })
    };
    read.iter().filter_map(position).collect()
}

/// How far another reader was in the journal.
pub fn imported_cursor(agent: &str, cursor: &str, now: u64) -> Option<Position> {
    crate::feed::journal_position(agent, cursor, now)
}

/// The positions of one agent, in a file.
#[derive(Debug)]
pub struct PositionsFile {
    path: PathBuf,
    positions: FxHashMap<FileId, Position>,
    /// Time of the newest position.
    newest: u64,
    /// Whether the file says less than is noted.
    changed: bool,
}

impl PositionsFile {
    /// Reads the file in this folder; none is an empty one. A file that is damaged or of another version is an error of kind
    /// `InvalidData`: starting over would send every line again, which is for a person to decide.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(NAME);
        let positions = match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text).ok_or_else(|| {
                let detail = format!("{} is damaged, or not of the form `{HEADER}`", path.display());
                io::Error::new(io::ErrorKind::InvalidData, detail)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            positions: positions.into_iter().map(|position| (position.file, position)).collect(),
            newest: 0,
            changed: false,
        })
    }

    /// All positions.
    pub fn positions(&self) -> Vec<Position> {
        self.positions.values().cloned().collect()
    }

    /// Whether nothing was ever noted.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Notes these; [`PositionsFile::write`] makes them last.
    pub fn note(&mut self, moved: &[Position]) {
        let now = moved.iter().map(|position| position.time).max().unwrap_or_default();
        self.positions.extend(moved.iter().map(|position| (position.file, position.clone())));
        self.changed |= !moved.is_empty();
        self.newest = self.newest.max(now);
    }

    /// Notes that these files are about to be read, if nothing is known of them yet. Says whether there are any.
    fn begin(&mut self, files: &[Position]) -> bool {
        let known = self.positions.len();
        for position in files {
            self.positions.entry(position.file).or_insert_with(|| beginning(position));
        }
        let new = self.positions.len() > known;
        self.changed |= new;
        new
    }

    /// Replaces the file, if something was noted since. On an error it is tried again with the next write.
    pub fn write(&mut self) -> io::Result<()> {
        let Some(text) = self.unwritten() else { return Ok(()) };
        replace(&self.path, &text).inspect_err(|_| self.changed = true)
    }

    /// What the file should say, if it says less; it counts as written from then on.
    fn unwritten(&mut self) -> Option<String> {
        std::mem::take(&mut self.changed).then(|| {
            self.forget(self.newest);
            render(self.positions.values())
        })
    }

    fn forget(&mut self, now: u64) {
        let mut by_path: FxHashMap<&str, Vec<(u64, FileId)>> = FxHashMap::default();
        for position in self.positions.values() {
            // What is no file has the name of its kind before a colon, such as `journal:`, and behind that what changes.
            let path = if position.path.starts_with('/') {
                &*position.path
            } else {
                position.path.split(':').next().unwrap_or_default()
            };
            by_path.entry(path).or_default().push((position.time, position.file));
        }
        let mut forgotten = Vec::new();
        for (path, mut files) in by_path {
            files.sort_unstable_by(|a, b| b.cmp(a));
            let newest = files.first().map_or(now, |(time, _)| *time);
            // It may be quiet for long, too.
            let gone = now.saturating_sub(newest) > KEPT_WITHOUT_PATH
                && path.starts_with('/')
                && !Path::new(path).exists();
            let kept = if gone { 0 } else { KEPT_PER_PATH };
            forgotten.extend(files.into_iter().skip(kept).map(|(_, file)| file));
        }
        for file in forgotten {
            self.positions.remove(&file);
        }
    }
}

/// The position of a file of which nothing is safe yet.
fn beginning(of: &Position) -> Position {
    Position { offset: 0, resume: 0, held: [0; 2], marker: identity::NOTHING_READ, ..of.clone() }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn render<'a>(positions: impl Iterator<Item = &'a Position>) -> String {
    let mut text = format!("{HEADER}\n");
    for p in positions {
        let FileId { device, inode, head } = p.file;
        let (agent, path) = (p.agent.escape_default(), p.path.replace('\\', "\\\\").replace('\n', "\\n"));
        text.push_str(&format!(
            "{device} {inode} {head} {} {} {} {} {} {} {agent}\t{path}\n",
            p.offset, p.resume, p.held[0], p.held[1], p.marker, p.time
        ));
    }
    let sum = xxh3_64(text.as_bytes());
    text.push_str(&format!("sum {sum:016x}\n"));
    text
}

fn parse(text: &str) -> Option<Vec<Position>> {
    let at = text.rfind("sum ")?;
    let (body, sum) = text.split_at_checked(at)?;
    let sum = u64::from_str_radix(sum.strip_prefix("sum ")?.trim_end(), 16).ok()?;
    if sum != xxh3_64(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != HEADER {
        return None;
    }
    lines.map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Position> {
    let (left, path) = line.split_once('\t')?;
    let mut words = left.splitn(10, ' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let file = FileId { device: number()?, inode: number()?, head: number()? };
    let (offset, resume, held) = (number()?, number()?, [number()?, number()?]);
    let (marker, time) = (number()?, number()?);
    let agent = Arc::from(words.next()?);
    let mut plain = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' if chars.next()? == 'n' => '\n',
            '\\' => '\\',
            c => c,
        });
    }
    Some(Position { agent, file, offset, resume, held, marker, path: plain.into(), time })
}

/// A sink that notes the positions of each batch once the sink behind it has taken the batch. They are written by
/// [`Noting::keep_writing`]: with thousands of files, each batch's write would cost more than its lines.
pub struct Noting {
    inner: Arc<dyn Sink>,
    file: Mutex<PositionsFile>,
    /// Held by who replaces the file.
    writing: tokio::sync::Mutex<()>,
}

impl Noting {
    /// Before this sink, with this file.
    pub fn new(inner: Arc<dyn Sink>, file: PositionsFile) -> Self {
        Self { inner, file: Mutex::new(file), writing: tokio::sync::Mutex::default() }
    }

    /// Writes what was noted, every second, until `done`; and once more then.
    pub async fn keep_writing(self: Arc<Self>, done: CancellationToken) {
        while !done.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(WRITE_EVERY) => {}
                () = done.cancelled() => {}
            }
            self.write().await;
        }
    }

    /// Writes what was noted; deliveries go on meanwhile.
    async fn write(&self) {
        let _writing = self.writing.lock().await;
        let (path, text) = {
            let mut file = self.lock();
            (file.path.clone(), file.unwritten())
        };
        let Some(text) = text else { return };
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        if let Err(error) = written.map_err(io::Error::other).and_then(|written| written) {
            self.lock().changed = true;
            tracing::warn!(%error, "positions cannot be written: a restart now would send lines again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, PositionsFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sink for Noting {
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        // By what a file was known when its lines were sent is noted before, so that they are told from others if they are
        // sent again, though the file may have been compressed or truncated by then.
        let new = self.lock().begin(&batch.positions);
        if new {
            self.write().await;
        }
        self.inner.deliver(Arc::clone(&batch)).await?;
        self.lock().note(&batch.positions);
        Ok(())
    }
}
