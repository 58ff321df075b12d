use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parsers::record::Batch;
use prost::Message;
use tower::ServiceExt;

mod bounds;
mod grpc;
mod http;
mod signals;
mod targets;

use super::*;
use crate::{Counters, Refusal, RefusalKind, Sink};

#[derive(Default)]
struct Kept {
    batches: Mutex<Vec<Arc<Batch>>>,
    refuse: bool,
}

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        if self.refuse {
            let retry_after = Duration::from_secs(7);
            return Err(Refusal { kind: RefusalKind::Full, detail: "disk full".into(), retry_after });
        }
        self.batches.lock().unwrap().push(batch);
        Ok(())
    }
}

fn otlp(refuse: bool) -> (Otlp, Arc<Kept>) {
    let sink = Arc::new(Kept { refuse, ..Kept::default() });
    (within(sink.clone(), 100_000, 1_000_000), sink)
}

fn within(sink: Arc<dyn Sink>, max_body: usize, max_in_flight: usize) -> Otlp {
    Otlp::new(
        &Intake::within(sink, Arc::default(), None, max_in_flight),
        OtlpOptions { max_body, ..OtlpOptions::default() },
    )
}

async fn post(
    router: Router,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (Response<()>, Vec<u8>) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    (Response::from_parts(parts, ()), bytes)
}

fn spans(ids: &[usize]) -> Vec<u8> {
    let spans =
        ids.iter().map(|len| Span { trace_id: vec![1; *len], span_id: vec![2; 8], ..Span::default() });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

#[tokio::test]
async fn a_bad_span_is_rejected_alone_and_reported() {
    let (otlp, sink) = otlp(false);
    let (answer, body) = post(otlp.http(), "/v1/traces", &[PROTOBUF], spans(&[16, 15])).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let partial = ExportTraceServiceResponse::decode(&body[..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(sink.batches.lock().unwrap()[0].spans.rows.len(), 1);
}

#[tokio::test]
async fn every_cut_body_is_a_400() {
    let whole = spans(&[16, 16]);
    for cut in 1..whole.len() {
        let (answer, _) = post(otlp(false).0.http(), "/v1/traces", &[PROTOBUF], whole[..cut].to_vec()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_a_413() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 10_000_000]).unwrap();
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let (answer, _) = post(otlp(false).0.http(), "/v1/traces", &headers, gzip.finish().unwrap()).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back() {
    let (answer, _) = post(otlp(true).0.http(), "/v1/traces", &[PROTOBUF], spans(&[16])).await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"7".parse().unwrap())
    );
    let mut framed = vec![0, 0, 0, 0];
    let message = spans(&[16]);
    framed.push(message.len() as u8);
    framed.extend(message);
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let (answer, _) = post(otlp(true).0.grpc(), path, &[("content-type", "application/grpc")], framed).await;
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert!(answer.headers().contains_key("google.rpc.retryinfo-bin"));
}

#[tokio::test]
async fn json_with_the_tolerances_of_the_field_is_taken() {
    let body = br#"{"new":1,"resourceSpans":[{"resource":null,"scopeSpans":[{"spans":[
        {"traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"0102030405060708","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"5",
         "endTimeUnixNano":9,"attributes":[{"key":"a","value":{"intValue":5.0}},{"key":"b","value":{"arrayValue":{}}},{"key":"c"},
         {"key":"d","value":{"doubleValue":"NaN"}},{"key":"e","value":{"bytesValue":"_-8"}},{"key":"f","value":{"stringValue":null}}]},
        {"traceId":"01","spanId":"02"},
        {"traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"0102030405060708","startTimeUnixNano":{"low":1,"high":2}}]}]}]}"#;
    let (otlp, sink) = otlp(false);
    let (answer, text) = post(otlp.http(), "/v1/traces", &[JSON], body.to_vec()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(String::from_utf8(text).unwrap().contains(r#""rejectedSpans":"2""#));
    let batches = sink.batches.lock().unwrap();
    let row = batches[0].spans.rows[0];
    assert_eq!((row.start, row.end, row.kind), (5, 9, parsers::record::SpanKind::Server));
}

#[tokio::test]
async fn wrong_methods_and_media_types_have_their_codes() {
    let (answer, _) = post(otlp(false).0.http(), "/v1/logs", &[], vec![]).await;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get =
        otlp(false).0.http().oneshot(Request::get("/v1/logs").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
}
