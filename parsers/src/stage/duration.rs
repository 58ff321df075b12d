//! Go's spelling of durations: `300ms`, `1h30m`, `1.5s`.

/// Nanoseconds of a duration as Go writes it, and in `d` and `w` as Promtail's configuration takes them. `None` if it is
/// anything else, negative, or longer than 584 years.
pub fn go_duration(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text.trim();
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let unit = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            "d" => 8.64e13,
            "w" => 6.048e14,
            _ => return None,
        };
        total += number * unit;
        rest = after;
    }
    (total.is_finite() && total < u64::MAX as f64).then_some(total.round() as u64)
}
