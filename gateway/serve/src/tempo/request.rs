//! What Tempo's clients ask in search, read from parameters, with Tempo's own defaults.

use store::read::Window;

use parsers::otlp::{Field, Reader, WalkError};
use query::QueryError;
use query::traceql::{self, DEFAULT_SERIES, Query};

use super::virtual_nodes::widened;
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

impl Wanted {
    /// Reads it.
    pub(super) fn parse(&self) -> Result<Query, QueryError> {
        Ok(match self {
            Self::Query(text) => traceql::parse(&widened(text))?,
            Self::Tags { tags, min_duration, max_duration } => {
                traceql::from_tags(tags, *min_duration, *max_duration)?
            }
        })
    }
}

impl SearchRequest {
    /// A `tempopb.SearchRequest`.
    pub(super) fn decode(message: &[u8], now: u64) -> Result<Self, WalkError> {
        let (mut query, mut tags, mut durations, mut numbers) =
            (String::new(), String::new(), [0; 2], [0; 10]);
        fields(message, |number, field| match (number, field) {
            (1, Field::Bytes(pair)) => {
                let mut texts = [String::new(), String::new()];
                // What is broken within is as if it were not there.
                let _ = fields(pair, |number, field| {
                    if let (1 | 2, Field::Bytes(text)) = (number, field)
                        && let Some(place) = texts.get_mut(number as usize - 1)
                    {
                        *place = String::from_utf8_lossy(text).into_owned();
                    }
                });
                let [name, value] = texts;
                tags.push_str(&format!("{name}=\"{value}\" "));
            }
            (8, Field::Bytes(text)) => query = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Varint(value)) => durations[0] = value,
            (3, Field::Varint(value)) => durations[1] = value,
            (_, Field::Varint(value)) => {
                if let Some(place) = numbers.get_mut(number as usize) {
                    *place = value;
                }
            }
            _ => {}
        })?;
        let [_, _, _, _, limit, start, end, _, _, spans] = numbers;
        let millis = |value: u64| Some(value.saturating_mul(1_000_000)).filter(|value| *value > 0);
        let [min_duration, max_duration] = durations.map(millis);
        Ok(Self {
            query: if query.is_empty() {
                Wanted::Tags { tags, min_duration, max_duration }
            } else {
                Wanted::Query(query)
            },
            window: window_of(seconds(start), seconds(end), now),
            limit: bounded(usize::try_from(limit).ok(), DEFAULT_LIMIT, MAX_LIMIT),
            spans: bounded(usize::try_from(spans).ok(), DEFAULT_SPANS, MAX_SPANS),
        })
    }

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

/// From which time spans are looked at.
pub(super) fn window(parameters: &Parameters, now: u64) -> Result<Window, Malformed> {
    Ok(window_of(parameters.time("start")?, parameters.time("end")?, now))
}

/// `end` is a whole second, and inside; 0 is not said.
fn window_of(start: Option<u64>, end: Option<u64>, now: u64) -> Window {
    let end = end.filter(|&end| end > 0).unwrap_or(now).saturating_add(SECOND);
    Window { start: start.unwrap_or_else(|| end.saturating_sub(LOOKBACK)), end }
}

/// Nothing and zero are the default, as Tempo has it.
fn bounded(asked: Option<usize>, default: usize, most: usize) -> usize {
    asked.filter(|&asked| asked > 0).unwrap_or(default).min(most)
}

/// Seconds of a message in nanoseconds; 0 is not said.
fn seconds(value: u64) -> Option<u64> {
    (value > 0).then(|| value.saturating_mul(SECOND))
}

fn fields<'a>(message: &'a [u8], mut each: impl FnMut(u32, Field<'a>)) -> Result<(), WalkError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        each(number, field);
    }
    Ok(())
}

/// Tag names or tag values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TagsRequest {
    /// Whose values.
    pub(super) tag: String,
    /// Only this scope's names.
    pub(super) scope: String,
    /// Of spans that meet this; what does not parse does not narrow.
    pub(super) query: String,
    /// `None` for the last hour.
    pub(super) window: Option<Window>,
    /// How many.
    pub(super) limit: usize,
}

impl TagsRequest {
    pub(super) fn read(parameters: &Parameters, tag: String, now: u64) -> Result<Self, Malformed> {
        Ok(Self {
            tag,
            scope: parameters.get("scope").unwrap_or_default().to_owned(),
            query: parameters.get("q").unwrap_or_default().to_owned(),
            window: Some(window(parameters, now)?),
            limit: bounded(parameters.count("limit")?, DEFAULT_TAGS, DEFAULT_TAGS),
        })
    }

