//! Version 1 in thrift's binary protocol: a bare list of spans. Compact in the UDP agent's call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parsers::record::SpanId;

use super::model::{Bad, Endpoint, Report, nanos, span_of, trace_of, trace_of_halves};
use super::v1::{Annotation, BinaryAnnotation, Span};
use crate::thrift::{Kind, Reader, ThriftError};
use crate::translated::MAX_PARTS;

type Result<T> = std::result::Result<T, ThriftError>;

/// Reads a list, if that is what comes; `each` gets every span's reports, or what is wrong with it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    kind: Kind,
    each: &mut dyn FnMut(std::result::Result<Report, Bad>),
) -> Result<()> {
    reader.list(kind, |reader, kind| {
        match span(reader, kind)? {
            Ok(span) => span.into_reports(&mut |report| each(Ok(report))),
            Err(bad) => each(Err(bad)),
        }
        Ok(())
    })
}

fn span(reader: &mut Reader<'_>, kind: Kind) -> Result<std::result::Result<Span, Bad>> {
    let (mut low, mut high, mut id, mut parent) = (0, 0, 0, 0);
    let (mut name, mut start, mut duration, mut debug) = (String::new(), 0, 0, false);
    let (mut annotations, mut binary) = (Vec::new(), Vec::new());
    let mut parts = 0;
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => low = reader.integer(kind)?.unwrap_or(0),
            3 => name = reader.text(kind)?.unwrap_or_default(),
            4 => id = reader.integer(kind)?.unwrap_or(0),
            5 => parent = reader.integer(kind)?.unwrap_or(0),
            6 => reader.list(kind, |reader, kind| {
                let one = annotation(reader, kind)?;
                parts += 1;
                if parts <= MAX_PARTS {
                    annotations.push(one);
                }
                Ok(())
            })?,
            8 => reader.list(kind, |reader, kind| {
                let one = binary_annotation(reader, kind)?;
                parts += 1;
                if parts <= MAX_PARTS {
                    binary.push(one);
                }
                Ok(())
            })?,
            9 => debug = reader.truth(kind)?.unwrap_or(false),
            10 => start = reader.integer(kind)?.unwrap_or(0),
            11 => duration = reader.integer(kind)?.unwrap_or(0),
            12 => high = reader.integer(kind)?.unwrap_or(0),
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    if parts > MAX_PARTS {
        return Ok(Err(Bad::parts()));
    }
    let ids = || {
        let trace = trace_of(trace_of_halves(high, low))?;
        Ok((trace, span_of(SpanId::new(id as u64).ok_or(parsers::record::IdError::Absent))?))
    };
    Ok(ids().map(|(trace, id)| {
        let mut base = Report::new(trace, id);
        base.parent = SpanId::new(parent as u64);
        base.name = name;
        (base.start, base.duration, base.debug) = (nanos(start), nanos(duration), debug);
        Span { base, annotations, binary }
    }))
}

fn annotation(reader: &mut Reader<'_>, kind: Kind) -> Result<Annotation> {
    let mut found = Annotation { time: 0, value: String::new(), endpoint: Endpoint::default() };
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => found.time = reader.integer(kind)?.map_or(0, nanos),
            2 => found.value = reader.text(kind)?.unwrap_or_default(),
            3 => found.endpoint = endpoint(reader, kind)?,
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(found)
}

fn binary_annotation(reader: &mut Reader<'_>, kind: Kind) -> Result<BinaryAnnotation> {
    let (mut key, mut value, mut code, mut host) = (String::new(), &b""[..], 6, Endpoint::default());
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => key = reader.text(kind)?.unwrap_or_default(),
            2 => value = reader.bytes(kind)?.unwrap_or_default(),
            3 => code = reader.integer(kind)?.unwrap_or(6),
            4 => host = endpoint(reader, kind)?,
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(BinaryAnnotation { key, value: scalar(code, value), endpoint: host })
}

/// A value by its `AnnotationType`; whatever does not fit its type is read as text.
fn scalar(code: i64, value: &[u8]) -> String {
    let text = || String::from_utf8_lossy(value).into_owned();
    match (code, value) {
        (0, [truth]) => (*truth != 0).to_string(),
        (2, [a, b]) => i16::from_be_bytes([*a, *b]).to_string(),
        (3, value) => value.try_into().map(i32::from_be_bytes).map_or_else(|_| text(), |n| n.to_string()),
        (4, value) => value.try_into().map(i64::from_be_bytes).map_or_else(|_| text(), |n| n.to_string()),
        (5, value) => value.try_into().map(f64::from_be_bytes).map_or_else(|_| text(), |n| n.to_string()),
        _ => text(),
    }
}

fn endpoint(reader: &mut Reader<'_>, kind: Kind) -> Result<Endpoint> {
    let mut found = Endpoint::default();
    reader.structure(kind, |reader, number, kind| {
        match number {
            1 => {
                let bits = reader.integer(kind)?.unwrap_or(0) as u32;
                if bits != 0 {
                    found.ip = Some(IpAddr::V4(Ipv4Addr::from_bits(bits)));
                }
            }
            // Signed on the wire: ports above 32767 come as negative numbers.
            2 => found.port = reader.integer(kind)?.unwrap_or(0) as u16,
            3 => found.service = reader.text(kind)?.unwrap_or_default(),
            4 => {
                let bytes: Option<[u8; 16]> = reader.bytes(kind)?.and_then(|bytes| bytes.try_into().ok());
                found.ip = found.ip.or(bytes.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))));
            }
            _ => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(found)
}
