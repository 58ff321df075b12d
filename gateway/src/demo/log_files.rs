//! CRI log files in the kubelet's layout, `<namespace>_<pod>_<uid>/<container>/0.log`, rotated by rename.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use parsers::record::format_rfc3339;
use tokio::sync::mpsc;

use super::services::{NAMESPACE, Pod, Spec};

/// Size at which a file is rotated. The kubelet's default is 10 MiB; less makes rotation happen while one watches.
const ROTATE_BYTES: u64 = 1_000_000;
/// Older generations kept beside the file being written: enough that a slow reader finds them, bounded for days of running.
const KEEP: usize = 2;
/// Of so many lines one is written in two parts, as a runtime does whose buffer filled up.
const SPLIT_EVERY: u64 = 29;
/// Lines on the way to the files. At some 30 a second this is over a minute of a stalled disk; more are dropped.
pub(super) const QUEUE: usize = 2048;

/// One line of a container.
#[derive(Debug)]
pub(super) struct Line {
    /// Who wrote it.
    pub(super) pod: Pod,
    /// When, in nanoseconds since the epoch.
    pub(super) time: u64,
    /// To stderr rather than stdout.
    pub(super) stderr: bool,
    /// The text, without a line end.
    pub(super) text: String,
}

/// Writes lines until the last sender is gone. Blocking: run it on a thread for that. What cannot be written is dropped
/// after one warning.
pub(super) fn write_all(pods_dir: &Path, mut lines: mpsc::Receiver<Line>) {
    let mut files: Vec<(Pod, LogFile)> = Vec::new();
    let mut warned = false;
    while let Some(line) = lines.blocking_recv() {
        if let Err(error) = write(pods_dir, &mut files, &line)
            && !warned
        {
            warned = true;
            tracing::warn!(%error, dir = %pods_dir.display(), "the shop cannot write its logs");
        }
    }
}

fn write(pods_dir: &Path, files: &mut Vec<(Pod, LogFile)>, line: &Line) -> std::io::Result<()> {
    let Some((_, file)) = files.iter_mut().find(|(pod, _)| *pod == line.pod) else {
        files.push((line.pod, LogFile::open(folder(pods_dir, line.pod.spec()), ROTATE_BYTES)?));
        return write(pods_dir, files, line);
    };
    file.append(line)
}

/// Where a pod's container logs.
pub(super) fn folder(pods_dir: &Path, spec: &Spec) -> PathBuf {
    pods_dir.join(format!("{NAMESPACE}_{}_{}", spec.pod, spec.uid)).join(spec.service)
}

/// The file of one container and its older generations.
#[derive(Debug)]
pub(super) struct LogFile {
    folder: PathBuf,
    file: File,
    bytes: u64,
    rotate_bytes: u64,
    lines: u64,
    /// Names of older generations, the oldest first.
    older: Vec<PathBuf>,
}

impl LogFile {
    /// Creates the folder and opens `0.log` in it.
    pub(super) fn open(folder: PathBuf, rotate_bytes: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let file = Self::current(&folder)?;
        let bytes = file.metadata()?.len();
        let mut older = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("0.log.")) {
                older.push(path);
            }
        }
        // Their names hold the time.
        older.sort();
        Ok(Self { folder, file, bytes, rotate_bytes, lines: 0, older })
    }

    fn current(folder: &Path) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(folder.join("0.log"))
    }

    /// Writes one line, in two parts now and then, and rotates when the file is full.
    pub(super) fn append(&mut self, line: &Line) -> std::io::Result<()> {
        self.lines += 1;
        let time = format_rfc3339(line.time);
        let stream = if line.stderr { "stderr" } else { "stdout" };
        let middle = line.text.len() / 2;
        let records = match line.text.split_at_checked(middle) {
            Some((head, tail)) if self.lines.is_multiple_of(SPLIT_EVERY) && !head.is_empty() => {
                format!("{time} {stream} P {head}\n{time} {stream} F {tail}\n")
            }
            _ => format!("{time} {stream} F {}\n", line.text),
        };
        self.file.write_all(records.as_bytes())?;
        self.bytes += records.len() as u64;
        if self.bytes >= self.rotate_bytes {
            self.rotate(line.time)?;
        }
        Ok(())
    }

    fn rotate(&mut self, time: u64) -> std::io::Result<()> {
        // As the kubelet names them; the nanoseconds keep two rotations of one second apart.
        let stamp: String = format_rfc3339(time).chars().filter(char::is_ascii_digit).collect();
        let (day, rest) = stamp.split_at_checked(8).unwrap_or_default();
        let older = self.folder.join(format!("0.log.{day}-{rest}"));
        match std::fs::rename(self.folder.join("0.log"), &older) {
            Ok(()) => self.older.push(older),
            // Somebody tidied up; a new file is begun all the same.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.file = Self::current(&self.folder)?;
        self.bytes = 0;
        while self.older.len() > KEEP {
            match std::fs::remove_file(self.older.remove(0)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
