//! Unary gRPC calls without generated types: the one message is read within the same bounds as an HTTP body, as it arrives.

use std::future::ready;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use parsers::otlp::Writer;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::body::Encoding;
use crate::headers;
use crate::intake::{Door, Wire};
use crate::trouble::Trouble;

/// The media type; `+proto` may follow.
const GRPC: &str = "application/grpc";

/// Compressions of messages: those of gRPC's own library and those that the Collector has besides.
const ENCODINGS: &str = "identity,gzip,deflate,zstd,snappy";

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes before a message: a flag and its length.
const PREFIX: usize = 5;

/// Whether a request says that it is gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers::value(headers, header::CONTENT_TYPE).starts_with(GRPC)
}

/// Reads the message of a unary call.
pub(crate) async fn read(door: &Door, request: Request) -> Result<Wire, Status> {
    let (parts, body) = request.into_parts();
    let word = headers::value(&parts.headers, GRPC_ENCODING);
    let encoding = match &*word {
        "" | "identity" => Encoding::Identity,
        "gzip" => Encoding::Gzip,
        "deflate" => Encoding::Zlib,
        "zstd" => Encoding::Zstd,
        "snappy" => Encoding::Snappy,
        _ => {
            let text = format!("unknown grpc-encoding {word}: expected one of {ENCODINGS}");
            return Err(Status::unimplemented(text));
        }
    };
    let read = door.read_framed(&parts, body, Encoding::Identity, PREFIX).await;
    let mut wire = read.map_err(|trouble| status(&trouble))?;
    if unframe(&mut wire.body).map_err(|trouble| status(&trouble))? {
        if encoding == Encoding::Identity {
            return Err(Status::internal("a compressed message without a grpc-encoding"));
        }
        wire.encoding = encoding;
    }
    Ok(wire)
}

/// Leaves the one message of a unary call, and says whether it is compressed.
fn unframe(framed: &mut Vec<u8>) -> Result<bool, Trouble> {
    let bad = |problem: &str| Trouble::Malformed(format!("bad gRPC frame: {problem}"));
    let Some((&[flag, a, b, c, d], message)) = framed.split_first_chunk::<PREFIX>() else {
        return Err(bad("the body ends before the message begins"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(bad("its length is not that of the body"));
    }
    if flag > 1 {
        return Err(bad("unknown flag"));
    }
    framed.drain(..PREFIX);
    Ok(flag == 1)
}

/// OK, with this message.
pub(crate) fn success(message: &[u8]) -> Response {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(ready(Some(Ok(trailers))));
    ([(header::CONTENT_TYPE, GRPC)], Body::new(body)).into_response()
}

/// Another status than OK.
pub(crate) fn failure(status: &Status) -> Response {
    let mut response = status.clone().into_http::<Body>();
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static(ENCODINGS));
    response
}

/// UNIMPLEMENTED, for services and methods that are not there.
pub(crate) fn unimplemented() -> Response {
    Status::unimplemented("no such service or method").into_http::<Body>().into_response()
}

/// The status that says what went wrong, with RetryInfo where a retry makes sense.
pub(crate) fn status(trouble: &Trouble) -> Status {
    refusal(code(trouble), &trouble.to_string(), retry_after(trouble))
}

/// A status in these words, with RetryInfo where a retry makes sense after some time.
pub fn refusal(code: Code, text: &str, retry_after: Option<Duration>) -> Status {
    let mut metadata = MetadataMap::new();
    if let Some(wait) = retry_after {
        // opentelemetry-python reads the delay from here and not from the details.
        metadata.insert_bin("google.rpc.retryinfo-bin", MetadataValue::from_bytes(&retry_info(wait)));
    }
    let details = details(code, text, retry_after).into();
    Status::with_details_and_metadata(code, text, details, metadata)
}

fn retry_after(trouble: &Trouble) -> Option<Duration> {
    match trouble {
        Trouble::Unavailable { retry_after, .. } => Some(*retry_after),
        Trouble::Malformed(_) | Trouble::TooLarge(_) => None,
    }
}

/// The code that says what went wrong.
pub(crate) fn code(trouble: &Trouble) -> Code {
    match trouble {
        Trouble::Malformed(_) => Code::InvalidArgument,
        Trouble::TooLarge(_) => Code::ResourceExhausted,
        Trouble::Unavailable { .. } => Code::Unavailable,
    }
}

/// `google.rpc.Status` in protobuf, with RetryInfo where a retry makes sense.
pub(crate) fn rpc_status(trouble: &Trouble) -> Vec<u8> {
    details(code(trouble), &trouble.to_string(), retry_after(trouble))
}

fn details(code: Code, text: &str, retry_after: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    w.varint(1, code as u64);
    w.bytes(2, text.as_bytes());
    if let Some(wait) = retry_after {
        w.message(3, |out| {
            let mut any = Writer::new(out);
            any.bytes(1, b"type.googleapis.com/google.rpc.RetryInfo");
            any.bytes(2, &retry_info(wait));
        });
    }
    out
}

/// `google.rpc.RetryInfo`.
fn retry_info(delay: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        let mut w = Writer::new(out);
        w.varint(1, delay.as_secs());
        w.varint(2, u64::from(delay.subsec_nanos()));
    });
    out
}
