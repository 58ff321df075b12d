//! Zipkin over HTTP.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use tower_http::cors::{Any, CorsLayer};

use super::{Version, json, proto, thrift};
use crate::headers::value;
use crate::span_intake::{Decode, SpanIntake, accepted, encoding, refused};
use crate::thrift::{Kind, Protocol, Reader};
use crate::translated::{LeftOut, Translated};
use crate::trouble::Trouble;

pub(super) fn router(intake: SpanIntake) -> Router {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::POST]).allow_headers(Any);
    Router::new()
        .route("/api/v2/spans", any(|State(intake), request| spans(intake, Version::V2, request)))
        .route("/api/v1/spans", any(|State(intake), request| spans(intake, Version::V1, request)))
        .layer(DefaultBodyLimit::disable())
        .layer(cors)
        .with_state(intake)
}

/// What deployments look at before they send.
pub(super) fn health() -> Router {
    let up = || async { Json(serde_json::json!({ "status": "UP" })) };
    let info = || async { Json(serde_json::json!({ "zipkin": { "version": env!("CARGO_PKG_VERSION") } })) };
    Router::new().route("/health", get(up)).route("/info", get(info))
}

/// A missing or unknown media type is JSON.
fn decoder(version: Version, media: &str) -> Decode {
    match (version, media.split(';').next().unwrap_or_default().trim()) {
        (Version::V2, "application/x-protobuf" | "application/protobuf") => of_protobuf,
        (Version::V1, "application/x-thrift") => of_thrift,
        (Version::V2, _) => |body, into| of_json(Version::V2, body, into),
        (Version::V1, _) => |body, into| of_json(Version::V1, body, into),
    }
}

fn of_json(version: Version, body: &[u8], into: &mut Translated) -> Result<(), String> {
    let text = String::from_utf8_lossy(body);
    json::read(version, &text, |report| super::put(report, into)).map_err(|error| error.to_string())
}

fn of_protobuf(body: &[u8], into: &mut Translated) -> Result<(), String> {
    proto::read(body, |report| super::put(report, into)).map_err(|error| error.to_string())
}

fn of_thrift(body: &[u8], into: &mut Translated) -> Result<(), String> {
    if body.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(Protocol::Binary, body);
    thrift::read(&mut reader, Kind::List, &mut |report| super::put(report, into))
        .map_err(|error| error.to_string())
}

async fn spans(intake: SpanIntake, version: Version, request: Request) -> Response {
    if request.method() != Method::POST {
        let text = "405 method not allowed, supported: [POST]";
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], text).into_response();
    }
    match take(&intake, version, request).await {
        Ok(left_out) => accepted(&left_out),
        Err(trouble) => refused(&trouble, trouble.to_string()),
    }
}

async fn take(intake: &SpanIntake, version: Version, request: Request) -> Result<LeftOut, Trouble> {
    let (parts, body) = request.into_parts();
    let encoding = encoding(&value(&parts.headers, header::CONTENT_ENCODING))?;
    let wire = intake.read(&parts, body, encoding).await?;
    let decode = decoder(version, &value(&parts.headers, header::CONTENT_TYPE));
    intake.take(wire, decode).await
}
