//! Whether a line holds a text, matches an expression or a pattern, or names an address.

use std::net::IpAddr;

use memchr::memmem::Finder;

use crate::logql::syntax::{IpRange, LineFilter, LinePattern, Needle};

use super::row::Row;

/// A filter with its texts prepared for searching.
#[derive(Debug)]
pub(super) struct Prepared<'q> {
    filter: &'q LineFilter,
    finders: Vec<Option<Finder<'q>>>,
}

impl<'q> Prepared<'q> {
    pub(super) fn new(filter: &'q LineFilter) -> Self {
        let finder = |needle: &'q Needle| match needle {
            Needle::Text(text) => Some(Finder::new(text)),
            _ => None,
        };
        Self { filter, finders: filter.any.iter().map(finder).collect() }
    }

    pub(super) fn passes(&self, row: &mut Row<'_>) -> bool {
        let found =
            self.filter.any.iter().zip(&self.finders).any(|(needle, finder)| match (needle, finder) {
                (_, Some(finder)) => finder.find(row.bytes()).is_some(),
                (Needle::Text(text), None) => row.text().0.contains(text.as_str()),
                (Needle::Regex(expression), _) => expression.regex.is_match(row.text().0),
                (Needle::Pattern(pattern), _) => fits(pattern, row.text().0),
                (Needle::Ip(range), _) => names_address(row.bytes(), range),
            });
        found != self.filter.negate
    }
}

/// Whether the whole line is of the pattern. `<_>` stands for at least one character.
fn fits(pattern: &LinePattern, line: &str) -> bool {
    let mut rest = line;
    let mut after_gap = false;
    for part in &pattern.parts {
        match part {
            None => after_gap = true,
            Some(text) => {
                let at = match rest.find(text.as_str()) {
                    Some(at) if (at == 0) != after_gap => at,
                    _ => return false,
                };
                rest = rest.get(at + text.len()..).unwrap_or_default();
                after_gap = false;
            }
        }
    }
    rest.is_empty() != after_gap
}

pub(super) fn holds(range: &IpRange, address: IpAddr) -> bool {
    address.is_ipv4() == range.first.is_ipv4() && range.first <= address && address <= range.last
}

/// Whether an address of the range stands in the line, with no letter or digit at once before or behind it.
fn names_address(line: &[u8], range: &IpRange) -> bool {
    let of_v4 = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let of_v6 = |b: &u8| b.is_ascii_hexdigit() || *b == b':' || *b == b'.';
    let v4 = range.first.is_ipv4();
    let of_address = |b: &u8| if v4 { of_v4(b) } else { of_v6(b) };
    line.split(|b| !of_address(b)).any(|run| {
        // A full stop or a colon may follow as a mark.
        let text = std::str::from_utf8(run).unwrap_or_default();
        if text.len() < 2 {
            return false;
        }
        let read = |text: &str| text.parse::<IpAddr>().ok();
        let address =
            read(text).or_else(|| read(text.trim_matches('.'))).or_else(|| read(text.trim_end_matches(':')));
        address.is_some_and(|address| holds(range, address))
    })
}
