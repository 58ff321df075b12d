//! The batch being filled: lines in, rows out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::container::{ContainerLine, Stream};
use parsers::derived::{Derived, Deriver, LineSource};
use parsers::line::severity_of_level;
use parsers::record::{FileId, Labels, LogBatch, LogRow, Severity, SpanId, TENANT, TraceId, push_pair};
use parsers::stage::{Entry, Fields};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::report::ContainerReport;

/// What is said once for all rows of one container in one batch.
pub(crate) struct Origin {
    /// By [`Stream`].
    pub labels: [Arc<Labels>; 3],
    /// Metadata of every row, as `parsers::record::push_pair` writes it.
    pub metadata: Vec<u8>,
    /// Figures.
    pub report: Arc<ContainerReport>,
    /// Number of the batch, and the index of each stream in it.
    pub slots: (u64, [Option<u32>; 3]),
}

impl Origin {
    /// A line as stages take it.
    pub fn entry(&self, line: &ContainerLine<'_>, now: u64) -> Entry {
        if std::str::from_utf8(line.text).is_err() {
            self.report.invalid_utf8.fetch_add(1, Ordering::Relaxed);
        }
        let labels = self.labels.get(line.stream as usize).map(|labels| labels.iter().collect());
        let labels: Fields = labels.unwrap_or_default();
        // Stages may take any label, and the path, for their source.
        let mut extracted = labels.clone();
        extracted.set("filename", &*self.report.path);
        Entry {
            labels,
            extracted,
            offset: line.offset,
            began: Some(line.began),
            truncated: line.truncated,
            ..Entry::new(line.time.unwrap_or(now), line.text)
        }
    }
}

/// What a source or a stage knows of a record in fields of its own: it counts more than what the line says.
#[derive(Debug, Default)]
struct Known {
    trace: Option<TraceId>,
    span: Option<SpanId>,
    severity: Severity,
}

impl Known {
    /// Takes the ids and the level out of the metadata; what is none stays.
    fn take(metadata: &mut Fields) -> Self {
        let mut known = Self::default();
        if metadata.is_empty() {
            return known;
        }
        let span = |text: &str| SpanId::from_hex(text.as_bytes()).ok();
        known.trace = metadata.get("trace_id").and_then(|text| TraceId::from_spelling(text.as_bytes()).ok());
        known.span = metadata.get("span_id").and_then(span).filter(|_| known.trace.is_some());
        known.severity = metadata
            .get("detected_level")
            .map_or(Severity::Unknown, |text| severity_of_level(text.as_bytes()));
        let taken = [
            ("trace_id", known.trace.is_some()),
            ("span_id", known.span.is_some()),
            ("detected_level", known.severity != Severity::Unknown),
        ];
        for (name, _) in taken.into_iter().filter(|(_, taken)| *taken) {
            metadata.remove(name);
        }
        known
    }

    fn overrule(&self, row: &mut LogRow) {
        if let Some(trace) = self.trace {
            if row.trace != trace.bits() {
                (row.rule, row.span) = (0, 0);
            }
            (row.trace, row.spelling) = (trace.bits(), trace.spelling());
            row.span = self.span.map_or(row.span, SpanId::bits);
        }
        if self.severity != Severity::Unknown {
            row.severity = self.severity;
        }
    }
}

/// Names of labels that are warned of: who makes names of data would fill the log with them.
const MAX_WARNED: usize = 64;

/// The name under which ids are looked for in metadata, whatever its spelling.
fn canonical(name: &str) -> &str {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match letters.to_ascii_lowercase().as_str() {
        "traceid" => "trace_id",
        "spanid" => "span_id",
        _ => name,
    }
}

/// The batch being filled.
pub(crate) struct Filling {
    pub logs: LogBatch,
    pub observed: u64,
    /// Counts batches from 1, so that indexes of an earlier one are not taken for this one's.
    number: u64,
    deriver: Arc<Deriver>,
    derived: Derived,
    /// Streams that stages made, in this batch.
    made: FxHashMap<Arc<Labels>, u32>,
    /// Labels of which was said that they are none.
    warned: FxHashSet<String>,
}

impl Filling {
    pub fn new(deriver: Arc<Deriver>) -> Self {
        Self {
            logs: LogBatch::default(),
            observed: 0,
            number: 1,
            deriver,
            derived: Derived::default(),
            made: FxHashMap::default(),
            warned: FxHashSet::default(),
        }
    }

