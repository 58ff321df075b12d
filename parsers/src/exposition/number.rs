//! Times as decimal text, to the nanosecond: a floating-point number of seconds has only some 200 ns.

const SECOND: u64 = 1_000_000_000;

/// Seconds since the epoch, perhaps with a fraction or an exponent, in nanoseconds. What is finer than those is cut.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.contains(['e', 'E']) || fraction.contains(['e', 'E']) {
        return by_exponent(text);
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { digits(whole)? };
    let kept = fraction.get(..fraction.len().min(9))?;
    let scale = 10u64.checked_pow(9u32.checked_sub(kept.len() as u32)?)?;
    let nanos = if kept.is_empty() { 0 } else { digits(kept)?.checked_mul(scale)? };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    whole.checked_mul(SECOND)?.checked_add(nanos)
}

/// `1.6e9`: nobody who means nanoseconds writes them so.
fn by_exponent(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    let nanos = seconds * SECOND as f64;
    // `u64::MAX` itself rounds up to what does not fit.
    (nanos >= 0.0 && nanos < u64::MAX as f64).then_some(nanos as u64)
}

/// Milliseconds since the epoch, in nanoseconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    digits(text.strip_prefix('+').unwrap_or(text))?.checked_mul(1_000_000)
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
