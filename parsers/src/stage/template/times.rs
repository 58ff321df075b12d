//! Times in templates: read from texts and numbers, written in Go's layouts.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::values::{Failed, Value};
use crate::stage::go_time::Layout;

/// Go's zero time, the first instant of the year 1, in seconds since the epoch.
const ZERO: i64 = -62_135_596_800;

/// `toDateInZone layout zone text`: an unknown zone is UTC, and what cannot be read is the zero time, as in Loki.
pub(super) fn to_date(layout: &str, zone: &str, text: &str) -> Result<Value, Failed> {
    let zone = match zone {
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    let read = Layout::any(layout).read(text, &zone, 0);
    let time = match read.and_then(|nanos| Timestamp::from_nanosecond(i128::from(nanos)).ok()) {
        Some(time) => time.to_zoned(zone),
        None => Timestamp::from_second(ZERO).map_err(Failed::because_of)?.to_zoned(TimeZone::UTC),
    };
    Ok(Value::Time(Box::new(time)))
}

/// `date layout time`; numbers are seconds since the epoch.
pub(super) fn date(layout: &str, time: &Value) -> Result<Value, Failed> {
    let time = match time {
        Value::Time(time) => (**time).clone(),
        Value::Int(seconds) => {
            Timestamp::from_second(*seconds).map_err(Failed::because_of)?.to_zoned(TimeZone::UTC)
        }
        other => return Err(Failed::because(format!("expected a time, came {}", other.shown()))),
    };
    Ok(Value::Text(Layout::any(layout).write(&time)))
}

fn as_time(value: &Value) -> Result<&Zoned, Failed> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(Failed::because(format!("expected a time, came {}", other.shown()))),
    }
}

/// Since the epoch, in units of so many nanoseconds.
pub(super) fn epoch(time: &Value, unit: i128) -> Result<Value, Failed> {
    let nanos = as_time(time)?.timestamp().as_nanosecond();
    Ok(Value::Text(nanos.div_euclid(unit).to_string()))
}

/// The time of a text of digits, of which the number tells the unit: days, seconds, milli-, micro- or nanoseconds.
pub(super) fn from_epoch(text: &str) -> Result<Value, Failed> {
    let failed = || Failed::because(format!("unable to parse time {text:?}"));
    let count: i128 = text.trim().parse().map_err(|_| failed())?;
    let unit: i128 = match text.trim().len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(failed()),
    };
    let time = Timestamp::from_nanosecond(count.checked_mul(unit).ok_or_else(failed)?)
        .map_err(Failed::because_of)?;
    Ok(Value::Time(Box::new(time.to_zoned(TimeZone::UTC))))
}
