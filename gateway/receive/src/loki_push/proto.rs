//! `logproto.PushRequest`.

use parsers::otlp::{Field, Reader, WalkError};
use parsers::record::lossy;

use super::labels;
use super::pushed::Pushed;
use crate::log_rows::Stream;

/// Reads a request. A stream or an entry whose message is broken is left out alone.
pub(super) fn read(body: &[u8], into: &mut Pushed<'_>) -> Result<(), WalkError> {
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (1, Field::Bytes(message)) = (number, field)
            && stream(message, into).is_err()
        {
            into.reject("a stream that cannot be read");
        }
    }
    Ok(())
}

fn stream(message: &[u8], into: &mut Pushed<'_>) -> Result<(), WalkError> {
    let mut text = &b""[..];
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        if let (1, Field::Bytes(bytes)) = (number, field) {
            text = bytes;
        }
    }
    let text = lossy(text);
    let stream = labels::parse(&text)
        .map(|labels| into.stream(labels.iter().map(|(name, value)| (*name, value.as_ref()))));
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        let (2, Field::Bytes(bytes)) = (number, field) else { continue };
        match &stream {
            None => into.reject("labels of its stream cannot be read"),
            Some(stream) => {
                if entry(bytes, stream, into).is_err() {
                    into.reject("an entry that cannot be read");
                }
            }
        }
    }
    Ok(())
}

/// Metadata of one entry that are read; Loki takes 128.
const MAX_FIELDS: usize = 256;

fn entry(message: &[u8], stream: &Stream, into: &mut Pushed<'_>) -> Result<(), WalkError> {
    let (mut time, mut line) = (None, &b""[..]);
    let mut fields = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => time = timestamp(bytes)?,
            (2, Field::Bytes(bytes)) => line = bytes,
            (3, Field::Bytes(bytes)) if fields.len() < MAX_FIELDS => fields.push(pair(bytes)?),
            _ => {}
        }
    }
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
    into.entry(
        stream,
        time,
        &lossy(line),
        fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())),
    );
    Ok(())
}

fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), WalkError> {
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

/// `google.protobuf.Timestamp`; `None` before 1970 and after 2554.
fn timestamp(message: &[u8]) -> Result<Option<u64>, WalkError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Varint(bits)) => seconds = bits as i64,
            (2, Field::Varint(bits)) => nanos = bits as i64,
            _ => {}
        }
    }
    Ok(u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).ok())
}
