//! The value behind a key's `=` or `:`.

use crate::record::normalise::KeyClass;

use super::hex_run;

/// Bytes that a value with ids may have: a traceparent has 55, an X-Ray header about 100.
const LONGEST: usize = 200;

/// Where the value behind the separator begins: behind spaces, quotes, their escapes, an opening colour.
pub(super) fn start(line: &[u8], separator: usize) -> usize {
    let mut at = separator + 1;
    // `"trace_id"=>"..."`, as Ruby prints a hash.
    if line.get(separator..separator + 2) == Some(b"=>") {
        at += 1;
    }
    for _ in 0..8 {
        match line.get(at) {
            Some(b' ' | b'"' | b'\'' | b'\\') => at += 1,
            Some(0x1b) => match colour(line, at) {
                Some(end) => at = end,
                None => break,
            },
            _ => break,
        }
    }
    at
}

/// The end of the colour that begins at `at`.
pub(super) fn colour(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?.strip_prefix(b"\x1b[")?;
    let digits = rest.iter().take(12).take_while(|b| b.is_ascii_digit() || **b == b';').count();
    (rest.get(digits) == Some(&b'm')).then_some(at + 2 + digits + 1)
}

/// The value of an id's key.
pub(super) fn id(line: &[u8], start: usize, class: KeyClass) -> &[u8] {
    let rest = line.get(start..).unwrap_or_default();
    // Nearly all are plain hex digits with an end behind them.
    let run = hex_run::len(rest, 0);
    let more = match (rest.get(run), rest.get(run + 1)) {
        (Some(b'-' | b':' | b'/' | b'.' | b'%' | b'@'), Some(next)) => next.is_ascii_alphanumeric(),
        (Some(byte), _) => byte.is_ascii_alphanumeric() || *byte == b'_',
        (None, _) => false,
    };
    if run > 0 && !more {
        return rest.get(..run).unwrap_or_default();
    }
    let header = matches!(class, KeyClass::XRay | KeyClass::Google) || rest.starts_with(b"Root=1-");
    let len = rest.iter().take(LONGEST).take_while(|&&b| continues(b, header)).count();
    rest.get(..len).unwrap_or_default()
}

/// Whether a byte belongs to an id's value; in a header, semicolons and equals signs do.
fn continues(byte: u8, header: bool) -> bool {
    match byte {
        b';' | b'=' => header,
        0..=b' ' | b'"' | b'\'' | b'\\' | b',' | b'&' | b')' | b']' | b'}' | b'>' | b'{' | b'[' | 0x7f.. => {
            false
        }
        _ => true,
    }
}

/// The value of a key for a word or a name: until a quote, a space, or what ends a field.
pub(super) fn word(line: &[u8], start: usize) -> &[u8] {
    let rest = line.get(start..).unwrap_or_default();
    let ends =
        |b: u8| matches!(b, 0..=b' ' | b'"' | b'\'' | b'\\' | b',' | b';' | b'&' | b')' | b']' | b'}' | b'|');
    let len = rest.iter().take(LONGEST).take_while(|&&b| !ends(b)).count();
    rest.get(..len).unwrap_or_default()
}
