//! `PostSpans` over gRPC.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tonic::Status;

use super::proto;
use crate::otlp::grpc;
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
    let (parts, body) = request.into_parts();
    if !grpc::is_call(&parts.headers) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match receive(&intake, &parts.headers, body).await {
        // The response message has no fields.
        Ok(_) => grpc::success(&[]),
        Err(status) => grpc::failure(&status),
    }
}

async fn receive(intake: &SpanIntake, headers: &HeaderMap, body: Body) -> Result<LeftOut, Status> {
    let encoding = grpc::encoding(headers)?;
    let (framed, held) = intake.read(body, grpc::PREFIX).await.map_err(|trouble| grpc::status(&trouble))?;
    let (encoding, body) = grpc::unframed(framed, encoding)?;
    intake.take(body, encoding, held, decode).await.map_err(|trouble| grpc::status(&trouble))
}

fn decode(body: &[u8], into: &mut Translated) -> Result<(), String> {
    proto::request(body, into).map_err(|error| error.to_string())
}
