//! `jaeger.api_v2.PostSpansRequest` in protobuf.

use parsers::otlp::{Field, Reader, Reason, WalkError};
use parsers::record::{Attributes, SpanId, TraceId, Value};

use super::model::{Process, Reference, Relation, Sent};
use crate::translated::{MAX_PARTS, Translated};

type Result<T> = std::result::Result<T, WalkError>;

/// Reads a request. A span whose message is broken is left out alone.
pub(super) fn request(body: &[u8], into: &mut Translated) -> Result<()> {
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (1, Field::Bytes(message)) = (number, field) {
            batch(message, into)?;
        }
    }
    Ok(())
}

fn batch(message: &[u8], into: &mut Translated) -> Result<()> {
    // The process comes after the spans.
    let mut shared = Process::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        if let (2, Field::Bytes(bytes)) = (number, field) {
            shared = process(bytes)?;
        }
    }
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        let (1, Field::Bytes(bytes)) = (number, field) else { continue };
        match span(bytes) {
            Ok((sent, None)) => sent.put(shared.clone(), into),
            Ok((sent, Some(own))) => sent.put(own, into),
            Err(error) => into.leave_out(Reason::Malformed, || error.to_string()),
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A span, and its own process if it has one.
fn span(message: &[u8]) -> Result<(Sent, Option<Process>)> {
    let (mut sent, mut process) = (Sent::default(), None);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => sent.trace = TraceId::from_bytes(bytes).ok(),
            (2, Field::Bytes(bytes)) => sent.id = SpanId::from_bytes(bytes).ok(),
            (3, Field::Bytes(bytes)) => sent.name = text(bytes),
            (4, Field::Bytes(bytes)) => {
                let reference = reference(bytes)?;
                if sent.has_room() {
                    sent.references.push(reference);
                }
            }
            (5, Field::Varint(flags)) => sent.flags = flags as u32,
            (6, Field::Bytes(bytes)) => sent.start = nanos(bytes)?,
            (7, Field::Bytes(bytes)) => sent.duration = nanos(bytes)?,
            (8, Field::Bytes(bytes)) => {
                let tag = tag(bytes)?;
                if sent.has_room() {
                    sent.tags.push(tag);
                }
            }
            (9, Field::Bytes(bytes)) => {
                let log = log(bytes, &mut sent.parts)?;
                if sent.has_room() {
                    sent.logs.push(log);
                }
            }
            (10, Field::Bytes(bytes)) => process = Some(self::process(bytes)?),
            (12, Field::Bytes(bytes)) if sent.has_room() => sent.warnings.push(text(bytes)),
            _ => {}
        }
    }
    Ok((sent, process))
}

/// `google.protobuf.Timestamp` or `Duration`; 0 for what is negative or out of range.
fn nanos(message: &[u8]) -> Result<u64> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Varint(bits)) => seconds = bits as i64,
            (2, Field::Varint(bits)) => nanos = bits as i64,
            _ => {}
        }
    }
    let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Ok(u64::try_from(all).unwrap_or(0))
}

fn reference(message: &[u8]) -> Result<Reference> {
    let mut found = Reference::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => found.trace = TraceId::from_bytes(bytes).ok(),
            (2, Field::Bytes(bytes)) => found.span = SpanId::from_bytes(bytes).ok(),
            (3, Field::Varint(code)) => found.relation = Relation::from_code(code as i64),
            _ => {}
        }
    }
    Ok(found)
}

fn tag(message: &[u8]) -> Result<(String, Value)> {
    let (mut key, mut code) = (String::new(), 0);
    let (mut string, mut truth, mut integer, mut double, mut binary) = (&b""[..], false, 0, 0.0, &b""[..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = text(bytes),
            (2, Field::Varint(bits)) => code = bits,
            (3, Field::Bytes(bytes)) => string = bytes,
            (4, Field::Varint(bits)) => truth = bits != 0,
            (5, Field::Varint(bits)) => integer = bits as i64,
            (6, Field::Fixed64(bits)) => double = f64::from_bits(bits),
            (7, Field::Bytes(bytes)) => binary = bytes,
            _ => {}
        }
    }
    let value = match code {
        0 => Value::Str(text(string)),
        1 => Value::Bool(truth),
        2 => Value::Int(integer),
        3 => Value::Double(double),
        4 => Value::Bytes(binary.to_vec()),
        _ => Value::Empty,
    };
    Ok((key, value))
}

fn log(message: &[u8], parts: &mut usize) -> Result<(u64, Attributes)> {
    let (mut time, mut fields) = (0, Attributes::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => time = nanos(bytes)?,
            (2, Field::Bytes(bytes)) => {
                let tag = tag(bytes)?;
                *parts += 1;
                if *parts <= MAX_PARTS {
                    fields.push(tag);
                }
            }
            _ => {}
        }
    }
    Ok((time, fields))
}

fn process(message: &[u8]) -> Result<Process> {
    let (mut service, mut tags) = (String::new(), Attributes::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => service = text(bytes),
            (2, Field::Bytes(bytes)) if tags.len() < MAX_PARTS => tags.push(tag(bytes)?),
            _ => {}
        }
    }
    Ok(Process::new(service, tags))
}
