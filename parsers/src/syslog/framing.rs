//! How messages follow each other on a connection (RFC 6587): each with its length before it, or each in a line. Every message
//! says anew which, as senders that restart behind a relay may change it.

use memchr::memchr2;

/// Digits of a length: over a hundred megabytes nobody means it.
const MAX_DIGITS: usize = 9;

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between messages.
    Between,
    /// In what may be a length, or the beginning of a line that starts with digits.
    Length,
    /// Behind the space that ends a length, if a message begins here.
    Begin { length: u64 },
    /// In a message of a known length.
    Counted { left: u64 },
    /// In a line.
    Line,
}

/// Splits what comes over a connection into messages of bounded length.
#[derive(Debug)]
pub struct Framing {
    max: usize,
    state: State,
    message: Vec<u8>,
    cut: u64,
}

impl Framing {
    /// Messages keep this many bytes.
    pub fn new(max: usize) -> Self {
        Self { max, state: State::Between, message: Vec::new(), cut: 0 }
    }

    /// Takes the next piece; emits each message that ends in it, with how many bytes were cut from its end.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8], u64)) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let used = self.step(*first, rest, emit);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The connection has ended: what was begun is a message, too.
    pub fn finish(&mut self, emit: &mut dyn FnMut(&[u8], u64)) {
        self.end(emit);
    }

    /// Gives how many bytes it used; where it is none, the state has changed.
    fn step(&mut self, first: u8, bytes: &[u8], emit: &mut dyn FnMut(&[u8], u64)) -> usize {
        match self.state {
            State::Between => match first {
                b'\n' | b'\r' | 0 => 1,
                b'1'..=b'9' => {
                    self.state = State::Length;
                    0
                }
                _ => {
                    self.state = State::Line;
                    0
                }
            },
            State::Length => match first {
                b'0'..=b'9' if self.message.len() < MAX_DIGITS => {
                    self.message.push(first);
                    1
                }
                b' ' => {
                    let length = self.message.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
                    self.message.push(b' ');
                    self.state = State::Begin { length };
                    1
                }
                _ => {
                    self.state = State::Line;
                    0
                }
            },
            State::Begin { length } => {
                if first == b'<' {
                    self.message.clear();
                    self.state = State::Counted { left: length };
                } else {
                    self.state = State::Line;
                }
                0
            }
            State::Counted { left } => {
                let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.keep(bytes.get(..used).unwrap_or_default());
                self.state = State::Counted { left: left - used as u64 };
                if left == used as u64 {
                    self.end(emit);
                }
                used
            }
            State::Line => match memchr2(b'\n', 0, bytes) {
                Some(end) => {
                    self.keep(bytes.get(..end).unwrap_or_default());
                    self.end(emit);
                    end + 1
                }
                None => {
                    self.keep(bytes);
                    bytes.len()
                }
            },
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.max.saturating_sub(self.message.len()).min(bytes.len());
        self.message.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.cut += (bytes.len() - room) as u64;
    }

    fn end(&mut self, emit: &mut dyn FnMut(&[u8], u64)) {
        let text = self.message.trim_ascii_end();
        if !text.is_empty() {
            emit(text, self.cut);
        }
        self.message.clear();
        self.cut = 0;
        self.state = State::Between;
    }
}
