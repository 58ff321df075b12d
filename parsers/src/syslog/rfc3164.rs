//! RFC 3164 and what passes for it: a time in one of several forms or none, perhaps a host, perhaps a tag with a process.

use crate::record::{format_rfc3339, parse_rfc3339};

use super::{Message, said, word};

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Nanoseconds that a sender's time may be ahead of ours: a zone, and a clock that is off.
const AHEAD: u64 = 2 * 24 * 3600 * 1_000_000_000;

/// Bytes of a tag: the RFC allows 32, programs are called longer.
const MAX_TAG: usize = 64;

/// What follows the priority.
pub(super) fn parse(bytes: &[u8], now: u64) -> Message<'_> {
    let Some((time, rest)) = rfc3339(bytes).or_else(|| stamp(bytes, now)) else {
        // Without a time there is no host either.
        return tagged(bytes).unwrap_or(Message { text: bytes, ..Message::default() });
    };
    let message = tagged(rest).unwrap_or_else(|| {
        let (hostname, rest) = word(rest);
        let message = tagged(rest).unwrap_or(Message { text: rest, ..Message::default() });
        Message { hostname: said(hostname), ..message }
    });
    Message { time: Some(time), ..message }
}

/// As rsyslog and others send it.
fn rfc3339(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (time, rest) = word(bytes);
    Some((parse_rfc3339(time)?, rest))
}

/// `Oct  9 22:33:20`, with a year behind the day or a fraction behind the second where a sender has them.
fn stamp(bytes: &[u8], now: u64) -> Option<(u64, &[u8])> {
    let (month, rest) = bytes.split_at_checked(3)?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (day, rest) = word(rest.trim_ascii_start());
    let day: u8 = said(day)?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let (mut clock, mut rest) = word(rest);
    let mut year = None;
    if clock.len() == 4 && clock.iter().all(u8::is_ascii_digit) {
        year = said(clock)?.parse::<u32>().ok();
        (clock, rest) = word(rest);
    }
    let clock = said(clock.strip_suffix(b":").unwrap_or(clock))?;
    let at = |year: u32| parse_rfc3339(format!("{year:04}-{month:02}-{day:02}T{clock}Z").as_bytes());
    let time = match year {
        Some(year) => at(year)?,
        None => {
            let this: u32 = format_rfc3339(now).get(..4)?.parse().ok()?;
            let latest = now.saturating_add(AHEAD);
            let past = [this + 1, this].into_iter().filter_map(at).find(|time| *time <= latest);
            past.or_else(|| at(this.saturating_sub(1)))?
        }
    };
    Some((time, rest))
}

/// `tag: text` or `tag[process]: text`; the colon may be missing behind the bracket.
fn tagged(bytes: &[u8]) -> Option<Message<'_>> {
    let length =
        bytes.iter().take(MAX_TAG + 1).take_while(|b| b.is_ascii_graphic() && !b":[".contains(b)).count();
    let (tag, rest) = bytes.split_at_checked(length).filter(|(tag, _)| !tag.is_empty())?;
    let (process, rest) = match rest.split_first()? {
        (b':', rest) => (None, rest),
        (b'[', rest) => {
            let (process, _) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
            let plain = process.len() <= MAX_TAG && process.iter().all(u8::is_ascii_graphic);
            let rest = rest.get(process.len() + 1..).filter(|_| plain)?;
            (said(process), rest.strip_prefix(b":").unwrap_or(rest))
        }
        _ => return None,
    };
    // An address or a clock has colons, too, but no space behind them.
    if !(rest.is_empty() || rest.starts_with(b" ")) {
        return None;
    }
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(Message { app_name: said(tag), proc_id: process, text, ..Message::default() })
}
