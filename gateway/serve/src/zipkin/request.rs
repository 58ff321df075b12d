//! What Zipkin's clients ask, read from parameters, with Zipkin's own defaults; and whether a trace is what a search asks for.

use std::collections::BTreeSet;

use parsers::record::{Span, SpanKind, StatusCode, TraceId};
use store::read::{SpanSelect, Window};

use crate::failure::Failure;
use crate::parameters::{Parameters, SECOND};
use crate::values;

/// Traces in an answer when the client does not say, as Zipkin has it.
const DEFAULT_LIMIT: usize = 10;
/// Most traces in an answer: a list of more is not read.
const MAX_LIMIT: usize = 10_000;
/// How far back a search or a graph looks when the client does not say, as Zipkin has it.
const LOOKBACK: u64 = 24 * 3_600 * SECOND;
/// Ids in one request.
const MAX_IDS: usize = 100;

/// Nanoseconds in a microsecond, and in a millisecond.
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Traces with spans that meet all of it, one this and another that, as Zipkin has it. Names compare without regard to case, since
/// Zipkin writes them in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceSearch {
    pub(super) service: Option<String>,
    pub(super) remote_service: Option<String>,
    pub(super) name: Option<String>,
    /// Tags with their values, and words that are the key of a tag or an annotation.
    pub(super) annotations: Vec<(String, Option<String>)>,
    /// Nanoseconds.
    pub(super) min_duration: Option<u64>,
    /// Nanoseconds.
    pub(super) max_duration: Option<u64>,
    pub(super) window: Window,
    pub(super) limit: usize,
}

impl TraceSearch {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        let micros =
            |name| Ok::<_, Failure>(whole(parameters, name)?.map(|number| number.saturating_mul(MICRO)));
        // What the page writes for no choice.
        let word = |name| parameters.get(name).filter(|word| *word != "all").map(str::to_owned);
        let search = Self {
            service: word("serviceName"),
            remote_service: word("remoteServiceName"),
            name: word("spanName"),
            annotations: annotations(parameters.get("annotationQuery").unwrap_or_default()),
            min_duration: micros("minDuration")?,
            max_duration: micros("maxDuration")?,
            window: window(parameters, now)?,
            limit: match whole(parameters, "limit")? {
                None => DEFAULT_LIMIT,
                Some(0) => return Err(Failure::Refused("limit <= 0: expected a positive number".to_owned())),
                Some(limit) => usize::try_from(limit).map_or(MAX_LIMIT, |limit| limit.min(MAX_LIMIT)),
            },
        };
        match (search.min_duration, search.max_duration) {
            (Some(min), Some(max)) if max < min => {
                Err(Failure::Refused("maxDuration < minDuration: expected at least as much".to_owned()))
            }
            // As Zipkin has it.
            (None, Some(_)) => Err(Failure::Refused("maxDuration is only valid with minDuration".to_owned())),
            _ => Ok(search),
        }
    }

    /// What the store can look for; it knows names as they were sent.
    pub(super) fn select(&self, services: &[(String, Vec<String>)]) -> SpanSelect {
        let one = |known: &mut dyn Iterator<Item = &String>, wanted: &str| {
            let mut same = known.filter(|name| name.eq_ignore_ascii_case(wanted));
            same.next().cloned().filter(|_| same.next().is_none())
        };
        let mut names = services.iter().map(|(name, _)| name);
        let service = self.service.as_deref().and_then(|wanted| one(&mut names, wanted));
        SpanSelect { window: self.window, service, name: None }
    }

    /// Whether spans of the trace meet all of it together.
    pub(super) fn wants(&self, spans: &[Span]) -> bool {
        let ours = || spans.iter().filter(|span| self.is_of_service(span));
        let timed = ours().any(|span| {
            self.min_duration.is_none_or(|min| span.duration() >= min)
                && self.max_duration.is_none_or(|max| span.duration() <= max)
        });
        let named = |wanted: &String| ours().any(|span| span.name.eq_ignore_ascii_case(wanted));
        let called = |wanted: &String| {
            ours().any(|span| {
                let peer = span.attributes.iter().find(|(key, _)| key == "peer.service");
                peer.is_some_and(|(_, peer)| values::text(peer).eq_ignore_ascii_case(wanted))
            })
        };
        timed
            && spans.iter().any(|span| self.window.contains(span.start))
            && self.name.as_ref().is_none_or(named)
            && self.remote_service.as_ref().is_none_or(called)
            && self.annotations.iter().all(|(key, value)| ours().any(|span| has(span, key, value.as_deref())))
    }

    fn is_of_service(&self, span: &Span) -> bool {
        self.service.as_ref().is_none_or(|wanted| span.resource.service().eq_ignore_ascii_case(wanted))
    }
}

/// Whether a span has a tag, of this value if one is given, or an annotation of these words.
fn has(span: &Span, key: &str, wanted: Option<&str>) -> bool {
    let is = |value: &str| wanted.is_none_or(|wanted| value == wanted);
    let attributes = span.attributes.iter().chain(&span.resource.attributes);
    let made = match key {
        "error" if span.status.code == StatusCode::Error => is(super::response::error_text(span)),
        "span.kind" if span.kind != SpanKind::Unspecified => is(span.kind.as_str()),
        _ => false,
    };
    made || (wanted.is_none() && span.events.iter().any(|event| event.name == key))
        || attributes.into_iter().any(|(name, value)| name == key && is(&values::text(value)))
}

/// `error and http.method=GET`.
fn annotations(query: &str) -> Vec<(String, Option<String>)> {
    let parts = query.split(" and ").map(str::trim).filter(|part| !part.is_empty());
    let part = |part: &str| match part.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), Some(value.trim().to_owned())),
        None => (part.to_owned(), None),
    };
    parts.map(part).collect()
}

/// `endTs` and `lookback`, both in milliseconds.
pub(super) fn window(parameters: &Parameters, now: u64) -> Result<Window, Failure> {
    let end = whole(parameters, "endTs")?.map_or(now, |millis| millis.saturating_mul(MILLI));
    let lookback = whole(parameters, "lookback")?.map_or(LOOKBACK, |millis| millis.saturating_mul(MILLI));
    // Up to the end of the last millisecond.
    Ok(Window { start: end.saturating_sub(lookback), end: end.saturating_add(MILLI) })
}

/// A trace id in any spelling.
pub(super) fn trace_id(text: &str) -> Result<TraceId, Failure> {
    TraceId::from_spelling(text.as_bytes()).map_err(|_| {
        let text: String = text.chars().take(64).collect();
        Failure::Refused(format!("{text} should be lower-hex encoded with no prefix"))
    })
}

/// `traceIds=a,b`, each once.
pub(super) fn trace_ids(parameters: &Parameters) -> Result<Vec<TraceId>, Failure> {
    let texts: BTreeSet<&str> = parameters
        .all("traceIds")
        .flat_map(|ids| ids.split(','))
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    match texts.len() {
        0 => Err(Failure::Refused("traceIds parameter is empty".to_owned())),
        1..=MAX_IDS => texts.into_iter().map(trace_id).collect(),
        count => Err(Failure::Refused(format!("{count} trace ids: expected at most {MAX_IDS}"))),
    }
}

fn whole(parameters: &Parameters, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse::<u64>().map(Some).map_err(|_| {
        let text: String = text.chars().take(64).collect();
        Failure::Refused(format!("{name} {text:?}: expected a whole number"))
    })
}
