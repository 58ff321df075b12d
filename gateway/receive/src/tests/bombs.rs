//! Small bodies that would become large ones.

use std::io::Write;
use std::sync::Arc;

use axum::http::Method;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::ways::{Way, ways};
use super::{Answer, ask, port, send};
use crate::kept::Kept;

/// What a bomb becomes.
const LARGE: usize = 32 << 20;
/// What a body may become.
const MAX_BODY: usize = 1 << 20;
/// Of all bodies: a bomb that were held as a whole would be told of this bound and not of the other.
const IN_FLIGHT: usize = 4 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn framed_snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = snap::write::FrameEncoder::new(Vec::new());
    out.write_all(bytes).unwrap();
    out.into_inner().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

/// The words of a way for compression, and what they mean to it.
fn compressions(way: &Way) -> Vec<(&'static str, Compress)> {
    match way.name {
        _ if way.is_grpc() => vec![("gzip", gzip), ("deflate", zlib), ("zstd", zstd), ("snappy", snappy)],
        name if name.starts_with("otlp") => vec![
            ("gzip", gzip),
            ("zstd", zstd),
            ("deflate", zlib),
            ("zlib", zlib),
            ("snappy", snappy),
            ("snappy", framed_snappy),
            ("lz4", lz4),
        ],
        "loki json" => vec![("gzip", gzip), ("deflate", deflate)],
        "loki protobuf" => vec![
            ("snappy", snappy),
            ("gzip", |bytes| gzip(&snappy(bytes))),
            ("deflate", |bytes| deflate(&snappy(bytes))),
        ],
        _ if way.is_snappy() => vec![("snappy", snappy)],
        // Whatever the head says.
        "elastic apm" => vec![("gzip", gzip), ("identity", gzip), ("", zlib)],
        _ => vec![("gzip", gzip), ("deflate", zlib), ("zstd", zstd)],
    }
}

async fn packed(way: &Way, kept: &Arc<Kept>, word: &str, bytes: &[u8]) -> Answer {
    let (header, body) = if way.is_grpc() {
        ("grpc-encoding", [&[1][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat())
    } else {
        ("content-encoding", bytes.to_vec())
    };
    let headers = [("content-type", way.media), (header, word)];
    ask(port(kept, MAX_BODY, IN_FLIGHT), Method::POST, way.path, &headers, body).await
}

#[tokio::test]
async fn every_compression_is_undone_within_the_limit_and_no_further() {
    let zeros = vec![0; LARGE];
    for way in ways() {
        for (word, compress) in compressions(way) {
            let kept = Arc::new(Kept::default());
            let good = compress(&way.message(&[true, true]));
            let answer = packed(way, &kept, word, &good).await;
            assert_eq!(kept.records(), 2, "{} in {word}: {} {}", way.name, answer.code(), answer.text);
            let answer = packed(way, &kept, word, &compress(&zeros)).await;
            let expected = if way.is_grpc() { "grpc 8" } else { "413" };
            assert_eq!(answer.code(), expected, "{} in {word}: {}", way.name, answer.text);
            // What says that it is compressed and is not, or breaks off.
            let expected = if way.is_grpc() { "grpc 3" } else { "400" };
            // Of LZ4 only the mark of the end, behind blocks that are whole.
            let cut = good.len() - if word == "lz4" { 8 } else { 3 };
            for bad in [&b"\x1f\x8b\x08nonsense"[..], &good[..cut]] {
                let answer = packed(way, &Arc::default(), word, bad).await;
                assert_eq!(answer.code(), expected, "{} in {word}: {}", way.name, answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_length_that_a_snappy_block_only_claims_is_not_believed() {
    for way in ways().filter(|way| way.is_snappy()) {
        // Nearly 4 GiB, and a few bytes.
        let answer = packed(way, &Arc::default(), "snappy", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]).await;
        assert_eq!(answer.code(), "413", "{}", way.name);
        let answer = packed(way, &Arc::default(), "snappy", &[3, 0, 1]).await;
        assert_eq!(answer.code(), "400", "{}", way.name);
    }
}

/// `AnyValue` in a list in an `AnyValue`, and so on; `number` is the field of the outermost.
fn nested(depth: usize) -> Vec<u8> {
    let field = |number: u8, message: &[u8]| {
        let mut out = vec![number << 3 | 2];
        let mut len = message.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(message);
        out
    };
    (0..depth).fold(field(1, b"deep"), |value, _| field(5, &field(1, &value)))
}

#[tokio::test]
async fn values_that_nest_without_end_are_cut_and_overflow_nothing() {
    let deep = nested(2000);
    for way in ways().filter(|way| way.name.starts_with("otlp") && !way.name.contains("json")) {
        // The resource's only attribute takes the value.
        let message = way.message(&[true]);
        let value = b"\x0a\x04shop";
        let at = message.windows(value.len()).position(|window| window == value).unwrap();
        assert_eq!(message[at - 1], value.len() as u8);
        let attribute = [b"\x0a\x0cservice.name\x12", &length(deep.len())[..], &deep].concat();
        let resource = [&[0x0a][..], &length(attribute.len()), &attribute].concat();
        let scope = &message[at + value.len()..];
        let inner = [&[0x0a][..], &length(resource.len()), &resource, scope].concat();
        let message = [&[0x0a][..], &length(inner.len()), &inner].concat();
        let (answer, kept) = send(way, &[], way.framed(&message)).await;
        assert!(["200", "grpc 0"].contains(&&*answer.code()), "{}: {}", way.name, answer.text);
        assert_eq!(kept.records(), 1, "{}", way.name);
    }
}

fn length(mut len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out
}
