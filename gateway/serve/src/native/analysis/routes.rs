//! Requests to questions.
#![allow(unused_qualifications, reason = "the macro that describes the routes writes them")]

use crate::tenant::Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use correlate::analysis::compare::{CompareQuestion, Metrics, OTHERS, Selection, Side, VersionsQuestion};
use correlate::analysis::{AnalysisOptions, Analyst, VarianceQuestion};
use parsers::record::format_rfc3339;
use query::QueryError;
use tokio::runtime::Handle;

use super::compare::{CompareBody, VersionsBody};
use super::variance::VarianceBody;
use crate::State;
use crate::native::absence::{self, Wanted};
use crate::native::request::{self, Refusal};
use crate::native::shape::AbsenceBody;
use crate::parameters::{Parameters, now};

/// Contributors of a variance: more have no share that is worth reading.
const DEFAULT_CONTRIBUTORS: usize = 20;
/// Pairs of spans of two traces that are compared.
const DEFAULT_PAIRS: usize = 2_000;
/// Versions that are listed.
const DEFAULT_VERSIONS: usize = 100;
/// Findings of a comparison: a page for a person.
const DEFAULT_FINDINGS: usize = 50;
/// Entries of a list at most.
const MOST: usize = 1_000;
/// The attribute that tells versions apart.
const VERSION: &str = "service.version";

/// What to try where spans have no version.
const NO_VERSION: &str = "name another attribute in `by`, of the resource or the span: `GET /tempo/api/v2/search/tags` lists what \
                          there is";

/// A question, or why it is none.
type Asked<T> = Result<T, Refusal>;

/// Runs a question beside the runtime.
async fn answer<T: Send + 'static>(
    state: &State,
    ask: impl FnOnce(&Analyst) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Response> {
    let options = AnalysisOptions::default();
    let options = AnalysisOptions { time: options.time.min(state.request_timeout / 2), ..options };
    // Who has a metrics server has the metrics there. What is stored is read sample by sample, not as a server would show it.
    let metrics = match state.upstream.clone() {
        Some(server) => Metrics::Server(server, Handle::current()),
        None => Metrics::Stored(state.samples.clone()),
    };
    let mapping = state.correlator.mapping().clone();
    let analyst = Analyst::new(state.traces.clone(), options).with_metrics(metrics, mapping);
    let analyst = analyst.with_logs(state.logs.clone());
    match state.reads.run(move || ask(&analyst)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Refusal::new(error.to_string()).with(status(&error))),
        Err(busy) => Err(busy.into_response()),
    }
}

fn status(error: &QueryError) -> StatusCode {
    match error {
        QueryError::Read(_) => StatusCode::BAD_GATEWAY,
        QueryError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        QueryError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        QueryError::TooMuch(_) => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Syntax { .. }
        | QueryError::Parse { .. }
        | QueryError::Invalid(_)
        | QueryError::TraceQl(_) => StatusCode::BAD_REQUEST,
    }
}

/// Why a side of a comparison is empty.
fn no_trace(name: &str, side: &Side) -> AbsenceBody {
    if let Some(absent) = &side.absent {
        let body = AbsenceBody::from(absent);
        return AbsenceBody { detail: format!("{name}, {}: {}", side.selection, body.detail), ..body };
    }
    let (start, end) = (format_rfc3339(side.window.start), format_rfc3339(side.window.end));
    let detail = format!("no stored trace between {start} and {end} is {name}: {}", side.selection);
    if side.selection == OTHERS {
        let hint = "narrow `a`, widen `start` and `end`, or name `b`";
        return absence::spans("no_match", detail, hint.to_owned());
    }
    let hint = "widen `start` and `end`, or ask `GET /tempo/api/search?q=` with the query to see what it finds; \
                `GET /api/v1/services` and `/api/v1/operations` list the names that there are";
    absence::spans("no_match", detail, hint.to_owned())
}

fn needed(parameters: &Parameters, name: &str, what: &str) -> Asked<String> {
    let found = parameters.all(name).next().map(str::to_owned);
    found.ok_or_else(|| Refusal::new(format!("{name} is missing: expected {what}")))
}

