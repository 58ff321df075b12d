//! Arithmetic with fractions, sizes and durations.

use super::values::{Failed, Value};
use crate::stage::duration::go_duration;

fn floats(arguments: &[Value]) -> impl Iterator<Item = f64> + '_ {
    arguments.iter().map(Value::to_float)
}

/// Folds all arguments from the first on.
pub(super) fn fold(arguments: &[Value], with: fn(f64, f64) -> f64) -> Result<Value, Failed> {
    floats(arguments).reduce(with).map(Value::Float).ok_or_else(|| Failed::because("an argument is missing"))
}

/// From which part of a step on `round` goes up, if it is not told.
pub(super) const HALF: f64 = 0.5;

/// To so many digits behind the point: up where what is left is `from` at least, else down, as sprig has it. So it takes what is
/// below zero down.
pub(super) fn round(value: f64, digits: i64, from: f64) -> Value {
    let scale = 10f64.powi(digits.clamp(-300, 300) as i32);
    let scaled = value * scale;
    let rounded = if scaled.fract() >= from { scaled.ceil() } else { scaled.floor() };
    Value::Float(rounded / scale)
}

/// Seconds of `1h30m`.
pub(super) fn seconds(text: &str) -> Result<Value, Failed> {
    let (sign, text) = text.trim().strip_prefix('-').map_or((1.0, text.trim()), |rest| (-1.0, rest));
    let nanos = go_duration(text).ok_or_else(|| Failed::because(format!("{text:?} is no duration")))?;
    Ok(Value::Float(sign * nanos as f64 / 1e9))
}

/// Bytes of `10KiB`, `1.5 MB`, `7`.
pub(super) fn bytes(text: &str) -> Result<Value, Failed> {
    let failed = || Failed::because(format!("{text:?} is no size in bytes"));
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or_else(failed)?;
    let number: f64 = number.replace(',', "").parse().map_err(|_| failed())?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let letters = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = letters.strip_suffix('i').map_or((letters, 1_000f64), |prefix| (prefix, 1_024.0));
    let power =
        ["", "k", "m", "g", "t", "p", "e"].iter().position(|known| *known == prefix).ok_or_else(failed)?;
    Ok(Value::Float(number * base.powi(power as i32)))
}
