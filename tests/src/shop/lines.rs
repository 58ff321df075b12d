//! How each service writes a line.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::pods::Format;

/// What there is to write.
#[derive(Debug)]
pub(super) struct Say<'a> {
    /// What the writer's clock shows, in nanoseconds since the epoch.
    pub(super) time: u64,
    /// `INFO`, `WARN` or `ERROR`.
    pub(super) level: &'static str,
    /// File and line of the statement.
    pub(super) place: (&'static str, u32),
    /// Name of the thread.
    pub(super) thread: &'a str,
    /// The ids, unless they are left out.
    pub(super) ids: Option<(u128, u64)>,
    /// The request's own id, which the edge gave it.
    pub(super) request: &'a str,
    /// Service.
    pub(super) service: &'static str,
    /// The sentence.
    pub(super) message: &'a str,
}

impl Say<'_> {
    /// The line. Envoy's are written by [`access`]; asked for that, this gives the sentence alone.
    pub(super) fn render(&self, format: Format) -> String {
        let Self { level, thread, request, service, message, .. } = self;
        let (file, row) = self.place;
        let time = stamp(self.time);
        let (day, clock) = (&time[..10], &time[11..]);
        let mut line = String::new();
        // Writing into a String cannot fail.
        let _ = match format {
            Format::Envoy => write!(line, "{message}"),
            Format::Json => {
                let level = if *level == "INFO" { 30 } else { 50 };
                let ids = self.with_ids(|trace, span| {
                    format!(r#","trace_id":"{trace:032x}","span_id":"{span:016x}","trace_flags":"01""#)
                });
                write!(
                    line,
                    r#"{{"level":{level},"time":{},"name":"{service}","req_id":"{request}"{ids},"msg":"{message}"}}"#,
                    self.time / 1_000_000
                )
            }
            Format::Logfmt => {
                let ids = self.with_ids(|trace, span| format!(" traceID={trace:032x} spanID={span:016x}"));
                let level = level.to_ascii_lowercase();
                write!(line, "ts={time} level={level} caller={file}:{row} msg=\"{message}\"{ids}")
            }
            Format::Go => {
                let ids = self.with_ids(|trace, span| format!(" trace_id={trace:032x} span_id={span:016x}"));
                let (year, month, date) = (&day[..4], &day[5..7], &day[8..]);
                write!(line, "{year}/{month}/{date} {} [{file}:{row}] {message}{ids}", &clock[..15])
            }
            Format::Text => {
                let ids = self.with_ids(|trace, span| format!(" trace_id={trace:032x} span_id={span:016x}"));
                write!(line, "{day} {} {level} -- {service}: {message}{ids}", &clock[..12])
            }
            Format::Spring => {
                let ids = self.with_ids(|trace, span| format!("{trace:032x},{span:016x}"));
                let ids = if ids.is_empty() { "," } else { &ids };
                write!(
                    line,
                    "{day}T{} {level:>5} [{service},{ids}] 1 --- [{thread}] shop.{service}.{file} : {message}",
                    clock
                )
            }
            Format::Django => {
                let ids = self.with_ids(|trace, span| {
                    format!(" [trace_id={trace:032x} span_id={span:016x} resource.service.name={service}]")
                });
                let (seconds, millis) = (&clock[..8], &clock[9..12]);
                write!(
                    line,
                    "{day} {seconds},{millis} {level} [{service}.views] [{file}:{row}]{ids} - {message}"
                )
            }
            Format::Klog => {
                let ids = self
                    .with_ids(|trace, span| format!(" trace_id=\"{trace:032x}\" span_id=\"{span:016x}\""));
                let letter = &level[..1];
                write!(
                    line,
                    "{letter}{}{} {}       1 {file}:{row}] {message}{ids}",
                    &day[5..7],
                    &day[8..],
                    &clock[..15]
                )
            }
            Format::Python => {
                let ids = self.with_ids(|trace, span| format!(" trace_id={trace:032x} span_id={span:016x}"));
                write!(line, "{level}:{service}:{message}{ids}")
            }
        };
        line
    }

    fn with_ids(&self, write: impl FnOnce(u128, u64) -> String) -> String {
        self.ids.map(|(trace, span)| write(trace, span)).unwrap_or_default()
    }
}

/// A line of Envoy's default access log.
pub(super) fn access(
    time: u64,
    (method, path, status): (&str, &str, u16),
    took: u64,
    request: &str,
    upstream: &str,
) -> String {
    let time = &stamp(time)[..23];
    let (took, flags) = (took / 1_000_000, if status >= 500 { "UF" } else { "-" });
    format!(
        "[{time}Z] \"{method} {path} HTTP/1.1\" {status} {flags} 0 {} {took} {took} \"203.0.113.7\" \"Mozilla/5.0\" \
         \"{request}\" \"shop.example\" \"{upstream}:8080\"",
        300 + took
    )
}

/// `2026-01-31T12:00:00.123456789Z`, as container runtimes write it.
pub(super) fn stamp(nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    format!("{time:.9}")
}
