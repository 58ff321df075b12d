//! `PostSpans` over gRPC.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tonic::Status;

use super::proto;
use crate::grpc;
use crate::span_intake::SpanIntake;
use crate::translated::{LeftOut, Translated};

const SERVICE: &str = "/jaeger.api_v2.CollectorService";

pub(super) fn router(intake: SpanIntake) -> Router {
    Router::new()
        .route(&format!("{SERVICE}/PostSpans"), any(post_spans))
        .route(&format!("{SERVICE}/{{*method}}"), any(|| async { grpc::unimplemented() }))
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

async fn receive(intake: &SpanIntake, request: Request) -> Result<LeftOut, Status> {
    let wire = grpc::read(intake.door(), request).await?;
    intake.take(wire, decode).await.map_err(|trouble| grpc::status(&trouble))
}

fn decode(body: &[u8], into: &mut Translated) -> Result<(), String> {
    proto::request(body, into).map_err(|error| error.to_string())
}
