//! Keys: which ones are known, and how to read one backwards from the `=` or `:` behind it.

use crate::record::normalise::KeyClass;

use super::{Form, Rank};

/// What a known key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// An id, or a header with ids.
    Id { class: KeyClass, rank: Rank, form: Option<Form> },
    /// `id`: says something only inside `"trace":{` or `"span":{`.
    NestedId,
    /// `dd`: what it opens holds Datadog's keys.
    Datadog,
    /// A level.
    Level,
    /// The service's name.
    Service,
    /// `trace_sampled`, `trace_flags`.
    Sampled,
    /// The status of an HTTP response.
    Status,
}

/// The longest key that is known, in [`Name`]'s normal form: `logginggoogleapiscom/tracesampled`.
const LONGEST: usize = 33;

/// A key in lower case without `_`, `-` and `.`, so that all its spellings are one.
#[derive(Debug)]
pub(super) struct Name {
    bytes: [u8; LONGEST],
    /// The name fills the end of `bytes`, from here.
    from: usize,
    /// The same behind the last dot; equal to `from` if there is none.
    last: usize,
    /// Where the key begins in its line.
    pub(super) start: usize,
}

/// By a byte, which bytes before it can end a known key: one bit a letter, and one for `@`.
static ENDINGS: [u32; 256] = {
    const fn bit(byte: u8) -> u32 {
        if byte == b'@' { 1 << 26 } else { 1 << (byte - b'a') }
    }
    let mut table = [0; 256];
    table[b'd' as usize] = bit(b'i') | bit(b'd') | bit(b'e'); // trace_id, dd, trace_sampled
    table[b't' as usize] = bit(b'n') | bit(b'x'); // traceparent, severity_text, x-cloud-trace-context
    table[b'3' as usize] = bit(b'b'); // b3
    table[b'r' as usize] = bit(b't') | bit(b'@'); // @tr
    table[b'p' as usize] = bit(b's'); // @sp
    table[b'e' as usize] = bit(b'c') | bit(b'm') | bit(b'd'); // trace, service.name, response_code
    table[b'l' as usize] = bit(b'e') | bit(b'v') | bit(b'@'); // level, lvl, @l
    table[b's' as usize] = bit(b'u') | bit(b'g'); // status, trace_flags
    table[b'y' as usize] = bit(b't'); // severity
    let mut byte = b'A';
    while byte <= b'Z' {
        table[byte as usize] = table[byte.to_ascii_lowercase() as usize];
        byte += 1;
    }
    // What may stand between a key and its separator: quotes, their escapes, a space, the end of a colour.
    table[b'"' as usize] = u32::MAX;
    table[b'\'' as usize] = u32::MAX;
    table[b'\\' as usize] = u32::MAX;
    table[b' ' as usize] = u32::MAX;
    table[b'm' as usize] = u32::MAX;
    table
};

fn may_end(last: u8, before: u8) -> bool {
    let bit = match before {
        b'a'..=b'z' => 1u32 << (before - b'a'),
        b'A'..=b'Z' => 1 << (before - b'A'),
        b'@' => 1 << 26,
        _ => 1 << 31,
    };
    ENDINGS[last as usize] & bit != 0
}

/// Whether what ends at `end` may be a known key; wrong now and then, but never about one that is.
#[inline]
pub(super) fn candidate(line: &[u8], end: usize) -> bool {
    match line.get(end.wrapping_sub(3)..end) {
        Some(&[b, c, b'"']) | Some(&[_, b, c]) => may_end(c, b),
        _ => line.get(..end).is_some_and(|head| head.len() == 2),
    }
}

/// The end of the key before a separator: without quotes, escapes, spaces and colours between them.
pub(super) fn end(line: &[u8], separator: usize) -> usize {
    let mut end = separator;
    // Enough for `\"` of a doubly encoded line and a colour or a space, and short whatever comes.
    for _ in 0..8 {
        match line.get(end.wrapping_sub(1)) {
            Some(b'"' | b'\'' | b'\\' | b' ') => end -= 1,
            Some(b'm') => match colour_start(line, end) {
                Some(start) => end = start,
                None => break,
            },
            _ => break,
        }
    }
    end
}

/// Where the colour (`ESC [ 1 ; 36 m`) begins that ends at `end`.
fn colour_start(line: &[u8], end: usize) -> Option<usize> {
    let head = line.get(..end.checked_sub(1)?)?;
    let digits = head.iter().rev().take(12).take_while(|b| b.is_ascii_digit() || **b == b';').count();
    head.get(..head.len() - digits)?.strip_suffix(b"\x1b[").map(<[u8]>::len)
}

