//! Fields of our own in an `ExportLogsServiceRequest`, by which an agent tells a Trefoil what OTLP has no words for: the stream's
//! labels and the metadata as they are, the file and offset of each record, and how far each file has been read. With
//! them a request that is sent again is stored once. Their numbers are far from any that OTLP uses, so other endpoints skip
//! them, and a Trefoil that knows none reads a plain request.

use std::ops::Range;
use std::sync::Arc;

use crate::record::{FileId, LogBatch, LogRow, Position, push_pair};

use super::decode::fields;
use super::{Field, Writer};

/// In the request: a [`Position`], repeated.
pub(super) const POSITION: u32 = 20_001;
/// In the request: a [`FileId`], repeated; records name them by their place.
pub(super) const FILE: u32 = 20_002;
/// In the request: the name of a derived rule, repeated; records name them by their place.
pub(super) const RULE: u32 = 20_003;
/// In `ResourceLogs`: the stream's labels, as [`crate::record::Pairs`].
pub(super) const LABELS: u32 = 20_001;
/// In `LogRecord`: [`Origin`].
pub(super) const ORIGIN: u32 = 20_001;
/// In `LogRecord`: the metadata, as [`crate::record::Pairs`].
pub(super) const METADATA: u32 = 20_002;

/// Most files, positions and rules that a request may name, each: many times what a node has. One can be four bytes on the wire
/// and over a hundred in memory, so the body's own limit does not bound them.
pub(super) const MAX_NAMED: usize = u16::MAX as usize;

/// Bytes of an agent's name or of a path: `PATH_MAX`.
const MAX_TEXT: usize = 4096;

/// The request for some rows of a batch. Positions are those that hold once these rows are stored, if all rows before them
/// are: a batch may go in parts, in order.
pub fn encode_own_logs(logs: &LogBatch, rows: Range<usize>, positions: &[Position], out: &mut Vec<u8>) {
    let last = rows.end >= logs.rows.len();
    let later = logs.rows.get(rows.end..).unwrap_or_default();
    let rows = logs.rows.get(rows).unwrap_or_default();
    for position in positions {
        let of_file = |row: &&LogRow| file_of(logs, row) == Some(position.file);
        if last || !later.iter().any(|row| of_file(&row)) {
            write_position(position, out);
        } else if let Some(row) = rows.iter().rev().find(of_file) {
            // Records that stages let go at once share an offset: it counts when the last of them is sent.
            let next = later.iter().find(of_file).map_or(u64::MAX, |row| row.offset);
            let offset = row.offset.saturating_add(1).min(next);
            write_position(&Position { offset, resume: offset, held: [offset; 2], ..position.clone() }, out);
        }
    }
    for file in &logs.files {
        Writer::new(out).message(FILE, |out| write_file(*file, out));
    }
    for rule in &logs.rules {
        Writer::new(out).always_bytes(RULE, rule.as_bytes());
    }
    let mut by_stream: Vec<&LogRow> = rows.iter().collect();
    by_stream.sort_by_key(|row| row.stream);
    for group in by_stream.chunk_by(|a, b| a.stream == b.stream) {
        Writer::new(out).message(1, |out| stream(logs, group, out));
    }
}

fn file_of(logs: &LogBatch, row: &LogRow) -> Option<FileId> {
    (row.file as usize).checked_sub(1).and_then(|i| logs.files.get(i)).copied()
}

fn stream(logs: &LogBatch, group: &[&LogRow], out: &mut Vec<u8>) {
    let Some(labels) = group.first().and_then(|row| logs.streams.get(row.stream as usize)) else { return };
    let mut pairs = Vec::new();
    labels.iter().for_each(|(name, value)| push_pair(&mut pairs, name, value));
    Writer::new(out).always_bytes(LABELS, &pairs);
    Writer::new(out).message(2, |out| {
        for row in group {
            Writer::new(out).message(2, |out| record(logs, row, out));
        }
    });
}

