//! The paths below `/zipkin`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use correlate::service_graph;
use parsers::record::attribute;
use query::span_search::{self, SearchLimits};
use query::traceql;
use store::read::{SpanSelect, Window};

use super::request::{self, TraceSearch};
use super::response;
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;
use crate::values;

/// Most spans of one trace: as many as the unified look-up reads.
const SPAN_LIMIT: usize = 20_000;
/// Most spans of all traces of an answer: some 100 MB of JSON.
const ANSWER_SPANS: usize = 200_000;
/// Longest time for a search: it ends before the request does, so that the client sees why.
const SEARCH_TIME: Duration = Duration::from_secs(25);
/// Traces looked at for services that are called: recent ones tell what is in use.
const REMOTE_TRACES: usize = 2_000;
/// Keys or values that complete a tag: a list of more is not read.
const COMPLETIONS: usize = 1_000;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/zipkin/api/v2/services", get(services))
        .route("/zipkin/api/v2/spans", get(span_names))
        .route("/zipkin/api/v2/remoteServices", get(remote_services))
        .route("/zipkin/api/v2/traces", get(traces))
        .route("/zipkin/api/v2/trace/{id}", get(trace))
        .route("/zipkin/api/v2/traceMany", get(trace_many))
        .route("/zipkin/api/v2/dependencies", get(dependencies))
        .route("/zipkin/api/v2/autocompleteKeys", get(keys))
        .route("/zipkin/api/v2/autocompleteValues", get(key_values))
}

async fn services(Extract(state): Extract<State>) -> Result<Response, Failure> {
    let known = state.reads.run(move || state.traces.services(Window::ALL)).await??;
    Ok(listed(known.into_iter().map(|(service, _)| service)))
}

async fn span_names(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let Some(service) = parameters.get("serviceName") else { return Ok(listed([])) };
    let known = state.reads.run(move || state.traces.services(Window::ALL)).await??;
    let ours = known.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(service));
    Ok(listed(ours.flat_map(|(_, names)| names)))
}

/// Services that spans of this one name as the other side.
async fn remote_services(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let Some(service) = parameters.get("serviceName").map(str::to_owned) else { return Ok(listed([])) };
    let window = request::window(&parameters, now())?;
    let found = state.reads.run(move || {
        let (mut found, mut seen) = (BTreeSet::new(), 0);
        state.traces.scan_traces(&SpanSelect { window, service: None, name: None }, &mut |spans| {
            let ours = spans.iter().filter(|span| span.resource.service().eq_ignore_ascii_case(&service));
            let peers = ours.filter_map(|span| attribute(&span.attributes, "peer.service"));
            found.extend(peers.map(|peer| values::text(peer).into_owned()));
            seen += 1;
            if seen < REMOTE_TRACES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok::<_, Failure>(found)
    });
    Ok(listed(found.await??))
}

async fn traces(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let search = TraceSearch::read(&parameters, now())?;
    let traces = state.traces;
    let body = state.reads.run(move || {
        let select = search.select(&traces.services(Window::ALL)?);
        let limits = SearchLimits { traces: search.limit, spans: ANSWER_SPANS, time: SEARCH_TIME };
        let found = span_search::find(&*traces, &select, &limits, |spans| search.wants(spans))?;
        Ok::<_, Failure>(response::traces(&found))
    });
    Ok(json(body.await??))
}

async fn trace(Extract(state): Extract<State>, Path(text): Path<String>) -> Result<Response, Failure> {
    let id = request::trace_id(&text)?;
    let spans = state.reads.run(move || state.traces.trace(id, SPAN_LIMIT)).await??.spans;
    if spans.is_empty() {
        Err(Failure::NotFound(format!("{text} not found")))
    } else {
        Ok(json(response::trace(&spans)))
    }
}

async fn trace_many(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let ids = request::trace_ids(&parameters)?;
    let found = state.reads.run(move || {
        let traces = ids.into_iter().map(|id| Ok(state.traces.trace(id, SPAN_LIMIT)?.spans));
        Ok::<_, Failure>(response::traces(&traces.collect::<Result<Vec<_>, Failure>>()?))
    });
    Ok(json(found.await??))
}

async fn dependencies(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let window = request::window(&parameters, now())?;
    let calls = state.reads.run(move || service_graph(&*state.traces, window)).await??;
    Ok(json(response::dependencies(&calls)))
}

/// Keys of tags that recent spans have.
async fn keys(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let window = request::window(&parameters, now())?;
    let scopes = state.reads.run(move || traceql::tags(&*state.traces, None, window, COMPLETIONS)).await??;
    let tags = scopes.into_iter().filter(|(scope, _)| matches!(*scope, "span" | "resource"));
    Ok(listed(tags.flat_map(|(_, names)| names).collect::<BTreeSet<_>>()))
}

/// Values that recent spans have under a key.
async fn key_values(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let missing = || Failure::Refused("key is missing: expected the key of a tag".to_owned());
    let tag = format!(".{}", parameters.get("key").ok_or_else(missing)?);
    let window = request::window(&parameters, now())?;
    let read = move || traceql::tag_values(&*state.traces, &tag, None, window, COMPLETIONS);
    let found = state.reads.run(read).await??;
    Ok(listed(found.into_iter().map(|(_, value)| value).collect::<BTreeSet<_>>()))
}

/// Names; each of the three lists of names is sorted where it is made.
fn listed(names: impl IntoIterator<Item = String>) -> Response {
    json(response::names(&names.into_iter().collect::<Vec<_>>()))
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