impl Name {
    /// The key that ends at `end`. `None` if there is none, or one longer than any that is known.
    pub(super) fn read(line: &[u8], end: usize) -> Option<Self> {
        let mut name = Self { bytes: [0; LONGEST], from: LONGEST, last: LONGEST, start: end };
        let mut dotted = false;
        for &byte in line.get(..end)?.iter().rev() {
            let kept = match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'/' | b'@' => byte,
                b'A'..=b'Z' => byte.to_ascii_lowercase(),
                b'_' | b'-' => {
                    name.start -= 1;
                    continue;
                }
                b'.' => {
                    if !dotted {
                        (name.last, dotted) = (name.from, true);
                    }
                    name.start -= 1;
                    continue;
                }
                _ => break,
            };
            name.from = name.from.checked_sub(1)?;
            *name.bytes.get_mut(name.from)? = kept;
            name.start -= 1;
        }
        if !dotted {
            name.last = name.from;
        }
        name.clean(line);
        (name.from < LONGEST).then_some(name)
    }

    /// Takes off what belongs to a colour or an escape before the key and looks like a part of it.
    fn clean(&mut self, line: &[u8]) {
        let before = line.get(self.start.wrapping_sub(1));
        let skipped = match before {
            Some(b'\\') => usize::from(matches!(self.all().first(), Some(b'n' | b't' | b'r'))),
            Some(b'[' | b';') => {
                let digits = self.all().iter().take_while(|b| b.is_ascii_digit()).count();
                let is_colour = self.all().get(digits) == Some(&b'm');
                let escape = line.get(..self.start).unwrap_or_default();
                let in_escape = escape.iter().rev().take(12).any(|&b| b == 0x1b);
                if is_colour && in_escape { digits + 1 } else { 0 }
            }
            _ => 0,
        };
        if skipped > 0 {
            self.from += skipped;
            self.start += skipped;
            self.last = self.last.max(self.from);
        }
    }

    fn all(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    /// What the key is for, if it is known.
    pub(super) fn key(&self) -> Option<Key> {
        let whole = known(self.all());
        if whole.is_some() || self.last == self.from {
            return whole;
        }
        // `context.trace_id`, `attributes.traceId`: known holders of known keys. Not `parent.span_id`, `link.trace_id`.
        let prefix = self.bytes.get(self.from..self.last)?;
        let holder = HOLDERS.iter().any(|holder| prefix.ends_with(holder));
        if holder { known(self.bytes.get(self.last..)?) } else { None }
    }
}

/// What may stand before the dot of a dotted key.
const HOLDERS: [&[u8]; 18] = [
    b"context",
    b"ctx",
    b"attributes",
    b"attribute",
    b"attr",
    b"attrs",
    b"mdc",
    b"contextmap",
    b"fields",
    b"labels",
    b"log",
    b"extra",
    b"properties",
    b"otel",
    b"span",
    b"request",
    b"headers",
    b"resource",
];

fn known(name: &[u8]) -> Option<Key> {
    let plain = |class, rank| Some(Key::Id { class, rank, form: None });
    let own = |class, rank, form| Some(Key::Id { class, rank, form: Some(form) });
    match name {
        b"traceid" | b"oteltraceid" | b"xb3traceid" | b"b3traceid" | b"tracetraceid" | b"xtraceid" => {
            plain(KeyClass::Trace, Rank::Key)
        }
        b"spanid"
        | b"otelspanid"
        | b"xb3spanid"
        | b"b3spanid"
        | b"tracespanid"
        | b"logginggoogleapiscom/spanid" => plain(KeyClass::Span, Rank::Key),
        b"ddtraceid" => own(KeyClass::DatadogTrace, Rank::Vendor, Form::Datadog),
        b"ddspanid" => own(KeyClass::DatadogSpan, Rank::Vendor, Form::Datadog),
        b"traceparent" => own(KeyClass::Traceparent, Rank::Header, Form::Traceparent),
        b"b3" | b"xb3" => own(KeyClass::B3, Rank::Header, Form::B3),
        b"ubertraceid" => own(KeyClass::Uber, Rank::Header, Form::Uber),
        b"xamzntraceid" | b"awsxraytraceid" | b"xraytraceid" | b"amzntraceid" => {
            own(KeyClass::XRay, Rank::Header, Form::XRay)
        }
        b"xcloudtracecontext" | b"logginggoogleapiscom/trace" => {
            own(KeyClass::Google, Rank::Header, Form::Google)
        }
        b"tid" | b"@tr" | b"trace" => plain(KeyClass::Trace, Rank::Weak),
        b"@sp" | b"transactionid" => plain(KeyClass::Span, Rank::Weak),
        b"id" => Some(Key::NestedId),
        b"dd" => Some(Key::Datadog),
        b"level" | b"lvl" | b"loglevel" | b"severity" | b"levelname" | b"severitytext" | b"@l" => {
            Some(Key::Level)
        }
        b"resourceservicename" | b"servicename" | b"ddservice" | b"otelservicename" => Some(Key::Service),
        b"tracesampled" | b"oteltracesampled" | b"traceflags" | b"logginggoogleapiscom/tracesampled" => {
            Some(Key::Sampled)
        }
        b"responsecode" | b"statuscode" | b"status" => Some(Key::Status),
        _ => None,
    }
}
