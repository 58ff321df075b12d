//! `/grafana/datasources.yaml`, `/grafana/dashboards` (the list) and `/grafana/dashboards/{file}`, made for the address that they are asked by, or for
//! `server.external_url`.

use axum::extract::{Path, State as Extract};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use dashboards::{GeneratedFile, Target, TargetKind, Token};

use crate::{ByToken, State};

/// The variable of Grafana's environment that holds a token for this gateway, as commands of ours have it in theirs.
const TOKEN_VARIABLE: &str = "TREFOIL_TOKEN";

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/grafana/datasources.yaml", get(datasources))
        .route("/grafana/dashboards", get(list))
        .route("/grafana/dashboards/{file}", get(dashboard))
}

/// Where Grafana finds this gateway.
fn target(state: &State, uri: &Uri, headers: &HeaderMap) -> Target {
    // HTTP/2 names the host in the request's target.
    let named = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = uri.authority().map(Authority::as_str).or_else(named).filter(|host| {
        // A host that is not one would end up in a configuration file.
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    });
    let base_url = match (&state.external_url, asked) {
        (Some(url), _) => url.clone(),
        (None, host) => {
            let scheme = if state.tls { "https" } else { "http" };
            format!("{scheme}://{}", host.unwrap_or("localhost:8080"))
        }
    };
    Target::new(TargetKind::File, base_url)
}

async fn datasources(
    Extract(state): Extract<State>,
    guarded: Option<Extension<ByToken>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // Grafana has to show a token, too; which one, only its own environment says.
    let token = guarded.map(|_| Token::Environment(TOKEN_VARIABLE.to_owned()));
    match ::dashboards::datasources(&Target { token, ..target(&state, &uri, &headers) }) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
        Err(misfit) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{misfit}\n")).into_response(),
    }
}

/// Where each dashboard is.
async fn list(Extract(state): Extract<State>, uri: Uri, headers: HeaderMap) -> Response {
    let target = target(&state, &uri, &headers);
    let files = ::dashboards::dashboards(&target);
    let url = |file: &GeneratedFile| format!("{}/grafana/dashboards/{}", target.base_url, file.name);
    axum::Json(files.iter().map(url).collect::<Vec<_>>()).into_response()
}

async fn dashboard(
    Extract(state): Extract<State>,
    uri: Uri,
    headers: HeaderMap,
    Path(file): Path<String>,
) -> Response {
    let files = ::dashboards::dashboards(&target(&state, &uri, &headers));
    let names: Vec<String> = files.iter().map(|generated| generated.name.clone()).collect();
    match files.into_iter().find(|generated| generated.name == file) {
        Some(found) => ([(header::CONTENT_TYPE, "application/json")], found.contents).into_response(),
        None => {
            let text = format!("no dashboard {file:?}; there is: {}\n", names.join(", "));
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}
