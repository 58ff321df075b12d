//! Docker's json-file format: `{"log":"text\n","stream":"stdout","time":"..."}`. A record whose `log` has no newline at its
//! end goes on in the next line of the same stream.

use memchr::{memchr, memchr2};

use super::Stream;

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DockerLine<'a> {
    /// As written; empty if it was not there.
    pub(super) time: &'a [u8],
    /// Which output.
    pub(super) stream: Stream,
    /// The text has no newline at its end.
    pub(super) partial: bool,
    /// The text without its newline.
    pub(super) text: &'a [u8],
}

/// Reads a line; `scratch` receives the text if it has escapes. `None` if the line is not in this form: then it is an
/// application's own JSON.
pub(super) fn parse<'a>(line: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<DockerLine<'a>> {
    // Told by its first bytes for nearly every line of another kind.
    if !line.starts_with(b"{\"log\":\"") && !line.starts_with(b"{\"stream\":\"") {
        return None;
    }
    let mut rest = line.strip_prefix(b"{")?;
    let (mut log, mut stream, mut time) = (&b""[..], None, None);
    loop {
        let (key, after) = string(rest)?;
        rest = after.strip_prefix(b":")?;
        match key {
            b"log" => (log, rest) = string(rest)?,
            b"time" => {
                let (value, after) = string(rest)?;
                (time, rest) = (Some(value), after);
            }
            b"stream" => {
                let (value, after) = string(rest)?;
                let value = match value {
                    b"stdout" => Stream::Stdout,
                    b"stderr" => Stream::Stderr,
                    _ => return None,
                };
                (stream, rest) = (Some(value), after);
            }
            // Labels and environment that `--log-opt` asked for: a flat map of strings.
            b"attrs" => rest = flat_map(rest)?,
            _ => return None,
        }
        match rest {
            [b',', after @ ..] => rest = after,
            [b'}'] => break,
            _ => return None,
        }
    }
    let (raw, partial) = match log {
        [raw @ .., b'\\', b'n'] if !ends_with_open_escape(raw) => (raw, false),
        raw => (raw, true),
    };
    let text = if memchr(b'\\', raw).is_none() {
        raw
    } else {
        unescape(raw, scratch);
        scratch.as_slice()
    };
    Some(DockerLine { time: time?, stream: stream?, partial, text })
}

/// An odd number of backslashes at the end: the next byte is escaped.
fn ends_with_open_escape(raw: &[u8]) -> bool {
    raw.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

/// A JSON string: what is between its quotes, still escaped, and what follows.
fn string(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = input.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body.get(at) == Some(&b'"') {
            return Some((body.get(..at)?, body.get(at + 1..)?));
        }
        at += 2;
    }
}

/// Skips `{"k":"v",...}`.
fn flat_map(input: &[u8]) -> Option<&[u8]> {
    let mut rest = input.strip_prefix(b"{")?;
    if let Some(after) = rest.strip_prefix(b"}") {
        return Some(after);
    }
    loop {
        let (_, after) = string(rest)?;
        let (_, after) = string(after.strip_prefix(b":")?)?;
        match after {
            [b',', after @ ..] => rest = after,
            [b'}', after @ ..] => return Some(after),
            _ => return None,
        }
    }
}

/// JSON escapes to bytes. A lone surrogate becomes U+FFFD; an unknown escape stays as written.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (byte, after) = match escape {
            [_, b'n', after @ ..] => (b'\n', after),
            [_, b't', after @ ..] => (b'\t', after),
            [_, b'r', after @ ..] => (b'\r', after),
            [_, b'b', after @ ..] => (8, after),
            [_, b'f', after @ ..] => (12, after),
            [_, b'u', after @ ..] => {
                rest = code_point(after, out);
                continue;
            }
            [_, c @ (b'"' | b'\\' | b'/'), after @ ..] => (*c, after),
            [backslash, after @ ..] => (*backslash, after),
            [] => return,
        };
        out.push(byte);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// What stands for a character that cannot be.
const REPLACEMENT: char = '\u{fffd}';

/// The digits after `\u`, and those of a low surrogate after a high one.
fn code_point<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((high, after)) = hex4(digits) else {
        out.extend_from_slice(b"\\u");
        return digits;
    };
    let (value, after) = match (high, after) {
        (0xd800..=0xdbff, [b'\\', b'u', more @ ..]) => match hex4(more) {
            Some((low @ 0xdc00..=0xdfff, rest)) => {
                (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), rest)
            }
            _ => (None, after),
        },
        _ => (char::from_u32(high), after),
    };
    out.extend_from_slice(value.unwrap_or(REPLACEMENT).encode_utf8(&mut [0; 4]).as_bytes());
    after
}

fn hex4(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = digits.split_at_checked(4)?;
    let mut value = 0;
    for &digit in four {
        value = value * 16 + (digit as char).to_digit(16)?;
    }
    Some((value, rest))
}
