//! Syslog messages as senders put them on the wire: RFC 5424, and RFC 3164 as it is really spoken. Which of the two a message is,
//! it says itself; what is neither is a text.
//!
//! How messages follow each other on a connection is in [`Framing`]. Listening is not done here.

mod framing;
mod rfc3164;
mod rfc5424;
#[cfg(test)]
mod tests;

pub use framing::Framing;

use std::borrow::Cow;

/// Words for severities, by their numbers, as Promtail's rules have them.
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// Words for facilities, by their numbers, as Promtail's rules have them.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// Structured data elements and parameters of a message at most; real ones have a handful.
const MAX_STRUCTURED: usize = 64;

/// A parameter of structured data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Name of its element, such as `origin` or `exampleSDID@32473`.
    pub element: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// Its value, unescaped.
    pub value: Cow<'a, str>,
}

/// One message. What it does not say, or what is `-`, is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message<'a> {
    /// 0-23.
    pub facility: Option<u8>,
    /// 0-7.
    pub severity: Option<u8>,
    /// Nanoseconds since the epoch.
    pub time: Option<u64>,
    /// Who sent it first.
    pub hostname: Option<&'a str>,
    /// The program; in RFC 3164 the tag.
    pub app_name: Option<&'a str>,
    /// The process.
    pub proc_id: Option<&'a str>,
    /// The kind of message.
    pub msg_id: Option<&'a str>,
    /// Structured data.
    pub structured: Vec<Parameter<'a>>,
    /// The text. Raw bytes: not always UTF-8.
    pub text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads one message, without its framing. Times of RFC 3164 have neither year nor zone: they are taken for UTC, of
    /// the last year that does not put them into the future of `now`.
    pub fn parse(bytes: &'a [u8], now: u64) -> Self {
        let bytes = bytes.trim_ascii_end();
        let Some((priority, rest)) = priority(bytes) else {
            return Self { text: bytes, ..Self::default() };
        };
        let message = rfc5424::parse(rest).unwrap_or_else(|| rfc3164::parse(rest, now));
        Self { facility: Some(priority / 8), severity: Some(priority % 8), ..message }
    }

    /// The word for its severity.
    pub fn severity_keyword(&self) -> Option<&'static str> {
        SEVERITIES.get(usize::from(self.severity?)).copied()
    }

    /// The word for its facility.
    pub fn facility_keyword(&self) -> Option<&'static str> {
        FACILITIES.get(usize::from(self.facility?)).copied()
    }

    /// A parameter of structured data.
    pub fn parameter(&self, element: &str, name: &str) -> Option<&str> {
        let found = self.structured.iter().find(|p| p.element == element && p.name == name);
        found.map(|parameter| &*parameter.value)
    }
}

/// `<34>`, and what follows it.
fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = rest.split_at_checked(digits)?;
    let rest = rest.strip_prefix(b">")?;
    let number: u8 = std::str::from_utf8(number).ok()?.parse().ok()?;
    (usize::from(number) < FACILITIES.len() * 8).then_some((number, rest))
}

/// The next word, up to a space or the end, and what follows the space.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (word, rest.get(1..).unwrap_or_default())
}

/// A word as text, unless it is empty or stands for nothing.
fn said(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok().filter(|text| !matches!(*text, "" | "-"))
}
