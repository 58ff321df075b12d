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

static KNOWN: LazyLock<Cache<String, Regex>> = LazyLock::new(|| Cache::new(KEPT));

/// What is made of an expression, known by a text of its own, whose program may have so many bytes.
pub(crate) fn kept<E>(
    key: &str,
    program: usize,
    build: impl Fn(usize) -> Result<Regex, E>,
) -> Result<Regex, E> {
    if let Some(known) = KNOWN.get(key) {
        return Ok(known);
    }
    let Ok(regex) = build(program.min(KEPT_PROGRAM)) else { return build(program) };
    KNOWN.insert(key.to_owned(), regex.clone());
    Ok(regex)
}

fn compiled(pattern: &str, program: usize) -> Result<Regex, Error> {
    kept(pattern, program, |program| RegexBuilder::new(pattern).size_limit(program).build())
}

/// An expression with what anchors it on both ends, as Prometheus has it; the dot matches newlines, too. It is complete by
/// itself: `a)(b` does not become so by what is put round it.
pub(crate) fn anchored(pattern: &str, program: usize) -> Result<Regex, Error> {
    let whole = format!("^(?s:{pattern})$");
    match KNOWN.get(&whole) {
        Some(known) => Ok(known),
        None => compiled(pattern, program).and_then(|_| compiled(&whole, program)),
    }
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
