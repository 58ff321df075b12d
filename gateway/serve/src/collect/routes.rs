//! `GET /api/v1/collect/files`.
#![allow(unused_qualifications, reason = "the macro that describes the route writes them")]

use std::sync::Arc;

use axum::extract::{Query, State as Extract};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Collecting;
use super::response::{CollectedFile, FilesBody, Totals, share};
use crate::State;

/// Files listed where a request does not say how many: a page of half a megabyte.
const DEFAULT_LIMIT: usize = 1_000;

/// Which files.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listed {
    /// Only those of this namespace.
    namespace: Option<String>,
    /// Only those of this pod.
    pod: Option<String>,
    /// Only those of this container.
    container: Option<String>,
    /// How many to list, those furthest behind first where there are more; 1000 without it.
    limit: Option<usize>,
}

/// What is read of log files, how far, and what was lost.
#[utoipa::path(
    get,
    path = "/api/v1/collect/files",
    params(Listed),
    responses((status = 200, description = "The files that are being read", body = FilesBody))
)]
pub async fn files(Extract(state): Extract<State>, Query(listed): Query<Listed>) -> Json<FilesBody> {
    Json(list(&*state.collecting, &listed))
}

/// This surface alone, for a program that has no other.
pub fn router(collecting: Arc<dyn Collecting>) -> Router {
    let answer = async |Extract(collecting): Extract<Arc<dyn Collecting>>, Query(listed): Query<Listed>| {
        Json(list(&*collecting, &listed))
    };
    Router::new().route("/api/v1/collect/files", get(answer)).with_state(collecting)
}

/// The files that were asked for.
pub fn list(collecting: &dyn Collecting, listed: &Listed) -> FilesBody {
    let wanted = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let mut files = collecting.files();
    files.retain(|file| {
        wanted(&listed.namespace, &file.namespace)
            && wanted(&listed.pod, &file.pod)
            && wanted(&listed.container, &file.container)
    });
    let totals = Totals::of(files.iter());
    let limit = listed.limit.unwrap_or(DEFAULT_LIMIT);
    let omitted = files.len().saturating_sub(limit);
    if omitted > 0 {
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes_behind));
        files.truncate(limit);
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    files.iter_mut().for_each(complete);
    FilesBody { totals, omitted, files }
}

/// What follows from the other figures.
fn complete(file: &mut CollectedFile) {
    file.linked_share = share(file.linked_lines, file.lines);
}
