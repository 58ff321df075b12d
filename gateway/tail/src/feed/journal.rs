//! The journal of systemd, through `journalctl`, which knows all versions of its files. A cursor that was noted with the records
//! says where to go on.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use parsers::journal::{Cursor, Decoder, Entry, Limits};
use parsers::line::severity_of_syslog;
use parsers::record::{FileId, Position};
use parsers::stage::Fields;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::inlet::{Inlet, Place, Record};
use super::pump::Pump;
use super::streams::Streams;
use super::{FeedOptions, Means, NO_DEVICE};
use crate::run::now;

/// Name in figures.
const NAME: &str = "journal";

/// Label `job`.
const JOB: &str = "systemd-journal";

/// Before the cursor, where positions of files have a path.
const CURSOR: &str = "journal:";

/// Bytes read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Bytes of a field other than the message: command lines are the longest that are of use.
const MAX_VALUE: usize = 16 * 1024;

/// Bytes of an entry beside its message.
const MAX_FIELDS: usize = 256 * 1024;

/// First wait before `journalctl` is started again.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// Longest wait before it is.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Between the end of its output and its own.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What to read, and how.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// `journalctl`, or what stands in for it.
    pub program: PathBuf,
    /// Folder of the journal, if not the machine's own.
    pub directory: Option<PathBuf>,
    /// How far back a first run goes.
    pub max_age: Duration,
    /// Whether a record is its whole entry, as JSON, and not its message.
    pub json: bool,
    /// Which entries, as `journalctl` takes them.
    pub matches: Vec<String>,
    /// What is done to them.
    pub feed: FeedOptions,
}

/// Reads until the shutdown, from where these positions say.
pub async fn journal(options: JournalOptions, known: &[Position], means: Means) {
    let known: Vec<Position> =
        known.iter().filter(|p| p.file.device == NO_DEVICE && p.path.starts_with(CURSOR)).cloned().collect();
    let newest = known.iter().max_by_key(|position| position.time);
    let cursor = newest.and_then(|position| position.path.strip_prefix(CURSOR)).map(str::to_owned);
    let streams = Streams::new(NAME, JOB, &options.feed, &known, &means);
    let (inlet, queue) = Inlet::new();
    let (shutdown, batch_bytes) = (means.shutdown.clone(), options.feed.batch_bytes);
    let reader = Reader { options, inlet, cursor, since: now(), shutdown };
    tokio::join!(reader.run(), Pump::new(streams, means, batch_bytes).run(queue));
}

/// Keeps a `journalctl` running.
struct Reader {
    options: JournalOptions,
    inlet: Inlet,
    /// Of the last entry.
    cursor: Option<String>,
    /// When this began: a first run looks back from here.
    since: u64,
    shutdown: CancellationToken,
}

impl Reader {
    /// Ends at the shutdown, and when nobody takes records any more.
    async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let before = self.cursor.clone();
            let ended = match self.start() {
                Ok(mut child) => {
                    let shutdown = self.shutdown.clone();
                    let ended = shutdown.run_until_cancelled(self.follow(&mut child)).await.flatten();
                    if let Err(error) = child.kill().await {
                        tracing::warn!(%error, "journalctl could not be ended");
                    }
                    let Some(ended) = ended else { return };
                    ended
                }
                Err(error) => error.to_string(),
            };
            if self.cursor != before {
                backoff = FIRST_BACKOFF;
            }
            // So that the agents of a cluster, restarted at once, do not all ask at once.
            let jitter = backoff.mul_f64((xxh3_64(&now().to_le_bytes()) % 1000) as f64 / 1000.0);
            let (program, wait) = (self.options.program.display(), backoff / 2 + jitter / 2);
            tracing::warn!(
                wait_ms = wait.as_millis() as u64,
                "{program} has ended and is started again: {ended}"
            );
            if self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.options.program);
        command.args(["--follow", "--no-tail", "--all", "--quiet", "--output=export"]);
        if let Some(directory) = &self.options.directory {
            let mut argument = OsString::from("--directory=");
            argument.push(directory);
            command.arg(argument);
        }
        match &self.cursor {
            // It gives that entry again, and the one after the gap if that entry is gone; `--after-cursor` may pass over one then.
            Some(cursor) => command.arg(format!("--cursor={cursor}")),
            None => {
                let since = (self.since / 1_000_000_000).saturating_sub(self.options.max_age.as_secs());
                command.arg(format!("--since=@{since}"))
            }
        };
        command.args(&self.options.matches);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()
    }

    /// Reads what it writes, and gives how it ended; `None` if nobody takes records any more.
    async fn follow(&mut self, child: &mut Child) -> Option<String> {
        let (Some(mut output), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
            return Some("it has no output".into());
        };
        let done = CancellationToken::new();
        let _guard = done.clone().drop_guard();
        tokio::spawn(done.run_until_cancelled_owned(tell(complaints)));
        let message = self.options.feed.max_line;
        let limits = Limits { message, value: MAX_VALUE, entry: message + MAX_FIELDS };
        let (mut decoder, mut buffer) = (Decoder::new(limits), vec![0; CHUNK]);
        let mut entries = Vec::new();
        loop {
            match output.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => {
                    decoder.push(buffer.get(..read).unwrap_or_default(), &mut |entry| entries.push(entry));
                }
                Err(error) => return Some(error.to_string()),
            }
            for entry in entries.drain(..) {
                if !self.take(&entry).await {
                    return None;
                }
            }
        }
        match tokio::time::timeout(LAST_WORDS, child.wait()).await {
            Ok(Ok(status)) => Some(status.to_string()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it has closed its output".into()),
        }
    }

    /// `false` if nobody takes records any more.
    async fn take(&mut self, entry: &Entry) -> bool {
        let Some(cursor) = entry.text("__CURSOR") else { return true };
        if self.cursor.as_deref() == Some(&*cursor) {
            return true;
        }
        let place = place(&cursor, self.since);
        self.cursor = Some(cursor.into_owned());
        self.inlet.put(record(entry, place, &self.options)).await
    }
}

