//! Regular expressions of queries: compiled once for all that ask with the same ones, as dashboards and look-ups do; and how
//! much those of one query may take, since their text is short and what they are compiled to need not be.

use std::sync::LazyLock;

use moka::sync::Cache;
use regex::{Error, Regex, RegexBuilder};

/// The first expressions of a query may be large: a list of a thousand pods is.
const LARGE: usize = 16;
/// Bytes of each of those: 100 KB of text fit, a Unicode class counted a thousand times does not.
pub(crate) const LARGE_PROGRAM: usize = 4 << 20;
/// Bytes of each further one.
const PROGRAM: usize = 512 << 10;
/// Expressions of one query.
const MOST: usize = 128;

/// Expressions that are kept for the next query.
const KEPT: u64 = 128;
/// Bytes of the program of each of those; what takes more is compiled each time.
const KEPT_PROGRAM: usize = 64 << 10;
/// Bytes of the text of each of those: blanks and comments cost no program.
const KEPT_TEXT: usize = 1 << 10;

/// How an expression is read: the same text is not the same expression in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    /// As Prometheus and Tempo read it, on the whole text.
    Anchored,
    /// As Loki reads it, on the whole text.
    LokiAnchored,
}

static KNOWN: LazyLock<Cache<(Reading, String), Regex>> = LazyLock::new(|| Cache::new(KEPT));

/// An expression whose program may have so many bytes: the one that was built of the same text before, else a new one.
pub(crate) fn kept<E>(
    reading: Reading,
    text: &str,
    program: usize,
    build: impl Fn(usize) -> Result<Regex, E>,
) -> Result<Regex, E> {
    if text.len() > KEPT_TEXT {
        return build(program);
    }
    let key = (reading, text.to_owned());
    if let Some(known) = KNOWN.get(&key) {
        return Ok(known);
    }
    let Ok(regex) = build(program.min(KEPT_PROGRAM)) else { return build(program) };
    KNOWN.insert(key, regex.clone());
    Ok(regex)
}

/// An expression with what anchors it on both ends, as Prometheus has it; the dot matches newlines, too. It is complete by
/// itself: `a)(b` does not become so by what is put round it.
pub(crate) fn anchored(pattern: &str, program: usize) -> Result<Regex, Error> {
    kept(Reading::Anchored, pattern, program, |program| {
        let build = |text: &str| RegexBuilder::new(text).size_limit(program).build();
        build(pattern).and_then(|_| build(&format!("^(?s:{pattern})$")))
    })
}

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

#[cfg(test)]
mod tests;
