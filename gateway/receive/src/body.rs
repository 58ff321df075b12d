//! A request's body: read within the limits, then decompressed within them.

use std::io::Read;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;

use crate::limits::Reservation;
use crate::trouble::Trouble;

/// How a body is compressed. Protocols mean different things by the same word of `Content-Encoding`, so each has its own
/// table of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    /// Perhaps of several members.
    Gzip,
    /// RFC 1950: what most mean by `deflate`.
    Zlib,
    /// RFC 1951 without a header: what Loki means by `deflate`.
    RawDeflate,
    Zstd,
    /// One snappy block, or snappy's framing, which is told by its first ten bytes.
    Snappy,
    /// LZ4 frames.
    Lz4,
}

/// What snappy's framing begins with.
const SNAPPY_FRAMED: &[u8] = b"\xff\x06\x00\x00sNaPpY";

impl Encoding {
    fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Zlib | Self::RawDeflate => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
        }
    }

    /// By the first two bytes, for protocols whose senders do not say it.
    pub(crate) fn sniffed(body: &[u8]) -> Self {
        match body {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // Deflate with any window, and a header that is a multiple of 31.
            [first, second, ..]
                if first & 0x0f == 8
                    && first >> 4 <= 7
                    && u16::from_be_bytes([*first, *second]) % 31 == 0 =>
            {
                Self::Zlib
            }
            _ => Self::Identity,
        }
    }

    fn reader<'b>(self, body: &'b [u8]) -> std::io::Result<Box<dyn Read + 'b>> {
        Ok(match self {
            Self::Identity => Box::new(body),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Self::Zlib => Box::new(flate2::read::ZlibDecoder::new(body)),
            Self::RawDeflate => Box::new(flate2::read::DeflateDecoder::new(body)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(body)?),
            Self::Snappy => Box::new(snap::read::FrameDecoder::new(body)),
            Self::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(body)),
        })
    }

    fn is_block(self, body: &[u8]) -> bool {
        self == Self::Snappy && !body.starts_with(SNAPPY_FRAMED)
    }
}

/// Bytes that there is room for before they are there: bodies of most senders, and little enough to be claimed by many.
const MAX_RESERVED: usize = 256 * 1024;

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(mut body: Body, max: usize, held: &mut Reservation) -> Result<Vec<u8>, Trouble> {
    // As long as its head says, if that is not much.
    let claimed = body.size_hint().exact().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    let mut out = Vec::with_capacity(claimed.min(max).min(MAX_RESERVED));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Trouble::Malformed(format!("the body broke off: {error}")))?;
        let Ok(data): Result<Bytes, _> = frame.into_data() else { continue };
        if out.len() + data.len() > max {
            return Err(Trouble::TooLarge(max));
        }
        if !held.grow(data.len()) {
            return Err(Trouble::busy());
        }
        out.extend_from_slice(&data);
    }
    Ok(out)
}

/// Undoes the compression of a body; at most `max` bytes may come out.
pub(crate) fn decompress(
    body: Vec<u8>,
    encoding: Encoding,
    max: usize,
    held: &mut Reservation,
) -> Result<Vec<u8>, Trouble> {
    let bad = |error: std::io::Error| Trouble::Malformed(format!("bad {} body: {error}", encoding.as_str()));
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    if encoding.is_block(&body) {
        return snappy_block(&body, max, |len| held.grow(len));
    }
    inflate(encoding.reader(&body).map_err(bad)?, max, held, bad)
}

/// Undoes one block of snappy, if `room` has some for what comes out.
pub(crate) fn snappy_block(
    body: &[u8],
    max: usize,
    room: impl FnOnce(usize) -> bool,
) -> Result<Vec<u8>, Trouble> {
    let bad = |error: snap::Error| Trouble::Malformed(format!("bad snappy body: {error}"));
    // The declared length is looked at before anything is allocated.
    let len = snap::raw::decompress_len(body).map_err(bad)?;
    if len > max {
        return Err(Trouble::TooLarge(max));
    }
    if !room(len) {
        return Err(Trouble::busy());
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(bad)
}

/// Undoes the compression of a body as long as no more than `most` bytes come out of it; `None` if there are more, or if
/// the body is bad, which [`decompress`] then says. Holds nothing of the budget: the caller counts what came out.
pub(crate) fn decompress_within(body: &[u8], encoding: Encoding, most: usize) -> Option<Vec<u8>> {
    if encoding.is_block(body) {
        let few = snap::raw::decompress_len(body).is_ok_and(|len| len <= most);
        return few.then(|| snap::raw::Decoder::new().decompress_vec(body).ok()).flatten();
    }
    let mut out = Vec::new();
    encoding.reader(body).ok()?.take(most as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() <= most).then_some(out)
}

/// Bytes decompressed before the next look at the limits.
const STEP: usize = 64 * 1024;

fn inflate(
    mut reader: impl Read,
    max: usize,
    held: &mut Reservation,
    bad: impl Fn(std::io::Error) -> Trouble,
) -> Result<Vec<u8>, Trouble> {
    let mut out = Vec::new();
    loop {
        let got = reader.by_ref().take(STEP as u64).read_to_end(&mut out).map_err(&bad)?;
        if got == 0 {
            return Ok(out);
        }
        if out.len() > max {
            return Err(Trouble::TooLarge(max));
        }
        if !held.grow(got) {
            return Err(Trouble::busy());
        }
    }
}
