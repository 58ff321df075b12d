//! Numbers and durations as they are written.

/// Units of durations in milliseconds, in the order in which they must come.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// `1`, `.5`, `1e3`, `0x1f`, `1_000`. Of several digits the first being 0 makes it octal, as in Go.
pub(super) fn number(text: &str) -> Option<f64> {
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|n| n as f64);
    }
    if digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(octal) = i64::from_str_radix(&digits, 8)
    {
        return Some(octal as f64);
    }
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    digits.bytes().all(allowed).then(|| digits.parse().ok()).flatten()
}

/// Milliseconds of `1h30m`, `500ms`: whole numbers, each unit once, the largest first.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (mut rest, mut sum, mut next) = (text, 0i64, 0);
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at(split);
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, remaining) = after.split_at(length);
        let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next)?;
        let (_, millis) = UNITS.get(place)?;
        sum = sum.checked_add(digits.parse::<i64>().ok()?.checked_mul(*millis)?)?;
        next = place + 1;
        rest = remaining;
    }
    // Nanoseconds of it fit Prometheus' own durations.
    (!text.is_empty() && sum <= i64::MAX / 1_000_000).then_some(sum)
}

/// Milliseconds as a duration, the shortest way.
pub(crate) fn show_duration(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if millis < 0 {
        out.push('-');
    }
    let mut left = millis.unsigned_abs();
    for (unit, size) in UNITS {
        let size = size.unsigned_abs();
        // Years and weeks only where nothing is left: 400d is not 1y1m5d.
        if matches!(unit, "y" | "w") && !left.is_multiple_of(size) {
            continue;
        }
        if left >= size {
            out.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    out
}

/// A number as Prometheus writes values: never with an exponent.
pub fn show_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}

/// A number as messages have it: very large and very small ones with an exponent.
pub(crate) fn show_general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-4..1e21).contains(&value.abs()) {
        return show_number(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
