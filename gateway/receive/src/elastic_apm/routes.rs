//! Elastic APM over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::answer::{self, Report};
use super::{Inner, agents, stream};
use crate::headers::value;
use crate::intake::Origin;

/// The version of Elastic's own server that agents are told, which some of them behave by. From 8.0 on they would not send
/// unsampled transactions, and log lines would name traces that nobody has; this is the last line before it.
const VERSION: &str = "7.17.28";

const RUM: &str = "RUM endpoint is disabled: this gateway takes the events of server-side agents only, at /intake/v2/events; \
                   browsers may send OTLP to /v1/traces";

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/intake/v2/events", any(events))
        .route("/intake/v2/rum/events", any(rum))
        .route("/intake/v3/rum/events", any(rum))
        .route("/config/v1/agents", any(config))
        .route("/config/v1/rum/agents", any(rum))
        .layer(DefaultBodyLimit::disable())
        .with_state(inner)
}

/// What only the port of its own has.
pub(super) fn root(inner: Arc<Inner>) -> Router {
    Router::new().route("/", get(information)).with_state(inner)
}

async fn information(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    // Not an error: agents and load balancers look whether somebody is there.
    if inner.keys.check(&headers).is_err() {
        return StatusCode::OK.into_response();
    }
    let about = serde_json::json!({
        "build_date": "2025-01-01T00:00:00Z",
        "build_sha": env!("CARGO_PKG_VERSION"),
        "publish_ready": true,
        "version": VERSION,
    });
    answer::body(StatusCode::OK, &headers, &about)
}

async fn rum(headers: HeaderMap) -> Response {
    answer::error(StatusCode::FORBIDDEN, &headers, RUM)
}

async fn config(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = inner.refusal(&parts.headers) {
        return agents::refused(refusal);
    }
    agents::answer(&inner.agents, &inner.door, &parts.method, &parts.uri, &parts.headers, body).await
}

async fn events(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let refused = |text: &str| Some(Report::only(StatusCode::BAD_REQUEST, text).answer(headers, false));
    let media = value(headers, header::CONTENT_TYPE);
    let (origin, bad_tenant) = match Origin::of(&parts) {
        Ok(origin) => (origin, None),
        Err(trouble) => (Origin::default(), refused(&trouble.to_string())),
    };
    let refusal = if parts.method != Method::POST {
        refused("only POST requests are supported")
    } else if let Some(refusal) = inner.refusal(headers) {
        Some(refusal)
    } else if !media.is_empty() && !media.contains("application/x-ndjson") {
        refused(&format!("invalid content type: '{media}'"))
    } else {
        bad_tenant
    };
    if let Some(refusal) = refusal {
        stream::discard(body).await;
        return refusal;
    }
    let query = parts.uri.query().unwrap_or_default();
    let verbose = query.split('&').any(|pair| pair.split('=').next() == Some("verbose"));
    let at = inner.door.circumstances(origin);
    stream::run(&inner.door, &at, body).await.answer(headers, verbose)
}
