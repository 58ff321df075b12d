//! Times of log entries as senders write them.

use parsers::record::parse_rfc3339;

/// What an entry without a readable time is told.
pub(crate) const EXPECTED: &str =
    "timestamp cannot be read: expected nanoseconds since 1970 as a decimal string, or RFC 3339";

/// Nanoseconds in decimal, or RFC 3339.
pub(crate) fn read(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| parse_rfc3339(text.as_bytes()))
}
