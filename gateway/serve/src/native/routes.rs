//! `GET /api/v1/traces/{id}`, and `/openapi.json`, which describes it and what else there is under `/api/v1`.

use std::sync::Arc;

use ::correlate::{DEFAULT_PAGE, MAX_PAGE, Page};
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Json, Router};
use parsers::record::TraceId;
use utoipa::OpenApi;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::known::{Known, refuse_unknown};
use super::request::{self, Refusal};
use super::response::{CURSOR, TraceBody};
use super::{analysis, service_graph, services};
use super::{correlate, exemplars, patterns};
use crate::parameters::Parameters;
use crate::tenant::Extract;
use crate::{State, collect, scrape};

#[derive(OpenApi)]
#[openapi(info(
    title = "Trefoil",
    description = "What happened in this request? Logs, spans and metrics in one answer.",
    license(name = "Apache-2.0")
))]
struct Document;

/// The routes, and what is said of them: as `fields` leaves keys out of an answer, none is always there.
fn described() -> (Router<State>, utoipa::openapi::OpenApi) {
    let (router, mut document) = listed().split_for_parts();
    let questions = document.paths.paths.values().filter_map(|item| item.get.as_ref());
    let bodies: Vec<String> = questions
        .filter(|question| {
            let mut parameters = question.parameters.iter().flatten().filter_map(here);
            parameters.any(|parameter| parameter.name == "fields")
        })
        .filter_map(|question| {
            let response = here(question.responses.responses.get("200")?)?;
            match here(response.content.get("application/json")?)?.schema.as_ref()? {
                RefOr::Ref(body) => body.ref_location.rsplit('/').next().map(str::to_owned),
                RefOr::T(_) => None,
            }
        })
        .collect();
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| bodies.contains(name)) {
        if let RefOr::T(Schema::Object(body)) = schema {
            body.required.clear();
        }
    }
    (router, document)
}

/// What is said in place, and not by reference.
fn here<T>(said: &RefOr<T>) -> Option<&T> {
    match said {
        RefOr::T(said) => Some(said),
        RefOr::Ref(_) => None,
    }
}

fn listed() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(trace))
        .routes(routes!(analysis::variance))
        .routes(routes!(analysis::compare))
        .routes(routes!(analysis::versions))
        .routes(routes!(services::services))
        .routes(routes!(services::operations))
        .routes(routes!(service_graph::service_graph))
        .routes(routes!(correlate::correlate))
        .routes(routes!(exemplars::exemplars))
        .routes(routes!(patterns::patterns))
        .routes(routes!(collect::files))
        .routes(routes!(scrape::targets))
}

/// The description of this surface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().1
}

/// The routes of this surface.
pub(crate) fn routes() -> Router<State> {
    let (router, document) = described();
    let known = Arc::new(Known::of(&document));
    let router = router.layer(from_fn_with_state(known, refuse_unknown));
    let router = router.route("/api/v1/{*path}", any(no_such_path));
    router.route("/openapi.json", get(move || std::future::ready(Json(document.clone()))))
}

/// What is asked for does not exist: says so in this surface's words.
async fn no_such_path(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let without = path.trim_end_matches('/');
    let meant = if without.len() < path.len() {
        format!("; without the slash at its end it may: {without}")
    } else {
        String::new()
    };
    Refusal::new(format!("there is no {path}{meant}; /openapi.json lists what there is"))
        .with(StatusCode::NOT_FOUND)
}

/// Some senders call their traces anything: what is no id in a known spelling is one if a record has it.
async fn opaque(state: &State, text: &str) -> Option<TraceId> {
    let id = TraceId::opaque(text.as_bytes())?;
    let traces = state.traces.clone();
    let records = state.reads.run(move || traces.trace(id, 1)).await.ok()?.ok()?;
    (!records.spans.is_empty() || !records.logs.is_empty()).then_some(id)
}

/// Everything about a request by its trace id.
#[utoipa::path(
    get,
    path = "/api/v1/traces/{id}",
    params(
        ("id" = String, Path, description = "The trace id in any spelling: hex of up to 32 digits in either case, a \
            dashed UUID, X-Ray, Datadog's decimal, a whole traceparent, B3 or uber-trace-id value, or the opaque string of a sender \
            that uses such"),
        ("limit" = Option<usize>, Query, description = "Spans of a part, and records of any other kind; 5,000 unless given, at most \
            10,000"),
        ("cursor" = Option<String>, Query, description = "Which part: the `next` of the one before"),
        ("fields" = Option<String>, Query, description = "Keys of the first level that the body has, by commas; all unless given. One that \
            it never has is refused"),
        ("min_confidence" = Option<f64>, Query, description = "Log lines without an id are offered from this confidence on, 0 to \
            1; 0.3 unless given, 1 for none"),
        ("mentions" = Option<bool>, Query, description = "Whether lines that only mention the id in their text are looked for, \
            a minute round the trace; false unless given"),
    ),
    responses(
        (status = 200, description = "Something is known of it", body = TraceBody<'static>),
        (status = 400, description = "Not a trace id, or a parameter that cannot be read", body = Refusal),
        (status = 404, description = "Nothing was found in any signal; `absent` says why", body = TraceBody<'static>),
    )
)]
async fn trace(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    // Lines and links are joined by what spans carry.
    let whole = ["spans", "logs", "links"].into_iter().any(|key| request::wants(&parameters, key));
    let page = Page { whole, ..page(&parameters)? };
    let id = match TraceId::from_spelling(id.as_bytes()) {
        Ok(id) => id,
        Err(error) => match opaque(&state, &id).await {
            Some(id) => id,
            None => {
                let error = format!(
                    "{id:?} is not a trace id: {error}; expected hex of up to 32 digits, or another known spelling"
                );
                return Err(Refusal::new(error));
            }
        },
    };
    let answer = state.correlator.part(id, page).await;
    let status =
        if answer.found() || answer.total_spans > 0 { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = request::answer(&parameters, &TraceBody::from(&answer));
    *response.status_mut() = status;
    Ok(response)
}

/// Which part of the answer is asked for.
fn page(parameters: &Parameters) -> Result<Page, Refusal> {
    let offset = match parameters.get("cursor") {
        None => 0,
        Some(cursor) => {
            cursor.strip_prefix(CURSOR).and_then(|offset| offset.parse().ok()).ok_or_else(|| {
                let got: String = cursor.chars().take(64).collect();
                Refusal::new(format!("invalid cursor {got:?}: expected the `next` of an answer"))
            })?
        }
    };
    let min_confidence = match parameters.get("min_confidence") {
        None => None,
        Some(text) => Some(text.parse().ok().filter(|n| (0.0..=1.0).contains(n)).ok_or_else(|| {
            let got: String = text.chars().take(64).collect();
            Refusal::new(format!("invalid min_confidence {got:?}: expected a number from 0 to 1"))
        })?),
    };
    let mentions = match parameters.get("mentions") {
        None | Some("false") => false,
        Some("true") => true,
        Some(text) => {
            let got: String = text.chars().take(64).collect();
            return Err(Refusal::new(format!("invalid mentions {got:?}: expected true or false")));
        }
    };
    let limit = request::limit(parameters, DEFAULT_PAGE, MAX_PAGE)?;
    Ok(Page { offset, limit, min_confidence, mentions, ..Page::default() })
}
