//! `GET /api/v1/correlate`: from anything to the other signals.

mod near;
mod request;
mod response;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use correlate::Pivot;

use super::request::{Failure, Refusal, answer, of_tenant};
use crate::State;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;
use near::near;
use request::Question;
pub(super) use response::CorrelateBody;

/// From a trace, a span, a log line, a service, a metric or a workload to the other signals.
#[utoipa::path(
    get,
    path = "/api/v1/correlate",
    params(
        ("trace_id" = Option<String>, Query, description = "A trace, in any spelling. Exactly one of this, `span_id`, `labels`, \
            `service`, `metric` and `workload` is needed"),
        ("span_id" = Option<String>, Query, description = "A span of whichever trace; `start` and `end` bound the search for it, \
            which else goes through all that is stored"),
        ("labels" = Option<String>, Query, description = "A LogQL selector, which filters and parsers may follow, with `time`: the \
            log line of that stream and time that they let through"),
        ("service" = Option<String>, Query, description = "A service, with `start` and `end`"),
        ("metric" = Option<String>, Query, description = "A PromQL selector, with `time`: its exemplars, else the spans behind it"),
        ("workload" = Option<String>, Query, description = "A Kubernetes workload as `namespace/pod` or `namespace/deployment`, with \
            `start` and `end`"),
        ("start" = Option<String>, Query, description = "RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds, \
            as its size tells; an hour before `end` if not given, and for `span_id` the beginning"),
        ("end" = Option<String>, Query, description = "As `start`; now if not given"),
        ("time" = Option<String>, Query, description = "As `start`; of `labels` needed, of `metric` now if not given"),
        ("tenant" = Option<String>, Query, description = "Only records of this tenant; else those of the tenant of what is asked about"),
        ("limit" = Option<usize>, Query, description = "Entries of each list; 20 without it, at most 200"),
        ("fields" = Option<String>, Query, description = "Keys of the answer's first level that are wanted, by commas; all if not \
            given. One that it never has is refused"),
    ),
    responses(
        (status = 200, description = "What belongs to it, each list with what is surest first", body = CorrelateBody),
        (status = 400, description = "A parameter cannot be read, or not exactly one start is named", body = Refusal),
        (status = 404, description = "Nothing was found; `absent` says why", body = CorrelateBody),
    )
)]
pub(super) async fn correlate(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let state = of_tenant(state, &parameters, &headers)?;
    let body = find(&state, &parameters).await?;
    let mut response = answer(&parameters, &body);
    if !body.found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// The answer to the question that the parameters ask.
async fn find(state: &State, parameters: &Parameters) -> Result<CorrelateBody, Failure> {
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
    if !body.found {
        body.say_what_is_near(&near(state, parameters).await?);
    }
    Ok(body)
}
