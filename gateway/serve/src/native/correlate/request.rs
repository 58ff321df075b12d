//! What is asked, read from parameters: exactly one start.

use correlate::{LineSelect, MAX_RELATED, Start, WorkloadName};
use parsers::record::{SpanId, TraceId};
use serde::Serialize;
use store::read::Window;
use utoipa::ToSchema;

use super::super::exemplars::selectors;
use super::super::request::{Refusal, instant, limit, ordered, window};
use crate::parameters::Parameters;

/// Entries of a list when the client does not say: a screen.
const DEFAULT_LIMIT: usize = 20;
/// The parameters of which one is the start.
const STARTS: [&str; 6] = ["trace_id", "span_id", "labels", "service", "metric", "workload"];
/// Those that say when, with the starts that they go with.
const WHEN: [(&str, &[&str]); 3] = [
    ("time", &["labels", "metric"]),
    ("start", &["span_id", "service", "workload"]),
    ("end", &["span_id", "service", "workload"]),
];

/// What was asked about, as it was written.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct From {
    /// `trace_id`, `span_id`, `labels`, `service`, `metric` or `workload`.
    kind: &'static str,
    /// Its value.
    value: String,
    /// For `labels` and `metric`.
    time_unix_nano: Option<String>,
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) from: From,
    pub(super) start: Start,
    pub(super) tenant: Option<String>,
    pub(super) limit: usize,
}

impl Question {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Refusal> {
        let named: Vec<&'static str> =
            STARTS.into_iter().filter(|name| parameters.get(name).is_some()).collect();
        let [kind] = named[..] else {
            let came = if named.is_empty() { "none".to_owned() } else { named.join(" and ") };
            return Err(Refusal::new(format!(
                "expected exactly one of {}, found {came}; a log line is `labels` with `time`, a service or a workload has `start` and \
                 `end`, a metric `time`",
                STARTS.join(", ")
            )));
        };
        let stray = WHEN.iter().find(|(name, of)| parameters.get(name).is_some() && !of.contains(&kind));
        if let Some((name, of)) = stray {
            let detail = format!("`{name}` goes with {}, not with `{kind}`", of.join(", "));
            return Err(Refusal::new(detail));
        }
        let value = parameters.get(kind).unwrap_or_default().to_owned();
        let mut time = instant(parameters, "time")?;
        let bad = |expected: &str| Refusal::new(format!("invalid {kind} {value:?}: expected {expected}"));
        let start = match kind {
            "trace_id" => {
                let id = TraceId::from_spelling(value.as_bytes());
                Start::Trace(id.map_err(|error| bad(&format!("a trace id ({error})")))?)
            }
            "span_id" => {
                let id = SpanId::from_hex(value.as_bytes());
                let id = id.map_err(|_| bad("up to 16 hex digits that are not all zero"))?;
                Start::Span { id, window: span_window(parameters)? }
            }
            "labels" => {
                let select = LineSelect::parse(&value);
                let select = select
                    .map_err(|error| bad(&format!("a LogQL selector, which filters may follow ({error})")))?;
                let missing = || Refusal::new("`labels` needs `time`: when the line was written");
                Start::Line { select, time: time.ok_or_else(missing)? }
            }
            "service" => Start::Service { name: value.clone(), window: window(parameters, now)? },
            "metric" => {
                let at = *time.get_or_insert(now);
                Start::Metric { expression: value.clone(), selectors: selectors(kind, &value)?, time: at }
            }
            _ => {
                let name = WorkloadName::parse(&value);
                let name =
                    name.ok_or_else(|| bad("namespace/pod, namespace/deployment or namespace/kind/name"))?;
                Start::Workload { name, window: window(parameters, now)? }
            }
        };
        Ok(Self {
            from: From { kind, value, time_unix_nano: time.map(|time| time.to_string()) },
            start,
            tenant: parameters.get("tenant").map(str::to_owned),
            limit: limit(parameters, DEFAULT_LIMIT, MAX_RELATED)?,
        })
    }
}

/// A span is searched in all that is stored, from `start` on and until `end` where they are given.
fn span_window(parameters: &Parameters) -> Result<Window, Refusal> {
    let (start, end) = (instant(parameters, "start")?, instant(parameters, "end")?);
    let window = Window { start: start.unwrap_or(Window::ALL.start), end: end.unwrap_or(Window::ALL.end) };
    ordered("start", "end", window)
}
