//! The paths below `/tempo`, and `traces/{id}` in both versions of the interface.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::TraceId;
use serde_json::json;
use store::read::Fate;

use super::{ask, grpc, response, search};
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::tenant::Extract;
use crate::{State, otlp_json};

/// Most spans in one body: as many as the unified look-up reads.
const SPAN_LIMIT: usize = 20_000;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/tempo/api/echo", get(|| async { "echo" }))
        .route("/tempo/api/status/buildinfo", get(search::build_info))
        .route("/tempo/api/search", get(search::search))
        .route("/tempo/api/metrics/query_range", get(search::range))
        .route("/tempo/api/metrics/query", get(search::instant))
        .route("/tempo/api/search/tags", get(search::tag_names))
        .route("/tempo/api/search/tag/{tag}/values", get(search::plain_values))
        .route("/tempo/api/v2/search/tags", get(search::tags))
        .route("/tempo/api/v2/search/tag/{tag}/values", get(search::typed_values))
        .route(
            "/tempo/api/traces/{id}",
            get(|state, id, headers, asked| trace(state, id, headers, asked, false)),
        )
        .route(
            "/tempo/api/v2/traces/{id}",
            get(|state, id, headers, asked| trace(state, id, headers, asked, true)),
        )
        .merge(grpc::routes())
}

/// A trace is found whenever it was; times that cannot be are refused, as in Tempo.
fn times(parameters: &Parameters) -> Result<(), Failure> {
    match (parameters.time("start")?, parameters.time("end")?) {
        (Some(start), Some(end)) => ask::before(start, end),
        _ => Ok(()),
    }
}

/// The spans of a trace; `wrapped` as the second version of the interface has them. 404 if there are none: the client
/// would read an empty 200 as a trace and fail. Protobuf, and JSON for whoever asks for that alone.
async fn trace(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
    wrapped: bool,
) -> Response {
    if let Err(failure) = times(&parameters) {
        return failure.into_response();
    }
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
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("json") && !accepted.contains("protobuf") {
        let body = if wrapped {
            otlp_json::wrapped("trace", &records.spans)
        } else {
            // The first version's own name for them.
            let spans = otlp_json::traces_data(&records.spans);
            serde_json::to_vec(&json!({ "batches": spans["resourceSpans"] })).unwrap_or_default()
        };
        return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    let partial = records.omitted > 0 || records.damaged_blocks > 0;
    let body = if wrapped {
        response::trace_by_id(&records.spans, partial)
    } else {
        response::trace(&records.spans)
    };
    ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response()
}
