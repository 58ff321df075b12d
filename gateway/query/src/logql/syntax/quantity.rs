//! Numbers with units: durations as Go and Prometheus write them, sizes as people do.

/// Nanoseconds of `1h30m`, `500ms`, `1.5s`, `-1m`, `2d`.
pub fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(split)?;
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(length)?;
        let nanos = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            "y" => 31_536_000e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * nanos;
        rest = next;
    }
    sum.is_finite().then_some(sign * sum)
}

/// Bytes of `10KB`, `1.5MiB`, `3 kB`; a unit is needed unless `bare` numbers are sizes, too.
pub(in crate::logql) fn bytes(text: &str, bare: bool) -> Option<f64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.replace(',', "").parse().ok()?;
    let unit = unit.trim_start().to_ascii_lowercase();
    if unit.is_empty() {
        return bare.then_some(number);
    }
    let letters = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = letters.strip_suffix('i').map_or((letters, 1_000f64), |prefix| (prefix, 1_024.0));
    let power = match (prefix, letters) {
        ("", "") => 0,
        ("k", _) => 1,
        ("m", _) => 2,
        ("g", _) => 3,
        ("t", _) => 4,
        ("p", _) => 5,
        ("e", _) => 6,
        _ => return None,
    };
    Some(number * base.powi(power))
}

/// A plain number: decimal with or without an exponent, or hexadecimal.
pub(in crate::logql) fn number(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|value| value as f64);
    }
    // Rust reads words such as `inf` as well.
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| text.parse().ok()).flatten()
}

/// Spells nanoseconds as Prometheus does: `1h30m`, `500ms`, `0s`.
pub(in crate::logql) fn spell_duration(nanos: i64) -> String {
    const UNITS: [(u64, &str); 8] = [
        (604_800_000_000_000, "w"),
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let mut rest = nanos.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if nanos < 0 { "-" } else { "" });
    for (unit, name) in UNITS {
        // Weeks stand alone, as people write them.
        let count = if name == "w" && !rest.is_multiple_of(unit) { 0 } else { rest / unit };
        if count > 0 {
            out.push_str(&format!("{count}{name}"));
            rest -= count * unit;
        }
    }
    out
}
