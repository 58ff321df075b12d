//! OTLP over HTTP.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parsers::otlp::Rejections;
use tower_http::cors::{Any, CorsLayer};

use super::error::Trouble;
use super::intake::{self, Wire};
use super::{Otlp, Signal, body};
use crate::count;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(super) fn router(otlp: Otlp) -> Router {
    // Browser SDKs send `traceparent` and headers of their own.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::POST]).allow_headers(Any);
    Router::new()
        .route("/v1/traces", any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Traces, request)))
        .route("/v1/logs", any(|State(otlp): State<Otlp>, request| export(otlp, Signal::Logs, request)))
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
    let (parts, body) = request.into_parts();
    let media = value(&parts.headers, header::CONTENT_TYPE);
    let as_json = match media.split(';').next().unwrap_or_default().trim() {
        PROTOBUF => false,
        JSON => true,
        _ => {
            let text = format!("415 unsupported media type, supported: [{JSON}, {PROTOBUF}]");
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
    };
    match handle(&otlp, signal, &parts.headers, body, as_json).await {
        Ok(rejections) => success(signal, &rejections, as_json),
        Err(trouble) => failure(&trouble, as_json),
    }
}

pub(crate) fn value(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_ascii_lowercase()
}

async fn handle(
    otlp: &Otlp,
    signal: Signal,
    headers: &HeaderMap,
    wire: Body,
    as_json: bool,
) -> Result<Rejections, Trouble> {
    let max = otlp.inner.options.max_body;
    let mut held = otlp.inner.budget.reservation();
    let body = body::read(wire, max, &mut held).await.inspect_err(|trouble| {
        if matches!(trouble, Trouble::Unavailable { .. }) {
            count(&otlp.counters(signal).turned_away, 1);
        }
    })?;
    let encoding = value(headers, header::CONTENT_ENCODING);
    otlp.take(Wire { signal, body, encoding, as_json }, held).await
}

fn success(signal: Signal, rejections: &Rejections, as_json: bool) -> Response {
    if !as_json {
        return ([(header::CONTENT_TYPE, PROTOBUF)], intake::response(rejections)).into_response();
    }
    let mut answer = serde_json::json!({});
    if !rejections.is_empty() {
        let name = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
        };
        // 64-bit integers are strings in protobuf's JSON.
        let partial: BTreeMap<&str, String> =
            [(name, rejections.rejected().to_string()), ("errorMessage", rejections.to_string())].into();
        answer = serde_json::json!({ "partialSuccess": partial });
    }
    ([(header::CONTENT_TYPE, JSON)], answer.to_string()).into_response()
}

fn failure(trouble: &Trouble, as_json: bool) -> Response {
    let status = match trouble {
        Trouble::Malformed(_) => StatusCode::BAD_REQUEST,
        Trouble::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Trouble::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = if as_json {
        let body = serde_json::json!({ "code": trouble.code(), "message": trouble.to_string() });
        (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
    } else {
        (status, [(header::CONTENT_TYPE, PROTOBUF)], trouble.status()).into_response()
    };
    if let Trouble::Unavailable { retry_after, .. } = trouble {
        let seconds = retry_after.as_millis().div_ceil(1000).max(1) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
