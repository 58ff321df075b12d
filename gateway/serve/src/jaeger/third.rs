//! `/jaeger/api/v3/*`: the third version of the interface.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use store::read::Window;

use super::error::Third;
use super::request::{self, TraceSearch};
use super::routes::{found, not_found, operations, spans_of};
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;
use crate::{State, otlp_json};

/// The routes of this version.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/jaeger/api/v3/services", get(services))
        .route("/jaeger/api/v3/operations", get(operation_list))
        .route("/jaeger/api/v3/traces", get(traces))
        .route("/jaeger/api/v3/traces/{id}", get(trace))
}

async fn services(Extract(state): Extract<State>) -> Result<Response, Third> {
    let known = state.reads.run(move || state.traces.services(Window::ALL)).await??;
    let names: Vec<String> = known.into_iter().map(|(service, _)| service).collect();
    Ok(Json(json!({ "services": names })).into_response())
}

async fn operation_list(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Third> {
    let missing = || Failure::Refused("malformed parameter service: expected a service".to_owned());
    let service = parameters.get("service").ok_or_else(missing)?.to_owned();
    let kind = parameters.get("span_kind").map(str::to_owned);
    Ok(Json(json!({ "operations": operations(&state, service, Some(kind)).await? })).into_response())
}

async fn traces(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Third> {
    let search = TraceSearch::third(&parameters, now())?;
    let body = state.reads.run(move || {
        let spans = found(&*state.traces, &search)?.concat();
        if spans.is_empty() { Err(not_found()) } else { Ok(otlp_json::wrapped("result", &spans)) }
    });
    Ok(body_of(body.await??))
}

async fn trace(Extract(state): Extract<State>, Path(id): Path<String>) -> Result<Response, Third> {
    let id = request::trace_id(&id)?;
    let body = state
        .reads
        .run(move || Ok::<_, Failure>(otlp_json::wrapped("result", &spans_of(&*state.traces, id)?)));
    Ok(body_of(body.await??))
}

fn body_of(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
