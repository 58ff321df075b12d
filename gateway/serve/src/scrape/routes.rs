//! `GET /api/v1/scrape/targets`.
#![allow(unused_qualifications, reason = "the macro that describes the route writes them")]

use axum::Json;
use axum::extract::{Query, State as Extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::response::ScrapeTargetsBody;
use crate::State;

/// Targets listed where a request does not say how many: a page of half a megabyte.
const DEFAULT_LIMIT: usize = 1_000;

/// Which targets.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listed {
    /// Only those of this job.
    job: Option<String>,
    /// Only those that are `up`, `down` or `unknown`.
    health: Option<String>,
    /// How many to list, those that are down first where there are more; 1000 without it.
    limit: Option<usize>,
}

/// What is scraped, how it does, and what was discovered and is not scraped.
#[utoipa::path(
    get,
    path = "/api/v1/scrape/targets",
    params(Listed),
    responses((status = 200, description = "Targets with their last scrapes", body = ScrapeTargetsBody))
)]
pub async fn targets(
    Extract(state): Extract<State>,
    Query(listed): Query<Listed>,
) -> Json<ScrapeTargetsBody> {
    let mut body = state.scraping.targets();
    let all = body.targets.len();
    let wanted = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    body.targets.retain(|target| wanted(&listed.job, &target.job) && wanted(&listed.health, target.health));
    body.dropped.retain(|target| wanted(&listed.job, &target.job));
    let limit = listed.limit.unwrap_or(DEFAULT_LIMIT);
    if body.targets.len() > limit {
        body.targets.sort_by_key(|target| target.health != "down");
        body.targets.truncate(limit);
        body.targets.sort_by(|a, b| (&a.job, &a.url).cmp(&(&b.job, &b.url)));
    }
    body.omitted = all - body.targets.len();
    Json(body)
}
