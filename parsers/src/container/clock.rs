//! Times of one file, read fast: neighbouring lines share their date, hour and minute.

use crate::record::parse_rfc3339;

/// `2025-10-09T08:53:`, what lines of one minute have in common.
const PREFIX: usize = 17;

/// Remembers the last minute that it read.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    prefix: [u8; PREFIX],
    /// Nanoseconds of the minute that `prefix` names; 0 before the first.
    minute: u64,
}

impl Clock {
    /// As [`parse_rfc3339`].
    pub(super) fn read(&mut self, text: &[u8]) -> Option<u64> {
        if let Some((prefix, [s1, s2, b'.', fraction @ .., b'Z'])) = text.split_first_chunk::<PREFIX>() {
            if *prefix == self.prefix && self.minute != 0 {
                return match (fraction.len(), number(&[*s1, *s2]), number(fraction)) {
                    (digits @ 1..=9, Some(second @ 0..60), Some(nanos)) => {
                        let scale = 10u64.pow(9 - digits as u32);
                        Some(self.minute + second * 1_000_000_000 + nanos * scale)
                    }
                    _ => parse_rfc3339(text),
                };
            }
            let time = parse_rfc3339(text)?;
            // A minute of UTC begins at a multiple of 60 s, so rounding down undoes the seconds. A leap second would
            // round into the next minute and is not remembered.
            if (*s1, *s2) != (b'6', b'0') {
                self.prefix = *prefix;
                self.minute = time - time % 60_000_000_000;
            }
            return Some(time);
        }
        parse_rfc3339(text)
    }
}

/// At most nine decimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        n = n * 10 + u64::from(value);
    }
    Some(n)
}
