//! Planning one request: spans, log lines and measurements with exact times, before any of it happens.
//!
//! Which service calls which is in `journey`; this is the vocabulary that it is written in.

use std::collections::BTreeSet;
use std::ops::Range;

use parsers::record::{
    Event, Severity, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, StatusCode, TraceId, Value,
};

use super::log_files::Line;
use super::log_lines::{Access, Ids, Say, envoy_access, probe_access, render};
use super::rng::Rng;
use super::services::{Format, NAMESPACE, Origins, Pod};

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// W3C's sampled flag, and OTLP's two bits that say whether the parent is in another process.
const SAMPLED: u32 = 0x001;
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// A request that a service answered, as its metrics count it.
#[derive(Debug, Clone)]
pub(super) struct Served {
    /// Who answered.
    pub(super) pod: Pod,
    /// Method.
    pub(super) method: &'static str,
    /// Route.
    pub(super) route: &'static str,
    /// HTTP status.
    pub(super) status: u16,
    /// How long it took.
    pub(super) seconds: f64,
    /// When it ended, in nanoseconds since the epoch.
    pub(super) time: u64,
    /// The request.
    pub(super) ids: Ids,
}

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Happening {
    /// A line is logged.
    Log(Line),
    /// A span ends.
    Span(Pod, Box<Span>),
    /// A request is counted.
    Served(Served),
}

/// All that happens in one request.
#[derive(Debug)]
pub(super) struct Plan {
    /// Its trace.
    pub(super) trace: TraceId,
    /// What happens when (nanoseconds since the epoch), in order.
    pub(super) steps: Vec<(u64, Happening)>,
    /// How many services take part.
    pub(super) services: usize,
}

/// A server span under way, with what its end will need.
#[derive(Debug)]
pub(super) struct Serving {
    pod: Pod,
    span: Span,
    method: &'static str,
    route: &'static str,
    path: String,
}

impl Serving {
    /// Its span.
    pub(super) fn id(&self) -> SpanId {
        self.span.span_id
    }
}

/// A plan in the making.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    origins: &'a Origins,
    /// Chance.
    pub(super) rng: &'a mut Rng,
    trace: TraceId,
    steps: Vec<(u64, Happening)>,
    services: BTreeSet<&'static str>,
}

impl<'a> Planner<'a> {
    /// A plan of a new trace; `None` only if chance gave a zero id.
    pub(super) fn new(origins: &'a Origins, rng: &'a mut Rng) -> Option<Self> {
        let bits = u128::from(rng.next()) << 64 | u128::from(rng.next());
        let trace = TraceId::new(bits, Spelling::new(SpellingKind::Hex(32)))?;
        Some(Self { origins, rng, trace, steps: Vec::new(), services: BTreeSet::new() })
    }

    /// The finished plan.
    pub(super) fn finish(mut self) -> Plan {
        self.steps.sort_by_key(|(time, _)| *time);
        Plan { trace: self.trace, steps: self.steps, services: self.services.len() }
    }

    /// So many milliseconds, in nanoseconds, with a random part below them.
    pub(super) fn ms(&mut self, range: Range<u64>) -> u64 {
        self.rng.within(range.start * MILLISECOND..range.end * MILLISECOND)
    }

    fn ids(&self, span: SpanId) -> Ids {
        Ids { trace: self.trace, span }
    }

    fn span(
        &mut self,
        pod: Pod,
        parent: Option<SpanId>,
        kind: SpanKind,
        name: String,
        start: u64,
    ) -> Option<Span> {
        self.services.insert(pod.spec().service);
        let origin = self.origins.of(pod);
        let remote = kind == SpanKind::Server && parent.is_some();
        Some(Span {
            trace_id: self.trace,
            span_id: SpanId::new(self.rng.next())?,
            parent_span_id: parent,
            trace_state: String::new(),
            flags: SAMPLED | REMOTE_KNOWN | if remote { REMOTE } else { 0 },
            name,
            kind,
            start,
            end: start,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: origin.resource,
            scope: origin.scope,
        })
    }

    fn end(&mut self, pod: Pod, mut span: Span, at: u64) {
        span.end = at;
        self.steps.push((at, Happening::Span(pod, Box::new(span))));
    }

    /// A request arrives.
    pub(super) fn serve(
        &mut self,
        pod: Pod,
        parent: Option<SpanId>,
        (method, route): (&'static str, &'static str),
        path: String,
        at: u64,
    ) -> Option<Serving> {
        let mut span = self.span(pod, parent, SpanKind::Server, format!("{method} {route}"), at)?;
        span.attributes = vec![
            text("http.request.method", method),
            text("http.route", route),
            text("url.path", &path),
            text("url.scheme", "http"),
            text("server.address", &format!("{}.{NAMESPACE}", pod.spec().service)),
            number("server.port", 8080),
            text("network.protocol.version", "1.1"),
        ];
        Some(Serving { pod, span, method, route, path })
    }

