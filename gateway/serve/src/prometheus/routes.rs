//! `/prometheus/api/v1/*`: Grafana's Prometheus data source speaks through here to the real server, so that one address and
//! one set of links serve all data sources. Without a server the answers are made of what is stored.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use query::promql;

use super::error::{Failure, error};
use super::request::ExemplarRequest;
use super::{embedded, federate, merged, place, response};
use crate::State;
use crate::parameters::Parameters;
use crate::tenant::Extract;
use store::read::{Matcher, ReadError, SampleLimits, SeriesSamples, Window};

/// Query strings and forms are short; Grafana's longest are some kilobytes.
const FORM_LIMIT: usize = 1 << 20;

/// Hands a request on to the metrics server.
#[async_trait]
pub trait Forward: Send + Sync {
    /// `path_and_query` begins with `/api/v1/`. The answer comes back as it is.
    async fn forward(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, ForwardFailure>;

    /// The samples of its series as they are, of these tenants where that is said: what a query is evaluated over here that
    /// also asks for series that are stored here.
    async fn samples(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
        tenants: Option<&str>,
    ) -> Result<Vec<SeriesSamples>, ReadError>;
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFailure {
    /// 403, 413, 502 or 504, as the failure is.
    pub status: StatusCode,
    /// For people.
    pub detail: String,
}

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/prometheus/api/v1/query_exemplars", get(exemplars).post(exemplars))
        .route("/prometheus/api/v1/{*rest}", any(handle))
        .route("/prometheus/federate", get(federate::federate))
        .route("/federate", get(federate::federate))
}

async fn exemplars(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, Failure> {
    if state.prometheus.is_none() {
        // There is no server that would say what is wrong with it.
        promql::parse(parameters.get("query").unwrap_or_default())?;
    }
    let asked = ExemplarRequest::read(&parameters)?;
    let exemplars = place::exemplars(&state, &asked.selectors).await??;
    let found = exemplars.find(&asked.query, &asked.selectors, asked.window, asked.step).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], response::exemplars(&found)).into_response())
}

async fn handle(Extract(state): Extract<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "bad_data", "expected GET or POST");
    }
    #[expect(clippy::disallowed_methods, reason = "this is the bounded reader: the limit is ours")]
    let Ok(body) = to_bytes(body, FORM_LIMIT).await else {
        let detail = format!("the form could not be read, or is over {FORM_LIMIT} bytes");
        return error(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", &detail);
    };
    let path_and_query = parts.uri.path_and_query().map_or("", |whole| whole.as_str());
    let inner = path_and_query.strip_prefix("/prometheus").unwrap_or(path_and_query);
    let Some(server) = state.prometheus.clone() else {
        let path = parts.uri.path().to_owned();
        let request = Request::from_parts(parts, Body::from(body));
        return match Parameters::from_request(request, &()).await {
            Ok(parameters) => {
                embedded::answer(state, &path, parameters).await.unwrap_or_else(IntoResponse::into_response)
            }
            Err(refused) => error(refused.status(), "bad_data", "the parameters could not be read"),
        };
    };
    merged::answer(state, server, merged::Asked { parts: &parts, inner, body }).await
}
