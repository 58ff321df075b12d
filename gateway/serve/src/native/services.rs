//! `GET /api/v1/services` and `GET /api/v1/operations`: rates, errors and durations in a window.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use correlate::red::{self, OperationMeasures, RedQuestion, ServiceMeasures};
use serde::Serialize;
use store::read::{Calls, OTHERS};
use utoipa::ToSchema;

use super::absence::{self, Wanted};
use super::request::{self, Refusal};
use super::shape::AbsenceBody;
use crate::State;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Entries of a list where a request does not say how many.
const DEFAULT_LIMIT: usize = 1_000;
/// And at most: some megabytes of JSON.
const MAX_LIMIT: usize = 50_000;

/// Whole minutes around the window that was asked for: spans are counted by the minute in which they started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedWindow {
    start_unix_nano: String,
    end_unix_nano: String,
    /// What rates are over: the part of the window that has passed since spans are stored.
    seconds: f64,
}

/// Durations that so many of 100 do not exceed, within 3 %.
#[derive(Debug, Serialize, ToSchema)]
#[allow(clippy::struct_field_names, reason = "the fields are the body's keys")]
pub(super) struct Latency {
    p50_nano: String,
    p95_nano: String,
    p99_nano: String,
}

impl From<[u64; 3]> for Latency {
    fn from(nanos: [u64; 3]) -> Self {
        let [p50_nano, p95_nano, p99_nano] = nanos.map(|nanos| nanos.to_string());
        Self { p50_nano, p95_nano, p99_nano }
    }
}

/// Services of a window.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServicesBody {
    window: RedWindow,
    /// Busiest first.
    services: Vec<Service>,
    /// Services that are left out: more than `limit`.
    omitted: usize,
    /// Why there is nothing.
    absent: Vec<AbsenceBody>,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
}

/// A service, measured by the requests that entered it.
#[derive(Debug, Serialize, ToSchema)]
struct Service {
    name: String,
    /// Requests that entered it; all its spans, if it has none by which one does.
    calls: u64,
    errors: u64,
    /// Calls a second.
    rate: f64,
    /// Failed calls a second.
    error_rate: f64,
    latency: Option<Latency>,
    /// How many operations it has, by name and kind.
    operations: usize,
}

/// Operations of a window.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationsBody {
    window: RedWindow,
    /// Those by which requests enter a service first, then the busiest.
    operations: Vec<Operation>,
    /// Operations that are left out: more than `limit`.
    omitted: usize,
    /// Why there is nothing.
    absent: Vec<AbsenceBody>,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
}

/// Spans of one name and kind.
#[derive(Debug, Serialize, ToSchema)]
struct Operation {
    service: String,
    /// `(others)` where `others` is true.
    name: String,
    /// Stands for those past the first thousand names of a service.
    others: bool,
    /// `server`, `client`, `internal`, `producer`, `consumer` or `unspecified`.
    kind: &'static str,
    /// Requests enter the service by it.
    entry: bool,
    calls: u64,
    errors: u64,
    /// Calls a second.
    rate: f64,
    /// Failed calls a second.
    error_rate: f64,
    latency: Option<Latency>,
}

impl From<ServiceMeasures> for Service {
    fn from(service: ServiceMeasures) -> Self {
        let measures = service.measures;
        Self {
            name: service.name.to_string(),
            calls: measures.calls,
            errors: measures.errors,
            rate: measures.rate,
            error_rate: measures.error_rate,
            latency: measures.percentiles.map(Latency::from),
            operations: service.operations,
        }
    }
}

impl From<OperationMeasures> for Operation {
    fn from(operation: OperationMeasures) -> Self {
        let measures = operation.measures;
        Self {
            service: operation.service.to_string(),
            name: operation.name.to_string(),
            others: *operation.name == *OTHERS,
            kind: operation.kind.as_str(),
            entry: operation.entry,
            calls: measures.calls,
            errors: measures.errors,
            rate: measures.rate,
            error_rate: measures.error_rate,
            latency: measures.percentiles.map(Latency::from),
        }
    }
}

/// What the store counted for a request.
pub(super) struct Asked {
    pub(super) calls: Calls,
    pub(super) question: RedQuestion,
    pub(super) absent: Vec<AbsenceBody>,
    pub(super) warnings: Vec<String>,
}

