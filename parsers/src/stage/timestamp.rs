//! `timestamp`: an extracted value becomes the entry's time.

use jiff::tz::TimeZone;

use super::config::{OnBadTime, TimestampConfig};
use super::entry::Entry;
use super::go_time::Layout;
use crate::record::parse_rfc3339;

/// The names that Promtail has for layouts.
const NAMED: [(&str, &str); 10] = [
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
    ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC822Z", "02 Jan 06 15:04 -0700"),
    ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC3339", "2006-01-02T15:04:05Z07:00"),
    ("RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"),
];

#[derive(Debug, Clone)]
enum Format {
    /// Nanoseconds of a unit, as a whole number.
    Unix(u64),
    /// Seconds, with a fraction perhaps.
    UnixSeconds,
    Rfc3339,
    Layout(Layout),
}

#[derive(Debug, Clone)]
pub(super) struct Timestamp {
    source: String,
    formats: Vec<Format>,
    zone: TimeZone,
    on_failure: OnBadTime,
    /// Last time of each output.
    last: Vec<(String, u64)>,
}

/// Outputs of which the last time is remembered: a container has two.
const MAX_STREAMS: usize = 4;

impl Timestamp {
    pub fn new(config: &TimestampConfig) -> Result<Self, String> {
        if config.source.is_empty() {
            return Err("expected a `source`: the extracted name that has the time".into());
        }
        if config.format.is_empty() {
            return Err("expected a `format`".into());
        }
        let formats = std::iter::once(&config.format).chain(&config.fallback_formats);
        let zone = match config.location.as_deref() {
            None | Some("" | "UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("the `location` `{name}` is no zone of the IANA database, such as Europe/Berlin")
            })?,
        };
        Ok(Self {
            source: config.source.clone(),
            formats: formats.map(|format| read_format(format)).collect::<Result<_, _>>()?,
            zone,
            on_failure: config.on_failure,
            last: Vec::new(),
        })
    }

    pub fn reset(&mut self) {
        self.last = Vec::new();
    }

    pub fn apply(&mut self, entry: &mut Entry, now: u64) {
        let text = entry.extracted.get(&self.source);
        let time =
            text.and_then(|text| self.formats.iter().find_map(|format| format.read(text, &self.zone, now)));
        let stream = entry.labels.get("stream").unwrap_or_default();
        let last = self.last.iter_mut().find(|(name, _)| name == stream);
        let time = match (time, &last, self.on_failure) {
            (Some(time), ..) => time,
            (None, Some((_, last)), OnBadTime::Fudge) => last.saturating_add(1),
            _ => return,
        };
        entry.time = time;
        match last {
            Some((_, last)) => *last = time,
            None => {
                if self.last.len() >= MAX_STREAMS {
                    self.last.remove(0);
                }
                self.last.push((stream.to_owned(), time));
            }
        }
    }
}

fn read_format(text: &str) -> Result<Format, String> {
    Ok(match text {
        "Unix" => Format::UnixSeconds,
        "UnixMs" => Format::Unix(1_000_000),
        "UnixUs" => Format::Unix(1_000),
        "UnixNs" => Format::Unix(1),
        "RFC3339" | "RFC3339Nano" => Format::Rfc3339,
        _ => {
            let layout = NAMED.iter().find(|(name, _)| *name == text).map_or(text, |(_, layout)| layout);
            Format::Layout(Layout::new(layout)?)
        }
    })
}

impl Format {
    fn read(&self, text: &str, zone: &TimeZone, now: u64) -> Option<u64> {
        match self {
            Self::Unix(unit) => text.trim().parse::<u64>().ok()?.checked_mul(*unit),
            Self::UnixSeconds => {
                let (seconds, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
                let mut nanos = 0u64;
                let mut scale = 100_000_000;
                for digit in fraction.chars() {
                    nanos += u64::from(digit.to_digit(10)?) * scale;
                    scale /= 10;
                }
                seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
            }
            Self::Rfc3339 => parse_rfc3339(text.as_bytes()),
            Self::Layout(layout) => layout.read(text, zone, now),
        }
    }
}
