//! Access logs: those of Envoy and Istio told from others, and the status of a response.

use std::sync::LazyLock;

use memchr::memchr_iter;
use memchr::memmem::{self, Finder};

use crate::record::Severity;

/// Whether a JSON line is an access log of Envoy or Istio: they alone name their response flags.
pub(super) fn is_envoy_json(line: &[u8]) -> bool {
    /// Built once: building it costs as much as searching a line.
    static FLAGS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"response_flags\""));
    line.first() == Some(&b'{') && FLAGS.find(line).is_some()
}

/// Whether a text line is one: `[2025-10-09T08:53:20.123Z] "GET / HTTP/1.1" 200 ...`.
pub(super) fn is_envoy_text(line: &[u8]) -> bool {
    let time = line.strip_prefix(b"[").and_then(|rest| rest.split_first_chunk::<20>());
    time.is_some_and(|(time, rest)| {
        let end = rest.get(..rest.len().min(16)).unwrap_or_default();
        time.get(10) == Some(&b'T') && memmem::find(end, b"Z] \"").is_some()
    })
}

/// A server's own failure is an error; any other answer says nothing about severity.
pub(super) fn severity(line: &[u8]) -> Severity {
    for quote in memchr_iter(b'"', line) {
        let head = line.get(..quote).unwrap_or_default();
        let request = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"].iter().any(|version| head.ends_with(*version))
            || [b"HTTP/2", b"HTTP/3"].iter().any(|version| head.ends_with(*version));
        if request {
            return match line.get(quote + 1..quote + 6) {
                Some([b' ', b'5', d1, d2, b' ']) if d1.is_ascii_digit() && d2.is_ascii_digit() => {
                    Severity::Error
                }
                _ => Severity::Unknown,
            };
        }
    }
    Severity::Unknown
}
