//! What is held of a trace until it is decided, and how spans add to it.

use parsers::otlp::{Field, Reader};
use parsers::record::{SpanBatch, SpanRow, StatusCode};

use super::rules::{MAX_CONDITIONS, MAX_RULES, Rule, ValueMatch};

/// What the spans of a trace say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Earliest start of a span; the greatest number if there is no span.
    pub first_start: u64,
    /// Latest end of a span.
    pub last_end: u64,
    /// A bit for each rule of whose conditions on spans one span met all.
    pub met: u32,
    /// Some span failed.
    pub error: bool,
}

impl Summary {
    /// Of a trace without spans.
    pub const EMPTY: Self = Self { first_start: u64::MAX, last_end: 0, met: 0, error: false };

    /// Whether there is a span.
    pub fn has_spans(&self) -> bool {
        self.first_start != u64::MAX
    }

    /// Adds what other spans of the trace say.
    pub fn merge(&mut self, other: Self) {
        self.first_start = self.first_start.min(other.first_start);
        self.last_end = self.last_end.max(other.last_end);
        self.met |= other.met;
        self.error |= other.error;
    }
}

/// The conditions on spans of all rules, each a bit.
#[derive(Debug, Default)]
pub struct Conditions {
    services: Vec<(u64, ValueMatch)>,
    attributes: Vec<(u64, String, ValueMatch)>,
    /// For each rule that has conditions on spans: its bit, and those of its conditions.
    rules: Vec<(u32, u64)>,
}

/// What the resources of a batch meet, and the conditions.
pub struct Compared<'a> {
    conditions: &'a Conditions,
    batch: &'a SpanBatch,
    resources: Vec<u64>,
}

impl Conditions {
    /// Numbers the conditions of rules.
    pub fn new(rules: &[Rule]) -> Self {
        let mut all = Self::default();
        let mut count = 0;
        for (number, rule) in rules.iter().take(MAX_RULES).enumerate() {
            let own = rule.when.span_conditions();
            if own == 0 || count + own > MAX_CONDITIONS {
                continue;
            }
            let mut bits = 0;
            let mut next = || {
                let bit = 1u64 << count;
                count += 1;
                bits |= bit;
                bit
            };
            if let Some(service) = &rule.when.service {
                all.services.push((next(), service.clone()));
            }
            for (key, value) in &rule.when.attributes {
                all.attributes.push((next(), key.clone(), value.clone()));
            }
            all.rules.push((1 << number, bits));
        }
        all
    }

    /// Looks at the resources of a batch, once for all its spans.
    pub fn compare<'a>(&'a self, batch: &'a SpanBatch) -> Compared<'a> {
        let resources = if self.rules.is_empty() { Vec::new() } else { self.of_resources(batch) };
        Compared { conditions: self, batch, resources }
    }

    fn of_resources(&self, batch: &SpanBatch) -> Vec<u64> {
        let of_one = |resource: &parsers::record::ResourceRow| {
            let services = self.services.iter().filter(|(_, wanted)| wanted.matches(&resource.service));
            let service = services.fold(0, |bits, (bit, _)| bits | bit);
            service | self.attributes_of(resource.payload.of(&batch.bytes), RESOURCE_ATTRIBUTES)
        };
        batch.resources.iter().map(of_one).collect()
    }

    /// Which conditions the attributes in a message meet that has them under this field.
    fn attributes_of(&self, message: &[u8], field: u32) -> u64 {
        let mut met = 0;
        if self.attributes.is_empty() {
            return met;
        }
        let mut reader = Reader::new(message);
        while let Ok(Some((number, value))) = reader.read() {
            if let (true, Field::Bytes(pair)) = (number == field, value) {
                met |= self.attribute(pair);
            }
        }
        met
    }

    fn attribute(&self, pair: &[u8]) -> u64 {
        let (mut key, mut value) = (&[][..], None);
        let mut reader = Reader::new(pair);
        while let Ok(Some((number, field))) = reader.read() {
            match (number, field) {
                (1, Field::Bytes(bytes)) => key = bytes,
                (2, Field::Bytes(bytes)) => value = Some(bytes),
                _ => {}
            }
        }
        let Some(value) = value else { return 0 };
        let of_key = self.attributes.iter().filter(|(_, wanted, _)| wanted.as_bytes() == key);
        of_key.filter(|(_, _, wanted)| is_met(wanted, value)).fold(0, |bits, (bit, ..)| bits | bit)
    }
}

/// Field of a `Span`'s attributes.
const SPAN_ATTRIBUTES: u32 = 9;
/// Field of a `Resource`'s attributes.
const RESOURCE_ATTRIBUTES: u32 = 1;

/// Compares an `AnyValue`. Lists, maps and bytes meet nothing.
fn is_met(wanted: &ValueMatch, value: &[u8]) -> bool {
    match Reader::new(value).read() {
        Ok(Some((1, Field::Bytes(text)))) => std::str::from_utf8(text).is_ok_and(|text| wanted.matches(text)),
        Ok(Some((2, Field::Varint(bits)))) => wanted.matches(if bits == 0 { "false" } else { "true" }),
        Ok(Some((3, Field::Varint(bits)))) => wanted.matches(&(bits as i64).to_string()),
        Ok(Some((4, Field::Fixed64(bits)))) => wanted.matches(&f64::from_bits(bits).to_string()),
        _ => false,
    }
}

impl Compared<'_> {
    /// What one span says.
    pub fn summary(&self, row: &SpanRow) -> Summary {
        let error = row.status == StatusCode::Error;
        let mut summary = Summary { first_start: row.start, last_end: row.end, met: 0, error };
        if !self.conditions.rules.is_empty() {
            let payload = row.payload.of(&self.batch.bytes);
            let of_resource = self.resources.get(row.resource as usize).copied().unwrap_or(0);
            let met = of_resource | self.conditions.attributes_of(payload, SPAN_ATTRIBUTES);
            for (rule, bits) in &self.conditions.rules {
                if met & bits == *bits {
                    summary.met |= rule;
                }
            }
        }
        summary
    }
}
