//! klog, the log of Kubernetes' own components: `I0102 15:04:05.000000       1 file.go:12] message`.

use crate::record::Severity;

/// The level that the first letter names, if month and day follow it.
pub(super) fn severity(line: &[u8]) -> Option<Severity> {
    let [letter, date @ .., b' ', _, _, b':'] = line.get(..9)? else { return None };
    if !date.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match letter {
        b'I' => Some(Severity::Info),
        b'W' => Some(Severity::Warn),
        b'E' => Some(Severity::Error),
        b'F' => Some(Severity::Fatal),
        _ => None,
    }
}
