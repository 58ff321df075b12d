//! OTLP over gRPC, and the health service.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parsers::otlp::Writer;
use tonic::Status;

use super::{Otlp, Signal, decode};
use crate::grpc::{self, failure, success, unimplemented};

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

async fn export(otlp: Otlp, signal: Signal, request: Request) -> Response {
    if !grpc::is_grpc(request.headers()) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match receive(&otlp, signal, request).await {
        Ok(answer) => success(&decode::response(&answer)),
        Err(status) => failure(&status),
    }
}

async fn receive(otlp: &Otlp, signal: Signal, request: Request) -> Result<decode::Answer, Status> {
    let wire = grpc::read(&otlp.door, request).await?;
    otlp.take(signal, false, wire).await.map_err(|trouble| grpc::status(&trouble))
}

async fn health() -> Response {
    let mut message = Vec::new();
    Writer::new(&mut message).varint(1, SERVING);
    success(&message)
}
