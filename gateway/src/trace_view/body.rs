//! Tolerant reading of the answer: a missing key reads as empty, a number may stand as a number or as a string.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The answer, and what is asked of it more than once.
pub(super) struct Body<'a> {
    answer: &'a Value,
    /// Nanoseconds since the epoch at which the trace began: of the window, or of the first span.
    pub start: Option<i128>,
    /// When it ended.
    pub end: Option<i128>,
    spans: HashSet<&'a str>,
    logs: HashMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Body<'a> {
    pub fn new(answer: &'a Value) -> Self {
        let spans =
            list(answer, "spans").iter().map(|span| text(span, "span_id")).filter(|id| !id.is_empty());
        let mut logs: HashMap<&str, Vec<&Value>> = HashMap::new();
        for log in list(answer, "logs") {
            logs.entry(text(log, "span_id")).or_default().push(log);
        }
        let mut body = Self { answer, start: None, end: None, spans: spans.collect(), logs };
        let window = at(answer, "window");
        let starts = || body.list("spans").iter().filter_map(span_start);
        let ends = || body.list("spans").iter().filter_map(span_end);
        let start = nanos(window, "start_unix_nano").or_else(|| starts().min());
        let end = nanos(window, "end_unix_nano").or_else(|| ends().max());
        (body.start, body.end) = (start, end);
        body
    }

    /// The entries of a top-level list.
    pub fn list(&self, key: &str) -> &'a [Value] {
        list(self.answer, key)
    }

    /// A top-level text.
    pub fn text(&self, key: &str) -> &'a str {
        text(self.answer, key)
    }

    /// A top-level whole number.
    pub fn number(&self, key: &str) -> Option<i128> {
        nanos(self.answer, key)
    }

    /// Whether no signal knows the trace.
    pub fn is_empty(&self) -> bool {
        ["spans", "logs", "exemplars", "metrics"].iter().all(|key| self.list(key).is_empty())
    }

    /// Whether this log is shown under a span.
    pub fn has_span(&self, span_id: &str) -> bool {
        self.spans.contains(span_id)
    }

    /// The log lines that name this span.
    pub fn logs_of(&self, span_id: &str) -> &[&'a Value] {
        self.logs.get(span_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// How long after the trace's start, as `+1.5ms`; empty if either time is unknown.
    pub fn offset(&self, time: Option<i128>) -> String {
        match (time, self.start) {
            (Some(time), Some(start)) => {
                let offset = time.saturating_sub(start);
                let sign = if offset < 0 { "" } else { "+" };
                format!("{sign}{}", duration(offset))
            }
            _ => String::new(),
        }
    }
}

/// When a span began, by the adjusted clock where there is one.
pub(super) fn span_start(span: &Value) -> Option<i128> {
    nanos(span, "adjusted_start_unix_nano").or_else(|| nanos(span, "start_unix_nano"))
}

/// When a span ended.
pub(super) fn span_end(span: &Value) -> Option<i128> {
    Some(span_start(span)?.saturating_add(nanos(span, "duration_nano").unwrap_or(0)))
}

/// The value under a key; null if there is none.
pub(super) fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The text under a key; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    at(value, key).as_str().unwrap_or_default()
}

/// The list under a key; empty if there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    at(value, key).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The first of these texts that says something.
pub(super) fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

/// Nanoseconds under a key.
pub(super) fn nanos(value: &Value, key: &str) -> Option<i128> {
    whole(at(value, key))
}

/// A whole number, written as one or as text.
pub(super) fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        Value::Number(number) => number
            .as_u64()
            .map(i128::from)
            .or_else(|| number.as_i64().map(i128::from))
            .or_else(|| number.as_f64().map(|float| float as i128)),
        _ => None,
    }
}

/// A sample's value, written as a number or as text; `NaN` where it is neither.
pub(super) fn float(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(digits) => digits.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// A count and what is counted: `1 span`, `2 spans`.
pub(super) fn counted(count: i128, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Whether a log line has no id of its own, and is here since it is probably of this trace.
pub(super) fn is_offered(log: &Value) -> bool {
    matches!(text(at(log, "join"), "rule"), "workload_time" | "access_log")
}

/// Which rule made a join and how sure it is, unless it is the plain one: `[low64 0.60]`. Of a line without an id also what
/// agreed: `[workload_time 0.97 by thread]`.
pub(super) fn join_note(entry: &Value) -> String {
    let join = at(entry, "join");
    let agreed: Vec<&str> = list(join, "agreed").iter().filter_map(Value::as_str).collect();
    let by = if is_offered(entry) && !agreed.is_empty() {
        format!(" by {}", agreed.join(", "))
    } else {
        String::new()
    };
    match (text(join, "rule"), at(join, "confidence").as_f64()) {
        ("" | "trace_id", _) => String::new(),
        (rule, Some(confidence)) => format!("[{rule} {confidence:.2}{by}]"),
        (rule, None) => format!("[{rule}{by}]"),
    }
}

/// Nanoseconds in the unit that fits them; digits beyond those shown are dropped.
pub(super) fn duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let tenths = |unit: u128, name: &str| format!("{sign}{}.{}{name}", size / unit, size % unit * 10 / unit);
    let (seconds, minutes) = (size / 1_000_000_000, size / 60_000_000_000);
    match size {
        0..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => tenths(1_000, "µs"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => tenths(1_000_000_000, "s"),
        60_000_000_000..3_600_000_000_000 => format!("{sign}{minutes}m{:02}s", seconds % 60),
        _ => format!("{sign}{}h{:02}m", minutes / 60, minutes % 60),
    }
}
