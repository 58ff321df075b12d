//! Syslog's priority, `<34>`; its structured data has keys and is read as such.

use crate::record::Severity;

use super::level;

/// The severity in the priority; without one, a word near the beginning.
pub(super) fn severity(line: &[u8]) -> Severity {
    let digits = line.iter().skip(1).take(4).take_while(|b| b.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) || line.get(1 + digits) != Some(&b'>') {
        return level::in_head(line);
    }
    let mut priority = 0u16;
    for digit in line.iter().skip(1).take(digits) {
        priority = priority * 10 + u16::from(digit - b'0');
    }
    // 24 facilities of 8 severities.
    if priority < 192 { level::syslog((priority % 8) as u8) } else { Severity::Unknown }
}
