//! What a log line and a request say of themselves in the same words: thread, request id, user, path, and any field of one name.

mod json;
mod text;

use std::borrow::Cow;

use parsers::record::Value;
use parsers::stage::{LogfmtPair, LogfmtPairs};
use serde_json::Value as Json;
use smol_str::{SmolStr, ToSmolStr};
use store::read::ValueView;

/// Bytes of a line that are looked into.
const MAX_LINE: usize = 16 << 10;
/// Facts that are kept of a line or of a request: more fields than anyone reads.
const MAX_FACTS: usize = 48;
/// Values of one attribute that are compared, of a list.
const MAX_LISTED: usize = 8;
/// Longest value that is compared; longer ones are texts, not names.
const MAX_VALUE: usize = 200;

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Thread, goroutine, coroutine or task, by name or by number.
    Thread,
    /// Process id.
    Process,
    /// An id that a proxy or a framework gives each request.
    Request,
    /// Who asked.
    User,
    /// Method of the HTTP request.
    Method,
    /// Its path, without host and query.
    Path,
    /// Its status code.
    Status,
    /// A field of this name: hash of its letters and digits.
    Field(u64),
    /// Something in brackets, in a text, or a word as threads are named: a thread perhaps.
    Bracket,
    /// A long token of a text: a request id perhaps.
    Token,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    /// The key as it was written; empty for what has none.
    pub(super) key: SmolStr,
    pub(super) value: SmolStr,
}

impl Fact {
    /// One without a key.
    pub(super) fn of(kind: Kind, value: impl Into<SmolStr>) -> Self {
        Self { kind, key: SmolStr::default(), value: value.into() }
    }
}

