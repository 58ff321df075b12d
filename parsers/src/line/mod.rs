//! What stands in a line of an application's log, one format a file: keys with values (JSON, logfmt, brackets), ids told by
//! their place (Spring), a bare traceparent or X-Ray header, access logs, and the words that name a severity.
//!
//! Each finds hits; which of them count is decided by [`crate::derived`]. No regular expression, no allocation, no
//! tree of values: a line is walked from one `=` or `:` to the next, and only a key that is known is looked at.

mod access_log;
mod field;
mod hex_run;
mod key;
mod keyed;
mod klog;
mod level;
mod spring;
mod syslog;
#[cfg(test)]
mod tests;
mod traceparent;
mod value;
mod xray;

use crate::record::normalise::Context;
use crate::record::{IdError, Severity};

pub use field::{Meaning, meaning};

pub(crate) use keyed::by_keys;
pub use level::{of_key_value as severity_of_level, syslog as severity_of_syslog};

/// The layout that a hit was found in; its name is that of the built-in rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Logfmt,
    KeyValue,
    OtelPython,
    Datadog,
    Traceparent,
    B3,
    Uber,
    XRay,
    Google,
    Spring,
    Envoy,
}

impl Form {
    /// In the order of their discriminants.
    pub(crate) const ALL: [Self; 12] = [
        Self::Json,
        Self::Logfmt,
        Self::KeyValue,
        Self::OtelPython,
        Self::Datadog,
        Self::Traceparent,
        Self::B3,
        Self::Uber,
        Self::XRay,
        Self::Google,
        Self::Spring,
        Self::Envoy,
    ];

    /// Stable: records and counters carry it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Logfmt => "logfmt",
            Self::KeyValue => "key_value",
            Self::OtelPython => "otel_python",
            Self::Datadog => "datadog",
            Self::Traceparent => "traceparent",
            Self::B3 => "b3",
            Self::Uber => "uber_trace_id",
            Self::XRay => "xray",
            Self::Google => "google",
            Self::Spring => "spring",
            Self::Envoy => "envoy",
        }
    }
}

/// How much a hit counts against others of its line; the lesser goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A rule of the configuration.
    Configured,
    /// A key that names a trace or span id and nothing else.
    Key,
    /// A tracer's own key beside it, such as Datadog's.
    Vendor,
    /// A propagation header's key.
    Header,
    /// A key that other things have too: `tid`, `trace`.
    Weak,
    /// A known layout without keys.
    Layout,
    /// The shape of a traceparent, or of an X-Ray header's root, anywhere.
    Bare,
    /// None yet.
    Nothing,
}

/// What a hit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A trace, a span or both; or why the value is neither.
    Id(Result<Context, IdError>),
    /// A level.
    Severity(Severity),
    /// The value names the service.
    Service,
    /// Whether the trace was sampled.
    Sampled(bool),
}

/// Something found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) form: Form,
    pub(crate) rank: Rank,
    pub(crate) fact: Fact,
    /// Where the value begins.
    pub(crate) start: usize,
    /// And ends.
    pub(crate) end: usize,
    /// The key promised a span id rather than a trace id; tells what was refused.
    pub(crate) of_span: bool,
}

impl Hit {
    /// The field that an id of this hit is for.
    pub(crate) fn field(&self) -> &'static str {
        if self.of_span { "span_id" } else { "trace_id" }
    }
}

/// Hits that no `=` or `:` leads to: Spring's brackets, a key and a space, a bare traceparent or X-Ray header.
pub(crate) fn by_position(line: &[u8], take: &mut impl FnMut(Hit)) {
    let mut from = 0;
    while let Some((start, end)) = hex_run::next(line, from) {
        from = end + 1;
        let found = spring::at(line, start, end, take)
            || traceparent::at(line, start, end, take)
            || xray::at(line, start, end, take)
            || keyed::before_space(line, start, end, take);
        if found {
            return;
        }
    }
}

/// The severity of a line that has no key for it: its head in the formats that put it there, or the status of an access
/// log.
pub(crate) fn severity(line: &[u8]) -> Severity {
    match line.first() {
        // The level of a JSON line has a key, or it has none.
        Some(b'{') => Severity::Unknown,
        Some(b'<') => syslog::severity(line),
        Some(b'I' | b'W' | b'E' | b'F') => klog::severity(line).unwrap_or_else(|| level::in_head(line)),
        Some(_) => match level::in_head(line) {
            Severity::Unknown => access_log::severity(line),
            found => found,
        },
        None => Severity::Unknown,
    }
}
