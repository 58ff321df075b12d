//! The paths below `/jaeger`.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use correlate::service_graph;
use parsers::record::{Span, TraceId};
use query::span_search::{self, SearchLimits};
use store::read::{TraceRead, Window};

use super::error::Enveloped;
use super::operations::{self, Operation};
use super::request::{self, Asked, TraceSearch};
use super::{response, third};
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Most spans of one trace: as many as the unified look-up reads.
const SPAN_LIMIT: usize = 20_000;
/// Most spans of all traces of an answer: some 100 MB of JSON.
const ANSWER_SPANS: usize = 200_000;
/// Longest time for a search: it ends before the request does, so that the client sees why.
const SEARCH_TIME: Duration = Duration::from_secs(25);

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/jaeger/api/services", get(services))
        .route("/jaeger/api/services/{service}/operations", get(operation_names))
        .route("/jaeger/api/operations", get(operation_list))
        .route("/jaeger/api/traces", get(traces))
        .route("/jaeger/api/traces/{id}", get(trace))
        .route("/jaeger/api/dependencies", get(dependencies))
        .merge(third::routes())
}

async fn services(Extract(state): Extract<State>) -> Result<Response, Enveloped> {
    let known = state.reads.run(move || state.traces.services(Window::ALL)).await??;
    Ok(listed(known.into_iter().map(|(service, _)| service).collect()))
}

async fn operation_names(
    Extract(state): Extract<State>,
    Path(service): Path<String>,
) -> Result<Response, Enveloped> {
    let found = operations(&state, service, None).await?;
    let names: BTreeSet<String> = found.into_iter().map(|operation| operation.name).collect();
    Ok(listed(names.into_iter().collect()))
}

async fn operation_list(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Enveloped> {
    let service = parameters
        .get("service")
        .ok_or_else(|| Failure::Refused("parameter 'service' is required".to_owned()))?;
    let kind = parameters.get("spanKind").map(str::to_owned);
    Ok(listed(operations(&state, service.to_owned(), Some(kind)).await?))
}

/// Operations of a service; with their kinds, and only those of one, where `kind` asks for it.
pub(super) async fn operations(
    state: &State,
    service: String,
    kind: Option<Option<String>>,
) -> Result<Vec<Operation>, Failure> {
    let traces = state.traces.clone();
    let found = state.reads.run(move || match kind {
        None => operations::names(&*traces, &service),
        Some(kind) => operations::with_kinds(&*traces, &service, kind.as_deref(), now()),
    });
    Ok(found.await??)
}

async fn traces(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Enveloped> {
    let raw = raw(&parameters);
    let body = match Asked::read(&parameters, now())? {
        Asked::Search(search) => {
            state
                .reads
                .run(move || Ok::<_, Failure>(response::traces(&found(&*state.traces, &search)?, raw)))
                .await??
        }
        Asked::Ids(ids) => {
            let read = move || {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for id in ids {
                    let spans = state.traces.trace(id, SPAN_LIMIT)?.spans;
                    if spans.is_empty() { missing.push(id) } else { found.push(spans) }
                }
                Ok::<_, Failure>(response::traces_and_missing(&found, &missing, raw))
            };
            state.reads.run(read).await??
        }
    };
    Ok(json(body))
}

/// Traces that a search finds.
pub(super) fn found(traces: &dyn TraceRead, search: &TraceSearch) -> Result<Vec<Vec<Span>>, Failure> {
    let limits = SearchLimits { traces: search.limit, spans: ANSWER_SPANS, time: SEARCH_TIME };
    Ok(span_search::find(traces, &search.select(), &limits, |spans| search.wants(spans))?)
}

async fn trace(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Enveloped> {
    let (id, raw) = (request::trace_id(&id)?, raw(&parameters));
    let body = state.reads.run(move || {
        let spans = spans_of(&*state.traces, id)?;
        Ok::<_, Failure>(response::traces(&[spans], raw))
    });
    Ok(json(body.await??))
}

/// What is said of a trace that is not there.
pub(super) fn not_found() -> Failure {
    Failure::NotFound("trace not found".to_owned())
}

/// The spans of a trace, of which there must be some.
pub(super) fn spans_of(traces: &dyn TraceRead, id: TraceId) -> Result<Vec<Span>, Failure> {
    let spans = traces.trace(id, SPAN_LIMIT)?.spans;
    if spans.is_empty() { Err(not_found()) } else { Ok(spans) }
}

async fn dependencies(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Enveloped> {
    let window = request::graph_window(&parameters, now())?;
    let calls = state.reads.run(move || service_graph(&*state.traces, window)).await??;
    Ok(listed(response::dependencies(&calls)))
}

/// Whether the spans are wanted as they were sent, ids used twice and all.
fn raw(parameters: &Parameters) -> bool {
    parameters.get("raw") == Some("true")
}

fn listed<T: serde::Serialize>(data: Vec<T>) -> Response {
    Json(response::Envelope::of(data)).into_response()
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
