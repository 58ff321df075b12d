//! What a push holds, whatever it was written in: streams whose few labels stay labels, and their entries.

use parsers::record::{Batch, Labels};

use crate::intake::{Circumstances, Decoded, Rejected};
use crate::line_times;
use crate::log_rows::{LogRows, Stream};
use crate::reasons::Reasons;

/// Labels of a stream; more of them are metadata. Loki's default limit.
const MAX_LABELS: usize = 15;
/// Bytes of a label's name; a longer one is cut. Loki's default limit.
const MAX_NAME: usize = 1024;
/// Bytes of a label's value; what is longer is metadata. Loki's default limit.
const MAX_VALUE: usize = 2048;

/// Labels that stay labels before all others, should there be too many: those that tailed lines have.
const FIRST: [&str; 9] =
    ["service_name", "namespace", "pod", "container", "node", "stream", "cluster", "app", "job"];

/// Labels that name the service where no `service_name` does, in the order in which Loki looks at them.
const SERVICE: [&str; 10] = [
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "component",
    "workload",
    "job",
];

/// What Loki calls a service that nothing names.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// What becomes of a request.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub taken: u64,
    pub streams: u64,
    pub rejected: Reasons,
}

/// Records of one request.
pub(super) struct Pushed<'d> {
    rows: LogRows<'d>,
    /// Room for the text of one line.
    buffer: String,
    outcome: Outcome,
}

impl<'d> Pushed<'d> {
    pub(super) fn new(at: &'d Circumstances) -> Self {
        Self { rows: LogRows::new(at), buffer: String::new(), outcome: Outcome::default() }
    }

    /// A stream by its labels, of which few stay labels.
    pub(super) fn stream<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Stream {
        self.outcome.streams += 1;
        let mut stream = Stream::default();
        let mut kept: Vec<(String, &str)> = Vec::new();
        for (name, value) in labels {
            let name = label_name(name);
            // A trace id is never a label: each request would be a stream of its own.
            let is_id = matches!(parsers::line::meaning(&name), Some(parsers::line::Meaning::Id(_)));
            if is_id || value.len() > MAX_VALUE {
                stream.add(&name, value);
            } else if !value.is_empty() {
                kept.push((name, value));
            }
        }
        if kept.iter().all(|(name, _)| name != "service_name") {
            let found = SERVICE.iter().find_map(|wanted| kept.iter().find(|(name, _)| name == wanted));
            let service = found.map_or(UNKNOWN_SERVICE, |(name, value)| match value.rsplit_once('/') {
                // Prometheus' `job` of Kubernetes is `namespace/name`.
                Some((_, service)) if name == "job" && !service.is_empty() => service,
                _ => value,
            });
            kept.push(("service_name".to_owned(), service));
        }
        kept.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
        for (name, value) in kept.iter().skip(MAX_LABELS) {
            stream.add(name, value);
        }
        kept.truncate(MAX_LABELS);
        for (name, value) in &kept {
            stream.look_at(name, value);
        }
        self.rows.label(&mut stream, Labels::new(kept.iter().map(|(name, value)| (name.as_str(), *value))));
        stream
    }

    /// An entry of a stream.
    pub(super) fn entry<'f>(
        &mut self,
        stream: &Stream,
        time: Option<u64>,
        line: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) {
        let Some(time) = time else { return self.reject(line_times::EXPECTED) };
        let mut cleaned = Vec::new();
        let mut fields: Vec<(&str, &str)> = fields.into_iter().collect();
        if fields.iter().any(|(name, _)| !is_name(name)) {
            cleaned.extend(fields.iter().map(|(name, _)| label_name(name)));
            for ((name, _), cleaned) in fields.iter_mut().zip(&cleaned) {
                *name = cleaned;
            }
        }
        match self.rows.push(stream, Some(time), line, fields) {
            Ok(()) => self.outcome.taken += 1,
            Err(reason) => self.reject(reason),
        }
    }

    /// A buffer for the text of one line, to be given back.
    pub(super) fn take_buffer(&mut self) -> String {
        std::mem::take(&mut self.buffer)
    }

    /// What was taken, for the next line.
    pub(super) fn give_back(&mut self, buffer: String) {
        self.buffer = buffer;
    }

    /// An entry that cannot be taken.
    pub(super) fn reject(&mut self, reason: &'static str) {
        self.outcome.rejected.add(reason);
    }

    /// The batch, and what was left out of it.
    pub(super) fn finish(self) -> Decoded<Outcome> {
        let rejected = Rejected { logs: self.outcome.rejected.total(), ..Rejected::default() };
        let batch = Batch { logs: self.rows.finish(), ..Batch::default() };
        Decoded { batch, rejected, told: self.outcome }
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A label's name as Prometheus has them.
fn label_name(name: &str) -> String {
    let name = name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default();
    let mut name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
