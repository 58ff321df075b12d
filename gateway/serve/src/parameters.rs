//! Parameters of a request, from its query string and its form, and the spellings of time that Grafana's clients use.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, FromRequest, Query, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use parsers::record::parse_rfc3339;

use crate::bounds::Surface;

/// Nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Below this a number is of seconds (until the year 5138), below a thousand times as much of milliseconds, below a million times
/// as much of microseconds, and else of nanoseconds: their size tells them apart for all of this century.
const SECONDS_BELOW: f64 = 1e11;

/// What is said of a form over axum's bound on bodies, which is kept: the longest query is far below it.
const FORM_TOO_LARGE: &str = "the form is too large: expected 2 MiB at most";

/// Names and values in the order of the request: the query string first, then the form of a POST.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let surface = Surface::of(request.uri().path());
        let refuse = |status, detail: &str| surface.error(status, "bad_data", detail);
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
            .map_err(|error| refuse(StatusCode::BAD_REQUEST, &error.body_text()))?;
        if request.method() == Method::POST {
            let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
            let Form(form) = form.map_err(|error| match error.status() {
                status @ StatusCode::PAYLOAD_TOO_LARGE => refuse(status, FORM_TOO_LARGE),
                status => refuse(status, &error.body_text()),
            })?;
            pairs.extend(form);
        }
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The first value of this name that is not empty.
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of this name that is not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| &**value)
    }

    /// A time in nanoseconds: RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds, as its size tells.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<u64>, Malformed> {
        self.parse(name, "RFC 3339, or seconds, milliseconds, microseconds or nanoseconds", instant)
    }

    /// A whole number.
    pub(crate) fn count(&self, name: &'static str) -> Result<Option<usize>, Malformed> {
        self.parse(name, "a whole number", |text| text.parse().ok())
    }

    /// A duration in nanoseconds: seconds, or a sum such as `1m30s`.
    pub(crate) fn duration(&self, name: &'static str) -> Result<Option<u64>, Malformed> {
        self.parse(name, "seconds, or a duration such as 1m30s", |text| seconds(text).or_else(|| sum(text)))
    }

    fn parse<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Malformed { name, got: text.chars().take(64).collect(), expected }),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Parameters {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

/// A parameter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {name} {got:?}: expected {expected}")]
pub(crate) struct Malformed {
    name: &'static str,
    got: String,
    expected: &'static str,
}

/// Times before 1970 are taken as 1970.
fn instant(text: &str) -> Option<u64> {
    if let Ok(whole) = text.parse::<i64>() {
        return u64::try_from(whole).unwrap_or(0).checked_mul(unit(whole as f64));
    }
    if let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) {
        let nanos = value * unit(value) as f64;
        return (nanos < u64::MAX as f64).then_some(nanos.max(0.0).round() as u64);
    }
    parse_rfc3339(text.as_bytes())
}

/// Nanoseconds in the unit that a time since the epoch has.
fn unit(value: f64) -> u64 {
    let units = [(1.0, SECOND), (1e3, SECOND / 1_000), (1e6, SECOND / 1_000_000)];
    let fits = units.into_iter().find(|(times, _)| value < SECONDS_BELOW * times);
    fits.map_or(1, |(_, unit)| unit)
}

/// Seconds, perhaps with a fraction.
fn seconds(text: &str) -> Option<u64> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
    // Nanoseconds that went through a double already: their size tells them.
    let nanos = if value < 1e11 { value * SECOND as f64 } else { value };
    (nanos < u64::MAX as f64).then_some(nanos.max(0.0).round() as u64)
}

/// One or more numbers, each with its unit.
fn sum(text: &str) -> Option<u64> {
    let nanos = query::logql::duration(text)?;
    (0.0..u64::MAX as f64).contains(&nanos).then_some(nanos.round() as u64)
}

#[cfg(test)]
mod tests;
