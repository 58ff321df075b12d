//! A text that is looked for: which rows tell whether a block may hold it.

use std::ops::Range;

use super::{GROUP, group, row};

/// What the digits of a trace id are as long as, and of a span id.
const TRACE: usize = 32;
const SPAN: usize = 16;

/// A text that a line must hold.
#[derive(Debug, Clone, Default)]
pub struct Literal {
    /// Rows that are set wherever the text is.
    pub certain: Vec<usize>,
    /// Trace ids in the text.
    pub ids: Vec<Id>,
    /// Whether the codec may have cut a part of it out of a line.
    pub may_be_cut: bool,
}

/// A trace id in a text: the trace index has it, or all its rows are set.
#[derive(Debug, Clone)]
pub struct Id {
    /// Its low half.
    pub low64: u64,
    /// As it is written.
    pub digits: Vec<u8>,
    /// Rows that are set wherever its digits are.
    pub rows: Vec<usize>,
}

impl Literal {
    /// Reads a text. Groups of it that may be digits that the codec cut out (a whole word of a line, 32 or 16 lower-case
    /// hexadecimal digits) say nothing.
    pub fn new(text: &[u8]) -> Self {
        let mut literal = Self::default();
        let mut may_be_cut = vec![false; text.len()];
        for word in words(text) {
            let digits = text.get(word.clone()).unwrap_or_default();
            let at_border = word.start == 0 || word.end == text.len();
            let may_be_id = match word.len() {
                TRACE | SPAN => true,
                length => at_border && length < TRACE,
            };
            if !may_be_id || !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                continue;
            }
            if word.len() == TRACE {
                let low = digits.get(TRACE / 2..).and_then(|low| std::str::from_utf8(low).ok());
                if let Some(low64) = low.and_then(|low| u64::from_str_radix(low, 16).ok()) {
                    literal.ids.push(Id { low64, digits: digits.to_vec(), rows: rows(digits, |_| true) });
                }
            }
            if let Some(cut) = may_be_cut.get_mut(word) {
                cut.fill(true);
            }
        }
        let is_certain = |at: usize| may_be_cut.get(at..at + GROUP).is_some_and(|cut| !cut.contains(&true));
        literal.certain = rows(text, is_certain);
        literal.may_be_cut = may_be_cut.contains(&true);
        literal
    }

    /// Whether no block can be passed over for it.
    pub fn says_nothing(&self) -> bool {
        self.certain.is_empty() && self.ids.is_empty()
    }
}

/// Rows of the groups at the wanted places.
fn rows(text: &[u8], wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let groups = text.windows(GROUP).enumerate().filter(|(at, _)| wanted(*at));
    let mut rows: Vec<usize> = Vec::new();
    for row in groups.filter_map(|(_, bytes)| group(bytes)).map(row) {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// Runs of letters and digits.
fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()).filter_map(move |run| {
        let start = at;
        at += run.len();
        run.first()?.is_ascii_alphanumeric().then_some(start..at)
    })
}