/// Letters and digits of a key in lower case: `http.request.method`, `httpRequestMethod` and `http_request_method` are one.
fn canonical(key: &str) -> ([u8; 64], usize) {
    let mut letters = [0; 64];
    let mut length = 0;
    for (slot, byte) in letters.iter_mut().zip(key.bytes().filter(u8::is_ascii_alphanumeric)) {
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    (letters, length)
}

/// FNV-1a: few short keys, and the same in every process.
fn hash(letters: &[u8]) -> u64 {
    letters
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a key is about; `None` for what no two requests differ in by its nature: times, levels, messages, ids of traces.
pub(super) fn kind(key: &str) -> Option<Kind> {
    let (letters, length) = canonical(key);
    let letters = letters.get(..length).unwrap_or_default();
    Some(match letters {
        b"thread" | b"threadname" | b"threadid" | b"goroutine" | b"goroutineid" | b"goid" | b"coroutine"
        | b"osthreadname" | b"osthreadid" | b"processthreadname" | b"processthreadid" | b"taskname"
        | b"taskid" | b"worker" => Kind::Thread,
        b"pid" | b"processpid" | b"processid" => Kind::Process,
        b"requestid"
        | b"reqid"
        | b"rid"
        | b"xrequestid"
        | b"guidxrequestid"
        | b"httprequestheaderxrequestid"
        | b"httpresponseheaderxrequestid"
        | b"httprequestid"
        | b"correlationid"
        | b"xcorrelationid"
        | b"httprequestheaderxcorrelationid" => Kind::Request,
        b"user" | b"userid" | b"username" | b"enduserid" | b"usr" | b"usrid" | b"customerid" => Kind::User,
        b"method" | b"httpmethod" | b"httprequestmethod" | b"requestmethod" | b"verb" => Kind::Method,
        b"path"
        | b"httppath"
        | b"urlpath"
        | b"httptarget"
        | b"httproute"
        | b"url"
        | b"httpurl"
        | b"urlfull"
        | b"uri"
        | b"requesturi"
        | b"requestpath"
        | b"httprequestpath"
        | b"xenvoyoriginalpath" => Kind::Path,
        b"status"
        | b"statuscode"
        | b"httpstatus"
        | b"httpstatuscode"
        | b"httpresponsestatuscode"
        | b"responsecode"
        | b"responsestatus" => Kind::Status,
        b"" | b"ts" | b"time" | b"timestamp" | b"date" | b"level" | b"severity" | b"lvl"
        | b"detectedlevel" | b"msg" | b"message" | b"event" | b"body" | b"log" | b"logger"
        | b"loggername" | b"caller" | b"file" | b"filename" | b"line" | b"lineno" | b"func" | b"function"
        | b"traceid" | b"spanid" | b"traceflags" | b"poduid" | b"restart" | b"trefoiltenant"
        | b"servicename" | b"stream" | b"duration" | b"durationms" | b"elapsed" | b"took" | b"latency"
        | b"error" | b"err" | b"stack" | b"flags" => return None,
        other => Kind::Field(hash(other)),
    })
}

/// What the key and its value say, if it is something to compare by.
fn fact(key: &str, value: &str) -> Option<Fact> {
    let kind = kind(key)?;
    let value = value.trim();
    if value.is_empty() || value.len() > MAX_VALUE || matches!(value, "-" | "null" | "none" | "None") {
        return None;
    }
    let value = match kind {
        Kind::Path => path(value)?,
        Kind::Method => method(value)?,
        Kind::Status if value.len() != 3 || !value.bytes().all(|b| b.is_ascii_digit()) => return None,
        // Measurements differ between a line and its span, and say nothing by it.
        Kind::Field(_) if value.len() < 2 || value.parse::<f64>().is_ok_and(|n| n.fract() != 0.0) => {
            return None;
        }
        _ => value,
    };
    Some(Fact { kind, key: key.into(), value: value.into() })
}

/// The path of a URL or of a target.
fn path(text: &str) -> Option<&str> {
    let text = match text.find("://") {
        Some(scheme) => {
            let rest = text.get(scheme + 3..)?;
            rest.get(rest.find('/').unwrap_or(rest.len())..)?
        }
        None => text,
    };
    let text = text.split(['?', '#']).next().unwrap_or_default();
    text.starts_with('/').then_some(if text.len() > 1 { text.trim_end_matches('/') } else { text })
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// One of HTTP's methods.
fn method(text: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|method| text.eq_ignore_ascii_case(method))
}

fn add(facts: &mut Vec<Fact>, new: Option<Fact>) {
    let Some(new) = new else { return };
    if facts.len() < MAX_FACTS && !facts.iter().any(|f| f.kind == new.kind && f.value == new.value) {
        facts.push(new);
    }
}

/// What an attribute of a span says of its request.
pub(super) fn of_attribute(key: &str, value: &ValueView<'_>, facts: &mut Vec<Fact>) {
    match value {
        ValueView::Str(text) => add(facts, fact(key, text)),
        ValueView::Int(number) => add(facts, fact(key, &number.to_smolstr())),
        ValueView::Other(other) => {
            if let Value::Array(values) = &**other {
                of_list(key, values, facts);
            }
        }
        ValueView::Bool(_) | ValueView::Double(_) => {}
    }
}

/// A header is a list, since it may be sent several times (`http.request.header.x-request-id`).
fn of_list(key: &str, values: &[Value], facts: &mut Vec<Fact>) {
    for value in values.iter().take(MAX_LISTED) {
        match value {
            Value::Str(text) => add(facts, fact(key, text)),
            Value::Int(number) => add(facts, fact(key, &number.to_smolstr())),
            _ => {}
        }
    }
}

/// What the name of a server's span says, as `GET /cart/{id}`.
pub(super) fn of_name(name: &str, facts: &mut Vec<Fact>) {
    if let Some((verb, target)) = name.split_once(' ')
        && let Some(verb) = method(verb)
        && let Some(target) = path(target)
    {
        add(facts, Some(Fact::of(Kind::Method, verb)));
        add(facts, Some(Fact::of(Kind::Path, target)));
    }
}

/// What a line says: its metadata, then its fields or, of a text, what stands in it.
pub(super) fn of_line<'a>(line: &[u8], metadata: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Fact> {
    // Room for some: to grow takes longer.
    let mut facts = Vec::with_capacity(8);
    for (key, value) in metadata {
        add(&mut facts, fact(key, value));
    }
    let line = line.get(..MAX_LINE).unwrap_or(line);
    // Most lines are ASCII, which is seen at once.
    let text = std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let trimmed = text.trim();
    if trimmed.starts_with('{') && json::of_object(trimmed, &mut facts) {
        return facts;
    }
    let mut pairs = LogfmtPairs::new(trimmed);
    while let Some(LogfmtPair { key, value: Some(value), sound }) = pairs.next_with_value() {
        if sound {
            add(&mut facts, fact(key, &value));
        }
    }
    text::of_text(trimmed, &mut facts);
    facts
}

/// Whether it is worth looking for the parts of an access log in a line: a method, or fields of a name that they have.
pub(super) fn may_be_access(line: &[u8]) -> bool {
    let line = line.get(..MAX_LINE.min(line.len())).unwrap_or(line);
    let begins = |at: usize| {
        line.get(at..).is_some_and(|rest| METHODS.iter().any(|method| rest.starts_with(method.as_bytes())))
    };
    (0..line.len()).zip(line).any(|(at, byte)| matches!(byte, b'G' | b'P' | b'D' | b'H' | b'O') && begins(at))
}

/// How long a request took, ns, of which a line tells that says when it began, as Envoy writes it: `duration` in JSON, or the last of
/// three whole numbers in a row after the status, both in ms.
pub(super) fn lasts(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.get(..MAX_LINE).unwrap_or(line)).ok()?.trim();
    let number = |word: &str| word.parse::<u64>().ok();
    let ms = if text.starts_with('{') {
        match serde_json::from_str::<Json>(text).ok()?.get("duration")? {
            Json::Number(ms) => ms.as_u64(),
            Json::String(ms) => number(ms),
            _ => None,
        }
    } else {
        let words: Vec<&str> = text.get(text.find(" HTTP/")?..)?.split_ascii_whitespace().skip(3).collect();
        words.windows(3).find_map(|three| match three {
            [received, sent, took] => number(received).and(number(sent)).and(number(took)),
            _ => None,
        })
    };
    ms?.checked_mul(1_000_000)
}

