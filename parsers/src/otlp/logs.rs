//! One pass over an `ExportLogsServiceRequest`, with the fields that a Trefoil agent adds (see `own`).
//!
//! A few resource attributes become stream labels (see [`RESOURCE_LABELS`]). All other attributes of resource, scope and record become
//! structured metadata, their names as Loki's OTLP endpoint writes them: each character outside `[a-zA-Z0-9_]` becomes `_`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::derived::{Derived, Deriver};
use crate::record::{
    Attributes, ByteRange, Labels, LogBatch, LogRow, Pairs, Position, RESOURCE_LABELS, Severity, SpanId,
    Spelling, TENANT, TraceId, Value, attribute, push_pair,
};

use super::decode::{Text, fields, key_value};
use super::own;
use super::traces::{UNKNOWN_SERVICE, check_size};
use super::{
    Field, MAX_LABEL, MAX_RECORDS, Reader, Reason, Rejections, WalkError, decode_resource, decode_scope,
    decode_value,
};

/// Resource attributes whose metadata has the name that tailed lines give it.
const METADATA: [(&str, &str); 3] =
    [("k8s.pod.uid", "pod_uid"), ("host.name", "host"), ("service.instance.id", "instance")];

/// Bytes of metadata of one record, as Loki's default limit has it.
const MAX_METADATA: usize = 64 * 1024;

/// Bytes of metadata of one request. Resource attributes are repeated in each record, so the body's limit does not bound it.
const MAX_REQUEST_METADATA: usize = 128 * 1024 * 1024;

/// What a request holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WalkedLogs {
    /// The records.
    pub logs: LogBatch,
    /// How far their files have been read, if an agent sent them.
    pub positions: Vec<Position>,
    /// What was left out.
    pub rejections: Rejections,
}

/// Walks a body. `arrival` (ns) stands in for a record's missing times; `deriver` finds ids in the text of records that name no
/// trace. A record whose id is invalid is kept without it. All records get `tenant` as metadata.
pub fn walk_logs(
    body: &[u8],
    arrival: u64,
    deriver: Option<&Deriver>,
    tenant: Option<&str>,
) -> Result<WalkedLogs, WalkError> {
    check_size(body)?;
    let mut walk = Walk {
        batch: LogBatch::default(),
        rejections: Rejections::default(),
        arrival,
        deriver,
        tenant,
        derived: Derived::default(),
        streams: HashMap::new(),
    };
    let mut positions = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(message)) => walk.resource_logs(body, reader.range(message))?,
            (own::POSITION, Field::Bytes(bytes)) if positions.len() < own::MAX_NAMED => {
                positions.push(own::read_position(bytes));
            }
            (own::FILE, Field::Bytes(bytes)) if walk.batch.files.len() < own::MAX_NAMED => {
                walk.batch.files.push(own::read_file(bytes));
            }
            (own::RULE, Field::Bytes(name)) if walk.batch.rules.len() < own::MAX_NAMED => {
                walk.batch.rules.push(Text(name).cow().into());
            }
            _ => {}
        }
    }
    Ok(WalkedLogs { logs: walk.batch, positions, rejections: walk.rejections })
}

struct Walk<'d> {
    batch: LogBatch,
    rejections: Rejections,
    arrival: u64,
    deriver: Option<&'d Deriver>,
    tenant: Option<&'d str>,
    derived: Derived,
    /// Index of each stream that the batch has.
    streams: HashMap<Arc<Labels>, u32>,
}