    /// It is answered; gives the status on to the caller.
    pub(super) fn answer(&mut self, mut serving: Serving, status: u16, at: u64) -> (u64, u16) {
        let Serving { pod, method, route, .. } = serving;
        serving.span.attributes.push(number("http.response.status_code", i64::from(status)));
        if status >= 500 {
            serving.span.attributes.push(text("error.type", &status.to_string()));
            serving.span.status.code = StatusCode::Error;
        }
        let ids = self.ids(serving.id());
        let took = at.saturating_sub(serving.span.start);
        if pod.spec().format == Format::Envoy {
            let access = Access { time: at, method, path: &serving.path, status, took };
            self.write(pod, at, status >= 500, envoy_access(pod.spec(), &access, ids));
            if self.rng.percent(30) {
                self.write(pod, at + MILLISECOND, false, probe_access(at + MILLISECOND));
            }
        }
        let seconds = took as f64 / 1e9;
        self.steps
            .push((at, Happening::Served(Served { pod, method, route, status, seconds, time: at, ids })));
        self.end(pod, serving.span, at);
        (at, status)
    }

    /// One service calls another: a client span around the callee's work, which is told its parent and when it begins,
    /// and says when it ended and with which status.
    pub(super) fn call(
        &mut self,
        from: Pod,
        parent: SpanId,
        to: Pod,
        method: &'static str,
        at: u64,
        work: impl FnOnce(&mut Self, SpanId, u64) -> Option<(u64, u16)>,
    ) -> Option<(u64, u16)> {
        let mut span = self.span(from, Some(parent), SpanKind::Client, method.to_owned(), at)?;
        let network = self.rng.within(200_000..1_500_000);
        let (done, status) = work(self, span.span_id, at + network)?;
        let end = done + network;
        span.attributes = vec![
            text("http.request.method", method),
            text("server.address", &format!("{}.{NAMESPACE}", to.spec().service)),
            number("server.port", 8080),
            number("http.response.status_code", i64::from(status)),
        ];
        if status >= 400 {
            span.attributes.push(text("error.type", &status.to_string()));
            span.status.code = StatusCode::Error;
        }
        self.end(from, span, end);
        Some((end, status))
    }

    /// A query to a database outside the shop; gives its end.
    pub(super) fn query(
        &mut self,
        pod: Pod,
        parent: SpanId,
        (system, query): (&'static str, &'static str),
        at: u64,
        took: u64,
    ) -> Option<u64> {
        let operation = query.split(' ').next().unwrap_or_default();
        let mut span = self.span(pod, Some(parent), SpanKind::Client, format!("{operation} shop"), at)?;
        span.attributes = vec![
            text("db.system.name", system),
            text("db.namespace", "shop"),
            text("db.operation.name", operation),
            text("db.query.text", query),
            text("server.address", &format!("{system}.{NAMESPACE}")),
        ];
        self.end(pod, span, at + took);
        Some(at + took)
    }

    /// Work inside a service; gives its end.
    pub(super) fn work(&mut self, pod: Pod, parent: SpanId, name: &str, at: u64, took: u64) -> Option<u64> {
        let mut span = self.span(pod, Some(parent), SpanKind::Internal, name.to_owned(), at)?;
        span.attributes = vec![text("code.function.name", name)];
        self.end(pod, span, at + took);
        Some(at + took)
    }

    /// Something is thrown while a request is served: the event on its span, and the line with its stack trace.
    pub(super) fn throw(
        &mut self,
        serving: &mut Serving,
        class: &str,
        message: &str,
        stack: &[String],
        at: u64,
    ) {
        let trace = std::iter::once(format!("{class}: {message}")).chain(stack.iter().cloned());
        let lines: Vec<String> = trace.collect();
        serving.span.status = Status { code: StatusCode::Error, message: message.to_owned() };
        serving.span.events.push(Event {
            time: at,
            name: "exception".to_owned(),
            attributes: vec![
                text("exception.type", class),
                text("exception.message", message),
                text("exception.stacktrace", &lines.join("\n")),
            ],
        });
        let ids = Some(self.ids(serving.id()));
        let stack = if stack.is_empty() { &[][..] } else { &lines };
        self.say(serving.pod, Say { time: at, severity: Severity::Error, ids, message, stack });
    }

    /// A line that names its request.
    pub(super) fn log(&mut self, pod: Pod, span: SpanId, severity: Severity, message: &str, at: u64) {
        let ids = Some(self.ids(span));
        self.say(pod, Say { time: at, severity, ids, message, stack: &[] });
    }

    /// A line that does not.
    pub(super) fn mutter(&mut self, pod: Pod, severity: Severity, message: &str, at: u64) {
        self.say(pod, Say { time: at, severity, ids: None, message, stack: &[] });
    }

    fn say(&mut self, pod: Pod, say: Say<'_>) {
        for (i, line) in render(pod.spec(), &say).into_iter().enumerate() {
            self.write(pod, say.time + 1000 * i as u64, say.severity >= Severity::Error, line);
        }
    }

    fn write(&mut self, pod: Pod, time: u64, stderr: bool, text: String) {
        self.steps.push((time, Happening::Log(Line { pod, time, stderr, text })));
    }
}

fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::Str(value.to_owned()))
}

fn number(key: &str, value: i64) -> (String, Value) {
    (key.to_owned(), Value::Int(value))
}
