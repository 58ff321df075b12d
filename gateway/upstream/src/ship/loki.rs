//! Rows of a batch as Loki's `PushRequest`.
//!
//! What a line's stream shares (its labels, and the file, which Promtail makes a label, too) are stream labels; ids, level and
//! all other metadata are structured metadata.

use std::fmt::Write as _;
use std::ops::Range;

use parsers::otlp::Writer;
use parsers::record::{LogBatch, LogRow, Severity, SpanId, TENANT, TraceId};

/// Metadata that is the same on all lines of a file: the file's name says them all.
const OF_FILE: [&str; 3] = ["filename", "pod_uid", "restart"];
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
const LEVEL: &str = "detected_level";
const NANOS: u64 = 1_000_000_000;

/// The request for these rows, grouped by stream and file; within these in their order.
pub(super) fn request(logs: &LogBatch, rows: Range<usize>, out: &mut Vec<u8>) {
    let rows = logs.rows.get(rows).unwrap_or_default();
    let mut by_stream: Vec<&LogRow> = rows.iter().collect();
    by_stream.sort_by_key(|row| (row.stream, row.file));
    let mut scratch = String::new();
    for group in by_stream.chunk_by(|a, b| (a.stream, a.file) == (b.stream, b.file)) {
        Writer::new(out).message(1, |out| stream(logs, group, &mut scratch, out));
    }
}

fn stream(logs: &LogBatch, group: &[&LogRow], scratch: &mut String, out: &mut Vec<u8>) {
    let Some(first) = group.first() else { return };
    scratch.clear();
    let labels = logs.streams.get(first.stream as usize).into_iter().flat_map(|labels| labels.iter());
    let file = logs.metadata(first).filter(|(name, _)| *name == OF_FILE[0]);
    for (name, value) in labels.chain(file) {
        scratch.push(if scratch.is_empty() { '{' } else { ',' });
        scratch.push_str(name);
        scratch.push('=');
        quoted(value, scratch);
    }
    // Loki takes no stream without labels.
    scratch.push_str(if scratch.is_empty() { "{service_name=\"unknown_service\"}" } else { "}" });
    Writer::new(out).bytes(1, scratch.as_bytes());
    for row in group {
        Writer::new(out).message(2, |out| entry(logs, row, scratch, out));
    }
}

/// As Go reads a quoted string: three characters cannot stand for themselves.
fn quoted(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn entry(logs: &LogBatch, row: &LogRow, scratch: &mut String, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.message(1, |out| {
        let mut time = Writer::new(out);
        time.varint(1, row.time / NANOS);
        time.varint(2, row.time % NANOS);
    });
    // A string of protobuf has to be UTF-8.
    let line = logs.line(row);
    match std::str::from_utf8(line) {
        Ok(line) => writer.bytes(2, line.as_bytes()),
        Err(_) => writer.bytes(2, String::from_utf8_lossy(line).as_bytes()),
    }
    let (trace, span) = (TraceId::new(row.trace, row.spelling), SpanId::new(row.span));
    let level = Some(row.severity).filter(|severity| *severity != Severity::Unknown);
    if let Some(id) = trace {
        digits(scratch, id);
        pair(out, TRACE_ID, scratch);
    }
    if let Some(id) = span {
        digits(scratch, id);
        pair(out, SPAN_ID, scratch);
    }
    if let Some(level) = level {
        pair(out, LEVEL, level.as_str());
    }
    let mut metadata = logs.metadata(row);
    while let Some((name, value)) = metadata.next_bytes() {
        if OF_FILE.iter().any(|of_file| of_file.as_bytes() == name) {
            continue;
        }
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else { continue };
        // Names that a stage gave, too, are said once.
        let said = match name {
            TRACE_ID => trace.is_some(),
            SPAN_ID => span.is_some(),
            LEVEL => level.is_some(),
            // In the request's header.
            TENANT => true,
            _ => false,
        };
        if !said {
            pair(out, name, value);
        }
    }
}

fn digits(scratch: &mut String, id: impl std::fmt::Display) {
    scratch.clear();
    // Writing to a string does not fail.
    let _ = write!(scratch, "{id}");
}

fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    Writer::new(out).message(3, |out| {
        let mut out = Writer::new(out);
        out.bytes(1, name.as_bytes());
        out.bytes(2, value.as_bytes());
    });
}
