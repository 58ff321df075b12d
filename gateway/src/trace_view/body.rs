//! The answer, and what is asked of it more than once.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::terminal::{at, duration, list, nanos, text};

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

/// Whether a log line has no id of its own, and is here since it is probably of this trace.
pub(super) fn is_offered(log: &Value) -> bool {
    matches!(text(at(log, "join"), "rule"), "workload_time" | "access_log")
}

/// Which rule made a join and how sure it is, unless it is the plain one: `[low64 0.60]`. Of a line without an id also what
/// agreed: `[workload_time 0.97 by thread]`. Of a line with the trace's id alone, that it stands where Trefoil put it.
pub(super) fn join_note(entry: &Value) -> String {
    let join = at(entry, "join");
    let agreed: Vec<&str> = list(join, "agreed").iter().filter_map(Value::as_str).collect();
    let by = if is_offered(entry) && !agreed.is_empty() {
        format!(" by {}", agreed.join(", "))
    } else {
        String::new()
    };
    match (text(join, "rule"), at(join, "confidence").as_f64()) {
        ("trace_id", _) if at(entry, "span_inferred").as_bool() == Some(true) => {
            "[under the span that ran]".to_owned()
        }
        ("" | "trace_id", _) => String::new(),
        (rule, Some(confidence)) => format!("[{rule} {confidence:.2}{by}]"),
        (rule, None) => format!("[{rule}{by}]"),
    }
}
