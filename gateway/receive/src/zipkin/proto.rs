//! Version 2 in protobuf: `zipkin.proto3.ListOfSpans`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parsers::otlp::{Field, Reader, WalkError};
use parsers::record::{SpanId, SpanKind, TraceId};

use super::model::{Bad, Endpoint, Report, nanos, span_of, trace_of};
use crate::translated::MAX_PARTS;

/// Reads a list; `each` gets every span's report, or what is wrong with it.
pub(super) fn read(body: &[u8], mut each: impl FnMut(Result<Report, Bad>)) -> Result<(), WalkError> {
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (1, Field::Bytes(message)) = (number, field) {
            each(span(message));
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn micros(micros: u64) -> u64 {
    i64::try_from(micros).map_or(0, nanos)
}

fn span(message: &[u8]) -> Result<Report, Bad> {
    let broken = |error: WalkError| Bad::malformed(error.to_string());
    let mut report = with_ids(message)?;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().map_err(broken)? {
        match (number, field) {
            (4, Field::Varint(code)) => report.kind = kind(code),
            (5, Field::Bytes(bytes)) => report.name = text(bytes),
            (6, Field::Fixed64(time) | Field::Varint(time)) => report.start = micros(time),
            (7, Field::Fixed64(time) | Field::Varint(time)) => report.duration = micros(time),
            (8, Field::Bytes(bytes)) => report.local = endpoint(bytes).map_err(broken)?,
            (9, Field::Bytes(bytes)) => report.remote = endpoint(bytes).map_err(broken)?,
            (10, Field::Bytes(bytes)) => report.annotations.push(annotation(bytes).map_err(broken)?),
            (11, Field::Bytes(bytes)) => report.tags.push(tag(bytes).map_err(broken)?),
            (12, Field::Varint(truth)) => report.debug = truth != 0,
            (13, Field::Varint(truth)) => report.shared = truth != 0,
            _ => {}
        }
        if report.annotations.len() + report.tags.len() > MAX_PARTS {
            return Err(Bad::parts());
        }
    }
    Ok(report)
}

fn with_ids(message: &[u8]) -> Result<Report, Bad> {
    let (mut trace, mut parent, mut id) = (&b""[..], &b""[..], &b""[..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().map_err(|error| Bad::malformed(error.to_string()))? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => trace = bytes,
            (2, Field::Bytes(bytes)) => parent = bytes,
            (3, Field::Bytes(bytes)) => id = bytes,
            _ => {}
        }
    }
    let mut report = Report::new(trace_of(TraceId::from_bytes(trace))?, span_of(SpanId::from_bytes(id))?);
    // A parent that is not an id is no parent.
    report.parent = SpanId::from_bytes(parent).ok();
    Ok(report)
}

fn kind(code: u64) -> Option<SpanKind> {
    match code {
        1 => Some(SpanKind::Client),
        2 => Some(SpanKind::Server),
        3 => Some(SpanKind::Producer),
        4 => Some(SpanKind::Consumer),
        _ => None,
    }
}

fn endpoint(message: &[u8]) -> Result<Endpoint, WalkError> {
    let mut found = Endpoint::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => found.service = text(bytes),
            (2, Field::Bytes(bytes)) => {
                let bytes: Option<[u8; 4]> = bytes.try_into().ok();
                found.ip = bytes.map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))).or(found.ip);
            }
            (3, Field::Bytes(bytes)) => {
                let bytes: Option<[u8; 16]> = bytes.try_into().ok();
                found.ip = found.ip.or(bytes.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))));
            }
            (4, Field::Varint(port)) => found.port = u16::try_from(port).unwrap_or(0),
            _ => {}
        }
    }
    Ok(found)
}

fn annotation(message: &[u8]) -> Result<(u64, String), WalkError> {
    let (mut time, mut value) = (0, String::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Fixed64(at) | Field::Varint(at)) => time = micros(at),
            (2, Field::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
    }
    Ok((time, value))
}

fn tag(message: &[u8]) -> Result<(String, String), WalkError> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = text(bytes),
            (2, Field::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
    }
    Ok((key, value))
}
