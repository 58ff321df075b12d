//! `/tempo/api/search` and what fills its forms: tag names and tag values, in both versions of the interface.

use axum::extract::{Path, State as Extract};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use query::traceql::{self, SearchParams};

use super::error::Failure;
use super::json;
use super::request::{self, SearchRequest, Wanted};
use crate::State;
use crate::parameters::{Parameters, now};

/// Traces that meet a query, newest first.
pub(super) async fn search(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = SearchRequest::read(&parameters, now())?;
    let query = match &asked.query {
        Wanted::Query(text) => traceql::parse(text)?,
        Wanted::Tags { tags, min_duration, max_duration } => {
            traceql::from_tags(tags, *min_duration, *max_duration)?
        }
    };
    let params = SearchParams {
        start: asked.window.start,
        end: asked.window.end,
        limit: asked.limit,
        spans_per_set: asked.spans,
    };
    let traces = state.traces;
    let found = state.reads.run(move || {
        let found = traceql::search(&query, &*traces, &params)?;
        Ok::<_, Failure>(json::search(&found.hits, found.report))
    });
    Ok(body(found.await??))
}

/// Tag names, by scope.
pub(super) async fn tags(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let window = request::window(&parameters, now())?;
    let limit = request::tag_limit(&parameters)?;
    let found = state.reads.run(move || traceql::tags(&*state.traces, window, limit)).await??;
    Ok(body(json::scopes(&found)))
}

/// Tag names without scopes.
pub(super) async fn tag_names(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let window = request::window(&parameters, now())?;
    let limit = request::tag_limit(&parameters)?;
    let found = state.reads.run(move || traceql::tags(&*state.traces, window, limit)).await??;
    Ok(body(json::tag_names(&found)))
}

/// Values of a tag, each with its type.
pub(super) async fn typed_values(
    Extract(state): Extract<State>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    Ok(body(json::typed_values(&values(state, &tag, &parameters).await?)))
}

/// Values of a tag, as text.
pub(super) async fn plain_values(
    Extract(state): Extract<State>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    Ok(body(json::plain_values(&values(state, &tag, &parameters).await?)))
}

/// `q` is what stands in the editor at that moment: where it does not parse, it does not narrow.
async fn values(
    state: State,
    tag: &str,
    parameters: &Parameters,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let window = request::window(parameters, now())?;
    let limit = request::tag_limit(parameters)?;
    let query = parameters.get("q").and_then(|text| traceql::parse(text).ok());
    let tag = decoded(tag);
    let read = move || traceql::tag_values(&*state.traces, &tag, query.as_ref(), window, limit);
    Ok(state.reads.run(read).await??)
}

/// Older clients encode the name twice; the router has decoded it once.
fn decoded(tag: &str) -> String {
    let mut out = Vec::with_capacity(tag.len());
    let mut rest = tag.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which version of Tempo this speaks like.
pub(super) async fn build_info() -> Response {
    body(json::build_info())
}

fn body(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
