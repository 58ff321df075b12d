//! Log records of protocols other than OTLP to rows: what their fields say, then what the rules find in their text.

use std::collections::HashMap;
use std::sync::Arc;

use parsers::container::{Carried, ContainerLine, DEFAULT_MAX_LINE, Stream as Output};
use parsers::derived::{Derived, Deriver, LineSource};
use parsers::line::{Meaning, meaning, severity_of_level};
use parsers::otlp::MAX_RECORDS;
use parsers::record::normalise::keyed;
use parsers::record::{Labels, LogBatch, Severity, SpanId, TENANT, TraceId, push_pair};

use crate::intake::Circumstances;
use crate::tenant::Tenant;

/// Bytes of metadata of one record. Loki's default limit.
const MAX_METADATA: usize = 64 * 1024;
/// Bytes of metadata of one request. What a stream has is repeated in each record, so the body's limit does not bound it.
const MAX_REQUEST_METADATA: usize = 128 * 1024 * 1024;

/// The field that holds OTLP's number of a severity, 1-24, where logs were sent by OTLP once.
const SEVERITY_NUMBER: &str = "severity_number";

/// Why no more records of a request are taken.
pub(crate) const TOO_MANY: &str = "too many records or too much metadata in one request";

/// What fields say of the request that a record belongs to, and how bad things were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named {
    pub trace: Option<TraceId>,
    pub span: Option<SpanId>,
    pub severity: Severity,
    /// By OTLP's number, for where no word says it.
    pub numbered: Severity,
}

impl Named {
    /// Looks at a field; earlier ones count more. `true` if the record says it in a place of its own, so that the field need not
    /// be kept.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> bool {
        match meaning(name) {
            Some(Meaning::Id(class)) => {
                let Ok(found) = keyed(class, value.as_bytes()) else { return value.is_empty() };
                self.trace = self.trace.or(found.trace);
                self.span = self.span.or(found.span);
                matches!(name, "trace_id" | "span_id")
            }
            Some(Meaning::Level) => self.level(value),
            None if name == "detected_level" => {
                self.level(value);
                true
            }
            None if name == SEVERITY_NUMBER => {
                self.numbered = value.trim().parse().map_or(Severity::Unknown, Severity::from_number);
                false
            }
            None => false,
        }
    }

    fn level(&mut self, value: &str) -> bool {
        if self.severity == Severity::Unknown {
            self.severity = severity_of_level(value.as_bytes());
        }
        false
    }
}

/// A stream of a request, and what all its records share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    index: u32,
    /// Metadata of each of its records.
    meta: Vec<u8>,
    named: Named,
}

impl Stream {
    /// A field that is no label.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.named.take(name, value) {
            push_pair(&mut self.meta, name, value);
        }
    }

    /// A field that is a label all the same.
    pub(crate) fn look_at(&mut self, name: &str, value: &str) {
        self.named.take(name, value);
    }
}

/// A [`LogBatch`] in the making.
pub(crate) struct LogRows<'d> {
    logs: LogBatch,
    streams: HashMap<Arc<Labels>, u32>,
    deriver: &'d Deriver,
    derived: Derived,
    arrival: u64,
    tenant: Option<&'d Tenant>,
    /// Metadata of the record that is being made.
    meta: Vec<u8>,
}

impl<'d> LogRows<'d> {
    pub(crate) fn new(at: &'d Circumstances) -> Self {
        Self {
            logs: LogBatch::default(),
            streams: HashMap::new(),
            deriver: &at.deriver,
            derived: Derived::default(),
            arrival: at.arrival,
            tenant: at.tenant.as_ref(),
            meta: Vec::new(),
        }
    }

    /// Sets the labels of a stream. Its tenant is none of them, but metadata of each record.
    pub(crate) fn label(&mut self, stream: &mut Stream, labels: Labels) {
        if let Some(tenant) = self.tenant {
            stream.add(TENANT, tenant.as_str());
        }
        let streams = &mut self.logs.streams;
        stream.index = *self.streams.entry(Arc::new(labels)).or_insert_with_key(|labels| {
            streams.push(Arc::clone(labels));
            (streams.len() - 1) as u32
        });
    }

    /// Adds a record of a labelled stream. `time` is nanoseconds; what has none gets the time of arrival. An error says why it
    /// is left out.
    pub(crate) fn push<'f>(
        &mut self,
        stream: &Stream,
        time: Option<u64>,
        text: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<(), &'static str> {
        self.push_named(stream, time, text, Named::default(), fields)
    }

    /// As [`LogRows::push`], of which something is known that no field says.
    pub(crate) fn push_named<'f>(
        &mut self,
        stream: &Stream,
        time: Option<u64>,
        text: &str,
        mut named: Named,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<(), &'static str> {
        if self.logs.rows.len() >= MAX_RECORDS || self.logs.meta.len() >= MAX_REQUEST_METADATA {
            return Err(TOO_MANY);
        }
        self.meta.clear();
        let mut cut_fields = 0u64;
        for (name, value) in fields {
            if named.take(name, value) {
                continue;
            }
            if self.meta.len() + name.len() + value.len() > MAX_METADATA {
                cut_fields += 1;
                continue;
            }
            push_pair(&mut self.meta, name, value);
        }
        if stream.meta.len() + self.meta.len() <= MAX_METADATA {
            self.meta.extend_from_slice(&stream.meta);
        } else if !stream.meta.is_empty() {
            cut_fields += 1;
        }
        if cut_fields > 0 {
            push_pair(&mut self.meta, "truncated_fields", &cut_fields.to_string());
        }
        let kept = text.get(..text.floor_char_boundary(DEFAULT_MAX_LINE)).unwrap_or_default();
        let line = ContainerLine {
            time,
            stream: Output::Unknown,
            text: kept.as_bytes(),
            offset: 0,
            began: Carried::here(0),
            truncated: (text.len() - kept.len()) as u64,
            problem: None,
        };
        self.deriver.derive(line.text, &mut self.derived);
        let source = LineSource { stream: stream.index, file: 0, observed: self.arrival };
        let row = self.deriver.append(&mut self.logs, &line, &self.derived, source);
        // A field says it better than the text, and the record's own better than its stream's.
        if let Some(trace) = named.trace.or(stream.named.trace) {
            row.trace = trace.bits();
            row.spelling = trace.spelling();
            row.span = 0;
            row.rule = 0;
        }
        if let Some(span) = named.span.or(stream.named.span) {
            row.span = span.bits();
        }
        let (of_stream, own) = (stream.named, named);
        for severity in [of_stream.numbered, own.numbered, of_stream.severity, own.severity] {
            if severity != Severity::Unknown {
                row.severity = severity;
            }
        }
        self.logs.meta.extend_from_slice(&self.meta);
        let end = self.logs.meta.len() as u32;
        if let Some(row) = self.logs.rows.last_mut() {
            row.meta.end = end;
        }
        Ok(())
    }

    /// The batch.
    pub(crate) fn finish(mut self) -> LogBatch {
        self.take()
    }

    /// The batch so far; another begins, whose streams have to be labelled anew.
    pub(crate) fn take(&mut self) -> LogBatch {
        self.streams.clear();
        std::mem::take(&mut self.logs)
    }
}
