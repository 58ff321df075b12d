//! `/loki/api/v1/*`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::Labels;
use query::logql::{self, Limits, RangeParams};
use store::read::{Direction, LogRead, LogSelect, Matcher, ReadError, Window};

use super::error::Failure;
use super::request::{self, InstantRequest, RangeRequest};
use super::response::{self, Size};
use crate::State;
use crate::parameters::{Parameters, now};

/// Newest records from which a size hint is drawn: they are read in a few milliseconds, while somebody types a query.
const SIZE_SAMPLE: u64 = 2_000;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/loki/api/v1/query", get(instant).post(instant))
        .route("/loki/api/v1/query_range", get(range).post(range))
        .route("/loki/api/v1/labels", get(labels).post(labels))
        .route("/loki/api/v1/label", get(labels).post(labels))
        .route("/loki/api/v1/label/{name}/values", get(label_values))
        .route("/loki/api/v1/series", get(series).post(series))
        .route("/loki/api/v1/index/stats", get(size).post(size))
}

async fn range(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = RangeRequest::read(&parameters, now())?;
    let categorized = request::categorized(&headers);
    let logs = state.logs;
    let body = state.reads.run(move || {
        let began = Instant::now();
        let expression = logql::parse(&asked.query)?;
        let params = RangeParams {
            start: asked.start,
            end: asked.end,
            step: asked.step,
            limit: asked.limit,
            direction: asked.direction,
        };
        let outcome = logql::evaluate_range(&expression, &*logs, &params, &Limits::default())?;
        Ok::<_, Failure>(response::outcome(&outcome, categorized, began.elapsed()))
    });
    Ok(json(body.await??))
}

async fn instant(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = InstantRequest::read(&parameters, now())?;
    let categorized = request::categorized(&headers);
    let logs = state.logs;
    let body = state.reads.run(move || {
        let began = Instant::now();
        let expression = logql::parse(&asked.query)?;
        let limits = Limits::default();
        let outcome =
            logql::evaluate_instant(&expression, &*logs, asked.time, asked.limit, asked.direction, &limits)?;
        Ok::<_, Failure>(response::outcome(&outcome, categorized, began.elapsed()))
    });
    Ok(json(body.await??))
}

async fn labels(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let streams = listed(&state, &parameters, "query").await?;
    let names = streams.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()));
    Ok(json(response::names(&names.collect())))
}

async fn label_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let streams = listed(&state, &parameters, "query").await?;
    let values = streams.iter().filter_map(|labels| labels.get(&name).map(str::to_owned));
    Ok(json(response::names(&values.collect())))
}

async fn series(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    Ok(json(response::series(&listed(&state, &parameters, "match[]").await?)))
}

async fn size(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let window = request::listing_window(&parameters, now())?;
    let matchers = selectors(&parameters, "query")?.into_iter().next().unwrap_or_default();
    let logs = state.logs;
    let size = state.reads.run(move || estimate(&*logs, matchers, window)).await??;
    Ok(json(response::size(size)))
}

/// The streams that meet any of the selectors under this name, or all streams if there is none.
async fn listed(
    state: &State,
    parameters: &Parameters,
    name: &str,
) -> Result<BTreeSet<Arc<Labels>>, Failure> {
    let window = request::listing_window(parameters, now())?;
    let mut selectors = selectors(parameters, name)?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let logs = state.logs.clone();
    let read = state.reads.run(move || {
        let mut found = BTreeSet::new();
        for matchers in &selectors {
            found.extend(logs.streams(matchers, window)?);
        }
        Ok::<_, ReadError>(found)
    });
    Ok(read.await??)
}

fn selectors(parameters: &Parameters, name: &str) -> Result<Vec<Vec<Matcher>>, Failure> {
    parameters.all(name).map(|text| Ok(logql::parse(text)?.matchers().to_vec())).collect()
}

/// Streams are counted; lines and bytes are those of the newest lines, drawn out over the window.
fn estimate(logs: &dyn LogRead, matchers: Vec<Matcher>, window: Window) -> Result<Size, ReadError> {
    let streams = logs.streams(&matchers, window)?.len() as u64;
    let select =
        LogSelect { matchers, window, direction: Direction::Backward, trace: None, contains: Vec::new() };
    let mut size = Size { streams, ..Size::default() };
    let (mut newest, mut oldest) = (0, u64::MAX);
    logs.scan_logs(&select, &mut |record| {
        size.entries += 1;
        size.bytes += record.line.len() as u64;
        newest = record.time.max(newest);
        oldest = record.time.min(oldest);
        if size.entries < SIZE_SAMPLE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if size.entries >= SIZE_SAMPLE && oldest < newest {
        let factor = newest.saturating_sub(window.start) as f64 / (newest - oldest) as f64;
        size.entries = (size.entries as f64 * factor) as u64;
        size.bytes = (size.bytes as f64 * factor) as u64;
    }
    Ok(size)
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
