//! Values under keys: JSON at any depth and encoded twice, logfmt, `key: value`, brackets, structured data of syslog.

use memchr::{memchr, memchr2_iter};

use crate::record::normalise::{Context, KeyClass, keyed};
use crate::record::{IdError, Severity};

use super::key::{self, Key, Name};
use super::{Fact, Form, Hit, Rank, access_log, hex_run, level, value};

/// Walks from one separator to the next and reports what stands under known keys.
pub(crate) fn by_keys(line: &[u8], take: &mut impl FnMut(Hit)) {
    let mut seen = Seen::default();
    for separator in memchr2_iter(b'=', b':', line) {
        if key::candidate(line, separator) {
            at_separator(line, separator, &mut seen, take);
        }
    }
}

/// What earlier keys of the line say about later ones.
#[derive(Default)]
struct Seen {
    /// Up to here, keys stand inside `"dd":{`.
    datadog_until: usize,
    /// Whether the line is an access log of Envoy; asked once, since it is a search of the whole line.
    envoy: Option<bool>,
}

/// Bytes in which `"dd":{` has to be closed: it holds three ids and four short names.
const LONGEST_DATADOG: usize = 1024;

/// Looks at one key and its value.
fn at_separator(line: &[u8], separator: usize, seen: &mut Seen, take: &mut impl FnMut(Hit)) {
    let end = key::end(line, separator);
    let Some((name, key)) = Name::read(line, end).and_then(|name| name.key().map(|key| (name, key))) else {
        return;
    };
    let start = value::start(line, separator);
    let form = form(line, separator, end);
    let in_datadog = name.start < seen.datadog_until;
    let (class, rank, form) = match key {
        Key::Id { class, rank, form: own } => (class, rank, own.unwrap_or(form)),
        Key::NestedId => match holder(line, name.start) {
            Some(class) => (class, Rank::Key, form),
            None => return,
        },
        Key::Datadog => {
            if line.get(start) == Some(&b'{') {
                let rest = line.get(start..).unwrap_or_default();
                let near = rest.get(..rest.len().min(LONGEST_DATADOG)).unwrap_or_default();
                seen.datadog_until = start + memchr(b'}', near).unwrap_or(near.len());
            }
            return;
        }
        Key::Level | Key::Service | Key::Sampled | Key::Status => {
            let word = value::word(line, start);
            if let Some(fact) = fact(key, word, form) {
                let end = start + word.len();
                let rank = if key == Key::Status { Rank::Weak } else { Rank::Key };
                take(Hit { form, rank, fact, start, end, of_span: false });
            }
            return;
        }
    };
    let (class, rank, form) = match class {
        KeyClass::Trace if in_datadog => (KeyClass::DatadogTrace, Rank::Vendor, Form::Datadog),
        KeyClass::Span if in_datadog => (KeyClass::DatadogSpan, Rank::Vendor, Form::Datadog),
        _ => (class, rank, form),
    };
    let form = match form {
        Form::Traceparent | Form::B3
            if *seen.envoy.get_or_insert_with(|| access_log::is_envoy_json(line)) =>
        {
            Form::Envoy
        }
        form => form,
    };
    report(line, start, (class, rank, form), take);
}

/// Reads the value of an id's key.
fn report(
    line: &[u8],
    start: usize,
    (class, rank, form): (KeyClass, Rank, Form),
    take: &mut impl FnMut(Hit),
) {
    let text = value::id(line, start, class);
    let of_span = matches!(class, KeyClass::Span | KeyClass::DatadogSpan);
    let mut result = keyed(class, text);
    if rank == Rank::Weak {
        // Keys that other things have too count only with a value that can be nothing else.
        let plain = matches!(text.len(), 16 | 32) && hex_run::len(text, 0) == text.len();
        let context = matches!(result, Ok(Context { trace: Some(_), .. })) && text.len() > 32;
        if !plain && !context {
            return;
        }
    } else if text.is_empty() && line.get(start).is_some_and(|b| !b.is_ascii_whitespace()) {
        // `trace_id={}`, `trace_id: [..]`: nothing that could be an id.
        result = Err(IdError::Absent);
    }
    let end = start + text.len();
    let form = if form == Form::Logfmt && is_otel_python(line, end) { Form::OtelPython } else { form };
    take(Hit { form, rank, fact: Fact::Id(result), start, end, of_span });
}