impl Walk<'_> {
    fn resource_logs(&mut self, body: &[u8], message: ByteRange) -> Result<(), WalkError> {
        let (mut resource, mut labels) = (&b""[..], None);
        let mut shared = Vec::new();
        if let Some(tenant) = self.tenant {
            push_pair(&mut shared, TENANT, tenant);
        }
        let mut reader = Reader::within(body, message);
        while let Some((number, field)) = reader.read()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => resource = bytes,
                (own::LABELS, Field::Bytes(bytes)) => {
                    let more = &mut |name: &str, value: &str| push_pair(&mut shared, name, value);
                    labels = Some(Labels::within_bounds(Pairs::new(bytes), more));
                }
                _ => {}
            }
        }
        let resource = decode_resource(resource).attributes;
        let stream = self.stream(labels.unwrap_or_else(|| labels_of(&resource)));
        for (key, value) in &resource {
            if RESOURCE_LABELS.iter().any(|(attribute, _)| attribute == key) {
                continue;
            }
            match METADATA.iter().find(|(attribute, _)| attribute == key) {
                Some((_, name)) => push_pair(&mut shared, name, &text_of(value)),
                None => push_pair(&mut shared, &metadata_name(key), &text_of(value)),
            }
        }
        let mut reader = Reader::within(body, message);
        while let Some((number, field)) = reader.read()? {
            if let (2 | 1000, Field::Bytes(bytes)) = (number, field) {
                self.scope_logs(body, reader.range(bytes), stream, &shared)?;
            }
        }
        Ok(())
    }

    fn stream(&mut self, labels: Labels) -> u32 {
        let labels = Arc::new(labels);
        let streams = &mut self.batch.streams;
        *self.streams.entry(labels).or_insert_with_key(|labels| {
            streams.push(Arc::clone(labels));
            (streams.len() - 1) as u32
        })
    }

    fn scope_logs(
        &mut self,
        body: &[u8],
        message: ByteRange,
        stream: u32,
        shared: &[u8],
    ) -> Result<(), WalkError> {
        let mut shared = shared.to_vec();
        let mut reader = Reader::within(body, message);
        while let Some((number, field)) = reader.read()? {
            if let (1, Field::Bytes(bytes)) = (number, field) {
                let scope = decode_scope(bytes);
                for (name, value) in [("scope_name", &scope.name), ("scope_version", &scope.version)] {
                    if !value.is_empty() {
                        push_pair(&mut shared, name, value);
                    }
                }
                for (key, value) in &scope.attributes {
                    push_pair(&mut shared, &metadata_name(key), &text_of(value));
                }
            }
        }
        let mut reader = Reader::within(body, message);
        while let Some((number, field)) = reader.read()? {
            if let (2, Field::Bytes(record)) = (number, field) {
                if self.batch.rows.len() >= MAX_RECORDS || self.batch.meta.len() >= MAX_REQUEST_METADATA {
                    self.rejections.add(Reason::TooMany);
                } else {
                    self.record(body, reader.range(record), stream, &shared)?;
                }
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        body: &[u8],
        record: ByteRange,
        stream: u32,
        shared: &[u8],
    ) -> Result<(), WalkError> {
        let mut row = LogRow { stream, ..LogRow::default() };
        let (mut number, mut level, mut event, mut message) = (0, &b""[..], &b""[..], &b""[..]);
        let (mut trace, mut span) = (&b""[..], &b""[..]);
        let mut origin = None;
        let start = self.batch.meta.len();
        if shared.len() <= MAX_METADATA {
            self.batch.meta.extend_from_slice(shared);
        } else {
            self.rejections.add(Reason::LogMetadata);
        }
        let mut reader = Reader::within(body, record);
        while let Some((field_number, field)) = reader.read()? {
            match (field_number, field) {
                (1, Field::Fixed64(time)) => row.time = time,
                (2, Field::Varint(value)) => number = i32::try_from(value).unwrap_or(0),
                (3, Field::Bytes(bytes)) => level = bytes,
                (5, Field::Bytes(bytes)) => message = bytes,
                (6, Field::Bytes(bytes)) => {
                    if self.batch.meta.len() - start + bytes.len() > MAX_METADATA {
                        self.rejections.add(Reason::LogMetadata);
                        continue;
                    }
                    let (key, value) = key_value(bytes, 0);
                    push_pair(&mut self.batch.meta, &metadata_name(&key), &text_of(&value));
                }
                (9, Field::Bytes(bytes)) => trace = bytes,
                (10, Field::Bytes(bytes)) => span = bytes,
                (11, Field::Fixed64(time)) => row.observed = time,
                (12, Field::Bytes(bytes)) => event = bytes,
                (own::ORIGIN, Field::Bytes(bytes)) => origin = Some(own::read_origin(bytes)),
                (own::METADATA, Field::Bytes(bytes)) => {
                    if self.batch.meta.len() - start + bytes.len() > MAX_METADATA {
                        self.rejections.add(Reason::LogMetadata);
                        continue;
                    }
                    // The tenant that an agent found in the line is the one that it sends the request as.
                    let known = |name: &str| self.tenant.is_some() && name == TENANT;
                    for (name, value) in Pairs::new(bytes).filter(|(name, _)| !known(name)) {
                        push_pair(&mut self.batch.meta, name, value);
                    }
                }
                _ => {}
            }
        }
        for (name, text) in [("severity_text", level), ("event_name", event)] {
            if !text.is_empty() && text.len() <= MAX_METADATA {
                push_pair(&mut self.batch.meta, name, &Text(text).cow());
            }
        }
        if number != 0 && origin.is_none() {
            push_pair(&mut self.batch.meta, "severity_number", &number.to_string());
        }
        row.meta = ByteRange { start: start as u32, end: self.batch.meta.len() as u32 };
        if row.observed == 0 {
            row.observed = self.arrival;
        }
        if row.time == 0 {
            row.time = row.observed;
        }
        row.line = match text_body(message) {
            Some(text) => self.batch.push_text(text),
            None => self.batch.push_text(text_of(&decode_value(message)).as_bytes()),
        };
        row.severity = Severity::from_number(number);
        match origin {
            Some(origin) => self.tailed(&mut row, trace, span, origin),
            None => self.ids(&mut row, trace, span, level),
        }
        self.batch.rows.push(row);
        Ok(())
    }

    /// An agent has looked for ids already, and says where the record is from.
    fn tailed(&self, row: &mut LogRow, trace: &[u8], span: &[u8], origin: own::Origin) {
        if let Ok(bits) = trace.try_into() {
            row.trace = u128::from_be_bytes(bits);
            row.spelling = Spelling::from_code(origin.spelling);
            row.span = span.try_into().map_or(0, u64::from_be_bytes);
        }
        if origin.file as usize <= self.batch.files.len() {
            row.file = origin.file as u32;
            row.offset = origin.offset;
        }
        if origin.rule as usize <= self.batch.rules.len() {
            row.rule = origin.rule as u16;
        }
    }

    fn ids(&mut self, row: &mut LogRow, trace: &[u8], span: &[u8], level: &[u8]) {
        let id = <[u8; 16]>::try_from(trace).ok().and_then(|bytes| TraceId::from_bytes(&bytes).ok());
        let span_id = SpanId::from_bytes(span).ok();
        let lost = |bytes: &[u8], len| !bytes.is_empty() && bytes.len() != len;
        if lost(trace, 16) || lost(span, 8) {
            self.rejections.add(Reason::LogId);
        }
        if let Some(id) = id {
            row.trace = id.bits();
            row.spelling = id.spelling();
            row.span = span_id.map_or(0, SpanId::bits);
        }
        let Some(deriver) = self.deriver else { return };
        if row.trace == 0 {
            deriver.derive(row.line.of(&self.batch.text), &mut self.derived);
            if let Some(id) = self.derived.trace {
                row.trace = id.bits();
                row.spelling = id.spelling();
                row.span = self.derived.span.map_or(0, SpanId::bits);
                if let Some(name) = self.derived.rule.and_then(|rule| deriver.rule_name(rule)) {
                    let known = self.batch.rules.iter().position(|rule| rule == name);
                    let at = known.unwrap_or_else(|| {
                        self.batch.rules.push(Arc::clone(name));
                        self.batch.rules.len() - 1
                    });
                    row.rule = (at + 1) as u16;
                }
            }
            if row.severity == Severity::Unknown && level.is_empty() {
                row.severity = self.derived.severity;
            }
        }
        if row.severity == Severity::Unknown && !level.is_empty() {
            row.severity = crate::line::severity(level);
        }
    }
}

/// The text of an `AnyValue` that is a plain string.
fn text_body(message: &[u8]) -> Option<&[u8]> {
    let mut text = None;
    fields(message, |number, field| {
        text = match (number, field) {
            (1, Field::Bytes(bytes)) => Some(bytes),
            _ => None,
        };
    });
    if message.is_empty() { Some(message) } else { text }
}

fn labels_of(resource: &Attributes) -> Labels {
    let mut pairs: Vec<(&str, String)> = RESOURCE_LABELS
        .iter()
        .filter_map(|(key, label)| Some((*label, cut(text_of(attribute(resource, key)?)))))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if pairs.iter().all(|(label, _)| *label != "service_name") {
        pairs.push(("service_name", UNKNOWN_SERVICE.to_owned()));
    }
    Labels::new(pairs)
}

/// A stream's label within [`MAX_LABEL`]: records are worth more than the end of a name.
pub(super) fn cut(mut value: String) -> String {
    value.truncate(value.floor_char_boundary(MAX_LABEL));
    value
}

/// An attribute's name as metadata has it.
fn metadata_name(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// A value as text: strings as they are, lists and maps as JSON, bytes as hex.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Empty => String::new(),
        other => match json(other) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::Str(text) => text.clone().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => {
            serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Into::into)
        }
        Value::Bytes(bytes) => {
            let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
            digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect::<String>().into()
        }
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}
