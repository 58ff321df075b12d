//! How much the regular expressions of one query may take: their text is short, what they are compiled to need not be.

/// The first expressions of a query may be large: a list of a thousand pods is.
const LARGE: usize = 16;
/// Bytes of each of those: 100 KB of text fit, a Unicode class counted a thousand times does not.
pub(crate) const LARGE_PROGRAM: usize = 4 << 20;
/// Bytes of each further one.
const PROGRAM: usize = 512 << 10;
/// Expressions of one query.
const MOST: usize = 128;

/// Bytes that the program of the next expression may have, where a query has so many already. The error says that it may
/// have no more.
pub(crate) fn allowed(already: usize) -> Result<usize, String> {
    match already {
        0..LARGE => Ok(LARGE_PROGRAM),
        LARGE..MOST => Ok(PROGRAM),
        _ => Err(format!("more than {MOST} regular expressions")),
    }
}

/// An expression for messages, shortened.
pub(crate) fn shown(pattern: &str) -> String {
    let mut shown: String = pattern.chars().take(80).collect();
    if shown.len() < pattern.len() {
        shown.push('…');
    }
    shown
}
