//! Times in templates: read from texts and numbers, written in Go's layouts.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::values::{Failed, Value};
use crate::stage::go_time::Layout;

/// `toDateInZone layout zone text`
pub(super) fn to_date(layout: &str, zone: &str, text: &str) -> Result<Value, Failed> {
    let zone = match zone {
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => TimeZone::get(name).map_err(|_| Failed)?,
    };
    let nanos = Layout::any(layout).read(text, &zone, 0).ok_or(Failed)?;
    let time = Timestamp::from_nanosecond(i128::from(nanos)).map_err(|_| Failed)?;
    Ok(Value::Time(Box::new(time.to_zoned(zone))))
}

/// `date layout time`; numbers are seconds since the epoch.
pub(super) fn date(layout: &str, time: &Value) -> Result<Value, Failed> {
    let time = match time {
        Value::Time(time) => (**time).clone(),
        Value::Int(seconds) => Timestamp::from_second(*seconds).map_err(|_| Failed)?.to_zoned(TimeZone::UTC),
        _ => return Err(Failed),
    };
    Ok(Value::Text(Layout::any(layout).write(&time)))
}

fn as_time(value: &Value) -> Result<&Zoned, Failed> {
    match value {
        Value::Time(time) => Ok(time),
        _ => Err(Failed),
    }
}

/// Since the epoch, in units of so many nanoseconds.
pub(super) fn epoch(time: &Value, unit: i128) -> Result<Value, Failed> {
    let nanos = as_time(time)?.timestamp().as_nanosecond();
    Ok(Value::Text(nanos.div_euclid(unit).to_string()))
}

/// The time of a text of digits, of which the number tells the unit: days, seconds, milli-, micro- or nanoseconds.
pub(super) fn from_epoch(text: &str) -> Result<Value, Failed> {
    let count: i128 = text.trim().parse().map_err(|_| Failed)?;
    let unit: i128 = match text.trim().len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(Failed),
    };
    let time = Timestamp::from_nanosecond(count.checked_mul(unit).ok_or(Failed)?).map_err(|_| Failed)?;
    Ok(Value::Time(Box::new(time.to_zoned(TimeZone::UTC))))
}
