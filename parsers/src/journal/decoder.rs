//! Bytes of the export format to entries, a piece at a time. What is too long is cut while it comes, so that no entry, a core
//! dump's neither, is ever held whole.

use memchr::{memchr, memchr2};

use super::Entry;

/// Bytes of a field's name: journald allows 64.
const MAX_NAME: usize = 64;

/// Fields of an entry: journald allows 1,024, and programs have some dozens.
const MAX_FIELDS: usize = 1024;

/// What is kept of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the message.
    pub message: usize,
    /// Bytes of any other value.
    pub value: usize,
    /// Bytes of all of them.
    pub entry: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In a field's name, or at the empty line that ends an entry.
    Name,
    /// In a value up to the end of its line.
    Text,
    /// In the eight bytes that say how long a binary value is.
    Length { bytes: [u8; 8], have: usize },
    /// In a binary value.
    Binary { left: u64 },
    /// Before the newline that follows a binary value.
    AfterBinary,
    /// In a line that is nothing of the format.
    Junk,
}

/// Reads the format.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    name: Vec<u8>,
    value: Vec<u8>,
    cut: u64,
    entry: Entry,
    size: usize,
}

impl Decoder {
    /// At the beginning of an entry.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Name,
            name: Vec::new(),
            value: Vec::new(),
            cut: 0,
            entry: Entry::default(),
            size: 0,
        }
    }

    /// Takes the next piece, and emits the entries that it completes.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Entry)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.step(rest, emit).max(1);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Gives how many bytes it used, of at least one.
    fn step(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Entry)) -> usize {
        match self.state {
            State::Name => self.name(bytes, emit),
            State::Text => {
                let end = memchr(b'\n', bytes);
                let value = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
                self.keep(value);
                if end.is_some() {
                    self.field();
                }
                value.len() + usize::from(end.is_some())
            }
            State::Length { bytes: mut length, have } => {
                let wanted = length.get_mut(have..).unwrap_or_default();
                let used = wanted.len().min(bytes.len());
                for (to, from) in wanted.iter_mut().zip(bytes) {
                    *to = *from;
                }
                let have = have + used;
                self.state = match have {
                    8.. => State::Binary { left: u64::from_le_bytes(length) },
                    _ => State::Length { bytes: length, have },
                };
                self.skip_empty();
                used
            }
            State::Binary { left } => {
                let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.keep(bytes.get(..used).unwrap_or_default());
                self.state = State::Binary { left: left - used as u64 };
                self.skip_empty();
                used
            }
            State::AfterBinary => {
                self.field();
                // Without its newline, the next field's name begins here.
                if bytes.first() == Some(&b'\n') { 1 } else { self.name(bytes, emit) }
            }
            State::Junk => match memchr(b'\n', bytes) {
                Some(end) => {
                    self.state = State::Name;
                    end + 1
                }
                None => bytes.len(),
            },
        }
    }

    fn name(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Entry)) -> usize {
        let end = memchr2(b'=', b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = (MAX_NAME + 1).saturating_sub(self.name.len()).min(part.len());
        self.name.extend_from_slice(part.get(..room).unwrap_or_default());
        let Some(end) = end else { return bytes.len() };
        if bytes.get(end) == Some(&b'=') {
            self.state = if self.is_name() { State::Text } else { self.junk() };
        } else if self.name.is_empty() {
            self.size = 0;
            let entry = std::mem::take(&mut self.entry);
            if !entry.fields.is_empty() {
                emit(entry);
            }
        } else if self.is_name() {
            self.state = State::Length { bytes: [0; 8], have: 0 };
        } else {
            self.name.clear();
        }
        end + 1
    }

    fn junk(&mut self) -> State {
        self.name.clear();
        State::Junk
    }

    fn is_name(&self) -> bool {
        let valid = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        (1..=MAX_NAME).contains(&self.name.len()) && self.name.iter().all(valid)
    }

    fn skip_empty(&mut self) {
        if matches!(self.state, State::Binary { left: 0 }) {
            self.state = State::AfterBinary;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let limit = if self.name == b"MESSAGE" { self.limits.message } else { self.limits.value };
        let room = limit.min(self.limits.entry.saturating_sub(self.size)).saturating_sub(self.value.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.value.extend_from_slice(kept);
        self.cut += (bytes.len() - kept.len()) as u64;
    }

    /// The field is complete.
    fn field(&mut self) {
        self.state = State::Name;
        let (name, value) = (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        let cut = std::mem::take(&mut self.cut);
        if self.entry.fields.len() >= MAX_FIELDS {
            return;
        }
        if name == b"MESSAGE" {
            self.entry.cut = cut;
        }
        self.size += name.len() + value.len();
        self.entry.fields.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
}
