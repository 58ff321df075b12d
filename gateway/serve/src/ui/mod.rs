//! `/`: the page for a person with a browser and an id. It asks the native endpoints and shows what they answer; all that it is
//! made of is in `page/`, comes from here, and works without any other server.

use axum::Router;
use axum::extract::{OriginalUri, Path};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::State;

/// Where the page is mounted, in its text.
const BASE: &str = "{{base}}";
const PAGE: &str = include_str!("page/page.html");

/// What the page is made of: name, media type, text.
const PARTS: [(&str, &str, &str); 8] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("trefoil.svg", "image/svg+xml", include_str!("page/trefoil.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("show.js", SCRIPT, include_str!("page/show.js")),
    ("trace.js", SCRIPT, include_str!("page/trace.js")),
    ("graph.js", SCRIPT, include_str!("page/graph.js")),
    ("service.js", SCRIPT, include_str!("page/service.js")),
    ("analysis.js", SCRIPT, include_str!("page/analysis.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new().route("/", get(page)).route("/page/{part}", get(part))
}

/// Its parts have absolute paths, since it may be asked for with and without a slash at the end.
async fn page(OriginalUri(uri): OriginalUri) -> Html<String> {
    Html(PAGE.replace(BASE, uri.path().trim_end_matches('/')))
}

async fn part(Path(name): Path<String>) -> Response {
    match PARTS.iter().find(|(part, ..)| *part == name) {
        Some((_, media, text)) => ([(header::CONTENT_TYPE, *media)], *text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests;
