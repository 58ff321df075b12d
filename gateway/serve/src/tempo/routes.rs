//! The paths below `/tempo`, and `traces/{id}` in both versions of the interface.

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::TraceId;
use store::read::Fate;

use super::{response, search};
use crate::State;

/// Most spans in one body: as many as the unified look-up reads.
const SPAN_LIMIT: usize = 20_000;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/tempo/api/echo", get(|| async { "echo" }))
        .route("/tempo/api/status/buildinfo", get(search::build_info))
        .route("/tempo/api/search", get(search::search))
        .route("/tempo/api/search/tags", get(search::tag_names))
        .route("/tempo/api/search/tag/{tag}/values", get(search::plain_values))
        .route("/tempo/api/v2/search/tags", get(search::tags))
        .route("/tempo/api/v2/search/tag/{tag}/values", get(search::typed_values))
        .route("/tempo/api/traces/{id}", get(|state, id| trace(state, id, false)))
        .route("/tempo/api/v2/traces/{id}", get(|state, id| trace(state, id, true)))
}

/// The spans of a trace; `wrapped` as the second version of the interface has them. 404 if there are none: the client
/// would read an empty 200 as a trace and fail.
async fn trace(Extract(state): Extract<State>, Path(id): Path<String>, wrapped: bool) -> Response {
    let id = match TraceId::from_spelling(id.as_bytes()) {
        Ok(id) => id,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("{id:?} is not a trace id: {error}")).into_response();
        }
    };
    let traces = state.traces;
    let records = match state.reads.run(move || traces.trace(id, SPAN_LIMIT)).await {
        Ok(Ok(records)) => records,
        Ok(Err(error)) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(error) => return error.into_response(),
    };
    if let Some(Fate::SampledOut { rule, .. }) = records.fates.first() {
        let detail = format!("the rule `{rule}` of `sampling.rules` dropped this trace");
        return (StatusCode::NOT_FOUND, detail).into_response();
    }
    if records.spans.is_empty() {
        return (StatusCode::NOT_FOUND, "no spans of this trace are stored").into_response();
    }
    let partial = records.omitted > 0 || records.damaged_blocks > 0;
    let body = if wrapped {
        response::trace_by_id(&records.spans, partial)
    } else {
        response::trace(&records.spans)
    };
    ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response()
}
