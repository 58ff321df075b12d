//! What a shop has sent when it closes, and what is true of it: which request each line belongs to, whether or not it says so.

use super::Pod;

/// Kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work inside.
    Internal,
    /// Answers a request.
    Server,
    /// Asks another.
    Client,
    /// Puts a message into a queue.
    Producer,
    /// Takes one out.
    Consumer,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Whole number.
    Int(i64),
}

/// Something that was thrown.
#[derive(Debug, Clone, PartialEq)]
pub struct Thrown {
    /// Time, in nanoseconds of the shop.
    pub time: u64,
    /// Its type.
    pub class: &'static str,
    /// What it says.
    pub message: String,
    /// Frames.
    pub stack: &'static [&'static str],
}

/// A span, with the true times.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Index into [`Traffic::pods`].
    pub pod: usize,
    /// Trace.
    pub trace: u128,
    /// Own id.
    pub id: u64,
    /// The span that it happened in.
    pub parent: Option<u64>,
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Nanoseconds of the shop; whole microseconds, which all protocols carry.
    pub start: u64,
    /// As `start`.
    pub end: u64,
    /// Attributes.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// What was thrown in it.
    pub thrown: Option<Thrown>,
}

impl Span {
    /// The text of an attribute.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == key => Some(text.as_str()),
            _ => None,
        })
    }

    /// Nanoseconds.
    pub fn duration(&self) -> u64 {
        self.end - self.start
    }
}

/// A log record.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Index into [`Traffic::pods`].
    pub pod: usize,
    /// Nanoseconds of the shop.
    pub time: u64,
    /// Without what a container runtime puts before it. Without newlines.
    pub text: String,
    /// Whether it goes to standard error.
    pub stderr: bool,
    /// The request and the span in which it was written: the truth.
    pub belongs: (u128, u64),
    /// Whether the text has the trace id.
    pub says_so: bool,
}

/// A series of a metric, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Metric name.
    pub name: &'static str,
    /// Other labels.
    pub labels: Vec<(&'static str, String)>,
    /// Nanoseconds of the shop, and the value.
    pub samples: Vec<(u64, f64)>,
    /// Exemplars: time, value, trace and span.
    pub exemplars: Vec<(u64, f64, u128, u64)>,
}

/// All that was sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// Who sent it.
    pub pods: Vec<Pod>,
    /// Spans, in the order in which they ended.
    pub spans: Vec<Span>,
    /// Lines, in the order in which they were written.
    pub lines: Vec<Line>,
    /// Metrics.
    pub series: Vec<Series>,
    /// How far each pod's clock is ahead, in nanoseconds.
    pub ahead: Vec<i64>,
    /// When the fault set in, for those that are not there from the beginning; nanoseconds of the shop.
    pub turned: Option<u64>,
    /// When the last thing happened, in nanoseconds since the shop opened.
    pub closed: u64,
}

impl Traffic {
    /// What a pod's clock shows when the shop's shows `time`, for a shop that opened at `opened`.
    pub fn shown(&self, pod: usize, opened: u64, time: u64) -> u64 {
        let ahead = self.ahead.get(pod).copied().unwrap_or_default();
        (opened + time).saturating_add_signed(ahead)
    }

    /// Spans of a service.
    pub fn of(&self, service: super::Service) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| self.pods[span.pod].service == service)
    }
}
