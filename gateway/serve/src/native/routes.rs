//! `GET /api/v1/traces/{id}`.

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parsers::record::TraceId;
use serde_json::json;

use super::response::body;
use crate::State;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new().route("/api/v1/traces/{id}", get(trace))
}

/// 200, or 404 with the same body if nothing was found in any signal, or 400 if the id is none.
async fn trace(Extract(state): Extract<State>, Path(id): Path<String>) -> Response {
    let id = match TraceId::from_spelling(id.as_bytes()) {
        Ok(id) => id,
        Err(error) => {
            let message = format!(
                "{id:?} is not a trace id: {error}; expected hex of up to 32 digits, or another known spelling"
            );
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": message }))).into_response();
        }
    };
    let answer = state.correlator.answer(id).await;
    let status = if answer.found() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, Json(body(&answer))).into_response()
}
