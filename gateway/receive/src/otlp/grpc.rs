//! OTLP over gRPC, and the health service. The calls are unary, so the one message is read within the same bounds as an HTTP
//! body, as it arrives, and walked without generated types.

use std::future::ready;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body_util::{BodyExt, Full};
use parsers::otlp::{Rejections, Writer};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use super::error::{Trouble, retry_info};
use super::intake::{self, Wire};
use super::{Otlp, Signal, body, routes};
use crate::count;

/// The media type; `+proto` may follow.
const GRPC: &str = "application/grpc";

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes before a message: a flag and its length.
pub(crate) const PREFIX: usize = 5;

const SERVICES: [(Signal, &str); 3] = [
    (Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService"),
    (Signal::Logs, "/opentelemetry.proto.collector.logs.v1.LogsService"),
    (Signal::Metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService"),
];

const HEALTH: &str = "/grpc.health.v1.Health";

/// `ServingStatus.SERVING`.
const SERVING: u64 = 1;

pub(super) fn router(otlp: Otlp) -> Router {
    let mut router = Router::new();
    for (signal, service) in SERVICES {
        router = router
            .route(
                &format!("{service}/Export"),
                any(move |State(otlp): State<Otlp>, request| export(otlp, signal, request)),
            )
            .route(&format!("{service}/{{*method}}"), any(|| async { unimplemented() }));
    }
    router
        .route(&format!("{HEALTH}/Check"), any(health))
        .route(&format!("{HEALTH}/{{*method}}"), any(|| async { unimplemented() }))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(otlp)
}

pub(crate) fn unimplemented() -> Response {
    Status::unimplemented("no such service or method").into_http::<Body>().into_response()
}

async fn export(otlp: Otlp, signal: Signal, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if !is_call(&parts.headers) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match receive(&otlp, signal, &parts.headers, body).await {
        Ok(rejections) => success(&intake::response(&rejections)),
        Err(status) => failure(&status),
    }
}

async fn receive(otlp: &Otlp, signal: Signal, headers: &HeaderMap, body: Body) -> Result<Rejections, Status> {
    let encoding = encoding(headers)?;
    let max = otlp.inner.options.max_body;
    let mut held = otlp.inner.budget.reservation();
    let framed = body::read(body, max.saturating_add(PREFIX), &mut held).await.map_err(|trouble| {
        if matches!(trouble, Trouble::Unavailable { .. }) {
            count(&otlp.counters(signal).turned_away, 1);
        }
        status(&trouble)
    })?;
    let (encoding, body) = unframed(framed, encoding)?;
    let wire = Wire { signal, body, encoding: encoding.to_owned(), as_json: false };
    otlp.take(wire, held).await.map_err(|trouble| status(&trouble))
}

/// Whether the head is that of a gRPC call.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    routes::value(headers, header::CONTENT_TYPE).starts_with(GRPC)
}

/// How messages are compressed that say that they are; empty for not at all.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<&'static str, Status> {
    match routes::value(headers, GRPC_ENCODING).as_str() {
        "" | "identity" => Ok(""),
        "gzip" => Ok("gzip"),
        "zstd" => Ok("zstd"),
        other => {
            Err(Status::unimplemented(format!("unknown grpc-encoding {other}: expected gzip, zstd or none")))
        }
    }
}

/// The one message of a unary call, and how it is compressed.
pub(crate) fn unframed(framed: Vec<u8>, encoding: &'static str) -> Result<(&'static str, Vec<u8>), Status> {
    match message(framed).map_err(|trouble| status(&trouble))? {
        (true, _) if encoding.is_empty() => {
            Err(Status::internal("a compressed message without a grpc-encoding"))
        }
        (true, body) => Ok((encoding, body)),
        (false, body) => Ok(("", body)),
    }
}

/// The one message, and whether it is compressed.
fn message(mut framed: Vec<u8>) -> Result<(bool, Vec<u8>), Trouble> {
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
    Ok((flag == 1, framed))
}

pub(crate) fn success(message: &[u8]) -> Response {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(ready(Some(Ok(trailers))));
    ([(header::CONTENT_TYPE, GRPC)], Body::new(body)).into_response()
}

pub(crate) fn failure(status: &Status) -> Response {
    let mut response = status.clone().into_http::<Body>();
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,zstd"));
    response
}

async fn health() -> Response {
    let mut message = Vec::new();
    Writer::new(&mut message).varint(1, SERVING);
    success(&message)
}

pub(crate) fn status(trouble: &Trouble) -> Status {
    let code = Code::from(trouble.code() as i32);
    let mut metadata = MetadataMap::new();
    if let Trouble::Unavailable { retry_after, .. } = trouble {
        // opentelemetry-python reads the delay from here and not from the details.
        metadata.insert_bin("google.rpc.retryinfo-bin", MetadataValue::from_bytes(&retry_info(*retry_after)));
    }
    Status::with_details_and_metadata(code, trouble.to_string(), trouble.status().into(), metadata)
}
