//! `PostSpans` over gRPC, and sampling strategies.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parsers::otlp::Writer;
use tonic::Status;

use super::proto;
use crate::grpc;
use crate::span_intake::SpanIntake;
use crate::translated::{LeftOut, Translated};

const SERVICE: &str = "/jaeger.api_v2.CollectorService";
const SAMPLING: &str = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy";

pub(super) fn router(intake: SpanIntake) -> Router {
    Router::new()
        .route(&format!("{SERVICE}/PostSpans"), any(post_spans))
        .route(&format!("{SERVICE}/{{*method}}"), any(|| async { grpc::unimplemented() }))
        .route(SAMPLING, any(sampling))
        .layer(DefaultBodyLimit::disable())
        .with_state(intake)
}

async fn post_spans(State(intake): State<SpanIntake>, request: Request) -> Response {
    if !grpc::is_grpc(request.headers()) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match receive(&intake, request).await {
        // The response message has no fields.
        Ok(_) => grpc::success(&[]),
        Err(status) => grpc::failure(&status),
    }
}

/// Everything, as over HTTP: `probabilisticSampling` with a rate of 1.
async fn sampling() -> Response {
    let mut strategy = Vec::new();
    Writer::new(&mut strategy).message(2, |out| Writer::new(out).always_double(1, 1.0));
    grpc::success(&strategy)
}

async fn receive(intake: &SpanIntake, request: Request) -> Result<LeftOut, Status> {
    let wire = grpc::read(intake.door(), request).await?;
    intake.take(wire, decode).await.map_err(|trouble| grpc::status(&trouble))
}

fn decode(body: &[u8], into: &mut Translated) -> Result<(), String> {
    proto::request(body, into).map_err(|error| error.to_string())
}
