//! What stands in a line that is neither JSON nor pairs: a request line, what is in brackets, and words that may be threads or ids.

use super::{Fact, Kind, METHODS, add, fact, path};

/// Shortest token of a text that can be a request id: 16 hex digits.
const MIN_TOKEN: usize = 16;
/// Longest such token: a dashed UUID, twice.
const MAX_TOKEN: usize = 80;
/// Longest name of a thread.
const MAX_THREAD: usize = 64;
/// Most digits of its number.
const MAX_THREAD_NUMBER: usize = 6;
/// Words of a text that are taken for names of threads, which stand at its beginning.
const MAX_BARE_THREADS: usize = 4;

/// What bytes of a text are, which tells of most words that there is nothing in them.
mod class {
    /// Ends a word.
    pub(super) const END: u16 = 1;
    pub(super) const DIGIT: u16 = 2;
    /// Stands before the number of a thread.
    pub(super) const DASH: u16 = 4;
    /// All letters of `thread`, each of which has a bit.
    pub(super) const THREAD: u16 = 0b11_1111 << 3;

    pub(super) const OF: [u16; 256] = {
        let mut of = [0; 256];
        let mut byte = 0;
        while byte < of.len() {
            of[byte] = match byte as u8 {
                b' ' | b'\t' | b'"' | b',' => END,
                b'0'..=b'9' => DIGIT,
                b'-' | b'_' | b'#' => DASH,
                b't' | b'T' => 1 << 3,
                b'h' | b'H' => 1 << 4,
                b'r' | b'R' => 1 << 5,
                b'e' | b'E' => 1 << 6,
                b'a' | b'A' => 1 << 7,
                b'd' | b'D' => 1 << 8,
                _ => 0,
            };
            byte += 1;
        }
        of
    };
}

/// Words of a text, each with the classes of its bytes.
#[derive(Clone)]
struct TextWords<'t>(&'t str);

impl<'t> Iterator for TextWords<'t> {
    type Item = (&'t str, u16);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0.as_bytes();
        let is_of = |byte: u8| class::OF[usize::from(byte)];
        let start = bytes.iter().position(|byte| is_of(*byte) & class::END == 0)?;
        let (mut end, mut classes) = (start, 0);
        for byte in bytes.iter().skip(start) {
            let class = is_of(*byte);
            if class & class::END != 0 {
                break;
            }
            classes |= class;
            end += 1;
        }
        let word = self.0.get(start..end)?;
        self.0 = self.0.get(end..)?;
        Some((word, classes))
    }
}

/// A request line with its status, what stands in brackets, and tokens that may be ids.
pub(super) fn of_text(text: &str, facts: &mut Vec<Fact>) {
    let mut bare_threads = 0;
    let mut words = TextWords(text);
    while let Some((word, classes)) = words.next() {
        let mut behind = words.clone();
        if let Some(verb) = verb(word)
            && let Some(target) = behind.next().and_then(|(target, _)| path(target))
        {
            if !facts.iter().any(|f: &Fact| f.kind == Kind::Path) {
                add(facts, Some(Fact::of(Kind::Method, verb)));
                add(facts, Some(Fact::of(Kind::Path, target)));
                words = behind.clone();
                if behind.next().is_some_and(|(version, _)| version.starts_with("HTTP/")) {
                    words = behind;
                }
                if let Some((status, _)) = words.clone().next() {
                    add(facts, fact("status", status));
                }
            }
            continue;
        }
        let has = |class: u16| classes & class == class;
        let id = word.len() >= MIN_TOKEN && has(class::DIGIT);
        let thread = has(class::DIGIT | class::DASH) || has(class::THREAD);
        if !id && !thread {
            continue;
        }
        let bare = bare(word);
        if may_be_token(bare.as_bytes()) {
            add(facts, Some(Fact::of(Kind::Token, bare)));
        }
        if bare_threads < MAX_BARE_THREADS && may_be_thread(bare.as_bytes()) {
            bare_threads += 1;
            add(facts, Some(Fact::of(Kind::Bracket, bare)));
        }
    }
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some(inner) = rest.get(open + 1..) else { break };
        let Some(close) = inner.find(']') else { break };
        let held = inner.get(..close).unwrap_or_default().trim();
        if (2..=64).contains(&held.len()) && !held.contains('[') {
            add(facts, Some(Fact::of(Kind::Bracket, held)));
        }
        rest = inner.get(close + 1..).unwrap_or_default();
    }
}

/// One of HTTP's methods, as request lines have it.
fn verb(word: &str) -> Option<&'static str> {
    let begins = word.bytes().next().is_some_and(|first| matches!(first, b'G' | b'P' | b'D' | b'H' | b'O'));
    if begins { METHODS.into_iter().find(|verb| *verb == word) } else { None }
}

/// A word without what stands around it, and without the key before it.
fn bare(word: &str) -> &str {
    let around =
        |b: &u8| matches!(b, b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'<' | b'>' | b':' | b';' | b'\'');
    let bytes = word.as_bytes();
    let Some(end) = bytes.iter().rposition(|b| !around(b)) else { return "" };
    let start = bytes.iter().position(|b| !around(b)).unwrap_or_default();
    let within = bytes.get(start..=end).unwrap_or_default();
    let value = within.iter().rposition(|b| *b == b'=').map_or(start, |key| start + key + 1);
    word.get(value..=end).unwrap_or_default()
}

/// Whether a word may be an id.
fn may_be_token(word: &[u8]) -> bool {
    (MIN_TOKEN..=MAX_TOKEN).contains(&word.len())
        && word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && word.iter().any(u8::is_ascii_digit)
}

/// Whether a word may be a thread's name: `Thread-1`, `MainThread`, `http-nio-8080-exec-3`, `pool-1-thread-2`.
fn may_be_thread(word: &[u8]) -> bool {
    if !(2..=MAX_THREAD).contains(&word.len()) {
        return false;
    }
    let digits = word.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let named = || match word.get(..word.len() - digits) {
        Some([name @ .., b'-' | b'_' | b'#']) => name.iter().any(u8::is_ascii_alphabetic),
        _ => false,
    };
    let says = || word.windows(6).any(|part| part.eq_ignore_ascii_case(b"thread"));
    (1..=MAX_THREAD_NUMBER).contains(&digits) && named() || says()
}