    /// A `tempopb.SearchTagsRequest`, or a `tempopb.SearchTagValuesRequest` if `values`.
    pub(super) fn decode(message: &[u8], values: bool, now: u64) -> Result<Self, WalkError> {
        let mut asked = Self::default();
        let (mut start, mut end, mut limit) = (0, 0, 0);
        fields(message, |number, field| match (number, field, values) {
            (1, Field::Bytes(text), true) => asked.tag = String::from_utf8_lossy(text).into_owned(),
            (1, Field::Bytes(text), false) => asked.scope = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Bytes(text), _) => asked.query = String::from_utf8_lossy(text).into_owned(),
            (3, Field::Varint(value), false) | (4, Field::Varint(value), true) => start = value,
            (4, Field::Varint(value), false) | (5, Field::Varint(value), true) => end = value,
            (5, Field::Varint(value), false) | (6, Field::Varint(value), true) => limit = value,
            _ => {}
        })?;
        asked.window = Some(window_of(seconds(start), seconds(end), now));
        asked.limit = bounded(usize::try_from(limit).ok(), DEFAULT_TAGS, DEFAULT_TAGS);
        Ok(asked)
    }
}

/// A metrics query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricsRequest {
    /// TraceQL.
    pub(super) query: String,
    /// Nanoseconds.
    pub(super) start: u64,
    /// Nanoseconds.
    pub(super) end: u64,
    /// Nanoseconds; 0 for one value over all.
    pub(super) step: u64,
    /// At most.
    pub(super) exemplars: usize,
    /// At most.
    pub(super) series: usize,
}

/// Exemplars when the client does not say, and at most, as Tempo has it.
const EXEMPLARS: usize = 100;
/// Lengths of an interval when the client does not say: the first that gives about as many points as a panel draws.
const STEPS: [u64; 12] = [1, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600];
/// Those points.
const POINTS: u64 = 120;

impl MetricsRequest {
    /// `instant`: one value over the whole range.
    pub(super) fn read(parameters: &Parameters, instant: bool, now: u64) -> Result<Self, Malformed> {
        let end = parameters.time("end")?.filter(|&end| end > 0).unwrap_or(now);
        let since = parameters.duration("since")?.unwrap_or(LOOKBACK);
        let start = parameters.time("start")?.unwrap_or_else(|| end.saturating_sub(since));
        let query = parameters.get("q").or_else(|| parameters.get("query")).unwrap_or_default().to_owned();
        let step = if instant { Some(0) } else { parameters.duration("step")?.filter(|&step| step > 0) };
        let exemplars = parameters.count("exemplars")?.unwrap_or(EXEMPLARS).min(EXEMPLARS);
        let series = bounded(parameters.count("maxSeries")?, DEFAULT_SERIES, DEFAULT_SERIES);
        Ok(Self { query, start, end, step: step.unwrap_or_else(|| step_of(start, end)), exemplars, series })
    }

    /// A `tempopb.QueryRangeRequest`, or a `tempopb.QueryInstantRequest` if `instant`.
    pub(super) fn decode(message: &[u8], instant: bool, now: u64) -> Result<Self, WalkError> {
        let mut asked = Self {
            query: String::new(),
            start: 0,
            end: 0,
            step: 0,
            exemplars: EXEMPLARS,
            series: DEFAULT_SERIES,
        };
        fields(message, |number, field| match (number, field) {
            (1, Field::Bytes(text)) => asked.query = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Varint(value)) => asked.start = value,
            (3, Field::Varint(value)) => asked.end = value,
            (4, Field::Varint(value)) => asked.step = value,
            (16, Field::Varint(value)) => asked.exemplars = (value as usize).min(EXEMPLARS),
            (17, Field::Varint(value)) if value > 0 => asked.series = (value as usize).min(DEFAULT_SERIES),
            _ => {}
        })?;
        if asked.end == 0 {
            asked.end = now;
        }
        if asked.start == 0 {
            asked.start = asked.end.saturating_sub(LOOKBACK);
        }
        if instant {
            asked.step = 0;
        } else if asked.step == 0 {
            asked.step = step_of(asked.start, asked.end);
        }
        Ok(asked)
    }
}

fn step_of(start: u64, end: u64) -> u64 {
    let seconds = end.saturating_sub(start) / SECOND;
    let step = STEPS.into_iter().find(|step| seconds / step <= POINTS);
    step.unwrap_or_else(|| seconds.div_ceil(POINTS)).saturating_mul(SECOND)
}
