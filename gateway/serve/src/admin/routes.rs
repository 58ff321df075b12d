//! `/healthz`, `/readyz`, `/metrics` and `/metrics/spans`.

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::State;

/// One part of the gateway as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartState {
    /// Its name, such as `store`.
    pub name: &'static str,
    /// Why it is not ready; `None` if it is.
    pub waiting_for: Option<String>,
    /// What it does not do although it is ready, such as taking records while the disk is full.
    pub refusing: Option<String>,
}

/// Tells which parts are ready.
pub trait Readiness: Send + Sync {
    /// Every part, in the order to be shown.
    fn parts(&self) -> Vec<PartState>;
}

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/metrics/spans", get(span_metrics))
}

async fn ready(Extract(state): Extract<State>) -> impl IntoResponse {
    let parts = state.readiness.parts();
    let ready = parts.iter().all(|part| part.waiting_for.is_none());
    let shown: Map<String, Value> = parts
        .into_iter()
        .map(|part| {
            let ready = part.waiting_for.is_none();
            (part.name.to_owned(), json!({ "ready": ready, "reason": part.waiting_for.or(part.refusing) }))
        })
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "parts": shown })))
}

/// OpenMetrics whatever was asked for: it is the one text format that has exemplars.
async fn metrics(Extract(state): Extract<State>) -> Response {
    exposition(state.metrics.text())
}

/// Apart from our own: there are thousands of series, and who scrapes them does so for another reason.
async fn span_metrics(Extract(state): Extract<State>) -> Response {
    let Some(metrics) = state.span_metrics.clone() else {
        let detail = "no series are made of spans: `metrics_from_spans.enabled` is false";
        return (StatusCode::NOT_FOUND, detail).into_response();
    };
    match state.reads.run(move || metrics.text()).await {
        Ok(text) => exposition(text),
        Err(error) => error.into_response(),
    }
}

fn exposition(text: Option<String>) -> Response {
    let Some(text) = text else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written").into_response();
    };
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}
