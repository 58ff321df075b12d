//! `tempopb.StreamingQuerier`: the same questions over gRPC, whose answers come in parts. Grafana asks at the host and port of
//! the data source, whatever path that has.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt as _;
use futures::stream;
use http_body_util::{BodyExt as _, Limited};
use parsers::otlp::WalkError;
use query::traceql::{Found, MetricsFound, Series};
use store::read::ScanReport;
use tokio::sync::oneshot;
use tonic::Status;

use super::ask;
use super::error::status;
use super::message::{self, Progress};
use super::request::{MetricsRequest, SearchRequest, TagsRequest};
use crate::State;
use crate::failure::Failure;
use crate::parameters::now;
use crate::tenant::Extract;

/// The media type; `+proto` may follow.
const GRPC: &str = "application/grpc";
/// Bytes before a message: a flag and its length.
const PREFIX: usize = 5;
/// Longest request: a query of the greatest length, and room for what stands beside it.
const MAX_REQUEST: usize = 256 << 10;
/// Traces of one message: its greatest length for Grafana is 4 MiB, and a trace may show a hundred spans.
const TRACES: usize = 20;
/// Values of one message of metrics: some 20 bytes each, and exemplars more.
const VALUES: usize = 20_000;
/// Series of one message: their labels are text.
const SERIES: usize = 200;

type Parts = Vec<Vec<u8>>;

/// The routes of the service.
pub(super) fn routes() -> Router<State> {
    let service = "/tempopb.StreamingQuerier";
    Router::new()
        .route(&format!("{service}/Search"), any(search))
        .route(&format!("{service}/SearchTags"), any(|state, request| tags(state, request, false)))
        .route(&format!("{service}/SearchTagsV2"), any(|state, request| tags(state, request, true)))
        .route(&format!("{service}/SearchTagValues"), any(|state, request| values(state, request, false)))
        .route(&format!("{service}/SearchTagValuesV2"), any(|state, request| values(state, request, true)))
        .route(&format!("{service}/MetricsQueryRange"), any(|state, request| metrics(state, request, false)))
        .route(&format!("{service}/MetricsQueryInstant"), any(|state, request| metrics(state, request, true)))
        .route(
            &format!("{service}/{{*method}}"),
            any(|| async { failed(&Status::unimplemented("no such method")) }),
        )
}

async fn search(Extract(state): Extract<State>, request: Request) -> Response {
    let asked = match read(request, |message| SearchRequest::decode(message, now())).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    // A query that does not parse is told at once; one that does is under way from here on.
    if let Err(error) = asked.query.parse() {
        return failed(&status(error.into()));
    }
    let begun = message::search(&[], ScanReport::default(), Progress { done: 0, of: 1 });
    answer(vec![begun], async move { ask::search(state, asked).await.map(|found| in_parts(&found)) })
}

/// Each trace once, and whole; the last part tells that all is done.
fn in_parts(found: &Found) -> Parts {
    let of = found.hits.len().div_ceil(TRACES).max(1) as u32;
    let mut parts: Parts = Vec::new();
    for hits in found.hits.chunks(TRACES) {
        let done = parts.len() as u32 + 1;
        parts.push(message::search(hits, found.report, Progress { done, of }));
    }
    if parts.is_empty() {
        parts.push(message::search(&[], found.report, Progress { done: of, of }));
    }
    parts
}

async fn tags(Extract(state): Extract<State>, request: Request, scoped: bool) -> Response {
    match read(request, |message| TagsRequest::decode(message, false, now())).await {
        Ok(asked) => answer(Vec::new(), async move {
            let found = ask::tags(state, asked).await?;
            Ok(vec![if scoped { message::scopes(&found) } else { message::tag_names(&found) }])
        }),
        Err(response) => response,
    }
}

async fn values(Extract(state): Extract<State>, request: Request, typed: bool) -> Response {
    match read(request, |message| TagsRequest::decode(message, true, now())).await {
        Ok(asked) => answer(Vec::new(), async move {
            let found = ask::values(state, asked).await?;
            Ok(vec![if typed { message::typed_values(&found) } else { message::plain_values(&found) }])
        }),
        Err(response) => response,
    }
}

async fn metrics(Extract(state): Extract<State>, request: Request, instant: bool) -> Response {
    match read(request, |message| MetricsRequest::decode(message, instant, now())).await {
        Ok(asked) => {
            let write = move |found| series_in_parts(found, instant);
            answer(Vec::new(), ask::metrics(state, asked, write))
        }
        Err(response) => response,
    }
}

/// Each series once, and whole.
fn series_in_parts(found: MetricsFound, instant: bool) -> Parts {
    let values = |one: &Series| if instant { 1 } else { one.samples.len() + one.exemplars.len() };
    let mut chunks: Vec<Vec<Series>> = vec![Vec::new()];
    let mut held = 0;
    for one in found.series {
        let fits = held + values(&one) <= VALUES && chunks.last().is_some_and(|chunk| chunk.len() < SERIES);
        if !fits {
            chunks.push(Vec::new());
            held = 0;
        }
        held += values(&one);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(one);
        }
    }
    let of = chunks.len() as u32;
    let parts = chunks.into_iter().zip(1..).map(|(series, done)| {
        let part = MetricsFound { series, partial: found.partial.clone(), report: found.report };
        message::metrics(&part, instant, Progress { done, of })
    });
    parts.collect()
}

/// The one message of a request.
async fn read<T>(
    request: Request,
    decode: impl FnOnce(&[u8]) -> Result<T, WalkError>,
) -> Result<T, Response> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media.is_some_and(|media| media.starts_with(GRPC)) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
    }
    let refuse = |detail: String| failed(&Status::invalid_argument(detail));
    let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
    let body = body.map_err(|error| refuse(error.to_string()))?.to_bytes();
    let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk::<PREFIX>() else {
        return Err(refuse("the body ends before the message begins".to_owned()));
    };
    if flag != 0 {
        return Err(failed(&Status::unimplemented("compressed requests are not read")));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(refuse("the message's length is not that of the body".to_owned()));
    }
    decode(message).map_err(|error| refuse(error.to_string()))
}

/// Answers with what is known already and what comes, then how it ended.
fn answer(known: Parts, coming: impl Future<Output = Result<Parts, Failure>> + Send + 'static) -> Response {
    let (tell, told) = oneshot::channel();
    let rest = stream::once(coming).flat_map({
        let mut tell = Some(tell);
        move |came| {
            let (parts, status) = match came {
                Ok(parts) => (parts, Status::ok("")),
                Err(failure) => (Vec::new(), status(failure)),
            };
            if let Some(tell) = tell.take() {
                // Nobody hears it where the client left.
                let _ = tell.send(status);
            }
            stream::iter(parts)
        }
    });
    let parts = stream::iter(known).chain(rest).map(|part| Ok::<_, Infallible>(framed(&part)));
    let ended = async move {
        let status = told.await.unwrap_or_else(|_| Status::internal("the answer broke off"));
        Some(Ok(trailers(&status)))
    };
    let body = Body::new(Body::from_stream(parts).with_trailers(ended));
    ([(header::CONTENT_TYPE, GRPC)], body).into_response()
}

fn trailers(status: &Status) -> HeaderMap {
    let code = HeaderValue::from(status.code() as i32);
    let mut trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), code)]);
    // Writes the message as gRPC escapes it.
    if status.add_header(&mut trailers).is_err() {
        tracing::debug!("a gRPC status could not be told whole");
    }
    trailers
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// Another status than OK, without an answer.
fn failed(status: &Status) -> Response {
    status.clone().into_http::<Body>()
}
