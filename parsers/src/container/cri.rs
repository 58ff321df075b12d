//! The CRI log format: `<RFC 3339 time> <stdout|stderr> <P|F>[:tag...] <text>`.

use memchr::memchr;

use super::Stream;

/// A line taken apart; nothing is copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CriLine<'a> {
    /// As written.
    pub(super) time: &'a [u8],
    /// Which output.
    pub(super) stream: Stream,
    /// `P`: the record goes on in a later line of the same stream.
    pub(super) partial: bool,
    /// What follows the tag.
    pub(super) text: &'a [u8],
}

/// Longest time that a runtime writes: nine digits of a fraction and a zone, with room to spare.
const MAX_TIME: usize = 40;

/// `None` if the line is not in this form.
pub(super) fn parse(line: &[u8]) -> Option<CriLine<'_>> {
    // A date begins `dddd-`: told without looking further for most lines of another kind.
    if !line.first()?.is_ascii_digit() || line.get(4) != Some(&b'-') {
        return None;
    }
    let head = line.get(..MAX_TIME.min(line.len()))?;
    let (time, rest) = line.split_at_checked(memchr(b' ', head)?)?;
    let (stream, rest) = if let Some(rest) = rest.strip_prefix(b" stdout ") {
        (Stream::Stdout, rest)
    } else {
        (Stream::Stderr, rest.strip_prefix(b" stderr ")?)
    };
    let (partial, rest) = match rest {
        [b'F', rest @ ..] => (false, rest),
        [b'P', rest @ ..] => (true, rest),
        _ => return None,
    };
    let text = match rest {
        [] => rest,
        [b' ', text @ ..] => text,
        // Further tags follow the first, each after a colon.
        [b':', tags @ ..] => memchr(b' ', tags).and_then(|end| tags.get(end + 1..)).unwrap_or_default(),
        _ => return None,
    };
    Some(CriLine { time, stream, partial, text })
}
