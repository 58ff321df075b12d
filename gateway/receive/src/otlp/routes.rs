//! OTLP over HTTP.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tower_http::cors::{Any, CorsLayer};

use super::{Otlp, Signal, decode};
use crate::body::Encoding;
use crate::trouble::Trouble;
use crate::{grpc, headers};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Where Loki takes OTLP logs.
const LOKI_LOGS: &str = "/otlp/v1/logs";

pub(super) fn router(otlp: Otlp) -> Router {
    // Browser SDKs send `traceparent` and headers of their own.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::POST]).allow_headers(Any);
    Router::new()
        .route("/v1/traces", any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Traces, request)))
        .route("/v1/logs", any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Logs, request)))
        .route(LOKI_LOGS, any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Logs, request)))
        .route("/v1/metrics", any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Metrics, request)))
        .layer(DefaultBodyLimit::disable())
        .layer(cors)
        .with_state(otlp)
}

async fn export(otlp: Otlp, signal: Signal, request: Request) -> Response {
    if request.method() != Method::POST {
        let allow = [(header::ALLOW, "POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "405 method not allowed, supported: [POST]")
            .into_response();
    }
    let as_json = match &*headers::media_type(request.headers()) {
        PROTOBUF => false,
        JSON => true,
        _ => {
            let text = format!("415 unsupported media type, supported: [{JSON}, {PROTOBUF}]");
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
    };
    match handle(&otlp, signal, request, as_json).await {
        Ok(told) => success(signal, &told, as_json),
        Err(trouble) => failure(&trouble, as_json),
    }
}

async fn handle(
    otlp: &Otlp,
    signal: Signal,
    request: Request,
    as_json: bool,
) -> Result<decode::Answer, Trouble> {
    let word = headers::value(request.headers(), header::CONTENT_ENCODING);
    // The collector's table: `deflate` is zlib.
    let encoding = match &*word {
        "" | "identity" => Encoding::Identity,
        "gzip" => Encoding::Gzip,
        "zstd" => Encoding::Zstd,
        "deflate" | "zlib" => Encoding::Zlib,
        "snappy" | "x-snappy-framed" => Encoding::Snappy,
        "lz4" => Encoding::Lz4,
        _ => {
            let text =
                format!("unknown Content-Encoding {word}: expected gzip, zstd, deflate, snappy, lz4 or none");
            return Err(Trouble::Malformed(text));
        }
    };
    let (parts, body) = request.into_parts();
    let wire = otlp.door.read(&parts, body, encoding).await?;
    otlp.take(signal, as_json, wire).await
}

fn success(signal: Signal, told: &decode::Answer, as_json: bool) -> Response {
    if !as_json {
        return ([(header::CONTENT_TYPE, PROTOBUF)], decode::response(told)).into_response();
    }
    let mut answer = serde_json::json!({});
    if !told.is_empty() {
        let name = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
        };
        // 64-bit integers are strings in protobuf's JSON.
        let partial: BTreeMap<&str, String> =
            [(name, told.rejected().to_string()), ("errorMessage", told.to_string())].into();
        answer = serde_json::json!({ "partialSuccess": partial });
    }
    ([(header::CONTENT_TYPE, JSON)], answer.to_string()).into_response()
}

fn failure(trouble: &Trouble, as_json: bool) -> Response {
    if as_json {
        let body = serde_json::json!({ "code": grpc::code(trouble) as i32, "message": trouble.to_string() });
        trouble.answer(([(header::CONTENT_TYPE, JSON)], body.to_string()))
    } else {
        trouble.answer(([(header::CONTENT_TYPE, PROTOBUF)], grpc::rpc_status(trouble)))
    }
}