/// Whether two values of a kind name the same thing.
pub(super) fn same(kind: Kind, of_line: &str, of_request: &str) -> bool {
    match kind {
        Kind::Path => same_path(of_line, of_request),
        _ => of_line.eq_ignore_ascii_case(of_request),
    }
}

/// Whether two values of a kind can be told apart at all: a thread's name says nothing against a thread's number, and the UUID of a
/// proxy nothing against the id that a framework gives.
pub(super) fn comparable(kind: Kind, a: &str, b: &str) -> bool {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match kind {
        Kind::Thread => number(a) == number(b),
        Kind::Request => is_uuid(a) == is_uuid(b),
        _ => true,
    }
}

/// Whether it is written as a UUID is: five groups of hex digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    text.len() == 36 && text.split('-').all(digits) && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// A path and a path or a route, whose parts in braces or after a colon stand for anything.
fn same_path(path: &str, route: &str) -> bool {
    let (mut a, mut b) = (path.split('/'), route.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) => {
                let any = wanted.starts_with([':', '{', '<', '*']) || part.starts_with([':', '{', '<', '*']);
                if part != wanted && !any {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// A value less its digits: `http-nio-8080-exec-3` and `http-nio-8080-exec-12` have one shape.
pub(super) fn shape(value: &str) -> impl Iterator<Item = char> {
    value.chars().filter(|c| !c.is_ascii_digit())
}

/// What lines of one kind have in common: the hash of their words that hold no digit.
pub(super) fn template(line: &[u8]) -> u64 {
    let line = line.get(..line.len().min(512)).unwrap_or(line);
    let words = line.split(|b| !b.is_ascii_alphanumeric() && *b != b'_');
    let plain = words.filter(|word| !word.is_empty() && !word.iter().any(u8::is_ascii_digit));
    // The first words tell a line's kind; those further on are more often values.
    plain.take(8).fold(1, |hash, word| {
        word.iter()
            .fold(hash ^ 0x20, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    })
}

#[cfg(test)]
mod tests;
