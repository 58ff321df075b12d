//! Patterns of log lines, found as the lines come: what stays the same between lines of one shape, with `<_>` for what changes. After
//! Drain (He and others, 2017): a line is compared with those of its shape only, and becomes part of the one that it shares most
//! words with.
//!
//! The shape is the number of words and what stands between them, so that a pattern written out matches its lines in LogQL's `|>`.

#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

/// Bytes of a line that are looked at; what follows is taken to change.
const MAX_LINE: usize = 1_024;
/// Words that are looked at.
const MAX_WORDS: usize = 64;
/// Patterns of one shape that a line is compared with.
const MAX_SAME_SHAPE: usize = 16;
/// Bytes of a word that is kept.
const MAX_WORD: usize = 64;
/// What stands for a part that changes.
const VARIABLE: &str = "<_>";

/// Finds patterns. Holds at most as many as it is told, those that were seen last.
#[derive(Debug)]
pub struct Miner {
    limit: usize,
    patterns: FxHashMap<u64, Pattern>,
    by_shape: FxHashMap<u64, Vec<u64>>,
    /// Number of the next pattern, and of lines so far.
    next: u64,
    lines: u64,
}

/// A pattern.
#[derive(Debug)]
struct Pattern {
    shape: u64,
    /// What stands before each word, and after the last.
    between: Vec<Box<[u8]>>,
    /// `None` for what changes.
    words: Vec<Option<Box<[u8]>>>,
    /// It goes on after the last word that was looked at.
    open: bool,
    /// When a line was last of it, in lines.
    seen: u64,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mined {
    /// The pattern that it is of.
    pub pattern: u64,
    /// A pattern that is held no more, to make room.
    pub forgotten: Option<u64>,
}

fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"=\"',;:()[]{}|<>".contains(&byte)
}

/// A line cut into words and what stands between them.
struct Cut<'a> {
    between: Vec<&'a [u8]>,
    words: Vec<&'a [u8]>,
    open: bool,
}

impl<'a> Cut<'a> {
    fn new(line: &'a [u8]) -> Self {
        let (mut rest, mut open) = (line.trim_ascii_end(), false);
        if let Some(head) = rest.get(..MAX_LINE) {
            open = rest.len() > head.len();
            rest = head;
        }
        let mut cut = Self { between: Vec::new(), words: Vec::new(), open };
        loop {
            let word = rest.iter().position(|byte| !is_between(*byte)).unwrap_or(rest.len());
            let (between, after) = rest.split_at(word);
            cut.between.push(between);
            if after.is_empty() {
                return cut;
            }
            if cut.words.len() == MAX_WORDS {
                cut.open = true;
                return cut;
            }
            let end = after.iter().position(|byte| is_between(*byte)).unwrap_or(after.len());
            let (word, after) = after.split_at(end);
            cut.words.push(word);
            rest = after;
        }
    }

    fn shape(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.words.len().hash(&mut hasher);
        self.open.hash(&mut hasher);
        for between in &self.between {
            hasher.write(between);
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}

/// Numbers, ids and times: what has a digit in it changes. So does what is too long to be a word.
fn changes(word: &[u8]) -> bool {
    word.len() > MAX_WORD || word.iter().any(u8::is_ascii_digit)
}

impl Miner {
    /// Holds at most this many patterns.
    pub fn new(limit: usize) -> Self {
        let (patterns, by_shape) = (FxHashMap::default(), FxHashMap::default());
        Self { limit: limit.max(1), patterns, by_shape, next: 0, lines: 0 }
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Takes a line; `None` if it has no words.
    pub fn add(&mut self, line: &[u8]) -> Option<Mined> {
        let cut = Cut::new(line);
        if cut.words.is_empty() {
            return None;
        }
        self.lines += 1;
        let shape = cut.shape();
        let candidates = self.by_shape.get(&shape).map(Vec::as_slice).unwrap_or_default();
        let alike = candidates
            .iter()
            .filter_map(|number| Some((*number, self.patterns.get(number)?.likeness(&cut)?)));
        let found = alike.max_by_key(|(number, likeness)| (*likeness, std::cmp::Reverse(*number)));
        if let Some((number, _)) = found {
            if let Some(pattern) = self.patterns.get_mut(&number) {
                pattern.take(&cut);
                pattern.seen = self.lines;
            }
            return Some(Mined { pattern: number, forgotten: None });
        }
        let crowded = candidates.len() >= MAX_SAME_SHAPE;
        let oldest_of = |numbers: &mut dyn Iterator<Item = u64>| {
            numbers.min_by_key(|number| self.patterns.get(number).map_or(0, |pattern| pattern.seen))
        };
        let forgotten = if crowded {
            oldest_of(&mut candidates.iter().copied())
        } else if self.patterns.len() >= self.limit {
            oldest_of(&mut self.patterns.keys().copied())
        } else {
            None
        };
        if let Some(number) = forgotten {
            self.forget(number);
        }
        let number = self.next;
        self.next += 1;
        self.patterns.insert(number, Pattern::new(&cut, shape, self.lines));
        self.by_shape.entry(shape).or_default().push(number);
        Some(Mined { pattern: number, forgotten })
    }

    /// Forgets a pattern.
    pub fn forget(&mut self, number: u64) {
        let Some(pattern) = self.patterns.remove(&number) else { return };
        if let Some(numbers) = self.by_shape.get_mut(&pattern.shape) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_shape.remove(&pattern.shape);
            }
        }
    }

    /// A pattern as LogQL's `|>` reads it.
    pub fn text(&self, number: u64) -> Option<String> {
        self.patterns.get(&number).map(Pattern::text)
    }
}

impl Pattern {
    fn new(cut: &Cut<'_>, shape: u64, seen: u64) -> Self {
        let word = |word: &&[u8]| (!changes(word)).then(|| Box::from(*word));
        Self {
            shape,
            between: cut.between.iter().map(|between| Box::from(*between)).collect(),
            words: cut.words.iter().map(word).collect(),
            open: cut.open,
            seen,
        }
    }

    /// How many words are the same, if it is at least half of those that do not change by themselves.
    fn likeness(&self, cut: &Cut<'_>) -> Option<usize> {
        let (mut same, mut fixed) = (0, 0);
        for (own, word) in self.words.iter().zip(&cut.words) {
            match own {
                // What changed once may change again: it speaks neither for nor against.
                None => {}
                Some(own) => {
                    fixed += 1;
                    same += usize::from(**own == **word);
                }
            }
        }
        (same * 2 >= fixed && (same > 0 || fixed == 0)).then_some(same)
    }

    fn take(&mut self, cut: &Cut<'_>) {
        for (own, word) in self.words.iter_mut().zip(&cut.words) {
            if own.as_deref().is_some_and(|own| own != *word) {
                *own = None;
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (number, between) in self.between.iter().enumerate() {
            out.push_str(&String::from_utf8_lossy(between));
            match self.words.get(number) {
                Some(Some(word)) => out.push_str(&String::from_utf8_lossy(word)),
                Some(None) => out.push_str(VARIABLE),
                None => {}
            }
        }
        if self.open && !out.ends_with(VARIABLE) {
            out.push_str(VARIABLE);
        }
        out
    }
}
