//! What a gRPC client over a loopback connection gets.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::*;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct Prost;

impl Codec for Prost {
    type Encode = ExportTraceServiceRequest;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Prost {
    type Item = ExportTraceServiceRequest;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(out).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Prost {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        Self::Item::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

async fn serve(otlp: &Otlp) -> Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = otlp.grpc_port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

fn request(spans: usize, name: usize) -> ExportTraceServiceRequest {
    let mut request = ExportTraceServiceRequest::decode(&super::spans(&vec![16; spans])[..]).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].name = "n".repeat(name);
    request
}

async fn call(
    channel: Channel,
    path: &'static str,
    compression: Option<CompressionEncoding>,
    request: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Status> {
    let mut client = Grpc::new(channel);
    if let Some(encoding) = compression {
        client = client.send_compressed(encoding);
    }
    client.ready().await.unwrap();
    let answer = client.unary(tonic::Request::new(request), path.parse().unwrap(), Prost).await;
    answer.map(tonic::Response::into_inner)
}

const COMPRESSIONS: [Option<CompressionEncoding>; 3] =
    [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)];

#[tokio::test]
async fn a_grpc_client_exports_plain_and_compressed() {
    let (otlp, sink) = otlp(false);
    let channel = serve(&otlp).await;
    for compression in COMPRESSIONS {
        let answer = call(channel.clone(), EXPORT, compression, request(700, 10)).await.unwrap();
        assert_eq!(answer.partial_success, None);
    }
    let batches = sink.batches.lock().unwrap();
    assert_eq!(batches.iter().map(|batch| batch.spans.rows.len()).collect::<Vec<_>>(), [700; 3]);
}

#[tokio::test]
async fn messages_are_taken_in_the_compressions_that_tonic_lacks() {
    for (encoding, bytes) in [("deflate", "deflate"), ("snappy", "x-snappy-framed"), ("snappy", "snappy")] {
        let (otlp, sink) = otlp(false);
        let message = http::compressed(bytes, &spans(&[16; 30]));
        let mut body = vec![1];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&message);
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", encoding)];
        let (answer, _) = post(otlp.grpc(), EXPORT, &headers, body).await;
        assert_eq!(answer.headers().get("grpc-status"), None, "{encoding}: it is in the trailers");
        assert_eq!(sink.batches.lock().unwrap()[0].spans.rows.len(), 30, "{encoding}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_resource_exhausted_plain_and_compressed() {
    let channel = serve(&otlp(false).0).await;
    for compression in COMPRESSIONS {
        let status = call(channel.clone(), EXPORT, compression, request(1, 100_000)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{compression:?}: {status:?}");
        assert!(!status.metadata().contains_key("google.rpc.retryinfo-bin"));
    }
}

#[tokio::test]
async fn bytes_over_those_in_flight_are_unavailable_with_retry_info() {
    let counters = Arc::new(Counters::default());
    let intake = Intake::within(Arc::new(Kept::default()), counters.clone(), None, 10_000);
    let otlp = Otlp::new(&intake, OtlpOptions { max_body: 100_000, ..OtlpOptions::default() });
    let channel = serve(&otlp).await;
    for compression in COMPRESSIONS {
        let status = call(channel.clone(), EXPORT, compression, request(1, 50_000)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{compression:?}");
        assert!(status.metadata().get_bin("google.rpc.retryinfo-bin").is_some());
        assert!(!status.details().is_empty());
    }
    assert_eq!(counters.of(Protocol::Otlp).turned_away.load(std::sync::atomic::Ordering::Relaxed), 3);
    call(channel, EXPORT, None, request(1, 1000)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_unavailable_with_retry_info() {
    let status = call(serve(&otlp(true).0).await, EXPORT, None, request(1, 1)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "disk full"));
    let retry = status.metadata().get_bin("google.rpc.retryinfo-bin").unwrap().to_bytes().unwrap();
    assert_eq!(&retry[..], [10, 2, 8, 7]);
    assert!(status.details().windows(9).any(|part| part == b"RetryInfo"));
}

#[tokio::test]
async fn unknown_services_and_methods_are_unimplemented() {
    let channel = serve(&otlp(false).0).await;
    for path in [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/grpc.health.v1.Health/Watch",
    ] {
        let status = call(channel.clone(), path, None, request(1, 1)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn health_is_serving() {
    let headers = [("content-type", "application/grpc")];
    let (_, body) = post(otlp(false).0.grpc(), "/grpc.health.v1.Health/Check", &headers, vec![0; 5]).await;
    assert_eq!(body, [0, 0, 0, 0, 2, 8, 1]);
}

#[tokio::test]
async fn broken_frames_and_unknown_compression_have_their_codes() {
    let cases: [(&[u8], &str, &str); 7] = [
        (&[], "identity", "3"),
        (&[0, 0, 0, 0], "identity", "3"),
        (&[0, 0, 0, 0, 9, 1], "identity", "3"),
        (&[1, 0, 0, 0, 1, 1], "gzip", "3"),
        (&[1, 0, 0, 0, 1, 1], "identity", "13"),
        (&[1, 0, 0, 0, 1, 1], "deflate", "3"),
        (&[1, 0, 0, 0, 1, 1], "br", "12"),
    ];
    for (body, encoding, code) in cases {
        let headers = [("content-type", "application/grpc+proto"), ("grpc-encoding", encoding)];
        let (answer, _) = post(otlp(false).0.grpc(), EXPORT, &headers, body.to_vec()).await;
        assert_eq!(answer.headers()["grpc-status"], code, "{body:?} {encoding}");
    }
}
