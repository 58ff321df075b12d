//! What Tempo's clients ask in search, read from parameters, with Tempo's own defaults.

use store::read::Window;

use crate::parameters::{Malformed, Parameters, SECOND};

/// Traces in an answer when the client does not say, as Tempo has it.
const DEFAULT_LIMIT: usize = 20;
/// Most traces in an answer: a table of more is not read.
const MAX_LIMIT: usize = 1_000;
/// Spans shown of each trace when the client does not say, as Tempo has it.
const DEFAULT_SPANS: usize = 3;
/// Most spans shown of each trace.
const MAX_SPANS: usize = 100;
/// How far back a search looks when the client does not say. Tempo asks what it holds in memory then, which is about this.
const LOOKBACK: u64 = 3_600 * SECOND;
/// Tag names or values in an answer when the client does not say: what Grafana asks for.
const DEFAULT_TAGS: usize = 5_000;

/// `search`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchRequest {
    /// What to look for.
    pub(super) query: Wanted,
    pub(super) window: Window,
    /// Traces.
    pub(super) limit: usize,
    /// Spans of each trace.
    pub(super) spans: usize,
}

/// How a search is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// TraceQL.
    Query(String),
    /// Tags as logfmt, and bounds of the duration as written; each may be empty.
    Tags {
        tags: String,
        /// Nanoseconds.
        min_duration: Option<u64>,
        /// Nanoseconds.
        max_duration: Option<u64>,
    },
}

impl SearchRequest {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Malformed> {
        let query = match parameters.get("q") {
            Some(query) => Wanted::Query(query.to_owned()),
            None => Wanted::Tags {
                tags: parameters.get("tags").unwrap_or_default().to_owned(),
                min_duration: parameters.duration("minDuration")?,
                max_duration: parameters.duration("maxDuration")?,
            },
        };
        Ok(Self {
            query,
            window: window(parameters, now)?,
            limit: bounded(parameters.count("limit")?, DEFAULT_LIMIT, MAX_LIMIT),
            spans: bounded(parameters.count("spss")?, DEFAULT_SPANS, MAX_SPANS),
        })
    }
}

/// From which time spans are looked at: `end` is a whole second, and inside.
pub(super) fn window(parameters: &Parameters, now: u64) -> Result<Window, Malformed> {
    let end = parameters.time("end")?.filter(|&end| end > 0).unwrap_or(now).saturating_add(SECOND);
    let start = parameters.time("start")?.unwrap_or_else(|| end.saturating_sub(LOOKBACK));
    Ok(Window { start, end })
}

/// Tag names or values in an answer.
pub(super) fn tag_limit(parameters: &Parameters) -> Result<usize, Malformed> {
    Ok(bounded(parameters.count("limit")?, DEFAULT_TAGS, DEFAULT_TAGS))
}

/// Nothing and zero are the default, as Tempo has it.
fn bounded(asked: Option<usize>, default: usize, most: usize) -> usize {
    asked.filter(|&asked| asked > 0).unwrap_or(default).min(most)
}