/// Where an entry stands. Cursors that do not say are told from those of other runs by the time that this one began.
fn place(cursor: &str, run: u64) -> Place {
    let parsed = Cursor::parse(cursor);
    let (source, number) = parsed.map_or((u128::from(run), 0), |cursor| (cursor.source, cursor.number));
    Place {
        file: FileId { device: NO_DEVICE, inode: (source >> 64) as u64, head: source as u64 },
        number,
        cursor: format!("{CURSOR}{cursor}").into(),
    }
}

/// How far another reader was that kept this cursor.
pub(crate) fn journal_position(agent: &str, cursor: &str, now: u64) -> Option<Position> {
    let offset = Cursor::parse(cursor)?.number.checked_add(1)?;
    let Place { file, cursor, .. } = place(cursor, now);
    let (agent, held) = (agent.into(), [offset; 2]);
    Some(Position { agent, file, offset, resume: offset, held, marker: 0, path: cursor, time: now })
}

fn record(entry: &Entry, place: Place, options: &JournalOptions) -> Record {
    let text = |name: &str| entry.text(name).unwrap_or_default().into_owned();
    let mut labels = Fields::default();
    if !options.feed.relabel.is_empty() {
        for (name, value) in entry.fields() {
            let name = format!("__journal_{}", name.to_ascii_lowercase());
            labels.set(&name, String::from_utf8_lossy(value));
        }
        if let Some(keyword) = entry.priority_keyword() {
            labels.set("__journal_priority_keyword", keyword);
        }
    }
    let mut metadata = Fields::default();
    let (unit, identifier) = (text("_SYSTEMD_UNIT"), text("SYSLOG_IDENTIFIER"));
    // Every login and every `systemd-run` has a scope of its own: too many for a label.
    let passing = unit.strip_suffix(".scope").is_some();
    if passing {
        metadata.set("unit", unit.as_str());
    } else if !unit.is_empty() {
        labels.set("unit", unit.as_str());
    }
    let service = unit.strip_suffix(".service").map(|name| name.split('@').next().unwrap_or(name));
    labels.set("service_name", service.unwrap_or(if identifier.is_empty() { JOB } else { &identifier }));
    for (name, value) in [
        ("syslog_identifier", identifier),
        ("pid", text("_PID")),
        ("hostname", text("_HOSTNAME")),
        ("trace_id", text("TRACE_ID")),
        ("span_id", text("SPAN_ID")),
    ] {
        if !value.is_empty() {
            metadata.set(name, value);
        }
    }
    // What a service writes to its output has the priority of that output, whatever the line says of itself.
    let said = entry.get("_TRANSPORT") != Some(b"stdout") || entry.priority() != Some(6);
    if let Some(priority) = entry.priority().filter(|_| said) {
        metadata.set("detected_level", severity_of_syslog(priority).as_str());
    }
    let line = if options.json { entry.to_json().into_bytes() } else { entry.message().to_vec() };
    Record {
        time: entry.time(),
        text: line,
        truncated: entry.cut,
        labels,
        metadata,
        place: Some(place),
        read: entry.size() as u64,
    }
}

/// What `journalctl` complains of goes to our own log.
async fn tell(mut complaints: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = complaints.read(&mut buffer).await {
        let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned();
        tracing::warn!("journalctl: {}", text.trim_end());
    }
}
