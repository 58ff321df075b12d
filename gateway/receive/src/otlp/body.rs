//! A request's body: read within the limits, then decompressed within them.

use std::io::Read;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;

use super::error::Trouble;
use super::limits::Reservation;

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(mut body: Body, max: usize, held: &mut Reservation) -> Result<Vec<u8>, Trouble> {
    let mut out = Vec::new();
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

/// Undoes a `Content-Encoding`. `deflate` is zlib (RFC 1950), as the collector has it.
pub(crate) fn decompress(
    body: Vec<u8>,
    encoding: &str,
    max: usize,
    held: &mut Reservation,
) -> Result<Vec<u8>, Trouble> {
    let bad = |error: std::io::Error| Trouble::Malformed(format!("bad {encoding} body: {error}"));
    match encoding {
        "" | "identity" => Ok(body),
        "gzip" => inflate(flate2::read::MultiGzDecoder::new(&body[..]), max, held, bad),
        "deflate" => inflate(flate2::read::ZlibDecoder::new(&body[..]), max, held, bad),
        "zstd" => inflate(zstd::stream::read::Decoder::new(&body[..]).map_err(bad)?, max, held, bad),
        other => Err(Trouble::Malformed(format!(
            "unknown Content-Encoding {other}: expected gzip, zstd, deflate or none"
        ))),
    }
}

/// Undoes a `Content-Encoding` as long as no more than `most` bytes come out of it; `None` if there are more, or if the
/// body is bad, which [`decompress`] then says. Holds nothing of the budget: the caller counts what came out.
pub(crate) fn decompress_within(body: &[u8], encoding: &str, most: usize) -> Option<Vec<u8>> {
    match encoding {
        "gzip" => few(flate2::read::MultiGzDecoder::new(body), most),
        "deflate" => few(flate2::read::ZlibDecoder::new(body), most),
        "zstd" => few(zstd::stream::read::Decoder::new(body).ok()?, most),
        _ => None,
    }
}

fn few(reader: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(most as u64 + 1).read_to_end(&mut out).ok()?;
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
