//! Records to bytes and back: the encodings of journal records and segment blocks, by column, before compression.
//! Reading is total: any bytes give records or [`Damaged`]. Compression, checksums and files live with journal and segments.

mod cuts;
mod log_parts;
mod logs;
mod metrics;
mod primitive;
mod spans;

pub use cuts::Cut;
pub use log_parts::{LogParts, encode_log_block};
pub use logs::{Frame, FrameTexts, LogBlock, Whole, decode_logs, encode_logs};
pub use metrics::{decode_family, decode_metrics, encode_family, encode_metrics};
pub use primitive::{Damaged, Input, Output};
pub use spans::{decode_spans, encode_spans};

use parsers::record::{Batch, FileId, Position};
use std::sync::Arc;

/// A whole batch, as the journal keeps it.
pub fn encode_batch(batch: &Batch) -> Vec<u8> {
    let mut out = Output::with_capacity(batch.size());
    encode_logs(&batch.logs, &mut out);
    encode_spans(&batch.spans, &mut out);
    encode_metrics(&batch.metrics, &mut out);
    encode_positions(&batch.positions, &mut out);
    out.into_bytes()
}

/// Reads [`encode_batch`] back.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch, Damaged> {
    let mut input = Input::new(bytes);
    Ok(Batch {
        logs: decode_logs(&mut input)?,
        spans: decode_spans(&mut input)?,
        metrics: decode_metrics(&mut input)?,
        positions: decode_positions(&mut input)?,
    })
}

/// A file's identity.
pub fn encode_file(file: FileId, out: &mut Output) {
    out.fixed64(file.device);
    out.fixed64(file.inode);
    out.fixed64(file.head);
}

/// Reads [`encode_file`] back.
pub fn decode_file(input: &mut Input<'_>) -> Result<FileId, Damaged> {
    Ok(FileId { device: input.fixed64()?, inode: input.fixed64()?, head: input.fixed64()? })
}

/// Positions of files.
pub fn encode_positions(positions: &[Position], out: &mut Output) {
    out.varint(positions.len() as u64);
    for p in positions {
        out.bytes(p.agent.as_bytes());
        encode_file(p.file, out);
        out.varint(p.offset);
        out.varint(p.resume);
        p.held.iter().for_each(|held| out.varint(*held));
        out.fixed64(p.marker);
        out.bytes(p.path.as_bytes());
        out.varint(p.time);
    }
}

/// Reads [`encode_positions`] back.
pub fn decode_positions(input: &mut Input<'_>) -> Result<Vec<Position>, Damaged> {
    let count = input.count()?;
    let mut positions = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        positions.push(Position {
            agent: Arc::from(input.text()?),
            file: decode_file(input)?,
            offset: input.varint()?,
            resume: input.varint()?,
            held: [input.varint()?, input.varint()?],
            marker: input.fixed64()?,
            path: Arc::from(input.text()?),
            time: input.varint()?,
        });
    }
    Ok(positions)
}
