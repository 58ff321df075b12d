//! What Jaeger's clients ask, read from parameters, with Jaeger's own defaults; and whether a trace is what a search asks for.

use std::collections::BTreeMap;

use parsers::record::{Span, StatusCode, TraceId};
use parsers::stage::go_duration;
use serde_json::Value as Json;
use store::read::{SpanSelect, Window};

use crate::failure::Failure;
use crate::parameters::{Parameters, SECOND};
use crate::values;

/// Traces in an answer when the client does not say, as Jaeger has it.
const DEFAULT_LIMIT: usize = 100;
/// Most traces in an answer; Jaeger's own page offers up to 1,500.
const MAX_LIMIT: usize = 10_000;
/// Ids in one request: links to traces to be compared have two.
const MAX_IDS: usize = 100;
/// How far back a search looks when the client does not say, as Jaeger has it.
const LOOKBACK: u64 = 2 * 24 * 3_600 * SECOND;
/// How far back dependencies are counted when the client does not say, as Jaeger has it.
const GRAPH_LOOKBACK: u64 = 24 * 3_600 * SECOND;

/// Nanoseconds in a microsecond, and in a millisecond.
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// `/api/traces`.
#[derive(Debug)]
pub(super) enum Asked {
    /// These traces.
    Ids(Vec<TraceId>),
    /// A search.
    Search(TraceSearch),
}

/// Traces with a span that meets all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceSearch {
    pub(super) service: String,
    pub(super) operation: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Nanoseconds.
    pub(super) min_duration: Option<u64>,
    /// Nanoseconds.
    pub(super) max_duration: Option<u64>,
    pub(super) window: Window,
    pub(super) limit: usize,
}

impl Asked {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        let ids: Vec<&str> = parameters.all("traceID").collect();
        if ids.len() > MAX_IDS {
            return Err(Failure::Refused(format!("{} trace ids: expected at most {MAX_IDS}", ids.len())));
        }
        if !ids.is_empty() {
            return ids.into_iter().map(trace_id).collect::<Result<_, _>>().map(Self::Ids);
        }
        let end =
            whole(parameters, "end", "microseconds")?.map_or(now, |micros| micros.saturating_mul(MICRO));
        let lookback = parameters.duration("lookback").ok().flatten().unwrap_or(LOOKBACK);
        let start = whole(parameters, "start", "microseconds")?
            .map_or_else(|| end.saturating_sub(lookback), |micros| micros.saturating_mul(MICRO));
        let search = TraceSearch {
            service: parameters
                .get("service")
                .ok_or_else(|| Failure::Refused("parameter 'service' is required".to_owned()))?
                .to_owned(),
            operation: parameters.get("operation").map(str::to_owned),
            tags: tags(parameters)?,
            min_duration: duration(parameters, "minDuration")?,
            max_duration: duration(parameters, "maxDuration")?,
            window: closed(start, end),
            limit: limit(parameters, "limit")?,
        };
        search.checked().map(Self::Search)
    }
}

impl TraceSearch {
    /// The third version of the same.
    pub(super) fn third(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        let end = parameters.time("query.start_time_max")?.unwrap_or(now);
        let start = parameters.time("query.start_time_min")?.unwrap_or_else(|| end.saturating_sub(LOOKBACK));
        let limits = ["query.search_depth", "query.num_traces"];
        let given =
            limits.into_iter().find(|name| parameters.get(name).is_some()).unwrap_or("query.search_depth");
        let attributes = match parameters.get("query.attributes") {
            Some(text) => tag_object("query.attributes", text)?,
            None => BTreeMap::new(),
        };
        let search = Self {
            service: parameters
                .get("query.service_name")
                .ok_or_else(|| {
                    Failure::Refused("malformed parameter query.service_name: expected a service".to_owned())
                })?
                .to_owned(),
            operation: parameters.get("query.operation_name").map(str::to_owned),
            tags: attributes,
            min_duration: duration(parameters, "query.duration_min")?,
            max_duration: duration(parameters, "query.duration_max")?,
            window: closed(start, end),
            limit: limit(parameters, given)?,
        };
        search.checked()
    }

    fn checked(self) -> Result<Self, Failure> {
        match (self.min_duration, self.max_duration) {
            (Some(min), Some(max)) if max < min => {
                Err(Failure::Refused("'maxDuration' should be greater than 'minDuration'".to_owned()))
            }
            _ => Ok(self),
        }
    }

    /// What the store can look for.
    pub(super) fn select(&self) -> SpanSelect {
        SpanSelect { window: self.window, service: Some(self.service.clone()), name: self.operation.clone() }
    }