/// Why the time of an operation varies.
///
/// Of each trace the time of the operation's span, or of each of its spans that is not below another of them, is split among the operations that it waited for, along the critical path. A
/// contributor's share is the covariance of its part with the whole by the variance of the whole: shares add up to 1, and one below 0
/// takes less time where the whole takes more. What was started and runs on after the span's end is none of its time; `warnings` name it. Attribute values, patterns of log lines and places in the code are those of traces in
/// which the contributor takes longer, tested by Mann and Whitney and corrected for how many were tested.
#[utoipa::path(
    get,
    path = "/api/v1/analysis/variance",
    params(
        ("service" = String, Query, description = "`service.name`"),
        ("operation" = Option<String>, Query, description = "Name of a span; without it, whatever enters the service"),
        ("limit" = Option<usize>, Query, description = "Contributors that are listed, 20 without it; `others` has the rest"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "The variance, split; `reason` says why there are no contributors", body = VarianceBody),
        (status = 400, description = "The question cannot be read", body = Refusal),
    )
)]
pub(in crate::native) async fn variance(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let question = |parameters: &Parameters| -> Asked<VarianceQuestion> {
        Ok(VarianceQuestion {
            service: needed(parameters, "service", "the name of a service")?,
            operation: parameters.get("operation").map(str::to_owned),
            window: request::window(parameters, now())?,
            limit: request::limit(parameters, DEFAULT_CONTRIBUTORS, MOST)?,
        })
    };
    let asked = match question(&parameters) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let found = match answer(&state, move |analyst| analyst.variance(&asked)).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let mut body = VarianceBody::from(&found);
    if found.times.traces == 0 {
        let (service, operation) = (Some(found.service.as_str()), found.operation.as_deref());
        let wanted = Wanted { service, operation, window: found.window };
        body.absent.push(match found.oversize {
            0 => absence::of_spans(&state, wanted).await,
            _ => absence::too_large(found.reason.unwrap_or_default()),
        });
    }
    request::answer(&parameters, &body)
}

