//! `GET /api/v1/correlate`: from anything to the other signals.

mod request;
mod response;

use axum::http::StatusCode;
use axum::response::Response;
use correlate::Pivot;

use super::absence;
use super::request::{Failure, Refusal, Shared, answer};
use crate::State;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;
use request::Question;
pub(super) use response::CorrelateBody;

/// From a trace, a span, a log line, a service, a metric or a workload to the other signals.
#[utoipa::path(
    get,
    path = "/api/v1/correlate",
    params(
        ("trace_id" = Option<String>, Query, description = "A trace, in any spelling. Exactly one of this, `span_id`, `labels`, \
            `service`, `metric` and `workload` is needed"),
        ("span_id" = Option<String>, Query, description = "A span of whichever trace; `start` and `end` bound the search for it"),
        ("labels" = Option<String>, Query, description = "A LogQL selector, with `time`: the log line of that stream and time"),
        ("service" = Option<String>, Query, description = "A service, with `start` and `end`"),
        ("metric" = Option<String>, Query, description = "A PromQL selector, with `time`: its exemplars, else the spans behind it"),
        ("workload" = Option<String>, Query, description = "A Kubernetes workload as `namespace/pod` or `namespace/deployment`, with \
            `start` and `end`"),
        ("time" = Option<String>, Query, description = "As `start`; of `labels` needed, of `metric` now if not given"),
        ("tenant" = Option<String>, Query, description = "Only records of this tenant; else those of the tenant of what is asked about"),
        ("limit" = Option<usize>, Query, description = "Entries of each list at most; 20"),
        Shared,
    ),
    responses(
        (status = 200, description = "What belongs to it, each list with what is surest first", body = CorrelateBody),
        (status = 400, description = "A parameter cannot be read, or not exactly one start is named", body = Refusal),
        (status = 404, description = "Nothing was found; `absent` says why", body = CorrelateBody),
    )
)]
pub(super) async fn correlate(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let body = find(&state, &parameters).await?;
    let mut response = answer(&parameters, &body);
    if !body.found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// The answer to the question that the parameters ask.
pub(crate) async fn find(state: &State, parameters: &Parameters) -> Result<CorrelateBody, Failure> {
    let question = Question::read(parameters, now())?;
    let pivot = Pivot::new(
        state.correlator.clone(),
        state.exemplars.clone(),
        state.logs.clone(),
        state.samples.clone(),
    );
    let related = pivot.related(question.start, question.tenant, question.limit).await?;
    let traces = state.traces.clone();
    let mut body = state.reads.run(move || CorrelateBody::new(question.from, related, &*traces)).await?;
    if let (Some(wanted), false) = (parameters.get("service"), body.found) {
        body.say_what_is_near(wanted, absence::names(state).await);
    }
    Ok(body)
}
