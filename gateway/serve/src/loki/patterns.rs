//! `/loki/api/v1/patterns`: what shapes the lines of streams have, and how many there are of each over time.

use axum::response::Response;
use parsers::record::Severity;
use serde::Serialize;

use super::routes::json;
use super::{drilldown, request};
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, SECOND, now};
use crate::tenant::Extract;

/// Patterns in an answer: more are not read.
const MAX_PATTERNS: usize = 300;
/// Time of a sample when the client does not say, as Loki has it.
const DEFAULT_STEP: u64 = 10 * SECOND;

#[derive(Serialize)]
struct Envelope<'a> {
    status: &'static str,
    data: Vec<PatternBody<'a>>,
}

#[derive(Serialize)]
struct PatternBody<'a> {
    pattern: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    /// Seconds and lines.
    samples: Vec<(u64, u64)>,
}

pub(super) async fn patterns(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let matchers = drilldown::matchers(&parameters)?;
    let window = request::listing_window(&parameters, now())?;
    let step = parameters.duration("step")?.filter(|step| *step > 0).unwrap_or(DEFAULT_STEP);
    let found = state.reads.run(move || state.patterns.patterns(&matchers, window, step)).await?;
    let data = found.iter().take(MAX_PATTERNS).map(|one| PatternBody {
        pattern: &one.pattern,
        level: (one.level != Severity::Unknown).then(|| one.level.as_str()),
        samples: one.samples.iter().map(|(time, lines)| (time / SECOND, *lines)).collect(),
    });
    let envelope = Envelope { status: "success", data: data.collect() };
    // Texts and whole numbers only: writing them to memory cannot fail.
    Ok(json(serde_json::to_vec(&envelope).unwrap_or_default()))
}
