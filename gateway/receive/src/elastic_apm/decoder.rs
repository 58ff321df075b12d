//! The lines of one request to records: the first says who sends, each other is one event.

use std::collections::HashMap;

use parsers::otlp::SpanEncoder;
use parsers::record::{Batch, MetricBatch, Severity, Span};
use serde_json::Value as Json;

use super::ecs_log::{self, shown};
use super::exception::{self, Thrown};
use super::metadata::{self, Sender};
use super::{metricset, spans};
use crate::intake::{Circumstances, Rejected};
use crate::log_rows::{LogRows, Named, Stream};

/// Attributes of the resource that each log record has as metadata, by the names that tailed lines have.
const SHARED: [(&str, &str); 5] = [
    ("k8s.pod.uid", "pod_uid"),
    ("host.name", "host"),
    ("service.instance.id", "instance"),
    ("service.version", "service_version"),
    ("container.id", "container_id"),
];

/// A line that cannot be taken.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: String,
    /// Nothing more of the request can be.
    pub fatal: bool,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, fatal: false }
    }
}

/// What became records since the last look.
pub(super) struct Taken {
    pub batch: Batch,
    pub rejected: Rejected,
    pub events: u64,
    /// Bytes of their lines.
    pub bytes: usize,
}

/// Records of one request in the making.
pub(super) struct Decoder<'d> {
    at: &'d Circumstances,
    sender: Option<Sender>,
    /// Kept until they are taken, so that errors find their spans.
    spans: Vec<Span>,
    thrown: Vec<Thrown>,
    logs: LogRows<'d>,
    stream: Option<Stream>,
    metrics: MetricBatch,
    rejected: Rejected,
    events: u64,
    bytes: usize,
}

impl<'d> Decoder<'d> {
    pub(super) fn new(at: &'d Circumstances) -> Self {
        Self {
            at,
            sender: None,
            spans: Vec::new(),
            thrown: Vec::new(),
            logs: LogRows::new(at),
            stream: None,
            metrics: MetricBatch::default(),
            rejected: Rejected::default(),
            events: 0,
            bytes: 0,
        }
    }

    /// Bytes of lines whose records wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.bytes
    }

    /// Takes a line that is not empty.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let read: Result<Json, _> = serde_json::from_slice(line);
        let fatal = self.sender.is_none();
        let fault = |message: String| Fault { message, fatal };
        let read = read.map_err(|error| fault(format!("decode error: {error}")))?;
        let Json::Object(object) = &read else {
            return Err(fault("decode error: expected an object".to_owned()));
        };
        let Some((kind, event)) = object.iter().next() else {
            return Err(fault("validation error: an object without an event".to_owned()));
        };
        let Some(sender) = &self.sender else {
            if kind != "metadata" {
                return Err(fault("validation error: 'metadata' required in the first line".to_owned()));
            }
            self.sender = Some(metadata::read(event).map_err(fault)?);
            return Ok(());
        };
        let arrival = self.at.arrival;
        match kind.as_str() {
            "transaction" => match spans::transaction(event, sender, arrival) {
                Ok(span) => self.spans.push(span),
                Err(message) => return Err(self.without_span(message)),
            },
            "span" => match spans::span(event, sender, arrival) {
                Ok(span) => self.spans.push(span),
                Err(message) => return Err(self.without_span(message)),
            },
            "error" => match exception::read(event, arrival) {
                Ok(thrown) => self.thrown(thrown)?,
                Err(message) => return Err(self.without_log(message)),
            },
            "log" => match ecs_log::read(event, arrival) {
                Ok(logged) => {
                    let named = Named { trace: logged.trace, span: logged.span, ..Named::default() };
                    self.log(logged.time, &logged.line, named, &logged.fields)?;
                }
                Err(message) => return Err(self.without_log(message)),
            },
            "metricset" => {
                metricset::read(event, sender, arrival, &mut self.metrics).inspect_err(|_| {
                    self.rejected.samples += 1;
                })?;
            }
            other => return Err(format!("did not recognize object type: {other:?}").into()),
        }
        self.events += 1;
        self.bytes += line.len();
        Ok(())
    }

    fn without_span(&mut self, message: String) -> Fault {
        self.rejected.spans += 1;
        message.into()
    }

    fn without_log(&mut self, message: String) -> Fault {
        self.rejected.logs += 1;
        message.into()
    }

    fn thrown(&mut self, thrown: Thrown) -> Result<(), Fault> {
        let named =
            Named { trace: thrown.trace, span: thrown.span, severity: Severity::Error, ..Named::default() };
        let fields: Vec<_> =
            thrown.attributes.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
        self.log(thrown.time, &thrown.line, named, &fields)?;
        if thrown.span.is_some() {
            self.thrown.push(thrown);
        }
        Ok(())
    }

    fn log(&mut self, time: u64, line: &str, named: Named, fields: &[(String, String)]) -> Result<(), Fault> {
        let Some(sender) = &self.sender else { return Ok(()) };
        let (logs, resource) = (&mut self.logs, &sender.resource);
        let stream = self.stream.get_or_insert_with(|| {
            let mut stream = Stream::default();
            for (attribute, name) in SHARED {
                let found = resource.attributes.iter().find(|(key, _)| key == attribute);
                if let Some(value) = found.and_then(|(_, value)| value.as_str()) {
                    stream.add(name, value);
                }
            }
            logs.label(&mut stream, metadata::stream_labels(resource));
            stream
        });
        // What the stream says already is not said again.
        let service = resource.service();
        let fields: Vec<(String, &str)> = fields
            .iter()
            .filter(|(name, value)| name != "service.name" || value != service)
            .map(|(name, value)| (metadata_name(name), value.as_str()))
            .collect();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), *value));
        let pushed = self.logs.push_named(stream, Some(time), line, named, fields);
        pushed.map_err(|reason| self.without_log(reason.to_owned()))
    }

    /// What became records since the last look.
    pub(super) fn take(&mut self) -> Taken {
        let mut spans = std::mem::take(&mut self.spans);
        let thrown = std::mem::take(&mut self.thrown);
        if !thrown.is_empty() {
            let mut places: HashMap<_, usize> = HashMap::new();
            for (at, span) in spans.iter().enumerate() {
                places.insert((span.trace_id.bits(), span.span_id), at);
            }
            for error in &thrown {
                let place =
                    error.trace.zip(error.span).and_then(|(trace, span)| places.get(&(trace.bits(), span)));
                if let Some(span) = place.and_then(|at| spans.get_mut(*at)) {
                    span.events.push(error.event());
                }
            }
        }
        let mut encoder = SpanEncoder::default();
        for span in &spans {
            if encoder.push(span).is_err() {
                self.rejected.spans += 1;
            }
        }
        self.stream = None;
        let mut batch = Batch {
            spans: encoder.finish(),
            logs: self.logs.take(),
            metrics: std::mem::take(&mut self.metrics),
            ..Batch::default()
        };
        self.at.mark(&mut batch);
        Taken {
            batch,
            rejected: std::mem::take(&mut self.rejected),
            events: std::mem::take(&mut self.events),
            bytes: std::mem::take(&mut self.bytes),
        }
    }
}

/// An attribute's name as metadata has it.
fn metadata_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}
