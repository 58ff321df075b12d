//! Search, metrics and what fills their forms over HTTP: tag names and tag values, in both versions of the interface.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::request::{MetricsRequest, SearchRequest, TagsRequest};
use super::{ask, json};
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Traces that meet a query, newest first.
pub(super) async fn search(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let found = ask::search(state, SearchRequest::read(&parameters, now())?).await?;
    Ok(body(json::search(&found.hits, found.report)))
}

/// Series over a range of time.
pub(super) async fn range(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = MetricsRequest::read(&parameters, false, now())?;
    Ok(body(ask::metrics(state, asked, |found| json::range(&found)).await?))
}

/// One value of each series over the range.
pub(super) async fn instant(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = MetricsRequest::read(&parameters, true, now())?;
    Ok(body(ask::metrics(state, asked, |found| json::instant(&found)).await?))
}

/// Tag names, by scope.
pub(super) async fn tags(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = TagsRequest::read(&parameters, String::new(), now())?;
    Ok(body(json::scopes(&ask::tags(state, asked).await?)))
}

/// Tag names without scopes.
pub(super) async fn tag_names(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = TagsRequest::read(&parameters, String::new(), now())?;
    Ok(body(json::tag_names(&ask::tags(state, asked).await?)))
}

/// Values of a tag, each with its type.
pub(super) async fn typed_values(
    Extract(state): Extract<State>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = TagsRequest::read(&parameters, decoded(&tag), now())?;
    Ok(body(json::typed_values(&ask::values(state, asked).await?)))
}

/// Values of a tag, as text.
pub(super) async fn plain_values(
    Extract(state): Extract<State>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = TagsRequest::read(&parameters, decoded(&tag), now())?;
    Ok(body(json::plain_values(&ask::values(state, asked).await?)))
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
