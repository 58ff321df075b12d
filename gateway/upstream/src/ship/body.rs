//! A request's body: encoded once, sent as often as it takes.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use flate2::write::GzEncoder;
use parsers::otlp::encode_own_logs;
use parsers::record::{LogBatch, Position};

use super::{Protocol, loki, otlp};

/// Level of zstd: the fastest that still halves what the level below leaves.
const ZSTD_LEVEL: i32 = 1;

/// A body as it goes over the wire.
pub(super) struct Body {
    pub bytes: Bytes,
    /// `Content-Encoding`.
    pub encoding: Option<&'static str>,
    /// Bytes before compression.
    pub plain: usize,
}

/// The body of these rows.
pub(super) fn encode(
    protocol: Protocol,
    logs: &LogBatch,
    positions: &[Position],
    rows: Range<usize>,
) -> Body {
    let mut plain = Vec::with_capacity(logs.size() + logs.size() / 4);
    let (compressed, encoding) = match protocol {
        Protocol::Trefoil => {
            encode_own_logs(logs, rows, positions, &mut plain);
            (zstd::bulk::compress(&plain, ZSTD_LEVEL).ok(), Some("zstd"))
        }
        Protocol::Otlp => {
            otlp::request(logs, rows, &mut plain);
            (gzip(&plain).ok(), Some("gzip"))
        }
        Protocol::Loki => {
            loki::request(logs, rows, &mut plain);
            // Snappy is part of Loki's protocol, and not told in a header. It fails beyond 4 GiB only.
            (Some(snap::raw::Encoder::new().compress_vec(&plain).unwrap_or_default()), None)
        }
    };
    let size = plain.len();
    match compressed {
        Some(bytes) => Body { bytes: bytes.into(), encoding, plain: size },
        // What cannot be compressed goes as it is.
        None => Body { bytes: plain.into(), encoding: None, plain: size },
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