    /// Other rules from the next line on.
    pub fn derive_by(&mut self, deriver: Arc<Deriver>) {
        self.deriver = deriver;
    }

    /// The records so far; the next batch begins.
    pub fn take(&mut self) -> LogBatch {
        self.number += 1;
        self.made.clear();
        // The next batch will be about as large: to grow to that by doubling costs as much as to fill it.
        let room = |used: usize| used + used / 8;
        let next = LogBatch {
            rows: Vec::with_capacity(room(self.logs.rows.len())),
            text: Vec::with_capacity(room(self.logs.text.len())),
            meta: Vec::with_capacity(room(self.logs.meta.len())),
            ..LogBatch::default()
        };
        std::mem::replace(&mut self.logs, next)
    }

    /// The index, plus one, of a file.
    pub fn file(&mut self, slot: &mut (u64, u32), id: FileId) -> u32 {
        if slot.0 != self.number {
            self.logs.files.push(id);
            *slot = (self.number, self.logs.files.len() as u32);
        }
        slot.1
    }

    /// One record.
    pub fn push(&mut self, origin: &mut Origin, file: u32, line: &ContainerLine<'_>) {
        let stream = self.stream(origin, line.stream);
        let report = &origin.report;
        report.lines.fetch_add(1, Ordering::Relaxed);
        let replaced;
        let line = if std::str::from_utf8(line.text).is_ok() {
            *line
        } else {
            report.invalid_utf8.fetch_add(1, Ordering::Relaxed);
            replaced = String::from_utf8_lossy(line.text);
            ContainerLine { text: replaced.as_bytes(), ..*line }
        };
        self.row(origin, stream, file, &line, &Fields::default());
    }

    /// One record that stages have made.
    pub fn push_entry(&mut self, origin: &mut Origin, file: u32, mut entry: Entry) {
        if let Some(tenant) = entry.tenant.take() {
            entry.metadata.set(TENANT, tenant);
        }
        let Self { warned, .. } = self;
        let metadata = &mut entry.metadata;
        let labels = Labels::within_bounds(entry.labels.iter(), &mut |name, value| {
            if warned.len() < MAX_WARNED && warned.insert(name.to_owned()) {
                tracing::warn!(
                    label = name,
                    "an id, or one label too many or too long: kept as metadata, not as a label"
                );
            }
            let name = if metadata.get(name).is_none() { canonical(name) } else { name };
            metadata.set(name, value);
        });
        let labels = Arc::new(labels);
        let streams = &mut self.logs.streams;
        let stream = *self.made.entry(labels).or_insert_with_key(|labels| {
            streams.push(Arc::clone(labels));
            streams.len() as u32 - 1
        });
        origin.report.lines.fetch_add(1, Ordering::Relaxed);
        let known = Known::take(&mut entry.metadata);
        self.row(origin, stream, file, &entry.as_line(), &entry.metadata);
        if let Some(row) = self.logs.rows.last_mut() {
            known.overrule(row);
        }
    }

    /// A trace id that a line names, for what is counted of the line.
    pub fn trace_of(&mut self, line: &[u8]) -> Option<TraceId> {
        self.deriver.derive(line, &mut self.derived);
        self.derived.trace
    }

    fn row(&mut self, origin: &Origin, stream: u32, file: u32, line: &ContainerLine<'_>, metadata: &Fields) {
        self.deriver.derive(line.text, &mut self.derived);
        if let Some(rule) = self.derived.rule {
            origin.report.link(rule);
        }
        let source = LineSource { stream, file, observed: self.observed };
        self.deriver.append(&mut self.logs, line, &self.derived, source);
        for (name, value) in metadata.iter() {
            push_pair(&mut self.logs.meta, name, value);
        }
        self.logs.meta.extend_from_slice(&origin.metadata);
        let end = self.logs.meta.len() as u32;
        if let Some(row) = self.logs.rows.last_mut() {
            row.meta.end = end;
        }
    }

    fn stream(&mut self, origin: &mut Origin, stream: Stream) -> u32 {
        if origin.slots.0 != self.number {
            origin.slots = (self.number, [None; 3]);
        }
        let (Some(slot), Some(labels)) =
            (origin.slots.1.get_mut(stream as usize), origin.labels.get(stream as usize))
        else {
            return 0;
        };
        *slot.get_or_insert_with(|| {
            self.logs.streams.push(Arc::clone(labels));
            self.logs.streams.len() as u32 - 1
        })
    }
}