impl Asked {
    /// Reads the window, and what was counted in it; `service` is the only one of interest.
    pub(super) async fn read(
        state: &State,
        parameters: &Parameters,
        service: Option<&str>,
    ) -> Result<Self, Response> {
        let now = now();
        let window = request::window(parameters, now).map_err(IntoResponse::into_response)?;
        let traces = state.traces.clone();
        let read = state.reads.run(move || traces.calls(window)).await;
        let calls = match read.map_err(IntoResponse::into_response)? {
            Ok(calls) => calls,
            Err(error) => {
                let refusal = Refusal::new(error.to_string());
                return Err(refusal.with(StatusCode::INTERNAL_SERVER_ERROR));
            }
        };
        let mut warnings = Vec::new();
        if calls.damaged_blocks > 0 {
            let blocks = calls.damaged_blocks;
            warnings
                .push(format!("{blocks} damaged blocks of the store were passed over; counts may be low"));
        }
        let question = RedQuestion::of(&calls, now);
        warnings.extend(question.begins.map(|begins| {
            let begins = parsers::record::format_rfc3339(begins);
            format!("spans begin at {begins}, and none are older: rates are over the time since then")
        }));
        let found = match service {
            Some(service) => calls.operations.iter().any(|operation| *operation.service == *service),
            None => !calls.operations.is_empty(),
        };
        let wanted = Wanted { service, operation: None, window };
        let absent = if found { Vec::new() } else { vec![absence::of_spans(state, wanted).await] };
        Ok(Self { calls, question, absent, warnings })
    }

    pub(super) fn window(&self) -> RedWindow {
        let RedQuestion { window, seconds, .. } = self.question;
        RedWindow {
            start_unix_nano: window.start.to_string(),
            end_unix_nano: window.end.to_string(),
            seconds,
        }
    }
}

/// Rates, errors and durations of services.
///
/// Counted from spans by the minute in which they started, also of those that sampling dropped since.
#[utoipa::path(
    get,
    path = "/api/v1/services",
    params(
        ("limit" = Option<usize>, Query, description = "How many services; 1000 without it, at most 50000"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "Services; `absent` says why there are none", body = ServicesBody),
        (status = 400, description = "A parameter cannot be read", body = Refusal),
    )
)]
pub(super) async fn services(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let limit = match request::limit(&parameters, DEFAULT_LIMIT, MAX_LIMIT) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into_response(),
    };
    let asked = match Asked::read(&state, &parameters, None).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let mut services = red::services(&asked.calls, asked.question);
    let omitted = services.len().saturating_sub(limit);
    services.truncate(limit);
    let body = ServicesBody {
        window: asked.window(),
        services: services.into_iter().map(Service::from).collect(),
        omitted,
        absent: asked.absent,
        warnings: asked.warnings,
    };
    request::answer(&parameters, &body)
}

/// Tells of services whose spans have more names than are told apart.
fn unnamed(operations: &[OperationMeasures]) -> Option<String> {
    let (mut calls, mut services) = (0, Vec::new());
    for operation in operations.iter().filter(|operation| *operation.name == *OTHERS) {
        calls += operation.measures.calls;
        if !services.contains(&&*operation.service) {
            services.push(&*operation.service);
        }
    }
    let first = services.first()?;
    Some(format!(
        "{calls} spans of {} services (such as {first}) have more names than are told apart, a thousand a service: they are counted as \
         {OTHERS}, and the names that are shown are those seen first; put ids and parameters into attributes, not into names of spans",
        services.len()
    ))
}

/// Rates, errors and durations of the operations of a service, or of all services.
///
/// Counted from spans by the minute in which they started, also of those that sampling dropped since.
#[utoipa::path(
    get,
    path = "/api/v1/operations",
    params(
        ("service" = Option<String>, Query, description = "Only those of this service"),
        ("limit" = Option<usize>, Query, description = "How many operations; 1000 without it, at most 50000"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "Operations; `absent` says why there are none", body = OperationsBody),
        (status = 400, description = "A parameter cannot be read", body = Refusal),
    )
)]
pub(super) async fn operations(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let limit = match request::limit(&parameters, DEFAULT_LIMIT, MAX_LIMIT) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into_response(),
    };
    let service = parameters.get("service");
    let mut asked = match Asked::read(&state, &parameters, service).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let mut operations = red::operations(&asked.calls, service, asked.question);
    asked.warnings.extend(unnamed(&operations));
    let omitted = operations.len().saturating_sub(limit);
    operations.truncate(limit);
    let body = OperationsBody {
        window: asked.window(),
        operations: operations.into_iter().map(Operation::from).collect(),
        omitted,
        absent: asked.absent,
        warnings: asked.warnings,
    };
    request::answer(&parameters, &body)
}

#[cfg(test)]
mod tests;
