//! `prometheus.WriteRequest`, version 1.0.

use parsers::otlp::{Field, Reader, WalkError};
use parsers::record::lossy;

use super::written::{MAX_LABELS, Parts, TOO_MANY_LABELS, Written};

const UNREADABLE: &str = "a series that cannot be read";

/// Reads a request. A series or a part of one whose message is broken is left out alone.
pub(super) fn read(body: &[u8], into: &mut Written) -> Result<(), WalkError> {
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(message)) => {
                series(message, into).unwrap_or_else(|reason| into.reject(reason, 0));
            }
            (3, Field::Bytes(message)) => {
                // It only describes.
                let _ = metadata(message, into);
            }
            _ => {}
        }
    }
    Ok(())
}

fn series(message: &[u8], into: &mut Written) -> Result<(), &'static str> {
    let (mut labels, mut parts, mut exemplars) = (Vec::new(), Parts::default(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read().map_err(|_| UNREADABLE)? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 if labels.len() < MAX_LABELS => labels.push(label(bytes).map_err(|_| UNREADABLE)?),
            1 => return Err(TOO_MANY_LABELS),
            2 => parts.samples.push(bytes),
            3 => exemplars.push(bytes),
            4 => parts.histograms.push(bytes),
            _ => {}
        }
    }
    if let Some(index) = into.series(&labels, &parts) {
        for bytes in exemplars {
            // Never an error for an exemplar.
            let _ = exemplar(bytes, index, into);
        }
    }
    Ok(())
}

fn label(message: &[u8]) -> Result<(&[u8], &[u8]), WalkError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((name, value))
}

fn exemplar(message: &[u8], series: u32, into: &mut Written) -> Result<(), WalkError> {
    let (mut labels, mut value, mut time) = (Vec::new(), 0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) if labels.len() < MAX_LABELS => labels.push(label(bytes)?),
            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (3, Field::Varint(millis)) => time = millis,
            _ => {}
        }
    }
    into.exemplar(series, &labels, value, time);
    Ok(())
}

fn metadata(message: &[u8], into: &mut Written) -> Result<(), WalkError> {
    let (mut code, mut name, mut help, mut unit) = (0, &b""[..], &b""[..], &b""[..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Varint(kind)) => code = kind,
            (2, Field::Bytes(bytes)) => name = bytes,
            (4, Field::Bytes(bytes)) => help = bytes,
            (5, Field::Bytes(bytes)) => unit = bytes,
            _ => {}
        }
    }
    into.family(&lossy(name), code, &lossy(help), &lossy(unit));
    Ok(())
}