fn record(logs: &LogBatch, row: &LogRow, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.fixed64(1, row.time);
    writer.varint(2, row.severity.number());
    writer.message(5, |out| {
        // A string of OTLP has to be UTF-8; what is not goes as bytes, unharmed.
        let line = logs.line(row);
        let field = if std::str::from_utf8(line).is_ok() { 1 } else { 7 };
        Writer::new(out).always_bytes(field, line);
    });
    if row.trace != 0 {
        writer.bytes(9, &row.trace.to_be_bytes());
        if row.span != 0 {
            writer.bytes(10, &row.span.to_be_bytes());
        }
    }
    writer.fixed64(11, row.observed);
    writer.message(ORIGIN, |out| {
        let mut writer = Writer::new(out);
        writer.varint(1, u64::from(row.file));
        writer.varint(2, row.offset);
        writer.varint(3, u64::from(row.rule));
        writer.varint(4, u64::from(row.spelling.code()));
    });
    writer.bytes(METADATA, row.meta.of(&logs.meta));
}

fn write_file(file: FileId, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.fixed64(1, file.device);
    writer.fixed64(2, file.inode);
    writer.fixed64(3, file.head);
}

/// Reads what was written of a file.
pub(super) fn read_file(bytes: &[u8]) -> FileId {
    let mut file = FileId::default();
    fields(bytes, |number, field| match (number, field) {
        (1, Field::Fixed64(device)) => file.device = device,
        (2, Field::Fixed64(inode)) => file.inode = inode,
        (3, Field::Fixed64(head)) => file.head = head,
        _ => {}
    });
    file
}

fn write_position(position: &Position, out: &mut Vec<u8>) {
    Writer::new(out).message(POSITION, |out| {
        let mut writer = Writer::new(out);
        writer.bytes(1, position.agent.as_bytes());
        writer.message(2, |out| write_file(position.file, out));
        writer.varint(3, position.offset);
        writer.varint(4, position.resume);
        writer.fixed64(5, position.marker);
        writer.bytes(6, position.path.as_bytes());
        writer.fixed64(7, position.time);
        let [others, stderr] = position.held;
        writer.varint(8, others);
        writer.varint(9, stderr);
    });
}

/// Reads what was written of a position.
pub(super) fn read_position(bytes: &[u8]) -> Position {
    let mut position = Position {
        agent: Arc::default(),
        file: FileId::default(),
        offset: 0,
        resume: 0,
        held: [0; 2],
        marker: 0,
        path: Arc::default(),
        time: 0,
    };
    let text = |bytes: &[u8]| Arc::from(&*String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes)));
    fields(bytes, |number, field| match (number, field) {
        (1, Field::Bytes(agent)) => position.agent = text(agent),
        (2, Field::Bytes(file)) => position.file = read_file(file),
        (3, Field::Varint(offset)) => position.offset = offset,
        (4, Field::Varint(resume)) => position.resume = resume,
        (5, Field::Fixed64(marker)) => position.marker = marker,
        (6, Field::Bytes(path)) => position.path = text(path),
        (7, Field::Fixed64(time)) => position.time = time,
        (8, Field::Varint(held)) => position.held[0] = held,
        (9, Field::Varint(held)) => position.held[1] = held,
        _ => {}
    });
    position
}

/// Where a record comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin {
    /// Place of its file in the request's list, plus one.
    pub(super) file: u64,
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Place of the rule that found its id, plus one.
    pub(super) rule: u64,
    /// How its trace id was spelt.
    pub(super) spelling: u8,
}

/// Reads an [`Origin`].
pub(super) fn read_origin(bytes: &[u8]) -> Origin {
    let mut origin = Origin::default();
    fields(bytes, |number, field| match (number, field) {
        (1, Field::Varint(file)) => origin.file = file,
        (2, Field::Varint(offset)) => origin.offset = offset,
        (3, Field::Varint(rule)) => origin.rule = rule,
        (4, Field::Varint(code)) => origin.spelling = code as u8,
        _ => {}
    });
    origin
}
