//! What the questions of this surface have in common: a window of time, how much, which keys, and how a refusal looks.

use std::collections::BTreeMap;
use std::fmt;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parsers::record::format_rfc3339;
use serde::Serialize;
use serde_json::value::RawValue;
use store::read::{ReadError, Window};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::blocking::{NotRead, RETRY_AFTER};
use crate::parameters::{Malformed, Parameters, SECOND};

/// A question that names no window is about the last hour, as Grafana's is.
pub(super) const DEFAULT_WINDOW: u64 = 3600 * SECOND;

/// What every question about a time takes, as the description of this surface has it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes parameters, which are read one by one")]
pub(super) struct Shared {
    /// RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds, as its size tells; an hour before `end` if not
    /// given
    start: Option<String>,
    /// As `start`; now if not given
    end: Option<String>,
    /// Keys of the answer's first level that are wanted, by commas; all if not given. One that it never has is refused
    fields: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// What came, and what was expected.
    error: String,
}

impl Refusal {
    /// 400 with these words.
    pub(super) fn new(error: impl Into<String>) -> Self {
        Self { error: error.into() }
    }

    /// With another status.
    pub(super) fn with(self, status: StatusCode) -> Response {
        (status, Json(self)).into_response()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl From<Malformed> for Refusal {
    fn from(error: Malformed) -> Self {
        Self::new(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.with(StatusCode::BAD_REQUEST)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The question cannot be answered as it stands.
    Refused(Refusal),
    /// No room.
    NotRead(NotRead),
    /// A source failed.
    Read(ReadError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NotRead> for Failure {
    fn from(error: NotRead) -> Self {
        Self::NotRead(error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused { .. } | ReadError::TooMany { .. } => {
                Self::Refused(Refusal::new(error.to_string()))
            }
            error => Self::Read(error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::NotRead(error) => {
                let mut response = Refusal::new(error.to_string()).with(error.status());
                if error == NotRead::Busy {
                    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
                }
                response
            }
            Self::Read(error) => {
                tracing::error!(%error, "a question could not be answered");
                let error = Refusal::new("what is stored could not be read; the log says why");
                error.with(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// `start` and `end`: the last hour unless they are given, an hour if one of them is.
pub(super) fn window(parameters: &Parameters, now: u64) -> Result<Window, Refusal> {
    named_window(parameters, "start", "end", now)
}

/// As [`window`], by other names.
pub(super) fn named_window(
    parameters: &Parameters,
    start: &'static str,
    end: &'static str,
    now: u64,
) -> Result<Window, Refusal> {
    let (from, to) = (instant(parameters, start)?, instant(parameters, end)?);
    let window = match (from, to) {
        (Some(start), Some(end)) => Window { start, end },
        (Some(start), None) => Window { start, end: now.max(start.saturating_add(1)) },
        (None, to) => {
            let end = to.unwrap_or(now);
            Window { start: end.saturating_sub(DEFAULT_WINDOW), end }
        }
    };
    ordered(start, end, window)
}

/// The window, if it is one.
pub(super) fn ordered(start: &'static str, end: &'static str, window: Window) -> Result<Window, Refusal> {
    if window.start >= window.end {
        let (from, to) = (format_rfc3339(window.start), format_rfc3339(window.end));
        return Err(Refusal::new(format!("{start} ({from}) is not before {end} ({to})")));
    }
    Ok(window)
}

/// A time from 1970 on. Other surfaces take earlier ones as 1970, since their clients send them.
pub(super) fn instant(parameters: &Parameters, name: &'static str) -> Result<Option<u64>, Refusal> {
    if let Some(text) = parameters.get(name).filter(|text| text.starts_with('-')) {
        let text: String = text.chars().take(64).collect();
        let detail = format!(
            "invalid {name} {text:?}: expected a time from 1970 on, as RFC 3339 or as seconds, milliseconds, microseconds or nanoseconds"
        );
        return Err(Refusal::new(detail));
    }
    Ok(parameters.time(name)?)
}

/// `limit`: how many entries a list of the answer has; more than `most` are `most`, and 0 is refused.
pub(super) fn limit(parameters: &Parameters, default: usize, most: usize) -> Result<usize, Refusal> {
    match parameters.count("limit")?.unwrap_or(default) {
        0 => Err(Refusal::new("invalid limit \"0\": expected a whole number from 1 on")),
        limit => Ok(limit.min(most)),
    }
}

/// The state of the tenant that `tenant` names, if it names one: what is read is counted of that one alone.
pub(super) fn of_tenant(
    state: State,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<State, Refusal> {
    match parameters.get("tenant") {
        Some(name) => state.of_one(name, headers).map_err(Refusal::new),
        None => Ok(state),
    }
}

/// The body, of which `fields` (keys of its first level, by commas) keeps those that it names.
pub(super) fn answer<T: Serialize>(parameters: &Parameters, body: &T) -> Response {
    let Some(fields) = parameters.get("fields") else { return Json(body).into_response() };
    // As text, since a tree of a large answer would take several times its size.
    let Ok(text) = serde_json::to_string(body) else { return Json(body).into_response() };
    let Ok(mut object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(&text) else {
        return Json(body).into_response();
    };
    object.retain(|key, _| names(fields, key));
    Json(object).into_response()
}

/// Whether this key of an answer is wanted.
pub(super) fn wants(parameters: &Parameters, key: &str) -> bool {
    parameters.get("fields").is_none_or(|fields| names(fields, key))
}

fn names(fields: &str, key: &str) -> bool {
    fields.split(',').any(|field| field.trim() == key)
}
