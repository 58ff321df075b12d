//! Arithmetic with fractions, sizes and durations.

use super::values::{Failed, Value};
use crate::stage::duration::go_duration;

fn floats(arguments: &[Value]) -> impl Iterator<Item = f64> + '_ {
    arguments.iter().map(Value::to_float)
}

/// Folds all arguments from the first on.
pub(super) fn fold(arguments: &[Value], with: fn(f64, f64) -> f64) -> Result<Value, Failed> {
    floats(arguments).reduce(with).map(Value::Float).ok_or(Failed)
}

/// To so many digits behind the point; halves go up, as sprig has it.
pub(super) fn round(value: f64, digits: i64) -> Value {
    let scale = 10f64.powi(digits.clamp(-300, 300) as i32);
    let scaled = value * scale;
    let below = scaled.trunc();
    let rounded = if (scaled - below).abs() >= 0.5 { below + scaled.signum() } else { below };
    Value::Float(rounded / scale)
}

/// Seconds of `1h30m`.
pub(super) fn seconds(text: &str) -> Result<Value, Failed> {
    let (sign, text) = text.trim().strip_prefix('-').map_or((1.0, text.trim()), |rest| (-1.0, rest));
    go_duration(text).map(|nanos| Value::Float(sign * nanos as f64 / 1e9)).ok_or(Failed)
}

/// Bytes of `10KiB`, `1.5 MB`, `7`.
pub(super) fn bytes(text: &str) -> Result<Value, Failed> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or(Failed)?;
    let number: f64 = number.replace(',', "").parse().map_err(|_| Failed)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let letters = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = letters.strip_suffix('i').map_or((letters, 1_000f64), |prefix| (prefix, 1_024.0));
    let power = ["", "k", "m", "g", "t", "p", "e"].iter().position(|known| *known == prefix).ok_or(Failed)?;
    Ok(Value::Float(number * base.powi(power as i32)))
}
