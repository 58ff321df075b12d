//! `GET /api/v1/exemplars`: which traces lie behind the values of series, received or made of spans, and marked so.

use crate::tenant::Extract;
use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Response;
use correlate::{Absence, AbsentReason, AbsentSignal, ExemplarsFound, FoundExemplar};
use parsers::record::{ExemplarOrigin, TraceId};
use query::series_selectors::{self, Selector};
use serde::Serialize;
use serde_json::{Map, Value};
use store::read::{Detail, TraceRead};
use utoipa::ToSchema;

use super::request::{Failure, Refusal, Shared, answer, limit, of_tenant, window};
use super::shape::{AbsenceBody, WindowBody, labels};
use crate::parameters::{Parameters, now};
use crate::{State, values};

/// Exemplars of an answer when the client does not say.
const DEFAULT_LIMIT: usize = 1_000;
/// Most of them.
const MAX_LIMIT: usize = 10_000;

/// Exemplars of series. All keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExemplarsBody {
    /// What was asked for.
    query: String,
    window: WindowBody,
    /// In time order.
    exemplars: Vec<ExemplarBody>,
    /// What is not in this answer, and why.
    absent: Vec<AbsenceBody>,
    warnings: Vec<String>,
}

/// A value and the trace behind it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExemplarBody {
    metric: String,
    /// Labels of the series; of a histogram, of the bucket that holds the value.
    labels: Map<String, Value>,
    /// The exemplar's own labels other than the ids.
    exemplar_labels: Map<String, Value>,
    /// In the unit of the series; 1 for a count. A number, or `NaN`, `inf`, `-inf` as a string.
    value: Value,
    time_unix_nano: String,
    trace_id: Option<String>,
    span_id: Option<String>,
    /// `application`, or `trefoil` for those that were made of spans: for this answer, or with the series that are.
    origin: &'static str,
    /// Of those that were made: `highest`, `typical` or `error` of its step.
    representative: Option<&'static str>,
    /// Of those that were made: whether the span failed.
    error: Option<bool>,
    /// Of those that were made: how long the span took.
    duration_nano: Option<String>,
    /// `exemplar` for those that were received, `labels` for those that were made.
    rule: &'static str,
    /// 1 for those that were received; else the share of the series' labels that the span confirms.
    confidence: f64,
    /// Whether spans of the trace are stored.
    pub(super) stored: bool,
}

/// Exemplars of the series that a PromQL expression selects, received and made of spans.
#[utoipa::path(
    get,
    path = "/api/v1/exemplars",
    params(
        ("query" = String, Query, description = "PromQL: a selector, or an expression whose selectors count"),
        ("step" = Option<String>, Query, description = "Of each step the slowest, a typical and a failed request are shown; a \
            sixtieth of the window if not given"),
        ("tenant" = Option<String>, Query, description = "Only of this tenant, among those that `X-Scope-OrgID` names; without either, \
            those of all, and none is made of a span of another tenant than its series"),
        ("limit" = Option<usize>, Query, description = "Exemplars at most, the newest; 1000"),
        Shared,
    ),
    responses(
        (status = 200, description = "Exemplars, or why there are none", body = ExemplarsBody),
        (status = 400, description = "A parameter cannot be read", body = Refusal),
    )
)]
pub(super) async fn exemplars(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let state = of_tenant(state, &parameters, &headers)?;
    Ok(answer(&parameters, &find(&state, &parameters).await?))
}

/// What an expression selects, or why it cannot be read.
pub(super) fn selectors(name: &str, expression: &str) -> Result<Vec<Selector>, Refusal> {
    let selectors = series_selectors::selectors(expression)
        .map_err(|error| Refusal::new(format!("invalid {name} {expression:?}: {error}")))?;
    if selectors.is_empty() {
        let detail = format!(
            "invalid {name} {expression:?}: expected a PromQL selector such as http_requests_total{{job=\"shop\"}}"
        );
        return Err(Refusal::new(detail));
    }
    Ok(selectors)
}

