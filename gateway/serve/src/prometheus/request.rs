//! What is asked of exemplars, read from parameters as Prometheus reads them.

use std::time::Duration;

use parsers::record::parse_rfc3339;
use query::series_selectors::{self, Selector};
use store::read::Window;

use super::error::Failure;
use crate::parameters::Parameters;

/// Nanoseconds in a millisecond.
pub(super) const MILLI: u64 = 1_000_000;

/// `query_exemplars`.
#[derive(Debug)]
pub(super) struct ExemplarRequest {
    /// As it was written.
    pub(super) query: String,
    /// What it selects.
    pub(super) selectors: Vec<Selector>,
    /// Up to and with the end that was asked for.
    pub(super) window: Window,
    /// The width of a point, for clients that say it; Prometheus' own interface has none here.
    pub(super) step: Option<Duration>,
}

impl ExemplarRequest {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, Failure> {
        let query = parameters.get("query").unwrap_or_default().to_owned();
        let selectors = series_selectors::selectors(&query)?;
        if query.trim().is_empty() {
            return Err(Failure::Bad("invalid parameter \"query\": unexpected end of input".to_owned()));
        }
        let start = time(parameters, "start")?.unwrap_or(0);
        let end = time(parameters, "end")?.unwrap_or(u64::MAX);
        if end < start {
            return Err(Failure::Bad("end timestamp must not be before start timestamp".to_owned()));
        }
        let step =
            parameters.duration("step").ok().flatten().filter(|step| *step > 0).map(Duration::from_nanos);
        Ok(Self { query, selectors, window: Window { start, end: end.saturating_add(1) }, step })
    }
}

/// Seconds, however many, to the nearest millisecond, as Prometheus has it; or RFC 3339. Grafana's first question is in milliseconds,
/// which are then seconds of a far future and must not be refused.
pub(super) fn time(parameters: &Parameters, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let seconds = text.parse::<f64>().ok().filter(|seconds| !seconds.is_nan());
    let nanos = seconds.map(|seconds| ((seconds * 1e3).round().max(0.0) as u64).saturating_mul(MILLI));
    nanos.or_else(|| parse_rfc3339(text.as_bytes())).map(Some).ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        Failure::Bad(format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp"))
    })
}
