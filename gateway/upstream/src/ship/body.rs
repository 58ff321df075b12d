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

/// Room for making bodies: new pages for each would cost as much as what is put there.
#[derive(Debug, Default)]
pub(super) struct Room {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// The body of these rows.
pub(super) fn encode(
    protocol: Protocol,
    logs: &LogBatch,
    positions: &[Position],
    rows: Range<usize>,
    room: &mut Room,
) -> Body {
    let Room { plain, packed } = room;
    plain.clear();
    let (compressed, encoding) = match protocol {
        Protocol::Trefoil => {
            encode_own_logs(logs, rows, positions, plain);
            (zstd::bulk::compress(plain, ZSTD_LEVEL).ok(), Some("zstd"))
        }
        Protocol::Otlp => {
            otlp::request(logs, rows, plain);
            (gzip(plain).ok(), Some("gzip"))
        }
        Protocol::Loki => {
            loki::request(logs, rows, plain);
            // Snappy is part of Loki's protocol, and not told in a header. It fails beyond 4 GiB only.
            (Some(snappy(plain, packed)), None)
        }
    };
    let size = plain.len();
    match compressed {
        Some(bytes) => Body { bytes: bytes.into(), encoding, plain: size },
        // What cannot be compressed goes as it is.
        None => Body { bytes: plain.clone().into(), encoding: None, plain: size },
    }
}

fn snappy(plain: &[u8], packed: &mut Vec<u8>) -> Vec<u8> {
    let most = snap::raw::max_compress_len(plain.len());
    if packed.len() < most {
        packed.resize(most, 0);
    }
    let length = snap::raw::Encoder::new().compress(plain, packed).unwrap_or_default();
    packed.get(..length).unwrap_or_default().to_vec()
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