    /// Whether one of the spans meets all of it.
    pub(super) fn wants(&self, spans: &[Span]) -> bool {
        spans.iter().any(|span| {
            self.window.contains(span.start)
                && span.resource.service() == self.service
                && self.operation.as_ref().is_none_or(|name| span.name == *name)
                && self.min_duration.is_none_or(|min| span.duration() >= min)
                && self.max_duration.is_none_or(|max| span.duration() <= max)
                && self.tags.iter().all(|(key, value)| has_tag(span, key, value))
        })
    }
}

/// Whether a span has a tag as Jaeger shows it: its own, its process's, a field of a log, or one that says kind or outcome.
fn has_tag(span: &Span, key: &str, wanted: &str) -> bool {
    let made = match key {
        "span.kind" => Some(span.kind.as_str()),
        "error" => Some(if span.status.code == StatusCode::Error { "true" } else { "false" }),
        "otel.status_code" => super::response::status_code(span.status.code),
        "otel.status_description" => Some(span.status.message.as_str()),
        "otel.scope.name" => Some(span.scope.name.as_str()),
        "otel.scope.version" => Some(span.scope.version.as_str()),
        _ => None,
    };
    let lists = [&span.attributes, &span.resource.attributes];
    let lists = lists.into_iter().chain(span.events.iter().map(|event| &event.attributes));
    made == Some(wanted)
        || (key == "event" && span.events.iter().any(|event| event.name == wanted))
        || lists.flatten().any(|(name, value)| name == key && values::text(value) == wanted)
}

/// The window of `/api/dependencies`, both parameters in milliseconds.
pub(super) fn graph_window(parameters: &Parameters, now: u64) -> Result<Window, Failure> {
    let end = whole(parameters, "endTs", "milliseconds")?.map_or(now, |millis| millis.saturating_mul(MILLI));
    let lookback = whole(parameters, "lookback", "milliseconds")?
        .map_or(GRAPH_LOOKBACK, |millis| millis.saturating_mul(MILLI));
    Ok(closed(end.saturating_sub(lookback), end))
}

/// A trace id in any spelling.
pub(super) fn trace_id(text: &str) -> Result<TraceId, Failure> {
    TraceId::from_spelling(text.as_bytes()).map_err(|error| {
        let text: String = text.chars().take(64).collect();
        Failure::Refused(format!("malformed parameter traceID {text:?}: {error}"))
    })
}

/// Jaeger's bounds are both inside.
fn closed(start: u64, end: u64) -> Window {
    Window { start, end: end.saturating_add(1) }
}

fn whole(parameters: &Parameters, name: &str, unit: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse::<i64>().map(|number| Some(u64::try_from(number).unwrap_or(0))).map_err(|_| {
        let text: String = text.chars().take(64).collect();
        Failure::Refused(format!("unable to parse param '{name}': expected whole {unit}, got {text:?}"))
    })
}

/// As Go reads it: no number without its unit.
fn duration(parameters: &Parameters, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    // Days and weeks are Promtail's.
    go_duration(text).filter(|_| !text.contains(['d', 'w'])).map(Some).ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        let detail = format!("expected numbers with units such as 1.5s, 100ms or 1m30s, got {text:?}");
        Failure::Refused(format!("unable to parse param '{name}': {detail}"))
    })
}

fn limit(parameters: &Parameters, name: &'static str) -> Result<usize, Failure> {
    Ok(match parameters.count(name)? {
        None | Some(0) => DEFAULT_LIMIT,
        Some(limit) => limit.min(MAX_LIMIT),
    })
}

/// `tag=key:value`, any number of them, and `tags={"key":"value"}`.
fn tags(parameters: &Parameters) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    for tag in parameters.all("tag") {
        let (key, value) = tag.split_once(':').ok_or_else(|| {
            let tag: String = tag.chars().take(64).collect();
            Failure::Refused(format!("malformed 'tag' parameter, expecting key:value, received: {tag}"))
        })?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    for text in parameters.all("tags") {
        tags.extend(tag_object("tags", text)?);
    }
    Ok(tags)
}

/// An object of texts; Jaeger's page sends numbers and truths as texts, others as what they are.
fn tag_object(name: &str, text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let malformed = |detail: String| Failure::Refused(format!("malformed '{name}' parameter, {detail}"));
    let tags: BTreeMap<String, Json> =
        serde_json::from_str(text).map_err(|error| malformed(format!("cannot unmarshal JSON: {error}")))?;
    let text = |(key, value): (String, Json)| match value {
        Json::String(text) => Ok((key, text)),
        Json::Bool(_) | Json::Number(_) => Ok((key, value.to_string())),
        _ => Err(malformed(format!("expected a text under {key:?}"))),
    };
    tags.into_iter().map(text).collect()
}
