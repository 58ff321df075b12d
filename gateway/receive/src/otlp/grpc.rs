//! OTLP over gRPC, and the health service. Messages are raw bytes here: the walk reads them without generated types.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes};
use parsers::otlp::{Rejections, Writer};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::error::{Trouble, retry_info};
use super::{Otlp, Signal, intake};
use crate::count;

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

pub(super) fn unimplemented() -> Response {
    Status::unimplemented("no such service or method").into_http::<Body>().into_response()
}

async fn export(otlp: Otlp, signal: Signal, request: Request) -> Response {
    let max = otlp.inner.options.max_body;
    let mut response = Grpc::new(Raw)
        .max_decoding_message_size(max)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .unary(Export { otlp, signal }, request)
        .await;
    // tonic says OUT_OF_RANGE for a message over the limit, which clients send again; it will never fit.
    if response.headers().get("grpc-status").is_some_and(|status| status == "11") {
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("8"));
    }
    response.map(Body::new)
}

async fn health(State(_): State<Otlp>, request: Request) -> Response {
    Grpc::new(Raw).unary(Health, request).await.map(Body::new)
}

struct Export {
    otlp: Otlp,
    signal: Signal,
}

type Answer = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = Answer;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Answer {
        let (otlp, signal, body) = (self.otlp.clone(), self.signal, request.into_inner());
        Box::pin(async move {
            let mut held = otlp.inner.budget.reservation();
            if !held.grow(body.len()) {
                count(&otlp.counters(signal).turned_away, 1);
                return Err(status(&Trouble::busy()));
            }
            match otlp.take(signal, body.into(), Rejections::default()).await {
                Ok(rejections) => Ok(tonic::Response::new(intake::response(&rejections))),
                Err(trouble) => Err(status(&trouble)),
            }
        })
    }
}

struct Health;

impl UnaryService<Bytes> for Health {
    type Response = Vec<u8>;
    type Future = Answer;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Answer {
        let mut body = Vec::new();
        Writer::new(&mut body).varint(1, SERVING);
        Box::pin(async move { Ok(tonic::Response::new(body)) })
    }
}

fn status(trouble: &Trouble) -> Status {
    let code = Code::from(trouble.code() as i32);
    let mut metadata = MetadataMap::new();
    if let Trouble::Unavailable { retry_after, .. } = trouble {
        // opentelemetry-python reads the delay from here and not from the details.
        metadata.insert_bin("google.rpc.retryinfo-bin", MetadataValue::from_bytes(&retry_info(*retry_after)));
    }
    Status::with_details_and_metadata(code, trouble.to_string(), trouble.status().into(), metadata)
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