/// The answer to the question that the parameters ask.
async fn find(state: &State, parameters: &Parameters) -> Result<ExemplarsBody, Failure> {
    let missing = || {
        Refusal::new("query is missing: expected a PromQL selector such as http_requests_total{job=\"shop\"}")
    };
    let query = parameters.get("query").ok_or_else(missing)?.to_owned();
    let selectors = selectors("query", &query)?;
    let window = window(parameters, now())?;
    let step = match parameters.duration("step")? {
        Some(0) => {
            let came = parameters.get("step").unwrap_or_default();
            let detail = format!("invalid step {came:?}: expected a duration above zero such as 15s");
            return Err(Refusal::new(detail).into());
        }
        step => step.map(Duration::from_nanos),
    };
    let limit = limit(parameters, DEFAULT_LIMIT, MAX_LIMIT)?;
    let exemplars = crate::prometheus::exemplars(state, &selectors).await??;
    let found = exemplars.find(&query, &selectors, window, step).await?;
    let mut absent: Vec<AbsenceBody> = found.absent.iter().map(AbsenceBody::from).collect();
    let traces = state.traces.clone();
    let (exemplars, mut warnings, cut) = state.reads.run(move || bodies(found, &*traces, limit)).await?;
    if cut > 0 {
        warnings.push(format!(
            "{cut} older exemplars are left out: ask with a higher `limit` or a shorter window"
        ));
    }
    // While a source is down nobody knows that there is none.
    if exemplars.is_empty() && absent.is_empty() {
        absent.push(AbsenceBody::from(&none(&query)));
    }
    Ok(ExemplarsBody { query, window: window.into(), exemplars, absent, warnings })
}

fn none(query: &str) -> Absence {
    Absence {
        signal: AbsentSignal::Exemplars,
        reason: AbsentReason::NoMatch,
        detail: format!("no exemplar of {query} was received in the window, and none can be made"),
        hint: "exemplars are made for series that measure calls (durations as `_bucket`, `_sum`, `_count`, or a counter of \
               requests) with a label that names a service or pod (service_name, service, app, job, pod), of stored spans of the \
               kind that the name speaks of (http, request, rpc, db, messaging; else a label has to name the operation) that no \
               label contradicts, and whose bucket counted something when they ended"
            .to_owned(),
    }
}

/// The newest, in time order.
fn bodies(
    found: ExemplarsFound,
    traces: &dyn TraceRead,
    limit: usize,
) -> (Vec<ExemplarBody>, Vec<String>, usize) {
    let mut all: Vec<FoundExemplar> = found.series.into_iter().flat_map(|series| series.exemplars).collect();
    all.sort_by_key(|found| found.exemplar.time);
    let cut = all.len().saturating_sub(limit);
    let shown = all.split_off(cut);
    let mut known: HashMap<TraceId, bool> = HashMap::new();
    let mut is_stored = |id| *known.entry(id).or_insert_with(|| has_spans(traces, id));
    let bodies = shown.iter().map(|found| shaped(found, &mut is_stored)).collect();
    (bodies, found.warnings, cut)
}

/// An exemplar with whether its trace is stored.
pub(super) fn body(found: &FoundExemplar, traces: &dyn TraceRead) -> ExemplarBody {
    shaped(found, &mut |id| has_spans(traces, id))
}

/// Without reading its lines and exemplars.
fn has_spans(traces: &dyn TraceRead, id: TraceId) -> bool {
    traces.trace_spans(id, Detail::Outline, 1).is_ok_and(|spans| !spans.is_empty())
}

fn shaped(found: &FoundExemplar, is_stored: &mut dyn FnMut(TraceId) -> bool) -> ExemplarBody {
    let (exemplar, made) = (&found.exemplar, found.made);
    let stored = exemplar.trace_id.is_some_and(|id| made.is_some() || is_stored(id));
    ExemplarBody {
        metric: exemplar.series.get("__name__").unwrap_or_default().to_owned(),
        labels: labels(&exemplar.series),
        exemplar_labels: exemplar.labels.iter().map(|(n, v)| (n.clone(), v.as_str().into())).collect(),
        value: values::double(exemplar.value),
        time_unix_nano: exemplar.time.to_string(),
        trace_id: exemplar.trace_id.map(|id| id.to_string()),
        span_id: exemplar.span_id.map(|id| id.to_string()),
        origin: match exemplar.origin {
            ExemplarOrigin::Application if made.is_none() => "application",
            _ => "trefoil",
        },
        representative: made.map(|made| made.of.as_str()),
        error: made.map(|made| made.error),
        duration_nano: made.map(|made| made.duration.to_string()),
        rule: if made.is_some() { "labels" } else { "exemplar" },
        confidence: made.map_or(1.0, |made| made.confidence),
        stored,
    }
}