/// What is different between two traces or two sets of traces.
///
/// Two ids compare two traces: spans are matched by service, name, place in the tree and order among their like. Two TraceQL queries
/// compare the traces that meet them: what fails by itself, what takes time by itself, who calls whom, which attribute values and
/// patterns of lines occur more, and which metrics of theirs differ, ranked in one list. Traces that meet both queries count for the
/// smaller side alone, so that `a={status=error}` without `b` is errors against all others. One query at two times also tells whether there
/// is much more traffic at one of them. Only what is surer than 0.01 after correction for how much was tested is listed.
#[utoipa::path(
    get,
    path = "/api/v1/analysis/compare",
    params(
        ("a" = String, Query, description = "TraceQL, or the id of a trace in any spelling"),
        ("b" = Option<String>, Query, description = "TraceQL if `a` is, an id if `a` is. Without it all other traces of the window; \
            with a window for one side alone, `a` again"),
        ("a_start" = Option<String>, Query, description = "The window of `a` alone, with `a_end`. Ids have none: they are found whenever \
            they were"),
        ("a_end" = Option<String>, Query, description = "As `a_start`"),
        ("b_start" = Option<String>, Query, description = "The window of `b` alone, with `b_end`"),
        ("b_end" = Option<String>, Query, description = "As `b_start`"),
        ("limit" = Option<usize>, Query, description = "Findings that are listed, 50 without it, and pairs of spans, 2000 without it"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "Findings, what matters most first; `reason` says why there are none", body = CompareBody),
        (status = 400, description = "The question cannot be read", body = Refusal),
    )
)]
pub(in crate::native) async fn compare(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let question = |parameters: &Parameters| -> Asked<CompareQuestion> {
        let a = needed(parameters, "a", "TraceQL or the id of a trace")?;
        let read = |name: &str, text: String| match Selection::read(&text) {
            Ok(selection) => Ok((text, selection)),
            Err(error) => {
                Err(Refusal::new(format!("{name} is neither the id of a trace nor a query: {error}")))
            }
        };
        let own = |start: &str, end: &str| parameters.get(start).or(parameters.get(end)).is_some();
        let id = |text: Option<&str>| {
            text.is_some_and(|text| matches!(Selection::read(text), Ok(Selection::Trace(_))))
        };
        for (name, start, end) in [("a", "a_start", "a_end"), ("b", "b_start", "b_end")] {
            if own(start, end) && id(parameters.get(name)) {
                return Err(Refusal::new(format!(
                    "{start} and {end} choose among the traces that meet a query, and {name} is the id of one: leave them out"
                )));
            }
        }
        let of = |start: &'static str, end: &'static str| {
            let (start, end) = if own(start, end) { (start, end) } else { ("start", "end") };
            request::named_window(parameters, start, end, now())
        };
        let a = read("a", a)?;
        let b = match parameters.get("b") {
            Some(b) => Some(read("b", b.to_owned())?),
            // The same at two times.
            None if own("a_start", "a_end") || own("b_start", "b_end") => Some(a.clone()),
            None => None,
        };
        Ok(CompareQuestion {
            a,
            a_window: of("a_start", "a_end")?,
            b,
            b_window: of("b_start", "b_end")?,
            now: now(),
            limit: request::limit(parameters, DEFAULT_FINDINGS, MOST)?,
            pairs: request::limit(parameters, DEFAULT_PAIRS, DEFAULT_PAIRS)?,
        })
    };
    let asked = match question(&parameters) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let found = match answer(&state, move |analyst| analyst.compare(&asked)).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let mut body = CompareBody::from(&found);
    for (name, side) in [("a", &found.a), ("b", &found.b)] {
        if side.times.traces == 0 {
            body.absent.push(no_trace(name, side));
        }
    }
    request::answer(&parameters, &body)
}

/// What versions of a service do otherwise.
///
/// Each version's share of the service's calls with their times and failures, and what is different in traces of each other version
/// against those of the one with the most traffic, as `/api/v1/analysis/compare` finds it. A trace that meets several versions counts
/// for the rarest of them; where most traces do, calls with what is below them are compared instead. `warnings` say which.
#[utoipa::path(
    get,
    path = "/api/v1/analysis/versions",
    params(
        ("service" = String, Query, description = "`service.name`"),
        ("by" = Option<String>, Query, description = "The attribute that tells versions apart, of the resource or the span, \
            or as TraceQL writes it, `span.build`; `service.version` without it"),
        ("limit" = Option<usize>, Query, description = "Findings that are listed of each version, 50 without it, and versions, 100 \
            without it"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "Versions, newest first; `reason` says why nothing is compared", body = VersionsBody),
        (status = 400, description = "The question cannot be read", body = Refusal),
    )
)]
pub(in crate::native) async fn versions(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let question = |parameters: &Parameters| -> Asked<VersionsQuestion> {
        Ok(VersionsQuestion {
            service: needed(parameters, "service", "the name of a service")?,
            by: parameters.get("by").unwrap_or(VERSION).to_owned(),
            window: request::window(parameters, now())?,
            versions: request::limit(parameters, DEFAULT_VERSIONS, DEFAULT_VERSIONS)?,
            limit: request::limit(parameters, DEFAULT_FINDINGS, MOST)?,
        })
    };
    let asked = match question(&parameters) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let found = match answer(&state, move |analyst| analyst.versions(&asked)).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let mut body = VersionsBody::from(&found);
    if found.versions.is_empty() {
        let wanted = Wanted { service: Some(&found.service), operation: None, window: found.window };
        let detail = found.reason.clone().unwrap_or_default();
        body.absent.push(match found.looked_at {
            0 if found.oversize > 0 => absence::too_large(detail),
            0 => absence::of_spans(&state, wanted).await,
            _ => absence::spans("no_match", detail, NO_VERSION.to_owned()),
        });
    }
    request::answer(&parameters, &body)
}
