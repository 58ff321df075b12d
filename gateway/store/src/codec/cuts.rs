//! Ids that lines spell out in lower-case hex: where their digits stand, and how they are taken out and put back.

use parsers::record::LogRow;

use super::{Damaged, Input};

/// Digits of a trace id, and of a span id.
pub const TRACE: usize = 32;
pub const SPAN: usize = 16;

/// What a line says of its ids: for each 0 if the record has none, 1 if its digits were not taken out, else their position
/// plus two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    pub trace: u64,
    pub span: u64,
}

impl Cut {
    /// Of ids that stay in the line.
    pub fn none(row: &LogRow) -> Self {
        Self { trace: u64::from(row.trace != 0), span: u64::from(row.span != 0) }
    }

    /// Of a line. What is looked for in the remaining text alone must know what may be missing there: whole words.
    pub fn of(line: &[u8], row: &LogRow) -> Self {
        let of_words = |place: u64, length| if is_word(line, place, length) { place } else { place.min(1) };
        let trace = of_words(place::<TRACE>(line, row.trace), TRACE);
        let mut span = of_words(place::<SPAN>(line, u128::from(row.span)), SPAN);
        if trace > 1 && span > 1 && span < trace + TRACE as u64 && trace < span + SPAN as u64 {
            span = 1;
        }
        Self { trace, span }
    }

    /// Bytes that were taken out.
    pub fn bytes(self) -> usize {
        let trace = if self.trace > 1 { TRACE } else { 0 };
        trace + if self.span > 1 { SPAN } else { 0 }
    }

    /// Appends what is left of a line.
    pub fn take_out(self, line: &[u8], out: &mut Vec<u8>) {
        let mut cuts = [(self.trace, TRACE), (self.span, SPAN)];
        cuts.sort_unstable();
        let mut from = 0;
        for (at, length) in cuts {
            if at > 1 {
                let at = at as usize - 2;
                out.extend_from_slice(line.get(from..at).unwrap_or_default());
                from = at + length;
            }
        }
        out.extend_from_slice(line.get(from..).unwrap_or_default());
    }

    /// Restores one line: what was kept of it, with the digits in their places.
    pub fn put_back(self, row: &LogRow, text: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), Damaged> {
        let start = out.len();
        let mut cuts = [(self.trace, true), (self.span, false)];
        cuts.sort_unstable();
        for (at, is_trace) in cuts {
            if at > 1 {
                let before = (at as usize - 2).checked_sub(out.len() - start).ok_or(Damaged)?;
                out.extend_from_slice(text.raw(before)?);
                if is_trace {
                    out.extend_from_slice(&hex::<TRACE>(row.trace));
                } else {
                    out.extend_from_slice(&hex::<SPAN>(u128::from(row.span)));
                }
            }
        }
        let rest = row.line.len().checked_sub(out.len() - start).ok_or(Damaged)?;
        out.extend_from_slice(text.raw(rest)?);
        Ok(())
    }
}

/// Whether and where the line spells an id of `N` digits: 0 no id, 1 id not in the line, position plus two otherwise.
fn place<const N: usize>(line: &[u8], bits: u128) -> u64 {
    if bits == 0 { 0 } else { find(line, &hex::<N>(bits)).map_or(1, |at| at as u64 + 2) }
}

/// Where digits stand first. Wherever that is, they cover one of each `N` bytes, and most of those bytes are no digits: quicker
/// than a searcher, which would have to be made for each line.
fn find<const N: usize>(line: &[u8], digits: &[u8; N]) -> Option<usize> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    for probe in (N - 1..line.len()).step_by(N) {
        let Some((last, before)) = line.get(probe + 1 - N..=probe).and_then(<[u8]>::split_last) else {
            continue;
        };
        if !is_digit(last) {
            continue;
        }
        let run = before.iter().rev().take_while(|byte| is_digit(byte)).count();
        let found = (probe - run..=probe).find(|at| line.get(*at..at + N).is_some_and(|here| here == digits));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether digits that [`place`] found have no letter or digit at once before or behind them.
fn is_word(line: &[u8], place: u64, length: usize) -> bool {
    let Some(at) = (place as usize).checked_sub(2) else { return false };
    let before = at.checked_sub(1).and_then(|before| line.get(before));
    ![before, line.get(at + length)].into_iter().flatten().any(u8::is_ascii_alphanumeric)
}

fn hex<const N: usize>(bits: u128) -> [u8; N] {
    let mut digits = [0u8; N];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in pairs.iter_mut().rev().zip(bits.to_le_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_found_wherever_they_stand_and_where_they_stand_first() {
        let digits = hex::<16>(0x00f0_67aa_0ba9_02b7);
        for fill in [b'x', b'0', b'f', b' '] {
            for (before, after) in (0..70).flat_map(|before| [(before, 0), (before, 40)]) {
                let line = [&vec![fill; before][..], &digits, &vec![fill; after], &digits].concat();
                assert_eq!(find(&line, &digits), memchr::memmem::find(&line, &digits), "{before} of {fill}");
                let cut = line.get(..before + 15).unwrap_or_default();
                assert_eq!(find(cut, &digits), None);
            }
        }
        assert_eq!(find(b"", &digits), None);
    }
}