/// Whether the trace id that ends here stands in OpenTelemetry's logging format for Python:
/// `[trace_id=.. span_id=.. resource.service.name=.. trace_sampled=..]`.
fn is_otel_python(line: &[u8], end: usize) -> bool {
    let rest = line.get(end..).and_then(|rest| rest.strip_prefix(b" span_id="));
    rest.is_some_and(|rest| {
        let rest = rest.get(hex_run::len(rest, 0)..).unwrap_or_default();
        rest.starts_with(b" resource.service.name=")
    })
}

/// The layout of a key and its separator.
fn form(line: &[u8], separator: usize, end: usize) -> Form {
    if line.get(separator) == Some(&b':') {
        return if separator > end && line.get(end) != Some(&b' ') { Form::Json } else { Form::KeyValue };
    }
    Form::Logfmt
}

/// What `id` says inside `"trace":{` or `"span":{`, and behind the words `Trace` or `Span` and a space.
fn holder(line: &[u8], start: usize) -> Option<KeyClass> {
    if line.get(start.wrapping_sub(1)) == Some(&b' ') {
        let word = line.get(start.saturating_sub(6)..start)?;
        let is = |name: &[u8]| {
            let tail = word.get(word.len().saturating_sub(name.len())..).unwrap_or_default();
            tail.eq_ignore_ascii_case(name)
        };
        return if is(b"trace ") {
            Some(KeyClass::Trace)
        } else if is(b" span ") || is(b"span ") && start == 5 {
            Some(KeyClass::Span)
        } else {
            None
        };
    }
    let open = key::end(line, start).checked_sub(1)?;
    if line.get(open) != Some(&b'{') {
        return None;
    }
    let colon = key::end(line, open).checked_sub(1)?;
    if line.get(colon) != Some(&b':') {
        return None;
    }
    let name = line.get(..key::end(line, colon))?;
    let ends =
        |word: &[u8]| name.strip_suffix(word).is_some_and(|head| matches!(head.last(), Some(b'"' | b'\'')));
    if ends(b"trace") {
        Some(KeyClass::Trace)
    } else if ends(b"span") {
        Some(KeyClass::Span)
    } else {
        None
    }
}

/// What the word under a key other than an id's says.
fn fact(key: Key, word: &[u8], form: Form) -> Option<Fact> {
    match key {
        // Numbers are levels in JSON only; elsewhere, `level: 3` is a text.
        Key::Level if form != Form::Json && word.first().is_some_and(u8::is_ascii_digit) => None,
        Key::Level => match level::of_key_value(word) {
            Severity::Unknown => None,
            found => Some(Fact::Severity(found)),
        },
        Key::Service => (!word.is_empty() && word.first() != Some(&b'{')).then_some(Fact::Service),
        Key::Sampled => match word {
            b"True" | b"true" | b"1" | b"01" => Some(Fact::Sampled(true)),
            b"False" | b"false" | b"0" | b"00" => Some(Fact::Sampled(false)),
            _ => None,
        },
        // A server's own failure is an error; any other answer says nothing about severity.
        Key::Status => match word {
            [b'5', d1, d2] if d1.is_ascii_digit() && d2.is_ascii_digit() => {
                Some(Fact::Severity(Severity::Error))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A run of hex digits with a space before it, and a key before that: `traceId 4bf9...`.
pub(super) fn before_space(line: &[u8], start: usize, end: usize, take: &mut impl FnMut(Hit)) -> bool {
    if line.get(start.wrapping_sub(1)) != Some(&b' ')
        || line.get(end).is_some_and(|b| b.is_ascii_alphanumeric())
    {
        return false;
    }
    let Some(Key::Id { class: class @ KeyClass::Trace, rank: Rank::Key, .. }) =
        Name::read(line, key::end(line, start)).and_then(|name| name.key())
    else {
        return false;
    };
    report(line, start, (class, Rank::Layout, Form::KeyValue), take);
    true
}
