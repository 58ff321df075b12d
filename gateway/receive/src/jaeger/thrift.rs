//! `jaeger.thrift`: a batch, bare over HTTP, or as the argument of `emitBatch` in a datagram.

use parsers::record::{Attributes, SpanId, Spelling, SpellingKind, TraceId, Value};

use super::model::{Process, Reference, Relation, Sent};
use crate::thrift::{Kind, Reader, ThriftError};
use crate::translated::{MAX_PARTS, Translated};

type Result<T> = std::result::Result<T, ThriftError>;

/// Reads a `Batch`, if that is what comes.
pub(super) fn batch(reader: &mut Reader<'_>, kind: Kind, into: &mut Translated) -> Result<()> {
    let mut process = None;
    // The process comes first in what clients write, but nothing promises that.
    let mut waiting = Vec::new();
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => process = Some(self::process(reader, kind)?),
            2 => reader.list(kind, |reader, kind| {
                let span = span(reader, kind)?;
                match &process {
                    Some(process) => span.put(process.clone(), into),
                    None if waiting.len() < MAX_WAITING => waiting.push(span),
                    None => span.put(Process::default(), into),
                }
                Ok(())
            })?,
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    let process = process.unwrap_or_default();
    for span in waiting {
        span.put(process.clone(), into);
    }
    Ok(())
}

/// Spans held until their process is known: more than a datagram holds, and no client writes them first over HTTP.
const MAX_WAITING: usize = 1024;

fn trace(high: i64, low: i64) -> Option<TraceId> {
    let bits = u128::from(high as u64) << 64 | u128::from(low as u64);
    TraceId::new(bits, Spelling::new(SpellingKind::Binary))
}

/// Nanoseconds; 0 for what is negative or out of range.
fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).ok().and_then(|micros| micros.checked_mul(1000)).unwrap_or(0)
}

fn span(reader: &mut Reader<'_>, kind: Kind) -> Result<Sent> {
    let mut sent = Sent::default();
    let (mut low, mut high) = (0, 0);
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => low = reader.integer(kind)?.unwrap_or(0),
            2 => high = reader.integer(kind)?.unwrap_or(0),
            3 => sent.id = reader.integer(kind)?.and_then(|id| SpanId::new(id as u64)),
            4 => sent.parent = reader.integer(kind)?.and_then(|id| SpanId::new(id as u64)),
            5 => sent.name = reader.text(kind)?.unwrap_or_default(),
            6 => reader.list(kind, |reader, kind| {
                let reference = reference(reader, kind)?;
                if sent.has_room() {
                    sent.references.push(reference);
                }
                Ok(())
            })?,
            7 => sent.flags = reader.integer(kind)?.unwrap_or(0) as u32,
            8 => sent.start = reader.integer(kind)?.map_or(0, nanos),
            9 => sent.duration = reader.integer(kind)?.map_or(0, nanos),
            10 => {
                let mut tags = std::mem::take(&mut sent.tags);
                self::tags(reader, kind, &mut tags, &mut sent.parts)?;
                sent.tags = tags;
            }
            11 => reader.list(kind, |reader, kind| {
                let (time, fields) = log(reader, kind, &mut sent.parts)?;
                if sent.has_room() {
                    sent.logs.push((time, fields));
                }
                Ok(())
            })?,
            12 => sent.incomplete = reader.truth(kind)?.unwrap_or(false),
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    sent.trace = trace(high, low);
    Ok(sent)
}

fn reference(reader: &mut Reader<'_>, kind: Kind) -> Result<Reference> {
    let (mut relation, mut low, mut high, mut span) = (0, 0, 0, 0);
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => relation = reader.integer(kind)?.unwrap_or(0),
            2 => low = reader.integer(kind)?.unwrap_or(0),
            3 => high = reader.integer(kind)?.unwrap_or(0),
            4 => span = reader.integer(kind)?.unwrap_or(0),
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Reference {
        relation: Relation::from_code(relation),
        trace: trace(high, low),
        span: SpanId::new(span as u64),
    })
}

/// Appends a list of tags; those over [`MAX_PARTS`] are only counted.
fn tags(reader: &mut Reader<'_>, kind: Kind, into: &mut Attributes, parts: &mut usize) -> Result<()> {
    reader.list(kind, |reader, kind| {
        let tag = tag(reader, kind)?;
        *parts += 1;
        if *parts <= MAX_PARTS {
            into.push(tag);
        }
        Ok(())
    })
}

fn tag(reader: &mut Reader<'_>, kind: Kind) -> Result<(String, Value)> {
    let (mut key, mut code) = (String::new(), 0);
    let (mut text, mut double, mut truth, mut integer, mut binary) = (&b""[..], 0.0, false, 0, &b""[..]);
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => key = reader.text(kind)?.unwrap_or_default(),
            2 => code = reader.integer(kind)?.unwrap_or(0),
            3 => text = reader.bytes(kind)?.unwrap_or_default(),
            4 => double = reader.double(kind)?.unwrap_or(0.0),
            5 => truth = reader.truth(kind)?.unwrap_or(false),
            6 => integer = reader.integer(kind)?.unwrap_or(0),
            7 => binary = reader.bytes(kind)?.unwrap_or_default(),
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    let value = match code {
        0 => Value::Str(String::from_utf8_lossy(text).into_owned()),
        1 => Value::Double(double),
        2 => Value::Bool(truth),
        3 => Value::Int(integer),
        4 => Value::Bytes(binary.to_vec()),
        _ => Value::Empty,
    };
    Ok((key, value))
}

fn log(reader: &mut Reader<'_>, kind: Kind, parts: &mut usize) -> Result<(u64, Attributes)> {
    let (mut time, mut fields) = (0, Attributes::new());
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => time = reader.integer(kind)?.map_or(0, nanos),
            2 => tags(reader, kind, &mut fields, parts)?,
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok((time, fields))
}

fn process(reader: &mut Reader<'_>, kind: Kind) -> Result<Process> {
    let (mut service, mut tags, mut parts) = (String::new(), Attributes::new(), 0);
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => service = reader.text(kind)?.unwrap_or_default(),
            2 => self::tags(reader, kind, &mut tags, &mut parts)?,
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Process::new(service, tags))
}
