//! Sends what a pod made to the gateway, over the wire as an SDK does: batches, gzip, HTTP or gRPC.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use parsers::otlp::{Writer, encode_resource, encode_scope, encode_span};
use parsers::record::Span;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

use super::arrivals::Arrivals;
use super::services::Protocol;

/// How often a pod sends its spans. SDKs wait five seconds; here somebody is watching.
const SEND_EVERY: Duration = Duration::from_millis(500);
/// Spans of one pod that wait to be sent, as in the SDKs; more are dropped.
pub(super) const QUEUE: usize = 2048;
/// Spans in one request, as in the SDKs.
const MAX_BATCH: usize = 512;
/// A request that takes longer is given up: the gateway is on this machine.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

const TRACES_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The gateway's two OTLP ports. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    http: reqwest::Client,
    base: Arc<str>,
    grpc: Channel,
    warned: Arc<AtomicBool>,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// HTTP did not get through.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// HTTP was answered with an error.
    #[error("the gateway answered {0}")]
    Refused(reqwest::StatusCode),
    /// gRPC failed.
    #[error("{0}")]
    Grpc(#[from] tonic::Status),
    /// The channel is closed.
    #[error("{0}")]
    Channel(#[from] tonic::transport::Error),
    /// The body could not be compressed.
    #[error("{0}")]
    Compress(#[from] std::io::Error),
}

impl Gateway {
    /// Towards these ports; connects when first used.
    pub(super) fn new(otlp_grpc: SocketAddr, otlp_http: SocketAddr) -> Result<Self, SendError> {
        let http = reqwest::Client::builder().timeout(SEND_TIMEOUT).no_proxy().build()?;
        let grpc = Endpoint::from_shared(format!("http://{}", reachable(otlp_grpc)))?;
        let grpc = grpc.connect_timeout(SEND_TIMEOUT).timeout(SEND_TIMEOUT).connect_lazy();
        let base = format!("http://{}", reachable(otlp_http)).into();
        Ok(Self { http, base, grpc, warned: Arc::default() })
    }

    /// Posts a protobuf body, compressed.
    pub(super) async fn post(&self, path: &str, body: &[u8]) -> Result<(), SendError> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body)?;
        let request = self.http.post(format!("{}{path}", self.base));
        let request =
            request.header("content-type", "application/x-protobuf").header("content-encoding", "gzip");
        let status = request.body(gzip.finish()?).send().await?.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Refused(status)) }
    }

    async fn call(&self, method: &'static str, body: Vec<u8>) -> Result<(), SendError> {
        let mut grpc = tonic::client::Grpc::new(self.grpc.clone()).send_compressed(CompressionEncoding::Gzip);
        grpc.ready().await?;
        let request = tonic::Request::new(Bytes::from(body));
        grpc.unary(request, PathAndQuery::from_static(method), RawCodec).await?;
        Ok(())
    }

    /// Says once that sending fails; a demo that repeats it would drown what it shows.
    pub(super) fn warn(&self, error: &SendError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the shop cannot send to the gateway; what is not taken is dropped");
        }
    }
}

/// Where a listener on all addresses is reached from this machine.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Sends the spans of one pod until told to stop, and then what is left.
pub(super) async fn send_spans(
    gateway: Gateway,
    protocol: Protocol,
    mut spans: mpsc::Receiver<Span>,
    arrivals: Arc<Arrivals>,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(SEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => stopping = true,
        }
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        if batch.is_empty() {
            continue;
        }
        let body = encode(&batch);
        let sent = match protocol {
            Protocol::Http => gateway.post("/v1/traces", &body).await,
            Protocol::Grpc => gateway.call(TRACES_METHOD, body).await,
        };
        match sent {
            Ok(()) => arrivals.arrived(batch.iter().map(|span| span.trace_id)),
            Err(error) => gateway.warn(&error),
        }
    }
}

/// An `ExportTraceServiceRequest`. All spans come from one pod, so have one resource and one scope.
fn encode(spans: &[Span]) -> Vec<u8> {
    let mut body = Vec::new();
    let Some(first) = spans.first() else { return body };
    Writer::new(&mut body).message(1, |out| {
        let mut w = Writer::new(out);
        w.message(1, |out| encode_resource(&first.resource, out));
        w.message(2, |out| {
            let mut w = Writer::new(out);
            w.message(1, |out| encode_scope(&first.scope, out));
            for span in spans {
                w.message(2, |out| encode_span(span, out));
            }
        });
    });
    body
}

/// Messages that are encoded already.
#[derive(Debug)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
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

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, body: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(body.copy_to_bytes(body.remaining())))
    }
}
