//! `/loki/api/v1/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parsers::record::Labels;
use query::QueryError;
use query::logql::{self, Limits, RangeParams};
use store::read::{Matcher, ReadError};

use super::request::{self, InstantRequest, RangeRequest, VolumeRequest};
use super::{drilldown, patterns, response, tail, volume};
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/loki/api/v1/query", get(instant).post(instant))
        .route("/loki/api/v1/query_range", get(range).post(range))
        .route("/loki/api/v1/labels", get(labels).post(labels))
        .route("/loki/api/v1/label", get(labels).post(labels))
        .route("/loki/api/v1/label/{name}/values", get(label_values).post(label_values))
        .route("/loki/api/v1/series", get(series).post(series))
        .route("/loki/api/v1/index/stats", get(size).post(size))
        .route("/loki/api/v1/index/volume", get(volume).post(volume))
        .route("/loki/api/v1/index/volume_range", get(volume_range).post(volume_range))
        .route("/loki/api/v1/detected_labels", get(detected_labels).post(detected_labels))
        .route("/loki/api/v1/format_query", get(format_query).post(format_query))
        .route("/loki/api/v1/status/buildinfo", get(build_info))
        .route("/loki/api/v1/tail", get(tail::tail))
        .route("/loki/api/v1/patterns", get(patterns::patterns).post(patterns::patterns))
        .merge(drilldown::routes())
}

async fn range(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let asked = RangeRequest::read(&parameters, now())?;
    let categorized = request::categorized(&headers);
    let (logs, allowance) = (state.logs, state.capacity.allowance());
    let body = state.reads.run(move || {
        let began = Instant::now();
        let expression = logql::parse(&asked.query)?;
        let params = RangeParams {
            start: asked.start,
            end: asked.end,
            step: asked.step,
            interval: asked.interval,
            limit: asked.limit,
            direction: asked.direction,
        };
        let limits = Limits { allowance, ..Limits::default() };
        let outcome = logql::evaluate_range(&expression, &*logs, &params, &limits)?;
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
    let (logs, allowance) = (state.logs, state.capacity.allowance());
    let body = state.reads.run(move || {
        let began = Instant::now();
        let expression = logql::parse(&asked.query)?;
        let limits = Limits { allowance, ..Limits::default() };
        let outcome =
            logql::evaluate_instant(&expression, &*logs, asked.time, asked.limit, asked.direction, &limits)?;
        Ok::<_, Failure>(response::outcome(&outcome, categorized, began.elapsed()))
    });
    Ok(json(body.await??))
}

async fn labels(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let streams = listed(&state, &parameters, &["query"]).await?;
    let names = streams.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()));
    Ok(json(response::names(&names.collect())))
}

async fn label_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let streams = listed(&state, &parameters, &["query"]).await?;
    let values = streams.iter().filter_map(|labels| labels.get(&name).map(str::to_owned));
    Ok(json(response::names(&values.collect())))
}

async fn series(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let selectors = selectors(&parameters, &["match[]", "match"], logql::parse_matchers)?;
    Ok(json(response::series(&streams(&state, &parameters, selectors).await?)))
}

async fn size(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    let window = request::listing_window(&parameters, now())?;
    let selectors = selectors(&parameters, &["query"], logql::parse_matchers)?;
    let matchers = selectors.into_iter().next().unwrap_or_default();
    let logs = state.logs;
    let size = state.reads.run(move || volume::size(&*logs, &matchers, window)).await??;
    Ok(json(response::size(size)))
}

async fn volume(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    volumes(state, VolumeRequest::read(&parameters, now(), false)?).await
}

async fn volume_range(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    volumes(state, VolumeRequest::read(&parameters, now(), true)?).await
}

async fn volumes(state: State, asked: VolumeRequest) -> Result<Response, Failure> {
    let (logs, allowance) = (state.logs, state.capacity.allowance());
    let body = state.reads.run(move || {
        let began = Instant::now();
        let matchers = logql::parse_selector(&asked.query)?;
        let data = volume::volumes(&*logs, &matchers, &asked, &allowance)?;
        Ok::<_, Failure>(response::volumes(&data, asked.by_label, began.elapsed()))
    });
    Ok(json(body.await??))
}

async fn detected_labels(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let streams = listed(&state, &parameters, &["query"]).await?;
    for (name, value) in streams.iter().flat_map(|labels| labels.iter()) {
        values.entry(name).or_default().insert(value);
    }
    Ok(json(response::detected_labels(values.into_iter().map(|(name, values)| (name, values.len())))))
}

async fn format_query(parameters: Parameters) -> Result<Response, Failure> {
    Ok(json(response::text(&logql::format_query(request::query(&parameters)?)?)))
}

async fn build_info() -> Response {
    json(response::build_info())
}

/// The streams of any of the queries under these names, or all streams if there is none.
async fn listed(
    state: &State,
    parameters: &Parameters,
    names: &[&str],
) -> Result<BTreeSet<Arc<Labels>>, Failure> {
    streams(state, parameters, selectors(parameters, names, logql::parse_selector)?).await
}

/// The streams that meet any of these, or all streams if there is none.
async fn streams(
    state: &State,
    parameters: &Parameters,
    mut selectors: Vec<Vec<Matcher>>,
) -> Result<BTreeSet<Arc<Labels>>, Failure> {
    let window = request::listing_window(parameters, now())?;
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

fn selectors(
    parameters: &Parameters,
    names: &[&str],
    read: impl Fn(&str) -> Result<Vec<Matcher>, QueryError>,
) -> Result<Vec<Vec<Matcher>>, Failure> {
    let texts = names.iter().flat_map(|name| parameters.all(name));
    texts.map(|text| Ok(read(text)?)).collect()
}

pub(super) fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
