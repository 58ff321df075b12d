//! `/healthz`, `/readyz`, `/metrics` and `/metrics/spans`.

use axum::extract::State as Whole;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::State;
use crate::parameters::Parameters;
use crate::tenant::Extract;

/// The last line of the format.
const EOF: &str = "# EOF\n";
/// What the user agent of a Trefoil that scrapes begins with.
const SCRAPER: &str = "Trefoil/";

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

async fn ready(Whole(state): Whole<State>) -> impl IntoResponse {
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
///
/// Not among the bounded reads: who looks after an overloaded gateway needs this most. Whoever names tenants gets series of their spans,
/// and what the gateway says of itself.
async fn metrics(Extract(state): Extract<State>, headers: HeaderMap, parameters: Parameters) -> Response {
    let left_out = scraped_by_trefoil(&headers) || parameters.get("spans") == Some("false");
    let Some(of_spans) = state.span_metrics.clone().filter(|_| !left_out) else {
        return exposition(state.metrics.text());
    };
    let both = move || Some(joined(state.metrics.text()?, &of_spans.text(&|_| true)?));
    exposition(tokio::task::spawn_blocking(both).await.ok().flatten())
}

/// One page of two.
fn joined(mut page: String, more: &str) -> String {
    let end = page.strip_suffix(EOF).map_or(page.len(), str::len);
    page.truncate(end);
    page.push_str(more);
    page
}

/// Whether a Trefoil scrapes, which makes these series itself and must not have them twice: each keeps those of the spans that it
/// was sent.
fn scraped_by_trefoil(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with(SCRAPER))
}

/// For who wants nothing else of us: there are thousands of series.
async fn span_metrics(Extract(state): Extract<State>) -> Response {
    let Some(metrics) = state.span_metrics.clone() else {
        let detail = "no series are made of spans: `metrics_from_spans.enabled` is false";
        return (StatusCode::NOT_FOUND, detail).into_response();
    };
    match state.reads.run(move || metrics.text(&|_| true)).await {
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
