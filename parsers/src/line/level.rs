//! The words, letters and numbers that name a severity.

use memchr::memchr;

use crate::record::Severity;

/// Bytes of a line's beginning in which a bare word may name its level: time, host, thread and logger come before it.
const HEAD: usize = 96;

/// The value of a level's key: a word, a letter, or the number of pino (10-60) or of syslog (0-7).
pub fn of_key_value(value: &[u8]) -> Severity {
    match value {
        [b'0'..=b'9'] | [b'0'..=b'9', b'0'] => number(value),
        [letter] => match letter.to_ascii_lowercase() {
            b't' | b'v' => Severity::Trace,
            b'd' => Severity::Debug,
            b'i' => Severity::Info,
            b'w' => Severity::Warn,
            b'e' => Severity::Error,
            b'f' | b'c' => Severity::Fatal,
            _ => Severity::Unknown,
        },
        _ => word(value),
    }
}

fn number(value: &[u8]) -> Severity {
    match value {
        b"10" => Severity::Trace,
        b"20" => Severity::Debug,
        b"30" => Severity::Info,
        b"40" => Severity::Warn,
        b"50" => Severity::Error,
        b"60" => Severity::Fatal,
        [digit] => syslog(digit - b'0'),
        _ => Severity::Unknown,
    }
}

/// Syslog's severities, 0-7.
pub(super) fn syslog(code: u8) -> Severity {
    match code {
        0..=2 => Severity::Fatal,
        3 => Severity::Error,
        4 => Severity::Warn,
        5 | 6 => Severity::Info,
        7 => Severity::Debug,
        _ => Severity::Unknown,
    }
}

/// A whole word, in any case.
fn word(value: &[u8]) -> Severity {
    let mut lower = [0u8; 13];
    let Some(lower) = lower.get_mut(..value.len()) else { return Severity::Unknown };
    lower.copy_from_slice(value);
    lower.make_ascii_lowercase();
    match &*lower {
        b"info" | b"information" | b"informational" | b"inf" | b"notice" => Severity::Info,
        b"error" | b"err" | b"eror" | b"fail" | b"severe" => Severity::Error,
        b"warn" | b"warning" | b"wrn" => Severity::Warn,
        b"debug" | b"dbug" | b"dbg" | b"fine" => Severity::Debug,
        b"trace" | b"trc" | b"trce" | b"verbose" | b"vrb" | b"finest" | b"finer" => Severity::Trace,
        b"fatal" | b"critical" | b"crit" | b"panic" | b"dpanic" | b"emerg" | b"emergency" | b"alert"
        | b"ftl" => Severity::Fatal,
        _ => Severity::Unknown,
    }
}

/// A word near the beginning that stands where loggers put the level: in capitals, in brackets, or first and before a
/// colon. Nothing behind the first quotation mark is looked at: that is a message or a request.
pub(super) fn in_head(line: &[u8]) -> Severity {
    let head = line.get(..line.len().min(HEAD)).unwrap_or_default();
    let mut at = 0;
    while let Some(&byte) = head.get(at) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {
                let len = head
                    .get(at..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/'))
                    .count();
                if (3..=13).contains(&len) && starts_one(byte) && stands_alone(line, at, at + len) {
                    let found = word(head.get(at..at + len).unwrap_or_default());
                    if found != Severity::Unknown {
                        return found;
                    }
                }
                at += len;
            }
            b'"' => return Severity::Unknown,
            0x1b => at += memchr(b'm', head.get(at..).unwrap_or_default()).map_or(1, |len| len + 1),
            // Digits and what is glued to them are times, addresses, ids.
            b'0'..=b'9' => {
                let rest = head.get(at..).unwrap_or_default();
                at += rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            }
            _ => at += 1,
        }
    }
    Severity::Unknown
}

/// Whether a word of [`word`] begins so.
fn starts_one(byte: u8) -> bool {
    matches!(
        byte.to_ascii_lowercase(),
        b'i' | b'n' | b'e' | b'f' | b's' | b'w' | b'd' | b't' | b'v' | b'c' | b'p' | b'a'
    )
}

/// Whether the word from `start` to `end` stands where a level stands.
fn stands_alone(line: &[u8], start: usize, end: usize) -> bool {
    let word = line.get(start..end).unwrap_or_default();
    let (before, after) = (start.checked_sub(1).and_then(|at| line.get(at)), line.get(end));
    if word.iter().all(u8::is_ascii_uppercase) {
        return true;
    }
    matches!(
        (before, after),
        (Some(b'[' | b'<' | b'(' | b'|'), Some(b']' | b'>' | b')' | b'|'))
            | (None, Some(b':'))
            | (Some(b'm'), Some(0x1b))
    )
}
